"""Telling from its files what a checkpoint is."""

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from weft.encoders.base import Encoder
from weft.encoders.checkpoint import locate, read_json, read_tensors, tensor_names
from weft.encoders.inference_free import IDF
from weft.errors import InvalidInput
from weft.inputs import shown

MINILM = "minilm"
_ACTIVATIONS = {"relu": "log1p_relu", "log1p_relu": "log1p_log1p_relu"}
"""Names of activations in sentence-transformers, where a logarithm follows."""

_TYPES = {
    "splade": "Splade",
    "inference_free": "InferenceFree",
    "colbert": "ColBert",
    "colberter": "ColBerTer",
    "slim": "Slim",
}
"""The classes behind ``type=``."""

Arguments = dict[str, Any]
Found = tuple[str, Arguments] | None
"""The class of an encoder and its arguments, if it was recognised."""


def load(
    name_or_path: str | PathLike[str], *, type: str | None = None, revision: str | None = None, **options: Any
) -> Encoder:
    """Load an encoder; what it is, its files tell.

    ================================  ==========================================================================
    encoder                           recognised by
    ================================  ==========================================================================
    `MiniLm`                          the name ``"minilm"``
    `ColBert`                         ``artifact.metadata``, the architecture ``HF_ColBERT`` or a ``linear.weight``;
                                      or ``modules.json`` with token vectors (PyLate, sentence-transformers)
    `ColBerTer`                       ``bert_model`` and ``aggregate_unique_ids`` in ``config.json``
    `Splade`                          ``modules.json`` with a SPLADE pooling, or the architecture ``...ForMaskedLM``
    `InferenceFree`                   ``idf.json``, or ``modules.json`` with a table of weights for queries
    ================================  ==========================================================================

    Parameters
    ----------
    name_or_path : str or path object
        A folder; or a model of the Hugging Face hub, which is fetched into its cache; or ``"minilm"``.
    type : {"splade", "inference_free", "colbert", "colberter", "slim"}, optional
        What it is, where the files do not tell.
    revision : str, optional
        Of a model of the hub: a branch, a tag or a commit.
    **options
        Of the encoder's class; they come before what the checkpoint says.

    Returns
    -------
    Encoder

    Raises
    ------
    NotFound
        There is no such folder, and the hub has no such model or cannot be reached.
    InvalidInput
        The folder is no checkpoint of a known encoder, or lacks a part of it; or an option is malformed.
    Error
        torch or transformers is missing.

    Examples
    --------
    >>> encoder = weft.encoders.load("minilm")  # doctest: +SKIP
    >>> encoder.kind, encoder.dim  # doctest: +SKIP
    ('multivector', 128)
    """
    if name_or_path == MINILM:
        return _make("MiniLm", options)
    folder = locate(name_or_path, revision)
    of_hub = not Path(name_or_path).is_dir()
    options = {"name": str(name_or_path if of_hub else folder), "revision": revision if of_hub else None, **options}
    if type is not None:
        if type not in _TYPES:
            raise InvalidInput(f"type must be one of {', '.join(_TYPES)}, not {shown(type)}")
        return _make(_TYPES[type], {"folder": folder, **options})
    for recognise in (_modules, _colberter, _colbert, _inference_free, _masked_language_model):
        found = recognise(folder)
        if found is not None:
            return _make(found[0], {**found[1], **options})
    raise InvalidInput(
        f"{folder} is no checkpoint of a known encoder: it has no modules.json, no artifact.metadata, no "
        f"linear.weight, no idf.json, and no config.json with an architecture ...ForMaskedLM; give type= if it is one"
    )


def _make(encoder: str, arguments: Arguments) -> Encoder:
    import weft.encoders

    made: Encoder = getattr(weft.encoders, encoder)(**arguments)
    return made


def _colberter(folder: Path) -> Found:
    config = read_json(folder / "config.json")
    is_one = isinstance(config.get("bert_model"), str) and bool(config.get("aggregate_unique_ids"))
    return ("ColBerTer", {"folder": folder}) if is_one else None


def _colbert(folder: Path) -> Found:
    told = "HF_ColBERT" in _architectures(folder) or (folder / "artifact.metadata").exists()
    return ("ColBert", {"folder": folder}) if told or "linear.weight" in tensor_names(folder) else None


