"""What token vectors answer at the edges: before there are any, after training alone, and when time runs out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft

DIM = 16


def both(codec: str = "scalar2") -> weft.Schema:
    return weft.Schema(weft.Sparse(), ids="int", multivector=weft.MultiVector(DIM, codec))


def vectors(count: int, tokens: int, seed: int = 0) -> list[Any]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(tokens, DIM)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("fuse", ["rrf", {"sparse": 2.0, "multivector": 1.0}])
def test_joined_scores_need_no_token_vectors(path: Path, fuse: Any) -> None:
    none = np.zeros((0, DIM), np.float32)
    sparse = [{1: 1.0}, {1: 2.0}, {2: 1.0}]
    index = weft.build(path, ids=[7, 8, 9], sparse=sparse, multivector=[none] * 3, schema=both())
    query = np.ones((2, DIM), np.float32)
    for exact in (False, True):
        hits = index.search(sparse={1: 1.0}, multivector=query, fuse=fuse, exact=exact)
        assert hits.ids[: hits.counts].tolist() == [8, 7]
        assert bool(hits.exact) == exact
    assert index.search(sparse={1: 1.0}, multivector=query).counts == 0
    best = index.search(sparse={1: 1.0}, multivector=query, fuse=fuse, k=1)
    assert best.ids.tolist() == [8]


def test_training_alone_is_committed(path: Path) -> None:
    weft.build(path, ids=[1], sparse=[{1: 1.0}], multivector=[np.zeros((0, DIM))], schema=both())
    with weft.Writer(path) as writer:
        writer.train(vectors(40, 5))
    centroids = weft.open(path).stats()["multivector"]["centroids"]
    with weft.Writer(path) as writer:
        writer.add([2, 3], sparse=[{1: 1.0}] * 2, multivector=vectors(2, 3, seed=1))
    index = weft.open(path)
    assert index.stats()["multivector"]["centroids"] == centroids
    assert index.search(multivector=vectors(1, 3, seed=1)[0], k=1).ids.tolist() == [2]
    weft.verify(path)


def test_training_is_rolled_back(path: Path) -> None:
    with weft.Writer(path, both()) as writer:
        writer.train(vectors(40, 5))
        writer.rollback()
    assert weft.open(path).stats()["multivector"] is None
    assert not list(path.glob("codebook-*"))


@pytest.mark.parametrize("codec", ["scalar2", "pq4+f16"])
def test_a_deadline_keeps_what_is_known(path: Path, codec: str) -> None:
    """However short it is, some documents have been scored, and hits have their full scores."""
    documents = vectors(3000, 12)
    schema = weft.Schema(ids="int", multivector=weft.MultiVector(DIM, codec))
    index = weft.build(path, multivector=documents, schema=schema)
    query = documents[1234][:4]
    for exact in (False, True):
        hits = index.search(multivector=query, exact=exact, deadline_ms=0.001)
        assert hits.counts == 10
        assert not hits.exact
        again = index.rerank(multivector=query, ids=hits.ids)
        assert again.ids.tolist() == hits.ids.tolist()
        assert again.scores.tolist() == hits.scores.tolist()
