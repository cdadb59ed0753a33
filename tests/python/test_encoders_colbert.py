"""ColBERT against the formula in torch and against sentence-transformers, on small checkpoints of every layout."""

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

import checkpoints  # noqa: E402
from weft.encoders import ColBert, load  # noqa: E402

TEXTS = ["the red fox.", "wine", "crew meets aliens, in space! " * 9, "red or white wine or white foxes", "a, b"]
DIM = 8
Array = np.ndarray[Any, Any]


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def head(seed: int = 1) -> Any:
    return torch.randn(DIM, 32, generator=torch.Generator().manual_seed(seed))


def stanford(folder: Path, **metadata: Any) -> Path:
    """Save a checkpoint as ColBERT of Stanford does."""
    checkpoints.bert(folder)
    weights = safetensors.load_file(folder / "model.safetensors")
    named = {f"bert.{name}": value for name, value in weights.items()}
    safetensors.save_file({**named, "linear.weight": head()}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", {**config, "architectures": ["HF_ColBERT"]})
    if metadata:
        write(folder / "artifact.metadata", metadata)
    return folder


def modules(folder: Path, config: dict[str, Any], *others: str, transformer: dict[str, Any] | None = None) -> Path:
    """Save a checkpoint as PyLate and sentence-transformers do."""
    checkpoints.bert(folder)
    kinds = ["base.modules.transformer.Transformer", "base.modules.dense.Dense", *others]
    paths = ["", *(f"{number}_{kind.rpartition('.')[2]}" for number, kind in enumerate(kinds) if number)]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    write(folder / "modules.json", listed)
    write(folder / "config_sentence_transformers.json", config)
    write(folder / "sentence_bert_config.json", transformer or {})
    dense = {"in_features": 32, "out_features": DIM, "bias": False}
    write(folder / paths[1] / "config.json", {**dense, "activation_function": "torch.nn.modules.linear.Identity"})
    safetensors.save_file({"linear.weight": head()}, folder / paths[1] / "model.safetensors")
    return folder


def pylate(folder: Path, **config: Any) -> Path:
    return modules(
        folder, {"model_type": "ColBERT", "query_prefix": "[unused0]", "document_prefix": "[unused1]", **config}
    )


def modern(folder: Path, prompts: dict[str, str], skipped: list[str], **transformer: Any) -> Path:
    others = ["multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask", "base.modules.normalize.Normalize"]
    modules(folder, {"model_type": "MultiVectorEncoder", "prompts": prompts}, *others, transformer=transformer)
    write(folder / "2_MultiVectorMask" / "config.json", {"skiplist_words": skipped})
    write(folder / "3_Normalize" / "config.json", {"module_input_name": "token_embeddings"})
    return folder


def by_formula(folder: Path, ids: list[int], seen: list[bool], kept: list[bool]) -> Array:
    """Return the vectors of one text from its token ids, which tokens are seen, and which get vectors."""
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        states = model(input_ids=torch.tensor([ids]), attention_mask=torch.tensor([seen]).long()).last_hidden_state[0]
    vectors = states.double() @ head().double().T
    found: Array = (vectors / vectors.norm(dim=1, keepdim=True))[torch.tensor(kept)].numpy()
    return found


def words(text: str) -> list[int]:
    tokenizer = transformers.BertTokenizerFast(vocab={word: id for id, word in enumerate(checkpoints.WORDS)})
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def split(result: Any) -> list[Array]:
    flat, offsets = result
    return np.split(flat, offsets[1:-1])


PAD, CLS, SEP, MASK, QUERY, DOCUMENT = (
    checkpoints.WORDS.index(word) for word in ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]")
)
PUNCTUATION = {id for id, word in enumerate(checkpoints.WORDS) if word in string.punctuation}


@pytest.mark.parametrize("attend", [False, True])
def test_a_stanford_checkpoint_by_formula(tmp_path: Path, attend: bool) -> None:
    stanford(tmp_path, query_maxlen=16, doc_maxlen=24, dim=DIM, mask_punctuation=True, attend_to_mask_tokens=attend)
    encoder = load(tmp_path, precision="float32")
    assert isinstance(encoder, ColBert)
    assert (encoder.kind, encoder.dim, encoder.terms) == ("multivector", DIM, None)
    queries, documents = split(encoder.encode_query(TEXTS)), split(encoder.encode_document(TEXTS))
    for text, query, document in zip(TEXTS, queries, documents, strict=True):
        own = [CLS, QUERY, *words(text)[: 16 - 3], SEP]
        filled = [MASK] * (16 - len(own))
        seen = [True] * len(own) + [attend] * len(filled)
        assert np.allclose(query, by_formula(tmp_path, own + filled, seen, [True] * 16), atol=1e-5)
        own = [CLS, DOCUMENT, *words(text)[: 24 - 3], SEP]
        kept = [id not in PUNCTUATION for id in own]
        assert np.allclose(document, by_formula(tmp_path, own, [True] * len(own), kept), atol=1e-3)
        assert query.dtype == np.float32
        assert document.dtype == np.float16


