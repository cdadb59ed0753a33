"""ColBERTer against the formula, word by word, on small random checkpoints laid out as the published ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

import checkpoints  # noqa: E402
from weft.encoders import ColBerTer, load  # noqa: E402
from weft.encoders.colberter import whole_words  # noqa: E402

TEXTS = ["the red foxes", "", "wine or wine", "crew meets aliens, in space! " * 3, "foxes fox foxes", " ", "a, b"]
DIM = 6
Array = np.ndarray[Any, Any]


def checkpoint(folder: Path, gated: bool = True, last: int | None = None, pickled: bool = False, **config: Any) -> Path:
    """Save a checkpoint and, in a folder within, the model that it was made from."""
    checkpoints.bert(folder / "base", seed=1)
    source = checkpoints.bert(folder / "trained", seed=2) / "model.safetensors"
    generator = torch.Generator().manual_seed(3)
    layers = {"compressor": (DIM, 32), "compressor_retrieval": (12, 32)}
    layers |= {"stop_word_reducer": (1, DIM)} if gated else {}
    layers |= {"mini_compressor": (last, DIM)} if last else {}
    tensors = {f"bert_model.{name}": value for name, value in safetensors.load_file(source).items()}
    for name, shape in layers.items():
        tensors[f"{name}.weight"] = torch.randn(shape, generator=generator)
        tensors[f"{name}.bias"] = torch.randn(shape[0], generator=generator) / 4
    tensors["score_merger"] = torch.zeros(1)
    held = {"model_type": "ColBERT", "bert_model": "base", "aggregate_unique_ids": True, "compression_dim": DIM}
    (folder / "config.json").write_text(json.dumps({**held, **config}))
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        safetensors.save_file(tensors, folder / "model.safetensors")
    return folder


def tensors(folder: Path) -> dict[str, Array]:
    return {name: value.double().numpy() for name, value in safetensors.load_file(folder / "model.safetensors").items()}


def by_formula(folder: Path, text: str, gated: bool) -> Array:
    """Return the vectors of one text: means of its whole words, in the order of their first appearance."""
    weights = tensors(folder)
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder / "base")
    model = transformers.BertModel.from_pretrained(folder / "trained", add_pooling_layer=False).eval()
    encoding = tokenizer(text, return_tensors="pt", truncation=True, max_length=checkpoints.POSITIONS)
    with torch.no_grad():
        states = model(**encoding).last_hidden_state[0].double().numpy()
    compressed = states @ weights["compressor.weight"].T + weights["compressor.bias"]
    words: dict[str, list[int]] = {}
    for position, word in enumerate(encoding.word_ids()):
        if word is not None:
            span = encoding.word_to_chars(word)
            words.setdefault(text[span.start : span.end].lower(), []).append(position)
    vectors = np.array([compressed[positions].mean(axis=0) for positions in words.values()])
    if gated:
        gate = np.maximum(0, vectors @ weights["stop_word_reducer.weight"][0] + weights["stop_word_reducer.bias"])
        vectors = (vectors * gate[:, None])[gate > 0]
    if "mini_compressor.weight" in weights:
        vectors = vectors @ weights["mini_compressor.weight"].T + weights["mini_compressor.bias"]
    return vectors


def split(result: Any) -> list[Array]:
    flat, offsets = result
    return np.split(flat, offsets[1:-1])


@pytest.mark.parametrize(("gated", "last"), [(True, None), (False, None), (True, 2)])
def test_vectors_are_those_of_the_formula(tmp_path: Path, gated: bool, last: int | None) -> None:
    encoder = ColBerTer(checkpoint(tmp_path, gated, last), precision="float32")
    assert (encoder.kind, encoder.dim, encoder.terms) == ("multivector", last or DIM, None)
    queries, documents = split(encoder.encode_query(TEXTS)), split(encoder.encode_document(TEXTS))
    for text, query, document in zip(TEXTS, queries, documents, strict=True):
        if not text.strip():
            assert len(query) == len(document) == 0
            continue
        assert np.allclose(query, by_formula(tmp_path, text, gated=False), atol=1e-4)
        expected = by_formula(tmp_path, text, gated)
        assert document.shape == expected.shape
        assert np.allclose(document, expected, rtol=2e-3, atol=2e-3)
    assert gated == (sum(map(len, documents)) < sum(map(len, queries)))


def test_pickled_weights_and_a_tokenizer_of_its_own(tmp_path: Path) -> None:
    safe = ColBerTer(checkpoint(tmp_path / "safe"))
    checkpoint(tmp_path / "pickled", pickled=True)
    checkpoints.tokenizer(tmp_path / "pickled")
    pickled = load(tmp_path / "pickled")
    assert isinstance(pickled, ColBerTer)
    assert pickled.settings == load(tmp_path / "pickled", type="colberter").settings
    assert pickled.settings == {**safe.settings, "name": str(tmp_path / "pickled")}
    assert np.array_equal(pickled.encode_query("red foxes"), safe.encode_query("red foxes"))


def test_pooling_keeps_lengths(tmp_path: Path) -> None:
    checkpoint(tmp_path, gated=False)
    flat, offsets = ColBerTer(tmp_path).encode_document(["red fox"])
    pooled, ends = ColBerTer(tmp_path, pool_factor=2).encode_document(["red fox"])
    assert (offsets[-1], ends[-1]) == (2, 1)
    assert np.allclose(pooled[0], flat.astype(np.float32).mean(axis=0), rtol=2e-3)


def test_what_is_no_colberter_is_refused(tmp_path: Path) -> None:
    for name, changes, reason in [
        ("uni", {"compress_to_exact_mini_mode": True}, "Uni-ColBERTer"),
        ("subwords", {"aggregate_unique_ids": False}, "aggregate_unique_ids"),
        ("none", {"bert_model": None}, "bert_model"),
    ]:
        with pytest.raises(weft.InvalidInput, match=reason):
            ColBerTer(checkpoint(tmp_path / name, **changes))
    folder = checkpoint(tmp_path / "bare")
    safetensors.save_file({"score_merger": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(weft.InvalidInput, match="parameters of BertModel are missing"):
        ColBerTer(folder)
    with pytest.raises(weft.NotFound):
        ColBerTer(checkpoint(tmp_path / "base", bert_model="absent"))
    with pytest.raises(weft.NotFound):
        ColBerTer(tmp_path / "absent")


@given(st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=3), max_size=6))
def test_whole_words(words: list[list[int]]) -> None:
    """Pieces from 10 on continue a word that begins with one below."""
    pieces = [[word[0], *(10 + each for each in word[1:])] for word in words]
    ids = [1, *(id for word in pieces for id in word), 2]
    numbers = whole_words(ids, continuing=range(10, 20), special={1, 2})
    distinct = list(dict.fromkeys(map(tuple, pieces)))
    expected = [distinct.index(tuple(word)) for word in pieces for _ in word]
    assert numbers == [len(ids), *expected, len(ids)]
