"""Files that retrieval people exchange: JSONL documents and vectors, BEIR folders, CIFF, qrels and TREC runs.

Errors in a file are `InvalidInput` naming the file and the line; a file that cannot be read is `IoError`.
"""

import functools
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from weft import inputs
from weft.ciff import Ciff, read_ciff, write_ciff
from weft.errors import InvalidInput, SchemaMismatch
from weft.hits import Hits
from weft.index import Index
from weft.jsonl import document_id, in_folder, io_errors, lines, read_jsonl
from weft.progress import with_progress
from weft.sources import read_documents

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
    for place, value in read_jsonl(in_folder(path, "queries.jsonl", "queries.jsonl.gz")):
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
    for number, (place, line) in enumerate(lines(in_folder(path, "qrels.tsv", "qrels/test.tsv"))):
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
    run = hits.to_trec(run_id, query_ids)
    with io_errors(path):
        Path(path).write_text(run, encoding="utf-8")


@functools.lru_cache(maxsize=256)
def _shortest(weight: float) -> float:
    """Return the float of the fewest digits that is the same in 32 bits; an index has at most 255 weights."""
    return float(str(np.float32(weight)))


@contextmanager
def _replaced(path: str | PathLike[str]) -> Iterator[TextIO]:
    """Open a text file for writing that gets its name when it is whole."""
    name = inputs.path(path)
    temporary = f"{name}.tmp"
    with io_errors(path):
        try:
            opened = gzip.open if name.endswith(".gz") else open
            with opened(temporary, "wt", encoding="utf-8", newline="\n") as file:
                yield file
            os.replace(temporary, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
