"""Where documents come from: JSONL files and BEIR folders, Parquet and Arrow, Hugging Face datasets, iterables.

A `Source` reads documents in their order, from any position on. Errors name the file and line, or the row.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from weft import inputs, jsonl
from weft.errors import Error, InvalidInput

Placed: TypeAlias = tuple[str, Mapping[str, Any]]
"""A document, and the place it comes from, for messages."""

_ROWS = 1024
"""Rows of a table that become Python values together."""
_PARQUET = {".parquet", ".pq"}
_ARROW = {".arrow", ".feather"}


@dataclass(frozen=True)
class Source:
    """Documents in an order that stays the same.

    Attributes
    ----------
    read : callable
        Takes how many documents to skip; returns an iterator over the others.
    total : int, optional
        How many documents there are, where that is known without reading them.
    files : tuple of path
        What is read; empty for objects in memory.
    lines : bool
        Whether there is one file with a document a line, so that they can be counted.
    """

    read: Callable[[int], Iterator[Placed]]
    total: int | None = None
    files: tuple[Path, ...] = ()
    lines: bool = False

    def count(self) -> int | None:
        """Return how many documents there are, reading a file of lines for it, or None."""
        if self.total is not None or not self.lines:
            return self.total
        return sum(1 for _ in jsonl.lines(self.files[0]))

    def stamp(self) -> str:
        """Return what changes with the size, or the time of the last change, of any file."""
        facts = [(found.st_size, found.st_mtime_ns) for found in map(_stat, self.files)]
        return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest() if facts else ""


def source_of(documents: object) -> Source:
    """Recognise documents by what they are.

    Parameters
    ----------
    documents : iterable of mapping, table, or path
        What `TextIndex.add` takes.

    Raises
    ------
    InvalidInput
        Nothing that documents can be read from.
    """
    if isinstance(documents, (str, PathLike)):
        return _of_path(documents)
    if hasattr(documents, "__arrow_c_stream__"):
        return _of_table(documents)
    if isinstance(documents, Mapping):
        names = ", ".join(map(repr, islice(documents, 5)))
        raise InvalidInput(f"documents is a dict of {names or 'nothing'}; pass one of its values, or a list of dicts")
    if isinstance(documents, bytes) or not isinstance(documents, Iterable):
        raise InvalidInput(f"documents must be an iterable of dicts, a table or a path, not {inputs.shown(documents)}")
    total = len(documents) if isinstance(documents, Sized) else None
    return Source(lambda skip: _objects(documents, skip), total)


def read_documents(source: object, skip: int = 0) -> Iterator[Placed]:
    """Iterate over documents with the place of each, for messages.

    Parameters
    ----------
    source : iterable of mapping, table, or path
        What `TextIndex.add` takes.
    skip : int
        Documents to pass over.

    Yields
    ------
    place : str
        ``file:line``, ``file, row 0`` or ``document 0`` and so on.
    document : mapping

    Raises
    ------
    InvalidInput
        A line is not a JSON object in UTF-8, or a document is not a mapping.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from weft.io import read_documents
    >>> list(read_documents([{"id": "a", "text": "red fox"}]))
    [('document 0', {'id': 'a', 'text': 'red fox'})]
    """
    return source_of(source).read(skip)


def _stat(file: Path) -> os.stat_result:
    with jsonl.io_errors(file):
        return file.stat()


def _of_path(path: str | PathLike[str]) -> Source:
    given = Path(path)
    inside = given.is_dir() and [file for file in given.iterdir() if file.suffix in _PARQUET]
    if inside or given.suffix in _PARQUET:
        files = tuple(sorted(inside or [given]))
        return Source(lambda skip: _parquet(files, skip), sum(map(_parquet_rows, files)), files)
    if given.suffix in _ARROW:
        return Source(lambda skip: _arrow_file(given, skip), files=(given,))
    file = jsonl.in_folder(path, "corpus.jsonl", "corpus.jsonl.gz")
    return Source(lambda skip: jsonl.read_jsonl(file, skip), files=(file,), lines=file.is_file())


def _of_table(table: Any) -> Source:
    """Read what hands over Arrow streams: tables of pyarrow, data frames of pandas and polars."""
    batches = _pyarrow().RecordBatchReader.from_stream
    return Source(lambda skip: _rows(batches(table), skip, "row"), len(table) if isinstance(table, Sized) else None)


def _objects(documents: Any, skip: int) -> Iterator[Placed]:
    """Iterate over objects; Hugging Face datasets know how to skip, others are read and dropped."""
    knows_how = type(documents).__module__.startswith("datasets.") and hasattr(documents, "skip")
    rest = documents.skip(skip) if knows_how else islice(documents, skip, None)
    for position, document in enumerate(rest, start=skip):
        if not isinstance(document, Mapping):
            raise InvalidInput(f"document {position} is {inputs.shown(document)}; expected a dict")
        yield f"document {position}", document


def _parquet(files: tuple[Path, ...], skip: int) -> Iterator[Placed]:
    parquet = _pyarrow("pyarrow.parquet")
    for file in files:
        with _arrow_errors(file), parquet.ParquetFile(file) as opened:
            rows = opened.metadata.num_rows
            if skip < rows:
                yield from _rows(opened.iter_batches(_ROWS), skip, f"{file}, row")
        skip = max(0, skip - rows)


def _parquet_rows(file: Path) -> int:
    with _arrow_errors(file):
        return int(_pyarrow("pyarrow.parquet").read_metadata(file).num_rows)


def _arrow_file(file: Path, skip: int) -> Iterator[Placed]:
    arrow = _pyarrow()
    with _arrow_errors(file), arrow.memory_map(str(file)) as mapped:
        try:
            opened = arrow.ipc.open_file(mapped)
            batches = map(opened.get_batch, range(opened.num_record_batches))
        except arrow.ArrowInvalid:
            mapped.seek(0)
            batches = arrow.ipc.open_stream(mapped)
        yield from _rows(batches, skip, f"{file}, row")


def _rows(batches: Iterable[Any], skip: int, place: str) -> Iterator[Placed]:
    """Iterate over the rows of record batches as dicts; columns of lists and structs are passed over."""
    nested = _pyarrow().types.is_nested
    first = 0
    for batch in batches:
        flat = batch.select([field.name for field in batch.schema if not nested(field.type)])
        for start in range(max(0, skip - first), len(batch), _ROWS):
            rows = _dicts(flat.slice(start, _ROWS), first + start, place)
            yield from ((f"{place} {row}", document) for row, document in enumerate(rows, start=first + start))
        first += len(batch)


def _dicts(batch: Any, first: int, place: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError as error:
        if len(batch) == 1:
            raise InvalidInput(f"{place} {first}: not UTF-8: {error.reason} at byte {error.start}") from error
        return [row for each in range(len(batch)) for row in _dicts(batch.slice(each, 1), first + each, place)]
    return rows


@contextmanager
def _arrow_errors(file: Path) -> Iterator[None]:
    """Raise what Arrow reports of a file as errors of ours."""
    try:
        with jsonl.io_errors(file):
            yield
    except _pyarrow().ArrowInvalid as error:
        raise InvalidInput(f"{file}: {' '.join(str(error).split())}") from error


def _pyarrow(module: str = "pyarrow") -> Any:
    try:
        import_module("pyarrow")
        return import_module(module)
    except ImportError as error:
        raise Error('Parquet, Arrow and data frames need pyarrow: pip install "weft[arrow]"') from error
