"""What the examples have in common: token vectors to try them with, and how much of the true answer they find."""

from typing import Any

import numpy as np
import numpy.typing as npt

import weft

Array = npt.NDArray[Any]

DIM = 128
K = 10
CANDIDATES = 100


def collection(documents: int = 5000, queries: int = 100) -> tuple[list[Array], list[Array]]:
    """Return documents of 20 to 40 tokens about one of many subjects, and queries of 8 tokens about a document."""
    random = np.random.default_rng(0)
    subjects = random.standard_normal((documents // 25, 8, DIM)) + random.standard_normal(DIM)

    def tokens(subject: Array, count: int, noise: float) -> Array:
        drawn = subject[random.integers(0, len(subject), count)] + noise * random.standard_normal((count, DIM))
        made: Array = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
        return made

    made = [
        tokens(subjects[random.integers(len(subjects))], size, 0.7)
        for size in random.integers(20, 41, documents).tolist()
    ]
    asked = [tokens(made[each], 8, 0.05) for each in random.integers(0, documents, queries)]
    return made, asked


def encodings(documents: list[Array], queries: list[Array]) -> tuple[Array, Array]:
    """Return one vector for each document and query. Inner products compare them; lengths matter, so keep them."""
    encoder = weft.FdeEncoder(weft.Fde(repetitions=16, bits=4, projection=8), dim=DIM)
    return encoder.encode_document(documents), encoder.encode_query(queries)


def report(name: str, documents: list[Array], queries: list[Array], candidates: Array) -> float:
    """Print the share of the true best `K` by MaxSim that is among the candidates, (queries, n) rows of documents."""
    scores = weft.maxsim(queries, documents)
    best = np.argsort(-scores, axis=1)[:, :K]
    found = float(np.mean([np.isin(row, some).mean() for row, some in zip(best, candidates, strict=True)]))
    again = [row[np.argsort(-line[row])[:K]] for row, line in zip(candidates, scores, strict=True)]
    print(f"{name}: {found:.3f} of the best {K} are among {candidates.shape[1]} candidates")
    print(f"best of the first query, by MaxSim of its candidates: {again[0].tolist()}")
    return found
