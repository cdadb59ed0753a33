"""Text in, hits out: an index of documents with a title and a text."""

from collections.abc import Iterable, Iterator, Mapping, Sized
from os import PathLike
from typing import Any, NamedTuple

import numpy.typing as npt

from weft import inputs
from weft.errors import InvalidInput, SchemaMismatch
from weft.hits import Hits
from weft.index import Contribution, Index
from weft.io import document_id, read_documents
from weft.options import Plan
from weft.progress import with_progress
from weft.schema import AttributeKind, Bm25, Schema
from weft.writer import MEMORY_LIMIT, Writer, holds_index

BATCH_DOCUMENTS = 4096
BATCH_CHARACTERS = 8 * 2**20
TITLE = "title"


class _Document(NamedTuple):
    """What the writer takes of one document, and where it came from."""

    place: str
    id: str
    text: str
    values: tuple[Any, ...]


class TextIndex:
    """Documents with an id, a title and a text, searched with BM25.

    Title and text are indexed together; the title is kept as the attribute ``title``, for display and filters.

    Parameters
    ----------
    path : str or path object
        The folder of the index. A new one is made by the first `add`.
    sparse : "bm25" or Bm25
        How text is weighted. ``"bm25"`` means the defaults, or whatever an existing index was made with.
    attributes : mapping of str to {"keyword", "int64", "float64"}, optional
        Further values to keep, taken from the documents by name. Default: those of an existing index.
    memory_limit : int or str
        As for `Writer`.

    Raises
    ------
    SchemaMismatch
        The path holds an index of another kind, or one made with other settings.
    InvalidInput
        An argument is malformed.

    Examples
    --------
    >>> books = weft.TextIndex("books.weft", attributes={"year": "int64"})
    >>> books.add([
    ...     {"id": "a", "title": "Foxes", "text": "The red fox.", "year": 1984},
    ...     {"id": "b", "title": "Wine", "text": "Red or white."},
    ... ])
    >>> books.search("white wine", k=1).ids.tolist()
    ['b']
    """

    def __init__(
        self,
        path: str | PathLike[str],
        sparse: str | Bm25 = "bm25",
        attributes: Mapping[str, AttributeKind] | None = None,
        memory_limit: int | str = MEMORY_LIMIT,
    ) -> None:
        if not isinstance(sparse, Bm25) and not (isinstance(sparse, str) and sparse == "bm25"):
            raise InvalidInput(f'sparse must be "bm25" or weft.Bm25, not {inputs.shown(sparse)}')
        self._path = inputs.path(path)
        self._memory_limit = inputs.memory(memory_limit)
        self._index = Index(self._path) if holds_index(self._path) else None
        self._schema = _schema(sparse, attributes) if self._index is None else self._index.schema
        self._schema.to_json()
        if self._index is not None:
            _check(self._path, self._schema, sparse, attributes)

    @property
    def index(self) -> Index:
        """The open index; before the first `add`, the exception of a missing one."""
        if self._index is None:
            self._index = Index(self._path)
        return self._index

    def add(
        self,
        documents: Iterable[Mapping[str, Any]] | str | PathLike[str],
        *,
        show_progress: bool | None = None,
        commit_every: int | None = None,
    ) -> None:
        """Add documents and commit; one whose id is known already is replaced.

        Documents are streamed, so the source may be larger than memory. After an error, what was not
        committed is gone.

        Parameters
        ----------
        documents : iterable of dict, or path
            Each with ``id`` or ``_id`` (a str, or an int which is turned into one), ``text``, optionally ``title``
            and the declared attributes; other fields are passed over. A path names a JSONL file (``.gz`` too) or a
            BEIR folder.
        show_progress : bool, optional
            Default: on a terminal, when tqdm is installed.
        commit_every : int, optional
            Commit also whenever this many documents wait, so that less is lost when a long run stops.

        Raises
        ------
        InvalidInput
            A document is malformed; the message names the file and line, or the position.
        IoError
            A file cannot be read or written.

        Examples
        --------
        >>> weft.TextIndex("notes.weft").add([{"id": 1, "text": "Buy a fox."}])
        """
        limit = None if commit_every is None else inputs.integer("commit_every", commit_every, low=1)
        total = len(documents) if isinstance(documents, Sized) and not isinstance(documents, str) else None
        shaped = (self._document(place, document) for place, document in read_documents(documents))
        waiting = 0
        with Writer(self._path, self._schema, memory_limit=self._memory_limit) as writer:
            for batch in _batches(with_progress(shaped, total, show_progress), limit):
                self._write(writer, batch)
                waiting += len(batch)
                if limit is not None and waiting >= limit:
                    writer.commit()
                    waiting = 0
        self.refresh()

    def search(
        self,
        queries: str | Iterable[str],
        k: int = 10,
        *,
        where: str | None = None,
        subset: Iterable[str] | npt.NDArray[Any] | None = None,
        num_threads: int = 0,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: int | None = 0,
        target_recall: float | None = None,
        min_score: float | None = None,
        deadline_ms: float | None = None,
        plan: Plan | None = None,
    ) -> Hits:
        """Return the k best documents for each query; see `Index.search` for the arguments.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> notes.add([{"id": "a", "text": "Buy a fox."}])
        >>> notes.search(["fox", "wolf"]).counts.tolist()
        [1, 0]
        """
        return self.index.search(
            text=queries,
            k=k,
            where=where,
            subset=subset,
            num_threads=num_threads,
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            target_recall=target_recall,
            min_score=min_score,
            deadline_ms=deadline_ms,
            plan=plan,
        )

    def explain(self, query: str, id: int | str) -> list[Contribution]:
        """Return what each word adds to the score of a document; see `Index.explain`.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> notes.add([{"id": "a", "text": "Foxes hunt."}])
        >>> [each.term for each in notes.explain("hunting fox", "a")]
        ['hunt', 'fox']
        """
        return self.index.explain(id, text=query)

    def delete(self, ids: str | int | Iterable[str] | Iterable[int]) -> int:
        """Delete documents and commit; returns how many there were.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> notes.add([{"id": "a", "text": "Buy a fox."}])
        >>> notes.delete("a")
        1
        """
        with Writer(self._path, memory_limit=self._memory_limit) as writer:
            deleted = writer.delete(ids)
        self.refresh()
        return deleted

    def refresh(self) -> bool:
        """Move to the newest generation; returns whether there was a newer one."""
        return self.index.refresh()

    def __repr__(self) -> str:
        return f"<weft.TextIndex {self._path!r}>"

    def _document(self, place: str, document: Mapping[str, Any]) -> _Document:
        name = document_id(place, document)
        title = document.get(TITLE)
        title = None if title is None else inputs.text(f"{place}: title", title)
        body = inputs.text(f"{place}: text", document.get("text"))
        values = tuple(title if each == TITLE else document.get(each) for each in self._schema.attributes)
        return _Document(place, name, f"{title} {body}" if title else body, values)

    def _write(self, writer: Writer, batch: list[_Document]) -> None:
        """Add a batch; when it is refused, add one by one to name the document at fault."""
        try:
            self._add(writer, batch)
        except InvalidInput:
            for document in batch:
                try:
                    self._add(writer, [document])
                except InvalidInput as error:
                    raise InvalidInput(f"{document.place}: {error}") from error
            raise

    def _add(self, writer: Writer, batch: list[_Document]) -> None:
        columns = {name: [each.values[i] for each in batch] for i, name in enumerate(self._schema.attributes)}
        writer.add([each.id for each in batch], text=[each.text for each in batch], attributes=columns)


