"""What a user may pass, turned into what the core takes.

Types and shapes are settled here; values (finite weights, unique ids, lengths that agree) are the core's to judge.
Whatever cannot be turned raises `InvalidInput` naming the row, the value and the way out. Sparse rows, the one
rich case, are in `weft.rows`.
"""

import math
import numbers
import operator
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from weft.errors import InvalidInput

if TYPE_CHECKING:
    from weft._types import Column, Keys
    from weft.schema import AttributeKind, Kind

Scalar = TypeVar("Scalar", bound=np.generic)

INT64_MAX = 2**63 - 1
FLOAT32_MAX = float(np.finfo(np.float32).max)
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def shown(value: object) -> str:
    """Return a short `repr` on one line with the type, for messages."""
    return f"{' '.join(_REPR.repr(value).split())} ({type(value).__name__})"


def by_row(position: int) -> str:
    """Name a position of a batch."""
    return f"row {position}"


def path(value: object) -> str:
    """Return the absolute path, so that a later change of directory does not move the index."""
    if isinstance(value, (str, os.PathLike)):
        name = os.fspath(value)
        if isinstance(name, str) and name and "\0" not in name:
            return os.path.abspath(name)
    raise InvalidInput(f"path must be a non-empty str or a path object, not {shown(value)}")


def integer(name: str, value: object, low: int) -> int:
    """Return `value` as an int of at least `low`; any integer type will do, a bool will not."""
    if type(value) is int and low <= value <= INT64_MAX:
        return value
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidInput(f"{name} must be an integer, not {shown(value)}") from None
    if not low <= number <= INT64_MAX:
        raise InvalidInput(f"{name} must be at least {low} and fit 64 bits; got {shown(value)}")
    return number


def number(name: str, value: object) -> float:
    """Return `value` as a float that 32 bits can hold, never NaN or infinite; a bool will not do."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            raise InvalidInput(f"{name} must be a number, not {shown(value)}")
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        raise InvalidInput(f"{name} must be a finite number below 3.4e38; got {shown(value)}")
    return value


def memory(value: object) -> int:
    """Return a size in bytes, given as an integer or as text such as ``"256MiB"``."""
    if not isinstance(value, str):
        return integer("memory_limit", value, low=1)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise InvalidInput(f'memory_limit must be bytes or a size such as "256MiB" or "1GiB"; got {shown(value)}')
    return integer("memory_limit", int(float(match[1]) * unit), low=1)


def text(name: str, value: object) -> str:
    """Return `value` as a plain str that UTF-8 can encode."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a str, not {shown(value)}")
    plain = str.__str__(value)
    _encodable([plain], lambda _: name)
    return plain


def texts(value: object) -> tuple[list[str], bool]:
    """Return the texts, and whether one was given alone."""
    if isinstance(value, str):
        return [text("text", value)], True
    items = listed("text", value)
    if set(map(type, items)) - {str}:
        for row, item in enumerate(items):
            if not isinstance(item, str):
                raise InvalidInput(f"text: row {row} is {shown(item)}; expected a str")
        items = [str.__str__(item) for item in items]
    return _encodable(items, lambda row: f"text: row {row}"), False


def key(name: str, value: object) -> int | str:
    """Return one external id or term."""
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        number = int(value)
        if -INT64_MAX - 1 <= number <= INT64_MAX:
            return number
        raise InvalidInput(f"{name} is {shown(value)}, which does not fit 64 bits signed; pass it as a str")
    raise InvalidInput(f"{name} is {shown(value)}; expected a str or an int")


