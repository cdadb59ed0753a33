"""How fast another Python thread runs while the core builds or searches: 100 % means that it is not held up.

Run with `python benches/gil.py`. The thread counts in a loop; its speed beside the core is compared with its
speed beside SHA-256 of large buffers, which takes a processor too and never holds the interpreter's lock.
Searches use one thread, so that two processors are enough.
"""

import hashlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import weft

DOCUMENTS, TERMS, VOCABULARY = 100_000, 100, 30_000
SECONDS, ROUNDS = 1.0, 7


def counting_speed(beside: Callable[[], object]) -> float:
    """Return the steps a second of a counting thread while `beside` is called again and again."""
    steps, done = 0, threading.Event()

    def count() -> None:
        nonlocal steps
        while not done.is_set():
            steps += 1

    thread = threading.Thread(target=count)
    start = time.perf_counter()
    thread.start()
    while time.perf_counter() - start < SECONDS:
        beside()
    speed = steps / (time.perf_counter() - start)
    done.set()
    thread.join()
    return speed


def random_rows(documents: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of `TERMS` distinct terms with random weights."""
    step = VOCABULARY // TERMS
    terms = np.arange(TERMS) * step + generator.integers(0, step, (documents, TERMS))
    weights = generator.random(documents * TERMS, np.float32) + 0.01
    return np.arange(documents + 1) * TERMS, terms.ravel(), weights


def main() -> None:
    """Print the median of several rounds for each kind of work."""
    generator = np.random.default_rng(0)
    rows, queries = random_rows(DOCUMENTS, generator), random_rows(64, generator)
    buffer, ids = bytes(2**26), np.arange(DOCUMENTS)
    searching, building = [], []
    with tempfile.TemporaryDirectory() as folder:
        index = weft.build(Path(folder) / "search.weft", sparse=rows)
        schema = weft.Schema(weft.Sparse(), ids="int")
        with weft.Writer(Path(folder) / "build.weft", schema, memory_limit="256MiB") as writer:
            for _ in range(ROUNDS):
                free = counting_speed(lambda: hashlib.sha256(buffer))
                searching.append(counting_speed(lambda: index.search(sparse=queries, num_threads=1)) / free)
                building.append(counting_speed(lambda: writer.add(ids, sparse=rows)) / free)
    print(f"beside searches: {statistics.median(searching):.0%}")
    print(f"beside a build:  {statistics.median(building):.0%}")


if __name__ == "__main__":
    main()