def _schema(sparse: str | Bm25, attributes: Mapping[str, AttributeKind] | None) -> Schema:
    declared = Schema(attributes={} if attributes is None else attributes)
    declared.to_json()
    if declared.attributes.get(TITLE, "keyword") != "keyword":
        raise InvalidInput(f'attributes: "{TITLE}" is the title of each document and always a keyword')
    return Schema(Bm25() if isinstance(sparse, str) else sparse, {TITLE: "keyword", **declared.attributes})


def _check(path: str, held: Schema, sparse: str | Bm25, attributes: Mapping[str, AttributeKind] | None) -> None:
    """Refuse an index that was made otherwise than asked for."""
    if not isinstance(held.sparse, Bm25) or held.ids != "str":
        raise SchemaMismatch(f"{path} is not an index of text with str ids; open it with weft.open")
    if isinstance(sparse, Bm25) and sparse != held.sparse:
        raise SchemaMismatch(f"{path} was made with {held.sparse}, not {sparse}; leave sparse= out or build it anew")
    if attributes is not None and _schema(sparse, attributes).attributes != held.attributes:
        raise SchemaMismatch(
            f"{path} was made with attributes {dict(held.attributes)}; leave attributes= out or build it anew"
        )


def _batches(documents: Iterable[_Document], limit: int | None) -> Iterator[list[_Document]]:
    """Group documents, within a batch keeping the last of each id."""
    most = min(BATCH_DOCUMENTS, limit or BATCH_DOCUMENTS)
    batch: dict[str, _Document] = {}
    characters = 0
    for document in documents:
        batch.pop(document.id, None)
        batch[document.id] = document
        characters += len(document.text)
        if len(batch) >= most or characters >= BATCH_CHARACTERS:
            yield list(batch.values())
            batch, characters = {}, 0
    if batch:
        yield list(batch.values())
