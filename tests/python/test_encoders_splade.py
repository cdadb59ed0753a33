"""SPLADE and inference-free encoders against the formula in torch, on small random models."""

import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import checkpoints  # noqa: E402
from weft.encoders import InferenceFree, Splade  # noqa: E402
from weft.encoders.splade import heaviest  # noqa: E402

DATA = Path(os.environ.get("WEFT_DATA", Path(__file__).parents[3] / "shared" / "data"))
TEXTS = [
    "the red fox",
    "",
    "wine",
    "crew meets alien in space, " * 9,
    "red or white wine or white foxes",
    " \n\t ",
    "zürich ☃ fox fox",
    "a",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.masked_language_model(tmp_path_factory.mktemp("mlm"))


def by_formula(
    folder: Path, text: str, pooling: str = "max", twice: bool = False, most: int = checkpoints.POSITIONS
) -> np.ndarray[Any, Any]:
    """Return the weight of every vocabulary entry, one text at a time, as the papers define it."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(
        text, return_tensors="pt", truncation=True, max_length=most
    )
    with torch.no_grad():
        weights = torch.log(1 + torch.relu(model(**inputs).logits[0].double()))
    if twice:
        weights = torch.log(1 + weights)
    return (weights.max(0).values if pooling == "max" else weights.sum(0)).numpy()


def dense(rows: Any, size: int = len(checkpoints.WORDS)) -> np.ndarray[Any, Any]:
    """Return CSR rows with integer terms as a matrix."""
    indptr, terms, weights = rows
    matrix = np.zeros((len(indptr) - 1, size))
    matrix[np.repeat(np.arange(len(matrix)), np.diff(indptr)), terms] = weights
    return matrix


@pytest.mark.parametrize("pooling", ["max", "sum"])
@pytest.mark.parametrize("activation", ["log1p_relu", "log1p_log1p_relu"])
def test_weights_are_those_of_the_formula(folder: Path, pooling: Any, activation: Any) -> None:
    encoder = Splade(folder, pooling=pooling, activation=activation, terms="int", precision="float32")
    matrix = dense(encoder.encode_document(TEXTS))
    queries = dense(encoder.encode_query(TEXTS))
    for text, row, query in zip(TEXTS, matrix, queries, strict=True):
        expected = (
            by_formula(folder, text, pooling, "log1p_log1p" in activation) if text.strip() else np.zeros(len(row))
        )
        assert np.allclose(row, expected, atol=1e-4), text
        assert np.allclose(query, expected, atol=1e-4), text


@pytest.mark.parametrize("kind", ["distilbert", "roberta", "xlm-roberta", "modernbert", "mpnet"])
def test_other_architectures(tmp_path: Path, kind: str) -> None:
    names = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    checkpoints.masked_language_model(tmp_path, kind, **(names | {"max_position_embeddings": 80}))
    encoder = weft.encoders.load(tmp_path, terms="int", precision="float32")
    long = "crew meets alien in space " * 30
    matrix = dense(encoder.encode_document([long, "the red fox"]))
    assert np.allclose(matrix[0], by_formula(tmp_path, long), atol=1e-4)
    assert np.allclose(matrix[1], by_formula(tmp_path, "the red fox"), atol=1e-4)


def test_terms_are_words_in_the_order_of_the_vocabulary(folder: Path) -> None:
    words = Splade(folder).encode_document(TEXTS)
    numbers = Splade(folder, terms="int").encode_document(TEXTS)
    assert [checkpoints.WORDS.index(word) for word in words[1]] == numbers[1].tolist()
    for start, end in zip(numbers[0], numbers[0][1:], strict=False):
        assert np.all(np.diff(numbers[1][start:end]) > 0)
    assert np.array_equal(words[2], numbers[2])
    assert words[2].dtype == np.float32
    assert words[0].dtype == np.int64


@pytest.mark.parametrize("batch", [{"batch_size": 1}, {"batch_size": 3}, {"batch_tokens": 1}, {"batch_tokens": 70}])
def test_a_text_does_not_depend_on_its_batch(folder: Path, batch: dict[str, int]) -> None:
    texts = [*TEXTS, *TEXTS[::-1]]
    alone = np.concatenate([dense(Splade(folder, terms="int").encode_document([text])) for text in texts])
    size = batch.pop("batch_size", None)
    matrix = dense(Splade(folder, terms="int", **batch).encode_document(texts, batch_size=size))
    assert np.allclose(matrix, alone, atol=1e-5)


def test_the_heaviest_terms_are_kept(folder: Path) -> None:
    whole = dense(Splade(folder, terms="int").encode_document(TEXTS))
    encoder = Splade(folder, terms="int", document_terms=5, query_terms=2)
    for count, kept in [(5, encoder.encode_document(TEXTS)), (2, encoder.encode_query(TEXTS))]:
        assert np.diff(kept[0]).max() == count
        for row, pruned in zip(whole, dense(kept), strict=True):
            best = np.argsort(-row, kind="stable")[:count]
            assert np.allclose(pruned[best], row[best], atol=1e-5)
            assert np.count_nonzero(pruned) == min(count, np.count_nonzero(row))


def test_of_equal_weights_the_first_are_kept() -> None:
    weights = torch.tensor([[1.0, 2.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    for count, expected in [
        (1, ([1, 1, 0], [1, 4])),
        (2, ([2, 1, 0], [0, 1, 4])),
        (3, ([3, 1, 0], [0, 1, 2, 4])),
        (5, ([4, 1, 0], [0, 1, 2, 4, 4])),
        (None, ([4, 1, 0], [0, 1, 2, 4, 4])),
    ]:
        counts, columns, values = heaviest(weights, count)
        assert (counts.tolist(), columns.tolist()) == expected
        assert (values > 0).all()


def test_one_query_is_a_dict(folder: Path) -> None:
    encoder = Splade(folder)
    indptr, terms, weights = encoder.encode_query(["red fox"])
    assert encoder.encode_query("red fox") == dict(zip(terms, weights.tolist(), strict=True))
    assert indptr.tolist() == [0, len(terms)]
    assert encoder.encode_query("") == {}


def test_nothing_to_encode(folder: Path) -> None:
    for texts in ([], [""], ["", " "]):
        indptr, terms, weights = Splade(folder).encode_document(texts)
        assert (indptr.tolist(), terms, len(weights)) == ([0] * (len(texts) + 1), [], 0)


def test_long_texts_are_cut_and_counted(folder: Path) -> None:
    encoder = Splade(folder, max_document_tokens=16, terms="int", precision="float32")
    huge = "the red fox meets alien crew " * 40_000
    assert len(huge) > 2**20
    tokens = encoder.tokenize([huge, "fox", " ".join(["fox"] * 14), " ".join(["fox"] * 15)])
    assert tokens.truncated == 2
    assert np.diff(tokens.offsets).tolist() == [16, 3, 16, 16]
    row = dense(encoder.encode_tokens(tokens))[0]
    assert np.allclose(row, by_formula(folder, huge[:200], most=16), atol=1e-4)


def test_prompts_come_before_texts(folder: Path) -> None:
    prompted = Splade(folder, query_prompt="red ", document_prompt="white ", terms="int")
    plain = Splade(folder, terms="int")
    assert np.array_equal(prompted.tokenize(["wine"]).ids, plain.tokenize(["white wine"]).ids)
    assert np.array_equal(prompted.tokenize(["wine"], "query").ids, plain.tokenize(["red wine"]).ids)
    assert prompted.encode_query("") == {}


def test_another_model_for_queries(folder: Path, tmp_path: Path) -> None:
    other = checkpoints.masked_language_model(tmp_path / "query", seed=1)
    encoder = Splade(folder, query_model=other, terms="int", precision="float32")
    assert np.allclose(dense(encoder.encode_document(["fox"]))[0], by_formula(folder, "fox"), atol=1e-4)
    assert np.allclose(dense(encoder.encode_query(["fox"]))[0], by_formula(other, "fox"), atol=1e-4)
    assert encoder.fingerprint != Splade(folder).fingerprint
    larger = checkpoints.masked_language_model(tmp_path / "larger", vocab_size=200)
    with pytest.raises(weft.InvalidInput, match="200"):
        Splade(folder, query_model=larger)


def test_queries_without_a_model(folder: Path) -> None:
    encoder = Splade(folder, document_only=True)
    assert encoder.encode_query("Red foxes, red ☃ wine") == {"red": 1, "fox": 1, "##es": 1, ",": 1, "wine": 1}
    indptr, terms, weights = encoder.encode_query(["fox", "", "fox wine fox"])
    assert (indptr.tolist(), terms, weights.tolist()) == ([0, 1, 1, 3], ["fox", "fox", "wine"], [1, 1, 1])
    assert encoder.encode_query([])[0].tolist() == [0]
    with pytest.raises(weft.InvalidInput, match="exclude"):
        Splade(folder, document_only=True, query_model=folder)


def test_special_terms_may_be_left_out(folder: Path) -> None:
    with_special = dense(Splade(folder, terms="int").encode_document(TEXTS))
    without = dense(Splade(folder, terms="int", special_terms=False).encode_document(TEXTS))
    special = [0, 1, 2, 3, 4]
    assert with_special[:, special].any()
    assert not without[:, special].any()
    assert np.allclose(np.delete(without, special, 1), np.delete(with_special, special, 1), atol=1e-5)


def test_vocabulary_entries_beyond_the_tokenizer_have_names(tmp_path: Path) -> None:
    size = len(checkpoints.WORDS) + 3
    padded = checkpoints.masked_language_model(tmp_path, vocab_size=size)
    encoder = Splade(padded)
    assert len(set(encoder.vocabulary)) == size
    assert encoder.vocabulary[-1] == f"<{size - 1}>"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_16_bits_are_close(folder: Path, precision: Any) -> None:
    exact = dense(Splade(folder, terms="int", precision="float32").encode_document(TEXTS))
    rough = dense(Splade(folder, terms="int", precision=precision).encode_document(TEXTS))
    assert np.abs(exact - rough).max() < 0.1


def test_settings_tell_encoders_apart(folder: Path, tmp_path: Path) -> None:
    from weft.encoders.base import mismatch

    encoder = Splade(folder, document_terms=9)
    copy = Splade(checkpoints.masked_language_model(tmp_path / "copy"), document_terms=9)
    trained = Splade(checkpoints.masked_language_model(tmp_path / "trained", seed=3), document_terms=9)
    assert json.loads(json.dumps(encoder.settings)) == encoder.settings
    assert encoder.settings["type"] == "splade"
    assert mismatch(encoder.settings, copy.settings) is None
    assert "fingerprint" in str(mismatch(encoder.settings, trained.settings))
    assert mismatch(encoder.settings, Splade(folder, document_terms=8).settings) == "document_terms is 8, not 9"
    tables = [InferenceFree(folder, idf={"fox": weight}).settings for weight in (1.0, 2.0)]
    assert mismatch(encoder.settings, tables[0]) == "type is 'inference_free', not 'splade'"
    assert "idf is" in str(mismatch(*tables))


def test_the_index_takes_what_encoders_make(folder: Path, tmp_path: Path) -> None:
    for terms in ("str", "int"):
        encoder = Splade(folder, terms=terms)  # type: ignore[arg-type]
        schema = weft.Schema(sparse=weft.Sparse(terms=encoder.terms))
        index = weft.build(tmp_path / terms, sparse=encoder.encode_document(TEXTS), schema=schema)
        exact = dense(Splade(folder, terms="int").encode_document(TEXTS))
        query = dense(Splade(folder, terms="int").encode_query(["red wine"]))[0]
        hits = index.search(sparse=encoder.encode_query("red wine"), k=1)
        assert hits.ids[0] == str(np.argmax(exact @ query))
        assert index.explain(hits.ids[0], sparse=encoder.encode_query("red wine"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "mean"}, "pooling"),
        ({"activation": "relu"}, "activation"),
        ({"terms": "bytes"}, "terms"),
        ({"document_terms": 0}, "document_terms"),
        ({"precision": "int8"}, "precision"),
        ({"device": "abacus"}, "abacus"),
        ({"max_document_tokens": 65}, "64"),
        ({"max_query_tokens": 2}, "max_query_tokens"),
        ({"max_tokens": 9}, "max_tokens"),
        ({"batch_tokens": 0}, "batch_tokens"),
    ],
)
def test_bad_options(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(weft.InvalidInput, match=message):
        Splade(folder, **options)


def test_bad_texts(folder: Path) -> None:
    encoder = Splade(folder)
    with pytest.raises(weft.InvalidInput, match="row 1"):
        encoder.encode_document(["fox", None])  # type: ignore[list-item]
    with pytest.raises(weft.InvalidInput, match="row 0"):
        encoder.encode_document(["\ud800"])
    with pytest.raises(weft.InvalidInput, match="batch_size"):
        encoder.encode_document(["fox"], batch_size=0)


def test_weights_of_queries_are_looked_up(folder: Path, tmp_path: Path) -> None:
    idf = {"red": 2.0, "fox": 3.5, "##es": 0.25, "[UNK]": 9.0, "absent": 1.0}
    encoder = InferenceFree(folder, idf=idf)
    assert encoder.encode_query("red foxes fox ☃ wine") == {"red": 2.0, "fox": 3.5, "##es": 0.25}
    expected = dense(Splade(folder, terms="int", special_terms=False).encode_document(TEXTS))
    assert np.allclose(dense(InferenceFree(folder, idf=idf, terms="int").encode_document(TEXTS)), expected, atol=1e-5)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(idf))
    array = np.array([idf.get(word, 0) for word in checkpoints.WORDS], np.float32)
    for form in (path, str(path), array):
        assert InferenceFree(folder, idf=form).settings == encoder.settings


def test_queries_need_no_model_but_documents_do(tmp_path: Path) -> None:
    checkpoints.tokenizer(tmp_path)
    (tmp_path / "idf.json").write_text('{"fox": 1.5}')
    encoder = weft.encoders.load(tmp_path)
    assert isinstance(encoder, InferenceFree)
    assert encoder.encode_query("fox wine") == {"fox": 1.5}
    with pytest.raises(weft.Error, match="no model"):
        encoder.encode_document(["fox"])


@pytest.mark.parametrize(
    ("idf", "message"),
    [
        ({"other": 1.0}, "another model"),
        ({"fox": -1.0}, "'fox' is -1.0"),
        ({"fox": float("nan")}, "'fox' must be a finite number"),
        (np.ones((2, 2)), "shape"),
        (np.ones(10_000), "shape"),
        ({"fox": "heavy"}, "number"),
    ],
)
def test_bad_tables(folder: Path, idf: Any, message: str) -> None:
    with pytest.raises(weft.InvalidInput, match=message):
        InferenceFree(folder, idf=idf)


def test_a_table_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(weft.NotFound, match="idf"):
        InferenceFree(folder)
    with pytest.raises(weft.NotFound, match="absent"):
        InferenceFree(folder, idf=tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(weft.InvalidInput, match="object"):
        InferenceFree(folder, idf=tmp_path / "list.json")


def test_a_real_table(tmp_path: Path) -> None:
    packed = DATA / "opensearch_idf.json.xz"
    if not packed.exists():
        pytest.skip(f"{packed} is not there")
    idf = json.loads(lzma.decompress(packed.read_bytes()))
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    for word in idf:
        vocabulary.setdefault(word, len(vocabulary))
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(tmp_path)
    encoder = InferenceFree(tmp_path, idf=idf)
    weights = encoder.encode_query("What is the capital of France?")
    assert weights["france"] == pytest.approx(idf["france"])
    assert weights["france"] > weights["capital"] > weights.get("the", 0)