def test_what_metadata_leaves_open(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path), max_document_tokens=30)
    assert encoder.recipe.skipped == tuple(string.punctuation)
    assert encoder.limits == {"query": 32, "document": 30}
    assert encoder.encode_query("fox").shape == (32, DIM)


def test_the_limit_of_queries_is_how_far_they_are_filled(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path, query_maxlen=16, doc_maxlen=24), max_query_tokens=20)
    assert encoder.encode_query("fox").shape == (20, DIM)
    assert encoder.settings["filled_query_tokens"] == 20


LAYOUTS = {
    "stanford": lambda folder: stanford(folder, query_maxlen=16, doc_maxlen=24),
    "attending": lambda folder: stanford(folder, query_maxlen=16, doc_maxlen=24, attend_to_mask_tokens=True),
    "with punctuation": lambda folder: stanford(folder, doc_maxlen=24, mask_punctuation=False),
    "pylate": lambda folder: pylate(folder, query_length=12, document_length=20),
    "pylate, attending": lambda folder: pylate(
        folder, query_length=12, document_length=20, attend_to_expansion_tokens=True, skiplist_words=["red"]
    ),
    "pylate, not filled": lambda folder: pylate(
        folder, query_length=12, document_length=20, do_query_expansion=False, prompts={"query": "white "}
    ),
    "pylate, markers unknown": lambda folder: pylate(
        folder, query_length=12, document_length=20, query_prefix="[q] ", document_prefix="[d] "
    ),
    "modern": lambda folder: modern(folder, {"query": "", "document": ""}, []),
    "modern, filled": lambda folder: modern(
        folder,
        {"query": "red ", "document": "white "},
        ["or", ","],
        query_expansion={"strategy": "fixed", "length": 14, "attend": True},
        document_length=30,
    ),
    "modern, filled at least": lambda folder: modern(
        folder,
        {},
        [],
        query_expansion={"strategy": "min", "length": 9, "attend": False, "token": "[unused0]"},
        query_length=20,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, layout: str) -> None:
    library = pytest.importorskip("sentence_transformers", minversion="6")
    ours, theirs = (
        load(LAYOUTS[layout](tmp_path), device="cpu"),
        library.MultiVectorEncoder(str(tmp_path), device="cpu"),
    )
    for role, precision in (("query", 1e-5), ("document", 1e-3)):
        expected = getattr(theirs, f"encode_{role}")(TEXTS, convert_to_numpy=True)
        found = split(getattr(ours, f"encode_{role}")(TEXTS))
        assert [each.shape for each in found] == [each.shape for each in expected]
        assert all(np.allclose(a, b, atol=precision) for a, b in zip(found, expected, strict=True))


def test_several_linear_layers_are_one(tmp_path: Path) -> None:
    folder = modern(tmp_path, {}, [])
    listed = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [*listed[:2], {**listed[1], "path": "4_Dense"}, *listed[2:]])
    second = torch.randn(3, DIM)
    write(folder / "4_Dense" / "config.json", json.loads((folder / "1_Dense" / "config.json").read_text()))
    safetensors.save_file({"linear.weight": second}, folder / "4_Dense" / "model.safetensors")
    encoder = ColBert(folder, precision="float32")
    ids = [CLS, *words("red fox"), SEP]
    states = by_formula(folder, ids, [True] * 4, [True] * 4) @ second.double().numpy().T
    expected = states / np.linalg.norm(states, axis=1, keepdims=True)
    assert encoder.dim == 3
    assert np.allclose(encoder.encode_query("red fox"), expected, atol=1e-4)


def test_a_result_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path, query_maxlen=16, doc_maxlen=24), precision="float32")
    together = encoder.encode_document(TEXTS)
    for size in (1, 2):
        flat, offsets = encoder.encode_document(TEXTS, batch_size=size)
        assert np.array_equal(offsets, together[1])
        assert np.allclose(flat, together[0], atol=1e-3)
    prepared = encoder.tokenize(TEXTS)
    assert prepared.truncated == 1
    assert np.array_equal(encoder.encode_tokens(prepared)[1], together[1])


