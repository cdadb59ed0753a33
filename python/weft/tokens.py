"""Token vectors in any of the usual forms, turned into one flat array and the offsets of its rows.

Row i, a document or a query, has the tokens ``flat[offsets[i] : offsets[i + 1]]``. Torch tensors are recognised by
what they offer, so torch is not imported.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weft.errors import InvalidInput
from weft.inputs import Scalar, borrowable, by_row, integers, shown

if TYPE_CHECKING:
    from weft._types import TokenQueries, Tokens

_BLOCK = 4096
"""Tokens that are looked at together, so that what is made of them stays in the cache."""
_FORMS = "a list of (tokens, dim) arrays, one (rows, tokens, dim) array or (flat, offsets)"


def documents(value: object, dim: int | None, *, checked: bool = True) -> "Tokens":
    """Return the token vectors of documents, rounded to 16 bits.

    Parameters
    ----------
    value : list of (n_i, dim) arrays, (B, n, dim) array, or tuple of (T, dim) array and (n + 1,) offsets
        Arrays or torch tensors of floats, on any device. A document may have no tokens.
    dim : int, optional
        Dimensions of a vector. Default: told by the data.
    checked : bool
        Whether to look for values that are not finite.

    Returns
    -------
    flat : (T, dim) float16
    offsets : (n + 1,) int64

    Raises
    ------
    InvalidInput
        The form, a shape or a type is another, offsets do not ascend from 0 to T, or a value is not finite in 16 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.tokens import documents
    >>> flat, offsets = documents([np.ones((2, 8)), np.zeros((1, 8), np.float32)], dim=8)
    >>> flat.shape, flat.dtype.name, offsets.tolist()
    ((3, 8), 'float16', [0, 2, 3])
    """
    array = _dense(value)
    if _is_matrix(array):
        raise InvalidInput(
            f"multivector: an array of shape {array.shape} does not tell where documents end; "
            "pass one document as [array], several as a list or as (flat, offsets)"
        )
    return _flat(array, dim, np.float16, checked)


def queries(value: object, dim: int | None) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], bool]:
    """Return the token vectors of queries in 32 bits, and whether one query was given without a batch axis.

    Parameters
    ----------
    value : (n, dim) array, or what `documents` takes
        An array of two dimensions is one query.
    dim : int, optional
        Dimensions of a vector. Default: told by the data.

    Returns
    -------
    flat : (T, dim) float32
    offsets : (n + 1,) int64
    single : bool

    Raises
    ------
    InvalidInput
        As for `documents`, with 32 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.tokens import queries
    >>> flat, offsets, single = queries(np.ones((4, 8)), dim=8)
    >>> flat.shape, flat.dtype.name, offsets.tolist(), single
    ((4, 8), 'float32', [0, 4], True)
    """
    array = _dense(value)
    single = _is_matrix(array)
    return *_flat([array] if single else array, dim, np.float32), single


def as_given(value: object, dim: int, *, halves_checked: bool = True) -> "Tokens | TokenQueries":
    """Return the token vectors of documents in 16 bits where they come so, otherwise in 32.

    Parameters
    ----------
    value : what `documents` takes
    dim : int
        Dimensions of a vector.
    halves_checked : bool
        False where the caller finds 16-bit values that are not finite by itself.

    Returns
    -------
    flat : (T, dim) float16 or float32
    offsets : (n + 1,) int64

    Raises
    ------
    InvalidInput
        As for `documents`.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.tokens import as_given
    >>> as_given([np.ones((2, 8))], dim=8)[0].dtype.name
    'float32'
    """
    if _are_halves(value):
        return documents(value, dim, checked=halves_checked)
    flat, offsets, single = queries(value, dim)
    if single:
        raise InvalidInput("documents: an array of two dimensions is one document; pass [array]")
    return flat, offsets


def _are_halves(value: Any) -> bool:
    arrays = value if isinstance(value, list) else [value[0] if isinstance(value, tuple) and value else value]
    return all(str(getattr(array, "dtype", "")).endswith("float16") for array in arrays)


@np.errstate(over="ignore", under="ignore", invalid="ignore")
def _flat(
    value: Any, dim: int | None, kind: type[Scalar], checked: bool = True
) -> tuple[npt.NDArray[Scalar], npt.NDArray[np.int64]]:
    """Return the vectors one after the other, and where each row begins and the last ends."""
    parts, offsets, place = _parts(value)
    vectors = [part for part in parts if part.ndim == 2]
    flat = _joined(vectors, _dimension(parts, place, dim), kind)
    broken = _not_finite(flat) if checked else None
    if broken is not None:
        token, dimension = broken
        row = int(np.searchsorted(offsets, token, side="right")) - 1
        given, largest = _token(vectors, token)[dimension], np.finfo(flat.dtype.name).max
        raise InvalidInput(
            f"multivector: {by_row(row)}, token {token - offsets[row]}, dimension {dimension} is {given}; "
            f"{flat.dtype} holds finite numbers up to {largest:g}"
        )
    return flat, offsets


def _dimension(parts: list[npt.NDArray[Any]], place: Callable[[int], str], dim: int | None) -> int:
    """Return the dimension that is given, or else that of the first vectors; all must have it."""
    for position, part in enumerate(parts):
        if part.ndim == 2:
            dim = part.shape[1] if dim is None else dim
            if part.shape[1] != dim or dim < 1:
                raise InvalidInput(f"{place(position)} has dimension {part.shape[1]}; expected {max(dim, 1)}")
    if dim is None:
        raise InvalidInput("multivector: nothing tells the dimension; pass arrays of shape (0, dim)")
    return dim


def _joined(parts: list[npt.NDArray[Any]], dim: int, kind: type[Scalar]) -> npt.NDArray[Scalar]:
    """Return the vectors of all parts, rounded; the one part itself where it is so already."""
    if len(parts) == 1:
        return borrowable(parts[0], kind)
    flat = np.empty((sum(map(len, parts)), dim), kind)
    joined: list[npt.NDArray[Any]] = [flat[:0], *parts]
    np.concatenate(joined, out=flat, casting="same_kind")
    return flat


def _parts(value: Any) -> tuple[list[npt.NDArray[Any]], npt.NDArray[np.int64], Callable[[int], str]]:
    """Return arrays to be joined, the offsets of rows in what they make, and a name for each array.

    An array has two dimensions, or the shape (0,) where nothing but an empty list was given.
    """
    if isinstance(value, tuple):
        if len(value) != 2:
            raise InvalidInput(f"multivector: a tuple must be (flat, offsets), not {len(value)} values; pass a list")
        flat = _matrix(value[0], "multivector")
        return [flat], _offsets(value[1], len(flat)), lambda _: "multivector"
    if isinstance(value, np.ndarray) and not (value.dtype == object and value.ndim == 1):
        if value.ndim != 3:
            raise InvalidInput(f"multivector has shape {value.shape}; expected {_FORMS}")
        rows, tokens, dim = value.shape
        flat = _matrix(value.reshape(rows * tokens, dim), "multivector")
        return [flat], np.arange(rows + 1, dtype=np.int64) * tokens, lambda _: "multivector"
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidInput(f"multivector must be {_FORMS}, not {shown(value)}")
    parts = [_matrix(item, f"multivector: {by_row(row)}") for row, item in enumerate(value)]
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return parts, offsets, lambda row: f"multivector: {by_row(row)}"


def _matrix(value: object, place: str) -> npt.NDArray[Any]:
    """Return an array of floats with two dimensions, or of shape (0,) for an empty list."""
    array = _array(value, place)
    if array.shape == (0,):
        return array
    if array.dtype.kind != "f":
        raise InvalidInput(f"{place} holds {array.dtype}; expected floats")
    if array.ndim != 2:
        raise InvalidInput(f"{place} has shape {array.shape}; expected (tokens, dim)")
    return array


def _offsets(value: object, tokens: int) -> npt.NDArray[np.int64]:
    offsets = integers("multivector offsets", value)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != tokens:
        ends = f"{offsets[0]} and {offsets[-1]}" if len(offsets) else "nothing"
        raise InvalidInput(f"multivector offsets must begin with 0 and end with {tokens}, the tokens; got {ends}")
    falls = offsets[1:] < offsets[:-1]
    if falls.any():
        row = int(np.argmax(falls))
        raise InvalidInput(
            f"multivector offsets: {by_row(row)} begins at {offsets[row]} and ends at {offsets[row + 1]}; "
            "offsets must ascend"
        )
    return offsets


def _dense(value: object) -> Any:
    """Return a tensor, or whatever else makes itself an array, as an array; lists and the like as they are."""
    return _array(value, "multivector") if hasattr(value, "__array__") else value


def _array(value: Any, place: str) -> npt.NDArray[Any]:
    """Return an array; NumPy has no bfloat16, which 32 bits hold exactly."""
    torch = sys.modules.get("torch")
    try:
        if torch is not None and isinstance(value, torch.Tensor):
            tensor = value.detach().cpu()
            value = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{place} is not an array: {' '.join(str(error).split())}") from error


def _is_matrix(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 2


def _not_finite(flat: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Return the token and the dimension of the first NaN or infinity, whose exponent bits are all set."""
    bits = flat.view(f"u{flat.itemsize}")
    infinity = np.array(np.inf, flat.dtype).view(bits.dtype)
    for start in range(0, len(bits), _BLOCK):
        exponents = bits[start : start + _BLOCK] & infinity
        if exponents.max() == infinity:
            token, dimension = np.argwhere(exponents == infinity)[0].tolist()
            return start + token, dimension
    return None


def _token(parts: list[npt.NDArray[Any]], token: int) -> npt.NDArray[Any]:
    """Return a token by its number in what the parts make, with its values as they were given."""
    for part in parts:
        if token < len(part):
            break
        token -= len(part)
    vector: npt.NDArray[Any] = part[token]
    return vector
