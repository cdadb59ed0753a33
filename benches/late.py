"""Late interaction: one call from sparse to MaxSim, exact search, MaxSim without an index, bounded memory.

    python benches/late.py VECTORS            # searches, on one thread
    python benches/late.py VECTORS --peer     # with maxsim-cpu, if it is installed
    python benches/late.py VECTORS --build 4 --memory-limit 256MiB      # builds the collection four times over

VECTORS is what `benches/peers/README.md` describes: token vectors, and `sparse_*.npz` for the first call. Run `--build`
for several sizes to see memory stay; each is a process of its own. The memory is anonymous, without mapped files.
"""

import argparse
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import weft

Array = np.ndarray[Any, Any]


class Memory(threading.Thread):
    """Watches the anonymous memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_mb = self.peak_mb = self.now_mb()
        self.start()

    @staticmethod
    def now_mb() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024

    def run(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, self.now_mb())
            time.sleep(0.01)


def rows(path: Path) -> tuple[Array, Array, Array]:
    with np.load(path) as file:
        return file["indptr"].astype(np.int64), file["indices"].astype(np.int64), file["data"].astype(np.float32)


def median_ms(calls: list[Callable[[], Any]], passes: int = 3) -> float:
    """The median over calls of the median over passes."""
    times = np.empty((passes, len(calls)))
    for number in range(passes):
        for position, call in enumerate(calls):
            start = time.perf_counter()
            call()
            times[number, position] = time.perf_counter() - start
    return float(np.median(np.median(times, axis=0)) * 1e3)


def queries_of(vectors: Path, most: int) -> list[Array]:
    padded, lengths = np.load(vectors / "query_tokens.npy")[:most], np.load(vectors / "query_lengths.npy")[:most]
    return [query[:length].astype(np.float32) for query, length in zip(padded, lengths, strict=True)]


def search(vectors: Path, codec: str, candidates: int, peer: bool) -> None:
    flat, offsets = np.load(vectors / "doc_tokens.npy"), np.load(vectors / "doc_offsets.npy")
    sparse = rows(vectors / "sparse_docs.npz")
    indptr, terms, weights = rows(vectors / "sparse_queries.npz")
    queries = queries_of(vectors, 200)
    pairs = list(zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True))[: len(queries)]
    firsts = [(np.array([0, end - start]), terms[start:end], weights[start:end]) for start, end in pairs]
    with tempfile.TemporaryDirectory() as folder:
        schema = weft.Schema(weft.Sparse(), ids="int", multivector=weft.MultiVector(flat.shape[1], codec))
        index = weft.build(f"{folder}/both", sparse=sparse, multivector=(flat, offsets), schema=schema)
        both = list(zip(firsts, queries, strict=True))
        one: dict[str, Any] = {"k": 10, "num_threads": 1}
        many = {**one, "k": candidates}

        def reranked(first: Any, query: Array) -> weft.Hits:
            return index.search(sparse=first, multivector=query, candidates=candidates, **one)

        print(f"{codec}, {len(offsets) - 1:,} documents, {len(flat):,} tokens, {len(queries)} queries, milliseconds")
        stage = median_ms([lambda f=f: index.search(sparse=f, **many) for f in firsts])  # type: ignore[misc]
        whole = median_ms([lambda p=p: reranked(*p) for p in both])  # type: ignore[misc]
        print(f"sparse, top {candidates}: {stage:.3f}")
        print(f"sparse, then MaxSim of {candidates}: {whole:.3f}, of which sparse {stage / whole:.0%}")
        default = median_ms([lambda q=q: index.search(multivector=q, **one) for q in queries])  # type: ignore[misc]
        print(f"token vectors alone: {default:.3f}")
        exact = median_ms([lambda q=q: index.search(multivector=q, exact=True, **one) for q in queries[:40]], 1)  # type: ignore[misc]
        print(f"token vectors alone, exact: {exact:.3f}")
    plain(flat, offsets, queries[:20], peer)


def plain(flat: Array, offsets: Array, queries: list[Array], peer: bool) -> None:
    """MaxSim of every document on one thread, without an index."""
    single = flat.astype(np.float32)
    times = {
        "16-bit": median_ms([lambda q=q: weft.maxsim(q, (flat, offsets), num_threads=1) for q in queries]),  # type: ignore[misc]
        "32-bit": median_ms([lambda q=q: weft.maxsim(q, (single, offsets), num_threads=1) for q in queries]),  # type: ignore[misc]
    }
    if peer:
        os.environ["RAYON_NUM_THREADS"] = "1"
        import maxsim_cpu

        documents = [single[start:end] for start, end in itertools.pairwise(offsets)]
        score = maxsim_cpu.maxsim_scores_variable
        times["maxsim-cpu, 32-bit"] = median_ms([lambda q=q: score(q, documents) for q in queries])  # type: ignore[misc]
    for name, ms in times.items():
        print(f"MaxSim of all, {name}: {ms:.1f} ({ms * 1e6 / len(flat):.1f} ns a token)")


def build(vectors: Path, codec: str, times: int, limit: str) -> None:
    flat = np.load(vectors / "doc_tokens.npy", mmap_mode="r")
    offsets = np.load(vectors / "doc_offsets.npy")
    memory = Memory()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        schema = weft.Schema(ids="int", multivector=weft.MultiVector(flat.shape[1], codec))
        with weft.Writer(f"{folder}/tokens", schema, memory_limit=limit) as writer:
            for copy in range(times):
                for first in range(0, len(offsets) - 1, 256):
                    part = offsets[first : first + 257]
                    ids = copy * (len(offsets) - 1) + np.arange(first, first + len(part) - 1)
                    writer.add(ids, multivector=(np.array(flat[part[0] : part[-1]]), part - part[0]))
        seconds = time.perf_counter() - start
        stats = weft.open(f"{folder}/tokens").stats()
    tokens, late = times * len(flat), stats["multivector"]
    print(
        f"{codec}, {tokens:,} tokens, limit {limit}: {seconds:.1f} s, {tokens / seconds:,.0f} tokens a second, "
        f"{late['centroids']:,} centroids, {late['bytes_per_token']:.1f} bytes a token, "
        f"{stats['segments']} segments, peak {memory.peak_mb:.0f} MB, {memory.peak_mb - memory.start_mb:.0f} more"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--codec", default="scalar2")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--peer", action="store_true", help="measure maxsim-cpu too")
    parser.add_argument("--build", type=int, metavar="TIMES", help="only build, so many copies")
    parser.add_argument("--memory-limit", default="256MiB")
    given = parser.parse_args()
    if given.build:
        build(given.vectors, given.codec, given.build, given.memory_limit)
    else:
        search(given.vectors, given.codec, given.candidates, given.peer)


if __name__ == "__main__":
    main()