def test_empty_texts_have_no_vectors(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path, query_maxlen=16, doc_maxlen=24))
    assert encoder.encode_document(["", "fox", " \n"])[1].tolist() == [0, 0, 4, 4]
    assert encoder.encode_document([])[1].tolist() == [0]
    assert encoder.encode_document([])[0].shape == (0, DIM)
    assert encoder.encode_query("").shape == (0, DIM)


def test_an_index_takes_and_finds_them(tmp_path: Path, path: Path) -> None:
    encoder = load(stanford(tmp_path, query_maxlen=16, doc_maxlen=24))
    index = weft.build(path, multivector=encoder.encode_document(TEXTS))
    query = encoder.encode_query("red wine")
    scores = weft.maxsim(query, encoder.encode_document(TEXTS))
    hits = index.search(multivector=query, k=1, exact=True)
    assert scores[hits.ids[0]] == pytest.approx(scores.max(), rel=0.02)
    assert index.search(multivector=encoder.encode_query(["red", "wine"]), k=2).ids.shape == (2, 2)


def test_every_vector_has_a_label(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path, query_maxlen=16, doc_maxlen=24))
    for text in [*TEXTS, "red, fox!", ""]:
        assert len(encoder.labels(text, "query")) == len(encoder.encode_query(text))
        assert len(encoder.labels(text, "document")) == len(encoder.encode_document([text])[0])
    assert {"red", "fox"} < set(encoder.labels("red, fox!", "document"))
    assert "," not in encoder.labels("red, fox!", "document")
    assert ColBert(tmp_path, pool_factor=2).labels("red fox", "document") == []


def test_pooling_is_for_documents(tmp_path: Path) -> None:
    stanford(tmp_path, query_maxlen=16, doc_maxlen=24)
    whole, pooled = ColBert(tmp_path), ColBert(tmp_path, pool_factor=2)
    assert np.array_equal(whole.encode_query("fox"), pooled.encode_query("fox"))
    flat, offsets = pooled.encode_document(TEXTS)
    lengths = np.diff(whole.encode_document(TEXTS)[1])
    assert np.diff(offsets).tolist() == [1 + -(-(length - 1) // 2) for length in lengths]
    assert np.allclose(np.linalg.norm(flat.astype(np.float32), axis=1), 1, atol=1e-3)
    assert weft.encoders.base.mismatch(whole.settings, pooled.settings) == "pool_factor is 2.0, not 1.0"


def test_settings_are_json_and_tell_models_apart(tmp_path: Path) -> None:
    encoder = ColBert(stanford(tmp_path / "a", query_maxlen=16, doc_maxlen=24))
    assert json.loads(json.dumps(encoder.settings)) == encoder.settings
    other = ColBert(stanford(tmp_path / "b", query_maxlen=16, doc_maxlen=24, attend_to_mask_tokens=True))
    assert weft.encoders.base.mismatch(encoder.settings, other.settings) == "attends_to_filler is True, not False"


def test_what_is_no_colbert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(weft.InvalidInput, match=r"linear\.weight"):
        ColBert(checkpoints.bert(tmp_path / "bert"))
    with pytest.raises(weft.InvalidInput, match=r"artifact\.metadata.*cosine"):
        ColBert(stanford(tmp_path / "l2", similarity="l2"))
    folder = modern(tmp_path / "dense", {}, [])
    write(folder / "1_Dense" / "config.json", {"bias": True, "activation_function": "torch.nn.modules.linear.Identity"})
    with pytest.raises(weft.InvalidInput, match=r"1_Dense.*without bias"):
        ColBert(folder)
    folder = modern(tmp_path / "mask", {}, [])
    write(folder / "2_MultiVectorMask" / "config.json", {"skiplist_tasks": ["query", "document"]})
    with pytest.raises(weft.InvalidInput, match="left out of documents only"):
        ColBert(folder)
    write(folder / "modules.json", json.loads((folder / "modules.json").read_text())[:2])
    with pytest.raises(weft.InvalidInput, match=r"modules\.json has Transformer, Dense; expected"):
        ColBert(folder)
    with pytest.raises(weft.InvalidInput, match="unknown option 'size'"):
        ColBert(stanford(tmp_path / "option"), size=1, max_document_tokens=30)  # type: ignore[call-arg]
    with pytest.raises(weft.NotFound):
        ColBert(tmp_path / "absent")


def test_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = stanford(tmp_path, query_maxlen=16, doc_maxlen=24)
    capfd.readouterr()
    load(folder).encode_document(TEXTS)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
