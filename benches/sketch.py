"""Sketches: what they find of the exact best documents, and what they cost.

    python benches/sketch.py quality VECTORS...    # what each kind and size finds; --qrels NAME=FILE for nDCG
    python benches/sketch.py first-stage VECTORS   # documents to score, and time, that a recall takes, beside centroids
    python benches/sketch.py encode                # microseconds to encode a document of 79 tokens

VECTORS are folders as `benches/peers/README.md` describes, as are judgements, for nDCG. Documents of an index are
shuffled with each seed, which also changes the sample that learned weights come from.
"""

import argparse
import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import weft

Array = np.ndarray[Any, Any]

DEPTHS = (100, 300)
SCORED = (32, 64, 128)
SHAPES = {2048: (16, 4, 8), 4096: (16, 4, 16), 8192: (16, 5, 16)}
KINDS = ("muvera", "count sketch", "orthogonal")
RECALLS = (0.9, 0.95, 0.99)


class Collection(NamedTuple):
    """Token vectors of documents and queries, and the exact ten best documents of each query."""

    name: str
    flat: Array
    offsets: Array
    queries: list[Array]
    best: Array
    grades: dict[int, dict[int, int]]  # of documents, for each judged query, both by row number

    def shuffled(self, seed: int) -> "Collection":
        order = np.random.default_rng(seed).permutation(len(self.offsets) - 1)
        ranges = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in order]
        offsets = np.concatenate([[0], np.cumsum([len(each) for each in ranges])])
        places = np.argsort(order)
        return self._replace(flat=self.flat[np.concatenate(ranges)], offsets=offsets, best=places[self.best])


def read(folder: Path, most: int, qrels: Path | None = None) -> Collection:
    flat, offsets = np.load(folder / "doc_tokens.npy"), np.load(folder / "doc_offsets.npy").astype(np.int64)
    padded, lengths = np.load(folder / "query_tokens.npy"), np.load(folder / "query_lengths.npy")
    queries = [padded[i, : lengths[i]].astype(np.float32) for i in range(min(most, len(padded)))]
    scores = (weft.maxsim(query, (flat, offsets)) for query in queries)
    best = np.array([np.argsort(-each, kind="stable")[:10] for each in scores])
    return Collection(folder.name, flat, offsets, queries, best, read_grades(folder, qrels, len(queries)))


def read_grades(folder: Path, qrels: Path | None, most: int) -> dict[int, dict[int, int]]:
    grades: dict[int, dict[int, int]] = defaultdict(dict)
    if qrels is None:
        return grades
    documents, queries = (
        {name: row for row, name in enumerate((folder / f"{kind}_ids.txt").read_text().split("\n"))}
        for kind in ("doc", "query")
    )
    for line in qrels.read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        if queries.get(query, most) < most and document in documents:
            grades[queries[query]][documents[document]] = int(grade)
    return grades


def ndcg(ranked: Array, grades: dict[int, dict[int, int]], depth: int = 10) -> float:
    """The mean over judged queries of the discounted gain of the first documents, as a share of the best."""
    discounts = 1 / np.log2(np.arange(2, depth + 2))

    def gain(found: list[int]) -> float:
        return float(np.dot(found[:depth], discounts[: len(found)]))

    shares = []
    for query, judged in grades.items():
        found = gain([judged.get(int(row), 0) for row in ranked[query][:depth]])
        shares.append(found / gain(sorted(judged.values(), reverse=True)))
    return float(np.mean(shares))


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


def ranked_by_encodings(
    made: weft.FdeEncoder, collection: Collection, codes: tuple[Callable[[Array], Array], ...], step: int = 1000
) -> list[Array]:
    """For each code, the documents in order of the products of encodings that have gone through it."""
    queries = np.stack([made.encode_query(query) for query in collection.queries])
    products = np.empty((len(codes), len(queries), len(collection.offsets) - 1), np.float32)
    mean = None
    for start in range(0, products.shape[2], step):
        ends = collection.offsets[start : start + step + 1]
        part = (collection.flat[ends[0] : ends[-1]], ends - ends[0])
        encodings = made.encode_document(part)
        mean = encodings.mean(axis=0) if mean is None else mean
        for code, found in zip(codes, products, strict=True):
            found[:, start : start + step] = queries @ code(encodings - mean).T
    return [np.argsort(-found, axis=1, kind="stable")[:, : max(DEPTHS)] for found in products]


def floats(encodings: Array) -> Array:
    return encodings


def one_bit(encodings: Array) -> Array:
    """The sign times the mean size, as in an index."""
    return np.asarray(np.where(encodings > 0, 1, -1) * np.abs(encodings).mean(axis=1, keepdims=True))


def levels(bits: int) -> Callable[[Array], Array]:
    """Levels from the least to the largest value of each document, as in an index."""

    def code(encodings: Array) -> Array:
        least, largest = (each(axis=1, keepdims=True) for each in (encodings.min, encodings.max))
        step = (largest - least) / (2**bits - 1)
        return np.asarray(least + np.rint((encodings - least) / step) * step)

    return code


