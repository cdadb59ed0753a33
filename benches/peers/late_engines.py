"""The engines for late interaction (MaxSim over token vectors), behind the calls that `engines.py` describes.

What the engines get wrong, and what is done about it, stands with each. None of the compressed ones but this project
keeps what it takes to give the exact order.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from collection import Array
from engines import Call, Engine, Parameters

CHUNK = 8192  # tokens that an exact scan scores together: a query's scores of them stay in the cache


@dataclass(frozen=True)
class Tokens:
    """Token vectors of documents, one document after the other."""

    vectors: Array  # (tokens, dimensions) float16
    offsets: Array  # int64, where each document starts, and the end
    words: Array  # the number in the vocabulary of each token

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def floats(self) -> Array:
        return self.vectors.astype(np.float32)

    def each(self) -> list[Array]:
        """The float32 vectors of each document."""
        return np.split(self.floats(), self.offsets[1:-1])


def read_documents(vectors: Path) -> Tokens:
    names = ("doc_tokens", "doc_offsets", "doc_token_ids")
    return Tokens(*(np.load(vectors / f"{name}.npy") for name in names))


def read_queries(vectors: Path, most: int) -> list[Array]:
    """The float32 vectors of each query, without padding."""
    padded, lengths = (np.load(vectors / f"query_{name}.npy")[:most] for name in ("tokens", "lengths"))
    return [np.ascontiguousarray(rows[:length], np.float32) for rows, length in zip(padded, lengths, strict=True)]


class Scan:
    """Exact float32 MaxSim over all documents: for each chunk, a matrix product and a maximum for each document."""

    def __init__(self, vectors: Array, offsets: Array) -> None:
        self.vectors, self.offsets = vectors, offsets
        starts = np.searchsorted(offsets, np.arange(0, offsets[-1], CHUNK))
        self.cuts = np.unique([*starts, len(offsets) - 1])

    def scores(self, query: Array) -> Array:
        found = np.empty(len(self.offsets) - 1, np.float32)
        for first, last in zip(self.cuts[:-1], self.cuts[1:], strict=True):
            start, end = self.offsets[first], self.offsets[last]
            products = query @ self.vectors[start:end].T
            np.maximum.reduceat(products, self.offsets[first:last] - start, axis=1).sum(axis=0, out=found[first:last])
        return found


def residual_bytes(documents: Tokens, nbits: int) -> float:
    return float(documents.vectors.shape[1] * nbits / 8)


def best(scores: Array, k: int) -> Array:
    """The k best, in order."""
    chosen = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
    return chosen[np.argsort(-scores[chosen], kind="stable")]


class Weft(Engine):
    """This project, through its public calls."""

    name, package = "weft", "weft"
    codecs = (
        "pq16",
        "pq32",
        "scalar2",
        "scalar3",
        "scalar4",
        "pq16+pq16",
        "pq16+scalar2",
        "pq16+f16",
        "scalar4+f16",
        "f16",
    )
    targets = (0.9, 0.95, 0.99)
    indexes: ClassVar = [
        *({"codec": codec} for codec in codecs),
        # Candidates by sketches; `probes` of the settings mean nothing there.
        *({"codec": "scalar3", "sketch": sketch} for sketch in ("fde", "lemur")),
    ]
    settings: ClassVar = [
        {},
        *({"target_recall": target} for target in targets),
        *(
            {"probes": probes, "candidates": candidates}
            for probes, candidates in ((2, 32), (4, 64), (4, 128), (8, 256), (16, 512))
        ),
    ]

    def build(self, documents: Tokens) -> None:
        import weft

        field = weft.MultiVector(dim=documents.vectors.shape[1], codec=self.index["codec"])
        sketches: dict[str, weft.Fde | weft.Lemur] = {"fde": weft.Fde(16, 4, 8), "lemur": weft.Lemur()}
        sketch = sketches.get(self.index.get("sketch", ""))
        schema = weft.Schema(multivector=field, sketch=sketch, ids="int")
        weft.build(self.folder / "index", multivector=(documents.vectors, documents.offsets), schema=schema)

    def tune(self, queries: list[Array], depths: Sequence[int]) -> None:
        import weft

        weft.open(self.folder / "index").tune(self.targets, k=depths, queries=queries[::2])

    def described(self, documents: Tokens) -> dict[str, float]:
        import weft

        return {"code_bytes": weft.open(self.folder / "index").stats()["multivector"]["bytes_per_code"]}

    def open(self, queries: list[Array]) -> None:
        import weft

        self.opened, self.queries = weft.open(self.folder / "index"), queries

    def settings_for(self, k: int) -> list[Parameters]:
        return [each for each in self.settings if each.get("candidates", k) >= k]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        search = partial(self.opened.search, k=k, num_threads=1, **setting)
        return [partial(search, multivector=query) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        return np.ravel(answer.ids)[: np.ravel(answer.counts)[0]]


class Numpy(Engine):
    """Exhaustive float32 scores."""

    name, package = "numpy", "numpy"

    def build(self, documents: Tokens) -> None:
        np.save(self.folder / "vectors.npy", documents.floats())
        np.save(self.folder / "offsets.npy", documents.offsets)

    def described(self, documents: Tokens) -> dict[str, float]:
        return {"code_bytes": 4 * documents.vectors.shape[1]}

    def open(self, queries: list[Array]) -> None:
        self.vectors, self.offsets = (np.load(self.folder / f"{name}.npy") for name in ("vectors", "offsets"))
        self.scan, self.queries = Scan(self.vectors, self.offsets), queries

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.search, query, k) for query in self.queries]

    def search(self, query: Array, k: int) -> Array:
        return best(self.scan.scores(query), k)

    def ids(self, answer: Any) -> Any:
        return answer


class MaxsimCpu(Numpy):
    """maxsim-cpu: exhaustive float32 scores by a kernel of its own, over a list of documents."""

    name, package = "maxsim-cpu", "maxsim-cpu"

    def open(self, queries: list[Array]) -> None:
        import maxsim_cpu

        super().open(queries)
        self.documents = np.split(self.vectors, self.offsets[1:-1])
        self.score = maxsim_cpu.maxsim_scores_variable

    def search(self, query: Array, k: int) -> Array:
        return best(np.asarray(self.score(query, self.documents)), k)


PLAID: list[Parameters] = [
    {"n_ivf_probe": probes, "n_full_scores": full}
    for probes, full in ((1, 256), (2, 512), (4, 1024), (8, 4096), (16, 8192))
]


class FastPlaid(Engine):
    """fast-plaid: PLAID on torch, with 8 probes and 4096 full scores unless told otherwise."""

    name, package = "fast-plaid", "fast-plaid"
    indexes: ClassVar = [{"nbits": 4}, {"nbits": 2}]
    settings: ClassVar = PLAID[:4]  # the last one takes a second

    def build(self, documents: Tokens) -> None:
        import torch

        embeddings = [torch.from_numpy(document) for document in documents.each()]
        self.engine().create(documents_embeddings=embeddings, seed=42, **self.index)

    def engine(self) -> Any:
        from fast_plaid.search import FastPlaid as Plaid

        return Plaid(index=str(self.folder), device="cpu")

    def described(self, documents: Tokens) -> dict[str, float]:
        return {"code_bytes": residual_bytes(documents, self.index["nbits"]) + 8}  # centroid

    def open(self, queries: list[Array]) -> None:
        import torch

        self.opened = self.engine()
        self.queries = [torch.from_numpy(query)[None] for query in queries]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        search = partial(self.opened.search, top_k=k, show_progress=False, **setting)
        return [partial(search, query) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        return [document for document, _ in answer[0]]


class NextPlaid(Engine):
    """next-plaid: PLAID in Rust, without torch, called through the library that `next_plaid/` builds.

    Its files hold the codes of all tokens twice.
    """

    name = "next-plaid"
    indexes: ClassVar = [{"nbits": 4}, {"nbits": 2}]
    settings: ClassVar = PLAID

    def version(self) -> str:
        return "1.8.5"

    def library(self) -> Any:
        built = Path(__file__).with_name("next_plaid") / "target/release/libnext_plaid_calls.so"
        library = ctypes.CDLL(os.environ.get("NEXT_PLAID_LIBRARY", str(built)))
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        library.plaid_build.argtypes = [pointer, pointer, size, size, ctypes.c_char_p, size]
        library.plaid_build.restype = ctypes.c_bool
        library.plaid_open.argtypes, library.plaid_open.restype = [ctypes.c_char_p], pointer
        library.plaid_search.argtypes = [pointer, pointer, *[size] * 5, pointer]
        library.plaid_search.restype = ctypes.c_int64
        return library

    def build(self, documents: Tokens) -> None:
        vectors, lengths = documents.floats(), np.diff(documents.offsets)
        shape = len(lengths), vectors.shape[1]
        arrays = vectors.ctypes.data, lengths.ctypes.data
        if not self.library().plaid_build(*arrays, *shape, bytes(self.folder), self.index["nbits"]):
            raise RuntimeError("next-plaid did not build the index")

    def described(self, documents: Tokens) -> dict[str, float]:
        return {"code_bytes": residual_bytes(documents, self.index["nbits"]) + 12}  # centroid, norm

    def open(self, queries: list[Array]) -> None:
        self.calling, self.queries = self.library(), queries
        self.opened = self.calling.plaid_open(bytes(self.folder))

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.search, query, k, *setting.values()) for query in self.queries]

    def search(self, query: Array, k: int, probes: int, full: int) -> Array:
        ids = np.empty(k, np.int64)
        shape = query.shape
        count = self.calling.plaid_search(self.opened, query.ctypes.data, *shape, k, probes, full, ids.ctypes.data)
        if count < 0:
            raise RuntimeError("next-plaid did not answer")
        return ids[:count]

    def ids(self, answer: Any) -> Any:
        return answer


class XtrWarp(Engine):
    """XTR-WARP in Rust on torch: scores of tokens that no probe meets are guessed, and nothing is scored in full.

    Its files hold the codes of all tokens twice.
    """

    name, package = "xtr-warp", "xtr-warp-rs"
    indexes: ClassVar = [{"nbits": 4}]
    settings: ClassVar = [{}, *({"nprobe": probes} for probes in (8, 16, 32))]

    def build(self, documents: Tokens) -> None:
        import torch
        from xtr_warp import XTRWarp

        embeddings = [torch.from_numpy(document) for document in documents.each()]
        XTRWarp(str(self.folder)).create(embeddings, device="cpu", show_progress=False, **self.index)

    def described(self, documents: Tokens) -> dict[str, float]:
        return {"code_bytes": residual_bytes(documents, self.index["nbits"]) + 8}  # document

    def open(self, queries: list[Array]) -> None:
        import torch
        from xtr_warp import XTRWarp

        self.opened = XTRWarp(str(self.folder)).load(device="cpu")
        self.queries = [torch.from_numpy(query)[None] for query in queries]

    def calls(self, k: int, **setting: Any) -> list[Call]:
        search = partial(self.opened.search, top_k=k, num_threads=1, show_progress=False, **setting)
        return [partial(search, query) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        return [document for document, _ in answer[0]]


class Tachiom(Engine):
    """TACHIOM: clusters for each word of the vocabulary, product-quantised residuals, a graph over the centroids.

    The wheel of version 0.4.0 asks for glibc 2.39 only by two weak symbols that nothing calls.
    """

    name, package = "tachiom", "tachiom"
    settings: ClassVar = [
        {"k_centroids": centroids, "k_docs_to_score": documents, "ef_search": width, "alpha": alpha}
        for centroids, documents, width, alpha in (
            (5, 150, 10, 0.45),
            (10, 250, 20, 0.45),
            (20, 500, 30, 0.45),
            (40, 1000, 60, 0.35),
            (80, 2000, 120, 0.25),
            (80, 2000, 120, None),
            (160, 4000, 240, None),
        )
    ]

    def build(self, documents: Tokens) -> None:
        import tachiom

        lengths = np.diff(documents.offsets).astype(np.int32)
        arrays = documents.vectors.view(np.uint16), documents.words.astype(np.uint32), lengths
        tachiom.Tachiom.build_from_arrays(*arrays).save(str(self.folder / "index"))

    def described(self, documents: Tokens) -> dict[str, float]:
        return {"code_bytes": 32 + 6}  # centroid and norm

    def open(self, queries: list[Array]) -> None:
        import tachiom

        self.opened, self.queries = tachiom.Tachiom.load(str(self.folder / "index")), queries

    def calls(self, k: int, **setting: Any) -> list[Call]:
        return [partial(self.opened.search, query, k, **setting) for query in self.queries]

    def ids(self, answer: Any) -> Any:
        scores, documents = answer
        return documents[np.isfinite(scores)]


ENGINES = {engine.name: engine for engine in (Weft, Numpy, MaxsimCpu, FastPlaid, NextPlaid, Tachiom, XtrWarp)}
