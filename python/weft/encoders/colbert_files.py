"""Checkpoints of ColBERT models: those of Stanford, and those of PyLate and sentence-transformers."""

import string
from dataclasses import dataclass
from functools import reduce
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from weft import inputs
from weft.encoders.checkpoint import load_tokenizer, locate, read_json, read_tensors
from weft.encoders.late import load_backbone
from weft.errors import InvalidInput

if TYPE_CHECKING:
    import torch

_HEAD = "linear.weight"
_PUNCTUATION = tuple(string.punctuation)
_MODULES = {"Transformer", "Dense", "MultiVectorMask", "Normalize"}
_PYLATE = {"query_prefix", "document_prefix", "do_query_expansion", "attend_to_expansion_tokens", "skiplist_words"}


@dataclass(frozen=True)
class Recipe:
    """How a ColBERT model wants its texts.

    Attributes
    ----------
    query_marker, document_marker : str
        A token that is put after the first special one; none if empty.
    query_prompt, document_prompt : str
        Put before each text.
    query_tokens, document_tokens : int, optional
        Longer texts are cut; special tokens and markers count.
    filled_query_tokens : int
        Shorter queries are filled up to this many tokens.
    filler : str
        The token they are filled with.
    attends_to_filler : bool
        Whether other tokens see those that were filled in.
    skipped : tuple of str
        Tokens that get no vector in documents.
    """

    query_marker: str = ""
    document_marker: str = ""
    query_prompt: str = ""
    document_prompt: str = ""
    query_tokens: int | None = 32
    document_tokens: int | None = 180
    filled_query_tokens: int = 0
    filler: str = "[MASK]"
    attends_to_filler: bool = False
    skipped: tuple[str, ...] = ()


class Checkpoint(NamedTuple):
    """What a folder holds.

    Attributes
    ----------
    tokenizer : PreTrainedTokenizerBase
    model : torch.nn.Module
        Returns ``last_hidden_state``.
    head : (dim, hidden) float32 tensor
    recipe : Recipe
    """

    tokenizer: Any
    model: "torch.nn.Module"
    head: "torch.Tensor"
    recipe: Recipe


def read(path: str | PathLike[str]) -> Checkpoint:
    """Read a ColBERT checkpoint, of either kind.

    Parameters
    ----------
    path : str or path object
        A folder.

    Raises
    ------
    InvalidInput
        The folder holds something else, or wants what is not supported; the message names the file.
    NotFound
        There is no such folder.
    """
    folder = locate(Path(inputs.path(path)))
    if (folder / "modules.json").is_file():
        return _modules(folder)
    return _stanford(folder)


def _stanford(folder: Path) -> Checkpoint:
    head = _head(folder)
    metadata = read_json(folder / "artifact.metadata")
    if metadata.get("similarity", "cosine") != "cosine":
        raise InvalidInput(f"{folder / 'artifact.metadata'}: only cosine similarity is supported")
    tokenizer = load_tokenizer(folder)
    length = metadata.get("query_maxlen") or 32
    recipe = Recipe(
        **_marker("query", metadata.get("query_token_id") or "[unused0]", "", tokenizer),
        **_marker("document", metadata.get("doc_token_id") or "[unused1]", "", tokenizer),
        query_tokens=length,
        document_tokens=metadata.get("doc_maxlen") or 180,
        filled_query_tokens=length,
        filler=tokenizer.mask_token or "",
        attends_to_filler=bool(metadata.get("attend_to_mask_tokens")),
        skipped=_PUNCTUATION if metadata.get("mask_punctuation", True) else (),
    )
    return Checkpoint(tokenizer, load_backbone(folder), head, recipe)


def _modules(folder: Path) -> Checkpoint:
    modules = read_json(folder / "modules.json")
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    config = read_json(folder / "config_sentence_transformers.json")
    normalized = "Normalize" in kinds or config.get("model_type") == "ColBERT"
    if kinds[:1] != ["Transformer"] or "Dense" not in kinds or set(kinds) - _MODULES or not normalized:
        raise InvalidInput(
            f"{folder / 'modules.json'} has {', '.join(kinds)}; expected Transformer, Dense, MultiVectorMask and "
            "Normalize. Other models of sentence-transformers can be loaded with it and passed to weft.encoders.adapt"
        )
    paths = [folder / module["path"] for module in modules]
    dense = [_dense(path) for kind, path in zip(kinds, paths, strict=True) if kind == "Dense"]
    masks = [read_json(path / "config.json") for kind, path in zip(kinds, paths, strict=True) if "Mask" in kind]
    tokenizer = load_tokenizer(paths[0])
    settings = read_json(paths[0] / "sentence_bert_config.json") | {
        key: value for key, value in config.items() if value is not None or key == "query_expansion"
    }
    recipe = _recipe(folder, settings, masks[0] if masks else {}, tokenizer)
    return Checkpoint(tokenizer, load_backbone(paths[0]), reduce(lambda product, each: each @ product, dense), recipe)


def _dense(folder: Path) -> "torch.Tensor":
    config = read_json(folder / "config.json")
    activation = str(config.get("activation_function", "")).rpartition(".")[2]
    if config.get("bias") or config.get("use_residual") or activation != "Identity":
        raise InvalidInput(f"{folder}: only a linear layer without bias and residual is supported, not {config}")
    return _head(folder)


def _head(folder: Path) -> "torch.Tensor":
    found = read_tensors(folder)
    if _HEAD not in found:
        raise InvalidInput(f"{folder} has no {_HEAD}, the head of a ColBERT model")
    return found[_HEAD].float()


def _recipe(folder: Path, settings: dict[str, Any], mask: dict[str, Any], tokenizer: Any) -> Recipe:
    pylate = bool(_PYLATE & settings.keys())
    if mask.get("keep_only_token_ids") or mask.get("skiplist_tasks", ["document"]) != ["document"]:
        raise InvalidInput(f"{folder}: tokens can be left out of documents only, and only by a list of those to skip")
    skipped = settings.get("skiplist_words", mask.get("skiplist_words"))
    length = settings.get("query_length")
    filling = settings.get("query_expansion")
    if pylate and "query_expansion" not in settings and settings.get("do_query_expansion", True):
        filling = {"length": length or 32, "attend": settings.get("attend_to_expansion_tokens")}
    filling = filling or {}
    filled = filling.get("length") or 0
    prompts = settings.get("prompts") or {}
    return Recipe(
        **_marker("query", settings.get("query_prefix") or "", prompts.get("query") or "", tokenizer),
        **_marker("document", settings.get("document_prefix") or "", prompts.get("document") or "", tokenizer),
        query_tokens=length if filling.get("strategy") == "min" or not filled else filled,
        document_tokens=settings.get("document_length"),
        filled_query_tokens=filled,
        filler=filling.get("token") or tokenizer.mask_token or tokenizer.eos_token or "",
        attends_to_filler=bool(filling.get("attend")),
        skipped=tuple(skipped if skipped is not None else _PUNCTUATION if pylate else ()),
    )


def _marker(role: str, prefix: str, prompt: str, tokenizer: Any) -> dict[str, Any]:
    """Return the prefix as a marker where it is a token, with or without space around it, and else as a prompt."""
    vocabulary = tokenizer.get_vocab()
    prompt = prompt.removeprefix(prefix)
    for token in (prefix, prefix.strip()):
        if token in vocabulary:
            return {f"{role}_marker": token, f"{role}_prompt": prompt}
    return {f"{role}_prompt": prefix + prompt}
