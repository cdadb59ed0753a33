"""Builds a BM25 index from a BEIR folder and measures it: build rate, memory, bytes, opening, search.

    python benches/text.py FOLDER [--memory-limit 256MiB] [--fields text] [--copies 1] [--peer]

The build runs in a process of its own, so that its peak memory is its own. `--peer` runs bm25s (`pip install bm25s
PyStemmer`) on the same texts and queries, one query at a time on one thread, in turn with weft.
"""

import argparse
import functools
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import weft

BATCH = 1000


def read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def text_of(document: dict[str, Any], fields: list[str]) -> str:
    return " ".join(document.get(field) or "" for field in fields)


def batches(folder: Path, fields: list[str], copies: int) -> Iterator[tuple[list[str], list[str]]]:
    ids: list[str] = []
    texts: list[str] = []
    for copy in range(copies):
        for document in read(folder / "corpus.jsonl"):
            ids.append(f"{copy}-{document['_id']}")
            texts.append(text_of(document, fields))
            if len(ids) == BATCH:
                yield ids, texts
                ids, texts = [], []
    yield ids, texts


def build(folder: Path, fields: list[str], copies: int, index: str, memory_limit: str) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    documents = 0
    start = time.perf_counter()
    with weft.Writer(index, weft.Schema(sparse=weft.Bm25()), memory_limit=memory_limit) as writer:
        for ids, texts in batches(folder, fields, copies):
            writer.add(ids, text=texts)
            documents += len(ids)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "build_seconds": round(seconds, 3),
        "documents_per_second": round(documents / seconds),
        "build_peak_mb": round(peak / 1024, 1),
        "build_peak_above_start_mb": round((peak - before) / 1024, 1),
    }


def milliseconds(call: Callable[[str], object], argument: str) -> float:
    start = time.perf_counter()
    call(argument)
    return (time.perf_counter() - start) * 1e3


def median_latency(search: Callable[[str], object], queries: list[str], passes: int) -> float:
    """Each query counts with its median over the passes; the result is the median query."""
    timings = [[milliseconds(search, query) for query in queries] for _ in range(passes)]
    medians: list[float] = [statistics.median(times) for times in zip(*timings, strict=True)]
    return statistics.median(medians)


def search_weft(index: weft.Index, k: int, query: str) -> weft.Hits:
    return index.search(text=query, k=k)


def bm25s_search(folder: Path, fields: list[str]) -> tuple[dict[str, float], Callable[[str], object]]:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    start = time.perf_counter()
    texts = [text_of(document, fields) for document in read(folder / "corpus.jsonl")]
    retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    retriever.index(bm25s.tokenize(texts, stopwords=[], stemmer=stemmer, show_progress=False), show_progress=False)
    seconds = time.perf_counter() - start

    def search(query: str) -> object:
        tokens = bm25s.tokenize([query], stopwords=[], stemmer=stemmer, show_progress=False)
        return retriever.retrieve(tokens, k=10, n_threads=1, show_progress=False)

    return {"documents_per_second": round(len(texts) / seconds)}, search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory-limit", default="256MiB")
    parser.add_argument("--fields", nargs="+", default=["text"])
    parser.add_argument("--copies", type=int, default=1, help="index every document so many times")
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    queries = [query["text"] for query in read(arguments.folder / "queries.jsonl")]
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "index")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            job = (arguments.folder, arguments.fields, arguments.copies, path, arguments.memory_limit)
            figures = pool.apply(build, job)
        figures["open_ms"] = round(statistics.median(milliseconds(weft.open, path) for _ in range(21)), 3)
        index = weft.open(path)
        stats = index.stats()
        figures |= {key: stats[key] for key in ("documents", "postings", "bytes", "bytes_per_posting", "segments")}
        passes = arguments.passes
        for k in (10, 100, 1000):
            search = functools.partial(search_weft, index, k)
            figures[f"search_p50_us_k{k}"] = round(median_latency(search, queries, passes) * 1e3, 1)
        print(json.dumps({"engine": "weft", **figures}))
        if arguments.peer:
            peer, peer_search = bm25s_search(arguments.folder, arguments.fields)
            weft_p50 = median_latency(functools.partial(search_weft, index, 10), queries, passes)
            peer_p50 = median_latency(peer_search, queries, passes)
            peer["search_p50_us_k10"] = round(peer_p50 * 1e3, 1)
            print(json.dumps({"engine": "bm25s", **peer, "times_weft": round(peer_p50 / weft_p50, 2)}))


if __name__ == "__main__":
    main()
