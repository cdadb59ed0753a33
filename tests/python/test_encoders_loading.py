"""Encoders are recognised from their files, and those of sentence-transformers do what they do there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import checkpoints  # noqa: E402
from weft.encoders import InferenceFree, Splade, adapt, load  # noqa: E402
from weft.rows import rows  # noqa: E402

TEXTS = ["the red fox", "wine", "crew meets alien in space, " * 20, "red or white wine or white foxes", "☃ a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.masked_language_model(tmp_path_factory.mktemp("mlm"))


def same(left: Any, right: Any) -> bool:
    """Tell whether two sparse results have the same terms and nearly the same weights."""
    (a, b, c), (d, e, f) = rows(left, "int")[0], rows(right, "int")[0]
    return np.array_equal(a, d) and np.array_equal(b, e) and np.allclose(c, f, atol=1e-4)


def test_a_masked_language_model_is_splade(folder: Path) -> None:
    encoder = load(folder, document_terms=7)
    assert isinstance(encoder, Splade)
    assert not isinstance(encoder, InferenceFree)
    assert encoder.settings == Splade(folder, document_terms=7).settings
    assert encoder.settings["name"] == str(folder)


def test_a_table_of_weights_is_inference_free(tmp_path: Path) -> None:
    checkpoints.masked_language_model(tmp_path)
    (tmp_path / "idf.json").write_text('{"fox": 1.5}')
    encoder = load(str(tmp_path), name="mine")
    assert isinstance(encoder, InferenceFree)
    assert encoder.encode_query("fox") == {"fox": 1.5}
    assert encoder.settings["name"] == "mine"


def test_the_type_may_be_given(tmp_path: Path, folder: Path) -> None:
    checkpoints.masked_language_model(tmp_path)
    (tmp_path / "idf.json").write_text('{"fox": 1.5}')
    assert type(load(tmp_path, type="splade")) is Splade
    with pytest.raises(weft.InvalidInput, match="type must be one of splade"):
        load(folder, type="word2vec")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(weft.InvalidInput, match=r"modules\.json.*artifact\.metadata.*idf\.json.*ForMaskedLM"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}')
    with pytest.raises(weft.InvalidInput, match="no checkpoint of a known encoder"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(weft.InvalidInput, match=r"config\.json cannot be read as JSON"):
        load(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    for name in (tmp_path / "absent", str(tmp_path / "absent"), "./absent/folder", "absent"):
        with pytest.raises(weft.NotFound, match="absent"):
            load(name)
    with pytest.raises(weft.NotFound, match="absent"):
        Splade(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(weft.NotFound, match="file"):
        load(tmp_path / "file")


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(weft.NotFound, match="no route"):
        load("somebody/something")


def test_a_model_of_the_hub_keeps_its_name(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    asked = []

    def download(name: str, revision: str | None, **options: Any) -> str:
        asked.append((name, revision))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    settings = load("somebody/something", revision="v1").settings
    assert (settings["name"], settings["revision"]) == ("somebody/something", "v1")
    assert "revision" not in load(folder, revision="v1").settings
    assert asked == [("somebody/something", "v1")]


def test_missing_parts_are_named(tmp_path: Path, folder: Path) -> None:
    bare = checkpoints.bert(tmp_path / "bare")
    with pytest.raises(weft.InvalidInput, match=r"lacks .* parameters of BertForMaskedLM"):
        load(bare, type="splade")
    for name in ("model.safetensors", "tokenizer.json"):
        broken = checkpoints.masked_language_model(tmp_path / name)
        (broken / name).write_text("nonsense")
        with pytest.raises(weft.InvalidInput, match="cannot be loaded"):
            load(broken)


def test_nothing_is_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder).encode_document(TEXTS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_splade_of_sentence_transformers(folder: Path, tmp_path: Path, pooling: Any, activation: Any) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    theirs = library.SparseEncoder(modules=[_transformer(folder), SpladePooling(pooling, activation)], device="cpu")
    theirs.save_pretrained(str(tmp_path))
    ours = load(tmp_path, terms="int", precision="float32")
    assert isinstance(ours, Splade)
    assert ours.limits == {"query": checkpoints.POSITIONS, "document": checkpoints.POSITIONS}
    assert same(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))
    assert same(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
    assert same(
        load(tmp_path, terms="int", document_terms=4).encode_document(TEXTS),
        theirs.encode_document(TEXTS, max_active_dims=4),
    )


def test_prompts_and_lengths_of_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    prompts = {"query": "red ", "document": "white "}
    theirs = library.SparseEncoder(str(folder), device="cpu", prompts=prompts)
    theirs.max_seq_length = 20
    theirs.save_pretrained(str(tmp_path))
    ours = load(tmp_path, terms="int", precision="float32")
    assert same(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))
    assert same(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
    assert ours.settings["document_prompt"] == "white "
    assert ours.settings["max_document_tokens"] == 20
    assert load(tmp_path, document_prompt="", max_document_tokens=30).settings["max_document_tokens"] == 30


def test_inference_free_of_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sparse_encoder.modules import Router, SparseStaticEmbedding, SpladePooling

    weight = torch.rand(len(checkpoints.WORDS))
    weight[:5] = 0
    router = Router.for_query_document(
        [SparseStaticEmbedding(checkpoints.tokenizer(tmp_path / "words"), weight, frozen=True)],
        [_transformer(folder), SpladePooling("max", "log1p_relu")],
    )
    theirs = library.SparseEncoder(modules=[router], device="cpu")
    theirs.save_pretrained(str(tmp_path / "saved"))
    ours = load(tmp_path / "saved", terms="int", precision="float32")
    assert isinstance(ours, InferenceFree)
    assert ours.activation == "log1p_log1p_relu"
    assert same(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
    expected = theirs.encode_document(TEXTS).to_dense()
    expected[:, :5] = 0
    assert same(ours.encode_document(TEXTS), expected.to_sparse())


def test_two_models_of_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sparse_encoder.modules import Router, SpladePooling

    other = checkpoints.masked_language_model(tmp_path / "other", seed=5)
    router = Router.for_query_document([_transformer(other), SpladePooling()], [_transformer(folder), SpladePooling()])
    theirs = library.SparseEncoder(modules=[router], device="cpu")
    theirs.save_pretrained(str(tmp_path / "saved"))
    ours = load(tmp_path / "saved", terms="int", precision="float32")
    assert same(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
    assert same(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))


def test_token_vectors_are_recognised(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    stanford = checkpoints.bert(tmp_path / "stanford", max_position_embeddings=256)
    tensors = {f"bert.{name}": value for name, value in load_file(stanford / "model.safetensors").items()}
    save_file({**tensors, "linear.weight": torch.rand(16, 32)}, stanford / "model.safetensors")
    encoder = load(stanford)
    assert (encoder.kind, encoder.dim, encoder.settings["type"]) == ("multivector", 16, "colbert")
    library = pytest.importorskip("sentence_transformers", minversion="6")
    theirs = library.MultiVectorEncoder(str(checkpoints.bert(tmp_path / "bert")), device="cpu")
    theirs.save_pretrained(str(tmp_path / "saved"))
    encoder = load(tmp_path / "saved")
    assert (encoder.kind, encoder.dim, encoder.settings["type"]) == ("multivector", 128, "colbert")


def test_one_vector_a_text_is_refused(tmp_path: Path) -> None:
    modules = [{"path": "", "type": "x.models.Transformer"}, {"path": "1_Pooling", "type": "x.models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(weft.InvalidInput, match=r"Transformer, Pooling.*adapt"):
        load(tmp_path)


def _transformer(folder: Path) -> Any:
    from sentence_transformers.sparse_encoder.modules import Transformer

    return Transformer(str(folder), transformer_task="fill-mask")


def test_adapted_sparse_encoders(folder: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    theirs = library.SparseEncoder(str(folder), device="cpu")
    encoder = adapt(theirs, name="theirs")
    assert (encoder.kind, encoder.terms, encoder.dim) == ("sparse", "int", None)
    assert encoder.settings == {"name": "theirs", "type": "SparseEncoder"}
    assert same(encoder.encode_document(TEXTS), theirs.encode_document(TEXTS))
    assert encoder.encode_document([])[0].tolist() == [0]
    index = weft.build(tmp_path / "index", sparse=encoder.encode_document(TEXTS))
    assert index.search(sparse=encoder.encode_query("wine"), k=2).ids.shape == (2,)
    assert index.search(sparse=encoder.encode_query(["wine", "fox"]), k=2).ids.shape == (2, 2)


def test_adapted_multi_vector_encoders(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers", minversion="6")
    theirs = library.MultiVectorEncoder(str(checkpoints.bert(tmp_path / "bert")), device="cpu")
    encoder = adapt(theirs, name="theirs")
    assert (encoder.kind, encoder.terms, encoder.dim) == ("multivector", None, 128)
    flat, offsets = encoder.encode_document(TEXTS)
    assert (flat.dtype, flat.shape, len(offsets)) == (np.float16, (offsets[-1], 128), len(TEXTS) + 1)
    assert encoder.encode_document([])[0].shape == (0, 128)
    index = weft.build(tmp_path / "index", multivector=(flat, offsets))
    assert index.search(multivector=encoder.encode_query("wine"), k=2).ids.shape == (2,)


class Letters:
    """An encoder as a user may write it."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def encode_query(self, text: Any) -> Any:
        """Return what was given."""
        return self.made

    encode_document = encode_query


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([{"a": 1.0}], ("sparse", "str", None)),
        ([{1: 1.0}], ("sparse", "int", None)),
        ((np.array([0, 1]), np.array([3]), np.array([1.0])), ("sparse", "int", None)),
        (np.ones((1, 3, 8)), ("multivector", None, 8)),
        ((np.ones((3, 8)), np.array([0, 3])), ("multivector", None, 8)),
        ([np.ones((3, 8))], ("multivector", None, 8)),
        ([torch.ones((3, 8))], ("multivector", None, 8)),
        (torch.ones((1, 8)).to_sparse(), ("sparse", "int", None)),
    ],
)
def test_the_kind_is_told_by_what_an_encoder_makes(made: Any, expected: Any) -> None:
    encoder = adapt(Letters(made), name="letters")
    assert (encoder.kind, encoder.terms, encoder.dim) == expected
    assert isinstance(encoder, weft.encoders.Encoder)
    assert len(encoder.encode_document(["a"])) == (3 if encoder.kind == "sparse" else 2)


def test_what_is_no_encoder_is_refused() -> None:
    with pytest.raises(weft.InvalidInput, match="encode_query"):
        adapt(object(), name="x")
    with pytest.raises(weft.InvalidInput, match="dense"):
        adapt(Letters(torch.ones((1, 8))), name="x")
    with pytest.raises(weft.InvalidInput, match="kind must be"):
        adapt(Letters([{"a": 1.0}]), name="x", kind="dense")  # type: ignore[arg-type]
