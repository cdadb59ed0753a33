"""What the benches share: the stages of every index of every engine, on one collection after the other.

A bench says which engines there are and what the exact answers of a collection are. Each stage of an index is
`measure.py` in a process of its own.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from engines import Engine
from report import Line, write_report

POOLS = ("RAYON", "OMP", "OPENBLAS", "MKL", "NUMEXPR")
Rounds = tuple[Line, ...]
Results = dict[tuple[str, int, str], list[list[Line]]]  # of each stage of each index, what it answered in each round


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Arguments of the form KEY=VALUE."""
    return dict(text.split("=", 1) for text in texts)


class Bench:
    """One collection; its indexes are in a folder of `work`."""

    module: ClassVar[str]  # that holds the engines
    engines: ClassVar[Mapping[str, type[Engine]]]
    depths: ClassVar[tuple[int, ...]]
    stages: ClassVar[tuple[str, ...]] = ("search",)  # after building

    def __init__(self, vectors: Path, work: Path, arguments: argparse.Namespace) -> None:
        self.vectors, self.work, self.arguments = vectors.resolve(), work / vectors.name, arguments
        self.pythons = pairs(arguments.python)
        self.reused = set(arguments.reuse.split(","))
        self.truth = self.work / "truth.npz"
        self.work.mkdir(parents=True, exist_ok=True)
        self.facts = self.prepare()

    def prepare(self) -> Line:
        """Describe the collection, and write the best documents of each query and their scores to `truth`."""
        raise NotImplementedError

    def known(self) -> Line:
        """What engines are told about the collection."""
        return {}

    def build_line(self, built: Line) -> Line:
        return built

    def search_line(self, rounds: Rounds) -> Line:
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

    def batch_line(self, rounds: Rounds) -> Line:
        ms = np.concatenate([answer["passes"] for answer in rounds])
        rate = self.facts["queries"] * 1e3 / float(np.median(ms))
        first = {key: rounds[0][key] for key in ("setting", "k", "way")}
        return first | {"threads": self.arguments.threads, "queries_per_second": rate, "others": others(rounds)}

    def indexes(self) -> Iterator[tuple[str, int]]:
        limits, chosen = pairs(self.arguments.limit), pairs(self.arguments.indexes)
        for name in self.arguments.engines.split(","):
            limit = limits.get(name, self.engines[name].most_documents)
            if limit and self.facts["documents"] > int(limit):
                say(f"{name}: left out, the collection has more than {limit} documents")
                continue
            everyone = range(len(self.engines[name].indexes))
            numbers = map(int, chosen[name].split(",")) if name in chosen else everyone
            yield from ((name, number) for number in numbers)

    def run(self, name: str, number: int, stage: str, threads: int, first: bool = True) -> Any:
        """Return what a stage answers, None where it fails."""
        folder = self.work / f"{name}-{number}"
        answer = folder / f"{stage}.json"
        answer.unlink(missing_ok=True)
        request = {
            "stage": stage,
            "module": self.module,
            "engine": name,
            "index": self.engines[name].indexes[number],
            "folder": str(folder / "files"),
            "answer": str(answer),
            "vectors": str(self.vectors),
            "truth": str(self.truth),
            "known": self.known(),
            "queries": self.facts["queries"],
            "depths": self.depths,
            "threads": threads,
            "passes": self.arguments.passes,
            "seconds": self.arguments.seconds,
            "first": first,
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
        if self.reused & {name, "all"} and kept.exists():
            made: Line = json.loads(kept.read_text())
            return made
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "files").mkdir(parents=True)
        say(f"{self.vectors.name}: building {name} {number}")
        built: Line | None = self.run(name, number, "build", os.cpu_count() or 1)
        return built

    def line(self, name: str, number: int) -> Line:
        return {"collection": self.vectors.name, "engine": name, "index": self.engines[name].indexes[number]}

    def measure(self) -> Iterator[Line]:
        """Build what is not there, then go round all indexes several times, and yield lines of results."""
        yield {"kind": "collection", **self.facts}
        ready = []
        for name, number in self.indexes():
            built = self.build(name, number)
            if built:
                yield {"kind": "build", **self.line(name, number), **self.build_line(built)}
                ready.append((name, number))
            else:
                yield {"kind": "failed", **self.line(name, number), "stage": "build"}
        results: Results = {(*index, stage): [] for index in ready for stage in self.stages}
        for turn in range(self.arguments.rounds):
            say(f"{self.vectors.name}: round {turn + 1} of {self.arguments.rounds}")
            yield from self.round(results)
        yield from self.summaries(results)

    def round(self, results: Results) -> Iterator[Line]:
        """Run the stages of all indexes, and yield lines of those that fail."""
        for (name, number, stage), earlier in results.items():
            say(f"{name} {number} {stage}")
            threads = self.arguments.threads if stage == "batch" else 1
            answer = self.run(name, number, stage, threads, first=not earlier)
            if answer is None:
                yield {"kind": "failed", **self.line(name, number), "stage": stage}
            else:
                earlier.append(answer)

    def summaries(self, results: Results) -> Iterator[Line]:
        summaries = {"search": self.search_line, "batch": self.batch_line}
        for (name, number, stage), answers in results.items():
            for rounds in zip(*answers, strict=True):
                yield {"kind": stage, **self.line(name, number), **summaries[stage](rounds)}


def others(rounds: Rounds) -> float:
    return float(np.median([answer["others"] for answer in rounds]))


def machine() -> Line:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    vectors = [flag for flag in flags if flag in ("avx2", "avx512f", "avx512bw", "avx512_vnni")]
    return {"kind": "machine", "processor": model, "cores": os.cpu_count(), "vectors": vectors}


def shortened(line: Line) -> Line:
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in line.items()}


def options(description: str | None, engines: Iterable[str]) -> argparse.ArgumentParser:
    """The arguments that all benches have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, nargs="+", help="folders of collections")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--work", type=Path, help="folder that keeps the indexes; without it they are removed")
    parser.add_argument("--reuse", default="", metavar="ENGINE,...", help="take the indexes found in --work; or `all`")
    parser.add_argument("--engines", default=",".join(engines), metavar="ENGINE,...", help="default: %(default)s")
    parser.add_argument("--indexes", action="append", default=[], metavar="ENGINE=NUMBER,...", help="default: all")
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=INTERPRETER")
    parser.add_argument("--limit", action="append", default=[], metavar="ENGINE=DOCUMENTS", help="0 for none")
    parser.add_argument("--queries", type=int, default=sys.maxsize, help="only so many of them")
    parser.add_argument("--rounds", type=int, default=3, help="0 to build only")
    parser.add_argument("--passes", type=int, default=5, help="over the queries, in each round")
    parser.add_argument("--seconds", type=float, default=0.3, help="no further pass after so long")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one stage of one index")
    return parser


def run(bench: type[Bench], parser: argparse.ArgumentParser) -> None:
    """Measure all collections, and write the report."""
    arguments = parser.parse_args()
    unknown = set(arguments.engines.split(",")) - bench.engines.keys()
    if unknown:
        parser.error(f"unknown engines: {', '.join(sorted(unknown))}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    raw = arguments.out / "raw.jsonl"
    work = arguments.work or Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        with raw.open("w") as file:
            file.write(json.dumps(machine()) + "\n")
            for vectors in arguments.vectors:
                for line in bench(vectors, work, arguments).measure():
                    file.write(json.dumps(shortened(line)) + "\n")
                    file.flush()
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)
    write_report([raw], arguments.out)