CODES: dict[str, Callable[[Array], Array]] = {
    "floats": floats,
    "8 bits": levels(8),
    "4 bits": levels(4),
    "1 bit": one_bit,
}


def build(collection: Collection, sketch: weft.Fde | weft.Lemur | None, folder: str) -> weft.Index:
    multivector = weft.MultiVector(collection.flat.shape[1])
    schema = weft.Schema(ids="int", multivector=multivector, sketch=sketch)
    return weft.build(f"{folder}/index", multivector=(collection.flat, collection.offsets), schema=schema)


def candidates(index: weft.Index, queries: list[Array], count: int, source: Any) -> Array:
    """The candidates of each query, in no particular order."""
    return np.asarray(index.search(multivector=queries, k=count, candidates=count, candidate_source=source).ids)


def index_sketches() -> Iterator[tuple[str, weft.Fde | weft.Lemur]]:
    for dimensions, bits in ((2048, 1), (2048, 4), (8192, 1)):
        yield f"orthogonal, {dimensions}, {bits} bit", weft.Fde(*SHAPES[dimensions], code_bits=bits)
    for features, dimensions in ((512, 128), (1024, 256), (2048, 384)):
        yield f"lemur, {features} to {dimensions}, 4 bit", weft.Lemur(dimensions, features)


def quality(folders: list[Path], seeds: int, builds: int, most: int, qrels: dict[str, Path]) -> None:
    for folder in folders:
        collection = read(folder, most, qrels.get(folder.name))
        documents = len(collection.offsets) - 1
        depths = [depth for depth in (20, *DEPTHS) if depth < documents // 2] or [documents // 2]
        print(
            f"\n{collection.name}: exact top 10 found among the first {depths} by encodings alone, and nDCG@10 of these"
        )
        print(f"  mean and deviation over {seeds} seeds")
        for (dimensions, shape), kind in itertools.product(SHAPES.items(), KINDS):
            names = list(CODES if kind == "orthogonal" else ["floats"])
            shares: dict[str, list[list[float]]] = {name: [] for name in names}
            for seed in range(seeds):
                made = encoder(kind, shape, collection.flat.shape[1], seed)
                each = ranked_by_encodings(made, collection, tuple(CODES[name] for name in names))
                for name, ranked in zip(names, each, strict=True):
                    alone = [ndcg(ranked, collection.grades)] if collection.grades else []
                    shares[name].append([*(found(ranked, collection.best, depth) for depth in depths), *alone])
            for name, of_seeds in shares.items():
                report(f"{kind}, {dimensions} {name}", of_seeds)
        scored = [count for count in SCORED if count < documents // 2] or [documents // 2]
        print(f"  in an index: exact top 10 found among {scored} scored documents, over {builds} orders of documents")
        for name, sketch in [*index_sketches(), ("centroids, no sketch", None)]:
            of_builds, seconds, size = [], [], 0
            for seed in range(builds):
                shuffled = collection.shuffled(seed)
                with tempfile.TemporaryDirectory() as scratch:
                    start = time.process_time()
                    index = build(shuffled, sketch, scratch)
                    seconds.append(time.process_time() - start)
                    size = index.stats()["sketch"]["bytes_per_document"] if sketch else 0
                    source = "sketch" if sketch else "centroids"
                    each = [candidates(index, shuffled.queries, count, source) for count in scored]
                    pairs = zip(each, scored, strict=True)
                    of_builds.append([found(rows, shuffled.best, count) for rows, count in pairs])
            report(name, of_builds, f"{size:,} bytes, {np.median(seconds):.1f} s CPU to build")


def report(name: str, shares: list[list[float]], more: str = "") -> None:
    mean, deviation = np.mean(shares, axis=0), np.std(shares, axis=0)
    cells = "  ".join(f"{m:.3f} ± {d:.3f}" for m, d in zip(mean, deviation, strict=True))
    print(f"  {name:<32} {cells}  {more}", flush=True)


def first_stage(folder: Path, most: int) -> None:
    collection = read(folder, most)
    print(f"{collection.name}: documents to score for a recall of the exact top 10, ms of a search (one thread)")
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
    parser.add_argument("--builds", type=int, default=2, help="of each index; an order of documents and a sample each")
    parser.add_argument("--qrels", action="append", default=[], metavar="NAME=FILE", help="judgements of a collection")
    arguments = parser.parse_args()
    match arguments.what:
        case "quality":
            qrels = {name: Path(file) for name, file in (each.split("=", 1) for each in arguments.qrels)}
            quality(arguments.vectors, arguments.seeds, arguments.builds, arguments.queries, qrels)
        case "first-stage":
            for folder in arguments.vectors:
                first_stage(folder, arguments.queries)
        case _:
            encode()


if __name__ == "__main__":
    main()
