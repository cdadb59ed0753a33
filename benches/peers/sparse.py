"""Measures engines for learned-sparse search on the same vectors, queries and machine.

    python benches/peers/sparse.py VECTORS... --out REPORT --work INDEXES --python bmp=.venv-bmp/bin/python ...

README.md says what is measured and how. REPORT gets `raw.jsonl`, `report.md` and a plot for each collection.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from collection import Array, Rows, read
from engines import ENGINES, query_levels
from measure import DEPTHS
from report import write_report

POOLS = ("RAYON", "OMP", "OPENBLAS", "MKL", "NUMEXPR")
Line = dict[str, Any]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One collection: its exact answers, and the stages of every index of every engine."""

    def __init__(self, vectors: Path, work: Path, arguments: argparse.Namespace) -> None:
        self.vectors, self.work, self.arguments = vectors.resolve(), work / vectors.name, arguments
        self.pythons = dict(pair.split("=", 1) for pair in arguments.python)
        self.work.mkdir(parents=True, exist_ok=True)
        self.facts, self.peak = self.prepare()

    def prepare(self) -> tuple[Line, float]:
        """Describe the collection, keep the exact answers, and find the best score of rounded queries."""
        documents, queries = (read(self.vectors / f"sparse_{name}.npz") for name in ("docs", "queries"))
        if (np.diff(queries.indptr) == 0).any():
            raise SystemExit(f"{self.vectors} has a query without terms; leave it out")
        terms = int(max(documents.indices.max(), queries.indices.max())) + 1
        self.shape = (len(documents), terms)
        ids, scores, peak = exact(documents, queries, terms)
        np.savez(self.work / "truth.npz", ids=ids, scores=scores)
        facts = {
            "collection": self.vectors.name,
            "documents": len(documents),
            "postings": len(documents.data),
            "queries": len(queries),
            "terms_per_document": round(len(documents.data) / len(documents), 1),
            "terms_per_query": round(len(queries.data) / len(queries), 1),
        }
        return facts, peak

    def indexes(self) -> Iterator[tuple[str, int]]:
        limits = dict(pair.split("=", 1) for pair in self.arguments.limit)
        for name in self.arguments.engines.split(","):
            limit = limits.get(name, ENGINES[name].most_documents)
            if limit and self.facts["documents"] > int(limit):
                say(f"{name}: left out, the collection has more than {limit} documents")
                continue
            yield from ((name, number) for number in range(len(ENGINES[name].indexes)))

    def run(self, name: str, number: int, stage: str, threads: int) -> Any:
        """Return what a stage answers, None where it fails."""
        folder = self.work / f"{name}-{number}"
        answer = folder / f"{stage}.json"
        answer.unlink(missing_ok=True)
        request = {
            "stage": stage,
            "engine": name,
            "index": ENGINES[name].indexes[number],
            "folder": str(folder / "files"),
            "answer": str(answer),
            "vectors": str(self.vectors),
            "truth": str(self.work / "truth.npz"),
            "shape": self.shape,
            "peak": self.peak,
            "threads": threads,
            "passes": self.arguments.passes,
            "seconds": self.arguments.seconds,
        }
        command = [self.pythons.get(name, sys.executable), str(Path(__file__).with_name("measure.py"))]
        environment = os.environ | {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
        with (folder / f"{stage}.log").open("w") as log:
            try:
                subprocess.run(
                    [*command, json.dumps(request)],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    timeout=self.arguments.timeout,
                    check=True,
                )
            except (subprocess.SubprocessError, OSError) as error:
                say(f"{name} {number} {stage} failed, see {log.name}: {type(error).__name__}")
                return None
        return json.loads(answer.read_text())

    def build(self, name: str, number: int) -> Line | None:
        folder = self.work / f"{name}-{number}"
        kept = folder / "build.json"
        reused = self.arguments.reuse.split(",")
        if {name, "all"} & set(reused) and kept.exists():
            made: Line = json.loads(kept.read_text())
            return made
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "files").mkdir(parents=True)
        say(f"{self.vectors.name}: building {name} {number}")
        built: Line | None = self.run(name, number, "build", os.cpu_count() or 1)
        return built

    def measure(self) -> Iterator[Line]:
        """Build what is not there, then go round all indexes several times, and yield lines of results."""
        yield {"kind": "collection", **self.facts}
        ready = []
        for name, number in self.indexes():
            line = {"collection": self.vectors.name, "engine": name, "index": ENGINES[name].indexes[number]}
            built = self.build(name, number)
            yield {"kind": "build" if built else "failed", **line, **(built or {"stage": "build"})}
            if built:
                ready.append((name, number, line))
        results: dict[tuple[str, int, str], list[list[Line]]] = defaultdict(list)
        for turn in range(self.arguments.rounds):
            for name, number, line in ready:
                say(f"{self.vectors.name}: round {turn + 1} of {self.arguments.rounds}, {name} {number}")
                for stage, threads in (("search", 1), ("batch", self.arguments.threads)):
                    answer = self.run(name, number, stage, threads)
                    if answer is None:
                        yield {"kind": "failed", **line, "stage": stage}
                    else:
                        results[name, number, stage].append(answer)
        for name, number, line in ready:
            for stage, summary in (("search", search_line), ("batch", self.batch_line)):
                for rounds in zip(*results[name, number, stage], strict=True):
                    yield {"kind": stage, **line, **summary(rounds)}

    def batch_line(self, rounds: tuple[Line, ...]) -> Line:
        ms = np.concatenate([answer["passes"] for answer in rounds])
        rate = self.facts["queries"] * 1e3 / float(np.median(ms))
        first = {key: rounds[0][key] for key in ("setting", "k", "way")}
        return first | {"threads": self.arguments.threads, "queries_per_second": rate, "others": others(rounds)}


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


