"""Text in, hits out: an index of documents with a title and a text."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from weft import inputs
from weft.batches import Document
from weft.encoded import Encoders, Representation, encoder, settings
from weft.errors import InvalidInput, SchemaMismatch
from weft.explanation import TEXT, TITLE, Explanation, explain, joined
from weft.hits import Hits
from weft.index import Index
from weft.jsonl import document_id
from weft.options import Plan
from weft.options import Source as CandidateSource
from weft.pipeline import Report, run
from weft.progress import progress
from weft.resume import bookmark
from weft.schema import AttributeKind, Bm25, MultiVector, Schema, Sparse
from weft.sources import source_of
from weft.writer import MEMORY_LIMIT, Writer, holds_index

if TYPE_CHECKING:
    from weft.encoders import Encoder


class TextIndex:
    """Documents with an id, a title and a text, searched with BM25, by encoders, or both.

    Title and text are indexed together; the title is kept as the attribute ``title``, for display and filters.

    Parameters
    ----------
    path : str or path object
        The folder of the index. A new one is made by the first `add`.
    sparse : "bm25", Bm25, str, Encoder or None
        How texts are matched by terms: BM25, an encoder of sparse vectors or a name for `weft.encoders.load`, or not at
        all. ``"bm25"`` means its defaults, or whatever an existing index was made with.
    multivector : str or Encoder, optional
        An encoder of token vectors, or its name. Default: none, or whatever an existing index was made with.
    attributes : mapping of str to {"keyword", "int64", "float64"}, optional
        Further values to keep, taken from the documents by name; ``{"text": "keyword"}`` keeps the texts, so that
        `explain` can show them. Default: those of an existing index.
    codec : str, optional
        How token vectors are stored; see `MultiVector`. Default: ``"scalar2"``, or that of an existing index.
    memory_limit : int or str
        As for `Writer`. Chunks on their way through the encoders come on top.

    Raises
    ------
    SchemaMismatch
        The path holds an index of another kind, or one made with other settings.
    InvalidInput
        An argument is malformed.
    Error
        An encoder cannot be loaded.

    Notes
    -----
    The settings of encoders are kept in the index. Opened again without them, it loads them by their names when they
    are first needed, and refuses any that would make other vectors.

    Examples
    --------
    >>> books = weft.TextIndex("books.weft", attributes={"year": "int64"})
    >>> report = books.add([
    ...     {"id": "a", "title": "Foxes", "text": "The red fox.", "year": 1984},
    ...     {"id": "b", "title": "Wine", "text": "Red or white."},
    ... ])
    >>> books.search("white wine", k=1).ids.tolist()
    ['b']
    """

    def __init__(
        self,
        path: str | PathLike[str],
        sparse: "str | Bm25 | Encoder | None" = "bm25",
        attributes: Mapping[str, AttributeKind] | None = None,
        memory_limit: int | str = MEMORY_LIMIT,
        *,
        multivector: "str | Encoder | None" = None,
        codec: str | None = None,
    ) -> None:
        self._path = inputs.path(path)
        self._memory_limit = inputs.memory(memory_limit)
        self._index = Index(self._path) if holds_index(self._path) else None
        held = None if self._index is None else self._index.schema
        given = _given(sparse, multivector, held)
        if held is not None:
            _check(self._path, held, sparse, attributes, codec)
        self._schema = _schema(sparse, given, attributes, codec) if held is None else held
        self._schema.to_json()
        self._encoders = Encoders(self._schema, given)

    @property
    def index(self) -> Index:
        """The open index; before the first `add`, the exception of a missing one."""
        if self._index is None:
            self._index = Index(self._path)
        return self._index

    @property
    def encoders(self) -> "Mapping[str, Encoder]":
        """The encoders by representation, ``"sparse"`` or ``"multivector"``; loaded when looked up."""
        return self._encoders

    def add(
        self,
        documents: Any,
        *,
        columns: Mapping[str, str] | None = None,
        show_progress: bool | None = None,
        commit_every: int | None = None,
        resume: bool | str = True,
    ) -> Report:
        """Add documents and commit; one whose id is known already is replaced.

        Documents are streamed, so the source may be larger than memory. After an error or an interrupt, what was not
        committed is gone. With encoders, a thread reads and tokenises and another writes while the caller encodes.

        Parameters
        ----------
        documents : iterable of dict, table, or path
            Each with ``id`` or ``_id`` (a str, or an int which is turned into one), ``text`` (which may be empty),
            optionally ``title`` and the declared attributes; other fields are passed over. A path names a JSONL file
            (``.gz`` too), a BEIR folder, a Parquet file or a folder of them, or an Arrow file. Tables are those of
            pyarrow, pandas and polars; Hugging Face datasets are iterables of dicts.
        columns : mapping of str to str, optional
            The name in the documents of fields that are called otherwise there, such as ``{"text": "passage"}``.
        show_progress : bool, optional
            Default: on a terminal, when tqdm is installed.
        commit_every : int, optional
            Commit also whenever about this many documents wait, so that less is lost when a long run stops. Default:
            with encoders every minute, otherwise never. With it a source always gives the same index, whether its
            reading was interrupted or not; without it quantisation depends on when commits were made.
        resume : bool or str
            When an earlier call for the same file or folder stopped, go on after its last commit; with False start from
            the beginning. An iterable, or a table, is known by the name given here, and must yield the same again.

        Returns
        -------
        Report
            Counts of documents, tokens and cut texts, and times.

        Raises
        ------
        InvalidInput
            A document is malformed, and the message names the file and line, or the position; or a file was changed
            after reading of it had stopped.
        IoError
            A file cannot be read or written.

        Examples
        --------
        >>> weft.TextIndex("notes.weft").add([{"id": 1, "text": "Buy a fox."}]).documents
        1
        """
        begun = time.monotonic()
        limit = None if commit_every is None else inputs.integer("commit_every", commit_every, low=1)
        source = source_of(documents)
        mark = bookmark(source, resume)
        names = _renamed(columns)
        encoders = dict(self._encoders)
        with Writer(self._path, self._schema, memory_limit=self._memory_limit) as writer:
            start = mark.position(Index(self._path).notes) if mark and resume and writer.generation else 0
            shaped = (self._document(place, document, names) for place, document in source.read(start))
            with progress(source.count if encoders else lambda: source.total, show_progress, start) as advance:
                report = run(shaped, writer, encoders, start=start, commit_every=limit, bookmark=mark, advance=advance)
        self.refresh()
        return replace(report, seconds=time.monotonic() - begun)

    def search(
        self,
        queries: str | Iterable[str],
        k: int = 10,
        *,
        using: Representation | None = None,
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
        exact: bool = False,
        candidates: int | None = None,
        probes: int | None = None,
        candidate_source: CandidateSource | None = None,
        fuse: Literal["rrf"] | Mapping[str, float] | None = None,
    ) -> Hits:
        """Return the k best documents for each query.

        Where the index has token vectors besides, BM25 or sparse vectors find the candidates, and MaxSim, or what
        `fuse` says, puts them in order.

        Parameters
        ----------
        queries : str or iterable of str
        k : int
            Hits for each query, at least 1.
        using : {"sparse", "multivector"}, optional
            Search by this representation alone; BM25 counts as sparse. Default: by all.
        where, subset, ..., fuse
            As for `Index.search`.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> report = notes.add([{"id": "a", "text": "Buy a fox."}])
        >>> notes.search(["fox", "wolf"]).counts.tolist()
        [1, 0]
        """
        texts, single = inputs.texts(queries)
        hits: Hits = self.index.search(
            **self._encoders.queries(texts, using),
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
            exact=exact,
            candidates=candidates,
            probes=probes,
            candidate_source=candidate_source,
            fuse=fuse,
        )
        return hits[0] if single else hits

    def explain(self, query: str, id: int | str, *, text: str | None = None) -> Explanation:
        """Return which words of a query matched which of a document, and what each adds to the score.

        Parameters
        ----------
        query : str
        id : str or int
            The document; an int is turned into a str.
        text : str, optional
            Title and text of the document as they were added, joined by a space. Default: what the index has kept, for
            which it must have an attribute ``text``. Without it tokens are shown by their numbers.

        Returns
        -------
        Explanation
            To print, to look into, or as `to_html`. As a sequence, the contribution of each term.

        Raises
        ------
        NotFound
            No document has this id.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> report = notes.add([{"id": "a", "text": "Foxes hunt."}])
        >>> [each.term for each in notes.explain("hunting fox", "a")]
        ['hunt', 'fox']
        """
        return explain(self.index, self._encoders, query, str(id), text)

    def delete(self, ids: str | int | Iterable[str] | Iterable[int]) -> int:
        """Delete documents and commit; returns how many there were.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> report = notes.add([{"id": "a", "text": "Buy a fox."}])
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

    def _document(self, place: str, given: Mapping[str, Any], columns: Mapping[str, str]) -> Document:
        document = {**given, **{ours: given.get(theirs) for ours, theirs in columns.items()}} if columns else given
        name = document_id(place, document)
        title = document.get(TITLE)
        title = None if title is None else inputs.text(f"{place}: title", title)
        body = inputs.text(f"{place}: text", document.get(TEXT))
        values = {each: title if each == TITLE else document.get(each) for each in self._schema.attributes}
        return Document(place, name, joined(title, body), values)


