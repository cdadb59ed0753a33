"""Indexes of ColBERTv2 (PLAID) and of fast-plaid, whose token vectors are read without encoding anything again.

A vector is stored as the number of a centroid and, for each dimension, the number of a bucket of what is left
(Santhanam et al. 2022). ColBERT keeps torch tensors in chunks of documents, fast-plaid the same arrays in NumPy's
format, and since version 1.7 all chunks of an array in one file with rows of padding at its end.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.errors import InvalidInput
from weft.stored import StoredArray, npy, reading, tensors

if TYPE_CHECKING:
    from weft._types import Keys, Tokens

BATCH_TOKENS = 2**16
_LONGEST_JSON = 2**26
_LARGEST = float(np.finfo(np.float16).max)
_FLOATS, _CODES, _BYTES = ("float16", "float32", "float64"), ("int32", "int64"), ("uint8",)


def read_plaid(
    path: str | PathLike[str], *, ids: Iterable[str] | Iterable[int] | None = None, batch: int = BATCH_TOKENS
) -> "PlaidReader":
    """Open the folder of a ColBERTv2 (PLAID) or fast-plaid index to read its token vectors. Nothing is written.

    The shapes and types of all files are checked here, and their values as they are read.

    Parameters
    ----------
    path : str or path object
        The folder, with ``metadata.json`` and ``centroids.pt`` or ``centroids.npy``.
    ids : n str or n int, optional
        External ids of the documents, unique, in the order of the index. Default: 0 to n - 1.
    batch : int
        Tokens that a batch may hold. A batch has at least one document.

    Returns
    -------
    PlaidReader

    Raises
    ------
    InvalidInput
        A file is malformed or contradicts another, and the message names it; or an argument is malformed.
    IoError
        A file is missing or cannot be read.

    Examples
    --------
    Two documents with one centroid, and one bit for each dimension:

    >>> import json, os
    >>> import numpy as np
    >>> from weft.plaid import pack, read_plaid
    >>> os.mkdir("plaid")
    >>> _ = open("plaid/metadata.json", "w").write(json.dumps({"nbits": 1, "num_chunks": 1}))
    >>> _ = open("plaid/doclens.0.json", "w").write("[2, 1]")
    >>> np.save("plaid/centroids.npy", np.zeros((1, 8), np.float16))
    >>> np.save("plaid/bucket_weights.npy", np.array([-1, 1], np.float32))
    >>> np.save("plaid/0.codes.npy", np.zeros(3, np.int64))
    >>> np.save("plaid/0.residuals.npy", pack(np.eye(3, 8, dtype=np.uint8), nbits=1))
    >>> reader = read_plaid("plaid", ids=["a", "b"])
    >>> reader.dim, reader.nbits, reader.documents, reader.tokens
    (8, 1, 2, 3)
    >>> for names, (flat, offsets) in reader:
    ...     print(names, offsets.tolist(), flat[2, :4].tolist())
    ['a', 'b'] [0, 2, 3] [-0.353515625, -0.353515625, 0.353515625, -0.353515625]
    """
    folder = inputs.path(path)
    step = inputs.integer("batch", batch, low=1)
    metadata = _json(os.path.join(folder, "metadata.json"))
    if not isinstance(metadata, dict):
        raise InvalidInput(f"{folder}: metadata.json is {inputs.shown(metadata)}; expected an object")
    codec = _codec(folder, metadata)
    chunks = _chunks(folder, metadata, codec)
    documents = sum(len(chunk.lengths) for chunk in chunks)
    return PlaidReader(codec, chunks, _ids(ids, documents), step)


class PlaidReader(Iterable["tuple[Keys, Tokens]"]):
    """The documents of a PLAID index, in batches of ids and token vectors; made by `read_plaid`.

    The vectors of a batch are ``(flat, offsets)``: those of document i are ``flat[offsets[i] : offsets[i + 1]]``, of
    length one, rounded to 16 bits. Going through the documents again reads them again.
    """

    def __init__(self, codec: "_Codec", chunks: "list[_Chunk]", ids: "Keys", batch: int) -> None:
        self._codec, self._chunks, self._ids, self._batch = codec, chunks, ids, batch

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self._codec.centroids.shape[1])

    @property
    def nbits(self) -> int:
        """Bits of a dimension: 1, 2, 4 or 8."""
        return self._codec.nbits

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self._ids)

    @property
    def tokens(self) -> int:
        """Number of vectors."""
        return sum(chunk.codes.shape[0] for chunk in self._chunks)

    @property
    def ids(self) -> "Keys":
        """External ids of the documents."""
        return self._ids

    def __iter__(self) -> "Iterator[tuple[Keys, Tokens]]":
        before = 0
        for chunk in self._chunks:
            offsets = np.concatenate([[0], np.cumsum(chunk.lengths)])
            start = 0
            while start < len(chunk.lengths):
                fitting = int(np.searchsorted(offsets, offsets[start] + self._batch, side="right")) - 1
                stop = max(start + 1, fitting)
                flat = self._codec.vectors(chunk, int(offsets[start]), int(offsets[stop]))
                yield self._ids[before + start : before + stop], (flat, offsets[start : stop + 1] - offsets[start])
                start = stop
            before += len(chunk.lengths)


def holds_plaid(path: str | PathLike[str]) -> bool:
    """Whether the folder has the files by which a PLAID index is told."""
    names = (os.path.join(path, name) for name in ("centroids.pt", "centroids.npy"))
    return os.path.exists(os.path.join(path, "metadata.json")) and any(map(os.path.exists, names))


def pack(buckets: npt.NDArray[np.uint8], nbits: int) -> npt.NDArray[np.uint8]:
    """Pack bucket numbers as PLAID does: the bits of each from the lowest up, into bytes from the highest bit down.

    Parameters
    ----------
    buckets : (T, dim) uint8
        Numbers below ``2**nbits``.
    nbits : {1, 2, 4, 8}

    Returns
    -------
    (T, dim * nbits / 8) uint8

    Examples
    --------
    >>> import numpy as np
    >>> from weft.plaid import pack
    >>> [hex(byte) for byte in pack(np.array([[1, 2, 3, 0]], np.uint8), nbits=2)[0]]
    ['0x9c']
    """
    bits = np.unpackbits(buckets[..., None], axis=-1, count=nbits, bitorder="little")
    return np.packbits(bits.reshape(len(buckets), buckets.shape[1] * nbits), axis=-1)


def unpack(packed: npt.NDArray[np.uint8], nbits: int) -> npt.NDArray[np.uint8]:
    """Return the bucket numbers that `pack` packed.

    Parameters
    ----------
    packed : (T, w) uint8
    nbits : {1, 2, 4, 8}

    Returns
    -------
    (T, w * 8 / nbits) uint8

    Examples
    --------
    >>> import numpy as np
    >>> from weft.plaid import unpack
    >>> unpack(np.array([[0x9C], [0x81]], np.uint8), nbits=2).tolist()
    [[1, 2, 3, 0], [1, 0, 0, 2]]
    """
    bits = np.unpackbits(packed, axis=-1).reshape(len(packed), packed.shape[1] * 8 // nbits, nbits)
    return np.packbits(bits, axis=-1, bitorder="little")[..., 0]


def _ids(ids: Iterable[str] | Iterable[int] | None, documents: int) -> "Keys":
    if ids is None:
        return np.arange(documents, dtype=np.int64)
    keys = inputs.keys("ids", ids, "int")
    if len(keys) != documents:
        raise InvalidInput(f"ids: {len(keys)} were given; the index has {documents} documents")
    for name, times in Counter(keys.tolist() if isinstance(keys, np.ndarray) else keys).most_common(1):
        if times > 1:
            raise InvalidInput(f"ids: {inputs.shown(name)} comes {times} times")
    return keys


class _Chunk(NamedTuple):
    """Some of the documents: their lengths in tokens, and the codes and packed residuals of these."""

    lengths: npt.NDArray[np.int64]
    codes: StoredArray
    residuals: StoredArray


class _Codec(NamedTuple):
    """What turns codes into vectors: centroids (K, dim), and the weights (256, 8 / nbits) that a byte stands for."""

    nbits: int
    centroids: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]

    def vectors(self, chunk: _Chunk, start: int, stop: int) -> npt.NDArray[np.float16]:
        """Return the vectors of the tokens from `start` to before `stop`."""
        codes = chunk.codes.rows(start, stop).read()
        wrong = (codes < 0) | (codes >= len(self.centroids))
        if wrong.any():
            token, count = int(np.argmax(wrong)), len(self.centroids)
            raise InvalidInput(
                f"{chunk.codes.path}: token {start + token} has centroid {codes[token]}; there are {count}"
            )
        vectors: npt.NDArray[Any] = self.centroids[codes]
        vectors += self.weights[chunk.residuals.rows(start, stop).read()].reshape(vectors.shape)
        lengths = np.sqrt(np.einsum("td,td->t", vectors, vectors))
        vectors /= np.maximum(lengths, 1e-12)[:, None]
        return vectors.astype(np.float16)


def _codec(folder: str, metadata: dict[str, Any]) -> _Codec:
    config = metadata.get("config", metadata)
    nbits = config.get("nbits") if isinstance(config, dict) else None
    if type(nbits) is not int or nbits not in (1, 2, 4, 8):
        raise InvalidInput(f"{folder}: nbits in metadata.json is {inputs.shown(nbits)}; expected 1, 2, 4 or 8")
    centroids = _floats(_array(folder, "centroids"), None, None)
    dim = centroids.shape[1]
    if dim < 1 or dim * nbits % 8:
        raise InvalidInput(f"{folder}: {nbits} bits for each of {dim} dimensions do not fill bytes")
    buckets = os.path.join(folder, "buckets.pt")
    stored = tensors(buckets, count=2)[1] if os.path.exists(buckets) else _array(folder, "bucket_weights")
    weights = _floats(stored, 2**nbits)
    return _Codec(nbits, centroids, weights[unpack(np.arange(256, dtype=np.uint8)[:, None], nbits)])


def _chunks(folder: str, metadata: dict[str, Any], codec: _Codec) -> list[_Chunk]:
    count = metadata.get("num_chunks")
    if type(count) is not int or count < 0:
        raise InvalidInput(f"{folder}: num_chunks in metadata.json is {inputs.shown(count)}; expected a number")
    width = codec.centroids.shape[1] * codec.nbits // 8
    chunks = []
    before = 0
    for number in range(count):
        lengths = _lengths(os.path.join(folder, f"doclens.{number}.json"))
        after = before + sum(lengths)
        codes = _like(_payload(folder, number, "codes", before, after), _CODES, after - before)
        residuals = _like(_payload(folder, number, "residuals", before, after), _BYTES, after - before, width)
        chunks.append(_Chunk(np.array(lengths, np.int64), codes, residuals))
        before = after
    if os.path.exists(_merged(folder, "codes")) and metadata.get("num_embeddings") != before:
        raise InvalidInput(f"{folder}: num_embeddings in metadata.json is not {before}, the sum of all doclens files")
    return chunks


def _payload(folder: str, number: int, name: str, before: int, after: int) -> StoredArray:
    """Return an array of a chunk: a file of its own, or the rows from `before` to `after` of the one for all."""
    own = f"{number}.{name}"
    merged = _merged(folder, name)
    if os.path.exists(os.path.join(folder, f"{own}.npy")) or not os.path.exists(merged):
        return _array(folder, own)
    whole = npy(merged)
    if not whole.shape or whole.shape[0] < after:
        raise InvalidInput(f"{merged} has shape {whole.shape}; the doclens files need {after} rows")
    return whole.rows(before, after)


def _merged(folder: str, name: str) -> str:
    return os.path.join(folder, f"merged_{name}.npy")


def _array(folder: str, name: str) -> StoredArray:
    """Return the array of a file of torch or, where there is none, of NumPy."""
    path = os.path.join(folder, name)
    return tensors(f"{path}.pt")[0] if os.path.exists(f"{path}.pt") else npy(f"{path}.npy")


def _like(array: StoredArray, kinds: tuple[str, ...], *shape: int | None) -> StoredArray:
    """Return the array; one of another kind or shape is refused, None standing for any size."""
    same = len(array.shape) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not same or array.dtype.name not in kinds:
        expected = str(shape).replace("None", "any")
        raise InvalidInput(
            f"{array.path}: {array.dtype} of shape {array.shape}; expected {' or '.join(kinds)} of shape {expected}"
        )
    return array


def _floats(array: StoredArray, *shape: int | None) -> npt.NDArray[np.float32]:
    values = _like(array, _FLOATS, *shape).read()
    if not (np.abs(values) <= _LARGEST).all():
        raise InvalidInput(f"{array.path}: a value is not finite or above {_LARGEST:g}")
    return values.astype(np.float32)


def _lengths(path: str) -> list[int]:
    """Return the lengths of the documents of a chunk in tokens."""
    lengths = _json(path)
    if not isinstance(lengths, list) or set(map(type, lengths)) - {int} or min(lengths, default=0) < 0:
        raise InvalidInput(f"{path}: expected a list of the lengths of documents in tokens")
    return lengths


def _json(path: str) -> Any:
    with reading(path) as file:
        if os.path.getsize(path) > _LONGEST_JSON:
            raise InvalidInput(f"{path}: longer than {_LONGEST_JSON} bytes")
        text = file.read()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error
