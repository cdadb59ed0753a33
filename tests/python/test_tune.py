"""Tuning keeps knobs that reach the recall asked for, and search takes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from test_search_options import QUERIES, vectors
from weft import tune as tuning

SCHEMA = weft.Schema(weft.Sparse(block_size=8), ids="int")


@pytest.fixture
def index(path: Path) -> weft.Index:
    return weft.build(path, sparse=vectors(3000, 30, seed=0), schema=SCHEMA)


def points_of(index: weft.Index, *points: tuple[int, float, float, float, int]) -> None:
    """Keep these operating points: k, recall, alpha, beta, gamma."""
    with weft.Writer(index.path) as writer:
        writer._core.set_operating_points(points)
    index.refresh()


def test_points_are_measured_and_kept(index: weft.Index) -> None:
    generation = index.generation
    points = index.tune([0.8, 0.99], k=[5, 20], queries=vectors(60, 12, seed=2), seed=3)
    assert [(point.k, point.target_recall) for point in points] == [(5, 0.8), (5, 0.99), (20, 0.8), (20, 0.99)]
    for point in points:
        assert 0 < point.alpha <= 1
        assert 0 < point.beta <= 1
        assert point.gamma >= 0
        assert 0 <= point.recall <= 1
        assert 0 < point.microseconds <= point.exact_microseconds
    assert index.generation == generation + 1
    for reader in (index, weft.open(index.path)):
        for point in points:
            asked = reader.search(sparse=QUERIES, k=point.k, target_recall=point.target_recall)
            knobs: Any = {"alpha": point.alpha, "beta": point.beta, "gamma": point.gamma}
            assert asked.to_list() == reader.search(sparse=QUERIES, k=point.k, **knobs).to_list()


def test_points_stay_through_changes(index: weft.Index) -> None:
    points_of(index, (10, 0.9, 0.5, 1.0, 2))
    with weft.Writer(index.path) as writer:
        writer.add([5000], sparse=[{3: 1.0}])
        writer.commit()
        writer.merge()
    index.refresh()
    assert index.search(sparse=QUERIES, target_recall=0.9).counts.sum() > 0


@pytest.mark.parametrize(
    ("k", "target", "alpha"),
    [(1, 0.85, 0.1), (10, 0.9, 0.1), (10, 0.91, 0.2), (11, 0.5, 0.3), (1000, 0.5, 0.3), (10, 0.97, 1.0)],
)
def test_the_nearest_sufficient_point_is_taken(index: weft.Index, k: int, target: float, alpha: float) -> None:
    points_of(index, (10, 0.9, 0.1, 1.0, 1), (10, 0.95, 0.2, 1.0, 1), (100, 0.9, 0.3, 1.0, 1))
    asked = index.search(sparse=QUERIES, k=k, target_recall=target, plan="block-max")
    meant = index.search(sparse=QUERIES, k=k, alpha=alpha, gamma=1 if alpha < 1 else 0, plan="block-max")
    assert asked.to_list() == meant.to_list()
    assert asked.exact.tolist() == meant.exact.tolist()


def test_a_later_tuning_replaces(index: weft.Index) -> None:
    points_of(index, (10, 0.9, 0.01, 1.0, 1))
    index.tune(0.99, queries=vectors(20, 12, seed=2))
    asked = index.search(sparse=QUERIES, target_recall=0.9)
    assert asked.to_list() == index.search(sparse=QUERIES, target_recall=0.99).to_list()


def test_without_queries_documents_stand_in(index: weft.Index) -> None:
    [point] = index.tune(0.9, samples=20)
    assert point.k == 10


def test_texts(tmp_path: Path) -> None:
    words = [[f"w{each}" for each in row] for row in vectors(300, 12, seed=0)]
    index = weft.build(tmp_path / "texts", text=[" ".join(row) for row in words])
    assert len(index.tune([0.9], queries=[" ".join(row[:3]) for row in words[:20]])) == 1
    assert len(index.tune([0.9], samples=10)) == 1
    assert index.search(text="w1", target_recall=0.9).counts > 0


def test_a_writer_elsewhere_is_respected(index: weft.Index) -> None:
    with weft.Writer(index.path), pytest.raises(weft.Locked):
        index.tune()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        *(("target_recall", {"target_recall": value}) for value in (0, 1, 2, [], None, "0.9", [0.9, 1.0], True)),
        *(("k", {"k": value}) for value in (0, [], None, "10", [10, 0], 1.5)),
        *(("samples", {"samples": value}) for value in (0, 1, None, 2.5)),
        *(("seed", {"seed": value}) for value in (-1, None, "x")),
        *((None, {"queries": value}) for value in ([], [{1: 1.0}], "red", 5, [{1: -1.0}, {2: 1.0}], [{"a": 1.0}] * 2)),
        (None, {"queries": (np.array([0, 5, 2]), np.array([1, 2]), np.array([1.0, 2.0]))}),
    ],
)
def test_wrong_arguments_change_nothing(index: weft.Index, words: str | None, arguments: dict[str, Any]) -> None:
    generation = index.generation
    with pytest.raises((weft.InvalidInput, weft.SchemaMismatch), match=words):
        index.tune(**arguments)
    assert not index.refresh()
    assert index.generation == generation


@pytest.mark.parametrize("rows", [[], [{1: 1.0}], [{}, {}]])
def test_too_few_documents(path: Path, rows: list[dict[int, float]]) -> None:
    with pytest.raises(weft.InvalidInput, match="queries="):
        weft.build(path, sparse=rows).tune()


def test_an_index_of_attributes_has_no_search_to_tune(path: Path) -> None:
    with pytest.raises(weft.SchemaMismatch):
        weft.build(path, ids=["a"], attributes={"year": [1]}).tune()


class Measured:
    """A bench whose recall and time follow from the knobs."""

    def __init__(self, gammas: list[int]) -> None:
        self.gammas = gammas
        self.tried: list[tuple[float, float, int]] = []

    def trial(self, knobs: Any, passes: int = 1) -> Any:
        self.tried.append(tuple(knobs))
        visited = knobs.alpha * (1 - 1 / (knobs.gamma + 1) if knobs.gamma else 1)
        return tuning._Trial(knobs, visited * knobs.beta**0.1, visited + knobs.beta)


def test_the_staircase_finds_what_the_whole_grid_holds() -> None:
    gammas = [0, 64, 32, 16, 8, 4, 2, 1]
    for target in (0.3, 0.6, 0.75, 0.9, 0.97, 1.0):
        bench = Measured(gammas)
        reaching = [trial for trial in tuning._frontier(bench, target) if trial.recall >= target]  # type: ignore[arg-type]
        assert len(bench.tried) <= len(tuning.BETAS) * (len(tuning.ALPHAS) + len(gammas))
        grid = [
            Measured(gammas).trial(tuning._Knobs(alpha, beta, gamma))
            for alpha in tuning.ALPHAS
            for beta in tuning.BETAS
            for gamma in gammas
        ]
        fastest = min(trial.seconds for trial in grid if trial.recall >= target)
        assert min(trial.seconds for trial in reaching) == fastest
