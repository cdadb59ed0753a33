"""Tuning keeps efforts that reach the recall asked for by token vectors, and search takes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from test_multivector import Tokens, collection, schema
from weft import tune_late as tuning
from weft.tune import WORTH, Effort, Trial

DIM = 16
DOCUMENTS = collection(3000, DIM, seed=0)
QUERIES = [tokens.astype(np.float32) for tokens in collection(40, DIM, seed=1, most=6) if len(tokens)]
"""Not like any document, and of several lengths."""


@pytest.fixture
def index(path: Path) -> weft.Index:
    """Return an index of so many tokens that search is not exact by itself."""
    return weft.build(path, multivector=DOCUMENTS, schema=schema(DIM, "scalar2", centroids=64))


@pytest.fixture
def small(path: Path) -> weft.Index:
    return weft.build(path, multivector=DOCUMENTS[:50], schema=schema(DIM, "scalar2"))


@pytest.fixture
def both(path: Path) -> weft.Index:
    """Return an index of sparse and token vectors."""
    return weft.build(
        path,
        sparse=[{1: 1.0, 2 + row % 20: 0.5} for row in range(50)],
        multivector=DOCUMENTS[:50],
        schema=schema(DIM, "scalar2", sparse=weft.Sparse()),
    )


def points_of(index: weft.Index, *points: tuple[int, float, int, int]) -> None:
    """Keep these points: k, recall, probes, candidates."""
    with weft.Writer(index.path) as writer:
        writer._core.set_effort_points(points)
    index.refresh()


def recall(index: weft.Index, queries: list[Tokens], k: int, **effort: Any) -> float:
    """Return the mean share of the exact best k that is found."""
    exact = index.search(multivector=queries, k=k, exact=True)
    found = index.search(multivector=queries, k=k, **effort)
    each = zip(exact, found, strict=True)
    return float(np.mean([np.mean(ours.scores[: len(best)] >= best.scores[len(best) - 1]) for best, ours in each]))


def test_points_are_measured_and_kept(index: weft.Index) -> None:
    generation = index.generation
    points: Any = index.tune([0.8, 0.99], k=[5, 20], queries=QUERIES, seed=3)
    assert [(point.k, point.target_recall) for point in points] == [(5, 0.8), (5, 0.99), (20, 0.8), (20, 0.99)]
    order = np.random.default_rng(3).permutation(len(QUERIES)).tolist()
    half = (len(order) + 1) // 2
    effort: Any
    for point in points:
        assert isinstance(point, weft.EffortPoint)
        assert 0 < point.microseconds <= point.exact_microseconds
        effort = {"probes": point.probes, "candidates": point.candidates}
        chosen, held_out = ([QUERIES[each] for each in part] for part in (order[:half], order[half:]))
        assert recall(index, chosen, point.k, **effort) >= point.target_recall - 1e-9
        assert recall(index, held_out, point.k, **effort) == pytest.approx(point.recall)
    assert index.generation == generation + 1
    for reader in (index, weft.open(index.path)):
        for point in points:
            asked = reader.search(multivector=QUERIES, k=point.k, target_recall=point.target_recall)
            effort = {"probes": point.probes, "candidates": point.candidates}
            assert asked.to_list() == reader.search(multivector=QUERIES, k=point.k, **effort).to_list()


def test_points_stay_through_changes(index: weft.Index) -> None:
    points_of(index, (10, 0.9, 1, 20))
    with weft.Writer(index.path) as writer:
        writer.add([5000], multivector=[DOCUMENTS[1]])
        writer.commit()
        writer.merge()
    index.refresh()
    asked = index.search(multivector=QUERIES, target_recall=0.9)
    assert asked.to_list() == index.search(multivector=QUERIES, probes=1, candidates=20).to_list()


@pytest.mark.parametrize(
    ("k", "target", "probes"),
    [(1, 0.85, 1), (10, 0.9, 1), (10, 0.91, 2), (11, 0.5, 3), (1000, 0.5, 3), (10, 0.97, None)],
)
def test_the_nearest_sufficient_point_is_taken(index: weft.Index, k: int, target: float, probes: int | None) -> None:
    points_of(index, (10, 0.9, 1, 30), (10, 0.95, 2, 30), (100, 0.9, 3, 30))
    asked = index.search(multivector=QUERIES, k=k, target_recall=target)
    effort: dict[str, Any] = {"exact": True} if probes is None else {"probes": probes, "candidates": 30}
    meant = index.search(multivector=QUERIES, k=k, **effort)
    assert asked.to_list() == meant.to_list()
    assert asked.exact.tolist() == meant.exact.tolist()


def test_without_points_there_is_no_recall_to_ask_for(both: weft.Index) -> None:
    assert isinstance(both.tune(0.9)[0], weft.OperatingPoint)
    assert both.search(sparse={1: 1.0}, target_recall=0.9).counts > 0
    with pytest.raises(weft.InvalidInput, match="tune"):
        both.search(multivector=QUERIES[0], target_recall=0.9)


def test_each_kind_of_search_keeps_its_points(both: weft.Index) -> None:
    assert isinstance(both.tune(0.9, multivector=QUERIES)[0], weft.EffortPoint)
    with pytest.raises(weft.InvalidInput, match="tune"):
        both.search(sparse={1: 1.0}, target_recall=0.9)
    both.tune(0.8, queries=[{1: 1.0}, {2: 1.0}])
    both.tune(0.95, multivector=QUERIES)
    assert both.search(sparse={1: 1.0}, target_recall=0.8).counts > 0
    assert (both.search(multivector=QUERIES, target_recall=0.95).counts > 0).all()


def test_one_kind_of_search_is_tuned_at_a_time(both: weft.Index) -> None:
    with pytest.raises(weft.InvalidInput, match="both"):
        both.tune(queries=[{1: 1.0}, {2: 1.0}], multivector=QUERIES)


def test_a_later_tuning_replaces(small: weft.Index) -> None:
    points_of(small, (10, 0.9, 1, 1))
    point: Any
    [point] = small.tune(0.99, queries=QUERIES)
    asked = small.search(multivector=QUERIES, target_recall=0.9)
    effort: Any = {"probes": point.probes, "candidates": point.candidates}
    assert asked.to_list() == small.search(multivector=QUERIES, **effort).to_list()


def test_all_forms_of_queries_are_one(small: weft.Index) -> None:
    queries = np.stack([tokens[:1] for tokens in QUERIES])
    flat, offsets = queries[:, 0], np.arange(len(queries) + 1)
    chosen = [
        tuning._sample(small, DIM, form, 10, np.random.default_rng(0))
        for form in (queries, list(queries), (flat, offsets))
    ]
    for sample in chosen:
        assert len(sample) == 10
        for query, same in zip(sample, chosen[0], strict=True):
            assert (query["multivector"] == same["multivector"]).all()
    for form in (queries, (flat, offsets)):
        assert len(small.tune(0.9, queries=form)) == len(small.tune(0.9, multivector=form)) == 1


def test_queries_keep_their_tokens(small: weft.Index) -> None:
    """Also those that have none, which find nothing and so miss nothing."""
    given = [*QUERIES, QUERIES[0][:0], np.zeros_like(QUERIES[0])]
    sample = tuning._sample(small, DIM, given, 256, np.random.default_rng(1))
    order = np.random.default_rng(1).permutation(len(given)).tolist()
    for query, position in zip(sample, order, strict=True):
        assert np.array_equal(query["multivector"], given[position])
    [point] = small.tune(0.9, queries=[given[-1], given[-2]])
    assert point.recall == 1.0


def test_without_queries_documents_stand_in(path: Path) -> None:
    documents = [np.tile(tokens, (9, 1)) for tokens in DOCUMENTS[:20]]
    index = weft.build(path, multivector=documents, schema=schema(DIM, "f16"))
    queries = tuning._pseudo_queries(index, 15, np.random.default_rng(0))
    assert 2 <= len(queries) <= 15
    for query in queries:
        tokens = query["multivector"].tolist()
        assert any(len(tokens) == min(len(each), 32) and all(t in each.tolist() for t in tokens) for each in documents)
    [point] = index.tune(0.9, samples=15)
    assert point.k == 10


def test_exact_search_of_few_documents_is_kept(path: Path) -> None:
    """They are no more than the fewest candidates."""
    index = weft.build(path, multivector=DOCUMENTS[:16], schema=schema(DIM, "pq4"))
    points: Any = index.tune([0.5, 0.99], k=[1, 100], queries=QUERIES)
    for point in points:
        assert point.candidates == 16
        assert point.recall == 1.0
        assert point.microseconds == point.exact_microseconds


def test_a_writer_elsewhere_is_respected(small: weft.Index) -> None:
    with weft.Writer(small.path), pytest.raises(weft.Locked):
        small.tune()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        *(("target_recall", {"target_recall": value}) for value in (0, 1, [], None, "0.9", [0.9, 1.0])),
        *(("k", {"k": value}) for value in (0, [], None, [10, 0])),
        *(("samples", {"samples": value}) for value in (0, 1, None, 2.5)),
        *(("seed", {"seed": value}) for value in (-1, None, "x")),
        *(
            ("at least 2", {name: value})
            for name in ("queries", "multivector")
            for value in ([], QUERIES[0], QUERIES[:1])
        ),
        *(
            (None, {"queries": value})
            for value in ("red", 5, [{1: 1.0}] * 2, [QUERIES[0][:, :8]] * 2, [[0.1] * DIM] * 2)
        ),
        ("row 1, token 0", {"queries": [QUERIES[0], QUERIES[1] * np.float32(np.nan)]}),
        ("query 1", {"queries": [QUERIES[0], np.ones((4097, DIM), np.float32)]}),
        ("offsets", {"queries": (QUERIES[0], np.array([0, 5, 2]))}),
    ],
)
def test_wrong_arguments_change_nothing(small: weft.Index, words: str | None, arguments: dict[str, Any]) -> None:
    generation = small.generation
    with pytest.raises(weft.InvalidInput, match=words):
        small.tune(**arguments)
    assert not small.refresh()
    assert small.generation == generation


@pytest.mark.parametrize("documents", [[], DOCUMENTS[1:2], [DOCUMENTS[1][:0]] * 3])
def test_too_few_documents(path: Path, documents: list[Tokens]) -> None:
    index = weft.build(path, multivector=documents, schema=schema(DIM, "pq4"))
    with pytest.raises(weft.InvalidInput, match="queries="):
        index.tune()
    assert index.tune(queries=QUERIES)[0].recall == 1.0
    assert len(index.search(multivector=QUERIES, target_recall=0.9)) == len(QUERIES)


@pytest.mark.parametrize(
    "rows", [{"sparse": [{1: 1.0}, {2: 1.0}]}, {"attributes": {"year": [1, 2]}, "ids": ["a", "b"]}]
)
def test_an_index_without_token_vectors(path: Path, rows: dict[str, Any]) -> None:
    with pytest.raises(weft.SchemaMismatch, match="token vectors"):
        weft.build(path, **rows).tune(multivector=QUERIES)


# Which efforts are tried.


class Measured:
    """A bench whose recall and time follow from the effort."""

    def __init__(self, documents: int, most: float = 1.0, gathering: float = 1e-5) -> None:
        self.probes, self.candidates = tuning.PROBES, tuning._growing(16, documents)
        self.exact = Trial(Effort(64, documents), 1.0, documents * 1e-5)
        self.tried: set[Effort] = set()
        self._most, self._gathering = most, gathering

    def first_trial(self, effort: Any) -> Any:
        self.tried.add(effort)
        found = self._most * (1 - 0.6 ** (effort.probes**0.5 + 1)) * (1 - 0.99**effort.candidates)
        return Trial(effort, found, self._gathering * effort.probes + 1e-5 * effort.candidates)


@pytest.mark.parametrize("gathering", [1e-7, 1e-5, 1e-3])
@pytest.mark.parametrize("target", [0.3, 0.6, 0.75, 0.9, 0.97, 0.99])
def test_the_staircase_finds_what_the_whole_grid_holds(target: float, gathering: float) -> None:
    bench = Measured(10_000, gathering=gathering)
    trials = list(tuning._frontier(bench, target))  # type: ignore[arg-type]
    assert len(trials) == len(bench.tried) <= len(tuning.PROBES) + len(bench.candidates)
    efforts = [Effort(probes, count) for probes in tuning.PROBES for count in bench.candidates]
    grid = [trial for trial in map(bench.first_trial, efforts) if trial.recall >= target]
    saved = WORTH * bench.exact.seconds
    fastest = min((trial.seconds for trial in grid if trial.seconds < saved), default=None)
    assert min((trial.seconds for trial in trials if trial.recall >= target), default=None) == fastest


def test_no_more_is_tried_than_exact_search_takes() -> None:
    bench = Measured(10**6, most=0.5)
    trials = list(tuning._frontier(bench, 0.9))  # type: ignore[arg-type]
    assert all(trial.recall < 0.9 for trial in trials)
    assert (
        sum(trial.seconds for trial in trials)
        < (1 / (1 - 1 / tuning.GROWTH) + len(tuning.PROBES)) * bench.exact.seconds
    )


def test_an_effort_is_tried_once(small: weft.Index) -> None:
    sample = tuning._sample(small, DIM, QUERIES, 10, np.random.default_rng(0))
    bench = tuning._Bench(small, sample, 10, tuning._exact(small, sample, 20, None), 1.0)
    assert bench.first_trial(Effort(1, 16)) is bench.first_trial(Effort(1, 16))


@pytest.mark.parametrize(("least", "documents"), [(16, 0), (16, 16), (16, 17), (16, 10**6), (5000, 5001), (100, 10)])
def test_candidates_grow(least: int, documents: int) -> None:
    found = tuning._growing(least, documents)
    assert found[:1] == ([least] if least < documents else [])
    for count, after in zip(found, [*found[1:], documents], strict=False):
        assert count < after <= 1.6 * count
