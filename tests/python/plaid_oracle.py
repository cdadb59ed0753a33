"""PLAID indexes of every dialect written and decoded here, independently of the library, to compare it with."""

import json
import math
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DIALECTS = ["colbert", "chunks", "merged", "updated"]
STORAGES = {"f2": "Half", "f4": "Float", "f8": "Double", "u1": "Byte", "i4": "Int", "i8": "Long"}


class Plaid(NamedTuple):
    """What an index holds: lengths of documents by chunk, and bucket numbers instead of packed residuals."""

    nbits: int
    centroids: Array
    weights: Array
    lengths: list[list[int]]
    codes: Array
    buckets: Array

    def packed(self) -> Array:
        """Pack through text: the bits of a bucket lowest first, and of a byte highest first."""
        rows = ["".join(format(bucket, f"0{self.nbits}b")[::-1] for bucket in row) for row in self.buckets.tolist()]
        values = [[int(row[at : at + 8], 2) for at in range(0, len(row), 8)] for row in rows]
        return np.array(values, np.uint8).reshape(len(rows), self.centroids.shape[1] * self.nbits // 8)

    def vectors(self) -> list[Array]:
        """Decode value by value, in 64 bits."""
        made = []
        for code, row in zip(self.codes.tolist(), self.buckets.tolist(), strict=True):
            vector = [float(self.centroids[code, at]) + float(self.weights[bucket]) for at, bucket in enumerate(row)]
            length = sum(value * value for value in vector) ** 0.5
            made.append(np.array(vector) / max(length, 1e-12))
        return made


def plaid(lengths: list[list[int]], nbits: int = 2, dim: int = 8, seed: int = 0) -> Plaid:
    generator = np.random.default_rng(seed)
    tokens = sum(map(sum, lengths))
    centroids = generator.standard_normal((5, dim))
    return Plaid(
        nbits,
        (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).astype(np.float16),
        np.sort(generator.normal(0, 0.1, 2**nbits)).astype(np.float32),
        lengths,
        generator.integers(0, 5, tokens),
        generator.integers(0, 2**nbits, (tokens, dim)),
    )


def write(folder: Path, content: Plaid, dialect: str) -> Path:
    """Write an index as ColBERT, fast-plaid up to 1.6, fast-plaid 1.7, or 1.7 with a chunk not merged yet has it."""
    folder.mkdir()
    numbers = {"nbits": content.nbits, "num_chunks": len(content.lengths), "num_embeddings": len(content.codes)}
    if dialect == "colbert":
        numbers["config"] = {"nbits": numbers.pop("nbits"), "dim": content.centroids.shape[1]}  # type: ignore[assignment]
        save_tensors(folder / "centroids.pt", content.centroids)
        save_tensors(folder / "buckets.pt", content.weights[1:], content.weights)
    else:
        np.save(folder / "centroids.npy", content.centroids)
        np.save(folder / "bucket_weights.npy", content.weights)
    put(folder / "metadata.json", numbers)
    put(folder / "plan.json", {})
    ends = np.cumsum([0, *map(sum, content.lengths)])
    own = {"merged": 0, "updated": 1}.get(dialect, len(content.lengths))
    for number, lengths in enumerate(content.lengths):
        put(folder / f"doclens.{number}.json", lengths)
        part = slice(ends[number], ends[number + 1])
        if dialect == "colbert":
            save_tensors(folder / f"{number}.codes.pt", content.codes[part].astype(np.int32))
            save_tensors(folder / f"{number}.residuals.pt", content.packed()[part])
        elif number >= len(content.lengths) - own:
            np.save(folder / f"{number}.codes.npy", content.codes[part])
            np.save(folder / f"{number}.residuals.npy", content.packed()[part])
    if dialect in ("merged", "updated"):
        merged = ends[len(content.lengths) - own] if own else ends[-1]
        for name, array in (("codes", content.codes), ("residuals", content.packed())):
            padding = np.full((3, *array.shape[1:]), 77, array.dtype)
            np.save(folder / f"merged_{name}.npy", np.concatenate([array[:merged], padding]))
    return folder


def put(file: Path, value: Any) -> None:
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def save_tensors(file: Path, *arrays: Array, gap: int = 2) -> None:
    """Write a file as ``torch.save`` does; each tensor begins after `gap` values of its storage."""
    pickled = b"".join(
        pickled_tensor(str(key), STORAGES[array.dtype.str[1:]], array.shape, array.size + gap, gap)
        for key, array in enumerate(arrays)
    )
    pickled = b"\x80\x02" + (pickled if len(arrays) == 1 else b"(" + pickled + b"t") + b"."
    data = {f"data/{key}": bytes(gap * array.itemsize) + array.tobytes() for key, array in enumerate(arrays)}
    save_archive(file, {"data.pkl": pickled, "byteorder": b"little", **data, "version": b"3\n"})


def save_archive(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{file.stem}/{name}", content)


def pickled_tensor(
    key: str, storage: str, shape: tuple[int, ...], size: int, start: int, strides: tuple[int, ...] | None = None
) -> bytes:
    """Return the instructions that make a tensor."""
    steps = strides or tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    described = pickled_text("storage") + named("torch", f"{storage}Storage") + pickled_text(key) + pickled_text("cpu")
    arguments = b"(" + described + number(size) + b"tQ" + number(start) + numbers(shape) + numbers(steps)
    return (
        named("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + arguments
        + b"\x89"
        + named("collections", "OrderedDict")
        + b")RtR"
    )


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def pickled_text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"
