"""Indexes sparse vectors and measures building and searching them, one query at a time on one thread.

    python benches/vectors.py FOLDER [--doc-terms 150] [--query-terms 32]

FOLDER holds `sparse_docs.npz` and `sparse_queries.npz`, each with `indptr`, `indices` and `data` of a CSR matrix. The
heaviest terms of each row are kept. `recall@10` is the share of the exact top 10 of float weights that is found.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import weft


def heaviest(path: Path, terms: int) -> Any:
    """The matrix with the heaviest `terms` of each row."""
    arrays = np.load(path)
    indptr, indices, data = arrays["indptr"], arrays["indices"], arrays["data"]
    rows = []
    for start, end in itertools.pairwise(indptr):
        kept = np.sort(start + np.argsort(-data[start:end], kind="stable")[:terms])
        rows.append((indices[kept], data[kept]))
    lengths = np.cumsum([0] + [len(terms) for terms, _ in rows])
    columns = np.concatenate([terms for terms, _ in rows])
    weights = np.concatenate([weights for _, weights in rows])
    return scipy.sparse.csr_matrix((weights, columns, lengths), shape=(len(rows), 30_522))


def recall(index: weft.Index, documents: Any, queries: Any, k: int = 10) -> float:
    scores = (queries @ documents.T).toarray()
    exact = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = index.search(sparse=queries, k=k).ids
    return statistics.fmean(len(set(a) & set(b)) / k for a, b in zip(exact.tolist(), found.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--doc-terms", type=int, default=150)
    parser.add_argument("--query-terms", type=int, default=32)
    parser.add_argument("--passes", type=int, default=15)
    arguments = parser.parse_args()
    documents = heaviest(arguments.folder / "sparse_docs.npz", arguments.doc_terms)
    queries = heaviest(arguments.folder / "sparse_queries.npz", arguments.query_terms)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        index = weft.build(Path(directory) / "index", ids=None, sparse=documents)
        figures: dict[str, object] = {"build_seconds": round(time.perf_counter() - start, 2)}
        stats = index.stats()
        figures |= {key: stats[key] for key in ("documents", "postings", "bytes_per_posting", "segments")}
        figures["recall@10"] = round(recall(index, documents, queries), 4)
        rows = [(q.indptr.astype(np.int64), q.indices.astype(np.int64), q.data) for q in queries]
        for k in (10, 100, 1000):
            times = [[] for _ in rows]  # type: list[list[float]]
            for _ in range(arguments.passes):
                for row, spent in zip(rows, times, strict=True):
                    begin = time.perf_counter()
                    index.search(sparse=row, k=k)
                    spent.append(time.perf_counter() - begin)
            figures[f"search_p50_us_k{k}"] = round(statistics.median(map(statistics.median, times)) * 1e6, 1)
        start = time.perf_counter()
        for _ in range(arguments.passes):
            index.search(sparse=queries, k=10, num_threads=1)
        spent = (time.perf_counter() - start) / arguments.passes / len(rows)
        figures["batch_us_per_query_k10"] = round(spent * 1e6, 1)
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
