"""Fixed-dimensional encodings by their formula (Dhulipala et al., MUVERA, 2024, section 2), with NumPy alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def plain(sides: Iterable[bool]) -> int:
    """Return the number of a cell: the first hyperplane is the lowest bit."""
    return sum(int(side) << bit for bit, side in enumerate(sides))


def gray(sides: Iterable[bool]) -> int:
    """Return the number of a cell in a Gray code: the first hyperplane is the highest bit."""
    number = 0
    for side in sides:
        number = 2 * number + (int(side) ^ number & 1)
    return number


@dataclass
class Oracle:
    """An encoder of `hyperplanes` (repetitions, bits, dim) and scaled `projections` (repetitions, values, dim)."""

    hyperplanes: Array
    projections: Array
    is_gray: bool = False
    fill_from_cells: bool = False

    def query(self, tokens: Array) -> Array:
        """Return the sums of the cells."""
        return np.concatenate([sums for _, sums, _, _ in self._repetitions(tokens)], axis=None)

    def document(self, tokens: Array) -> Array:
        """Return the means of the cells, those that are empty filled."""
        blocks = []
        for cells, sums, held, parts in self._repetitions(tokens):
            counts = np.bincount(held, minlength=len(cells))
            for cell, sides in enumerate(cells):
                empty = counts[cell] == 0
                blocks.append(parts[self._nearest(cells, held, sides)] if empty else sums[cell] / counts[cell])
        return np.concatenate(blocks)

    def _nearest(self, cells: Array, held: Array, sides: Array) -> int:
        """Return the first token at the least distance, or the first of the first such cell."""
        distances = (cells[held] != sides).sum(axis=1)
        nearest = np.flatnonzero(distances == distances.min())
        if self.fill_from_cells:
            nearest = nearest[held[nearest] == held[nearest].min()]
        return int(nearest[0])

    def _repetitions(self, tokens: Array) -> list[tuple[Array, Array, Array, Array]]:
        """Return for each repetition the sides of cells, their sums, the cell of each token, and its projection."""
        found, tokens = [], tokens.astype(np.float64)
        for hyperplanes, projection in zip(self.hyperplanes, self.projections, strict=True):
            number = gray if self.is_gray else plain
            shape = (2,) * len(hyperplanes)
            every = np.array(list(np.ndindex(shape)), bool).reshape(2 ** len(shape), len(shape))
            cells = np.empty_like(every)
            cells[[number(sides) for sides in every]] = every
            held = np.array([number(sides) for sides in tokens @ hyperplanes.T > 0], int)
            parts = tokens @ projection.T
            sums = np.zeros((len(cells), len(projection)))
            np.add.at(sums, held, parts)
            found.append((cells, sums, held, parts))
        return found


def fastembed(tokens: Array, repetitions: int, bits: int, projection: int, seed: int) -> Array:
    """Return the encoding of a document as fastembed defines it: means first, then their projections."""
    random, dim = np.random.default_rng(seed), tokens.shape[1]
    hyperplanes = [random.normal(size=(dim, bits)) for _ in range(repetitions)]
    signs = random.choice([-1, 1], size=(repetitions, dim, projection)) if projection != dim else None
    blocks = []
    for repetition in range(repetitions):
        held = (tokens @ hyperplanes[repetition] > 0) @ (1 << np.arange(bits))
        filled = np.unique(held)
        means = np.empty((2**bits, dim))
        for cell in range(2**bits):
            nearest = min(filled, key=lambda other: ((int(cell) ^ int(other)).bit_count(), other))
            means[cell] = tokens[held == cell].mean(axis=0) if cell in filled else tokens[held == nearest][0]
        blocks.append(means if signs is None else means @ signs[repetition] / projection**0.5)
    return np.concatenate(blocks, axis=None)


def clear(tokens: Array, hyperplanes: Array) -> Array:
    """Leave out tokens so near to a hyperplane that rounding decides the side; zeros are on no side."""
    products = tokens.astype(np.float64) @ hyperplanes.reshape(-1, tokens.shape[1]).T
    lengths = np.linalg.norm(tokens.astype(np.float64), axis=1)[:, None]
    lengths = lengths * np.linalg.norm(hyperplanes.astype(np.float64), axis=-1).reshape(1, -1)
    kept: Array = tokens[((np.abs(products) > 1e-6 * lengths) | (lengths == 0)).all(axis=1)]
    return kept


def count_sketch(repetitions: int, projection: int, dim: int, seed: int = 0) -> Array:
    """Return projections that add each value to one place, or subtract it."""
    random = np.random.default_rng(seed)
    rows = np.zeros((repetitions, projection, dim))
    for repetition in rows:
        repetition[random.integers(0, projection, dim), np.arange(dim)] = random.choice([-1, 1], dim)
    return rows
