"""The engines, each behind the same few calls, with the index parameters and search settings that are measured.

An engine is imported when it is first used, so that each may live in an environment of its own. What the engines get
wrong, and what is done about it, stands with each.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from collection import Array, Rows, read

Call = Callable[[], Any]
Parameters = dict[str, Any]


def read_documents(vectors: Path) -> Rows:
    return read(vectors / "sparse_docs.npz")


def read_queries(vectors: Path, most: int) -> Rows:
    queries = read(vectors / "sparse_queries.npz")
    return queries.take(np.arange(min(most, len(queries))))


class Engine:
    """One index of one engine, in `folder`; `known` is what the bench tells of the collection.

    `calls` gives one call for each query, and the call alone is timed; `ids` turns what it returns into row numbers.
    `batches` gives calls that answer all queries, by the name of the way in which they do.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    indexes: ClassVar[list[Parameters]] = [{}]
    settings: ClassVar[list[Parameters]] = [{}]
    most_documents: ClassVar[int | None] = None  # of a collection on which building takes bearable time

    def __init__(self, folder: Path, known: dict[str, Any], **index: Any) -> None:
        self.folder, self.known, self.index = folder, known, index

    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def build(self, documents: Any) -> None:
        """Write the index."""
        raise NotImplementedError

    def tune(self, queries: Any, depths: Sequence[int]) -> None:
        """Let the built index choose parameters for such queries and so many hits, where the engine can."""

    def open(self, queries: Any) -> None:
        """Load the index, and put the queries in the engine's form; not timed."""
        raise NotImplementedError

    def described(self, documents: Any) -> dict[str, float]:
        """Figures of the built index."""
        return {}

    def settings_for(self, k: int) -> list[Parameters]:
        """The settings that differ from each other for this index and this k."""
        return self.settings

    def calls(self, k: int, **setting: Any) -> list[Call]:
        raise NotImplementedError

    def ids(self, answer: Any) -> Any:
        raise NotImplementedError

    def batches(self, k: int, threads: int, **setting: Any) -> dict[str, Call]:
        return {}


class Weft(Engine):
    """This project, through its public calls."""

    name, package = "weft", "weft"
    targets = (0.9, 0.95, 0.97, 0.99)
    settings: ClassVar = [
        {},  # exact
        *({"target_recall": target} for target in targets),
        *({"alpha": alpha} for alpha in (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6)),
        *({"alpha": alpha, "gamma": gamma} for alpha in (0.9, 0.8, 0.7) for gamma in (8, 16, 32)),
    ]

    def build(self, documents: Rows) -> None:
        import weft

        schema = weft.Schema(weft.Sparse("int", max_weight=float(documents.data.max())), ids="int")
        rows = (documents.indptr, documents.indices, documents.data)
        weft.build(self.folder / "index", sparse=rows, schema=schema)

    def tune(self, queries: Rows, depths: Sequence[int]) -> None:
        import weft

        half = queries.take(np.arange(0, len(queries), 2))
        arrays = (half.indptr, half.indices.astype(np.int64), half.data)
        weft.open(self.folder / "index").tune(self.targets, k=depths, queries=arrays)

    def open(self, queries: Rows) -> None:
        import weft

        self.opened = weft.open(self.folder / "index")
        self.all = (queries.indptr, queries.indices.astype(np.int64), queries.data)
        self.queries = [
            (np.array([0, len(terms)]), terms.astype(np.int64), weights) for terms, weights in queries.each()
        ]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.opened.search, sparse=row, k=k, num_threads=1, **setting) for row in self.queries]

    def ids(self, answer: Any) -> Any:
        return answer.ids[0, : answer.counts[0]]

    def batches(self, k: int, threads: int, **setting: Any) -> dict[str, Call]:
        from concurrent.futures import ThreadPoolExecutor

        calls, pool = self.calls(k, **setting), ThreadPoolExecutor(threads)
        return {
            "batch call": partial(self.opened.search, sparse=self.all, k=k, num_threads=threads, **setting),
            "pool of threads": lambda: list(pool.map(lambda call: call(), calls)),
        }


class Scipy(Engine):
    """Exhaustive float32 scores: the columns of the query's terms, times its weights."""

    name, package = "scipy", "scipy"

    def build(self, documents: Rows) -> None:
        from scipy.sparse import csr_matrix, save_npz

        matrix = csr_matrix((documents.data, documents.indices, documents.indptr))
        save_npz(self.folder / "columns.npz", matrix.tocsc(), compressed=False)

    def open(self, queries: Rows) -> None:
        from scipy.sparse import load_npz

        columns: Any = load_npz(self.folder / "columns.npz")
        columns.resize(tuple(self.known["shape"]))  # a query may have terms that no document has
        self.columns, self.queries = columns, queries.each()

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.search, terms, weights, min(k, self.columns.shape[0])) for terms, weights in self.queries]

    def search(self, terms: Array, weights: Array, k: int) -> Array:
        scores = self.columns[:, terms] @ weights
        best = np.argpartition(-scores, k - 1)[:k]
        return best[np.argsort(-scores[best], kind="stable")]

    def ids(self, answer: Any) -> Any:
        return answer


