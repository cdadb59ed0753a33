"""Encodings are those of the formula, whatever rows, shapes and documents they are made of."""

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fde_oracle
import weft
from fde_oracle import Array, Oracle, clear
from weft import Fde, FdeEncoder

Kind = Any

KINDS: list[Kind] = ["orthogonal", "muvera", "google", "fastembed"]
SEEDS = st.integers(0, 2**16)


def projections(fde: Fde, dim: int, seed: int) -> Array:
    """Return the projections of an encoder, scaled: with a single cell they are its encodings of unit vectors."""
    whole = FdeEncoder(Fde(fde.repetitions, 0, fde.projection, fde.kind), dim, seed=seed)
    units = whole.encode_query(np.eye(dim).reshape(dim, 1, dim))
    return units.T.reshape(fde.repetitions, fde.projection, dim).astype(np.float64)


def sides(encoder: FdeEncoder, tokens: Array) -> npt.NDArray[np.bool_]:
    """Return whether each token lies above each hyperplane, (n, repetitions, bits)."""
    fde = encoder.fde
    blocks = encoder.encode_query(tokens[:, None]).reshape(len(tokens), fde.repetitions, 2**fde.bits, fde.projection)
    held = blocks.any(axis=-1)
    assert (held.sum(axis=-1) == 1).all()
    above: npt.NDArray[np.bool_] = (held.argmax(axis=-1)[..., None] >> np.arange(fde.bits) & 1).astype(bool)
    return above


def signs_of_hyperplanes(encoder: FdeEncoder, dim: int) -> Array:
    """Return the signs of the values of hyperplanes: unit vectors show them."""
    return np.where(sides(encoder, np.eye(dim)).transpose(1, 2, 0), 1.0, -1.0)


def encoder_and_oracle(kind: Kind, shape: tuple[int, int, int], dim: int, seed: int) -> tuple[FdeEncoder, Oracle]:
    """Return an encoder of random rows, or of given ones where it cannot be asked for them."""
    fde = Fde(*shape, kind=kind)
    if kind == "orthogonal":
        encoder = FdeEncoder(fde, dim, seed=seed)
        return encoder, Oracle(signs_of_hyperplanes(encoder, dim), projections(fde, dim, seed))
    random, (repetitions, bits, projection) = np.random.default_rng(seed), shape
    hyperplanes = random.standard_normal((repetitions, bits, dim)).astype(np.float32)
    rows = random.choice([-1.0, 1.0], (repetitions, projection, dim))
    if kind == "google":
        rows = fde_oracle.count_sketch(repetitions, projection, dim, seed)
    if projection == dim:
        rows = np.tile(np.eye(dim), (repetitions, 1, 1))
    given_rows = hyperplanes.reshape(-1, dim), rows.reshape(-1, dim)
    scale = 1 if kind == "google" or projection == dim else projection**-0.5
    oracle = Oracle(hyperplanes, rows * scale, kind == "google", kind == "fastembed")
    return FdeEncoder(fde, dim, rows=given_rows), oracle


