"""How fast another Python thread runs while the core builds or searches: 100 % means that it is not held up.

Run with `python benches/gil.py`. The thread counts in a loop; its speed beside the core is compared with its
speed beside an idle main thread. One core must be left for it, so searches use one thread.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import weft

DOCUMENTS, TERMS, VOCABULARY = 100_000, 100, 30_000
SECONDS = 3.0


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
    """Print one line for each kind of work."""
    generator = np.random.default_rng(0)
    rows, queries = random_rows(DOCUMENTS, generator), random_rows(64, generator)
    alone = counting_speed(lambda: time.sleep(SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        index = weft.build(Path(folder) / "search.weft", sparse=rows)
        searching = counting_speed(lambda: index.search(sparse=queries, num_threads=1))
        with weft.Writer(Path(folder) / "build.weft", weft.Schema(weft.Sparse(), ids="int")) as writer:
            ids = np.arange(DOCUMENTS)
            building = counting_speed(lambda: writer.add(ids, sparse=rows))
    print(f"beside searches: {searching / alone:.0%} of the speed beside an idle main thread")
    print(f"beside a build:  {building / alone:.0%}")


if __name__ == "__main__":
    main()
