"""How long a build takes to stop after Ctrl-C, at several moments of it.

    python benches/interrupt.py

A process of its own adds 20,000 documents of 100 terms again and again; it is sent SIGINT after a while, and the time
until it has caught the exception and closed its writer is printed in milliseconds, for each memory limit.
"""

import signal
import subprocess
import sys
import tempfile
import time

DELAYS = (0.3, 0.5, 0.8, 1.1, 1.5, 2.0)
BUILD = """
import sys, numpy as np, weft
documents, terms = 20_000, 100
generator = np.random.default_rng(0)
weights = generator.random(documents * terms, np.float32) + 0.1
columns = np.tile(np.arange(terms), documents) * 7 + np.repeat(np.arange(documents) % 7, terms)
rows = (np.arange(documents + 1) * terms, columns, weights)
try:
    with weft.Writer(sys.argv[1], weft.Schema(weft.Sparse(), ids="int"), memory_limit=sys.argv[2]) as writer:
        print("ready", flush=True)
        while True:
            writer.add(np.arange(documents), sparse=rows)
except KeyboardInterrupt:
    pass
print("stopped", flush=True)
"""


def milliseconds_to_stop(delay: float, memory_limit: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", BUILD, f"{folder}/index", memory_limit]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(delay)
            start = time.perf_counter()
            child.send_signal(signal.SIGINT)
            child.stdout.readline()
            return (time.perf_counter() - start) * 1e3


def main() -> None:
    for memory_limit in ("8MiB", "256MiB", "1GiB"):
        times = [round(milliseconds_to_stop(delay, memory_limit)) for delay in DELAYS]
        print(f"memory_limit={memory_limit}: {times} ms")


if __name__ == "__main__":
    main()
