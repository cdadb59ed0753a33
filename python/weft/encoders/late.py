"""What encoders of token vectors have in common: the form of their results, and token pooling."""

from collections.abc import Sequence
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from weft.encoders.base import Columns, Options, Role, Tokens, TorchEncoder
from weft.encoders.checkpoint import load_model, read_json
from weft.encoders.pooling import check_factor, pool
from weft.errors import InvalidInput

if TYPE_CHECKING:
    import torch

Vectors = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
"""Flat vectors, (T, dim), float16 of documents and float32 of queries; and where each text's begin, (n + 1,)."""


class LateEncoder(TorchEncoder):
    """An encoder of token vectors. A subclass gives `_vectors`.

    Parameters
    ----------
    folder, tokenizer, options
        As for `TorchEncoder`.
    model : torch.nn.Module
        Of queries and documents alike.
    dim : int
        Dimensions of a vector.
    pool_factor : float
        Keep about one vector in `pool_factor` of a document; see `weft.encoders.pooling.pool`.
    """

    kind: Literal["multivector"] = "multivector"
    terms: None = None
    dim: int
    normalized = True
    """Whether vectors have length 1."""
    protected = 1
    """Vectors at the beginning of a document that pooling leaves as they are."""

    def __init__(
        self,
        folder: str | PathLike[str],
        tokenizer: Any,
        model: "torch.nn.Module",
        dim: int,
        pool_factor: float,
        options: Options,
    ) -> None:
        check_factor(pool_factor)
        super().__init__(folder, tokenizer, {"query": model, "document": model}, options)
        self.dim = dim
        self.pool_factor = float(pool_factor)

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {**super().settings, "dim": self.dim, "pool_factor": self.pool_factor}

    def encode_query(
        self, inputs: str | Sequence[str], *, batch_size: int | None = None, show_progress_bar: bool | None = None
    ) -> Any:
        """Return the token vectors of queries: an array for a lone str, otherwise arrays joined, with offsets.

        Parameters
        ----------
        inputs : str or sequence of str
        batch_size : int, optional
            The most queries in a batch. Default: as many as `Options` ``batch_tokens`` lets in.
        show_progress_bar : bool, optional
            Default: on a terminal, when tqdm is installed.

        Returns
        -------
        (n, dim) float32, or tuple of (T, dim) float32 and (len(inputs) + 1,) int64 offsets
            What `Index.search` takes as ``multivector=``.
        """
        flat, offsets = self._result(self.tokenize(_listed(inputs), "query"), batch_size, show_progress_bar)
        return flat if isinstance(inputs, str) else (flat, offsets)

    def encode_document(
        self, inputs: Sequence[str], *, batch_size: int | None = None, show_progress_bar: bool | None = None
    ) -> Vectors:
        """Return the token vectors of documents, which `Writer.add` takes as ``multivector=``.

        Parameters
        ----------
        inputs : sequence of str
        batch_size : int, optional
            The most documents in a batch. Default: as many as `Options` ``batch_tokens`` lets in.
        show_progress_bar : bool, optional
            Default: on a terminal, when tqdm is installed.

        Returns
        -------
        flat : (T, dim) float16
        offsets : (len(inputs) + 1,) int64
            Document i has the vectors ``flat[offsets[i] : offsets[i + 1]]``, none where its text is empty.
        """
        return self._result(self.tokenize(_listed(inputs)), batch_size, show_progress_bar)

    def encode_tokens(self, tokens: Tokens) -> Vectors:
        """Return the vectors of texts that `tokenize` has prepared, in batches of as many tokens as fit."""
        return self._result(tokens, None, False)

    def _result(self, tokens: Tokens, batch_size: int | None, show_progress: bool | None) -> Vectors:
        offsets, [flat] = self._encoded(tokens, batch_size, show_progress)
        if tokens.role == "query":
            return flat.astype(np.float32, copy=False), offsets
        return pool((flat, offsets), self.pool_factor, protected=self.protected, normalize=self.normalized)

    def _step(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", ...]:
        vectors, kept = self._vectors(ids, held, role)
        flat = vectors[kept]
        return kept.sum(dim=1), flat.float() if role == "query" else flat.half()

    def _empty(self) -> Columns:
        return (np.empty((0, self.dim), np.float16),)

    def _vectors(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return vectors, (b, t, dim), and which of them to keep, (b, t); ids and held as `_step` has them."""
        raise NotImplementedError


def load_backbone(folder: str | PathLike[str]) -> "torch.nn.Module":
    """Return the transformer of a folder, without the pooling layer that some have: token vectors do not need it."""
    return load_model("AutoModel", folder, **_without_pooling(folder))


def new_backbone(folder: str | PathLike[str], weights: "dict[str, torch.Tensor]") -> "torch.nn.Module":
    """Return a transformer of the configuration in a folder, with other weights."""
    from transformers import AutoConfig, AutoModel

    without = _without_pooling(folder)
    model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True), **without)
    try:
        missing, _ = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise InvalidInput(f"weights do not fit the transformer of {folder}: {error}") from error
    if missing:
        raise InvalidInput(f"weights of {len(missing)} parameters of {type(model).__name__} are missing: {missing[0]}")
    return model


def _without_pooling(folder: str | PathLike[str]) -> dict[str, bool]:
    from transformers import CONFIG_MAPPING, MODEL_MAPPING

    name = read_json(Path(folder) / "config.json").get("model_type")
    if name not in CONFIG_MAPPING:
        raise InvalidInput(f"{folder} has no config.json of a transformer; its model_type is {name!r}")
    parameters = signature(MODEL_MAPPING[CONFIG_MAPPING[name]].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


def _listed(inputs: str | Sequence[str]) -> Sequence[str]:
    return [inputs] if isinstance(inputs, str) else inputs
