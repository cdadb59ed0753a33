"""Makes a larger collection out of a real one, so that growth can be measured.

    python benches/peers/enlarge.py vectors/wiki20k vectors/wiki320k --times 16

The first copy is the collection itself. In every further one, a document keeps 70 % of its terms at random, takes 30 %
of the terms of a neighbour (one to three rows away, for passages of one article: on the same subject), and every
weight changes by up to 15 %. Frequencies and co-occurrence of terms stay close to those of the source. Documents have
no more terms than the longest one of the source. Queries are copied.
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from collection import Array, Rows, heaviest, read, write

OWN, TAKEN, JITTER = 0.7, 0.3, 0.15
NEIGHBOURS = np.array([-3, -2, -1, 1, 2, 3])
BLOCK = 20_000  # documents perturbed at once, some 3 million entries


def sampled(rows: Rows, share: float, generator: np.random.Generator) -> Rows:
    return rows.where(generator.random(len(rows.data), np.float32) < share)


def perturbed(source: Rows, documents: Array, most: int, generator: np.random.Generator) -> Rows:
    """A changed copy of the given documents, each of at most `most` terms."""
    neighbours = np.clip(documents + generator.choice(NEIGHBOURS, len(documents)), 0, len(source) - 1)
    own = sampled(source.take(documents), OWN, generator)
    taken = sampled(source.take(neighbours), TAKEN, generator)
    keys = np.concatenate([rows.numbers() << 32 | rows.indices for rows in (own, taken)])
    keys, first = np.unique(keys, return_index=True)  # of a term that came twice, the document's own weight
    weights = np.concatenate([own.data, taken.data])[first]
    weights *= generator.uniform(1 - JITTER, 1 + JITTER, len(weights)).astype(np.float32)
    indptr = np.searchsorted(keys >> 32, np.arange(len(documents) + 1))
    return heaviest(Rows(indptr, (keys & 0xFFFFFFFF).astype(np.int32), weights), most)


def copies(source: Rows, times: int, generator: np.random.Generator) -> Iterator[Rows]:
    yield source
    most = int(np.diff(source.indptr).max())
    for _ in range(1, times):
        for start in range(0, len(source), BLOCK):
            yield perturbed(source, np.arange(start, min(start + BLOCK, len(source))), most, generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--times", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source = read(arguments.source / "sparse_docs.npz")
    parts = list(copies(source, arguments.times, np.random.default_rng(arguments.seed)))
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    indices = np.concatenate([part.indices for part in parts])
    data = np.concatenate([part.data for part in parts])
    arguments.target.mkdir(parents=True, exist_ok=True)
    write(arguments.target / "sparse_docs.npz", Rows(np.concatenate([[0], np.cumsum(lengths)]), indices, data))
    shutil.copy(arguments.source / "sparse_queries.npz", arguments.target)


if __name__ == "__main__":
    main()
