"""A folder of sparse vectors: `sparse_docs.npz` and `sparse_queries.npz`, each with a CSR matrix.

The matrices are arrays `indptr` int64, `indices` int32 (ascending within a row) and `data` float32, greater than 0.
Documents are known by their row number.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Rows:
    """Sparse vectors, one after the other."""

    indptr: Array
    indices: Array
    data: Array

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def numbers(self) -> Array:
        """The row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def take(self, rows: Array) -> "Rows":
        """The given rows, in the given order; a row may come more than once."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Rows(indptr, self.indices[entries], self.data[entries])

    def where(self, kept: Array) -> "Rows":
        """The entries for which the mask `kept` holds."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Rows(before[self.indptr], self.indices[kept], self.data[kept])

    def each(self) -> list[tuple[Array, Array]]:
        """Terms and weights of each row."""
        ends = zip(self.indptr[:-1], self.indptr[1:], strict=True)
        return [(self.indices[start:end], self.data[start:end]) for start, end in ends]


def read(path: Path) -> Rows:
    with np.load(path) as file:
        rows = Rows(file["indptr"], file["indices"], file["data"])
    return Rows(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data.astype(np.float32))


def write(path: Path, rows: Rows) -> None:
    np.savez(path, **vars(rows))


def heaviest(rows: Rows, keep: int) -> Rows:
    """The `keep` heaviest entries of each row."""
    numbers = rows.numbers()
    descending = ~np.ascontiguousarray(rows.data, np.float32).view(np.uint32)  # positive floats have the order of bits
    order = np.argsort(numbers.astype(np.uint64) << np.uint64(32) | descending, kind="stable")
    kept = np.empty(len(order), bool)
    kept[order] = np.arange(len(order)) - rows.indptr[numbers] < keep  # the sort leaves each entry in its row
    return rows.where(kept)
