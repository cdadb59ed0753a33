"""Files that retrieval people exchange: JSONL documents and vectors, BEIR folders, CIFF, qrels and TREC runs.

Errors in a file are `InvalidInput` naming the file and the line; a file that cannot be read is `IoError`.
"""

import functools
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from weft import inputs
from weft.ciff import Ciff, read_ciff, write_ciff
from weft.errors import InvalidInput, IoError, SchemaMismatch
from weft.hits import Hits
from weft.index import Index
from weft.progress import with_progress

__all__ = [
    "Ciff",
    "document_id",
    "read_ciff",
    "read_documents",
    "read_jsonl",
    "read_qrels",
    "read_queries",
    "read_vectors",
    "write_ciff",
    "write_run",
    "write_vectors",
]

_QRELS_COLUMNS = {3: (0, 1, 2), 4: (0, 2, 3)}
"""Positions of query, document and grade in BEIR's three columns and in TREC's four."""


def read_documents(source: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Iterate over documents with the place of each, for messages.

    Parameters
    ----------
    source : iterable of mapping, or path
        A path names a JSONL file, plain or ``.gz``, or a BEIR folder with ``corpus.jsonl`` in it.

    Yields
    ------
    place : str
        ``file:line``, or ``document 0`` and so on.
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
    if isinstance(source, (str, PathLike)):
        yield from read_jsonl(_in_folder(source, "corpus.jsonl", "corpus.jsonl.gz"))
        return
    if isinstance(source, (bytes, Mapping)) or not isinstance(source, Iterable):
        raise InvalidInput(f"documents must be an iterable of dicts or a path, not {inputs.shown(source)}")
    for position, document in enumerate(source):
        if not isinstance(document, Mapping):
            raise InvalidInput(f"document {position} is {inputs.shown(document)}; expected a dict")
        yield f"document {position}", document


def read_jsonl(path: str | PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    r"""Iterate over the objects of a JSONL file, plain or ``.gz``; blank lines are skipped.

    Parameters
    ----------
    path : str or path object

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
    for place, line in _lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{place}: not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidInput(f"{place}: expected a JSON object, not {inputs.shown(value)}")
        yield place, value


def read_vectors(path: str | PathLike[str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    r"""Iterate over the sparse vectors of a JSONL file, plain or ``.gz``, ``{"id": ..., "vector": {...}}`` a line.

    Other fields, such as the ``contents`` of Anserini and the ``content`` of Seismic, are passed over.

    Parameters
    ----------
    path : str or path object

    Yields
    ------
    place : str
        ``file:line``.
    id : str
        ``id`` or ``_id``; an int is turned into a str.
    vector : dict
        Weights by term.

    Raises
    ------
    InvalidInput
        A line is not a JSON object in UTF-8, or has no id or no vector.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.io import read_vectors
    >>> _ = Path("vectors.jsonl").write_text('{"id": 7, "contents": "", "vector": {"fox": 1.5}}\n')
    >>> list(read_vectors("vectors.jsonl"))
    [('vectors.jsonl:1', '7', {'fox': 1.5})]
    """
    for place, value in read_jsonl(path):
        name = document_id(place, value)
        vector = value.get("vector")
        if not isinstance(vector, Mapping):
            held = inputs.shown(vector) if "vector" in value else "not there"
            raise InvalidInput(f'{place}: "vector" is {held}; expected an object of term to weight')
        yield place, name, vector


def write_vectors(path: str | PathLike[str], index: Index, *, show_progress: bool | None = None) -> None:
    """Write the vectors of an index as JSONL, ``{"id": ..., "vector": {...}}`` a line.

    Weights are those of `Index.get`, as rounded for storage, in the fewest digits that tell them apart.

    Parameters
    ----------
    path : str or path object
        The file, replaced if it exists; compressed if it ends in ``.gz``.
    index : Index
        Vectors or text.
    show_progress : bool, optional
        Default: on a terminal, when tqdm is installed.

    Raises
    ------
    SchemaMismatch
        The index holds no vectors.
    IoError
        The file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.io import write_vectors
    >>> schema = weft.Schema(weft.Sparse(max_weight=255.0), ids="int")
    >>> write_vectors("vectors.jsonl", weft.build("tiny.weft", ids=[10], sparse=[{3: 2.0, 5: 1.0}], schema=schema))
    >>> Path("vectors.jsonl").read_text()
    '{"id": 10, "vector": {"3": 2.0, "5": 1.0}}\\n'
    """
    if not isinstance(index, Index):
        raise InvalidInput(f"index must be a weft.Index, not {inputs.shown(index)}")
    if index.schema.sparse is None:
        raise SchemaMismatch(f"{index.path} holds attributes only, no vectors to write")
    with _replaced(path) as file:
        for name in with_progress(index.ids().tolist(), len(index), show_progress):
            weights = index.get(name)["sparse"]
            vector = {str(term): _shortest(weight) for term, weight in weights.items()}
            file.write(json.dumps({"id": name, "vector": vector}, ensure_ascii=False) + "\n")


def read_queries(path: str | PathLike[str]) -> dict[str, str]:
    r"""Read queries, ``{"_id": ..., "text": ...}`` a line.

    Parameters
    ----------
    path : str or path object
        A JSONL file, plain or ``.gz``, or a BEIR folder with ``queries.jsonl`` in it.

    Returns
    -------
    dict
        Text by query id, in the order of the file.

    Raises
    ------
    InvalidInput
        A line is malformed or an id comes twice.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.io import read_queries
    >>> _ = Path("queries.jsonl").write_text('{"_id": "q1", "text": "red"}\n')
    >>> read_queries("queries.jsonl")
    {'q1': 'red'}
    """
    queries: dict[str, str] = {}
    for place, value in read_jsonl(_in_folder(path, "queries.jsonl", "queries.jsonl.gz")):
        name = document_id(place, value)
        if name in queries:
            raise InvalidInput(f"{place}: query {name!r} comes twice")
        queries[name] = inputs.text(f"{place}: text", value.get("text"))
    return queries


def read_qrels(path: str | PathLike[str]) -> dict[str, dict[str, int]]:
    r"""Read relevance judgements.

    Parameters
    ----------
    path : str or path object
        A file with BEIR's columns (query, document, grade; a header is skipped) or TREC's (query, iteration,
        document, grade), or a BEIR folder with ``qrels.tsv`` or ``qrels/test.tsv`` in it.

    Returns
    -------
    dict
        Grade by document id, by query id.

    Raises
    ------
    InvalidInput
        A line is malformed.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from weft.io import read_qrels
    >>> _ = Path("qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\n")
    >>> read_qrels("qrels.tsv")
    {'q1': {'a': 1}}
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, (place, line) in enumerate(_lines(_in_folder(path, "qrels.tsv", "qrels/test.tsv"))):
        fields = line.split("\t") if line.count("\t") >= 2 else line.split()
        columns = _QRELS_COLUMNS.get(len(fields))
        if columns is None:
            raise InvalidInput(f"{place}: expected 3 or 4 columns, found {len(fields)}")
        query, document, grade = (fields[column].strip() for column in columns)
        try:
            qrels.setdefault(query, {})[document] = int(grade)
        except ValueError:
            if number == 0 and len(fields) == 3:
                qrels.clear()
                continue
            raise InvalidInput(f"{place}: the grade is {grade!r}; expected an integer") from None
    return qrels


def write_run(path: str | PathLike[str], hits: Hits, query_ids: Iterable[str], run_id: str = "weft") -> None:
    """Write hits as a TREC run.

    Parameters
    ----------
    path : str or path object
        The file, replaced if it exists.
    hits, query_ids, run_id
        As `Hits.to_trec` takes them.

    Raises
    ------
    InvalidInput
        An id cannot be written in the format.
    IoError
        The file cannot be written.

    Examples
    --------
    >>> from weft.io import write_run
    >>> index = weft.build("tiny.weft", ids=["a"], text=["red fox"])
    >>> write_run("run.txt", index.search(text=["fox"]), ["q1"])
    """
    lines = hits.to_trec(run_id, query_ids)
    with _io_errors(path):
        Path(path).write_text(lines, encoding="utf-8")


def document_id(place: str, value: Mapping[str, Any]) -> str:
    """Return ``id`` or ``_id`` of a JSON object as text."""
    given = value.get("id", value.get("_id"))
    if given is None:
        raise InvalidInput(f'{place}: no "id" or "_id"; found {", ".join(map(repr, value)) or "nothing"}')
    return str(inputs.key(f"{place}: id", given))


@functools.lru_cache(maxsize=256)
def _shortest(weight: float) -> float:
    """Return the float of the fewest digits that is the same in 32 bits; an index has at most 255 weights."""
    return float(str(np.float32(weight)))


def _in_folder(path: str | PathLike[str], *names: str) -> Path:
    """Return the path itself or, when it is a folder, the first of the files that is in it."""
    folder = Path(inputs.path(path))
    if not folder.is_dir():
        return Path(path)
    for name in names:
        if (folder / name).is_file():
            return Path(path) / name
    raise InvalidInput(f"{path}: the folder holds no {' or '.join(names)}")


def _lines(path: str | PathLike[str]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines of a text file that are not blank, with the place of each."""
    name, number = os.fspath(path), 0
    with _io_errors(path), _opened(name) as file:
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
def _replaced(path: str | PathLike[str]) -> Iterator[TextIO]:
    """Open a text file for writing that gets its name when it is whole."""
    name = inputs.path(path)
    temporary = f"{name}.tmp"
    with _io_errors(path):
        try:
            opened = gzip.open if name.endswith(".gz") else open
            with opened(temporary, "wt", encoding="utf-8", newline="\n") as file:
                yield file
            os.replace(temporary, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


@contextmanager
def _io_errors(path: str | PathLike[str]) -> Iterator[None]:
    """Raise what the operating system reports as `IoError`."""
    try:
        yield
    except IoError:
        raise
    except OSError as error:
        raise IoError(error.errno, error.strerror or str(error), os.fspath(path)) from error
