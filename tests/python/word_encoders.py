"""Encoders without a model: every word has a weight and a vector of its own, the same on every machine."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

DIM = 16


@dataclass
class Words:
    """What `tokenize` returns: numbers of words, where those of each text begin, and how many texts were cut."""

    ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    truncated: int


def number(word: str) -> int:
    """Return a number that stands for a word."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")


@dataclass
class WordEncoder:
    """The half that both encoders share.

    Attributes
    ----------
    most : int
        Words of a text that are looked at.
    seconds : float
        What encoding one call takes besides.
    calls : list of int
        How many texts each call encoded.
    """

    name: str = "words"
    most: int = 1000
    seconds: float = 0.0
    calls: list[int] = field(default_factory=list)
    kind: ClassVar[str]

    @property
    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "type": type(self).__name__.lower(), "max_words": self.most}

    def tokenize(self, texts: Sequence[str]) -> Words:
        split = [text.lower().split() for text in texts]
        cut = [words[: self.most] for words in split]
        ids = np.array([number(word) for words in cut for word in words], np.int64)
        offsets = np.cumsum([0, *map(len, cut)], dtype=np.int64)
        return Words(ids, offsets, sum(len(words) > self.most for words in split))

    def encode_tokens(self, words: Words) -> Any:
        time.sleep(self.seconds)
        self.calls.append(len(words.offsets) - 1)
        return self.vectors(words)

    def encode_document(self, inputs: Sequence[str], *, batch_size: int = 32, show_progress_bar: Any = None) -> Any:
        return self.encode_tokens(self.tokenize(inputs))

    def encode_query(self, inputs: Sequence[str], *, batch_size: int = 32, show_progress_bar: Any = None) -> Any:
        return self.vectors(self.tokenize(inputs))

    def labels(self, text: str, role: str) -> list[str]:
        return text.lower().split()[: self.most]

    def vectors(self, words: Words) -> Any:
        raise NotImplementedError


class WordWeights(WordEncoder):
    """A word has a weight between 1 and 2 for each time that it comes."""

    kind = "sparse"
    dim = None
    terms = "int"

    def vectors(self, words: Words) -> Any:
        indptr, terms, weights = [0], [], []
        for start, end in zip(words.offsets[:-1], words.offsets[1:], strict=True):
            found, counts = np.unique(words.ids[start:end], return_counts=True)
            terms.append(found)
            weights.append(counts * (1 + found % 1000 / 1000))
            indptr.append(indptr[-1] + len(found))
        nothing = np.empty(0)
        return (
            np.array(indptr, np.int64),
            np.concatenate([nothing, *terms]).astype(np.int64),
            np.concatenate([nothing, *weights]).astype(np.float32),
        )


class WordVectors(WordEncoder):
    """A word has a vector of length 1."""

    kind = "multivector"
    dim = DIM
    terms = None

    def vectors(self, words: Words) -> Any:
        flat = np.empty((len(words.ids), DIM), np.float32)
        for row, seed in enumerate(words.ids):
            flat[row] = np.random.default_rng(int(seed)).standard_normal(DIM)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        return flat.astype(np.float16), words.offsets


class Opaque:
    """An encoder that cannot tokenise apart from encoding."""

    def __init__(self, inner: WordEncoder) -> None:
        self.kind, self.dim, self.terms = inner.kind, inner.dim, inner.terms  # type: ignore[attr-defined]
        self.settings = inner.settings
        self.encode_query, self.encode_document = inner.encode_query, inner.encode_document
