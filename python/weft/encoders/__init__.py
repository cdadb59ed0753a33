"""Encoders: from text to sparse vectors and token vectors, with torch models.

Importing this package imports neither torch nor transformers; loading an encoder does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.encoders.adapters import Adapted, adapt
    from weft.encoders.base import Encoder, Options, Tokens
    from weft.encoders.colbert import ColBert
    from weft.encoders.colberter import ColBerTer
    from weft.encoders.inference_free import InferenceFree
    from weft.encoders.loading import load
    from weft.encoders.minilm import MiniLm
    from weft.encoders.slim import Slim
    from weft.encoders.splade import Splade

_PLACES = {
    "Adapted": "adapters",
    "ColBerTer": "colberter",
    "ColBert": "colbert",
    "Encoder": "base",
    "InferenceFree": "inference_free",
    "MiniLm": "minilm",
    "Options": "base",
    "Slim": "slim",
    "Splade": "splade",
    "Tokens": "base",
    "adapt": "adapters",
    "load": "loading",
}
"""Where each public name is defined."""

__all__ = [
    "Adapted",
    "ColBerTer",
    "ColBert",
    "Encoder",
    "InferenceFree",
    "MiniLm",
    "Options",
    "Slim",
    "Splade",
    "Tokens",
    "adapt",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
