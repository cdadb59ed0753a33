"""Weights of vocabulary entries from a masked language model."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.encoders.base import Columns, Options, Role, Tokens, TorchEncoder
from weft.encoders.checkpoint import load_model, load_tokenizer
from weft.encoders.device import require_torch
from weft.errors import InvalidInput
from weft.schema import Kind

if TYPE_CHECKING:
    import torch

    from weft._types import Rows

Pooling = Literal["max", "sum"]
Activation = Literal["log1p_relu", "log1p_log1p_relu"]

LOGIT_BYTES = {"cpu": 2**28, "cuda": 2**32}
"""Memory for the logits of a batch, which need far more than anything else in it."""


class Splade(TorchEncoder):
    """SPLADE: a term weighs as much as the model expects it in place of a token of the text.

    With the logit of token i and vocabulary entry j, and ``a(x) = log(1 + max(0, x))``, entry j weighs
    ``max over i of a(logit[i, j])``, or the sum over i. The special tokens at both ends of a text take part. A text of
    white space alone has no terms.

    Parameters
    ----------
    folder : str or path object
        Folder of a masked language model with its tokenizer, as `save_pretrained` of transformers writes it.
    query_model : str or path object, optional
        Folder of another model, for queries, with the same vocabulary.
    document_only : bool
        No model for queries: they have weight 1 for each of their wordpieces, without special tokens.
    pooling : {"max", "sum"}
        SPLADE v2 and later, or v1.
    activation : {"log1p_relu", "log1p_log1p_relu"}
        The logarithm once, or twice as in inference-free models of the third generation.
    document_terms, query_terms : int, optional
        Keep this many of the heaviest terms of each text; of equal ones, the first in the vocabulary.
    special_terms : bool
        Whether vocabulary entries such as ``[CLS]`` may be terms.
    terms : {"str", "int"}
        Terms as vocabulary entries, or as their numbers.
    **options
        See `weft.encoders.base.Options`.

    Raises
    ------
    InvalidInput
        An option is malformed, or the folder holds no such model.
    Error
        torch or transformers is missing.

    References
    ----------
    Formal, Piwowarski, Clinchant, SPLADE, SIGIR 2021, equation 3: the sum. Formal, Lassance, Piwowarski, Clinchant,
    SPLADE v2, 2021, equation 6: the maximum; section 3.2: queries without a model.

    Examples
    --------
    >>> encoder = weft.encoders.load("naver/splade-v3", document_terms=256)  # doctest: +SKIP
    >>> schema = weft.Schema(sparse=weft.Sparse(terms=encoder.terms))  # doctest: +SKIP
    >>> index = weft.build("foxes.weft", sparse=encoder.encode_document(["A fox."]), schema=schema)  # doctest: +SKIP
    >>> index.search(sparse=encoder.encode_query("red fox"))  # doctest: +SKIP
    """

    kind: Literal["sparse"] = "sparse"
    dim: None = None
    terms: Kind

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        query_model: str | PathLike[str] | None = None,
        document_only: bool = False,
        pooling: Pooling = "max",
        activation: Activation = "log1p_relu",
        document_terms: int | None = None,
        query_terms: int | None = None,
        special_terms: bool = True,
        terms: Kind = "str",
        **options: Unpack[Options],
    ) -> None:
        require_torch()
        if query_model is not None and document_only:
            raise InvalidInput("query_model and document_only exclude each other")
        self.pooling = _one_of("pooling", pooling, Pooling)
        self.activation = _one_of("activation", activation, Activation)
        self.terms = _one_of("terms", terms, Kind)
        self.special_terms = special_terms
        self._kept: dict[Role, int | None] = {
            "document": _count("document_terms", document_terms),
            "query": _count("query_terms", query_terms),
        }
        super().__init__(folder, load_tokenizer(folder), self._load(folder, query_model), options)
        self.vocabulary = _vocabulary(self.tokenizer, [each.config.vocab_size for each in self.models.values()])
        self._special = sorted(set(self.tokenizer.all_special_ids))
        self.query_weights = self._without_special(np.ones(len(self.vocabulary), np.float32)) if document_only else None
        if options.get("batch_tokens") is None:
            self._batch_tokens = self._fitting_tokens()

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {
            **super().settings,
            "document_only": self.query_weights is not None,
            "pooling": self.pooling,
            "activation": self.activation,
            "special_terms": self.special_terms,
            "terms": self.terms,
            **{f"{role}_terms": count for role, count in self._kept.items()},
        }

    def encode_query(
        self,
        inputs: str | Sequence[str],
        *,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> "Rows | dict[Any, float]":
        """Return the weights of queries, as `Index.search` takes them.

        Parameters
        ----------
        inputs : str or sequence of str
        batch_size : int, optional
            The most texts in a batch. Default: as many as `Options` ``batch_tokens`` lets in.
        show_progress_bar : bool, optional
            Default: on a terminal.

        Returns
        -------
        dict of term to weight for a str; else (indptr (n + 1,) int64, terms, weights float32)
        """
        single = isinstance(inputs, str)
        tokens = self.tokenize([inputs] if isinstance(inputs, str) else inputs, "query")
        rows = self.encode_tokens(tokens, batch_size=batch_size, show_progress_bar=show_progress_bar)
        return dict(zip(_plain(rows[1]), rows[2].tolist(), strict=True)) if single else rows

    def encode_document(
        self,
        inputs: Sequence[str],
        *,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> "Rows":
        """Return the weights of documents, as `Writer.add` takes them.

        Parameters
        ----------
        inputs : sequence of str
        batch_size, show_progress_bar
            As for `encode_query`.

        Returns
        -------
        indptr : (n + 1,) int64
        terms : list of str, or int64 array
            In the order of the vocabulary within a document.
        weights : float32 array
            Above 0.
        """
        tokens = self.tokenize(inputs)
        return self.encode_tokens(tokens, batch_size=batch_size, show_progress_bar=show_progress_bar)

    def encode_tokens(
        self, tokens: Tokens, *, batch_size: int | None = None, show_progress_bar: bool | None = False
    ) -> "Rows":
        """Return the weights of what `tokenize` made; see `encode_document`."""
        if tokens.role == "query" and self.query_weights is not None:
            offsets, entries, weights = _looked_up(tokens, self.query_weights)
        else:
            offsets, (entries, weights) = self._encoded(tokens, batch_size, show_progress_bar)
        return offsets, self.vocabulary[entries].tolist() if self.terms == "str" else entries, weights

    def _load(
        self, folder: str | PathLike[str], query_model: str | PathLike[str] | None
    ) -> "dict[Role, torch.nn.Module]":
        models: dict[Role, torch.nn.Module] = {"document": load_model("AutoModelForMaskedLM", folder)}
        if query_model is not None:
            models["query"] = load_model("AutoModelForMaskedLM", query_model)
        return models

    def _frame(self, role: Role) -> tuple[list[int], list[int]]:
        return ([], []) if role == "query" and self.query_weights is not None else super()._frame(role)

    def _step(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", ...]:
        import torch

        model = self.models.get(role, self.models["document"])
        logits = model(input_ids=ids, attention_mask=held.long()).logits
        logits.masked_fill_(~held.unsqueeze(-1), 0)
        if self.pooling == "max":
            weights = self._activated(logits.amax(1).float())
        else:
            weights = self._activated(logits).sum(1, dtype=torch.float32)
        if not self.special_terms:
            weights[:, self._special] = 0
        return heaviest(weights, self._kept[role])

    def _activated(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Apply the activation in place. It is monotone, so that a maximum may be taken before."""
        activated = logits.relu_().log1p_()
        return activated.log1p_() if self.activation == "log1p_log1p_relu" else activated

    def _empty(self) -> Columns:
        return np.empty(0, np.int64), np.empty(0, np.float32)

    def _without_special(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Give special tokens no weight, in place."""
        weights[self._special] = 0
        return weights

    def _fitting_tokens(self) -> int:
        """Return how many tokens a batch may have so that its logits fit into `LOGIT_BYTES`."""
        limit = LOGIT_BYTES.get(self.device.type, LOGIT_BYTES["cpu"])
        row = len(self.vocabulary) * int(self.number_type.itemsize)
        return max(1, min(self._batch_tokens, limit // row))


def heaviest(weights: "torch.Tensor", count: int | None) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Return the positive weights, of each row the `count` largest; of equal ones, the first.

    Parameters
    ----------
    weights : (b, v) tensor, at least 0
    count : int, optional
        Default: all of them.

    Returns
    -------
    counts : (b,) int64
    columns : (n,) int64
        Ascending within a row.
    values : (n,)
    """
    kept = weights > 0
    if count is not None and count < weights.shape[1]:
        floor = weights.topk(count, dim=1).values[:, -1:]
        above, tied = weights > floor, kept & (weights == floor)
        kept = above | (tied & (tied.cumsum(1) <= count - above.sum(1, keepdim=True)))
    return kept.sum(1), kept.nonzero(as_tuple=True)[1], weights[kept]


def _looked_up(
    tokens: Tokens, table: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the rows of the distinct tokens of each text, weighted by a table."""
    distinct = [np.unique(ids) for ids in np.split(tokens.ids, tokens.offsets[1:-1])] if len(tokens) else []
    distinct = [ids[table[ids] > 0] for ids in distinct]
    offsets = np.cumsum([0, *map(len, distinct)], dtype=np.int64)
    entries = np.concatenate([np.empty(0, np.int64), *distinct]).astype(np.int64)
    return offsets, entries, table[entries]


def _vocabulary(tokenizer: Any, sizes: Sequence[int]) -> npt.NDArray[np.object_]:
    """Return the name of each vocabulary entry; entries of the model that the tokenizer lacks are named by number."""
    if len(set(sizes)) > 1:
        raise InvalidInput(
            f"the models for documents and queries have vocabularies of {sizes[0]} and {sizes[1]} entries"
        )
    known = {id: entry for entry, id in tokenizer.get_vocab().items()}
    size = max([*sizes, *(id + 1 for id in known)])
    return np.array([known.get(id, f"<{id}>") for id in range(size)], object)


def _plain(terms: Any) -> list[Any]:
    return terms if isinstance(terms, list) else terms.tolist()


def _one_of(name: str, value: Any, choices: Any) -> Any:
    if value not in get_args(choices):
        raise InvalidInput(f"{name} must be one of {', '.join(get_args(choices))}, not {inputs.shown(value)}")
    return value


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else inputs.integer(name, value, low=1)
