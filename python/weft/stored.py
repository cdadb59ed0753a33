"""Arrays in files, NumPy's ``.npy`` and torch's ``.pt``: where their bytes lie, to be read in parts.

Files are not trusted. A header is taken when it says an array of numbers in row order that ends within the file; no
pickle is executed, and memory is taken for values only once their number is known to be in the file.
"""

import math
import os
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from weft.errors import InvalidInput, IoError

_NPY = re.compile(
    rb"\{'descr': '([<|][iu]1|<[iu][248]|<f[248])', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
_KINDS = {"Half": "<f2", "Float": "<f4", "Double": "<f8", "Byte": "|u1", "Short": "<i2", "Int": "<i4", "Long": "<i8"}
_STORAGES = {f"torch {name}Storage": kind for name, kind in _KINDS.items()}
_MAKE_TENSOR = "torch._utils _rebuild_tensor_v2"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_BROKEN = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading an archive or a pickle raises when it is malformed."""
_LONGEST_PICKLE = 2**16
"""Bytes; that of a few tensors has a few hundred."""


class StoredArray(NamedTuple):
    """An array in a file.

    Parameters
    ----------
    path : str
    dtype : numpy.dtype
    shape : tuple of int
    offset : int
        Where the values begin, in bytes.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def end(self) -> int:
        """Where the values end, in bytes."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)

    def rows(self, start: int, stop: int) -> "StoredArray":
        """Return the rows from `start` to before `stop`, which the array has."""
        row = self.dtype.itemsize * math.prod(self.shape[1:])
        return self._replace(shape=(stop - start, *self.shape[1:]), offset=self.offset + start * row)

    def read(self) -> npt.NDArray[Any]:
        """Return the values."""
        with reading(self.path) as file:
            file.seek(self.offset)
            array = np.fromfile(file, self.dtype, math.prod(self.shape))
        if array.size != math.prod(self.shape):
            raise InvalidInput(f"{self.path}: the file was cut while it was read")
        return array.reshape(self.shape)


def npy(path: str) -> StoredArray:
    """Find the array of an ``.npy`` file.

    Parameters
    ----------
    path : str

    Returns
    -------
    StoredArray

    Raises
    ------
    InvalidInput
        The file is not of version 1.0, holds something else than little-endian numbers in row order, or is cut.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.stored import npy
    >>> np.save("a.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
    >>> npy("a.npy").rows(1, 3).read().tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """
    with reading(path) as file:
        magic, length = file.read(8), int.from_bytes(file.read(2), "little")
        header = _NPY.fullmatch(file.read(length))
        if magic != b"\x93NUMPY\x01\x00" or header is None:
            raise InvalidInput(f"{path}: not an .npy file of version 1.0 with numbers in row order")
        shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
        array = StoredArray(path, np.dtype(header[1].decode()), shape, file.tell())
        if array.end > _size(file):
            raise InvalidInput(f"{path}: the file is too short for an array of shape {shape}")
        return array


def tensors(path: str, count: int = 1) -> tuple[StoredArray, ...]:
    """Find the tensors of a ``.pt`` file that torch 1.6 or newer saved: one, or a tuple of them.

    Parameters
    ----------
    path : str
    count : int
        How many there must be.

    Returns
    -------
    tuple of StoredArray

    Raises
    ------
    InvalidInput
        The file is not such an archive, or holds something else than `count` tensors of numbers in row order.
    IoError
        The file cannot be read.
    """
    with reading(path) as file:
        try:
            places = _places(file)
            if _content(file, places, "byteorder", b"little") != b"little":
                raise ValueError("its numbers are not little-endian")
            found = _unpickled(_content(file, places, "data.pkl"))
            made = (found,) if isinstance(found, _Tensor) else tuple(found)
            if len(made) != count:
                raise ValueError(f"it holds {len(made)}; expected {count}")
            return tuple(_stored(path, each, places) for each in made)
        except _BROKEN as error:
            raise InvalidInput(f"{path}: not a file of tensors that torch 1.6 or newer saved: {error}") from error


@contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Open a file; what the operating system reports is raised as `IoError`."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidInput(f"{path} is not a file")
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise IoError(error.errno, error.strerror or str(error), path) from error


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


class _Place(NamedTuple):
    """Where the bytes of a member of an archive lie in the file."""

    offset: int
    end: int


def _places(file: BinaryIO) -> dict[str, _Place]:
    """Return where the members of an archive lie, by their names without the folder that all are in."""
    places = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            file.seek(max(member.header_offset, 0))
            magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size).ljust(_LOCAL_HEADER.size))
            offset = file.tell() + name + extra
            place = _Place(offset, offset + member.file_size)
            if magic != b"PK\3\4" or member.compress_type != zipfile.ZIP_STORED or place.end > _size(file):
                raise ValueError(f"its member {member.filename[:60]!r} is compressed or cut")
            places[member.filename.partition("/")[2]] = place
    return places


def _content(file: BinaryIO, places: dict[str, _Place], name: str, default: bytes | None = None) -> bytes:
    """Return the bytes of a small member."""
    if name not in places and default is not None:
        return default
    offset, end = places[name]
    if end - offset > _LONGEST_PICKLE:
        raise ValueError(f"its {name} has {end - offset} bytes")
    file.seek(offset)
    return file.read(end - offset)


class _Tensor(NamedTuple):
    """What torch makes a tensor of: storage, offset in it, shape, strides, and more that does not matter here."""

    arguments: tuple[Any, ...]


def _unpickled(pickled: bytes) -> Any:
    """Return what a pickle of tensors holds, by a machine that knows no instruction but those that this takes.

    A name is kept as text and a storage as the tuple that describes it. The one thing called is `_Tensor`.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(pickled):
        match opcode.name:
            case "PROTO" | "BINPERSID" | "STOP":
                pass
            case "GLOBAL" | "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "NEWFALSE" | "NEWTRUE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_TUPLE":
                stack.append(())
            case "MARK":
                marks.append(len(stack))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                start = marks.pop() if opcode.name == "TUPLE" else len(stack) - int(opcode.name[-1])
                stack[start:] = [tuple(stack[start:])]
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "REDUCE":
                arguments, name = stack.pop(), stack.pop()
                if name not in (_MAKE_TENSOR, "collections OrderedDict"):
                    raise ValueError(f"it calls {str(name)[:60]!r}")
                stack.append(_Tensor(arguments) if name == _MAKE_TENSOR else ())
            case _:
                raise ValueError(f"its pickle has the instruction {opcode.name}")
    return stack.pop()


def _stored(path: str, tensor: _Tensor, places: dict[str, _Place]) -> StoredArray:
    match tensor:
        case _Tensor((("storage", str(storage), str(key), _, _), int(start), tuple(shape), tuple(strides), *_)):
            if storage not in _STORAGES:
                raise ValueError(f"a tensor has a {storage[:60]!r}; expected {', '.join(_STORAGES)}")
            if not _in_row_order(shape, strides) or start < 0:
                raise ValueError("a tensor is not in row order")
            offset, end = places[f"data/{key}"]
            kind = np.dtype(_STORAGES[storage])
            array = StoredArray(path, kind, shape, offset + start * kind.itemsize)
            if array.end > end:
                raise ValueError(f"a storage is too short for a tensor of shape {shape}")
            return array
        case _:
            raise ValueError("it holds something else than tensors")


def _in_row_order(shape: tuple[Any, ...], strides: tuple[Any, ...]) -> bool:
    """Whether the strides, in values, are those of an array without gaps."""
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if type(size) is not int or size < 0 or (size > 1 and stride != expected):
            return False
        expected *= max(size, 1)
    return True
