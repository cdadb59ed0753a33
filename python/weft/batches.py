"""Documents in chunks, and chunks into the index, committed now and then."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from weft import tokens
from weft.errors import Error, InvalidInput
from weft.resume import Bookmark
from weft.rows import rows
from weft.schema import Bm25
from weft.writer import Writer

CHARACTERS = 4 * 2**20
"""Characters that end a chunk."""
COMMIT_SECONDS = 60.0
FIRST_COMMIT = 4096
"""Documents of an index's first commit by time at least, for quantisation is learned from them."""


class Document(NamedTuple):
    """What the writer takes of one document, and where it came from."""

    place: str
    id: str
    text: str
    values: Mapping[str, Any]


class Chunk(NamedTuple):
    """Documents that go together, one for each id, and how many of the source were read by then."""

    documents: list[Document]
    end: int

    @property
    def texts(self) -> list[str]:
        """The text of each document."""
        return [each.text for each in self.documents]


def chunks(documents: Iterable[Document], start: int, most: int) -> Iterator[Chunk]:
    """Group documents, within a chunk keeping the last of each id.

    Where chunks end depends on the documents from `start` on alone, so that a run which goes on there has the same.

    Examples
    --------
    >>> from weft.batches import Document, chunks
    >>> documents = [Document("", name, "text", {}) for name in "abaa"]
    >>> [("".join(each.id for each in chunk.documents), chunk.end) for chunk in chunks(documents, 0, most=2)]
    [('ab', 2), ('a', 4)]
    """
    held: dict[str, Document] = {}
    characters, end = 0, start
    for end, document in enumerate(documents, start=start + 1):
        held.pop(document.id, None)
        held[document.id] = document
        characters += len(document.text)
        if len(held) >= most or characters >= CHARACTERS:
            yield Chunk(list(held.values()), end)
            held, characters = {}, 0
    if held:
        yield Chunk(list(held.values()), end)


class Sink:
    """Adds chunks to an index, and commits whenever enough documents or enough time have passed.

    Parameters
    ----------
    writer : Writer
    commit_every : int, optional
        Documents.
    by_time : bool
        Without `commit_every`, commit after `COMMIT_SECONDS`.
    bookmark : Bookmark, optional
        Kept up to date by each of these commits, until `finish`.
    """

    def __init__(self, writer: Writer, commit_every: int | None, by_time: bool, bookmark: Bookmark | None) -> None:
        self._writer = writer
        self._commit_every = commit_every
        self._by_time = by_time
        self._bookmark = bookmark
        self._waiting = 0
        self._first = writer.generation == 0
        self._committed = time.monotonic()

    def take(self, chunk: Chunk, vectors: Mapping[str, Any]) -> None:
        """Add a chunk, with what the encoders made of it by representation; of a bad one, name the document."""
        try:
            self._add(chunk.documents, vectors)
        except InvalidInput:
            for position, document in enumerate(chunk.documents):
                try:
                    self._add([document], {name: _row(vectors[name], position) for name in vectors})
                except InvalidInput as error:
                    raise InvalidInput(f"{document.place}: {error}") from error
            raise
        self._waiting += len(chunk.documents)
        if self._is_time():
            self._commit(chunk.end)

    def finish(self) -> None:
        """Remove the bookmark, with the commit to come."""
        if self._bookmark is not None:
            self._writer.note(self._bookmark.note, None)

    def _add(self, documents: list[Document], vectors: Mapping[str, Any]) -> None:
        schema = self._writer.schema
        columns = {name: [each.values[name] for each in documents] for name in schema.attributes}
        text = [each.text for each in documents] if isinstance(schema.sparse, Bm25) else None
        self._writer.add([each.id for each in documents], text=text, attributes=columns, **vectors)

    def _is_time(self) -> bool:
        if self._commit_every is not None:
            return self._waiting >= self._commit_every
        if not self._by_time or (self._first and self._waiting < FIRST_COMMIT):
            return False
        return time.monotonic() - self._committed >= COMMIT_SECONDS

    def _commit(self, position: int) -> None:
        if self._bookmark is not None:
            self._writer.note(self._bookmark.note, self._bookmark.text(position))
        self._writer.commit()
        self._waiting, self._first, self._committed = 0, False, time.monotonic()


def shaped(kind: str, vectors: Any, writer: Writer, chunk: Chunk) -> tuple[Any, ...]:
    """Return what an encoder made of a chunk as plain arrays, a row for each text."""
    schema = writer.schema
    dim = None if schema.multivector is None else schema.multivector.dim
    try:
        made: tuple[Any, ...] = rows(vectors, schema.terms)[0] if kind == "sparse" else tokens.documents(vectors, dim)
    except InvalidInput as error:
        raise InvalidInput(
            f"what the encoder made of {chunk.documents[0].place} and those after it: {error}"
        ) from error
    count = len(made[0] if kind == "sparse" else made[1]) - 1
    if count != len(chunk.documents):
        raise Error(f"the {kind} encoder made {count} rows of {len(chunk.documents)} texts; it must make one of each")
    return made


def _row(vectors: tuple[Any, ...], row: int) -> tuple[Any, ...]:
    """Return one row of sparse or token vectors as arrays of their own."""
    if len(vectors) == 3:
        indptr, terms, weights = vectors
        start, end = indptr[row], indptr[row + 1]
        return np.array([0, end - start]), terms[start:end], weights[start:end]
    flat, offsets = vectors
    start, end = offsets[row], offsets[row + 1]
    return flat[start:end], np.array([0, end - start])
