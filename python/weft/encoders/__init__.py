"""Encoders: from text to sparse vectors and token vectors, with torch models.

Importing this package imports neither torch nor transformers; loading an encoder does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.encoders.base import Encoder, Tokens

_PLACES = {
    "Encoder": "base",
    "Tokens": "base",
}
"""Where each public name is defined."""

__all__ = ["Encoder", "Tokens"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