def _given(sparse: Any, multivector: Any, held: Schema | None) -> "dict[str, Encoder]":
    """Return the encoders that are passed, without those that the index would load by the same name."""
    by_terms = None if isinstance(sparse, Bm25) or (isinstance(sparse, str) and sparse == "bm25") else sparse
    passed: dict[Representation, Any] = {"sparse": by_terms, "multivector": multivector}
    known = {} if held is None else {kind: each.get("name") for kind, each in held.encoders.items()}
    return {
        kind: encoder(kind, each)
        for kind, each in passed.items()
        if each is not None and not (isinstance(each, str) and known.get(kind) == each)
    }


def _attributes(attributes: Mapping[str, AttributeKind] | None) -> dict[str, AttributeKind]:
    declared = Schema(attributes={} if attributes is None else attributes)
    declared.to_json()
    if declared.attributes.get(TITLE, "keyword") != "keyword":
        raise InvalidInput(f'attributes: "{TITLE}" is the title of each document and always a keyword')
    return {TITLE: "keyword", **declared.attributes}


def _schema(
    sparse: Any,
    given: "Mapping[str, Encoder]",
    attributes: Mapping[str, AttributeKind] | None,
    codec: str | None,
) -> Schema:
    """Return the schema of a new index."""
    by_terms: Bm25 | Sparse | None = sparse if isinstance(sparse, Bm25) else Bm25() if sparse == "bm25" else None
    if "sparse" in given:
        by_terms = Sparse(terms=given["sparse"].terms or "int")
    multivector = None
    if "multivector" in given:
        multivector = MultiVector(given["multivector"].dim or 0, codec or MultiVector.codec)
    elif codec is not None:
        raise InvalidInput(f"codec={codec!r} needs an encoder of token vectors; pass multivector= too")
    if by_terms is None and multivector is None:
        raise InvalidInput("there is nothing to search by; pass sparse= or multivector=")
    made_by = {kind: settings(each) for kind, each in given.items()}
    return Schema(by_terms, _attributes(attributes), multivector=multivector, encoders=made_by)


