"""Small random models in folders, as `save_pretrained` of transformers writes them."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

torch.set_num_threads(1)  # models this small gain nothing by more

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-äé"
WORDS = [
    *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"],
    *["the", "red", "fox", "wine", "white", "or", "crew", "meets", "alien", "in", "space", "##es", "##ing"],
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
]
POSITIONS = 64
"""Most tokens of a text."""


def tokenizer(folder: Path) -> Any:
    """Save a WordPiece tokenizer that knows `WORDS`."""
    made = transformers.BertTokenizerFast(
        vocab={word: number for number, word in enumerate(WORDS)}, model_max_length=POSITIONS
    )
    made.save_pretrained(folder)
    return made


def config(kind: str = "bert", **changes: Any) -> Any:
    """Return a configuration of a model with 32 dimensions and two layers."""
    size = {
        "vocab_size": len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.3,
    }
    return transformers.AutoConfig.for_model(kind, **{**size, **changes})


def masked_language_model(folder: Path, kind: str = "bert", seed: int = 0, **changes: Any) -> Path:
    """Save a random masked language model with its tokenizer."""
    torch.manual_seed(seed)
    transformers.AutoModelForMaskedLM.from_config(config(kind, **changes)).save_pretrained(folder)
    tokenizer(folder)
    return folder


def bert(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Save a random BERT without head, with its tokenizer."""
    torch.manual_seed(seed)
    transformers.BertModel(config(**changes), add_pooling_layer=False).save_pretrained(folder)
    tokenizer(folder)
    return folder
