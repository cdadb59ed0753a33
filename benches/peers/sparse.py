"""Measures engines for learned-sparse search on the same vectors, queries and machine.

    python benches/peers/sparse.py VECTORS... --out REPORT --work INDEXES --python bmp=.venv-bmp/bin/python ...

README.md says what is measured and how. REPORT gets `raw.jsonl`, `report.md` and a plot for each collection.
"""

from typing import Any, ClassVar

import numpy as np
from bench import Bench, options, run
from collection import Array, Rows
from engines import ENGINES, query_levels, read_documents, read_queries
from report import Line

DEPTHS = (10, 100, 1000)


class SparseBench(Bench):
    module, engines, depths = "engines", ENGINES, DEPTHS
    stages: ClassVar = ("search", "batch")

    def prepare(self) -> Line:
        documents, queries = read_documents(self.vectors), read_queries(self.vectors, self.arguments.queries)
        if (np.diff(queries.indptr) == 0).any():
            raise SystemExit(f"{self.vectors} has a query without terms; leave it out")
        terms = int(max(documents.indices.max(), queries.indices.max())) + 1
        self.shape = (len(documents), terms)
        ids, scores, self.peak = exact(documents, queries, terms)
        np.savez(self.truth, ids=ids, scores=scores)
        return {
            "collection": self.vectors.name,
            "documents": len(documents),
            "postings": len(documents.data),
            "queries": len(queries),
            "terms_per_document": round(len(documents.data) / len(documents), 1),
            "terms_per_query": round(len(queries.data) / len(queries), 1),
        }

    def known(self) -> Line:
        """The shape of the matrix, and the best score of any query of rounded weights."""
        return {"shape": self.shape, "peak": self.peak}

    def build_line(self, built: Line) -> Line:
        return built | {"bytes_per_posting": built["bytes"] / self.facts["postings"]}


def exact(documents: Rows, queries: Rows, terms: int) -> tuple[Array, Array, float]:
    """The best documents of each query with float32 scores, and the best score of any query of rounded weights."""
    from scipy.sparse import csr_matrix

    shape = (len(documents), terms)
    columns: Any = csr_matrix((documents.data, documents.indices, documents.indptr), shape=shape).tocsc()
    depth = min(2 * max(DEPTHS), len(documents))  # with room for equal scores
    best, scores, peak = [], [], 0.0
    for (ids, weights), (_, levels) in zip(queries.each(), query_levels(queries).each(), strict=True):
        chosen = columns[:, ids]
        values = chosen @ weights
        order = np.argpartition(-values, depth - 1)[:depth]
        best.append(order[np.argsort(-values[order], kind="stable")])
        scores.append(values[best[-1]])
        peak = max(peak, float((chosen @ levels).max()))
    return np.array(best), np.array(scores), peak


def main() -> None:
    parser = options(__doc__, ENGINES)
    parser.add_argument("--threads", type=int, default=2, help="of the batch of all queries")
    run(SparseBench, parser)


if __name__ == "__main__":
    main()
