"""Making and changing an index."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from weft import _native, inputs, tokens
from weft.errors import Error, InvalidInput
from weft.index import Index
from weft.progress import Stages
from weft.rows import rows
from weft.schema import Bm25, Kind, MultiVector, Schema, Sparse

if TYPE_CHECKING:
    from weft._types import Column, Keys, Rows, Tokens

MEMORY_LIMIT = "1GiB"


class Writer:
    """The one writer of an index.

    What is added or deleted is seen by readers after `commit`, all at once. Leaving a ``with`` block commits;
    leaving it by an exception rolls back.

    Parameters
    ----------
    path : str or path object
        The folder of the index, made when missing.
    schema : Schema, optional
        Needed for a new index; of an existing one it must be the same.
    memory_limit : int or str
        Bytes that documents may take in memory before they are written to disk, such as ``"256MiB"``.
    show_progress : bool, optional
        Show how far learning and coding of token vectors are. Default: on a terminal, when tqdm is installed.

    Raises
    ------
    Locked
        Another writer is open.
    SchemaMismatch
        The index was made with another schema.
    InvalidInput
        An argument is malformed, or the index is new and there is no schema.

    Examples
    --------
    >>> schema = weft.Schema(sparse=weft.Bm25(), attributes={"year": "int64"})
    >>> with weft.Writer("books.weft", schema) as writer:
    ...     writer.add(["a", "b"], text=["red fox", "red wine"], attributes={"year": [1984, None]})
    ...     writer.pending
    2
    >>> len(weft.open("books.weft"))
    2
    """

    def __init__(
        self,
        path: str | PathLike[str],
        schema: Schema | None = None,
        *,
        memory_limit: int | str = MEMORY_LIMIT,
        show_progress: bool | None = None,
    ) -> None:
        self._path = inputs.path(path)
        if schema is not None and not isinstance(schema, Schema):
            raise InvalidInput(f"schema must be a weft.Schema, not {inputs.shown(schema)}")
        shape = None if schema is None else schema.to_json()
        self._stages = Stages.shown(show_progress)
        memory = inputs.memory(memory_limit)
        self._native: _native.Writer | None = _native.Writer(self._path, shape, memory, self._stages)
        self._schema = Schema.from_json(self._native.schema)

    @property
    def path(self) -> Path:
        """The folder of the index, absolute."""
        return Path(self._path)

    @property
    def schema(self) -> Schema:
        """What the index was made with."""
        return self._schema

    @property
    def generation(self) -> int:
        """Number of the last commit."""
        return self._core.generation

    @property
    def pending(self) -> int:
        """How many documents were added since the last commit."""
        return self._core.pending

    def add(
        self,
        ids: Iterable[str] | Iterable[int],
        *,
        sparse: Any = None,
        text: str | Iterable[str] | None = None,
        multivector: Any = None,
        attributes: Mapping[str, Iterable[Any]] | None = None,
    ) -> None:
        """Add documents; one whose id is in the index already is replaced.

        Refused input leaves the writer as it was. After a failure of the disk, or an interrupt, some of the
        documents may be pending: add them again, which replaces them, or roll back.

        Parameters
        ----------
        ids : n str or n int
            External ids, unique within the call.
        sparse : sparse matrix, torch sparse tensor, (indptr, indices, data), dict or list of dict
            Weights of n documents, finite and at least 0; zeros are dropped.
        text : n str
            The documents themselves, for an index of text.
        multivector : list of n (tokens, dim) arrays, (n, tokens, dim) array, or (flat, offsets)
            Token vectors of n documents, NumPy or torch, rounded to 16-bit floats; a document may have none. They need
            not have length 1. The codebook is learned from those added first, up to `memory_limit`; see `train`.
        attributes : mapping of str to n values
            Columns that the schema declares; None marks a missing value.

        Raises
        ------
        InvalidInput
            A value is malformed, or lengths differ; the message names the row.
        SchemaMismatch
            The schema has no such representation, attribute or kind of id or term.

        Examples
        --------
        >>> with weft.Writer("vectors.weft", weft.Schema(sparse=weft.Sparse(), ids="int")) as writer:
        ...     writer.add([10, 11], sparse=[{3: 0.5, 7: 1.25}, {7: 2.0}])
        """
        with self._showing() as core:
            core.add(
                inputs.keys("ids", ids, self._schema.ids),
                None if sparse is None else rows(sparse, self._schema.terms)[0],
                None if text is None else inputs.texts(text)[0],
                None if multivector is None else tokens.documents(multivector, self._dim),
                inputs.columns(attributes),
            )

    def train(self, multivector: Any) -> None:
        """Learn the codebook of token vectors from a sample, before any are added.

        Without this it is learned from what comes first. A sample is better where documents come in an order, such as
        by subject, or where several indexes are to give scores that compare.

        Parameters
        ----------
        multivector : array or list of arrays
            Token vectors, as `add` takes them; a few hundred for each centroid are plenty.

        Raises
        ------
        InvalidInput
            Token vectors were added before, or the sample has none.

        Examples
        --------
        >>> import numpy as np
        >>> schema = weft.Schema(multivector=weft.MultiVector(dim=8, codec="scalar2"))
        >>> with weft.Writer("tokens.weft", schema) as writer:
        ...     writer.train([np.random.default_rng(0).normal(size=(100, 8))])
        """
        with self._showing() as core:
            core.train(tokens.documents(multivector, self._dim))

    def retrain(self) -> None:
        """Commit, learning the codebook again from the vectors as stored, and coding all of them with it.

        Worth its time when ``drift`` in `Index.stats` is well above 1. Except with ``f16``, vectors lose a little of
        what their codes had kept.
        """
        with self._showing() as core:
            core.retrain()

    def delete(self, ids: str | int | Iterable[str] | Iterable[int]) -> int:
        """Delete documents.

        Parameters
        ----------
        ids : str, int, or iterable of them
            External ids. An id that no document has is passed over.

        Returns
        -------
        int
            How many documents were deleted.

        Raises
        ------
        InvalidInput
            An id is neither a str nor an int.

        Examples
        --------
        >>> _ = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"])
        >>> with weft.Writer("tiny.weft") as writer:
        ...     writer.delete(["a", "never there"])
        1
        """
        alone = isinstance(ids, (str, int, np.integer))
        return self._core.delete(inputs.keys("ids", [ids] if alone else ids, self._schema.ids))

    def note(self, name: str, text: str | None) -> None:
        """Leave a note in the index, published by the next commit together with the documents before it.

        Parameters
        ----------
        name : str
            1 to 255 bytes.
        text : str, optional
            At most 64 KiB; replaces an earlier note of that name. None removes it.

        Raises
        ------
        InvalidInput
            The name or the text is too long, or there would be more than 1,024 notes.

        Examples
        --------
        >>> with weft.Writer("tiny.weft", weft.Schema(sparse=weft.Bm25())) as writer:
        ...     writer.note("source", "corpus of May")
        >>> weft.open("tiny.weft").notes
        {'source': 'corpus of May'}
        """
        self._core.set_note(inputs.text("name", name), None if text is None else inputs.text("text", text))

    def commit(self) -> int:
        """Publish what is pending, atomically and durably.

        Returns
        -------
        int
            The new generation.

        Raises
        ------
        IoError
            A file operation failed. The last generation is intact. When the failure was an fsync, the writer
            refuses further work: close it and open another.

        Examples
        --------
        >>> writer = weft.Writer("tiny.weft", weft.Schema(sparse=weft.Bm25()))
        >>> writer.add(["a"], text=["red fox"])
        >>> before = writer.generation
        >>> writer.commit() > before
        True
        >>> writer.close()
        """
        with self._showing() as core:
            return core.commit()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._core.rollback()

    def merge(self, max_segments: int = 1) -> None:
        """Commit, joining adjacent segments until at most `max_segments` are left and dropping deleted documents.

        Parameters
        ----------
        max_segments : int
            At least 1.

        Examples
        --------
        >>> _ = weft.build("tiny.weft", ids=["a"], text=["red fox"])
        >>> with weft.Writer("tiny.weft") as writer:
        ...     writer.merge()
        """
        with self._showing() as core:
            core.merge(inputs.integer("max_segments", max_segments, low=1))

    def close(self) -> None:
        """Give up the lock and forget what is not committed. Closing twice is allowed; other use raises `Error`."""
        if self._native is not None:
            native, self._native = self._native, None
            native.close()

    @property
    def _dim(self) -> int | None:
        return None if self._schema.multivector is None else self._schema.multivector.dim

    @contextlib.contextmanager
    def _showing(self) -> Iterator[_native.Writer]:
        """Give the core to a call that may take long, and take its progress bars away when it is over."""
        try:
            yield self._core
        finally:
            if self._stages is not None:
                self._stages.close()

    @property
    def _core(self) -> _native.Writer:
        if self._native is None:
            raise Error(f"the writer of {self._path} is closed; open another with weft.Writer")
        return self._native

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._native is None:
            return
        try:
            if kind is None:
                self.commit()
            else:
                # The exception in flight says more than a rollback that fails after it.
                with contextlib.suppress(Error):
                    self.rollback()
        finally:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._native is None else f"generation {self.generation}, {self.pending} pending"
        return f"<weft.Writer {self._path!r}: {state}>"


def build(
    path: str | PathLike[str],
    *,
    ids: Iterable[str] | Iterable[int] | None = None,
    sparse: Any = None,
    text: str | Iterable[str] | None = None,
    multivector: Any = None,
    attributes: Mapping[str, Iterable[Any]] | None = None,
    schema: Schema | None = None,
    memory_limit: int | str = MEMORY_LIMIT,
) -> Index:
    """Make an index of documents held in memory.

    Parameters
    ----------
    path : str or path object
        The folder of the new index.
    ids : n str or n int, optional
        External ids, unique. Default: 0 to n - 1, as int unless `schema` says str.
    sparse, text, multivector, attributes
        The documents, as `Writer.add` takes them.
    schema : Schema, optional
        Default: inferred from the data, with BM25 for `text`.
    memory_limit : int or str
        As for `Writer`.

    Returns
    -------
    Index

    Raises
    ------
    InvalidInput
        A value is malformed, its kind cannot be inferred, or `path` holds an index already.
    SchemaMismatch
        The data differ from `schema`.

    Examples
    --------
    >>> index = weft.build("tiny.weft", ids=["a", "b"], sparse=[{3: 0.5}, {3: 0.25, 7: 2.0}])
    >>> index.search(sparse={7: 1.0}, k=1).ids.tolist()
    ['b']
    """
    folder = inputs.path(path)
    if schema is not None and not isinstance(schema, Schema):
        raise InvalidInput(f"schema must be a weft.Schema, not {inputs.shown(schema)}")
    if holds_index(folder):
        raise InvalidInput(f"{folder} holds an index already; add to it with weft.Writer or choose another path")
    if schema is None and sparse is not None and text is not None:
        raise InvalidInput("pass sparse= or text=, and not both")
    native = None if sparse is None else rows(sparse, schema.terms if schema else "int")[0]
    texts = None if text is None else inputs.texts(text)[0]
    dim = schema.multivector.dim if schema and schema.multivector else None
    vectors = None if multivector is None else tokens.documents(multivector, dim)
    columns = inputs.columns(attributes)
    if ids is None:
        keys = _numbered(_count(native, texts, vectors, columns), schema)
    else:
        keys = inputs.keys("ids", ids, schema.ids if schema else "str")
    schema = schema or _infer(keys, native, texts, vectors, columns)
    with Writer(folder, schema, memory_limit=memory_limit) as writer, writer._showing() as core:
        core.add(keys, native, texts, vectors, columns)
    return Index(folder)


def holds_index(path: str | PathLike[str]) -> bool:
    """Whether a manifest lies in the folder; of one that cannot be listed, opening it says why."""
    try:
        return any(name.startswith("manifest-") and name.endswith(".json") for name in os.listdir(path))
    except OSError:
        return False


def _count(
    native: "Rows | None", texts: list[str] | None, vectors: "Tokens | None", columns: "dict[str, Column]"
) -> int:
    """Return the number of documents by whatever was given of them."""
    if vectors is not None:
        return max(len(vectors[1]) - 1, 0)
    if native is not None:
        return max(len(native[0]) - 1, 0)
    return len(texts if texts is not None else next(iter(columns.values()), []))


def _numbered(count: int, schema: Schema | None) -> "Keys":
    """Return 0 to count - 1, in the kind that the schema asks for."""
    if schema is not None and schema.ids == "str":
        return [str(position) for position in range(count)]
    return np.arange(count, dtype=np.int64)


def _infer(
    keys: "Keys",
    native: "Rows | None",
    texts: list[str] | None,
    vectors: "Tokens | None",
    columns: "dict[str, Column]",
) -> Schema:
    sparse: Sparse | Bm25 | None = Bm25() if texts is not None else None
    if native is not None:
        sparse = Sparse(terms=_kind(native[1]))
    kinds = {name: inputs.attribute_kind(name, column) for name, column in columns.items()}
    multivector = None if vectors is None else MultiVector(vectors[0].shape[1])
    return Schema(sparse, kinds, _kind(keys), multivector)


def _kind(keys: "Keys") -> Kind:
    return "int" if isinstance(keys, np.ndarray) else "str"
