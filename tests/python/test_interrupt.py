"""Ctrl-C stops a build and leaves the last generation; threads run beside the core."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import weft

BUILD = """
import sys, numpy as np, weft
generator = np.random.default_rng(0)
documents, terms = 20_000, 100
rows = (
    np.arange(documents + 1) * terms,
    np.tile(np.arange(terms), documents) * 7 + np.repeat(np.arange(documents) % 7, terms),
    generator.random(documents * terms, np.float32) + 0.1,
)
writer = weft.Writer(sys.argv[1], memory_limit=sys.argv[2])
print("ready", flush=True)
try:
    with writer:
        while True:
            writer.add(np.arange(documents), sparse=rows)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupt_a_build(path: Path, memory_limit: str) -> None:
    """Interrupt a build that never ends by itself, and see that it ends."""
    command = [sys.executable, "-c", BUILD, str(path), memory_limit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("memory_limit", ["8MiB", "4GiB"])
def test_an_interrupted_build_leaves_the_last_generation(path: Path, memory_limit: str) -> None:
    index = weft.build(path, ids=[7], sparse=[{3: 1.0}])
    interrupt_a_build(path, memory_limit)
    again = weft.open(path)
    assert again.generation == index.generation
    assert again.search(sparse={3: 1.0}).to_list() == index.search(sparse={3: 1.0}).to_list()
    again.verify()
    with weft.Writer(path) as writer:
        writer.add([8], sparse=[{3: 2.0}])
    assert len(weft.open(path)) == 2


def test_another_thread_runs_during_a_search(path: Path) -> None:
    documents, terms = 20_000, 50
    generator = np.random.default_rng(1)
    weights = generator.random(documents * terms, np.float32) + 0.1
    rows = (np.arange(documents + 1) * terms, np.tile(np.arange(terms), documents), weights)
    index = weft.build(path, sparse=rows)
    queries = [dict.fromkeys(range(terms), 1.0)] * 200
    steps, done = 0, threading.Event()

    def count() -> None:
        nonlocal steps
        while not done.is_set():
            steps += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = steps
    index.search(sparse=queries, num_threads=1)
    during = steps - before
    done.set()
    thread.join()
    assert during > 1000