def keys(name: str, values: object, empty: "Kind", place: Callable[[int], str] = by_row) -> "Keys":
    """Return external ids or terms: integers as an int64 array, strings as a list.

    Parameters
    ----------
    name : str
        What the values are, for messages.
    values : array or iterable of str or int
        One dimension, one kind.
    empty : {"int", "str"}
        The kind of an empty sequence, which cannot tell by itself.
    place : callable
        Names the place of a position, for messages.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return integers(name, values, place)
    items = listed(name, values)
    kinds = set(map(type, items))
    if not kinds:
        return np.empty(0, np.int64) if empty == "int" else []
    if kinds != {str}:
        if kinds == {int}:
            try:
                return np.array(items, np.int64)
            except OverflowError:
                pass  # named by place below
        items = _one_kind(name, items, place)
        if isinstance(items[0], int):
            return np.array(items, np.int64)
    return _encodable(items, lambda position: f"{name}: {place(position)}")


def integers(name: str, values: object, place: Callable[[int], str] = by_row) -> npt.NDArray[np.int64]:
    """Return a one-dimensional int64 array that the core can borrow."""
    array = one_dimensional(name, values)
    if array.size == 0 and array.dtype.kind in "iuf":
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu":
        raise InvalidInput(f"{name} must be integers, not {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.max() > INT64_MAX:
        position = int(np.argmax(array > INT64_MAX))
        raise InvalidInput(f"{name}: {place(position)} is {int(array[position])}, which does not fit 64 bits signed")
    return borrowable(array, np.int64)


def borrowable(array: npt.NDArray[Any], kind: type[Scalar]) -> npt.NDArray[Scalar]:
    """Return the array, contiguous, aligned and in native byte order; a copy where it is not."""
    made = np.ascontiguousarray(array, dtype=kind)
    return made if made.flags.aligned else made.copy()


def mask_or_keys(values: object, empty: "Kind") -> "Keys | npt.NDArray[np.bool_]":
    """Return a ``subset=``: a boolean mask over the documents, or their ids."""
    if isinstance(values, np.ndarray) and values.dtype == np.bool_:
        return np.ascontiguousarray(one_dimensional("subset", values))
    items = values if isinstance(values, np.ndarray) else listed("subset", values)
    if isinstance(items, list) and set(map(type, items)) == {bool}:
        return np.array(items, np.bool_)
    return keys("subset", items, empty)


def columns(attributes: object) -> "dict[str, Column]":
    """Return attribute columns as lists, None standing for a missing value."""
    if attributes is None:
        return {}
    if not isinstance(attributes, Mapping):
        raise InvalidInput(f"attributes must map names to lists of values, not {shown(attributes)}")
    return {
        text("attribute name", name): _column(f"attribute {name!r}", listed(f"attribute {name!r}", values))
        for name, values in attributes.items()
    }


def attribute_kind(name: str, column: "Column") -> "AttributeKind":
    """Infer the kind of an attribute from its values."""
    kinds = set(map(type, column)) - {type(None)}
    if kinds == {str}:
        return "keyword"
    if kinds == {int}:
        return "int64"
    if kinds == {float} or kinds == {int, float}:
        return "float64"
    held = ", ".join(sorted(kind.__name__ for kind in kinds)) or "no value"
    raise InvalidInput(f"attribute {name!r} holds {held}: its kind cannot be inferred; pass schema=")


def listed(name: str, values: object) -> list[Any]:
    """Return any one-dimensional array, column or iterable as a list of plain Python values."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidInput(f"{name} must be a list or an array, not {shown(values)}")
    if isinstance(values, list):
        return values
    if isinstance(values, np.ndarray):
        values = one_dimensional(name, values)
    tolist = getattr(values, "tolist", None) or getattr(values, "to_pylist", None)
    items = tolist() if callable(tolist) else list(values)
    if not isinstance(items, list):
        raise InvalidInput(f"{name} must have one dimension; got {shown(values)}")
    return items


def one_dimensional(name: str, values: object) -> npt.NDArray[Any]:
    """Return `values` as an array of one dimension."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{name} must be a one-dimensional array: {error}") from error
    if array.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension, not shape {array.shape}")
    return array


def _one_kind(name: str, items: Sequence[object], place: Callable[[int], str]) -> list[Any]:
    """Return plain str or plain int values; the first value sets the kind."""
    plain = [key(f"{name}: {place(position)}", item) for position, item in enumerate(items)]
    for position, item in enumerate(plain):
        if type(item) is not type(plain[0]):
            raise InvalidInput(
                f"{name}: {place(position)} is {shown(item)} but {place(0)} is {shown(plain[0])}; use one kind for all"
            )
    return plain


def _column(name: str, items: list[Any]) -> list[Any]:
    """Return the values with NumPy scalars made plain; other types are refused by row."""
    if set(map(type, items)) <= {str, int, float, type(None)}:
        return _encodable(items, lambda row: f"{name}: row {row}")
    plain: list[Any] = []
    for row, item in enumerate(items):
        value = item.item() if isinstance(item, np.generic) else item
        if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            raise InvalidInput(f"{name}: row {row} is {shown(item)}; expected a str, an int, a float or None")
        plain.append(value)
    return _encodable(plain, lambda row: f"{name}: row {row}")


def _encodable(items: list[Any], place: Callable[[int], str]) -> list[Any]:
    """Return `items`; a string that UTF-8 cannot encode (a lone surrogate) is refused by place."""
    for position, item in enumerate(items):
        if isinstance(item, str) and not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError as error:
                raise InvalidInput(f"{place(position)} is not valid Unicode text: {error}") from None
    return items
