"""One stage of one index, run by `bench.py` in a process of its own: build, search or batch.

    python measure.py REQUEST

REQUEST is JSON; the answer goes to the file that it names. Milliseconds and seconds are of the wall clock unless their
name says `cpu`; megabytes are resident memory.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from collection import Array
from engines import Call, Engine

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


def build(engine: Engine, request: Request, documents: Any, queries: Any) -> dict[str, Any]:
    start = peak_mb(start_again=True)
    with Clock() as clock:
        engine.build(documents)
    peak = peak_mb()
    with Clock() as tuning:
        engine.tune(queries, request["depths"])
    return {
        "version": engine.version(),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu,
        "start_mb": start,
        "peak_mb": peak,
        "tune_seconds": tuning.seconds,
        "bytes": sum(path.stat().st_size for path in engine.folder.rglob("*") if path.is_file()),
        **engine.described(documents),
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


def warm(engine: Engine, calls: list[Call], request: Request) -> list[Any]:
    """The hits of all queries in the first round; later those that there is time for."""
    found = []
    start = time.perf_counter()
    for call in calls:
        found.append(engine.ids(call()))
        if not request["first"] and time.perf_counter() - start > request["seconds"]:
            break
    return found


def search(engine: Engine, request: Request) -> list[dict[str, Any]]:
    with np.load(request["truth"]) as file:
        truth = file["ids"], file["scores"]
    rows = []
    for k in request["depths"]:
        for setting in engine.settings_for(k):
            calls = engine.calls(k, **setting)
            found = warm(engine, calls, request)
            with Clock() as clock:
                passes = repeated(calls, request)
            rows.append(
                {
                    "setting": setting,
                    "k": k,
                    "recall": recall(found, *truth, k) if request["first"] else None,
                    "best": [np.asarray(ids[:10]).tolist() for ids in found],
                    "passes": np.round(passes, 5).tolist(),
                    "cpu_ms": clock.cpu * 1e3 / len(passes) / len(calls),
                    "others": clock.others,
                    "peak_mb": peak_mb(),
                }
            )
    return rows


def batch(engine: Engine, request: Request) -> list[dict[str, Any]]:
    rows, k = [], request["depths"][0]
    for setting in engine.settings_for(k):
        for way, call in engine.batches(k, request["threads"], **setting).items():
            call()
            with Clock() as clock:
                passes = repeated([call], request)
            rows.append({"setting": setting, "k": k, "way": way, "passes": passes, "others": clock.others})
    return rows


def main() -> None:
    request = json.loads(sys.argv[1])
    module, vectors = importlib.import_module(request["module"]), Path(request["vectors"])
    engine = module.ENGINES[request["engine"]](Path(request["folder"]), request["known"], **request["index"])
    queries = module.read_queries(vectors, request["queries"])
    if request["stage"] == "build":
        answer: Any = build(engine, request, module.read_documents(vectors), queries)
    else:
        engine.open(queries)
        answer = {"search": search, "batch": batch}[request["stage"]](engine, request)
    Path(request["answer"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
