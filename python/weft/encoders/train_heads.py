"""Training of small heads on a frozen backbone, with pairs of a query and the document that it belongs to.

    python -m weft.encoders.train_heads sparse BEIR_FOLDER CHECKPOINT --idf opensearch_idf.json.xz
    python -m weft.encoders.train_heads multivector BEIR_FOLDER CHECKPOINT

The backbone runs over the texts once. Its hidden states are kept, in 16 bits, and the head, some hundred thousand
numbers, is trained on them: minutes on two cores, seconds on a GPU. What that gains where texts are like those of the
training may be lost on others; `benches/heads.md` has figures.
"""

import argparse
import json
import lzma
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from weft.encoders.examples import QUERY_TOKENS, Backbone, Examples, read_pairs
from weft.encoders.heads import MultiVectorHead, SparseHead
from weft.errors import Error, InvalidInput
from weft.progress import with_progress

DOCUMENT_TOKENS = 180
"""Of a document, in a checkpoint for token vectors."""
LEAST_IDF = 0.5
"""More frequent terms are not regularised more."""
TEACHER_TEMPERATURE = 0.05
IMPOSSIBLE = -1e4
"""Score of what is no negative, since it is the same document."""

Loss = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""The loss of a batch of pairs, given by their numbers."""


@dataclass(frozen=True)
class Training:
    """How a head is trained.

    Attributes
    ----------
    steps : int
        Batches; the rate rises over the first twentieth of them, then falls linearly.
    batch : int
        Pairs in a batch. The documents of the others are the negatives of a query.
    rate : float
        Of Adam.
    temperature : float
        Scores are divided by it.
    teaching : float
        Weight of the divergence from the similarities of whole texts, by the mean state of the backbone.
    flops : float
        Weight of the FLOPS regularisation; for terms alone.
    sampled_terms : int
        Terms that the regularisation is estimated from at each step.
    seed : int
    """

    steps: int = 600
    batch: int = 64
    rate: float = 1e-3
    temperature: float = 10.0
    teaching: float = 3.0
    flops: float = 0.01
    sampled_terms: int = 2048
    seed: int = 0


SPARSE = Training()
MULTIVECTOR = replace(SPARSE, steps=400, temperature=0.05, flops=0.0)


def shared_loss(scores: torch.Tensor, rows: torch.Tensor, examples: Examples, training: Training) -> torch.Tensor:
    """Return the loss of the scores (n, n) of some pairs, those of belonging ones on the diagonal.

    It is the cross entropy of finding the document that a query belongs to, and the divergence from how the mean states
    of the backbone would share a query out.
    """
    relevant, device = examples.relevant[rows], scores.device
    same = (relevant[:, None] == relevant).fill_diagonal_(False).to(device)
    shares = (scores / training.temperature).masked_fill(same, IMPOSSIBLE).log_softmax(1)
    loss = -shares.diagonal().mean()
    if training.teaching:
        queries, documents = examples.means
        wanted = queries[rows.to(device)] @ documents[relevant.to(device)].T / TEACHER_TEMPERATURE
        wanted = wanted.masked_fill(same, IMPOSSIBLE).log_softmax(1)
        loss = loss + training.teaching * functional.kl_div(shares, wanted, reduction="batchmean", log_target=True)
    return loss


def sparse_loss(head: SparseHead, examples: Examples, idf: torch.Tensor, training: Training) -> Loss:
    """Return the loss of a head for terms.

    A query weighs its distinct terms by their idf. Only weights of terms in queries and of a random sample of all terms
    are computed. From the sample comes an estimate of the FLOPS regularisation, the sum over the terms of the squared
    mean weight in the batch; here each term counts as 1 / idf, so that what tells documents apart is kept.

    Parameters
    ----------
    idf : (v,) float32
        0 for what is no term of queries.

    References
    ----------
    Paria et al., Minimizing FLOPs to learn efficient sparse representations, ICLR 2020. Geng, Wang, Ru, Yang, Towards
    competitive search relevance for inference-free learned sparse retrievers, 2024.
    """
    counts = 1 / idf.clamp(min=LEAST_IDF)
    counts = counts * len(counts) / counts.sum()

    def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        places, held = examples.queries.places(rows)
        asked, entries = examples.queries.ids[places].where(held, 0).unique(return_inverse=True)
        sample = torch.randint(len(idf), (training.sampled_terms,), generator=generator).to(idf.device)
        queries = torch.zeros(len(rows), len(asked)).scatter_reduce_(1, entries, held.float(), "amax")
        asked = asked.to(idf.device)
        states = examples.documents.padded(examples.relevant[rows])
        weights = head.weights(*states, torch.cat([asked, sample]))
        scores = (queries.to(idf.device) * idf[asked]) @ weights[:, : len(asked)].T
        flops = (weights[:, len(asked) :].mean(0).square() * counts[sample]).mean() * len(idf)
        return shared_loss(scores, rows, examples, training) + training.flops * flops

    return loss


def multivector_loss(head: MultiVectorHead, examples: Examples, training: Training) -> Loss:
    """Return the loss of a head for token vectors: scores are MaxSim divided by the number of a query's tokens.

    References
    ----------
    Khattab and Zaharia, ColBERT, SIGIR 2020, equation 3.
    """

    def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        queries, asked = examples.queries.padded(rows)
        documents, held = examples.documents.padded(examples.relevant[rows])
        products = torch.einsum("qid,njd->qnij", head.vectors(queries), head.vectors(documents))
        best = products.masked_fill(~held[None, :, None, :], -1).amax(3)
        scores = (best * asked[:, None, :]).sum(2) / asked.sum(1)[:, None]
        return shared_loss(scores, rows, examples, training)

    return loss


def fit(head: SparseHead | MultiVectorHead, loss: Loss, pairs: int, training: Training) -> npt.NDArray[np.float32]:
    """Train a head in place and return the loss of each step, (steps,)."""
    generator = torch.Generator().manual_seed(training.seed)
    parameters = [parameter.requires_grad_() for parameter in head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=training.rate)
    warm, last = max(1, training.steps // 20), training.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / warm, 1 - step / last))
    losses, order = [], torch.empty(0, dtype=torch.int64)
    for _ in with_progress(range(training.steps), training.steps, None, " steps"):
        if len(order) < min(training.batch, pairs):
            order = torch.randperm(pairs, generator=generator)
        rows, order = order[: training.batch], order[training.batch :]
        value = loss(rows, generator)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        losses.append(value.detach())
    for parameter in parameters:
        parameter.requires_grad_(False)
    curve: npt.NDArray[np.float32] = torch.stack(losses).cpu().numpy()
    return curve


def train_sparse(
    examples: Examples, backbone: Backbone, idf: Mapping[str, float], training: Training = SPARSE
) -> tuple[SparseHead, npt.NDArray[np.float32]]:
    """Return a trained head for terms and the loss of each step.

    Parameters
    ----------
    examples : Examples
    backbone : Backbone
        That made the examples.
    idf : mapping of wordpiece to weight
        Of queries. Special tokens count for nothing.
    """
    weights, documents = entry_weights(backbone, idf), examples.documents
    head = SparseHead.initial(documents.flat, documents.ids, backbone.embeddings)
    return head, fit(head, sparse_loss(head, examples, weights, training), len(examples.relevant), training)


def entry_weights(backbone: Backbone, idf: Mapping[str, float]) -> torch.Tensor:
    """Return the weight of each entry of the vocabulary in queries, (v,) float32; special tokens have none."""
    special = set(backbone.tokenizer.all_special_tokens)
    weights = np.zeros(len(backbone.embeddings), np.float32)
    for entry, number in backbone.tokenizer.get_vocab().items():
        weights[number] = 0 if entry in special else idf.get(entry, 0)
    return torch.from_numpy(weights).to(backbone.device)


def train_multivector(
    examples: Examples, dim: int = 128, training: Training = MULTIVECTOR
) -> tuple[MultiVectorHead, npt.NDArray[np.float32]]:
    """Return a trained head for token vectors and the loss of each step."""
    head = MultiVectorHead.initial(examples.documents.flat, dim)
    return head, fit(head, multivector_loss(head, examples, training), len(examples.relevant), training)


def read_idf(path: str | PathLike[str]) -> dict[str, float]:
    """Return the weights of wordpieces in a JSON file, plain or ``.xz``."""
    opened: Callable[..., Any] = lzma.open if str(path).endswith(".xz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        table: dict[str, float] = json.load(file)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m weft.encoders.train_heads", description="Train a small head.")
    parser.add_argument("head", choices=["sparse", "multivector"])
    parser.add_argument("corpus", type=Path, help="BEIR folder")
    parser.add_argument("checkpoint", type=Path, help="folder to write, which weft.encoders.load reads")
    parser.add_argument("--backbone", type=Path, help="folder of a BERT model; default: all-MiniLM-L6-v2")
    parser.add_argument("--idf", type=Path, help="weights of wordpieces in queries, JSON or JSON.xz; for a sparse head")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    return parser


def _minilm() -> Path:
    from weft.encoders.minilm import model_folder

    return model_folder()


def _train(given: argparse.Namespace) -> str:
    """Train what the command line asks for, write it, and return a line on it."""
    if given.head == "sparse" and given.idf is None:
        raise InvalidInput("a sparse head needs --idf, the weights of wordpieces in queries")
    start = time.perf_counter()
    folder = given.backbone or _minilm()
    backbone = Backbone(folder, given.device)
    examples = Examples.encoded(read_pairs(given.corpus), backbone)
    encoded = time.perf_counter()
    training = replace(SPARSE if given.head == "sparse" else MULTIVECTOR, seed=given.seed)
    training = replace(training, steps=given.steps or training.steps)
    if given.head == "sparse":
        idf = read_idf(given.idf)
        sparse, losses = train_sparse(examples, backbone, idf, training)
        sparse.save(given.checkpoint, folder, idf)
    else:
        late, losses = train_multivector(examples, training=training)
        late.save(given.checkpoint, folder, QUERY_TOKENS, DOCUMENT_TOKENS)
    tenth = max(1, len(losses) // 10)
    return (
        f"{len(examples.relevant):,} pairs encoded in {encoded - start:.0f} s, trained in "
        f"{time.perf_counter() - encoded:.0f} s; "
        f"loss {losses[:tenth].mean():.3f} at first, {losses[-tenth:].mean():.3f} at last"
    )


def main() -> None:
    """Run the command line; exit status 2 after an error that the user can act on."""
    try:
        print(_train(_parser().parse_args()))
    except (Error, OSError) as error:
        print(f"weft: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
