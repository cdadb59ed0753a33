"""Retrieval with learned-sparse weights and BM25: an immutable, mapped, crash-safe index.

>>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red red wine"])
>>> index.search(text="wine", k=1).ids.tolist()
['b']
"""

from weft._native import __version__
from weft.convert import convert
from weft.errors import (
    CorruptIndex,
    Error,
    FormatVersion,
    InvalidInput,
    IoError,
    Locked,
    NotFound,
    SchemaMismatch,
)
from weft.evaluate import evaluate
from weft.hits import Hit, Hits
from weft.index import Contribution, Index, open, verify
from weft.schema import Bm25, Schema, Sparse
from weft.text import TextIndex
from weft.tune import OperatingPoint
from weft.writer import Writer, build

__all__ = [
    "Bm25",
    "Contribution",
    "CorruptIndex",
    "Error",
    "FormatVersion",
    "Hit",
    "Hits",
    "Index",
    "InvalidInput",
    "IoError",
    "Locked",
    "NotFound",
    "OperatingPoint",
    "Schema",
    "SchemaMismatch",
    "Sparse",
    "TextIndex",
    "Writer",
    "__version__",
    "build",
    "convert",
    "evaluate",
    "open",
    "verify",
]
