"""What an index holds, declared once when it is made.

A schema crosses to the core, and lies in the manifest, as JSON. These classes shape that JSON; the core judges
the values.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from weft import sketch as sketches
from weft.errors import InvalidInput
from weft.inputs import shown
from weft.sketch import Fde, Lemur

Kind = Literal["int", "str"]
AttributeKind = Literal["keyword", "int64", "float64"]

BLOCK_SIZE = 64
_LAYOUT = ("block_size", "reorder")
"""Fields of `Sparse` and of `Bm25` that say how postings are stored."""


@dataclass(frozen=True)
class Sparse:
    """Term weights computed elsewhere, by a learned-sparse encoder for instance.

    Parameters
    ----------
    terms : {"int", "str"}
        Whether a term is an integer (a vocabulary index, at least 0) or a string.
    max_weight : float, optional
        The largest document weight. Weights are stored as multiples of ``max_weight / 255``; larger ones are
        clipped and counted in `Index.stats`. Default: 1.25 times the largest weight of the first flush.
    block_size : int
        Documents in a block, the unit that a search leaves out: a power of two from 8 to 256. Smaller blocks are
        left out more often and take more space.
    reorder : bool
        Store documents with common terms side by side. The build takes longer, more blocks are left out, and
        results are the same.
    rescore : bool
        Keep weights in 16 bits beside those in 8, and put the best documents in their order: 2 more bytes a posting.
        Scores, what `Index.get` returns and what `Index.explain` says are then by these weights, and by query weights
        as they are given; ``hits.exact`` is about them as well. An exact search takes half as long again for the top
        10, and about three times as long for the top 100.

    Examples
    --------
    >>> weft.Sparse(terms="str", max_weight=3.5)
    Sparse(terms='str', max_weight=3.5, block_size=64, reorder=True, rescore=False)
    """

    terms: Kind = "int"
    max_weight: float | None = None
    block_size: int = BLOCK_SIZE
    reorder: bool = True
    rescore: bool = False


@dataclass(frozen=True)
class Bm25:
    """Text, analysed and weighted by the index itself with BM25 (Robertson and Zaragoza 2009).

    Parameters
    ----------
    k1 : float
        Saturation of the term frequency, at least 0. With 0 a document's weights are binary.
    b : float
        Strength of the length normalisation, from 0 (none) to 1.
    language : str, optional
        Language of the Snowball stemmer, such as ``"english"``; None leaves words unstemmed.
    stop_words : bool
        Drop the language's stop words.
    average_length : float, optional
        Mean document length in words. Default: the running mean when a segment is written.
    block_size : int
        As for `Sparse`.
    reorder : bool
        As for `Sparse`.

    Examples
    --------
    >>> weft.Bm25(k1=0.9, b=0.4).language
    'english'
    """

    k1: float = 1.2
    b: float = 0.75
    language: str | None = "english"
    stop_words: bool = False
    average_length: float | None = None
    block_size: int = BLOCK_SIZE
    reorder: bool = True


@dataclass(frozen=True)
class MultiVector:
    """Token vectors computed elsewhere, by a ColBERT-like encoder: several for each document, scored by MaxSim.

    A codec is one name, or two joined by ``+``: all candidates are scored by the first code and the best of them by the
    second, which also refines what `Index.get` returns.

    ========================  =====================  ========================================================
    name                      bytes a token, 128 d   what a token is stored as, beside its centroid
    ========================  =====================  ========================================================
    ``pq16``, ``pq32``, ...   20, 36                 the residual in 16, 32, ... parts of 8 bits each
    ``scalar1`` ... 4         20, 36, 52, 68         the residual with 1 to 4 bits a dimension
    ``f16``                   258                    the vector itself, as 16-bit floats
    ``pq16+f16``              276                    ``pq16`` for candidates, the vector itself for the best
    ========================  =====================  ========================================================

    Parameters
    ----------
    dim : int
        Dimensions of a vector: a multiple of 8, at most 1,024.
    codec : str
        At equal size ``scalar`` codes keep the order of documents about as well as ``pq`` codes and are faster to make.
    centroids : int, optional
        How many centroids there are. More make better candidates and codes, and a slower build. Default: the power of
        two at or below 16 times the square root of the number of tokens that the codebook is learned from.

    Examples
    --------
    >>> weft.MultiVector(dim=128, codec="scalar2")
    MultiVector(dim=128, codec='scalar2', centroids=None)
    """

    dim: int
    codec: str = "scalar2"
    centroids: int | None = None


@dataclass(frozen=True)
class Schema:
    """The shape of an index: its representations, its attributes and the kind of its ids.

    Parameters
    ----------
    sparse : Sparse or Bm25, optional
        How documents are matched by terms: by given weights or by text.
    multivector : MultiVector, optional
        How token vectors are stored.
    attributes : mapping of str to {"keyword", "int64", "float64"}
        Values kept with each document for ``where=`` and `Index.get`.
    ids : {"str", "int"}
        Kind of the external ids.
    encoders : mapping of {"sparse", "multivector"} to mapping
        Settings of the encoders that make the vectors, as JSON, so that queries can be encoded alike; `TextIndex` keeps
        and compares them.
    sketch : Fde or Lemur, optional
        One vector for the many of a document, made of the token vectors, to find candidates by. Without it their
        centroids find them.

    Examples
    --------
    >>> schema = weft.Schema(sparse=weft.Sparse(), attributes={"year": "int64"}, ids="int")
    >>> schema.attributes["year"]
    'int64'
    """

    sparse: Sparse | Bm25 | None = None
    attributes: Mapping[str, AttributeKind] = field(default_factory=dict)
    ids: Kind = "str"
    multivector: MultiVector | None = None
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sketch: Fde | Lemur | None = None

    def to_json(self) -> str:
        """Return the JSON form.

        Returns
        -------
        str

        Raises
        ------
        InvalidInput
            A field has a type that JSON cannot carry, or is not a finite number.

        Examples
        --------
        >>> weft.Schema(ids="int").to_json()
        '{"ids": "int", "sparse": null, "multivector": null, "attributes": {}}'
        """
        if not isinstance(self.attributes, Mapping) or not all(isinstance(name, str) for name in self.attributes):
            raise InvalidInput(f"schema: attributes must map names to kinds; got {shown(self.attributes)}")
        if not isinstance(self.multivector, MultiVector | None):
            raise InvalidInput(f"schema: multivector must be weft.MultiVector or None, not {shown(self.multivector)}")
        shape = {
            "ids": self.ids,
            "sparse": _sparse_shape(self.sparse),
            "multivector": None if self.multivector is None else asdict(self.multivector),
            "attributes": dict(self.attributes),
        }
        if self.sketch is not None:
            shape["sketch"] = sketches.shape(self.sketch)
        if self.encoders != {}:
            shape["encoders"] = _encoders_shape(self.encoders)
        try:
            return json.dumps(shape, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"schema: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """Read the JSON form.

        Parameters
        ----------
        text : str
            What `to_json` returned.

        Returns
        -------
        Schema

        Raises
        ------
        InvalidInput
            The text is not the JSON form of a schema.

        Examples
        --------
        >>> schema = weft.Schema(sparse=weft.Bm25(k1=0.9))
        >>> weft.Schema.from_json(schema.to_json()) == schema
        True
        """
        try:
            shape = json.loads(text)
            multivector = shape.get("multivector")
            return cls(
                _sparse_from(shape["sparse"]),
                dict(shape["attributes"]),
                shape["ids"],
                None if multivector is None else MultiVector(**multivector),
                shape.get("encoders", {}),
                sketches.from_shape(shape.get("sketch")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"schema: not the JSON form of a schema: {error!r}") from error

    @property
    def terms(self) -> Kind:
        """Kind of the terms: ``"str"`` for text, otherwise as declared."""
        return self.sparse.terms if isinstance(self.sparse, Sparse) else "str"


def _encoders_shape(encoders: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if not isinstance(encoders, Mapping) or not all(isinstance(each, Mapping) for each in encoders.values()):
        raise InvalidInput(f"schema: encoders must map representations to settings; got {shown(encoders)}")
    return {name: dict(settings) for name, settings in encoders.items()}


def _sparse_shape(sparse: Sparse | Bm25 | None) -> dict[str, Any] | None:
    match sparse:
        case None:
            return None
        case Sparse():
            return {**asdict(sparse), "bm25": None}
        case Bm25():
            bm25 = asdict(sparse)
            layout = {name: bm25.pop(name) for name in _LAYOUT}
            return {"terms": "str", "max_weight": None, "bm25": bm25, **layout}
        case _:
            raise InvalidInput(f"schema: sparse must be weft.Sparse, weft.Bm25 or None, not {type(sparse).__name__}")


def _sparse_from(shape: dict[str, Any] | None) -> Sparse | Bm25 | None:
    if shape is None:
        return None
    bm25 = shape.get("bm25")
    layout = {name: shape[name] for name in _LAYOUT if name in shape}
    if bm25 is not None:
        return Bm25(**bm25, **layout)
    return Sparse(shape["terms"], shape.get("max_weight"), **layout, rescore=shape.get("rescore", False))
