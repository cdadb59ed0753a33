"""The forms in which values cross into the compiled core."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.int64] | Sequence[str]
"""External ids or terms: integers as one int64 array, strings as a list."""

Rows: TypeAlias = tuple[npt.NDArray[np.int64], Keys, npt.NDArray[np.float32]]
"""CSR rows: `indptr` (n + 1,), terms (nnz,), weights (nnz,)."""

Tokens: TypeAlias = tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]
"""Token vectors of documents: flat (T, dim), offsets (n + 1,)."""

TokenQueries: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""Token vectors of queries: flat (T, dim), offsets (n + 1,)."""

Late: TypeAlias = tuple[bool, int | None, int | None, str | None, str | None, tuple[float, float] | None]
"""Whether exact, candidates, probes, source of candidates, kind of fusion, weights of sparse and token vectors."""

EffortPoint: TypeAlias = tuple[int, float, int, int]
"""k, target recall, probes, candidates."""

Column: TypeAlias = Sequence[str | None] | Sequence[int | None] | Sequence[float | None]
"""One attribute of a batch of documents; None where a document has no value."""

Options: TypeAlias = tuple[float, float, int, float | None, float | None, float | None, str | None, int]
"""alpha, beta, gamma (0 for no limit), target recall, least score, seconds until the deadline, plan, threads."""

OperatingPoint: TypeAlias = tuple[int, float, float, float, int]
"""k, target recall, alpha, beta, gamma."""

Answer: TypeAlias = tuple[
    npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float32]
]
"""ids (B, k) int64 or object, scores (B, k), counts (B,), exact (B,), bound (B,)."""

TermContribution: TypeAlias = tuple[int | str, float, float, float]
"""Term, query weight, document weight, their product."""
