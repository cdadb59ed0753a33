"""From files of vectors to an index and back, and from indexes of token vectors that others made."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from weft import inputs
from weft.ciff import decimals, read_ciff, write_ciff
from weft.errors import InvalidInput
from weft.index import Index
from weft.io import read_vectors, write_vectors
from weft.plaid import PlaidReader, holds_plaid, read_plaid
from weft.progress import with_progress
from weft.schema import Kind, MultiVector, Schema, Sparse
from weft.writer import MEMORY_LIMIT, Writer, holds_index

if TYPE_CHECKING:
    from weft._types import Keys

Vectors = TypeVar("Vectors")

BATCH_DOCUMENTS = 4096
BATCH_POSTINGS = 2**19
_SUFFIXES: dict[str, Literal["ciff", "jsonl"]] = {".ciff": "ciff", ".jsonl": "jsonl", ".jsonl.gz": "jsonl"}


class _Vector(NamedTuple):
    """One document of a JSONL file, and where it came from."""

    place: str
    id: str
    weights: Mapping[str, Any]


def convert(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    ids: Kind | Iterable[str] | Iterable[int] | None = None,
    terms: Kind = "str",
    max_weight: float | None = None,
    codec: str | None = None,
    memory_limit: int | str = MEMORY_LIMIT,
    show_progress: bool | None = None,
) -> int:
    """Make an index of a file of vectors or of a PLAID index, or write the vectors of an index to a file.

    What a path names is told by its end: ``.ciff`` is a file in the Common Index File Format, ``.jsonl`` and
    ``.jsonl.gz`` hold one vector a line as `weft.io.read_vectors` reads them, and anything else is the folder of an
    index: one of ColBERTv2 (PLAID) or fast-plaid if it holds what `weft.plaid.read_plaid` reads, or else one of ours.
    Vectors are streamed, so they may be larger than memory.

    Parameters
    ----------
    source : str or path object
        A file, or an index.
    destination : str or path object
        The folder of a new index, or a file, which is replaced if it exists.
    ids : {"str", "int"}, or n str or n int
        Kind of the ids of a new index; ``"int"`` reads decimals as integers. Default: ``"str"``. A PLAID index has no
        ids but the numbers of its documents from 0: for one the default is ``"int"``, and ids may be given instead.
    terms : {"str", "int"}
        Kind of the terms of a new index, likewise.
    max_weight : float, optional
        As for `Sparse`, for a new index. Default: 255 for CIFF, or its largest weight if that is larger, so that
        weights up to 255 keep their value; for JSONL as `Sparse` has it.
    codec : str, optional
        As for `MultiVector`, for a PLAID index. Default: ``"scalar1"``, ``"scalar2"`` or ``"scalar4"``, by its bits for
        a dimension, and ``"f16"`` for 8.
    memory_limit : int or str
        As for `Writer`.
    show_progress : bool, optional
        Default: on a terminal, when tqdm is installed.

    Returns
    -------
    int
        Number of documents.

    Raises
    ------
    InvalidInput
        The file is malformed, and the message names the place; or an index is at `destination` already; or an
        argument is malformed.
    IoError
        A file cannot be read or written.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("two.jsonl").write_text('{"id": "a", "vector": {"fox": 1.5}}\\n{"id": "b", "vector": {"hen": 2}}\\n')
    >>> weft.convert("two.jsonl", "two.weft")
    2
    >>> weft.convert("two.weft", "two.ciff")
    2
    >>> weft.open("two.weft").search(sparse={"hen": 1.0})[0].id
    'b'
    """
    kinds = (_kind(source), _kind(destination))
    if kinds[1] == "index" and holds_index(destination):
        raise InvalidInput(f"{os.fspath(destination)} holds an index already; choose another folder")
    if codec is not None and kinds[0] != "plaid":
        raise InvalidInput(f"codec is for token vectors; {os.fspath(source)} is not the folder of a PLAID index")
    match kinds:
        case ("ciff", "index"):
            file = read_ciff(source, ids=_kind_of_ids(ids), terms=terms)
            schema = _with_max_weight(file.schema, max_weight)
            with Writer(destination, schema, memory_limit=memory_limit) as writer:
                for names, rows in _counted(file, len(file), show_progress):
                    writer.add(names, sparse=rows)
        case ("plaid", "index"):
            plaid = _plaid(source, ids)
            with Writer(destination, _plaid_schema(plaid, codec), memory_limit=memory_limit) as writer:
                for names, tokens in _counted(plaid, plaid.documents, show_progress):
                    writer.add(names, multivector=tokens)
        case ("jsonl", "index"):
            schema = Schema(Sparse(terms, max_weight), ids=_kind_of_ids(ids))
            vectors = with_progress(map(_Vector._make, read_vectors(source)), None, show_progress)
            with Writer(destination, schema, memory_limit=memory_limit) as writer:
                for batch in _batches(vectors):
                    _write(writer, batch)
        case ("index", "ciff"):
            write_ciff(destination, Index(source))
        case ("index", "jsonl"):
            write_vectors(destination, Index(source), show_progress=show_progress)
        case _:
            raise InvalidInput(
                f"cannot convert {os.fspath(source)} to {os.fspath(destination)}: one must be a file that ends in "
                f"{', '.join(_SUFFIXES)}, and the other the folder of an index"
            )
    return len(Index(source if kinds[0] == "index" else destination))


def _kind(path: str | PathLike[str]) -> Literal["ciff", "jsonl", "plaid", "index"]:
    name = inputs.path(path)
    if os.path.isdir(name):
        return "plaid" if holds_plaid(name) else "index"
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    return "index"


def _kind_of_ids(ids: object) -> Kind:
    """Return what the ids of a file are read as."""
    match ids:
        case None | "str":
            return "str"
        case "int":
            return "int"
        case _:
            raise InvalidInput(f'ids must be "str" or "int", the kind of those in the file, not {inputs.shown(ids)}')


def _plaid(source: str | PathLike[str], ids: Iterable[str] | Iterable[int] | None) -> PlaidReader:
    """Open a PLAID index with the ids that are given, or with numbers of the kind that is."""
    if not isinstance(ids, str):
        return read_plaid(source, ids=ids)
    if _kind_of_ids(ids) == "int":
        return read_plaid(source)
    return read_plaid(source, ids=map(str, range(read_plaid(source).documents)))


def _plaid_schema(plaid: PlaidReader, codec: str | None) -> Schema:
    likened = f"scalar{plaid.nbits}" if plaid.nbits < 8 else "f16"
    kind: Kind = "str" if isinstance(plaid.ids, list) else "int"
    return Schema(multivector=MultiVector(plaid.dim, codec or likened), ids=kind)


def _with_max_weight(schema: Schema, max_weight: float | None) -> Schema:
    if max_weight is None or not isinstance(schema.sparse, Sparse):
        return schema
    return replace(schema, sparse=replace(schema.sparse, max_weight=max_weight))


def _counted(
    batches: "Iterable[tuple[Keys, Vectors]]", documents: int, show: bool | None
) -> "Iterator[tuple[Keys, Vectors]]":
    """Return the batches; each moves the progress on by its documents."""
    counter = iter(with_progress(range(documents), documents, show))
    for names, vectors in batches:
        yield names, vectors
        deque(islice(counter, len(names)), maxlen=0)


def _batches(vectors: Iterable[_Vector]) -> Iterator[list[_Vector]]:
    """Group vectors, within a batch keeping the last of each id."""
    batch: dict[str, _Vector] = {}
    postings = 0
    for vector in vectors:
        batch.pop(vector.id, None)
        batch[vector.id] = vector
        postings += len(vector.weights)
        if len(batch) >= BATCH_DOCUMENTS or postings >= BATCH_POSTINGS:
            yield list(batch.values())
            batch, postings = {}, 0
    if batch:
        yield list(batch.values())


def _write(writer: Writer, batch: list[_Vector]) -> None:
    """Add a batch; when it is refused, add one by one to name the line at fault."""
    try:
        _add(writer, batch)
    except InvalidInput:
        for vector in batch:
            try:
                _add(writer, [vector])
            except InvalidInput as error:
                raise InvalidInput(f"{vector.place}: {error}") from error
        raise


def _add(writer: Writer, batch: list[_Vector]) -> None:
    texts = [each.id for each in batch]
    names: Keys = decimals("id", texts) if writer.schema.ids == "int" else texts
    rows: list[Mapping[Any, Any]] = [each.weights for each in batch]
    if writer.schema.terms == "int":
        rows = [dict(zip(decimals("term", list(row)).tolist(), row.values(), strict=True)) for row in rows]
    writer.add(names, sparse=rows)
