"""Sketches: what they find of the exact best documents, and what they cost.

    python benches/sketch.py quality VECTORS...     # exact top 10 found among the first so many, by kind and size
    python benches/sketch.py first-stage VECTORS    # candidates and time that a recall takes, beside centroids
    python benches/sketch.py encode                 # microseconds to encode a document of 79 tokens

VECTORS are folders as `benches/peers/README.md` describes. Documents are shuffled with each seed, which also changes
the sample that learned weights come from.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import weft

Array = np.ndarray[Any, Any]

DEPTHS = (100, 300)
SHAPES = {2048: (16, 4, 8), 4096: (16, 4, 16), 8192: (16, 5, 16)}
KINDS = ("muvera", "count sketch", "orthogonal")
RECALLS = (0.9, 0.95, 0.99)
MOST_BUILDS = 2


class Collection(NamedTuple):
    """Token vectors of documents and queries, and the exact ten best documents of each query."""

    name: str
    flat: Array
    offsets: Array
    queries: list[Array]
    best: Array

    def shuffled(self, seed: int) -> "Collection":
        order = np.random.default_rng(seed).permutation(len(self.offsets) - 1)
        ranges = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in order]
        offsets = np.concatenate([[0], np.cumsum([len(each) for each in ranges])])
        places = np.argsort(order)
        return self._replace(flat=self.flat[np.concatenate(ranges)], offsets=offsets, best=places[self.best])


def read(folder: Path, most: int) -> Collection:
    flat, offsets = np.load(folder / "doc_tokens.npy"), np.load(folder / "doc_offsets.npy").astype(np.int64)
    padded, lengths = np.load(folder / "query_tokens.npy"), np.load(folder / "query_lengths.npy")
    queries = [padded[i, : lengths[i]].astype(np.float32) for i in range(min(most, len(padded)))]
    scores = (weft.maxsim(query, (flat, offsets)) for query in queries)
    best = np.array([np.argsort(-each, kind="stable")[:10] for each in scores])
    return Collection(folder.name, flat, offsets, queries, best)


def found(ranked: Array, best: Array, depth: int) -> float:
    """The share of the best that is among the first so many."""
    hits = [len(np.intersect1d(row[:depth], wanted)) / len(wanted) for row, wanted in zip(ranked, best, strict=True)]
    return float(np.mean(hits))


def count_sketch(shape: tuple[int, int, int], dim: int, seed: int) -> tuple[Array, Array]:
    """Rows for kind "google": each dimension adds to one value of a projection, or takes away."""
    repetitions, bits, projection = shape
    random = np.random.default_rng(seed)
    hyperplanes = random.normal(size=(repetitions * bits, dim))
    projections = np.zeros((repetitions, projection, dim))
    for rows in projections:
        rows[random.integers(projection, size=dim), np.arange(dim)] = random.choice([-1, 1], size=dim)
    return hyperplanes, projections.reshape(-1, dim)


def encoder(kind: str, shape: tuple[int, int, int], dim: int, seed: int) -> weft.FdeEncoder:
    if kind == "count sketch":
        return weft.FdeEncoder(weft.Fde(*shape, kind="google"), dim, rows=count_sketch(shape, dim, seed))
    fde = weft.Fde(*shape, kind="muvera" if kind == "muvera" else "orthogonal")
    return weft.FdeEncoder(fde, dim, seed=seed)


def ranked_by_encodings(made: weft.FdeEncoder, collection: Collection, step: int = 1000) -> Array:
    """The documents in order of the products of encodings, as floats."""
    queries = np.stack([made.encode_query(query) for query in collection.queries])
    products = np.empty((len(queries), len(collection.offsets) - 1), np.float32)
    for start in range(0, products.shape[1], step):
        ends = collection.offsets[start : start + step + 1]
        part = (collection.flat[ends[0] : ends[-1]], ends - ends[0])
        products[:, start : start + step] = queries @ made.encode_document(part).T
    return np.argsort(-products, axis=1, kind="stable")[:, : max(DEPTHS)]


def build(
    collection: Collection, sketch: weft.Fde | weft.Lemur | None, folder: str, codec: str = "scalar2"
) -> weft.Index:
    multivector = weft.MultiVector(collection.flat.shape[1], codec, 64 if codec == "scalar1" else None)
    schema = weft.Schema(ids="int", multivector=multivector, sketch=sketch)
    return weft.build(f"{folder}/index", multivector=(collection.flat, collection.offsets), schema=schema)


def candidates(index: weft.Index, queries: list[Array], count: int, source: Any) -> Array:
    """The candidates of each query, in no particular order."""
    return np.asarray(index.search(multivector=queries, k=count, candidates=count, candidate_source=source).ids)


def index_sketches() -> Iterator[tuple[str, weft.Fde | weft.Lemur]]:
    for dimensions, shape in SHAPES.items():
        for bits in (1, 4):
            yield f"orthogonal, {dimensions}, {bits} bit", weft.Fde(*shape, code_bits=bits)
    for features, dimensions in ((512, 128), (1024, 128), (1024, 256), (2048, 384)):
        yield f"lemur, {features} to {dimensions}, 4 bit", weft.Lemur(dimensions, features)
    yield "lemur, 1024 to 256, 1 bit", weft.Lemur(code_bits=1)


def quality(folders: list[Path], seeds: int, most: int) -> None:
    for folder in folders:
        collection = read(folder, most)
        depths = [depth for depth in (20, *DEPTHS) if depth < len(collection.offsets) // 2]
        print(f"\n{collection.name}: exact top 10 found among the first {depths}, mean and deviation")
        builds = min(seeds, MOST_BUILDS)
        print(f"  of floats over {seeds} seeds, of indexes over {builds} orders of documents")
        for (dimensions, shape), kind in itertools.product(SHAPES.items(), KINDS):
            shares = []
            for seed in range(seeds):
                ranked = ranked_by_encodings(encoder(kind, shape, collection.flat.shape[1], seed), collection)
                shares.append([found(ranked, collection.best, depth) for depth in depths])
            report(f"{kind}, {dimensions} floats", 4 * dimensions, shares)
        for name, sketch in index_sketches():
            shares, seconds, size = [], [], 0
            for seed in range(builds):
                shuffled = collection.shuffled(seed)
                with tempfile.TemporaryDirectory() as scratch:
                    start = time.process_time()
                    # Token vectors are coded as fast as can be: what sketches find does not depend on it.
                    index = build(shuffled, sketch, scratch, "scalar1")
                    seconds.append(time.process_time() - start)
                    size = index.stats()["sketch"]["bytes_per_document"]
                    each = {depth: candidates(index, shuffled.queries, depth, "sketch") for depth in depths}
                    shares.append([found(each[depth], shuffled.best, depth) for depth in depths])
            report(name, size, shares, f"{np.median(seconds):.1f} s CPU to build")
        with tempfile.TemporaryDirectory() as scratch:
            index = build(collection, None, scratch)
            each = {depth: candidates(index, collection.queries, depth, "centroids") for depth in depths}
            report("centroids, no sketch", 0, [[found(each[depth], collection.best, depth) for depth in depths]])


def report(name: str, size: int, shares: list[list[float]], more: str = "") -> None:
    mean, deviation = np.mean(shares, axis=0), np.std(shares, axis=0)
    cells = "  ".join(f"{m:.3f} ± {d:.3f}" for m, d in zip(mean, deviation, strict=True))
    print(f"  {name:<32} {size:>7,} bytes  {cells}  {more}", flush=True)


def first_stage(folder: Path, most: int) -> None:
    collection = read(folder, most)
    print(f"{collection.name}: candidates for a recall of the exact top 10, and ms of a search with them (one thread)")
    kinds: list[tuple[str, weft.Fde | weft.Lemur | None]] = [("centroids", None), *index_sketches()]
    for name, sketch in kinds:
        with tempfile.TemporaryDirectory() as scratch:
            index = build(collection, sketch, scratch)
            source = "centroids" if sketch is None else "sketch"
            cells = []
            for recall in RECALLS:
                count = least(index, collection, source, recall)
                cells.append(f"{recall}: {count:>5}, {latency(index, collection, source, count):6.2f} ms")
            print(f"  {name:<32} {'   '.join(cells)}", flush=True)


def least(index: weft.Index, collection: Collection, source: Any, recall: float) -> int:
    """The fewest candidates, growing by an eighth, among which the share of the best is so large."""
    count = 16
    while count < len(index):
        if found(candidates(index, collection.queries, count, source), collection.best, count) >= recall:
            return count
        count = count * 9 // 8 + 1
    return len(index)


def latency(index: weft.Index, collection: Collection, source: Any, count: int) -> float:
    times = []
    for query in collection.queries * 2:
        start = time.perf_counter()
        index.search(multivector=query, candidates=count, candidate_source=source, num_threads=1)
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def encode(documents: int = 2000, tokens: int = 79, dim: int = 128) -> None:
    flat = np.random.default_rng(0).standard_normal((documents * tokens, dim)).astype(np.float16)
    offsets = np.arange(documents + 1) * tokens
    for kind, (dimensions, shape) in itertools.product(("orthogonal", "muvera"), SHAPES.items()):
        made = encoder(kind, shape, dim, 0)
        cells = []
        for dtype in ("float32", "float16", "int8"):
            times = []
            for _ in range(5):
                start = time.perf_counter()
                made.encode_document((flat, offsets), dtype=dtype, num_threads=1)
                times.append(time.perf_counter() - start)
            cells.append(f"{dtype} {min(times) / documents * 1e6:6.1f} µs")
        print(f"  {kind:<12} {dimensions:>6}  {'   '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "first-stage", "encode"])
    parser.add_argument("vectors", nargs="*", type=Path)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    match arguments.what:
        case "quality":
            quality(arguments.vectors, arguments.seeds, arguments.queries)
        case "first-stage":
            for folder in arguments.vectors:
                first_stage(folder, arguments.queries)
        case _:
            encode()


if __name__ == "__main__":
    main()
