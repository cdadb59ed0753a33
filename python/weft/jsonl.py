"""Lines of text files, plain or ``.gz``, and the JSON objects in them.

Errors in a file are `InvalidInput` naming the file and the line; a file that cannot be read is `IoError`.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from weft import inputs
from weft.errors import InvalidInput, IoError


def read_jsonl(path: str | PathLike[str], skip: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    r"""Iterate over the objects of a JSONL file, plain or ``.gz``; blank lines are skipped.

    Parameters
    ----------
    path : str or path object
    skip : int
        Objects to pass over, without looking at them.

    Yields
    ------
    place : str
        ``file:line``.
    value : dict

    Raises
    ------
    InvalidInput
        A line is not a JSON object in UTF-8.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.io import read_jsonl
    >>> _ = Path("two.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    >>> [value["id"] for _, value in read_jsonl("two.jsonl")]
    [1, 2]
    """
    for place, line in islice(lines(path), skip, None):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{place}: not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidInput(f"{place}: expected a JSON object, not {inputs.shown(value)}")
        yield place, value


def document_id(place: str, value: Mapping[str, Any]) -> str:
    """Return ``id`` or ``_id`` of a JSON object as text."""
    given = value.get("id", value.get("_id"))
    if given is None:
        raise InvalidInput(f'{place}: no "id" or "_id"; found {", ".join(map(repr, value)) or "nothing"}')
    return str(inputs.key(f"{place}: id", given))


def in_folder(path: str | PathLike[str], *names: str) -> Path:
    """Return the path itself or, when it is a folder, the first of the files that is in it."""
    folder = Path(inputs.path(path))
    if not folder.is_dir():
        return Path(path)
    for name in names:
        if (folder / name).is_file():
            return Path(path) / name
    raise InvalidInput(f"{path}: the folder holds no {' or '.join(names)}")


def lines(path: str | PathLike[str]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines of a text file that are not blank, with the place of each."""
    name, number = os.fspath(path), 0
    with io_errors(path), _opened(name) as file:
        try:
            for number, raw in enumerate(file, start=1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                if line.strip():
                    yield f"{name}:{number}", line
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{name}:{number}: not UTF-8: {error.reason} at byte {error.start}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInput(f"{name}:{number + 1}: damaged gzip data: {error}") from error


def _opened(name: str) -> BinaryIO | gzip.GzipFile:
    return gzip.open(name, "rb") if name.endswith(".gz") else open(name, "rb")


@contextmanager
def io_errors(path: str | PathLike[str]) -> Iterator[None]:
    """Raise what the operating system reports as `IoError`."""
    try:
        yield
    except IoError:
        raise
    except OSError as error:
        raise IoError(error.errno, error.strerror or str(error), os.fspath(path)) from error
