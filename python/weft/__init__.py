"""Retrieval with learned-sparse weights, BM25 and token vectors: an immutable, mapped, crash-safe index.

>>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red red wine"])
>>> index.search(text="wine", k=1).ids.tolist()
['b']
"""

from weft import encoders
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
from weft.explanation import Explanation
from weft.hits import Hit, Hits
from weft.index import Contribution, Index, TokenMatch, open, verify
from weft.maxsim import maxsim
from weft.pipeline import Report
from weft.schema import Bm25, MultiVector, Schema, Sparse
from weft.sketch import Fde, FdeEncoder, Lemur
from weft.text import TextIndex
from weft.tune import OperatingPoint
from weft.tune_late import EffortPoint
from weft.writer import Writer, build

__all__ = [
    "Bm25",
    "Contribution",
    "CorruptIndex",
    "EffortPoint",
    "Error",
    "Explanation",
    "Fde",
    "FdeEncoder",
    "FormatVersion",
    "Hit",
    "Hits",
    "Index",
    "InvalidInput",
    "IoError",
    "Lemur",
    "Locked",
    "MultiVector",
    "NotFound",
    "OperatingPoint",
    "Report",
    "Schema",
    "SchemaMismatch",
    "Sparse",
    "TextIndex",
    "TokenMatch",
    "Writer",
    "__version__",
    "build",
    "convert",
    "encoders",
    "evaluate",
    "maxsim",
    "open",
    "verify",
]
