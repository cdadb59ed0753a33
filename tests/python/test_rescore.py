"""Weights in 16 bits beside impacts: what is kept, what it says of itself, and the order it gives."""

from pathlib import Path

import numpy as np
import pytest

import oracle
import weft

RANDOM = np.random.default_rng(0)


def vector(length: int) -> dict[int, float]:
    weights = np.minimum(RANDOM.gamma(2.0, 0.5, length), oracle.MAX_WEIGHT)
    return dict(zip(RANDOM.choice(300, length, replace=False).tolist(), weights.tolist(), strict=True))


ROWS = [vector(40) for _ in range(3000)]
QUERIES = [vector(12) for _ in range(20)]


def build(path: Path, *, rescore: bool) -> weft.Index:
    sparse = weft.Sparse(max_weight=oracle.MAX_WEIGHT, rescore=rescore)
    with weft.Writer(path, weft.Schema(sparse, ids="int")) as writer:
        for first in range(0, 3000, 1000):
            writer.add(range(first, first + 1000), sparse=ROWS[first : first + 1000])
            writer.commit()
    return weft.open(path)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> weft.Index:
    return build(tmp_path_factory.mktemp("rescore") / "index.weft", rescore=True)


def best_by_floats(query: dict[int, float], k: int) -> list[int]:
    scores = [sum(query.get(term, 0.0) * weight for term, weight in row.items()) for row in ROWS]
    return np.argsort(-np.array(scores), kind="stable")[:k].tolist()


def test_the_order_is_nearly_that_of_floats(index: weft.Index, tmp_path: Path) -> None:
    impacts = build(tmp_path / "impacts.weft", rescore=False)
    expected = np.array([best_by_floats(query, 100) for query in QUERIES])
    by_weights, by_impacts = (np.asarray(each.search(sparse=QUERIES, k=100).ids) for each in (index, impacts))
    assert np.mean(by_weights == expected) > 0.95
    assert np.mean(by_impacts == expected) < 0.8


def test_what_is_kept_is_16_bits(index: weft.Index) -> None:
    for document in (0, 1234, 2999):
        kept = index.get(document)["sparse"]
        assert kept == {term: oracle.stored(weight) for term, weight in sorted(ROWS[document].items())}


def test_contributions_add_up_to_the_score(index: weft.Index) -> None:
    query = QUERIES[0]
    hit = index.search(sparse=query, k=1)[0]
    parts = index.explain(hit.id, sparse=query)
    assert {part.term: part.query_weight for part in parts} == {
        term: np.float32(query[term]) for term in query if term in ROWS[hit.id]
    }
    assert sum(part.contribution for part in parts) == pytest.approx(hit.score, rel=1e-6)
    for part in parts:
        assert part.contribution == pytest.approx(part.query_weight * part.document_weight, rel=1e-6)


def test_merging_changes_nothing(tmp_path: Path) -> None:
    index = build(tmp_path / "index.weft", rescore=True)
    before = index.search(sparse=QUERIES, k=50).to_list()
    with weft.Writer(index.path) as writer:
        writer.merge()
    assert index.refresh()
    assert index.stats()["segments"] == 1
    assert index.search(sparse=QUERIES, k=50).to_list() == before
    index.verify()


def test_ties_by_impacts_are_put_in_order(tmp_path: Path) -> None:
    """More documents than are looked at first have one impact; the answer is proven all the same."""
    weights = 1 + np.random.default_rng(1).permutation(2000) * 1e-6
    with weft.Writer(
        tmp_path / "ties.weft", weft.Schema(weft.Sparse(max_weight=1.01, rescore=True), ids="int")
    ) as writer:
        writer.add(range(2000), sparse=[{7: weight} for weight in weights.tolist()])
    hits = weft.open(tmp_path / "ties.weft").search(sparse={7: 1.0}, k=10)
    kept = [oracle.stored(weight, 1.01) for weight in weights.tolist()]
    assert [hit.id for hit in hits] == sorted(range(2000), key=lambda each: (-kept[each], each))[:10]
    assert hits.exact
