"""Fewer token vectors for a document: those that are alike are replaced by their mean.

Token pooling of Clavié, Chaffin and Adams, *Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance
Impact via Token Pooling* (2024): Ward's hierarchical clustering of the vectors of one document, cut where the wanted
number of clusters is left. Queries are left as they are.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from weft.errors import Error, InvalidInput
from weft.inputs import number, shown

if TYPE_CHECKING:
    from weft._types import Tokens


def pool(tokens: "Tokens", factor: float, *, protected: int = 1, normalize: bool = True) -> "Tokens":
    """Return the token vectors of documents, about `factor` times fewer.

    The first `protected` vectors of a document stay; the n others become ceil(n / factor) means of clusters. Clusters
    are those of least squared Euclidean distance to their means (Ward 1963), which for vectors of length 1 is least
    cosine distance, and come in the order of their first tokens. The time is quadratic in n: about a millisecond for
    180 vectors.

    Parameters
    ----------
    tokens : tuple of (T, dim) float array and (n + 1,) int64 offsets
        Document i has the vectors ``flat[offsets[i] : offsets[i + 1]]``.
    factor : float
        At least 1, which changes nothing.
    protected : int
        Vectors at the beginning of each document that stay as they are: the `[CLS]` token in the paper.
    normalize : bool
        Whether means get length 1, as is right for vectors that have it.

    Returns
    -------
    flat : (T', dim) array of the type given
    offsets : (n + 1,) int64

    Raises
    ------
    InvalidInput
        The factor is below 1.
    Error
        SciPy is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.encoders.pooling import pool
    >>> words = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1]], np.float16)
    >>> flat, offsets = pool((words, np.array([0, 5])), factor=2)
    >>> flat.tolist(), offsets.tolist()
    ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 3])
    """
    check_factor(factor)
    flat, offsets = tokens
    if factor == 1:
        return tokens
    parts = [
        _pooled(flat[start:end], factor, protected, normalize)
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    return np.concatenate([flat[:0], *parts]), np.cumsum([0, *map(len, parts)], dtype=np.int64)


def check_factor(factor: float) -> None:
    """Refuse a factor below 1, and any but 1 where SciPy is missing."""
    if number("pool_factor", factor) < 1:
        raise InvalidInput(f"pool_factor must be at least 1, which keeps every token; got {shown(factor)}")
    if factor > 1:
        try:
            import scipy.cluster.hierarchy  # noqa: F401
        except ImportError as error:
            raise Error(f"token pooling needs SciPy ({error}): pip install scipy") from error


def _pooled(
    vectors: npt.NDArray[np.float16], factor: float, protected: int, normalize: bool
) -> npt.NDArray[np.float16]:
    rest = vectors[protected:].astype(np.float32)
    clusters = math.ceil(len(rest) / factor)
    if clusters == len(rest):
        return vectors
    labels = _clusters(rest, clusters)
    means = np.zeros((clusters, rest.shape[1]), np.float32)
    np.add.at(means, labels, rest)
    means /= np.bincount(labels)[:, None]
    if normalize:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.concatenate([vectors[:protected], means.astype(vectors.dtype)])


def _clusters(vectors: npt.NDArray[np.float32], clusters: int) -> npt.NDArray[np.int64]:
    """Return the cluster of each vector, numbered by first appearance."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors, method="ward")
    tree[:, 2] = np.arange(1, len(vectors))  # merges by number instead of height, so that ties do not lose clusters
    found = fcluster(tree, len(vectors) - clusters, criterion="distance")
    _, first, labels = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]
