"""The forms in which values cross into the compiled core."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.int64] | Sequence[str]
"""External ids or terms: integers as one int64 array, strings as a list."""

Rows: TypeAlias = tuple[npt.NDArray[np.int64], Keys, npt.NDArray[np.float32]]
"""CSR rows: `indptr` (n + 1,), terms (nnz,), weights (nnz,)."""

Column: TypeAlias = Sequence[str | None] | Sequence[int | None] | Sequence[float | None]
"""One attribute of a batch of documents; None where a document has no value."""

Answer: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""ids (B, k) int64 or object, scores (B, k), counts (B,)."""

TermContribution: TypeAlias = tuple[int | str, float, float, float]
"""Term, query weight, document weight, their product."""
