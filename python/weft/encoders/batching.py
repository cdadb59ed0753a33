"""Texts of unequal length in batches of nearly equal length, and their results back in the order of the texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Lengths = npt.NDArray[np.int64]


def plan(lengths: Lengths, rows: int | None, tokens: int) -> list[npt.NDArray[np.int64]]:
    """Return the positions of the texts of each batch, longest texts first; texts without tokens are in none.

    Parameters
    ----------
    lengths : (n,) int64
        Tokens of each text.
    rows : int, optional
        The most texts in a batch.
    tokens : int
        The most tokens in a batch, padding included; a text longer than that is alone in its batch.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.encoders.batching import plan
    >>> [batch.tolist() for batch in plan(np.array([2, 9, 0, 3, 2]), rows=None, tokens=9)]
    [[1], [3, 0, 4]]
    """
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    batches = []
    start = 0
    while start < len(order):
        fitting = max(1, tokens // int(lengths[order[start]]))
        end = start + (fitting if rows is None else min(rows, fitting))
        batches.append(order[start:end])
        start = end
    return batches


def padded(
    ids: npt.NDArray[np.int32], offsets: Lengths, rows: npt.NDArray[np.int64], pad: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the token ids of some texts as a rectangle, and where it holds tokens: both (rows, longest)."""
    lengths = offsets[rows + 1] - offsets[rows]
    held = np.arange(lengths.max()) < lengths[:, None]
    rectangle = np.full(held.shape, pad, np.int64)
    rectangle[held] = np.concatenate([ids[offsets[row] : offsets[row + 1]] for row in rows])
    return rectangle, held


def in_order(
    rows: int, order: npt.NDArray[np.int64], counts: Lengths, columns: Sequence[npt.NDArray[Any]]
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[Any]]]:
    """Return ragged results in the order of the texts: the offsets of each text, and the columns.

    Parameters
    ----------
    rows : int
        How many texts there are. One that `order` does not name has no results.
    order : (m,) int64
        The text that each run of results belongs to.
    counts : (m,) int64
        The length of each run.
    columns : sequence of arrays of length ``counts.sum()``
        The runs one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.encoders.batching import in_order
    >>> offsets, [column] = in_order(3, np.array([2, 0]), np.array([1, 2]), [np.array([7, 8, 9])])
    >>> offsets.tolist(), column.tolist()
    ([0, 2, 2, 3], [8, 9, 7])
    """
    lengths = np.zeros(rows, np.int64)
    lengths[order] = counts
    starts = np.zeros(rows, np.int64)
    starts[order] = np.cumsum(counts) - counts
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return offsets, [column[source] for column in columns]