def search_line(rounds: tuple[Line, ...]) -> Line:
    """Each query counts with its median over all passes of all rounds."""
    ms = np.median(np.concatenate([answer["passes"] for answer in rounds]), axis=0)
    return {
        **{key: rounds[0][key] for key in ("setting", "k", "recall")},
        "p50_ms": float(np.median(ms)),
        "mean_ms": float(ms.mean()),
        "p95_ms": float(np.percentile(ms, 95)),
        "cpu_ms": float(np.median([answer["cpu_ms"] for answer in rounds])),
        "peak_mb": max(answer["peak_mb"] for answer in rounds),
        "others": others(rounds),
    }


def others(rounds: tuple[Line, ...]) -> float:
    return float(np.median([answer["others"] for answer in rounds]))


def machine() -> Line:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    vectors = [flag for flag in flags if flag in ("avx2", "avx512f", "avx512bw", "avx512_vnni")]
    return {"kind": "machine", "processor": model, "cores": os.cpu_count(), "vectors": vectors}


def shortened(line: Line) -> Line:
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in line.items()}


def command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, nargs="+", help="folders with sparse_docs.npz and sparse_queries.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--work", type=Path, help="folder that keeps the indexes; without it they are removed")
    parser.add_argument("--reuse", default="", metavar="ENGINE,...", help="take the indexes found in --work; or `all`")
    parser.add_argument("--engines", default=",".join(ENGINES), metavar="ENGINE,...", help="default: %(default)s")
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=INTERPRETER")
    parser.add_argument("--limit", action="append", default=[], metavar="ENGINE=DOCUMENTS", help="0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="0 to build only")
    parser.add_argument("--passes", type=int, default=5, help="over the queries, in each round")
    parser.add_argument("--seconds", type=float, default=0.3, help="no further pass after so long")
    parser.add_argument("--threads", type=int, default=2, help="of the batch of all queries")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one stage of one index")
    arguments = parser.parse_args()
    unknown = set(arguments.engines.split(",")) - ENGINES.keys()
    if unknown:
        parser.error(f"unknown engines: {', '.join(sorted(unknown))}")
    return arguments


def main() -> None:
    arguments = command_line()
    arguments.out.mkdir(parents=True, exist_ok=True)
    raw = arguments.out / "raw.jsonl"
    work = arguments.work or Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        with raw.open("w") as file:
            file.write(json.dumps(machine()) + "\n")
            for vectors in arguments.vectors:
                for line in Bench(vectors, work, arguments).measure():
                    file.write(json.dumps(shortened(line)) + "\n")
                    file.flush()
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)
    write_report([raw], arguments.out)


if __name__ == "__main__":
    main()
