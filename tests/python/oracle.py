"""What a search must answer, computed from the definition with NumPy and nothing of the library."""

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

Row = Mapping[int, float]

MAX_WEIGHT = 4.0
WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 4.0]) | st.floats(0, 6, width=32)
ROWS = st.dictionaries(st.integers(0, 12) | st.just(2**40), WEIGHTS, max_size=8)


def impact(weight: float, max_weight: float = MAX_WEIGHT) -> int:
    """Return the stored multiple of ``max_weight / 255``: nearest, ties to even, 1 to 255."""
    if weight == 0:
        return 0
    step = float(np.float32(max_weight)) / 255
    return int(np.clip(np.rint(float(np.float32(weight)) / step), 1, 255))


def query_levels(query: Row, max_weight: float = MAX_WEIGHT) -> tuple[dict[int, int], float]:
    """Return the integer weights of a query, and what one unit of the integer score is worth."""
    weights = {term: float(np.float32(weight)) for term, weight in query.items() if np.float32(weight) > 0}
    if not weights:
        return {}, 0.0
    largest = max(weights.values())
    levels = min(16383, (2**32 - 1) // (255 * len(weights)))
    step = float(np.float32(max_weight)) / 255
    return {term: int(np.rint(weight * levels / largest)) for term, weight in weights.items()}, step * largest / levels


def stored(weight: float, max_weight: float = MAX_WEIGHT) -> float:
    """Return a weight after rounding to 16 bits, in steps of ``max_weight / 255``."""
    step = float(np.float32(max_weight)) / 255
    return float(np.float32(float(np.float16(min(float(np.float32(weight)) / step, 255.0))) * step))


def search_by_weights(
    rows: Sequence[Row], query: Row, k: int, max_weight: float = MAX_WEIGHT, allowed: set[int] | None = None
) -> list[tuple[int, float]]:
    """Return what `search` does, by weights in 16 bits and query weights as they are.

    Scores are sums in ascending order of terms; query terms too light for a level count for nothing.
    """
    levels, _ = query_levels(query, max_weight)
    given = {term: float(np.float32(query[term])) for term, level in levels.items() if level}
    scores = {}
    for position, row in enumerate(rows):
        shared = sorted(term for term, weight in row.items() if np.float32(weight) > 0 and term in given)
        if shared and (allowed is None or position in allowed):
            products = [given[term] * stored(row[term], max_weight) for term in shared]
            scores[position] = float(np.float32(sum(products)))
    best = sorted(scores, key=lambda position: (-scores[position], position))[:k]
    return [(position, scores[position]) for position in best]


def search(
    rows: Sequence[Row], query: Row, k: int, max_weight: float = MAX_WEIGHT, allowed: set[int] | None = None
) -> list[tuple[int, float]]:
    """Return positions and scores of the best k rows: score descending, then position.

    Scores are exact integer sums, converted once to float32; a sum of 0 means no term in common.
    """
    levels, unit = query_levels(query, max_weight)
    sums = [sum(levels.get(term, 0) * impact(weight, max_weight) for term, weight in row.items()) for row in rows]
    real = [position for position in range(len(rows)) if sums[position] and (allowed is None or position in allowed)]
    best = sorted(real, key=lambda position: (-sums[position], position))[:k]
    return [(position, float(np.float32(sums[position] * unit))) for position in best]
