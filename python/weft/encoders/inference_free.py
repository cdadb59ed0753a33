"""Queries without a model: each wordpiece has one weight, whatever its context."""

import hashlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.encoders.base import Options, Role, Tokens
from weft.encoders.checkpoint import read_json
from weft.encoders.splade import Activation, Pooling, Splade
from weft.errors import Error, InvalidInput, NotFound
from weft.schema import Kind

if TYPE_CHECKING:
    import torch

    from weft._types import Rows

Weights = Mapping[str, float] | npt.NDArray[np.float32]
IDF = "idf.json"


class InferenceFree(Splade):
    """An inference-free encoder: inverse document frequencies for queries, `Splade` for documents.

    A query has each of its wordpieces once, with the weight that a table gives it. Special tokens are no terms, and
    neither is what the table lacks.

    Parameters
    ----------
    folder : str or path object
        Folder with a tokenizer and, to encode documents, a masked language model.
    idf : str, path object, mapping of str to float, or (v,) array, optional
        The table: a JSON file or a mapping of wordpiece to weight, or the weight of each vocabulary entry. Default:
        ``idf.json`` in the folder.
    pooling, activation, document_terms, terms
        As for `Splade`.
    **options
        See `weft.encoders.base.Options`.

    Raises
    ------
    InvalidInput
        A weight is negative or not finite, or no key of the table is in the vocabulary.
    NotFound
        There is no such folder or table.

    References
    ----------
    Geng, Wang, Ru, Yang, Towards competitive search relevance for inference-free learned sparse retrievers, 2024,
    equation 4. Shen, Geng, Yang, Exploring l0 sparsification for inference-free sparse retrievers, SIGIR 2025, for the
    activation ``log1p_log1p_relu``.

    Examples
    --------
    >>> encoder = weft.encoders.load("opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill")
    ... # doctest: +SKIP
    >>> encoder.encode_query("red fox")  # doctest: +SKIP
    {'red': 5.1, 'fox': 7.4}
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        idf: str | PathLike[str] | Weights | None = None,
        pooling: Pooling = "max",
        activation: Activation = "log1p_relu",
        document_terms: int | None = None,
        terms: Kind = "str",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            folder,
            document_only=True,
            pooling=pooling,
            activation=activation,
            document_terms=document_terms,
            special_terms=False,
            terms=terms,
            **options,
        )
        table = _read(Path(inputs.path(folder)) / IDF if idf is None else idf)
        self.query_weights = self._without_special(_by_entry(table, self.vocabulary))

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        assert self.query_weights is not None
        return {
            **super().settings,
            "type": "inference_free",
            "idf": hashlib.blake2b(self.query_weights.tobytes(), digest_size=8).hexdigest(),
        }

    def encode_tokens(
        self, tokens: Tokens, *, batch_size: int | None = None, show_progress_bar: bool | None = False
    ) -> "Rows":
        """Return the weights of what `tokenize` made; see `encode_document`."""
        if tokens.role == "document" and not self.models:
            raise Error(f"{self.name} has no model to encode documents with; give a folder that holds one")
        return super().encode_tokens(tokens, batch_size=batch_size, show_progress_bar=show_progress_bar)

    def _load(
        self, folder: str | PathLike[str], query_model: str | PathLike[str] | None
    ) -> "dict[Role, torch.nn.Module]":
        has_model = (Path(folder) / "config.json").exists()
        return super()._load(folder, query_model) if has_model else {}


def _read(idf: str | PathLike[str] | Weights) -> Weights:
    if not isinstance(idf, (str, PathLike)):
        return idf
    path = Path(idf)
    if not path.is_file():
        raise NotFound(f"there is no table of weights at {path}; pass idf=")
    table = read_json(path)
    if not isinstance(table, dict):
        raise InvalidInput(f"{path} must hold one JSON object of wordpiece to weight")
    return table


def _by_entry(table: Weights, vocabulary: npt.NDArray[np.object_]) -> npt.NDArray[np.float32]:
    """Return the weight of each vocabulary entry."""
    if not isinstance(table, Mapping):
        weights = np.array(table, np.float32)
        if weights.ndim != 1 or len(weights) > len(vocabulary):
            raise InvalidInput(f"idf has shape {weights.shape}, but the vocabulary {len(vocabulary)} entries")
        weights = np.pad(weights, (0, len(vocabulary) - len(weights)))
    else:
        weights = np.array(
            [inputs.number(f"idf of {entry!r}", table.get(entry, 0)) for entry in vocabulary], np.float32
        )
        if not weights.any():
            raise InvalidInput("idf gives no weight to any entry of the vocabulary; is it the table of another model?")
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        raise InvalidInput(
            f"idf of {vocabulary[bad[0]]!r} is {weights[bad[0]]}; expected a finite number of at least 0"
        )
    return weights