def document(kind: str, tokens: int, dim: int, seed: int) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(seed)
    made = random.standard_normal((tokens, dim)).astype(np.float32)
    if kind == "duplicates":
        made = made[random.integers(0, max(1, tokens // 4), tokens)]
    if kind == "zeros":
        made[random.random(tokens) < 0.5] = 0
    if kind == "long":
        made *= 10.0 ** random.uniform(-6, 6, (tokens, 1)).astype(np.float32)
    return made


def assert_near(made: Array, wanted: Array) -> None:
    """Within 1e-5 of the size of a value."""
    size = np.sqrt((wanted**2).mean()) + np.abs(wanted)
    assert (np.abs(made - wanted) <= 1e-5 * size).all()


def assert_encodes(encoder: FdeEncoder, oracle: Oracle, tokens: Array) -> None:
    tokens = clear(tokens, oracle.hyperplanes)
    assert_near(encoder.encode_query(tokens), oracle.query(tokens))
    if len(tokens):
        assert_near(encoder.encode_document([tokens])[0], oracle.document(tokens))


DOCUMENTS = st.tuples(st.sampled_from(["usual", "duplicates", "zeros", "long"]), st.integers(1, 40), SEEDS)


@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(1, 20)),
    st.sampled_from([1, 2, 3, 8, 16, 24, 96, 128]),
    SEEDS,
    DOCUMENTS,
)
def test_encodings_are_those_of_the_formula(
    kind: Kind, shape: tuple[int, int, int], dim: int, seed: int, made_of: tuple[str, int, int]
) -> None:
    encoder, oracle = encoder_and_oracle(kind, shape, dim, seed)
    assert encoder.dimensions == encoder.fde.dimensions == shape[0] * 2 ** shape[1] * shape[2]
    which, tokens, of = made_of
    assert_encodes(encoder, oracle, document(which, tokens, dim, of))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "dim"), [((1, 0, 16), 16), ((1, 5, 16), 16), ((20, 5, 16), 128), ((3, 4, 24), 24), ((2, 8, 5), 96)]
)
@pytest.mark.parametrize("tokens", [1, 2, 79, 3000])
def test_encodings_of_usual_shapes(kind: Kind, shape: tuple[int, int, int], dim: int, tokens: int) -> None:
    encoder, oracle = encoder_and_oracle(kind, shape, dim, seed=7)
    assert_encodes(encoder, oracle, document("usual", tokens, dim, seed=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_of_zeros_lies_above_nothing(kind: Kind) -> None:
    encoder, _ = encoder_and_oracle(kind, (2, 3, 4), 8, seed=0)
    assert not encoder.encode_document([np.zeros((3, 8))]).any()
    assert not encoder.encode_query(np.zeros((3, 8))).any()
    assert not encoder.encode_query(np.zeros((0, 8))).any()


def test_a_document_of_many_equal_tokens() -> None:
    """More than 16 bits can count."""
    encoder, _ = encoder_and_oracle("orthogonal", (2, 3, 4), 8, seed=0)
    one = document("usual", 1, 8, seed=0)
    many = encoder.encode_document([np.tile(one, (70_000, 1))])
    assert many == pytest.approx(encoder.encode_document([one]), rel=1e-3)


# Random rows.


@pytest.mark.parametrize("dim", [8, 64, 128])
def test_rows_of_a_basis_are_orthogonal(dim: int) -> None:
    fde = Fde(repetitions=8, bits=3, projection=dim // 2)
    rows = projections(fde, dim, seed=3).reshape(4, dim, dim)
    for basis in rows:
        assert np.allclose(basis @ basis.T, np.eye(dim) * dim / fde.projection, atol=1e-5)
    assert not np.allclose(rows[0], rows[1])
    hyperplanes = signs_of_hyperplanes(FdeEncoder(fde, dim, seed=3), dim).reshape(-1, dim)[:dim]
    products = hyperplanes @ hyperplanes.T
    assert (products == np.diag(np.diag(products))).all()


@pytest.mark.parametrize("dim", [1, 3, 24, 96])
def test_all_rows_of_a_basis_keep_products(dim: int) -> None:
    """Rows are cut where the dimension is no power of two, yet the values of a vector are still orthogonal columns."""
    padded = max(8, 1 << (dim - 1).bit_length())
    fde = Fde(repetitions=2, bits=0, projection=padded)
    for basis in projections(fde, dim, seed=3):
        assert np.allclose(basis.T @ basis, np.eye(dim), atol=1e-6)


@pytest.mark.parametrize("kind", ["orthogonal", "muvera"])
def test_projections_are_signs_of_one_size(kind: Kind) -> None:
    rows = projections(Fde(repetitions=5, bits=2, projection=6, kind=kind), 64, seed=1)
    assert np.allclose(np.abs(rows), 6**-0.5, rtol=1e-6)
    assert abs(np.sign(rows).mean()) < 0.15


def test_independent_rows_are_independent() -> None:
    rows = np.sign(projections(Fde(repetitions=16, bits=0, projection=16, kind="muvera"), 64, seed=1).reshape(256, 64))
    assert abs(rows.sum()) < 5 * rows.size**0.5
    products = (rows @ rows.T)[~np.eye(256, dtype=bool)]
    assert products.std() == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("seed", [0, 1])
def test_independent_hyperplanes(seed: int) -> None:
    """A hyperplane is found by where it cuts the circle of each pair of axes; then the formula must hold."""
    fde, dim = Fde(repetitions=3, bits=2, projection=4, kind="muvera"), 12
    encoder = FdeEncoder(fde, dim, seed=seed)
    pairs, rows = np.arange(dim - 1), np.arange(6)[:, None]

    def above(angles: Array) -> Array:
        """Whether vectors of the first and another axis lie above the hyperplane of their row."""
        tokens = np.cos(angles)[..., None] * np.eye(dim)[0] + np.sin(angles)[..., None] * np.eye(dim)[1:]
        found: Array = sides(encoder, tokens.reshape(-1, dim)).reshape(6, dim - 1, 6)[rows, pairs, rows]
        return found

    start, end = np.full((6, dim - 1), 0.1), np.full((6, dim - 1), np.pi + 0.1)
    first = above(start)
    for _ in range(40):
        middle = (start + end) / 2
        same = above(middle) == first
        start, end = np.where(same, middle, start), np.where(same, end, middle)
    hyperplanes = np.hstack([np.ones((6, 1)), -1 / np.tan(start)])
    hyperplanes *= np.where(sides(encoder, np.eye(dim)[:1]).reshape(6, 1), 1, -1)
    oracle = Oracle(hyperplanes.reshape(3, 2, dim), projections(fde, dim, seed))
    tokens = document("usual", 60, dim, seed)
    assert len(clear(tokens, oracle.hyperplanes)) >= 59
    assert_encodes(encoder, oracle, tokens)


def test_random_rows_are_as_the_arguments_say() -> None:
    tokens = [document("usual", 20, 16, seed=0)]

    def encode(*shape: Any, **options: Any) -> Array:
        encoded: Array = FdeEncoder(Fde(*shape), 16, **options).encode_document(tokens)
        return encoded

    for kind in ("orthogonal", "muvera", "fastembed"):
        shape = (4, 2, 8, kind)
        assert (encode(*shape, seed=5) == encode(*shape, seed=5)).all()
        assert (encode(*shape, seed=5) != encode(*shape, seed=6)).any()
        default = 42 if kind == "fastembed" else 0
        assert (encode(*shape) == encode(*shape, seed=default)).all()


# Products.


@pytest.mark.parametrize("kind", KINDS)
def test_products_with_one_token_are_maxsim_on_average(kind: Kind) -> None:
    """All cells of a document of one token are its projection, which adds noise of mean zero."""
    query, token = document("usual", 3, 24, seed=1), document("usual", 1, 24, seed=2)
    fde, products = Fde(repetitions=2, bits=2, projection=5, kind=kind), []
    for seed in range(400):
        rows = None
        if kind == "google":
            hyperplanes = np.random.default_rng(seed).standard_normal((4, 24))
            rows = hyperplanes, fde_oracle.count_sketch(2, 5, 24, seed).reshape(-1, 24)
        encoder = FdeEncoder(fde, 24, seed=seed, rows=rows)
        products.append(encoder.encode_document([token])[0] @ encoder.encode_query(query) / fde.repetitions)
    wanted = weft.maxsim(query, [token])[0]
    assert abs(np.mean(products) - wanted) < 4 * np.std(products) / 20


@pytest.mark.parametrize(("dim", "repetitions", "projection"), [(16, 4, 8), (128, 16, 8), (96, 4, 32), (5, 3, 8)])
def test_complete_bases_add_no_noise(dim: int, repetitions: int, projection: int) -> None:
    encoder = FdeEncoder(Fde(repetitions, 3, projection), dim, seed=9)
    query, tokens = document("usual", 5, dim, seed=1), document("usual", 10, dim, seed=2)[:, None]
    products = encoder.encode_document(tokens) @ encoder.encode_query(query) / repetitions
    assert products == pytest.approx(weft.maxsim(query, tokens), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("kind", ["orthogonal", "muvera"])
def test_products_are_near_maxsim_and_below(kind: Kind) -> None:
    """Of many tokens a cell has the mean, which is no more than the largest; more cells come nearer."""
    tokens = document("usual", 30, 32, seed=1)
    query = tokens[:8] + 0.3 * document("usual", 8, 32, seed=2)
    wanted = weft.maxsim(query, [tokens])[0]
    shares = []
    for bits in (1, 3, 6):
        products = []
        for seed in range(40):
            encoder = FdeEncoder(Fde(8, bits, 16, kind), 32, seed=seed)
            products.append(encoder.encode_document([tokens])[0] @ encoder.encode_query(query) / 8)
        assert np.mean(products) < wanted + 4 * np.std(products) / 40**0.5
        shares.append(np.mean(products) / wanted)
    assert shares == sorted(shares)
    assert shares[-1] > 0.6


# What encodings are written in, and by how many threads.


@pytest.mark.parametrize("final", [None, 100])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_threads_change_no_byte(dtype: Any, final: int | None) -> None:
    documents = [document("usual", 1 + each % 30, 24, each) for each in range(200)]
    encoder = FdeEncoder(Fde(4, 3, 8), 24, final=final)
    made = [encoder.encode_document(documents, dtype=dtype, num_threads=threads) for threads in (1, 2, 3, 8, 0)]
    for encoded in made:
        parts, first = (encoded, made[0]) if dtype == "int8" else ([encoded], [made[0]])
        assert all(part.tobytes() == other.tobytes() for part, other in zip(parts, first, strict=True))
    queries = [encoder.encode_query(documents, num_threads=threads).tobytes() for threads in (1, 2, 8)]
    assert len(set(queries)) == 1


@pytest.mark.parametrize("final", [None, 60])
def test_shorter_numbers_are_near_the_longer(final: int | None) -> None:
    documents = [document(kind, 20, 24, seed=1) for kind in ("usual", "zeros", "duplicates")] + [np.zeros((2, 24))]
    encoder = FdeEncoder(Fde(4, 3, 8), 24, final=final)
    wide = encoder.encode_document(documents)
    half = encoder.encode_document(documents, dtype="float16")
    codes, scales = encoder.encode_document(documents, dtype="int8")
    assert (wide.dtype, half.dtype, codes.dtype, scales.dtype) == (np.float32, np.float16, np.int8, np.float32)
    assert wide.shape == half.shape == codes.shape == (4, encoder.dimensions)
    assert (half == wide.astype(np.float16)).all()
    assert scales == pytest.approx(np.abs(wide).max(axis=1) / 127, rel=1e-6)
    assert (np.abs(codes * scales[:, None] - wide) <= 0.501 * scales[:, None]).all()
    assert (np.abs(codes[:3]).max(axis=1) == 127).all()


def test_forms_of_documents_and_queries() -> None:
    documents = [document("usual", 3, 8, seed) for seed in range(4)]
    flat, offsets = np.concatenate(documents), np.arange(0, 13, 3)
    encoder = FdeEncoder(Fde(2, 2, 4), 8)
    made, asked = encoder.encode_document(documents), encoder.encode_query(documents)
    for form in (np.stack(documents), (flat, offsets), iter(documents)):
        assert (encoder.encode_document(form) == made).all()
    assert (encoder.encode_query((flat, offsets)) == asked).all()
    assert (encoder.encode_query(documents[1]) == asked[1]).all()
    halves = [each.astype(np.float16) for each in documents]
    singles = [each.astype(np.float32) for each in halves]
    assert (encoder.encode_document(halves) == encoder.encode_document(singles)).all()
    assert encoder.encode_document([]).shape == encoder.encode_query([]).shape == (0, 32)


def test_a_last_projection_keeps_products_on_average() -> None:
    hyperplanes, rows = np.random.default_rng(0).standard_normal((6, 16)), np.tile(np.eye(16), (2, 1))
    query, documents = document("usual", 4, 16, seed=1), [document("usual", 9, 16, seed) for seed in (2, 3)]
    fde, products = Fde(2, 3, 16, "google"), []
    whole = FdeEncoder(fde, 16, rows=(hyperplanes, rows))
    wanted = whole.encode_document(documents) @ whole.encode_query(query)
    for seed in range(400):
        encoder = FdeEncoder(fde, 16, seed=seed, rows=(hyperplanes, rows), final=40)
        assert encoder.dimensions == 40
        made = encoder.encode_document(documents)
        assert made.shape == (2, 40)
        products.append(made @ encoder.encode_query(query))
    assert (np.abs(np.mean(products, axis=0) - wanted) < 4 * np.std(products, axis=0) / 20).all()


def test_extremes_are_named_or_finite() -> None:
    encoder = FdeEncoder(Fde(repetitions=2, bits=1, projection=4), 8)
    tiny = np.eye(8, dtype=np.float32)[:1] * 1e-38
    codes, _ = encoder.encode_document([tiny], dtype="int8")
    assert (codes != -128).all()
    assert np.isfinite(encoder.encode_document([np.full((3, 8), 6e4, np.float32)], dtype="float16")).all()
    for encode in (encoder.encode_query, encoder.encode_document):
        with pytest.raises(weft.InvalidInput, match="row 1"):
            encode([np.ones((1, 8)), np.full((2, 8), 3e38)])


def test_what_does_not_fit_in_memory_is_refused() -> None:
    encoder = FdeEncoder(Fde(repetitions=16, bits=16, projection=1), 8)
    with pytest.raises(weft.InvalidInput, match="do not fit in memory"):
        encoder.encode_query((np.zeros((0, 8), np.float32), np.zeros(10**8, np.int64)))


def test_an_encoder_is_pickled() -> None:
    encoder = FdeEncoder(Fde(repetitions=2, bits=2, projection=4), 8, seed=5, final=7)
    vectors = np.random.default_rng(0).normal(size=(9, 8))
    again = pickle.loads(pickle.dumps(encoder))
    assert again.encode_query(vectors).tobytes() == encoder.encode_query(vectors).tobytes()
