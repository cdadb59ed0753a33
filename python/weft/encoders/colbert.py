"""ColBERT: a vector for each token, of a transformer with a linear head."""

from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from weft.encoders.base import Options, Role
from weft.encoders.colbert_files import Checkpoint, Recipe, read
from weft.encoders.device import require_torch
from weft.encoders.late import LateEncoder

if TYPE_CHECKING:
    import torch


class ColBert(LateEncoder):
    """A vector of length 1 for each token, searched by MaxSim.

    A marker token says whether a text is a query or a document. Queries may be filled up with mask tokens, which the
    model turns into further things to look for. Punctuation of documents may go without vectors. The checkpoint says
    how; see `weft.encoders.colbert_files.Recipe`. A text of white space alone has no vectors.

    Parameters
    ----------
    folder : str or path object
        Folder of a ColBERT checkpoint of Stanford (a transformer with ``linear.weight``, and ``artifact.metadata``),
        or of a multi-vector model of PyLate or sentence-transformers (``modules.json``).
    pool_factor : float
        Keep about one vector in `pool_factor` of a document; see `weft.encoders.pooling.pool`.
    **options
        See `weft.encoders.base.Options`. Where queries are filled up to their limit, ``max_query_tokens`` is how far.

    Raises
    ------
    InvalidInput
        An option is malformed, or the folder holds no such model; the message names the file.
    NotFound
        There is no such folder.
    Error
        torch or transformers is missing, or SciPy, where tokens are pooled.

    References
    ----------
    Khattab and Zaharia, ColBERT, SIGIR 2020, section 3.2. Santhanam et al., ColBERTv2, NAACL 2022.

    Examples
    --------
    >>> encoder = weft.encoders.load("colbert-ir/colbertv2.0")  # doctest: +SKIP
    >>> index = weft.build("i.weft", multivector=encoder.encode_document(["The red fox."]))  # doctest: +SKIP
    >>> index.search(multivector=encoder.encode_query("fox"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | PathLike[str], *, pool_factor: float = 1.0, **options: Unpack[Options]) -> None:
        require_torch()
        tokenizer, backbone, head, recipe = self._checkpoint(folder)
        vocabulary = tokenizer.get_vocab()
        self._markers: dict[Role, list[int]] = {
            "query": [vocabulary[recipe.query_marker]] if recipe.query_marker else [],
            "document": [vocabulary[recipe.document_marker]] if recipe.document_marker else [],
        }
        self._skipped = [vocabulary[token] for token in recipe.skipped if token in vocabulary]
        self._filler = tokenizer.convert_tokens_to_ids(recipe.filler)
        self.recipe = recipe
        backbone.head = _linear(head)
        super().__init__(folder, tokenizer, backbone, len(head), pool_factor, _options(recipe, options))
        fixed = recipe.filled_query_tokens == recipe.query_tokens
        self._filled = self.limits["query"] if fixed else recipe.filled_query_tokens

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {
            **super().settings,
            "query_marker": self.recipe.query_marker,
            "document_marker": self.recipe.document_marker,
            "filled_query_tokens": self._filled,
            "filler": self.recipe.filler,
            "attends_to_filler": self.recipe.attends_to_filler,
            "skipped": list(self.recipe.skipped),
        }

    def labels(self, text: str, role: Role) -> list[str]:
        """Return the wordpiece that each vector of a text stands for; nothing where vectors are pooled.

        Parameters
        ----------
        text : str
        role : {"query", "document"}
        """
        ids = self.tokenize([text], role).ids
        if role == "document":
            ids = ids[~np.isin(ids, self._skipped)]
        words: list[str] = self.tokenizer.convert_ids_to_tokens(ids.tolist())
        if role == "query":
            return words + [self.recipe.filler] * (self._filled - len(words)) if words else []
        return words if self.pool_factor == 1 else []

    @classmethod
    def _checkpoint(cls, folder: str | PathLike[str]) -> Checkpoint:
        return read(folder)

    def _frame(self, role: Role) -> tuple[list[int], list[int]]:
        before, after = super()._frame(role)
        return [*before[:1], *self._markers[role], *before[1:]], after

    def _vectors(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", "torch.Tensor"]:
        import torch

        if role == "query":
            ids, seen, kept = self._fill(ids, held)
        else:
            seen, kept = held, held & ~torch.isin(ids, torch.tensor(self._skipped, device=ids.device))
        model = self.models[role]
        states = model(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        return torch.nn.functional.normalize(model.head(states).float(), dim=-1), kept

    def _fill(self, ids: "torch.Tensor", held: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
        """Return queries with what they are filled with, which tokens are seen, and which get vectors."""
        import torch

        missing = max(0, self._filled - ids.shape[1])
        ids, held = (torch.nn.functional.pad(each, (0, missing)) for each in (ids, held))
        filled = ~held & (torch.arange(ids.shape[1], device=ids.device) < self._filled)
        seen = held | filled if self.recipe.attends_to_filler else held
        return ids.masked_fill(filled, self._filler), seen, held | filled


def _linear(weight: "torch.Tensor") -> "torch.nn.Module":
    import torch

    head = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    head.weight = torch.nn.Parameter(weight)
    return head


def _options(recipe: Recipe, given: Options) -> Options:
    """Return the options given, and for the others what the recipe says."""
    options: Options = {
        "max_query_tokens": recipe.query_tokens,
        "max_document_tokens": recipe.document_tokens,
        "query_prompt": recipe.query_prompt,
        "document_prompt": recipe.document_prompt,
    }
    for key, value in given.items():
        if value is not None:
            options[key] = value  # type: ignore[literal-required]
    return options
