"""Heads trained on a frozen backbone: what they start from, what they compute, and what becomes of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import weft  # noqa: E402
from weft.encoders import examples, heads, train_heads  # noqa: E402

WORDS = [
    "red",
    "fox",
    "blue",
    "whale",
    "green",
    "frog",
    "old",
    "oak",
    "grey",
    "wolf",
    "swims",
    "runs",
    "grows",
    "sings",
]
TITLES = ["red fox", "blue whale", "green frog", "old oak", "grey wolf"]
TEXTS = ["fox runs red", "whale swims blue", "frog sings swims", "oak grows old", "wolf runs grey"]
SHORT = replace(train_heads.SPARSE, steps=40, batch=4, sampled_terms=8)


@pytest.fixture(scope="module")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=192)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=192,
        initializer_range=0.2,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    documents = [
        {"_id": str(number), "title": title, "text": text}
        for number, (title, text) in enumerate(zip(TITLES, TEXTS, strict=True))
    ]
    documents.append({"_id": "untitled", "title": "", "text": "fox sings"})
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries_train.jsonl").write_text(json.dumps({"_id": "q", "text": "grey fox"}))
    (folder / "qrels_train.tsv").write_text("query-id\tcorpus-id\tscore\nq\tuntitled\t1\nq\t0\t0\nq\tgone\t1\n")
    return folder


@pytest.fixture(scope="module")
def backbone(backbone_folder: Path) -> Any:
    return examples.Backbone(backbone_folder, device="cpu")


@pytest.fixture(scope="module")
def encoded(backbone: Any, corpus: Path) -> Any:
    return examples.Examples.encoded(examples.read_pairs(corpus), backbone)


@pytest.fixture(scope="module")
def idf() -> dict[str, float]:
    return {word: 1 + number / 10 for number, word in enumerate(WORDS)}


def test_pairs_are_titles_and_judgements(corpus: Path) -> None:
    pairs = examples.read_pairs(corpus)
    assert pairs.queries == [*TITLES, "grey fox"]
    assert [pairs.documents[row] for row in pairs.relevant] == [*TEXTS, "fox sings"]


def test_a_sentence_belongs_to_the_rest_of_its_text(tmp_path: Path) -> None:
    sentences = [f"Sentence number {number} has six words." for number in ("one", "two", "three")]
    text = " ".join([*sentences, "Short."])
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"_id": "a", "text": text}))
    pairs = examples.read_pairs(tmp_path)
    assert len(pairs.queries) == 1
    assert pairs.queries[0] in sentences
    assert pairs.documents == [text.replace(pairs.queries[0], " ")]


def test_a_corpus_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "title": "", "text": "alone"}\n')
    with pytest.raises(weft.InvalidInput, match="neither titles"):
        examples.read_pairs(tmp_path)


def test_states_are_those_of_the_model(backbone: Any) -> None:
    texts = ["red", "blue whale swims red fox", "old oak"]
    states = backbone.states(texts, "document")
    for row, text in enumerate(texts):
        inputs = backbone.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            expected = backbone.models["document"](**inputs).last_hidden_state[0]
        padded, held = states.padded(torch.tensor([1, row]))
        torch.testing.assert_close(padded[1, held[1]], expected, atol=2e-3, rtol=0)
        mean = torch.nn.functional.normalize(expected.mean(0), dim=0)
        torch.testing.assert_close(states.means()[row], mean, atol=2e-3, rtol=0)


def test_the_first_sparse_head_gives_a_token_itself() -> None:
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(200, 32, generator=generator)
    ids = torch.arange(200).repeat(5)
    states = embeddings[ids] @ torch.randn(32, 32, generator=generator) + 0.01 * torch.randn(
        1000, 32, generator=generator
    )
    head = heads.SparseHead.initial(states, ids, embeddings, positive=0.01)
    logits = head.transform(states) @ embeddings.T + head.bias
    assert (logits.argmax(1) == ids).float().mean() > 0.99
    assert logits.gather(1, ids[:, None]).median() == pytest.approx(1, abs=0.1)
    assert (logits > 0).float().mean() == pytest.approx(0.01, abs=0.005)


def test_the_first_multivector_head_keeps_the_longest_directions() -> None:
    states = torch.randn(500, 16, generator=torch.Generator().manual_seed(2)) * torch.arange(1, 17).sqrt()
    head = heads.MultiVectorHead.initial(states, dim=6)
    unit = torch.nn.functional.normalize(states, dim=1)
    kept = (unit @ head.linear.T).square().sum()
    assert kept == pytest.approx(float(torch.linalg.svdvals(unit)[:6].square().sum()), rel=1e-4)
    torch.testing.assert_close(head.vectors(states).norm(dim=1), torch.ones(500))


def test_the_regularisation_is_that_of_all_terms_in_the_mean(encoded: Any, backbone: Any) -> None:
    head = heads.SparseHead.initial(encoded.documents.flat, encoded.documents.ids, backbone.embeddings, 0.3)
    weights = torch.linspace(0.5, 4, len(backbone.embeddings))
    rows = torch.arange(4)
    with_flops, without = (
        train_heads.sparse_loss(
            head, encoded, weights, replace(SHORT, sampled_terms=50_000, teaching=0.0, flops=flops)
        )(rows, torch.Generator().manual_seed(3))
        for flops in (1.0, 0.0)
    )
    every = head.weights(*encoded.documents.padded(encoded.relevant[rows]), torch.arange(len(weights)))
    counts = (1 / weights) / (1 / weights).mean()
    expected = (every.mean(0).square() * counts).sum()
    torch.testing.assert_close(with_flops - without, expected, rtol=0.03, atol=0)


def test_scores_of_terms_are_those_of_rows(encoded: Any, backbone: Any) -> None:
    """Without teacher and regularisation the loss is the cross entropy of products of whole vectors."""
    head = heads.SparseHead.initial(encoded.documents.flat, encoded.documents.ids, backbone.embeddings, 0.3)
    idf = torch.rand(len(backbone.embeddings), generator=torch.Generator().manual_seed(4))
    rows = torch.tensor([4, 0, 5])
    plain = replace(SHORT, teaching=0.0, flops=0.0, temperature=2.0)
    loss = train_heads.sparse_loss(head, encoded, idf, plain)(rows, torch.Generator())
    queries = torch.zeros(3, len(idf))
    for query, row in zip(queries, rows.tolist(), strict=True):
        start, end = encoded.queries.offsets[row : row + 2]
        query[encoded.queries.ids[start:end]] = 1
    documents = head.weights(*encoded.documents.padded(encoded.relevant[rows]), torch.arange(len(idf)))
    expected = torch.nn.functional.cross_entropy((queries * idf) @ documents.T / 2, torch.arange(3))
    torch.testing.assert_close(loss, expected)


def test_maxsim_is_that_of_the_library(encoded: Any) -> None:
    head = heads.MultiVectorHead.initial(encoded.documents.flat, dim=8)
    rows = torch.tensor([1, 3, 5])
    plain = replace(train_heads.MULTIVECTOR, teaching=0.0, temperature=1.0)
    loss = train_heads.multivector_loss(head, encoded, plain)(rows, torch.Generator())
    queries, asked = encoded.queries.padded(rows)
    documents, held = encoded.documents.padded(encoded.relevant[rows])
    scores = torch.zeros(3, 3)
    for q in range(3):
        rows_of_query = head.vectors(queries[q, asked[q]]).numpy()
        documents_vectors = [head.vectors(documents[d, held[d]]).numpy() for d in range(3)]
        scores[q] = torch.from_numpy(np.asarray(weft.maxsim(rows_of_query, documents_vectors))) / len(rows_of_query)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(scores, torch.arange(3)), atol=1e-3, rtol=1e-3)


def test_the_same_document_is_no_negative(encoded: Any) -> None:
    twice = examples.Examples(encoded.queries, encoded.documents, torch.zeros(len(encoded.relevant), dtype=torch.int64))
    plain = replace(SHORT, teaching=0.0)
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(5))
    assert train_heads.shared_loss(scores, torch.arange(4), twice, plain) == pytest.approx(0, abs=1e-6)


def test_training_a_sparse_head(
    encoded: Any, backbone: Any, idf: dict[str, float], backbone_folder: Path, tmp_path: Path
) -> None:
    head, losses = train_heads.train_sparse(encoded, backbone, idf, SHORT)
    again, same = train_heads.train_sparse(encoded, backbone, idf, SHORT)
    assert len(losses) == SHORT.steps
    assert losses[-5:].mean() < losses[:5].mean()
    np.testing.assert_array_equal(losses, same)
    torch.testing.assert_close(head.dense, again.dense, atol=0, rtol=0)

    head.save(tmp_path / "sparse", backbone_folder, idf)
    encoder = weft.encoders.load(tmp_path / "sparse", device="cpu", precision="float32")
    assert encoder.kind == "sparse"
    assert encoder.encode_query("red fox") == pytest.approx({"red": idf["red"], "fox": idf["fox"]})
    offsets, terms, weights = encoder.encode_document([TEXTS[0]])
    expected = head.weights(*encoded.documents.padded(torch.tensor([0])), torch.arange(len(backbone.embeddings)))[0]
    vocabulary = backbone.tokenizer.get_vocab()
    for term, weight in zip(terms, weights, strict=True):
        assert weight == pytest.approx(float(expected[vocabulary[term]]), abs=5e-3)
    special = set(backbone.tokenizer.all_special_ids)
    assert offsets[-1] == sum(int(weight > 0) for term, weight in enumerate(expected) if term not in special)


def test_training_a_multivector_head(encoded: Any, backbone_folder: Path, tmp_path: Path) -> None:
    training = replace(train_heads.MULTIVECTOR, steps=40, batch=4, rate=3e-3)
    head, losses = train_heads.train_multivector(encoded, 8, training)
    again, same = train_heads.train_multivector(encoded, 8, training)
    assert losses[-5:].mean() < losses[:5].mean()
    np.testing.assert_array_equal(losses, same)
    torch.testing.assert_close(head.linear, again.linear, atol=0, rtol=0)

    head.save(tmp_path / "late", backbone_folder, 32, 64)
    if not hasattr(weft.encoders, "ColBert"):
        pytest.skip("no encoder of token vectors")
    encoder = weft.encoders.load(tmp_path / "late", device="cpu", precision="float32")
    flat, _ = encoder.encode_document([TEXTS[0]])
    states, held = encoded.documents.padded(torch.tensor([0]))
    np.testing.assert_allclose(flat, head.vectors(states[held]).numpy(), atol=5e-3)


@pytest.mark.parametrize("head", ["sparse", "multivector"])
def test_the_command_line(
    head: str,
    corpus: Path,
    backbone_folder: Path,
    idf: dict[str, float],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = tmp_path / "idf.json"
    table.write_text(json.dumps(idf))
    given = [
        head,
        str(corpus),
        str(tmp_path / "out"),
        "--backbone",
        str(backbone_folder),
        "--steps",
        "2",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr("sys.argv", ["train_heads", *given, *(["--idf", str(table)] if head == "sparse" else [])])
    train_heads.main()
    assert capsys.readouterr().out.startswith("6 pairs encoded")
    assert (tmp_path / "out" / "config.json").exists()


def test_a_sparse_head_needs_weights_of_queries(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["train_heads", "sparse", str(corpus), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as exit:
        train_heads.main()
    assert exit.value.code == 2
    assert "--idf" in capsys.readouterr().err
