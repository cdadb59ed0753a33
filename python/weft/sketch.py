"""One vector for the many of a document: to find candidates by in an index, or for any vector database."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weft import _native, inputs, tokens
from weft.errors import InvalidInput

FdeKind = Literal["orthogonal", "muvera", "google", "fastembed"]
EncodingType = Literal["float32", "float16", "int8"]

KINDS = ("orthogonal", "muvera", "google", "fastembed")
_TYPES = ("float32", "float16", "int8")
_MOST_BITS = 16
_MOST_DIMENSIONS = 2**20
_MOST_ROW_VALUES = 2**28
"""Of all rows together: 1 GiB."""


@dataclass(frozen=True)
class Fde:
    """Fixed-dimensional encodings of token vectors (Dhulipala et al., MUVERA, 2024).

    In each repetition, random hyperplanes cut space into ``2 ** bits`` cells. A query adds up its vectors in each
    cell, projected to `projection` values; a document takes their mean, and an empty cell those of the vector
    whose cell is nearest. Inner products, divided by `repetitions`, approximate MaxSim. There are
    ``repetitions * 2**bits * projection`` dimensions.

    Parameters
    ----------
    repetitions, bits, projection : int
        At most 16 bits, and 2**20 dimensions. Each costs time to make, space, or both.
    kind : {"orthogonal", "muvera", "google", "fastembed"}
        ``"orthogonal"`` takes rows of random orthogonal bases, which finds as much with a quarter of the dimensions;
        best where `repetitions` times `projection` is a multiple of the dimension. ``"muvera"`` takes independent
        rows, as the paper does. The others lay out encodings as Google's reference does (cells numbered by a Gray
        code) and as fastembed does, for `FdeEncoder` alone.
    code_bits : {1, 4}
        Bits that an index stores of each value. One bit finds nearly as much.

    Examples
    --------
    >>> weft.Fde(repetitions=16, bits=5, projection=16).dimensions
    8192
    """

    repetitions: int = 16
    bits: int = 4
    projection: int = 8
    kind: FdeKind = "orthogonal"
    code_bits: int = 1

    @property
    def dimensions(self) -> int:
        """Values of an encoding."""
        return int(self.repetitions * 2**self.bits * self.projection)


@dataclass(frozen=True)
class Lemur:
    """Learned weights (Jääsaari et al., LEMUR, 2026), with random features.

    MaxSim with a document is nearly linear in features of a query's tokens; the weights of a document, by least
    squares over a sample of tokens, are its sketch, reduced to the directions in which documents differ most. They
    find more than encodings of many times their size, and take longer to make: about 2 million multiplications for each
    token of 128 dimensions. They are learned from the documents that come first, as the codebook of token vectors is;
    `Index.stats` tells how far later ones have drifted.

    Parameters
    ----------
    dimensions : int
        Values of a sketch: a multiple of 16.
    features : int
        Random features, a multiple of 16 up to 8,192. More find more; each costs time when a query is sketched.
    code_bits : {1, 4}
        Bits that an index stores of each value. One bit finds much less.

    Examples
    --------
    >>> weft.Lemur(dimensions=128)
    Lemur(dimensions=128, features=1024, code_bits=4)
    """

    dimensions: int = 256
    features: int = 1024
    code_bits: int = 4


def shape(sketch: Fde | Lemur | None) -> dict[str, Any] | None:
    """Return the JSON form."""
    match sketch:
        case None:
            return None
        case Lemur():
            return {"kind": "lemur", **vars(sketch)}
        case Fde():
            if not (isinstance(sketch.kind, str) and sketch.kind in ("orthogonal", "muvera")):
                kind = inputs.shown(sketch.kind)
                raise InvalidInput(f'sketch: an index holds encodings of kind "orthogonal" or "muvera"; got {kind}')
            fields = {name: value for name, value in vars(sketch).items() if name != "kind"}
            return {"kind": "fde", **fields, "orthogonal": sketch.kind == "orthogonal"}
        case _:
            raise InvalidInput(f"schema: sketch must be weft.Fde, weft.Lemur or None, not {type(sketch).__name__}")


def from_shape(shape: dict[str, Any] | None) -> Fde | Lemur | None:
    """Read the JSON form."""
    if shape is None:
        return None
    fields = dict(shape)
    match fields.pop("kind"):
        case "lemur":
            return Lemur(**fields)
        case "fde":
            return Fde(kind="orthogonal" if fields.pop("orthogonal") else "muvera", **fields)
        case kind:
            raise ValueError(f"sketch of kind {kind!r}")


class FdeEncoder:
    """Makes fixed-dimensional encodings, for any vector database that searches by inner product.

    Encodings are the same for the same arguments, on any number of threads. Keep queries and documents to one encoder,
    or to encoders with equal arguments.

    Parameters
    ----------
    fde : Fde
        The shape and kind of the encodings.
    dim : int
        Dimensions of a token vector.
    seed : int, optional
        Of the random rows. Default: 42 for ``"fastembed"``, otherwise 0.
    rows : (hyperplanes, projections), optional
        Arrays of shape (repetitions * bits, dim) and (repetitions * projection, dim) in place of random ones, such as
        those of another implementation. Needed for ``"google"``, whose projections are taken as they are; those of the
        other kinds are multiplied by ``projection ** -0.5``, unless `projection` is `dim`.
    final : int, optional
        Project encodings to so many dimensions at the end, by a count sketch.

    Raises
    ------
    InvalidInput
        An argument is malformed, or sizes are out of range.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = weft.FdeEncoder(weft.Fde(repetitions=16, bits=4, projection=8), dim=8)
    >>> documents = [np.eye(8)[:3], np.eye(8)[4:]]
    >>> encodings = encoder.encode_document(documents)
    >>> encodings.shape, encodings.dtype.name
    ((2, 2048), 'float32')
    >>> int(np.argmax(encodings @ encoder.encode_query(np.eye(8)[5:7])))
    1
    """

    def __init__(
        self,
        fde: Fde,
        dim: int,
        *,
        seed: int | None = None,
        rows: tuple[Any, Any] | None = None,
        final: int | None = None,
    ) -> None:
        if not isinstance(fde, Fde):
            raise InvalidInput(f"fde must be a weft.Fde, not {inputs.shown(fde)}")
        if not (isinstance(fde.kind, str) and fde.kind in KINDS):
            raise InvalidInput(f"kind must be one of {', '.join(map(repr, KINDS))}; got {inputs.shown(fde.kind)}")
        self._arguments = fde, dim, seed, rows, final
        self._fde = fde
        self._dim = inputs.integer("dim", dim, low=1)
        self._native = _native.FdeEncoder(
            self._dim,
            _sizes(fde, self._dim),
            fde.kind == "orthogonal",
            fde.kind == "google",
            fde.kind == "fastembed",
            0 if seed is None else inputs.integer("seed", seed, low=0),
            self._rows(seed, rows),
            None if final is None else _final(final, fde),
        )

    @property
    def fde(self) -> Fde:
        """The shape and kind of the encodings."""
        return self._fde

    @property
    def dimensions(self) -> int:
        """Values of an encoding."""
        return self._native.dimensions

    def encode_query(self, queries: Any, *, num_threads: int = 0) -> npt.NDArray[np.float32]:
        """Return the encodings of queries.

        Parameters
        ----------
        queries : (n, dim) array, list of arrays, (B, n, dim) array, or (flat, offsets)
            Token vectors; a two-dimensional array is a single query. Rows of zeros add nothing.
        num_threads : int
            Threads to use, at most 256; 0 for one on each core.

        Returns
        -------
        ndarray of float32, shape (B, dimensions), or (dimensions,) for a single query

        Raises
        ------
        InvalidInput
            A query is malformed.

        Examples
        --------
        >>> import numpy as np
        >>> weft.FdeEncoder(weft.Fde(repetitions=2, bits=1, projection=4), dim=8).encode_query(np.eye(8)).shape
        (16,)
        """
        flat, offsets, single = tokens.queries(queries, self._dim)
        threads = inputs.integer("num_threads", num_threads, low=0)
        encodings = self._room(len(offsets) - 1, "float32")
        self._native.encode((flat, offsets), True, encodings, threads)
        return encodings[0] if single else encodings

    def encode_document(self, documents: Any, *, dtype: EncodingType = "float32", num_threads: int = 0) -> Any:
        """Return the encodings of documents.

        Parameters
        ----------
        documents : list of (tokens, dim) arrays, (n, tokens, dim) array, or (flat, offsets)
            Token vectors; 16-bit floats are taken as they are.
        dtype : {"float32", "float16", "int8"}
            What encodings are written in. With ``"int8"`` a scale comes along for each.
        num_threads : int
            As for `encode_query`.

        Returns
        -------
        ndarray of shape (n, dimensions)
            With ``"int8"`` a pair of this and the scales, float32 of shape (n,): an encoding is about their product.

        Raises
        ------
        InvalidInput
            A document is malformed, or has no token vectors.

        Examples
        --------
        >>> import numpy as np
        >>> encoder = weft.FdeEncoder(weft.Fde(repetitions=2, bits=1, projection=4), dim=8)
        >>> codes, scales = encoder.encode_document([np.eye(8)], dtype="int8")
        >>> codes.dtype.name, scales.shape
        ('int8', (1,))
        """
        if not (isinstance(dtype, str) and dtype in _TYPES):
            raise InvalidInput(f"dtype must be one of {', '.join(map(repr, _TYPES))}; got {inputs.shown(dtype)}")
        held = tokens.as_given(documents, self._dim, halves_checked=False)
        empty = np.flatnonzero(held[1][1:] == held[1][:-1])
        if len(empty):
            row = inputs.by_row(int(empty[0]))
            raise InvalidInput(f"documents: {row} has no token vectors to encode; leave it out")
        threads = inputs.integer("num_threads", num_threads, low=0)
        encodings = self._room(len(held[1]) - 1, dtype)
        try:
            scales = self._native.encode(held, False, encodings, threads)
        except InvalidInput:
            tokens.as_given(documents, self._dim)  # names the value that is not finite
            raise
        return (encodings, scales) if dtype == "int8" else encodings

    def _room(self, count: int, dtype: EncodingType) -> npt.NDArray[Any]:
        """Return memory for encodings. NumPy asks for large pages, which are filled several times faster."""
        try:
            return np.empty((count, self.dimensions), dtype)
        except (MemoryError, ValueError) as error:
            size = count * self.dimensions * np.dtype(dtype).itemsize
            raise InvalidInput(f"encodings of {size} bytes do not fit in memory; encode fewer at a time") from error

    def _rows(
        self, seed: int | None, rows: tuple[Any, Any] | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
        """Return hyperplanes and projections, scaled; None where random ones are wanted."""
        fde = self._fde
        if rows is None and fde.kind == "google":
            raise InvalidInput('kind "google" needs rows=(hyperplanes, projections): its random numbers are its own')
        if rows is None and fde.kind != "fastembed":
            return None
        if not (rows is None or (isinstance(rows, tuple) and len(rows) == 2)):
            raise InvalidInput(f"rows must be (hyperplanes, projections), not {inputs.shown(rows)}")
        hyperplanes, projections = _of_fastembed(fde, self._dim, seed) if rows is None else rows
        scale = 1.0 if fde.kind == "google" or fde.projection == self._dim else fde.projection**-0.5
        return (
            _matrix("hyperplanes", hyperplanes, fde.repetitions * fde.bits, self._dim),
            _matrix("projections", projections, fde.repetitions * fde.projection, self._dim) * np.float32(scale),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, self._arguments

    def __repr__(self) -> str:
        return f"<weft.FdeEncoder {self._fde}: {self._dim} to {self.dimensions} dimensions>"


def _sizes(fde: Fde, dim: int) -> tuple[int, int, int]:
    """Return repetitions, bits and projection, small enough to compute with."""
    repetitions = inputs.integer("repetitions", fde.repetitions, low=1)
    bits = inputs.integer("bits", fde.bits, low=0)
    projection = inputs.integer("projection", fde.projection, low=1)
    if bits > _MOST_BITS:
        raise InvalidInput(f"bits is {bits}; it must be at most {_MOST_BITS}")
    if (dimensions := repetitions * 2**bits * projection) > _MOST_DIMENSIONS:
        raise InvalidInput(
            f"{repetitions} repetitions of 2**{bits} cells of {projection} values are {dimensions} dimensions; "
            f"use at most {_MOST_DIMENSIONS}"
        )
    if fde.kind != "orthogonal" and (values := repetitions * (bits + projection) * dim) > _MOST_ROW_VALUES:
        raise InvalidInput(f"{repetitions} repetitions of rows of {dim} dimensions are {values} numbers; use fewer")
    return repetitions, bits, projection


def _final(final: object, fde: Fde) -> int:
    dimensions = inputs.integer("final", final, low=1)
    if dimensions > fde.dimensions:
        raise InvalidInput(f"final is {dimensions}; it must be at most the {fde.dimensions} dimensions before it")
    return dimensions


def _of_fastembed(fde: Fde, dim: int, seed: int | None) -> tuple[Any, Any]:
    """Return the random rows that fastembed draws with a seed: all hyperplanes, then all projections."""
    random = np.random.default_rng(42 if seed is None else seed)
    hyperplanes = [random.normal(size=(dim, fde.bits)).T for _ in range(fde.repetitions)]
    if fde.projection == dim:
        return np.concatenate(hyperplanes), np.tile(np.eye(dim), (fde.repetitions, 1))
    projections = [random.choice([-1, 1], size=(dim, fde.projection)).T for _ in range(fde.repetitions)]
    return np.concatenate(hyperplanes), np.concatenate(projections)


def _matrix(name: str, value: Any, rows: int, dim: int) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            given = np.asarray(value)
            matrix = inputs.borrowable(given, np.float32) if given.dtype.kind in "biuf" else None
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must be an array of numbers: {' '.join(str(error).split())}") from error
    if matrix is None:
        raise InvalidInput(f"{name} must be an array of numbers, not of {given.dtype}")
    if matrix.shape != (rows, dim) or not np.isfinite(matrix).all():
        raise InvalidInput(f"{name} must be finite numbers of shape ({rows}, {dim}); got shape {matrix.shape}")
    return matrix


def _again(fde: Fde, dim: int, seed: int | None, rows: tuple[Any, Any] | None, final: int | None) -> FdeEncoder:
    """Make the encoder that was pickled."""
    return FdeEncoder(fde, dim, seed=seed, rows=rows, final=final)
