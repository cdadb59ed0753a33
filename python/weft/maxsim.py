"""MaxSim of arrays, without an index."""

from typing import Any

import numpy as np
import numpy.typing as npt

from weft import _native, inputs, tokens
from weft.errors import InvalidInput


def maxsim(queries: Any, documents: Any, *, num_threads: int = 0) -> npt.NDArray[np.float32]:
    """Return the MaxSim score of every document for each query.

    The sum over the rows of a query of their largest product with a token of the document (Khattab and Zaharia,
    ColBERT, 2020), in 32-bit floats, the same on every machine and number of threads.

    Parameters
    ----------
    queries : (n_q, dim) array, list of arrays, (B, n_q, dim) array, or (flat, offsets)
        Token vectors of floats, NumPy or torch; a two-dimensional array is a single query. Rows of zeros add nothing.
    documents : list of (tokens, dim) arrays, (n, tokens, dim) array, or (flat, offsets)
        Any `dim`. 16-bit floats stay as they are, everything else becomes float32.
    num_threads : int
        Threads to use, at most 256; 0 for one on each core.

    Returns
    -------
    ndarray of float32, shape (n,) for a single query, otherwise (B, n)
        Minus infinity for a document without tokens.

    Raises
    ------
    InvalidInput
        An array is malformed, or dimensions differ.

    Examples
    --------
    >>> import numpy as np
    >>> weft.maxsim(np.eye(3)[:2], [np.eye(3), np.eye(3)[2:]]).tolist()
    [2.0, 0.0]
    """
    flat, offsets, single = tokens.queries(queries, None)
    held = tokens.as_given(documents, flat.shape[1], halves_checked=False)
    threads = inputs.integer("num_threads", num_threads, low=0)
    ranges = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    try:
        scores = [_native.maxsim(flat[start:end], held, threads) for start, end in ranges]
    except InvalidInput:
        tokens.as_given(documents, flat.shape[1])  # names the value that is not finite
        raise
    found = np.array(scores, np.float32).reshape(len(scores), len(held[1]) - 1)
    return found[0] if single else found
