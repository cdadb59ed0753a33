"""Trains both heads on SciFact and measures them, and what they start from, on collections they have and have not seen.

    python benches/heads.py FOLDER --idf opensearch_idf.json.xz [--device cuda] [--steps 600]

FOLDER holds `scifact`, `enwiki2014_car_20k` and `xquad/en`, each as a BEIR folder. Every document is scored in 32 bits,
without an index. Prints a row for each head: nDCG@10 and R@100 on each collection, and the seconds it took.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from weft.encoders.examples import Backbone, Examples, States, read_pairs
from weft.encoders.heads import MultiVectorHead, SparseHead
from weft.encoders.minilm import model_folder
from weft.encoders.train_heads import (
    MULTIVECTOR,
    SPARSE,
    entry_weights,
    read_idf,
    train_multivector,
    train_sparse,
)
from weft.io import read_jsonl, read_qrels

COLLECTIONS = {"scifact": True, "enwiki2014_car_20k": False, "xquad/en": False}
"""Whether the title belongs to the text; in the second it gives the query away."""
DOCUMENT_TOKENS = 180
BATCH = 16

Score = Callable[["Collection", torch.Tensor], torch.Tensor]
"""Scores (queries, n) of the n documents whose numbers are given."""


@dataclass
class Collection:
    queries: States
    documents: States
    grades: list[dict[int, int]]


def read(folder: Path, titled: bool, backbone: Backbone) -> Collection:
    documents = [document for _, document in read_jsonl(folder / "corpus.jsonl")]
    texts = [f"{each.get('title', '')} {each['text']}".strip() if titled else each["text"] for each in documents]
    number = {str(document["_id"]): row for row, document in enumerate(documents)}
    qrels = read_qrels(folder / "qrels.tsv")
    queries = [query for _, query in read_jsonl(folder / "queries.jsonl") if query["_id"] in qrels]
    grades = [{number[name]: grade for name, grade in qrels[query["_id"]].items() if grade > 0} for query in queries]
    states = backbone.states([query["text"] for query in queries], "query"), backbone.states(texts, "document")
    return Collection(*states, grades)


def sparse_score(head: SparseHead, idf: torch.Tensor) -> Score:
    def score(collection: Collection, rows: torch.Tensor) -> torch.Tensor:
        queries = collection.queries
        asked, entries = queries.ids.unique(return_inverse=True)
        of_query = torch.repeat_interleave(torch.arange(len(queries.offsets) - 1), queries.offsets.diff())
        lookup = torch.zeros(len(queries.offsets) - 1, len(asked))
        lookup[of_query, entries] = 1
        asked = asked.to(idf.device)
        return (lookup.to(idf.device) * idf[asked]) @ head.weights(*collection.documents.padded(rows), asked).T

    return score


def maxsim_score(head: MultiVectorHead) -> Score:
    def score(collection: Collection, rows: torch.Tensor) -> torch.Tensor:
        documents, held = collection.documents.padded(rows)
        vectors = head.vectors(documents)
        scores = []
        for some in torch.arange(len(collection.grades)).split(64):
            queries, asked = collection.queries.padded(some)
            products = torch.einsum("qid,njd->qnij", head.vectors(queries), vectors)
            best = products.masked_fill(~held[None, :, None, :], -1).amax(3)
            scores.append((best * asked[:, None, :]).sum(2))
        return torch.cat(scores)

    return score


def measured(score: Score, collection: Collection) -> tuple[float, float]:
    """Return nDCG@10 and R@100."""
    order = torch.argsort(collection.documents.offsets.diff(), stable=True)
    with torch.inference_mode():
        scores = torch.cat([score(collection, rows) for rows in order.split(BATCH)], dim=1)
    best = order[scores.topk(min(100, len(order)), dim=1).indices.cpu()].tolist()
    discounts = 1 / np.log2(np.arange(2, 12))
    found, recalled = [], []
    for row, grades in zip(best, collection.grades, strict=True):
        ideal = np.sort(list(grades.values()))[::-1][:10]
        gain = discounts[: len(row)] @ [grades.get(document, 0) for document in row[:10]]
        found.append(gain / (discounts[: len(ideal)] @ ideal))
        recalled.append(len(grades.keys() & set(row)) / len(grades))
    return float(np.mean(found)), float(np.mean(recalled))


def terms_per_document(head: SparseHead, documents: States) -> float:
    rows = torch.arange(len(documents.offsets) - 1)[:: max(1, len(documents.offsets) // 200)]
    every = torch.arange(len(head.bias), device=head.bias.device)
    with torch.inference_mode():
        counts = [(head.weights(*documents.padded(some), every) > 0).sum(1) for some in rows.split(4)]
    return float(torch.cat(counts).float().mean())


def rows(given: argparse.Namespace) -> Iterator[str]:
    start = time.perf_counter()
    backbone = Backbone(model_folder(), given.device)
    pairs = Examples.encoded(read_pairs(given.folder / "scifact"), backbone)
    yield f"{len(pairs.relevant):,} pairs, {len(pairs.documents.flat):,} states, {time.perf_counter() - start:.0f} s"
    evaluated = Backbone(model_folder(), given.device, DOCUMENT_TOKENS)
    collections = {
        name: read(given.folder / name, titled, evaluated)
        for name, titled in COLLECTIONS.items()
        if name in given.collections
    }

    def row(name: str, score: Score, seconds: float, *more: str) -> str:
        figures = [
            f"{ndcg:.3f} / {recall:.3f}" for ndcg, recall in (measured(score, each) for each in collections.values())
        ]
        return f"| {' | '.join([name, *figures, f'{seconds:.0f} s', *more])} |"

    steps = {} if given.steps is None else {"steps": given.steps}
    idf = read_idf(given.idf)
    weights = entry_weights(backbone, idf)
    first = SparseHead.initial(pairs.documents.flat, pairs.documents.ids, backbone.embeddings)
    yield row("terms, not trained", sparse_score(first, weights), 0)
    start = time.perf_counter()
    sparse, _ = train_sparse(pairs, backbone, idf, replace(SPARSE, **steps))
    seconds = time.perf_counter() - start
    terms = [f"{terms_per_document(sparse, each.documents):.0f} terms" for each in collections.values()]
    yield row("terms, trained", sparse_score(sparse, weights), seconds, *terms)
    yield row("token vectors, PCA", maxsim_score(MultiVectorHead.initial(pairs.documents.flat)), 0)
    start = time.perf_counter()
    late, _ = train_multivector(pairs, training=replace(MULTIVECTOR, **steps))
    yield row("token vectors, trained", maxsim_score(late), time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--idf", type=Path, required=True)
    parser.add_argument("--device")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--collections", nargs="+", default=list(COLLECTIONS))
    for line in rows(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
