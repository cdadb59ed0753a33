"""Encodings laid out as other implementations do, against a plain definition of each."""

from typing import Any

import numpy as np
import pytest

import fde_oracle
from fde_oracle import Array, Oracle, clear
from test_fde import assert_near, document
from weft import Fde, FdeEncoder

DIM = 24


def documents() -> list[Array]:
    """Return 20 documents of 1 to 200 tokens, some of them twice."""
    sizes = [1, 2, 3, 200, *np.random.default_rng(0).integers(1, 60, 16).tolist()]
    return [document("duplicates" if size % 3 == 0 else "usual", size, DIM, size) for size in sizes]


@pytest.mark.parametrize("bits", [0, 1, 3, 5])
@pytest.mark.parametrize("projection", [5, DIM])
def test_google(bits: int, projection: int) -> None:
    repetitions = 4
    hyperplanes = np.random.default_rng(1).standard_normal((repetitions, bits, DIM)).astype(np.float32)
    rows = fde_oracle.count_sketch(repetitions, projection, DIM)
    if projection == DIM:
        rows = np.tile(np.eye(DIM), (repetitions, 1, 1))
    encoder = FdeEncoder(
        Fde(repetitions, bits, projection, "google"), DIM, rows=(hyperplanes.reshape(-1, DIM), rows.reshape(-1, DIM))
    )
    oracle = Oracle(hyperplanes, rows, is_gray=True)
    for each in documents():
        tokens = clear(each, hyperplanes)
        assert_near(encoder.encode_document([tokens])[0], oracle.document(tokens))
        assert_near(encoder.encode_query(tokens), oracle.query(tokens))


def test_cells_are_numbered_by_a_gray_code() -> None:
    """The first hyperplane is the highest bit; neighbours differ in one side."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1
    encoder = FdeEncoder(Fde(1, 3, 3, "google"), 3, rows=(np.eye(3), np.eye(3)))
    blocks = encoder.encode_query(corners[:, None]).reshape(8, 8, 3)
    assert blocks.any(axis=2).argmax(axis=1).tolist() == [0, 1, 3, 2, 7, 6, 4, 5]
    assert [fde_oracle.gray(sides) for sides in corners > 0] == [0, 1, 3, 2, 7, 6, 4, 5]
    assert (blocks.sum(axis=1) == corners).all()


def test_the_nearest_of_equally_near_tokens_is_the_first() -> None:
    """Cell 11 is empty; 10, in which the first token lies, and 01 are as near."""
    tokens = np.array([[1.0, -2, 0], [-1, 2, 0], [-1, 2, 5], [-3, -3, 0]])
    filled = {}
    for kind in ("google", "fastembed", "muvera"):
        kinds: Any = kind
        fde = Fde(1, 2, 3, kinds)
        for order in (tokens, tokens[[2, 1, 0, 3]]):
            encoder = FdeEncoder(fde, 3, rows=(np.eye(3)[:2], np.eye(3)))
            blocks = encoder.encode_document([order])[0].reshape(4, 3)
            empty = 2 if kind == "google" else 3
            filled[kind, order[0, 2]] = blocks[empty].tolist()
    for kind in ("google", "muvera"):
        assert filled[kind, 0.0] == [1, -2, 0]
        assert filled[kind, 5.0] == [-1, 2, 5]
    assert filled["fastembed", 0.0] == filled["fastembed", 5.0] == [1, -2, 0]


@pytest.mark.parametrize(("repetitions", "bits", "projection"), [(20, 5, 16), (3, 1, 4), (5, 4, 7), (4, 3, DIM)])
@pytest.mark.parametrize("seed", [None, 7])
def test_fastembed(repetitions: int, bits: int, projection: int, seed: int | None) -> None:
    encoder = FdeEncoder(Fde(repetitions, bits, projection, "fastembed"), DIM, seed=seed)
    number = 42 if seed is None else seed
    random = np.random.default_rng(number)
    hyperplanes = np.array([random.normal(size=(DIM, bits)).T for _ in range(repetitions)])
    for each in documents():
        tokens = clear(each, hyperplanes).astype(np.float64)
        wanted = fde_oracle.fastembed(tokens, repetitions, bits, projection, number)
        assert_near(encoder.encode_document([tokens])[0], wanted)


def test_the_two_oracles_agree() -> None:
    random = np.random.default_rng(42)
    hyperplanes = np.array([random.normal(size=(DIM, 3)).T for _ in range(4)])
    rows = random.choice([-1, 1], size=(4, DIM, 6)).transpose(0, 2, 1) / 6**0.5
    oracle = Oracle(hyperplanes, rows, fill_from_cells=True)
    for tokens in documents():
        assert oracle.document(tokens) == pytest.approx(fde_oracle.fastembed(tokens, 4, 3, 6, 42), abs=1e-6)