def query_levels(queries: Rows) -> Rows:
    """The queries with weights as BMP rounds them: the heaviest term of a query becomes 32."""
    heaviest = np.maximum.reduceat(queries.data, queries.indptr[:-1])
    return replace(queries, data=np.ceil(queries.data * 32 / heaviest[queries.numbers()]))


class Bmp(Engine):
    """BMP: block-max pruning over 8-bit weights; its authors call alpha = beta = 1 safe.

    In version 0.2.8 scores above 65,535 wrap around, and so do weights above 255: weights are scaled to stay below
    both. A query that no block can improve on panics: it counts as one without hits. The last block with a bound above
    zero is never scored, which costs some recall in every setting.
    """

    name, package = "bmp", "bmp"
    indexes: ClassVar = [{"block": 8}, {"block": 16}, {"block": 32}]
    settings: ClassVar = [
        {"alpha": alpha, "beta": beta}
        for alpha, beta in ((1.0, 1.0), (0.95, 1.0), (0.9, 1.0), (0.8, 1.0), (0.7, 1.0), (0.6, 1.0), (0.85, 0.7))
    ]

    def build(self, documents: Rows) -> None:
        from bmp import Indexer

        scale = min(255 / documents.data.max(), 60_000 / self.known["peak"])
        indexer = Indexer(str(self.folder / "index"), self.index["block"], False)
        for number, (terms, weights) in enumerate(documents.each()):
            levels = np.clip(np.rint(weights * scale), 1, 255).astype(int).tolist()
            indexer.add_document(str(number), dict(zip(map(str, terms.tolist()), levels, strict=True)))
        indexer.finish()

    def open(self, queries: Rows) -> None:
        from bmp import Searcher

        self.searcher = Searcher(str(self.folder / "index"))
        self.queries = [
            dict(zip(map(str, terms.tolist()), weights.tolist(), strict=True)) for terms, weights in queries.each()
        ]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.search, query, k, *setting.values()) for query in self.queries]

    def search(self, query: dict[str, float], k: int, alpha: float, beta: float) -> Any:
        try:
            return self.searcher.search(query, k, alpha, beta)
        except BaseException as panic:  # from which the class of a panic is derived
            if type(panic).__name__ != "PanicException":
                raise
            return [], []

    def ids(self, answer: Any) -> Any:
        return list(map(int, answer[0]))


class Seismic(Engine):
    """Seismic: clustered postings with summaries over a forward index of 16-bit floats.

    In version 0.5.4 `num_threads` has no effect; the environment variable of its thread pool has.
    """

    name, package, class_name = "seismic", "pyseismic-lsr", "SeismicIndex"
    indexes: ClassVar = [
        {"n_postings": 1000, "centroid_fraction": 0.1, "summary_energy": 0.4, "max_fraction": 3.0},
        {"n_postings": 2000, "centroid_fraction": 0.2, "summary_energy": 0.5, "max_fraction": 6.0},
    ]
    settings: ClassVar = [
        {"query_cut": cut, "heap_factor": factor} for cut in (3, 5, 8, 12, 20, 32) for factor in (0.7, 0.8, 0.9, 1.0)
    ]

    def build(self, documents: Rows) -> None:
        import seismic

        dataset = seismic.SeismicDataset()
        names = list(map(str, range(len(documents))))
        dataset.add_documents_by_id(names, documents.indices.astype(np.int64), documents.data, documents.indptr)
        made = getattr(seismic, self.class_name).build_from_dataset(dataset, **self.index)
        made.save(str(self.folder / "index"))

    def open(self, queries: Rows) -> None:
        import seismic

        text = seismic.get_seismic_string()
        self.opened = getattr(seismic, self.class_name).load(str(next(self.folder.glob("index*"))))
        self.queries = [(terms.astype(str).astype(text), weights) for terms, weights in queries.each()]
        self.names = np.arange(len(queries)).astype(str).astype(text)

    def calls(self, k: int, **setting: Any) -> list[Call]:
        search = partial(self.opened.search, query_id="0", k=k, **setting)
        return [partial(search, query_components=terms, query_values=weights) for terms, weights in self.queries]

    def ids(self, answer: Any) -> Any:
        return [int(document) for _, _, document in answer]

    def batches(self, k: int, threads: int, **setting: Any) -> dict[str, Call]:
        terms, weights = [list(column) for column in zip(*self.queries, strict=True)]
        queries = {"queries_ids": self.names, "query_components": terms, "query_values": weights}
        return {"batch call": partial(self.opened.batch_search, **queries, k=k, num_threads=threads, **setting)}


