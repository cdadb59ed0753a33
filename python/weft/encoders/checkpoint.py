"""Reading a checkpoint: its folder, its files of settings, its tokenizer and its model."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft import inputs
from weft.encoders.device import require_torch
from weft.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import torch

_OTHER_FORMATS = ["*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.tflite", "*.gguf", "onnx/*", "openvino/*"]

_LARGEST_HEADER = 10**8
"""Bytes, as the safetensors format allows."""


def locate(name: str | PathLike[str], revision: str | None = None) -> Path:
    """Return the folder of that name, or else that of a model of the Hugging Face hub, fetched if need be."""
    folder = Path(inputs.path(name))
    if folder.is_dir():
        return folder
    if folder.exists() or not isinstance(name, str) or name.count("/") != 1 or name.startswith((".", "/")):
        raise NotFound(f"there is no folder {str(name)!r}")
    require_torch()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, ignore_patterns=_OTHER_FORMATS))
    except (OSError, ValueError) as error:
        raise NotFound(f"there is no folder {name!r}, and no such model could be fetched: {_brief(error)}") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or an empty dict where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as JSON: {error}") from error


def read_tensors(folder: Path) -> "dict[str, torch.Tensor]":
    """Return the tensors of a single file of weights, by name."""
    import torch

    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if not safe.exists() and not pickled.exists():
        raise InvalidInput(f"{folder} holds neither {safe.name} nor {pickled.name}")
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor]
    try:
        tensors = load_file(safe) if safe.exists() else torch.load(pickled, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InvalidInput(f"{folder}: its weights cannot be read: {_brief(error)}") from error
    return tensors


def tensor_names(folder: Path) -> set[str]:
    """Return the names of the tensors in ``model.safetensors``, if it is there and sound."""
    try:
        with (folder / "model.safetensors").open("rb") as file:
            header = file.read(min(int.from_bytes(file.read(8), "little"), _LARGEST_HEADER))
        return set(json.loads(header))
    except (OSError, ValueError):
        return set()


def load_tokenizer(folder: str | PathLike[str]) -> Any:
    """Return the tokenizer of a folder."""
    from transformers import AutoTokenizer

    return _loaded("tokenizer", AutoTokenizer, folder)


def load_model(kind: str, folder: str | PathLike[str], **arguments: Any) -> "torch.nn.Module":
    """Return the model of a folder, made by the class `kind` of transformers; every parameter must be in the folder."""
    import transformers

    model, report = _loaded("model", getattr(transformers, kind), folder, output_loading_info=True, **arguments)
    missing = sorted(report["missing_keys"])
    if missing:
        raise InvalidInput(f"{folder} lacks {len(missing)} parameters of {type(model).__name__}, such as {missing[0]}")
    return model


def _loaded(what: str, maker: Any, folder: str | PathLike[str], **arguments: Any) -> Any:
    if not os.path.isdir(folder):
        raise NotFound(f"there is no folder {os.fspath(folder)!r}")
    with _quiet():
        try:
            return maker.from_pretrained(folder, local_files_only=True, **arguments)
        except Exception as error:
            raise InvalidInput(f"{os.fspath(folder)}: its {what} cannot be loaded: {_brief(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the progress bars of transformers, and its report on weights that a model does not need."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _brief(error: Exception) -> str:
    """Return the first line of an error."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
