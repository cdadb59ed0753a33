"""Encoders of others: whatever has `encode_query` and `encode_document`."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import inputs as shaped
from weft import rows, tokens
from weft.encoders.base import EncoderKind
from weft.errors import InvalidInput
from weft.schema import Kind

_PROBE = "a"


class Adapted:
    """Another library's encoder behind the interface of ours; made by `adapt`."""

    def __init__(self, encoder: Any, name: str, kind: EncoderKind, dim: int | None, terms: Kind | None) -> None:
        self.encoder = encoder
        self.name = name
        self.kind = kind
        self.dim = dim
        self.terms = terms

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {"name": self.name, "type": type(self.encoder).__name__}

    def encode_query(
        self, inputs: str | Sequence[str], *, batch_size: int = 32, show_progress_bar: bool | None = None
    ) -> Any:
        """Return what the encoder makes of one query or several, as it is."""
        return _call(self.encoder.encode_query, inputs, batch_size, show_progress_bar)

    def encode_document(
        self, inputs: Sequence[str], *, batch_size: int = 32, show_progress_bar: bool | None = None
    ) -> Any:
        """Return what the encoder makes of documents: CSR rows, or 16-bit vectors and their offsets."""
        texts, _ = shaped.texts(inputs)
        made = _call(self.encoder.encode_document, texts, batch_size, show_progress_bar) if texts else []
        if self.kind == "multivector":
            return tokens.documents(made, self.dim)
        return rows.rows(made, self.terms or "int")[0]

    def __repr__(self) -> str:
        return f"<weft.encoders.Adapted {self.encoder!r}>"


def adapt(encoder: Any, *, name: str, kind: EncoderKind | None = None) -> Adapted:
    """Return an encoder of another library behind the interface of ours.

    Parameters
    ----------
    encoder : object
        `SparseEncoder` or `MultiVectorEncoder` of sentence-transformers, or any object whose `encode_query` and
        `encode_document` return what ``sparse=`` or ``multivector=`` take. One letter is encoded, to see what it makes.
    name : str
        What the index is to know the encoder by. Of an encoder whose results would differ, another name.
    kind : {"sparse", "multivector"}, optional
        Default: told by the result.

    Raises
    ------
    InvalidInput
        The object lacks a method, or makes neither of the two.

    Examples
    --------
    >>> class Letters:
    ...     def encode_document(self, texts):
    ...         return [{letter: 1.0 for letter in text} for text in texts]
    ...     def encode_query(self, text):
    ...         return {letter: 1.0 for letter in text}
    >>> encoder = weft.encoders.adapt(Letters(), name="letters")
    >>> encoder.kind, encoder.terms, encoder.encode_query("fox")
    ('sparse', 'str', {'f': 1.0, 'o': 1.0, 'x': 1.0})
    """
    for method in ("encode_query", "encode_document"):
        if not callable(getattr(encoder, method, None)):
            raise InvalidInput(f"{shaped.shown(encoder)} has no method {method}, so that it is no encoder")
    made = _call(encoder.encode_document, [_PROBE], 1, False)
    found = _kind(made) if kind is None else kind
    if found == "multivector":
        flat, _ = tokens.documents(made, None)
        return Adapted(encoder, name, "multivector", flat.shape[1], None)
    if found != "sparse":
        raise InvalidInput(f'kind must be "sparse" or "multivector", not {shaped.shown(kind)}')
    (_, terms, _), _ = rows.rows(made, "int")
    return Adapted(encoder, name, "sparse", None, "int" if isinstance(terms, np.ndarray) else "str")


def _kind(made: Any) -> EncoderKind:
    """Tell token vectors, which have two dimensions for each text, from sparse vectors."""
    if getattr(made, "ndim", None) == 3 or (isinstance(made, tuple) and len(made) == 2):
        return "multivector"
    if isinstance(made, list) and made and getattr(made[0], "ndim", None) == 2:
        return "multivector"
    return "sparse"


def _call(method: Callable[..., Any], texts: Any, batch_size: int, show_progress_bar: bool | None) -> Any:
    """Call with those of the options that the method takes."""
    taken = inspect.signature(method).parameters
    every = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    options = {"batch_size": batch_size, "show_progress_bar": show_progress_bar}
    return method(texts, **{name: value for name, value in options.items() if every or name in taken})