class SeismicDotVByte(Seismic):
    """Seismic with a compressed forward index of 8-bit weights."""

    name, class_name = "seismic-dotvbyte", "SeismicIndexDotVByte"
    indexes: ClassVar = Seismic.indexes[1:]


class Sindi(Engine):
    """SINDI of VSAG: postings that carry values, in windows of documents. Without pruning it is exhaustive.

    Version 0.18.5 returns (ids, distances); its documentation has them the other way round.
    """

    name, package = "sindi", "pyvsag"
    indexes: ClassVar = [
        {"doc_prune_ratio": 0.0, "use_reorder": False, "window_size": 50_000},
        {"doc_prune_ratio": 0.0, "use_reorder": False, "window_size": 10_000},
        {"doc_prune_ratio": 0.4, "use_reorder": True, "window_size": 50_000},
    ]
    settings: ClassVar = [
        {"query_prune_ratio": query, "term_prune_ratio": term, "n_candidate": candidates}  # candidates for each hit
        for query, term, candidates in (
            (0.0, 0.0, 1),
            (0.05, 0.0, 1),
            (0.1, 0.0, 1),
            (0.2, 0.0, 1),
            (0.4, 0.0, 1),
            (0.0, 0.1, 1),
            (0.0, 0.2, 1),
            (0.0, 0.0, 3),
            (0.0, 0.0, 10),
            (0.2, 0.0, 3),
            (0.2, 0.0, 10),
        )
    ]

    def settings_for(self, k: int) -> list[Parameters]:
        useful = [each for each in self.settings if each["n_candidate"] == 1 or self.index["use_reorder"]]
        return [dict(each, n_candidate=k * each["n_candidate"]) for each in useful]

    def make(self, terms: int, length: float) -> Any:
        import pyvsag

        index = dict(self.index, term_id_limit=terms + 1, avg_doc_term_length=int(np.ceil(length)))
        return pyvsag.Index(
            "sindi", json.dumps({"dtype": "sparse", "metric_type": "ip", "dim": 1024, "index_param": index})
        )

    def build(self, documents: Rows) -> None:
        described = int(documents.indices.max()) + 1, len(documents.data) / len(documents)
        (self.folder / "described.json").write_text(json.dumps(described))
        made = self.make(*described)
        ids = np.arange(len(documents), dtype=np.int64)
        made.build(documents.indptr.astype(np.uint32), documents.indices.astype(np.uint32), documents.data, ids)
        made.save(str(self.folder / "index"))

    def open(self, queries: Rows) -> None:
        self.opened = self.make(*json.loads((self.folder / "described.json").read_text()))
        self.opened.load(str(self.folder / "index"))
        self.queries = [
            (np.array([0, len(terms)], np.uint32), terms.astype(np.uint32), weights)
            for terms, weights in queries.each()
        ]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        text = json.dumps({"sindi": setting})
        return [partial(self.opened.knn_search, *query, k, text) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        return np.ravel(answer[0])


class Kannolo(Engine):
    """kANNolo: a graph of neighbours over sparse vectors, plain or packed."""

    name, package, most_documents = "kannolo", "kannolo", 50_000
    indexes: ClassVar = [
        {"kind": "SparsePlainHNSW", "m": 16, "ef_construction": 200},
        {"kind": "SparseDotPacking8HNSW", "m": 16, "ef_construction": 200},
    ]
    settings: ClassVar = [{"ef_search": width} for width in (20, 40, 80, 160, 320, 640, 1280)]

    def settings_for(self, k: int) -> list[Parameters]:
        return [each for each in self.settings if each["ef_search"] >= k]

    def build(self, documents: Rows) -> None:
        import kannolo

        kind = getattr(kannolo, self.index["kind"])
        width = {"m": self.index["m"], "ef_construction": self.index["ef_construction"]}
        made = kind.build_from_arrays(documents.indices, documents.data, documents.indptr, **width)
        made.save(str(self.folder / "index"))

    def open(self, queries: Rows) -> None:
        import kannolo

        self.opened = getattr(kannolo, self.index["kind"]).load(str(self.folder / "index"))
        self.all, self.queries = queries, queries.each()

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.opened.search, *query, k, **setting) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        return answer[1]

    def batches(self, k: int, threads: int, **setting: Any) -> dict[str, Call]:
        arrays = self.all.indices, self.all.data, self.all.indptr
        return {"batch call": partial(self.opened.batch_search, *arrays, k, num_threads=threads, **setting)}


ENGINES = {engine.name: engine for engine in (Weft, Scipy, Bmp, Seismic, SeismicDotVByte, Sindi, Kannolo)}
