"""The answer of a search, and what can be made of it."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft

INF = float("inf")


def batch(*queries: list[tuple[Any, float]], width: int = 3) -> weft.Hits:
    integers = any(isinstance(name, int) for hits in queries for name, _ in hits)
    ids = np.full((len(queries), width), -1 if integers else None, np.int64 if integers else object)
    scores = np.full((len(queries), width), -INF, np.float32)
    for row, hits in enumerate(queries):
        for column, (name, score) in enumerate(hits):
            ids[row, column], scores[row, column] = name, score
    return made(ids, scores, [len(hits) for hits in queries])


def made(ids: Any, scores: Any, counts: list[int]) -> weft.Hits:
    """Return hits that leave nothing out."""
    return weft.Hits(ids, scores, np.array(counts), np.ones(len(counts), bool), np.zeros(len(counts), np.float32))


def alone(*hits: tuple[Any, float], width: int = 3) -> weft.Hits:
    first: weft.Hits = batch(list(hits), width=width)[0]
    return first


TWO = batch([("a", 2.0), ("b", 1.5)], [])
ONE = alone((7, 2.0), (9, 1.0))


def test_a_batch_holds_queries() -> None:
    assert (len(TWO), TWO.single) == (2, False)
    assert [len(hits) for hits in TWO] == [2, 0]
    assert TWO[0].ids.shape == (3,)
    assert TWO[-1].to_list() == []
    assert TWO.to_list() == [[{"id": "a", "score": 2.0}, {"id": "b", "score": 1.5}], []]
    with pytest.raises(IndexError):
        TWO[2]


def test_a_single_query_holds_hits() -> None:
    assert (len(ONE), ONE.single, ONE.counts.shape) == (2, True, ())
    assert list(ONE) == [weft.Hit(7, 2.0), weft.Hit(9, 1.0)]
    assert type(ONE[0].id) is int
    assert ONE.to_list() == [{"id": 7, "score": 2.0}, {"id": 9, "score": 1.0}]
    with pytest.raises(IndexError):
        ONE[2]


@pytest.mark.parametrize("hits", [TWO, ONE, batch(), alone()])
def test_tables(hits: weft.Hits) -> None:
    pytest.importorskip("pyarrow")
    table = hits.to_arrow()
    assert table.column_names == ["query", "rank", "id", "score"]
    queries = [hits] if hits.single else list(hits)
    expected = [(q, r, *hit) for q, each in enumerate(queries) for r, hit in enumerate(each, start=1)]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    frame = hits.to_pandas()
    assert list(frame.itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize(("name", "library"), [("to_arrow", "pyarrow"), ("to_pandas", "pandas")])
def test_a_missing_library_is_named(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(weft.Error, match=f"{library}: pip install"):
        getattr(ONE, name)()


def test_trec_runs() -> None:
    assert TWO.to_trec("mine", ["q1", "q2"]) == "q1 Q0 a 1 2.0 mine\nq1 Q0 b 2 1.5 mine\n"
    assert ONE.to_trec() == "0 Q0 7 1 2.0 weft\n0 Q0 9 2 1.0 weft\n"
    assert TWO.to_trec(query_ids=np.array([5, 6])).startswith("5 Q0 a")


def test_html_is_escaped() -> None:
    page = alone(("<script>", 1.0))._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<th>query</th>" not in page
    assert "<th>query</th>" in TWO._repr_html_()


def test_representations() -> None:
    assert repr(TWO) == "<weft.Hits: 2 queries, 2 hits>"
    assert repr(ONE) == "<weft.Hits: 2 hits; best 7 2>"
    assert repr(alone()) == "<weft.Hits: 0 hits>"
    doubted = replace(TWO, exact=np.array([True, False]))
    assert repr(doubted) == "<weft.Hits: 2 queries, 2 hits, 1 queries not proven exact>"
    assert repr(doubted[1]) == "<weft.Hits: 0 hits, not proven exact>"


def test_hits_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(TWO))
    assert copy.to_list() == TWO.to_list()


SCORES = st.lists(st.sampled_from([4.0, 3.0, 2.5, 1.0, 0.5]), max_size=4).map(lambda s: sorted(s, reverse=True))


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=4), st.integers(1, 12))
def test_merging_equals_sorting_everything(shards: list[tuple[list[float], list[float]]], k: int) -> None:
    parts = [
        batch(*([(f"{s}-{q}-{r}", score) for r, score in enumerate(scores)] for q, scores in enumerate(both)), width=4)
        for s, both in enumerate(shards)
    ]
    merged = weft.Hits.merge(parts, k)
    for query in range(2):
        everything = [hit for part in parts for hit in part[query]]
        assert list(merged[query]) == sorted(everything, key=lambda hit: -hit.score)[:k]


def test_merging_single_queries() -> None:
    merged = weft.Hits.merge([alone((1, 2.0)), alone((2, 3.0), (3, 2.0))], k=2)
    assert list(merged) == [weft.Hit(2, 3.0), weft.Hit(1, 2.0)]
    assert merged.ids.shape == (2,)
    assert merged.exact
    assert merged.bound == 2.0


def test_merged_hits_are_exact_when_the_parts_reach_deep_enough() -> None:
    one = replace(alone((1, 4.0), (2, 3.0), width=2), bound=np.array(3.0, np.float32))
    two = alone((3, 3.5), (4, 1.0), width=2)
    for k, exact, bound in [(1, True, 3.5), (3, True, 3.0), (4, False, 3.0), (9, False, 3.0)]:
        merged = weft.Hits.merge([one, two], k)
        assert (bool(merged.exact), float(merged.bound)) == (exact, bound)
    doubted = replace(two, exact=np.array(False))
    assert not weft.Hits.merge([one, doubted], 1).exact


@given(st.lists(st.lists(SCORES, min_size=1, max_size=1), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 9))
def test_merged_bounds_hold(shards: list[list[list[float]]], depth: int, k: int) -> None:
    """Each shard answers with its best `depth` documents."""
    parts, everything = [], []
    for shard, [scores] in enumerate(shards):
        everything += [(f"{shard}-{rank}", score) for rank, score in enumerate(scores)]
        kept = [(f"{shard}-{rank}", score) for rank, score in enumerate(scores[:depth])]
        last = scores[depth - 1] if len(scores) >= depth else 0.0
        parts.append(replace(alone(*kept, width=depth), bound=np.array(last, np.float32)))
    merged = weft.Hits.merge(parts, k)
    found = {hit.id for hit in merged}
    assert merged.bound >= max((score for name, score in everything if name not in found), default=0.0)
    if merged.exact:
        best = sorted((score for _, score in everything), reverse=True)[:k]
        assert [hit.score for hit in merged] == best
