"""Make the projection of `weft.encoders.minilm`: ``python -m weft.encoders.make_projection [FILE]``.

The text is the docstrings of Python's standard library, which everybody has, so that anyone can check what is shipped.
Other releases of Python have somewhat other docstrings, and give nearly the same projection.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weft.demo import documents
from weft.encoders.minilm import DIM, HIDDEN, PROJECTION, MiniLm

EVERY = 4
"""One docstring in so many is enough."""
BATCH = 256


def directions(states: Iterable[npt.NDArray[np.float32]], dim: int) -> npt.NDArray[np.float32]:
    """Return the directions in which vectors are longest: an uncentred principal component analysis.

    Parameters
    ----------
    states : iterable of (n, hidden) float32 arrays
        They are brought to length 1 first.
    dim : int

    Returns
    -------
    (dim, hidden) float32
        Orthonormal, the most important first, each with the sign that makes its largest value positive.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.encoders.make_projection import directions
    >>> directions([np.float32([[0, 5, 0], [0, 3, 0]]), np.float32([[0, 0, 2]])], dim=2).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    total: Any = 0
    for each in states:
        unit = (each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float64)
        total = total + unit.T @ unit
    found = np.linalg.eigh(total)[1][:, ::-1][:, :dim].T
    signs = np.sign(found[np.arange(dim), np.abs(found).argmax(axis=1)])
    return np.asarray(found * signs[:, None], np.float32)


class _Unprojected(MiniLm):
    """MiniLM with its hidden states as they are, but for their length, which is 1."""

    @staticmethod
    def _head() -> npt.NDArray[np.float32]:
        return np.eye(HIDDEN, dtype=np.float32)


def make(texts: Sequence[str]) -> npt.NDArray[np.float16]:
    """Return the projection that the hidden states of these texts ask for: (128, 384) float16."""
    encoder = _Unprojected()
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    states = (encoder.encode_document(batch)[0].astype(np.float32) for batch in batches)
    return directions(states, DIM).astype(np.float16)


def main() -> None:
    """Write the projection to the file named on the command line, by default over the one that is shipped."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECTION
    np.save(file, make([each["text"] for each in documents()][::EVERY]))


if __name__ == "__main__":
    main()
