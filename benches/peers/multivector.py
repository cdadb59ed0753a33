"""Measures engines for late interaction (MaxSim) on the same token vectors, queries and machine.

    python benches/peers/multivector.py VECTORS... --out REPORT --work INDEXES --qrels COLLECTION=FILE \\
        --python fast-plaid=.venv-plaid/bin/python ...

README.md says what is measured and how. REPORT gets `raw.jsonl`, `report.md` and a plot for each collection.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from bench import Bench, Rounds, options, pairs, run
from collection import Array
from late_engines import ENGINES, Scan, Tokens, best, read_documents, read_queries
from report import Line

DEPTHS = (10, 100)
JUDGED = 10  # hits that nDCG looks at
Grades = dict[int, dict[int, int]]  # of documents, for each query, both by row number


class LateBench(Bench):
    module, engines, depths = "late_engines", ENGINES, DEPTHS

    def prepare(self) -> Line:
        documents, queries = read_documents(self.vectors), read_queries(self.vectors, self.arguments.queries)
        if (np.diff(documents.offsets) == 0).any():
            raise SystemExit(f"{self.vectors} has a document without tokens; leave it out")
        hits = self.exact(documents, queries)
        path = pairs(self.arguments.qrels).get(self.vectors.name)
        self.grades = read_grades(Path(path), self.vectors, len(queries)) if path else {}
        tokens, dim = documents.vectors.shape
        return {
            "collection": self.vectors.name,
            "documents": len(documents),
            "tokens": tokens,
            "dimensions": dim,
            "queries": len(queries),
            "tokens_per_document": round(tokens / len(documents), 1),
            "tokens_per_query": round(sum(map(len, queries)) / len(queries), 1),
            "exact_ndcg": self.ndcg(hits),
        }

    def exact(self, documents: Tokens, queries: list[Array]) -> Array:
        """The exact hits; where indexes are reused, those found beside them."""
        if self.reused != {""} and self.truth.exists():
            with np.load(self.truth) as file:
                found: Array = file["ids"]
            if len(found) == len(queries):
                return found
        ids, scores = exact(documents, queries)
        np.savez(self.truth, ids=ids, scores=scores)
        return ids

    def build_line(self, built: Line) -> Line:
        tokens = self.facts["tokens"]
        return built | {"bytes_per_token": built["bytes"] / tokens, "tokens_per_second": tokens / built["seconds"]}

    def search_line(self, rounds: Rounds) -> Line:
        return super().search_line(rounds) | {"ndcg": self.ndcg(rounds[0]["best"])}

    def ndcg(self, hits: Any) -> float | None:
        return ndcg(hits, self.grades) if self.grades else None


def exact(documents: Tokens, queries: list[Array]) -> tuple[Array, Array]:
    """The best documents of each query with float32 scores, with room for equal scores."""
    scan, depth = Scan(documents.floats(), documents.offsets), 2 * max(DEPTHS)
    ids, scores = [], []
    for query in queries:
        found = scan.scores(query)
        ids.append(best(found, depth))
        scores.append(found[ids[-1]])
    return np.array(ids), np.array(scores)


def read_grades(path: Path, vectors: Path, queries: int) -> Grades:
    """Judgements in lines of query, document and grade below a heading, of the queries that are measured."""
    names = (vectors / "query_ids.txt").read_text().split("\n")[:queries]
    rows = {name: row for row, name in enumerate((vectors / "doc_ids.txt").read_text().split("\n"))}
    asked = {name: row for row, name in enumerate(names)}
    grades: Grades = defaultdict(dict)
    for line in path.read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        if query in asked and document in rows:
            grades[asked[query]][rows[document]] = int(grade)
    return grades


def ndcg(hits: Any, grades: Grades) -> float:
    """The mean over judged queries of the discounted gain of the first hits, as a share of the best possible one."""
    discounts = 1 / np.log2(np.arange(2, JUDGED + 2))

    def gain(found: list[int]) -> float:
        return float(np.dot(found[:JUDGED], discounts[: len(found)]))

    shares = []
    for query, judged in grades.items():
        ideal = gain(sorted(judged.values(), reverse=True))
        shares.append(gain([judged.get(int(row), 0) for row in hits[query][:JUDGED]]) / ideal if ideal else 0.0)
    return float(np.mean(shares))


def main() -> None:
    parser = options(__doc__, ENGINES)
    parser.add_argument("--qrels", action="append", default=[], metavar="COLLECTION=FILE", help="judgements, for nDCG")
    run(LateBench, parser)


if __name__ == "__main__":
    main()