def _inference_free(folder: Path) -> Found:
    return ("InferenceFree", {"folder": folder}) if (folder / IDF).exists() else None


def _masked_language_model(folder: Path) -> Found:
    is_one = any(name.endswith("ForMaskedLM") for name in _architectures(folder))
    return ("Splade", {"folder": folder}) if is_one else None


def _architectures(folder: Path) -> list[str]:
    return read_json(folder / "config.json").get("architectures") or []


class _Module(NamedTuple):
    """A module of sentence-transformers: its class, without the package, and its folder."""

    kind: str
    folder: Path


def _modules(folder: Path) -> Found:
    """Recognise a model of sentence-transformers, which is a list of modules."""
    listed = read_json(folder / "modules.json")
    modules = [_Module(each["type"].rpartition(".")[2], folder / each["path"]) for each in listed]
    kinds = [module.kind for module in modules]
    if not modules:
        return None
    if kinds == ["Router"]:
        return _routed(folder, modules[0].folder)
    if "SpladePooling" in kinds:
        return "Splade", {**_splade(folder, modules), **_prompts(folder)}
    if "Dense" in kinds and "Pooling" not in kinds:
        return "ColBert", {"folder": folder}
    raise _unsupported(folder, kinds)


def _routed(folder: Path, router: Path) -> Found:
    """Recognise modules that differ between queries and documents."""
    config = read_json(router / "router_config.json")
    routes = {
        role: [_Module(config["types"][path].rpartition(".")[2], router / path) for path in paths]
        for role, paths in config["structure"].items()
    }
    queries, documents = routes.get("query", []), routes.get("document", [])
    arguments = {**_splade(folder, documents), **_prompts(folder)}
    if [module.kind for module in queries] == ["SparseStaticEmbedding"]:
        return "InferenceFree", {**arguments, "idf": _query_weights(folder, queries[0].folder)}
    others = _splade(folder, queries)
    if any(others[name] != arguments[name] for name in ("pooling", "activation")):
        raise InvalidInput(f"{folder} pools queries and documents differently, which is not supported")
    return "Splade", {**arguments, "query_model": others["folder"], "max_query_tokens": others["max_query_tokens"]}


def _splade(folder: Path, modules: list[_Module]) -> Arguments:
    """Return what a masked language model and its pooling say."""
    kinds = [module.kind for module in modules]
    if len(kinds) != 2 or kinds[0] not in ("Transformer", "MLMTransformer") or kinds[1] != "SpladePooling":
        raise _unsupported(folder, kinds)
    model, pooling = modules[0].folder, read_json(modules[1].folder / "config.json")
    most = _most_tokens(model)
    return {
        "folder": model,
        "pooling": pooling.get("pooling_strategy", "max"),
        "activation": _ACTIVATIONS[pooling.get("activation_function", "relu")],
        "max_query_tokens": most,
        "max_document_tokens": most,
    }


def _most_tokens(folder: Path) -> int | None:
    """Return the length that sentence-transformers cuts texts to."""
    limits = [
        read_json(folder / "sentence_bert_config.json").get("max_seq_length"),
        read_json(folder / "tokenizer_config.json").get("model_max_length"),
        read_json(folder / "config.json").get("max_position_embeddings"),
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _prompts(folder: Path) -> Arguments:
    config = read_json(folder / "config_sentence_transformers.json")
    prompts = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name"), "")
    document = next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), default)
    return {"query_prompt": prompts.get("query", default), "document_prompt": document}


def _query_weights(folder: Path, table: Path) -> Any:
    """Return the path of a table of weights, or the weight of each vocabulary entry."""
    path = read_json(table / "config.json").get("path")
    if path is not None:
        return folder / path if (folder / path).exists() else folder / IDF
    return read_tensors(table)["weight"].float().numpy()


def _unsupported(folder: Path, kinds: list[str]) -> InvalidInput:
    return InvalidInput(
        f"{folder / 'modules.json'} joins {', '.join(kinds)}, which makes neither SPLADE weights nor token vectors "
        "that weft knows of; load it with sentence-transformers and pass it to weft.encoders.adapt"
    )
