"""Sparse rows in any of the usual forms, turned into the core's CSR triple.

SciPy matrices and torch tensors are recognised by what they offer, so neither library is imported. Weights become
float32; one too large for it becomes infinite, which the core refuses by row.
"""

import numbers
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

from weft.errors import InvalidInput
from weft.inputs import borrowable, integers, keys, one_dimensional, shown
from weft.schema import Kind

if TYPE_CHECKING:
    from weft._types import Rows

_INT64, _FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)
_FORMS = (
    "a SciPy sparse matrix, a torch sparse tensor, (indptr, indices, data), a dict of term to weight or a list of them"
)


def rows(value: object, empty: Kind) -> "tuple[Rows, bool]":
    """Return CSR rows, and whether one row was given without a batch axis.

    Parameters
    ----------
    value : sparse matrix, tensor, tuple, dict or list of dict
        A dict, a one-dimensional sparse array and a one-dimensional tensor are single rows.
    empty : {"int", "str"}
        The kind of terms to assume when there are none.
    """
    if _is_native(value):
        return value, False
    if callable(getattr(value, "tocsr", None)):
        return _from_scipy(value, empty)
    if isinstance(value, Mapping):
        return _from_dicts([value], empty), True
    if _is_tensor(value):
        return _from_tensor(value)
    if isinstance(value, tuple):
        return _from_triple(value, empty), False
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and not hasattr(value, "__array__"):
        return _from_dicts(list(value), empty), False
    hint = "; convert a dense array with scipy.sparse.csr_array" if hasattr(value, "__array__") else ""
    raise InvalidInput(f"sparse must be {_FORMS}, not {type(value).__name__}{hint}")


def _is_native(value: object) -> "TypeGuard[Rows]":
    """Whether the value is a triple that the core takes as it is, with integer terms."""
    if type(value) is not tuple or len(value) != 3:
        return False
    indptr, terms, weights = value
    return _is_vector(indptr, _INT64) and _is_vector(terms, _INT64) and _is_vector(weights, _FLOAT32)


def _is_vector(value: object, kind: np.dtype[Any]) -> bool:
    """Whether the value is an aligned, contiguous array of one dimension, in native byte order."""
    return type(value) is np.ndarray and value.ndim == 1 and value.dtype == kind and value.flags.carray


def _from_triple(triple: tuple[Any, ...], empty: Kind) -> "Rows":
    if len(triple) != 3:
        raise InvalidInput(f"sparse: a tuple must be (indptr, indices, data), not {len(triple)} values")
    indptr, indices, data = triple
    terms = keys("sparse indices", indices, empty, lambda position: f"position {position}")
    return integers("sparse indptr", indptr), terms, _float32(data)


def _from_scipy(matrix: Any, empty: Kind) -> "tuple[Rows, bool]":
    single = matrix.ndim == 1
    csr = matrix.reshape(1, -1).tocsr() if single else matrix.tocsr()
    return _from_triple((csr.indptr, csr.indices, csr.data), empty), single


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_tensor(tensor: Any) -> "tuple[Rows, bool]":
    if str(tensor.layout) == "torch.strided":
        raise InvalidInput("sparse: the tensor is dense; call .to_sparse() on it")
    coo = tensor.detach().cpu().to_sparse_coo().coalesce()
    if coo.sparse_dim() not in (1, 2) or coo.dense_dim():
        raise InvalidInput(f"sparse: the tensor must have one or two sparse dimensions, not shape {tuple(coo.shape)}")
    single = coo.sparse_dim() == 1
    indices = coo.indices().numpy()
    lengths = [indices.shape[1]] if single else np.bincount(indices[0], minlength=coo.shape[0])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return (indptr, integers("sparse indices", indices[-1]), _float32(coo.values().float().numpy())), single


def _from_dicts(mappings: list[Any], empty: Kind) -> "Rows":
    indptr = np.zeros(len(mappings) + 1, np.int64)
    terms: list[Any] = []
    weights: list[Any] = []
    for row, mapping in enumerate(mappings):
        if not isinstance(mapping, Mapping):
            raise InvalidInput(f"sparse: row {row} is {shown(mapping)}; expected a dict of term to weight")
        terms.extend(mapping)
        weights.extend(mapping.values())
        indptr[row + 1] = len(terms)

    def place(position: int) -> str:
        return f"row {np.searchsorted(indptr, position, side='right') - 1}, term {terms[position]!r}"

    native = keys("sparse", terms, empty, place)
    if set(map(type, weights)) - {float}:
        for position, weight in enumerate(weights):
            if not _is_weight(weight):
                raise InvalidInput(f"sparse: {place(position)} has weight {shown(weight)}; expected a number")
    return indptr, native, _float32(weights)


def _is_weight(value: object) -> bool:
    """Whether the value is a real number that a float can hold."""
    if isinstance(value, (numbers.Real, np.bool_)):
        try:
            float(value)
        except OverflowError:
            return False
        return True
    return False


@np.errstate(over="ignore", under="ignore")
def _float32(data: object) -> npt.NDArray[np.float32]:
    array = one_dimensional("sparse data", data)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"sparse data must be numbers, not {array.dtype}")
    return borrowable(array, np.float32)
