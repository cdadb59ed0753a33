"""MaxSim of arrays: exact, in every form that documents take, on any number of threads."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import token_oracle
import weft
from test_multivector import DIMS, NAN, ROWS
from token_oracle import DOCUMENTS, QUERIES, collection, padded, peculiar, question


@given(DOCUMENTS, st.sampled_from([*DIMS, 5, 1]), QUERIES, st.integers(0, 99), st.sampled_from(["f2", "f4"]))
def test_maxsim_equals_the_definition(
    kinds: list[str], dim: int, query: tuple[int, set[int]], seed: int, dtype: str
) -> None:
    documents, rows = peculiar([*kinds, "usual"], dim, seed), padded(query, dim, seed)
    held = [tokens.astype(dtype) for tokens in documents]
    scores = weft.maxsim(rows, held)
    assert (scores.dtype, scores.shape) == (np.float32, (len(held),))
    if rows.any():
        assert (scores == token_oracle.maxsim(rows, documents)).all()
    flat, offsets = np.concatenate(held), np.cumsum([0, *map(len, held)])
    for threads in (0, 1, 2, 8):
        assert (weft.maxsim(rows, (flat, offsets), num_threads=threads) == scores).all()
    batch = weft.maxsim([rows, rows], held)
    assert (batch == scores).all()
    assert batch.shape == (2, len(held))


def test_maxsim_of_float32_does_not_round() -> None:
    documents = [question(3, 16, seed=seed) + np.float32(1e-5) for seed in range(9)]
    query = question(4, 16)
    exact = token_oracle.maxsim(query, documents)
    flat, offsets = np.concatenate(documents), np.cumsum([0, *map(len, documents)])
    assert (weft.maxsim(query, (flat, offsets)) == exact).all()
    assert (weft.maxsim(query, documents) == exact).all()


def test_maxsim_equals_numpy() -> None:
    documents = [tokens for tokens in collection(50, 128) if len(tokens)]
    query = question(32, 128)
    exact = [(query.astype(np.float64) @ tokens.T.astype(np.float64)).max(1).sum() for tokens in documents]
    assert weft.maxsim(query, documents) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("bad", [np.full((1, 16), NAN), np.ones((1, 8)), np.ones((2, 16), int), "text", None])
def test_maxsim_refuses_what_search_refuses(bad: Any) -> None:
    with pytest.raises(weft.InvalidInput):
        weft.maxsim(ROWS, [bad])
    with pytest.raises(weft.InvalidInput):
        weft.maxsim(bad, [ROWS])