def _check(
    path: str, held: Schema, sparse: Any, attributes: Mapping[str, AttributeKind] | None, codec: str | None
) -> None:
    """Refuse an index that was made otherwise than asked for."""

    def refuse(reason: str, argument: str) -> None:
        raise SchemaMismatch(f"{path} was made with {reason}; leave {argument}= out or build it anew")

    if held.ids != "str" or not (isinstance(held.sparse, Bm25) or held.encoders):
        raise SchemaMismatch(f"{path} is not an index of text with str ids; open it with weft.open")
    if isinstance(sparse, Bm25) and sparse != held.sparse:
        refuse(f"{held.sparse}, not {sparse}", "sparse")
    if sparse is None and held.sparse is not None:
        refuse(f"{held.sparse}, not None", "sparse")
    if codec is not None and (held.multivector is None or held.multivector.codec != codec):
        refuse(f"{held.multivector}, not codec={codec!r}", "codec")
    if attributes is not None and _attributes(attributes) != held.attributes:
        refuse(f"attributes {dict(held.attributes)}", "attributes")


def _renamed(columns: object) -> dict[str, str]:
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise InvalidInput(f"columns must map names of ours to names in the documents, not {inputs.shown(columns)}")
    return {inputs.text("columns", ours): inputs.text(f"columns[{ours!r}]", each) for ours, each in columns.items()}
