"""One stage of one index, run by `sparse.py` in a process of its own: build, search or batch.

    python measure.py REQUEST

REQUEST is JSON; the answer goes to the file that it names. Milliseconds and seconds are of the wall clock unless their
name says `cpu`; megabytes are resident memory.
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from collection import Array, read
from engines import ENGINES, Call, Engine

DEPTHS = (10, 100, 1000)
Request = dict[str, Any]


class Clock:
    """Wall and CPU seconds of this process, and the share of the machine that others used meanwhile."""

    def __enter__(self) -> "Clock":
        self._start = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu, busy = np.subtract(self._now(), self._start)
        self.others = max(0.0, (busy - self.cpu) / self.seconds / (os.cpu_count() or 1))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), time.process_time(), busy


def peak_mb(start_again: bool = False) -> float:
    if start_again:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def build(engine: Engine, request: Request) -> dict[str, Any]:
    documents = read(Path(request["vectors"]) / "sparse_docs.npz")
    start = peak_mb(start_again=True)
    with Clock() as clock:
        engine.build(documents, request["peak"])
    peak = peak_mb()
    with Clock() as tuning:
        engine.tune(read(Path(request["vectors"]) / "sparse_queries.npz"), DEPTHS)
    size = sum(path.stat().st_size for path in engine.folder.rglob("*") if path.is_file())
    return {
        "version": importlib.metadata.version(engine.package),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu,
        "start_mb": start,
        "peak_mb": peak,
        "tune_seconds": tuning.seconds,
        "bytes": size,
        "bytes_per_posting": size / len(documents.data),
        "others": clock.others,
    }


def recall(found: list[Any], ids: Array, scores: Array, k: int) -> float:
    """The share of the k best hits that is found; of hits as good as the k-th, any will do.

    Rows of `ids` and `scores` hold the best hits, more than k of them; scores that are no hits are 0.
    """
    have = wanted = 0
    for answer, best, values in zip(found, ids, scores, strict=True):
        hits = best[(values > 0) & (values >= values[min(k, len(values)) - 1])]
        have += min(k, len(np.intersect1d(answer, hits)))
        wanted += min(k, len(hits))
    return have / wanted


def timed(call: Call) -> float:
    start = time.perf_counter()
    answer = call()
    end = time.perf_counter()
    del answer
    return (end - start) * 1e3


def repeated(calls: list[Call], request: Request) -> list[list[float]]:
    """Milliseconds of each call in each pass: so many passes, or as many as fit into the time, but at least one."""
    passes: list[list[float]] = []
    start = time.perf_counter()
    while not passes or (len(passes) < request["passes"] and time.perf_counter() - start < request["seconds"]):
        passes.append([timed(call) for call in calls])
    return passes


def search(engine: Engine, request: Request) -> list[dict[str, Any]]:
    with np.load(request["truth"]) as file:
        truth = file["ids"], file["scores"]
    rows = []
    for k in DEPTHS:
        for setting in engine.settings_for(k):
            calls = engine.calls(k, **setting)
            found = [engine.ids(call()) for call in calls]
            with Clock() as clock:
                passes = repeated(calls, request)
            rows.append(
                {
                    "setting": setting,
                    "k": k,
                    "recall": recall(found, *truth, k),
                    "passes": np.round(passes, 5).tolist(),
                    "cpu_ms": clock.cpu * 1e3 / len(passes) / len(calls),
                    "others": clock.others,
                    "peak_mb": peak_mb(),
                }
            )
    return rows


def batch(engine: Engine, request: Request) -> list[dict[str, Any]]:
    rows = []
    for setting in engine.settings_for(DEPTHS[0]):
        for way, call in engine.batches(DEPTHS[0], request["threads"], **setting).items():
            call()
            with Clock() as clock:
                passes = repeated([call], request)
            rows.append({"setting": setting, "k": DEPTHS[0], "way": way, "passes": passes, "others": clock.others})
    return rows


def main() -> None:
    request = json.loads(sys.argv[1])
    engine = ENGINES[request["engine"]](Path(request["folder"]), **request["index"])
    if request["stage"] == "build":
        answer: Any = build(engine, request)
    else:
        engine.open(read(Path(request["vectors"]) / "sparse_queries.npz"), tuple(request["shape"]))
        answer = {"search": search, "batch": batch}[request["stage"]](engine, request)
    Path(request["answer"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
