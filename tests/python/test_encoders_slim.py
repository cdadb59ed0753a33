"""SLIM against its equations, on a small random masked language model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sparse = pytest.importorskip("scipy.sparse")

import checkpoints  # noqa: E402
from weft.encoders import Slim, load  # noqa: E402
from weft.encoders.slim import refine, search  # noqa: E402

TEXTS = ["the red fox", "", "wine", "crew meets aliens, in space! " * 9, "red or white wine or white foxes", " ", "a"]
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.masked_language_model(tmp_path_factory.mktemp("mlm"))


def by_formula(folder: Path, text: str) -> Array:
    """Return φ of every token of one text: (tokens, vocabulary)."""
    if not text.strip():
        return np.zeros((0, len(checkpoints.WORDS)))
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoding = tokenizer(text, return_tensors="pt", truncation=True, max_length=checkpoints.POSITIONS)
    with torch.no_grad():
        found: Array = torch.log(1 + torch.relu(model(**encoding).logits[0].double())).numpy()
    return found


def late(query: Array, document: Array) -> float:
    return float((query @ document.T).max(axis=1).sum()) if len(query) and len(document) else 0.0


def largest_alone(vectors: Array) -> Array:
    kept = np.zeros_like(vectors)
    rows = np.arange(len(vectors))
    kept[rows, vectors.argmax(axis=1)] = vectors.max(axis=1, initial=0)
    return kept


def dense(rows: Any) -> Array:
    indptr, terms, weights = rows
    matrix = np.zeros((len(indptr) - 1, len(checkpoints.WORDS)))
    matrix[np.repeat(np.arange(len(matrix)), np.diff(indptr)), terms] = weights
    return matrix


def test_token_vectors_are_those_of_the_formula(folder: Path) -> None:
    encoder = Slim(folder, precision="float32")
    for role in ("document", "query"):
        found = encoder.token_vectors(TEXTS, role)
        assert all(
            np.allclose(a.toarray(), by_formula(folder, b), atol=1e-4) for a, b in zip(found, TEXTS, strict=True)
        )
    again = encoder.token_vectors(TEXTS, batch_size=2)
    assert all(np.array_equal(a.indices, b.indices) for a, b in zip(found, again, strict=True))
    assert encoder.token_vectors([]) == []
    assert encoder.token_vectors("wine")[0].shape == (3, len(checkpoints.WORDS))


def test_few_terms_of_a_token(folder: Path) -> None:
    [found] = Slim(folder, token_terms=3).token_vectors("red foxes")
    everything = by_formula(folder, "red foxes")
    for row, whole in zip(found.toarray(), everything, strict=True):
        top = np.sort(np.argsort(-whole)[:3])
        assert np.flatnonzero(row).tolist() == top[whole[top] > 0].tolist()


@pytest.mark.parametrize("beta", [0, 0.01, 0.5, 1])
def test_rows_of_the_first_stage(folder: Path, beta: float) -> None:
    encoder = Slim(folder, beta=beta, terms="int", precision="float32")
    queries, documents = dense(encoder.encode_query(TEXTS)), dense(encoder.encode_document(TEXTS))
    vectors = [by_formula(folder, text) for text in TEXTS]
    for each, query, document in zip(vectors, queries, documents, strict=True):
        mixed = beta * largest_alone(each) + (1 - beta) * each
        assert np.allclose(query, mixed.sum(axis=0), atol=1e-4)
        assert np.allclose(document, each.max(axis=0, initial=0), atol=1e-4)
    for each, query in zip(vectors, queries, strict=True):
        scores = documents @ query
        exact = [late(each, other) for other in vectors]
        slack = 1e-3
        assert beta == 1 or np.all(np.array(exact) * (1 - beta) <= scores + slack)
        assert beta < 1 or np.all(scores <= np.array(exact) + slack)


def test_terms_are_words(folder: Path) -> None:
    encoder = load(folder, type="slim")
    assert isinstance(encoder, Slim)
    assert (encoder.kind, encoder.terms) == ("sparse", "str")
    assert set(encoder.encode_document(["fox"])[1]) <= set(encoder.vocabulary)
    assert encoder.encode_query("") == {}
    assert {"beta", "token_terms"} <= encoder.settings.keys()


NUMBERS = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=4, max_size=4), max_size=4)


@given(NUMBERS, st.lists(NUMBERS, max_size=5))
def test_refined_scores(query: list[list[float]], documents: list[list[list[float]]]) -> None:
    def matrix(rows: list[list[float]]) -> Array:
        return np.array(rows, np.float32).reshape(-1, 4)

    found = refine(sparse.csr_array(matrix(query)), [sparse.csr_array(matrix(each)) for each in documents])
    assert found.dtype == np.float32
    assert found.tolist() == [late(matrix(query), matrix(each)) for each in documents]


def test_two_stages_find_the_best(folder: Path, path: Path) -> None:
    encoder = Slim(folder)
    vectors = dict(zip("abcdefg", encoder.token_vectors(TEXTS), strict=True))
    index = weft.build(path, ids=list("abcdefg"), sparse=encoder.encode_document(TEXTS))
    exact = {
        id: late(*(each.toarray() for each in (encoder.token_vectors("red wine", "query")[0], held)))
        for id, held in vectors.items()
    }
    best = sorted((id for id in exact if exact[id] > 0), key=lambda id: -exact[id])
    hits = search(index, encoder, "red wine", vectors, k=3)
    assert [hit.id for hit in hits] == best[:3]
    assert [hit.score for hit in hits] == pytest.approx([exact[id] for id in best[:3]], rel=1e-4)
    assert search(index, encoder, "red wine", vectors, candidates=1)[0].id in best
    assert search(index, encoder, "", vectors) == []


def test_bad_arguments(folder: Path) -> None:
    for beta in (-0.1, 1.1, float("nan"), "1"):
        with pytest.raises(weft.InvalidInput, match="beta"):
            Slim(folder, beta=beta)  # type: ignore[arg-type]
    with pytest.raises(weft.InvalidInput, match="token_terms"):
        Slim(folder, token_terms=0)
