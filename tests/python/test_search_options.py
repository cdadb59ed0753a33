"""However a search is asked for: exact ways agree, and approximate ones say truly what they left out."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
import weft

PLANS: list[Any] = ["exhaustive", "block-max", "rows", None]
TERMS = 200
NAN, INF = float("nan"), float("inf")


def vectors(count: int, length: int, seed: int) -> list[dict[int, float]]:
    """Return rows of random terms, some far more frequent than others."""
    generator = np.random.default_rng(seed)
    terms = (TERMS * generator.random((count, length)) ** 2).astype(np.int64)
    weights = generator.gamma(1.0, 1.0, (count, length))
    return [dict(zip(t, w, strict=True)) for t, w in zip(terms.tolist(), weights.tolist(), strict=True)]


QUERIES = vectors(20, 12, seed=1)


@pytest.fixture(scope="module", params=[False, True], ids=["impacts", "weights"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> weft.Index:
    """Return three segments with deletions and small blocks; scores are by impacts or by weights."""
    path = tmp_path_factory.mktemp("options") / "index.weft"
    rows = vectors(6000, 30, seed=0)
    sparse = weft.Sparse(block_size=8, rescore=request.param)
    with weft.Writer(path, weft.Schema(sparse, {"year": "int64"}, "int")) as writer:
        for first in range(0, 6000, 2000):
            ids = range(first, first + 2000)
            writer.add(ids, sparse=rows[first : first + 2000], attributes={"year": [each % 50 for each in ids]})
            writer.commit()
        writer.delete(range(0, 6000, 7))
    return weft.open(path)


def ranking(index: weft.Index, query: Any, **filters: Any) -> list[weft.Hit]:
    """Return every match, from the definition of search."""
    return list(index.search(sparse=query, k=len(index), plan="exhaustive", **filters))


def assert_true(hits: weft.Hits, ranked: list[weft.Hit], k: int) -> None:
    """Check what the hits of one query say of themselves against every match."""
    scores = dict(ranked)
    assert [scores[hit.id] for hit in hits] == [hit.score for hit in hits]
    assert len({hit.id for hit in hits}) == len(hits) <= k
    missed = scores.keys() - {hit.id for hit in hits}
    assert hits.bound >= max((scores[each] for each in missed), default=0.0)
    if hits.exact:
        assert list(hits) == ranked[:k]


@pytest.mark.parametrize("k", [1, 10, 6000])
@pytest.mark.parametrize("where", [None, "year = 3", "year >= 5"])
def test_all_plans_agree(index: weft.Index, k: int, where: str | None) -> None:
    answers = [index.search(sparse=QUERIES, k=k, where=where, plan=plan) for plan in PLANS]
    for hits in answers:
        assert hits.exact.all()
        assert hits.to_list() == answers[0].to_list()
    for query, hits in zip(QUERIES, answers[0], strict=True):
        assert_true(hits, ranking(index, query, where=where), k)


@given(
    st.lists(oracle.ROWS, max_size=40),
    oracle.ROWS,
    st.integers(1, 12),
    st.sets(st.integers(0, 39)),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.booleans(),
)
def test_all_plans_equal_the_definition(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[oracle.Row],
    query: oracle.Row,
    k: int,
    deleted: set[int],
    block_size: int,
    reorder: bool,
    rescore: bool,
) -> None:
    path = tmp_path_factory.mktemp("plans") / "index.weft"
    sparse = weft.Sparse(max_weight=oracle.MAX_WEIGHT, block_size=block_size, reorder=reorder, rescore=rescore)
    with weft.Writer(path, weft.Schema(sparse, ids="int")) as writer:
        writer.add(range(len(rows)), sparse=rows)
        writer.commit()
        writer.delete(deleted)
    index = weft.open(path)
    define = oracle.search_by_weights if rescore else oracle.search
    expected = define(rows, query, k, allowed=set(range(len(rows))) - deleted)
    for plan in PLANS:
        assert [tuple(hit) for hit in index.search(sparse=query, k=k, plan=plan)] == expected


@pytest.mark.parametrize("k", [1, 10, 100])
def test_knobs_tell_the_truth(index: weft.Index, k: int) -> None:
    doubted = dict.fromkeys(["alpha", "beta", "gamma"], 0)
    ranked = [ranking(index, query) for query in QUERIES]
    for alpha, beta, gamma in itertools.product((0.3, 0.8, 1.0), (0.2, 0.6, 1.0), (0, 1, 5, 10**9)):
        batch = index.search(sparse=QUERIES, k=k, alpha=alpha, beta=beta, gamma=gamma, plan="block-max")
        for hits, expected in zip(batch, ranked, strict=True):
            assert_true(hits, expected, k)
        given_up = {"alpha": alpha < 1, "beta": beta < 1, "gamma": gamma in (1, 5)}
        if sum(given_up.values()) == 1:
            doubted[next(name for name, value in given_up.items() if value)] += np.count_nonzero(~batch.exact)
        elif not any(given_up.values()):
            assert batch.exact.all()
    assert doubted["alpha"] > 0
    assert doubted["gamma"] > 0


def test_no_limit_is_none_or_0(index: weft.Index) -> None:
    answers = [index.search(sparse=QUERIES, gamma=gamma, plan="block-max") for gamma in (0, None)]
    assert answers[0].to_list() == answers[1].to_list()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("where", [None, "year = 3"])
def test_min_score_cuts_the_ranking(index: weft.Index, plan: Any, where: str | None) -> None:
    for query in QUERIES[:5]:
        ranked = ranking(index, query, where=where)
        for least in (-1.0, 0.0, ranked[4].score, ranked[-1].score, ranked[0].score + 1):
            hits = index.search(sparse=query, k=10, min_score=least, plan=plan, where=where)
            assert list(hits) == [hit for hit in ranked[:10] if hit.score >= least]
            assert hits.exact


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("deadline_ms", [1e-30, 1e-3, 0.05, 0.5, 86_400_000])
def test_a_deadline_is_no_error(index: weft.Index, plan: Any, deadline_ms: float) -> None:
    batch = index.search(sparse=QUERIES, deadline_ms=deadline_ms, plan=plan)
    for query, hits in zip(QUERIES, batch, strict=True):
        assert_true(hits, ranking(index, query), 10)
        assert_true(index.search(sparse=query, deadline_ms=deadline_ms, plan=plan), ranking(index, query), 10)
    if deadline_ms > 1000:
        assert batch.exact.all()


def test_shapes(index: weft.Index) -> None:
    batch = index.search(sparse=QUERIES, k=3, gamma=1)
    assert (batch.exact.shape, batch.exact.dtype, batch.bound.shape, batch.bound.dtype) == ((20,), bool, (20,), "f4")
    single = index.search(sparse=QUERIES[0], k=3, gamma=1)
    assert (single.exact.shape, single.bound.shape) == ((), ())
    assert (single.exact, single.bound) == (batch.exact[0], batch.bound[0])
    assert index.search(sparse=[]).exact.shape == (0,)


def test_nothing_to_find_is_exact(path: Path) -> None:
    empty = weft.build(path, sparse=[])
    assert empty.search(sparse={1: 1.0}).exact
    assert empty.search(sparse={1: 1.0}).bound == 0


def test_texts_take_the_same_options(tmp_path: Path) -> None:
    texts = weft.TextIndex(tmp_path / "texts")
    texts.add([{"id": each, "text": "fox " * (each + 1) + "hen " * (5 - each)} for each in range(5)])
    best = texts.search("fox", k=2)
    assert texts.search("fox", min_score=float(best.scores[0])).ids[:2].tolist() == [best[0].id, None]
    options: Any = {"num_threads": 1, "alpha": 0.9, "beta": 0.5, "gamma": 3, "deadline_ms": 1000, "plan": "block-max"}
    assert texts.search("fox", k=2, **options).ids.tolist() == best.ids.tolist()
    with pytest.raises(weft.InvalidInput, match="tune"):
        texts.search("fox", target_recall=0.9)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("alpha", [0, -0.5, 1.5, NAN, INF, "1", None, True, 1j, [1.0], np.ones(2), 10**400]),
        ("beta", [0, -0.5, 1.5, NAN, INF, "1", None, True, 1j]),
        ("gamma", [-1, 1.5, "1", True, 2**63, np.ones(2)]),
        ("target_recall", [0, 1, -1, 1.5, NAN, "0.9", True]),
        ("min_score", [NAN, INF, -INF, 1e39, 10**400, "1", True]),
        ("deadline_ms", [0, -1, NAN, INF, 1e39, 86_400_001, "1", True]),
        ("plan", ["", "Rows", "block_max", 1, True, ["rows"], np.ones(2)]),
    ],
)
def test_wrong_options_are_named(index: weft.Index, name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(weft.InvalidInput, match=name) as raised:
            index.search(sparse=QUERIES[0], **{name: value})
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("knob", [{"alpha": 0.9}, {"beta": 0.9}, {"gamma": 1}])
def test_a_target_stands_alone(index: weft.Index, knob: dict[str, Any]) -> None:
    with pytest.raises(weft.InvalidInput, match="without them"):
        index.search(sparse=QUERIES[0], target_recall=0.9, **knob)


def test_a_target_needs_tuning(index: weft.Index) -> None:
    with pytest.raises(weft.InvalidInput, match="tune"):
        index.search(sparse=QUERIES[0], target_recall=0.9)


def test_numbers_of_any_kind_will_do(index: weft.Index) -> None:
    options: dict[str, Any] = {"alpha": 1, "beta": np.float32(1), "gamma": np.int8(0), "min_score": np.float64(0)}
    expected = index.search(sparse=QUERIES).to_list()
    assert index.search(sparse=QUERIES, deadline_ms=np.int64(60_000), **options).to_list() == expected
