"""Token vectors as src/storage/FORMAT.md defines them: read, decoded, scored and coded with NumPy alone."""

import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

SMALLEST = np.float32(2.0**-126)

KINDS = ["usual", "usual", "one", "empty", "zeros", "copy", "double", "short", "long", "opposite"]
DOCUMENTS = st.lists(st.sampled_from(KINDS), max_size=10)
QUERIES = st.tuples(st.integers(0, 5), st.sets(st.integers(0, 6), max_size=3))


def sections(path: Path) -> dict[str, bytes]:
    """Return the sections of a file by name."""
    data = path.read_bytes()
    assert (data[:8], data[-8:]) == (b"weft\r\n\x1a\n", b"weft-end")
    body, count, _ = np.frombuffer(data, "<u8,<u4,<u4", 1, len(data) - 64)[0].tolist()
    found, end = {}, 64
    for name, offset, length in np.frombuffer(data, "S16,<u8,<u8", count, body).tolist():
        assert offset == -(-end // 64) * 64
        end = offset + length
        found[name.decode()] = data[offset:end]
    assert -(-end // 64) * 64 == body
    return found


def fused(a: Array, b: Array, c: Array) -> Floats:
    """Return ``a * b + c`` of float32, rounded once.

    In float64 the product is exact. The sum is rounded to odd, so that rounding it again gives the right float32.
    """
    product, other = a.astype(np.float64) * b, c.astype(np.float64)
    total = np.asarray(product + other)
    back = total - product
    lost = (product - (total - back)) + (other - back)
    even = total.view(np.int64) % 2 == 0
    odd = np.where((lost != 0) & even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return odd.astype(np.float32)


def chains(tokens: Floats, rows: Floats) -> Floats:
    """Return the product of every token with every row, a chain of fused operations each."""
    products = np.zeros((len(tokens), len(rows)), np.float32)
    for place in range(rows.shape[1]):
        products = fused(tokens[:, place, None], rows[None, :, place], products)
    return products


def pack(numbers: Array, bits: int) -> npt.NDArray[np.uint8]:
    """Return the codes of numbers of shape (n, dim)."""
    parts = numbers.reshape(len(numbers), 8, -1).astype(np.uint8)
    if bits == 3:
        return np.concatenate([pack(numbers & 3, 2), pack(numbers >> 2, 1)], axis=1)
    eighths = [sum(parts[:, eighth + bits * i] << bits * i for i in range(8 // bits)) for eighth in range(bits)]
    return np.concatenate(eighths, axis=1).astype(np.uint8)


def unpack(codes: Array, bits: int) -> npt.NDArray[np.uint8]:
    """Return the numbers that codes of shape (n, bits * dim / 8) hold."""
    if bits == 3:
        low = codes.shape[1] // 3 * 2
        return unpack(codes[:, :low], 2) | unpack(codes[:, low:], 1) << 2
    eighths = codes.reshape(len(codes), bits, -1)
    parts = [eighths[:, part % bits] >> part // bits * bits & (1 << bits) - 1 for part in range(8)]
    return np.concatenate(parts, axis=1)


@dataclass
class Level:
    """A codec of residuals: `parts` of `pq`, or `bits` of `scalar`."""

    parts: int
    bits: int
    step: np.float32
    floats: Floats
    values: Array
    lengths: Floats

    @classmethod
    def read(cls, name: str, number: int, file: dict[str, bytes]) -> "Level":
        floats = np.frombuffer(file[f"floats-{number}"], "<f4")
        values = np.frombuffer(file[f"bytes-{number}"], np.uint8).astype(np.int64) - 64
        table = np.frombuffer(file[f"lengths-{number}"], "<f4")
        parts = int(name.removeprefix("pq")) if name.startswith("pq") else 0
        bits = 0 if parts else int(name.removeprefix("scalar"))
        if parts:
            values = values.reshape(parts, 256, -1)
            floats_of_parts = floats[1:].reshape(parts, -1, 256)
            return cls(parts, bits, floats[0], floats_of_parts, values, table)
        assert (len(floats), len(values)) == (1 + 2**bits, 16)
        assert (values.reshape(-1, 2**bits) == values[: 2**bits]).all()
        return cls(parts, bits, floats[0], floats[1:], values, table)

    def decode(self, codes: Array) -> Array:
        """Return the integers of each token."""
        if self.bits:
            return self.values[unpack(codes, self.bits)]
        return self.values[np.arange(self.parts), codes].reshape(len(codes), -1)

    def encode(self, residuals: Array) -> Array:
        """Return the nearest code of each residual of length 1."""
        if self.bits:
            levels = self.floats.astype(np.float64)
            return pack((residuals[..., None] > (levels[1:] + levels[:-1]) / 2).sum(-1), self.bits)
        parts = residuals.reshape(len(residuals), self.parts, -1)
        codewords = self.floats.astype(np.float64)
        scores = np.einsum("nps,psc->npc", parts, codewords) - (codewords**2).sum(1) / 2
        return scores.argmax(-1).astype(np.uint8)


@dataclass
class Coded:
    """Tokens as codes: the centroid of each, and for each level its lengths, units and codes."""

    centroids: Array
    levels: list[tuple[Array, Array, Array]]


@dataclass
class Codebook:
    """What all tokens of an index are coded with."""

    dim: int
    rotation: Floats
    centroids: Array
    steps: Floats
    units: Floats
    levels: list[Level]

    @classmethod
    def read(cls, path: Path, dim: int, codec: str) -> "Codebook":
        file = sections(path)
        levels = [name for name in codec.split("+") if name != "f16"]
        return cls(
            dim,
            np.frombuffer(file["rotation"], "<f4").reshape(dim, dim),
            np.frombuffer(file["centroids"], np.uint8).reshape(-1, dim).astype(np.int64) - 64,
            np.frombuffer(file["steps"], "<f4"),
            np.frombuffer(file["units"], "<f4", 256),
            [Level.read(name, number, file) for number, name in enumerate(levels, 1)],
        )

    def sums(self, coded: Coded) -> Array:
        """Return the centroid and all levels of each token, rotated, before the unit, in float64."""
        total = self.centroids[coded.centroids] * self.steps[coded.centroids, None].astype(np.float64)
        for level, (length, _, codes) in zip(self.levels, coded.levels, strict=False):
            total = total + level.decode(codes) * (level.lengths[length, None] * np.float64(level.step))
        return total

    def decode(self, coded: Coded) -> Floats:
        """Return the vectors that codes stand for."""
        vectors = self.sums(coded)
        if coded.levels:
            vectors = vectors * self.units[coded.levels[-1][1], None]
        return (vectors @ self.rotation.astype(np.float64)).astype(np.float32)

    def encode(self, vectors: Array) -> Coded:
        """Return the best codes by float64; where two are about as good, a writer may take the other."""
        rotated = vectors.astype(np.float64) @ self.rotation.T.astype(np.float64)
        centroids = self.centroids * self.steps[:, None].astype(np.float64)
        coded = Coded((rotated @ centroids.T - (centroids**2).sum(1) / 2).argmax(1), [])
        whole = np.linalg.norm(rotated, axis=1)
        for level in self.levels:
            residuals = rotated - self.sums(coded)
            length = nearest_in_ratio(level.lengths, np.linalg.norm(residuals, axis=1))
            scale = level.lengths[length].astype(np.float64)
            codes = level.encode(residuals / np.where(scale > 0, scale, 1)[:, None])
            coded.levels.append((length, length, codes))
            total = np.linalg.norm(self.sums(coded), axis=1)
            unit = nearest_in_ratio(self.units, np.divide(whole, total, out=np.zeros_like(whole), where=total > 0))
            coded.levels[-1] = (length, unit, codes)
        return coded

    def products(self, coded: Coded, rows: Floats) -> tuple[Floats, Floats]:
        """Return the product of each token with each row, in steps of the row, and these."""
        integers, steps = self.integers(rows)
        found = exact(self.centroids[coded.centroids], integers) * self.steps[coded.centroids, None] + np.float32(0)
        for level, (length, _, codes) in zip(self.levels, coded.levels, strict=False):
            found = found + exact(level.decode(codes), integers) * (level.lengths[length] * level.step)[:, None]
        return found * self.units[coded.levels[-1][1], None], steps

    def integers(self, rows: Floats) -> tuple[Array, Floats]:
        """Return the integers of the rows, rotated, and the step of each."""
        rotated = chains(rows, self.rotation)
        steps = np.abs(rotated).max(1, initial=0) / np.float32(127)
        steps = np.where(steps > SMALLEST, steps, np.float32(0))
        return np.rint(rotated / np.where(steps > 0, steps, np.float32(np.inf))[:, None]), steps


def exact(values: Array, rows: Array) -> Floats:
    """Return the products of integers, rounded to float32."""
    return (values.astype(np.float64) @ rows.T.astype(np.float64)).astype(np.float32)


def nearest_in_ratio(table: Floats, factors: Array) -> Array:
    """Return the byte of the nearest factor; 0 for what is below half of the smallest."""
    with np.errstate(divide="ignore"):
        distances = np.abs(np.log2(table[1:].astype(np.float64)) - np.log2(factors)[:, None])
    return np.where(factors > table[1] / 2, distances.argmin(1) + 1, 0)


@dataclass
class Segment:
    """The tokens of a segment: document `d` has `starts[d]` to `starts[d + 1]`."""

    file: dict[str, bytes]
    starts: Array
    live: Array
    coded: Coded | None = None
    halves: Floats | None = None

    @classmethod
    def read(cls, folder: Path, entry: dict[str, Any], codebook: Codebook | None, halves: bool) -> "Segment":
        documents, live = entry["documents"], np.ones(entry["documents"], bool)
        if entry["deleted_generation"] is not None:
            deleted = sections(folder / f"segment-{entry['id']}.deleted-{entry['deleted_generation']}")["documents"]
            bits = np.unpackbits(np.frombuffer(deleted, np.uint8), bitorder="little")
            assert not bits[documents:].any()
            live = bits[:documents] == 0
        if not entry["vectors"]:
            return cls({}, np.zeros(documents + 1, np.int64), live)
        assert codebook is not None
        file = sections(folder / f"segment-{entry['id']}.multivector")
        starts = np.frombuffer(file["starts"], "<u4").astype(np.int64)
        assert (len(starts), starts[0], starts[-1]) == (documents + 1, 0, entry["vectors"])
        width = 2 if len(codebook.centroids) <= 2**16 else 3
        numbers = np.frombuffer(file["centroids"], np.uint8).reshape(-1, width).astype(np.int64)
        coded = Coded(numbers @ 256 ** np.arange(width), [])
        for number in range(1, len(codebook.levels) + 1):
            columns = [np.frombuffer(file[f"{name}-{number}"], np.uint8) for name in ("lengths", "units", "codes")]
            coded.levels.append((columns[0], columns[1], columns[2].reshape(starts[-1], -1)))
        tokens = np.frombuffer(file["halves"], "<f2").reshape(-1, codebook.dim) if halves else None
        return cls(file, starts, live, coded, None if tokens is None else tokens.astype(np.float32))

    def of_documents(self, tokens: Array) -> list[Array]:
        """Return the tokens of each live document."""
        return [tokens[self.starts[each] : self.starts[each + 1]] for each in np.flatnonzero(self.live)]


def read(folder: Path) -> tuple[int, Codebook | None, list[Segment]]:
    """Return dimensions, codebook and segments of the newest generation."""
    newest = max(folder.glob("manifest-*.json"), key=lambda path: int(path.stem.split("-")[1]))
    content = json.loads(newest.read_text())["content"]
    schema, codebook = content["schema"]["multivector"], None
    dim, codec = schema["dim"], schema["codec"]
    if content["codebook"] is not None:
        codebook = Codebook.read(folder / f"codebook-{content['codebook']['id']}.multivector", dim, codec)
    halves = codec.endswith("f16")
    return dim, codebook, [Segment.read(folder, entry, codebook, halves) for entry in content["segments"]]


def decode(folder: Path) -> list[Floats]:
    """Return the tokens of each live document as float32 of shape (n, dim), in insertion order."""
    dim, codebook, segments = read(folder)
    documents: list[Floats] = []
    for segment in segments:
        tokens = np.zeros((0, dim), np.float32) if segment.halves is None else segment.halves
        if segment.coded is not None and segment.halves is None:
            assert codebook is not None
            tokens = codebook.decode(segment.coded)
        documents += segment.of_documents(tokens)
    return documents


def scores(folder: Path, query: Array) -> Floats:
    """Return the score of each live document, in insertion order; -inf for one that is never found."""
    _, codebook, segments = read(folder)
    found = [np.zeros(0, np.float32)]
    for segment in segments:
        if segment.coded is None or codebook is None:
            found.append(np.full(segment.live.sum(), -np.inf, np.float32))
        elif segment.halves is not None:
            found.append(maxsim(query, segment.of_documents(segment.halves)))
        else:
            products, steps = codebook.products(segment.coded, not_padding(query))
            found.append(best_sums(segment.of_documents(products), steps))
    return np.concatenate(found)


def maxsim(query: Array, documents: Sequence[Array]) -> Floats:
    """Return the score of each document, tokens by rows in 32 bits; -inf for one that is never found."""
    rows = not_padding(query)
    products = [chains(np.asarray(tokens, np.float32).reshape(-1, query.shape[1]), rows) for tokens in documents]
    return best_sums(products, np.ones(len(rows), np.float32))


def not_padding(query: Array) -> Floats:
    """Return the rows of a query that are not padding."""
    rows = query.astype(np.float32)
    return rows[(np.abs(rows) > np.float32(1e-30)).any(1)]


def best_sums(documents: Sequence[Floats], steps: Floats) -> Floats:
    """Return the sum of the largest products of each row, added in order in 64 bits."""
    found = []
    for products in documents:
        best = products.max(0) * steps if products.size else np.array([-np.inf])
        found.append(reduce(operator.add, best.tolist(), 0.0))
    return np.array(found, np.float32)


def ranking(found: Floats, k: int, allowed: Sequence[bool] | None = None) -> list[tuple[int, float]]:
    """Return positions and scores of the best documents: score descending, then position."""
    real = [each for each in range(len(found)) if found[each] > -np.inf and (allowed is None or allowed[each])]
    best = sorted(real, key=lambda each: (-found[each], each))[:k]
    return [(each, float(found[each])) for each in best]


def relative_error(vectors: Sequence[Array], raw: Sequence[Array]) -> float:
    """Return the mean over tokens of the squared error by the squared length."""
    ours, theirs = np.concatenate(vectors).astype(np.float64), np.concatenate(raw).astype(np.float64)
    lengths = (theirs**2).sum(1)
    return float((((ours - theirs) ** 2).sum(1)[lengths > 0] / lengths[lengths > 0]).mean())


def unit(vectors: Array) -> Array:
    """Return vectors of length 1 as 16-bit floats."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)


def collection(count: int, dim: int, seed: int = 0, most: int = 12) -> list[Array]:
    """Return documents of 0 to `most` tokens, which lie near 30 directions."""
    generator = np.random.default_rng(seed)
    topics = generator.standard_normal((30, dim))
    sizes = generator.integers(0, most + 1, count)
    return [unit(topics[generator.integers(0, 30, n)] + 0.5 * generator.standard_normal((n, dim))) for n in sizes]


def question(rows: int, dim: int, seed: int = 0) -> Array:
    """Return a query."""
    return unit(np.random.default_rng(seed + 10**6).standard_normal((rows, dim))).astype(np.float32)


def peculiar(kinds: Sequence[str], dim: int, seed: int) -> list[Array]:
    """Return a document of each kind; a copy is one of the document before it."""
    generator = np.random.default_rng(seed)
    documents: list[Array] = []
    for kind in kinds:
        tokens = unit(generator.standard_normal((generator.integers(2, 6), dim)))
        before = documents[-1] if documents else tokens
        made = {
            "one": tokens[:1],
            "empty": tokens[:0],
            "zeros": tokens * np.float16(0),
            "copy": before,
            "double": np.concatenate([before, before]),
            "short": tokens * np.float16(1e-3),
            "long": tokens * np.float16(900),
            "opposite": -before,
        }
        documents.append(made.get(kind, tokens))
    return documents


def padded(query: tuple[int, set[int]], dim: int, seed: int) -> Array:
    """Return a query with rows of zeros put in at some places."""
    rows, zeros = query
    made = list(question(rows, dim, seed))
    for place in sorted(zeros):
        made.insert(place, np.zeros(dim, np.float32))
    return np.array(made, np.float32).reshape(-1, dim)
