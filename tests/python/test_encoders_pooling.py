"""Token pooling against Ward's definition, merged pair by pair."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft
from weft.encoders.pooling import pool

pytest.importorskip("scipy")

Array = np.ndarray[Any, Any]


def ward(vectors: Array, clusters: int) -> list[list[int]]:
    """Merge, again and again, the two clusters whose union adds least to the squared distances from means."""
    held = [[row] for row in range(len(vectors))]

    def added(pair: tuple[int, int]) -> float:
        a, b = held[pair[0]], held[pair[1]]
        gap = vectors[a].mean(axis=0) - vectors[b].mean(axis=0)
        return float(len(a) * len(b) / (len(a) + len(b)) * (gap @ gap))

    while len(held) > clusters:
        a, b = min(combinations(range(len(held)), 2), key=added)
        held[a] += held.pop(b)
    return sorted(sorted(cluster) for cluster in held)


def unit(rng: np.random.Generator, rows: int, dim: int = 6) -> Array:
    vectors = rng.normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 12), max_size=4), st.floats(1, 5), st.integers(0, 2))
def test_means_are_those_of_wards_clusters(seed: int, lengths: list[int], factor: float, protected: int) -> None:
    rng = np.random.default_rng(seed)
    documents = [unit(rng, length) for length in lengths]
    flat = np.concatenate([np.empty((0, 6), np.float16), *documents])
    offsets = np.cumsum([0, *lengths])
    pooled, ends = pool((flat, offsets), factor, protected=protected)
    assert pooled.dtype == np.float16
    assert len(ends) == len(lengths) + 1
    for document, start, end in zip(documents, ends[:-1], ends[1:], strict=True):
        first, rest = document[:protected], document[protected:].astype(np.float64)
        clusters = math.ceil(len(rest) / factor)
        means = [rest[cluster].mean(axis=0) for cluster in ward(rest, clusters)]
        expected = [*first, *(mean / np.linalg.norm(mean) for mean in means)]
        assert end - start == len(first) + clusters
        assert np.allclose(pooled[start:end], np.reshape(expected, (-1, 6)), atol=2e-3)


def test_ties_leave_as_many_clusters() -> None:
    same = np.tile(unit(np.random.default_rng(0), 1), (10, 1))
    flat, offsets = pool((same, np.array([0, 10])), 3, protected=1)
    assert offsets.tolist() == [0, 4]
    assert np.allclose(flat, same[:4], atol=1e-3)


def test_vectors_that_cancel_leave_none() -> None:
    opposite = np.array([[1, 0], [-1, 0]], np.float16)
    flat, _ = pool((opposite, np.array([0, 2])), 2, protected=0)
    assert flat.tolist() == [[0, 0]]


def test_lengths_are_kept_on_demand() -> None:
    flat, _ = pool((np.array([[3, 0], [1, 0]], np.float16), np.array([0, 2])), 2, protected=0, normalize=False)
    assert flat.tolist() == [[2, 0]]


def test_factor_one_changes_nothing() -> None:
    tokens = unit(np.random.default_rng(0), 7), np.array([0, 7])
    assert pool(tokens, 1)[0] is tokens[0]


@pytest.mark.parametrize("factor", [0, 0.99, -1, float("nan"), True, "2"])
def test_other_factors_are_refused(factor: Any) -> None:
    with pytest.raises(weft.InvalidInput, match="pool_factor"):
        pool((np.zeros((1, 2), np.float16), np.array([0, 1])), factor)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.cluster.hierarchy", None)
    with pytest.raises(weft.Error, match="SciPy"):
        pool((np.zeros((1, 2), np.float16), np.array([0, 1])), 2)
