"""Pairs of a query and the document that it belongs to, as hidden states of a frozen model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from weft.encoders.base import Columns, Options, Role, TorchEncoder
from weft.encoders.checkpoint import load_model, load_tokenizer
from weft.errors import InvalidInput
from weft.io import read_documents, read_jsonl, read_qrels

QUERY_TOKENS = 32
DOCUMENT_TOKENS = 128
"""Of a document in training; a shorter beginning trains as good a head in less time."""
LEAST_WORDS, LEAST_SENTENCES = 6, 3
"""Of a sentence that serves as a query, and of a text that one is drawn from."""


@dataclass
class Pairs:
    """Query i belongs to document ``relevant[i]``."""

    queries: list[str]
    documents: list[str]
    relevant: list[int]


def read_pairs(folder: str | PathLike[str]) -> Pairs:
    """Return what can be had without labels, and judged queries for training if there are some.

    A title belongs to the text below it, and a sentence drawn from a text to the rest of it, the inverse cloze task.

    Parameters
    ----------
    folder : str or path object
        ``corpus.jsonl``; and ``queries_train.jsonl`` with ``qrels_train.tsv``, if there are any.

    Raises
    ------
    InvalidInput
        A file is malformed, or there is no pair.

    References
    ----------
    Lee, Chang, Toutanova, Latent retrieval for weakly supervised open domain question answering, ACL 2019, section 4.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.encoders.examples import read_pairs
    >>> _ = Path("corpus.jsonl").write_text('{"_id": "a", "title": "Foxes", "text": "They are red."}')
    >>> read_pairs(".")
    Pairs(queries=['Foxes'], documents=['They are red.'], relevant=[0])
    """
    whole: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for _, document in read_documents(folder):
        title, text = (str(document.get(field) or "").strip() for field in ("title", "text"))
        whole[str(document.get("_id"))] = f"{title} {text}".strip()
        found.append((title, text))
    found += _sentences([text for _, text in found])
    judged = Path(folder) / "qrels_train.tsv"
    if judged.exists():
        queries = {
            str(query["_id"]): str(query["text"]) for _, query in read_jsonl(Path(folder) / "queries_train.jsonl")
        }
        for query, grades in read_qrels(judged).items():
            found += [(queries.get(query, ""), whole.get(name, "")) for name, grade in grades.items() if grade > 0]
    found = [(query, document) for query, document in found if query.strip() and document]
    if not found:
        raise InvalidInput(f"{folder}: neither titles with texts nor judged queries to train on")
    number = {document: row for row, document in enumerate(dict.fromkeys(document for _, document in found))}
    return Pairs([query for query, _ in found], list(number), [number[document] for _, document in found])


def _sentences(texts: list[str]) -> list[tuple[str, str]]:
    """Return a sentence of each text that has three long ones, and the text without it."""
    generator = np.random.default_rng(0)
    pairs = []
    for text in texts:
        sentences = [each for each in re.split(r"(?<=[.!?]) +", text) if len(each.split()) >= LEAST_WORDS]
        if len(sentences) >= LEAST_SENTENCES:
            drawn = sentences[generator.integers(len(sentences))]
            pairs.append((drawn, text.replace(drawn, " ")))
    return pairs


@dataclass
class States:
    """Hidden states of the tokens of texts.

    Attributes
    ----------
    flat : (T, dim) float16
    ids : (T,) int64
        The tokens; text i has those from ``offsets[i]`` to ``offsets[i + 1]``.
    offsets : (n + 1,) int64
    """

    flat: torch.Tensor
    ids: torch.Tensor
    offsets: torch.Tensor

    def places(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return where the tokens of some texts stand, (n, longest), and where there is one."""
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        places = starts[:, None] + torch.arange(int((ends - starts).max()))
        held = places < ends[:, None]
        return places.where(held, 0), held

    def padded(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states of some texts, (n, longest, dim) float32, and where there is one."""
        places, held = self.places(rows)
        return self.flat[places.to(self.flat.device)].float(), held.to(self.flat.device)

    def means(self) -> torch.Tensor:
        """Return the mean state of each text, (n, dim), of length 1: what MiniLM compares sentences by."""
        rows = torch.arange(len(self.offsets) - 1).split(256)
        sums = [(states * held[:, :, None]).sum(1) for states, held in map(self.padded, rows)]
        return functional.normalize(torch.cat(sums), dim=1)


class Backbone(TorchEncoder):
    """A frozen model that gives its last hidden states."""

    def __init__(
        self, folder: str | PathLike[str], device: str | None = None, document_tokens: int = DOCUMENT_TOKENS
    ) -> None:
        options: Options = {"device": device, "max_query_tokens": QUERY_TOKENS, "max_document_tokens": document_tokens}
        model = load_model("AutoModel", folder)
        super().__init__(folder, load_tokenizer(folder), {"query": model, "document": model}, options)
        self.embeddings = self.models["document"].get_input_embeddings().weight.detach()

    def states(self, texts: Sequence[str], role: Role) -> States:
        """Return the states of texts, on the device of the model."""
        tokens = self.tokenize(texts, role)
        offsets, [flat] = self._encoded(tokens, None, None)
        ids = torch.from_numpy(tokens.ids).long()
        return States(torch.from_numpy(flat).to(self.device), ids, torch.from_numpy(offsets))

    def _step(self, ids: torch.Tensor, held: torch.Tensor, role: Role) -> tuple[torch.Tensor, ...]:
        states = self.models[role](input_ids=ids, attention_mask=held.long()).last_hidden_state
        return held.sum(1), states[held].half()

    def _empty(self) -> Columns:
        return (np.empty((0, self.embeddings.shape[1]), np.float16),)


@dataclass
class Examples:
    """Pairs as hidden states, and the mean state of each text."""

    queries: States
    documents: States
    relevant: torch.Tensor

    def __post_init__(self) -> None:
        self.means = self.queries.means(), self.documents.means()

    @classmethod
    def encoded(cls, pairs: Pairs, backbone: Backbone) -> "Examples":
        """Return the pairs as the backbone sees them."""
        queries, documents = backbone.states(pairs.queries, "query"), backbone.states(pairs.documents, "document")
        return cls(queries, documents, torch.tensor(pairs.relevant))
