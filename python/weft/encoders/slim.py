"""SLIM: late interaction of sparse token vectors, in two stages.

The score of a document is that of MaxSim, over vectors of the size of the vocabulary. They are non-negative, so that
two sums over the vocabulary enclose it, and a sparse index can compute both (Li et al., SLIM, SIGIR 2023, section 3):

    s  = Σ_i max_j φ_qi · φ_dj                          of tokens i of the query and j of the document
    s⁺ = (Σ_i φ_qi) · (max_j φ_dj)  >= s                each term may take its maximum at another token j
    s⁻ = (Σ_i e_qi) · (max_j φ_dj)  <= s                e_qi is φ_qi with all but its largest weight set to 0
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.encoders.base import Columns, Options, Role, Tokens
from weft.encoders.splade import Splade, heaviest
from weft.errors import Error, InvalidInput
from weft.hits import Hit
from weft.index import Index
from weft.schema import Kind

if TYPE_CHECKING:
    import scipy.sparse
    import torch

    from weft._types import Rows

    TokenVectors: TypeAlias = scipy.sparse.csr_array[np.float32]

CANDIDATES = 4000
"""Documents of the first stage that the paper scores exactly."""


class Slim(Splade):
    """SLIM: sparse vectors of tokens, and what a sparse index needs to find candidates for them.

    The vector of a token is :math:`φ = log(1 + ReLU(logits))` of a masked language model that was trained to make it
    sparse. `encode_document` gives :math:`max_j φ_{dj}`, `encode_query` gives :math:`Σ_i β e_{qi} + (1 - β) φ_{qi}`,
    with e as on top of this module. An index of these scores a document by :math:`β s^- + (1 - β) s^+`. Up to
    the index's rounding of weights to 8 bits, that bounds the score s from above for β = 0, and from below for β = 1;
    for any β below 1, s is at most the index's score divided by 1 - β.

    For the second stage, `search` needs the vectors of tokens, which an index does not keep: whoever has made them with
    `token_vectors` keeps them, in memory or in files of their own.

    Parameters
    ----------
    folder : str or path object
        Folder of a masked language model with its tokenizer, as `save_pretrained` writes it.
    beta : float
        From 0 to 1.
    token_terms : int, optional
        Keep this many of the heaviest weights of each token, in the definition of φ. Default: all, as in the paper.
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
    Li, Lin, Oguz, Ghoshal, Lin, Mehdad, Yih, Chen, SLIM: Sparsified Late Interaction for Efficient Multi-Vector
    Retrieval with Inverted Indexes, SIGIR 2023, equations 4, 8 and 9.

    Examples
    --------
    >>> from weft.encoders.slim import Slim, search
    >>> encoder = Slim("slim-folder")  # doctest: +SKIP
    >>> texts = {"a": "red fox", "b": "white wine"}
    >>> vectors = dict(zip(texts, encoder.token_vectors(list(texts.values()))))  # doctest: +SKIP
    >>> rows = encoder.encode_document(list(texts.values()))  # doctest: +SKIP
    >>> search(weft.build("i.weft", ids=list(texts), sparse=rows), encoder, "fox", vectors, k=1)  # doctest: +SKIP
    [Hit(id='a', score=12.5)]
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        beta: float = 0.01,
        token_terms: int | None = None,
        terms: Kind = "str",
        **options: Unpack[Options],
    ) -> None:
        self.beta = inputs.number("beta", beta)
        if not 0 <= self.beta <= 1:
            raise InvalidInput(f"beta must be from 0 to 1; got {inputs.shown(beta)}")
        self.token_terms = None if token_terms is None else inputs.integer("token_terms", token_terms, low=1)
        super().__init__(folder, terms=terms, **options)

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {**super().settings, "beta": self.beta, "token_terms": self.token_terms}

    def encode_tokens(
        self, tokens: Tokens, *, batch_size: int | None = None, show_progress_bar: bool | None = False
    ) -> "Rows":
        """Return the weights of what `tokenize` made, for the first stage."""
        offsets, (positions, entries, weights) = self._encoded(tokens, batch_size, show_progress_bar)
        if tokens.role == "query":
            weights = weights * np.where(_largest(offsets, positions, weights), 1, 1 - self.beta).astype(np.float32)
        joined = np.add if tokens.role == "query" else np.maximum
        offsets, entries, weights = _joined(offsets, entries, weights, joined)
        return offsets, self.vocabulary[entries].tolist() if self.terms == "str" else entries, weights

    def token_vectors(
        self,
        inputs: str | Sequence[str],
        role: Role = "document",
        *,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
    ) -> "list[TokenVectors]":
        """Return the sparse vectors of the tokens of each text, special tokens included.

        Parameters
        ----------
        inputs : str or sequence of str
        role : {"document", "query"}
        batch_size, show_progress_bar
            As for `encode_document`.

        Returns
        -------
        list of (tokens, vocabulary) float32 csr_array
            One for each text; without rows where the text is empty.

        Raises
        ------
        Error
            SciPy is missing.
        """
        csr_array = _scipy_sparse().csr_array
        tokens = self.tokenize([inputs] if isinstance(inputs, str) else inputs, role)
        offsets, (positions, entries, weights) = self._encoded(tokens, batch_size, show_progress_bar)
        made = []
        for text, length in enumerate(np.diff(tokens.offsets).tolist()):
            part = slice(offsets[text], offsets[text + 1])
            starts = np.searchsorted(positions[part], np.arange(length + 1))
            made.append(csr_array((weights[part], entries[part], starts), (length, len(self.vocabulary))))
        return made

    def _step(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", ...]:
        import torch

        logits = self.models["document"](input_ids=ids, attention_mask=held.long()).logits
        weights = self._activated(logits[held].float())
        if not self.special_terms:
            weights[:, self._special] = 0
        counts, entries, values = heaviest(weights, self.token_terms)
        text, position = held.nonzero(as_tuple=True)
        of_texts = torch.zeros(len(ids), dtype=torch.int64, device=ids.device).index_add_(0, text, counts)
        return of_texts, position.repeat_interleave(counts), entries, values

    def _empty(self) -> Columns:
        return np.empty(0, np.int64), *super()._empty()


def refine(query: "TokenVectors", documents: "Sequence[TokenVectors]") -> npt.NDArray[np.float32]:
    """Return the score of each document: the sum over tokens of the query of their largest product with a token of it.

    Parameters
    ----------
    query : (tokens, vocabulary) sparse array
        As `Slim.token_vectors` makes it.
    documents : sequence of (tokens, vocabulary) sparse arrays

    Returns
    -------
    (n,) float32
        0 for a document without tokens.

    Raises
    ------
    Error
        SciPy is missing.

    References
    ----------
    Li et al., SLIM, SIGIR 2023, equation 4.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from weft.encoders.slim import refine
    >>> query = csr_array([[1.0, 0, 2], [0, 1, 0]])
    >>> refine(query, [csr_array([[3.0, 0, 0], [0, 0, 1]]), csr_array([[0.0, 4, 1]])]).tolist()
    [3.0, 6.0]
    """
    scores = np.zeros(len(documents), np.float32)
    held = [number for number, document in enumerate(documents) if document.shape[0]]
    if held and query.shape[0]:
        stacked = _scipy_sparse().vstack([documents[number] for number in held], format="csr")
        products = (query @ stacked.T).toarray()
        starts = np.cumsum([0, *(documents[number].shape[0] for number in held[:-1])])
        scores[held] = np.maximum.reduceat(products, starts, axis=1).sum(axis=0)
    return scores


def search(
    index: Index,
    encoder: Slim,
    query: str,
    vectors: "Mapping[Any, TokenVectors]",
    k: int = 10,
    *,
    candidates: int = CANDIDATES,
) -> list[Hit]:
    """Return the k best of the documents that the index finds first, by their exact scores.

    Parameters
    ----------
    index : Index
        Of what ``encoder.encode_document`` made.
    encoder : Slim
    query : str
    vectors : mapping of id to (tokens, vocabulary) sparse array
        What ``encoder.token_vectors`` made of each document.
    k : int
    candidates : int
        Documents of the first stage. A document that it leaves out scores at most what the last candidate scored there,
        divided by 1 - `Slim.beta`.

    Returns
    -------
    list of Hit
        Best first; of equal scores, what the first stage had first.

    Raises
    ------
    InvalidInput
        An argument is malformed.
    KeyError
        A candidate has no vectors.
    """
    wanted = inputs.integer("k", k, low=1)
    first = index.search(sparse=encoder.encode_query(query), k=inputs.integer("candidates", candidates, low=1))
    ids = [hit.id for hit in first]
    [tokens] = encoder.token_vectors(query, "query")
    scores = refine(tokens, [vectors[id] for id in ids])
    order = np.argsort(-scores, kind="stable")[:wanted].tolist()
    return [Hit(ids[place], float(scores[place])) for place in order]


def _largest(
    offsets: npt.NDArray[np.int64], positions: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Return where the largest weight of each token is, the first of equal ones."""
    texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    starts = np.flatnonzero(np.diff(texts, prepend=-1) | np.diff(positions, prepend=-1))
    tokens = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(weights)))
    top = np.flatnonzero(weights == np.maximum.reduceat(weights, starts)[tokens]) if len(starts) else starts
    largest = np.zeros(len(weights), np.bool_)
    largest[top[np.unique(tokens[top], return_index=True)[1]]] = True
    return largest


def _joined(
    offsets: npt.NDArray[np.int64],
    entries: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float32],
    join: np.ufunc,
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]":
    """Return rows in which each entry comes once, in ascending order, with its weights joined."""
    texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((entries, texts))
    texts, entries, weights = texts[order], entries[order], weights[order]
    first = np.flatnonzero(np.diff(texts, prepend=-1) | np.diff(entries, prepend=-1))
    joined = join.reduceat(weights, first) if len(first) else weights
    counts = np.bincount(texts[first], minlength=len(offsets) - 1)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), entries[first], joined


def _scipy_sparse() -> Any:
    try:
        import scipy.sparse
    except ImportError as error:
        raise Error(f"sparse vectors of tokens need SciPy ({error}): pip install scipy") from error
    return scipy.sparse
