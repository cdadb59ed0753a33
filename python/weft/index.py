"""An open index: search, look up, explain, inspect."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from weft import _native, inputs
from weft.errors import Error, InvalidInput
from weft.hits import Hits
from weft.rows import rows
from weft.schema import Schema


class Contribution(NamedTuple):
    """What one term adds to the score of a document.

    Examples
    --------
    >>> weft.Contribution("fox", 0.5, 2.0, 1.0).term
    'fox'
    """

    term: int | str
    query_weight: float
    document_weight: float
    contribution: float


class Index:
    """One generation of an index, mapped from disk.

    The index sees the same documents until `refresh`, whatever a writer does meanwhile. It may be shared by
    threads, used as a context manager, and pickled: the copy opens the same path again.

    Parameters
    ----------
    path : str or path object
        The folder of the index.

    Raises
    ------
    Error
        The index is missing (`NotFound`), unreadable (`IoError`), damaged (`CorruptIndex`) or newer than this
        library (`FormatVersion`).

    Examples
    --------
    >>> _ = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red red wine"])
    >>> with weft.open("tiny.weft") as index:
    ...     len(index), "a" in index
    (2, True)
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = inputs.path(path)
        self._native: _native.Index | None = _native.Index(self._path)
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
        """Number of the commit that is seen."""
        return self._core.generation

    def search(
        self,
        *,
        sparse: Any = None,
        text: str | Iterable[str] | None = None,
        k: int = 10,
        where: str | None = None,
        subset: Iterable[str] | Iterable[int] | npt.NDArray[Any] | None = None,
        num_threads: int = 0,
    ) -> Hits:
        """Return the k best documents for each query.

        Parameters
        ----------
        sparse : sparse matrix, torch sparse tensor, (indptr, indices, data), dict or list of dict
            Query weights, finite and at least 0. A dict or a one-dimensional array is a single query.
        text : str or iterable of str
            Queries for an index of text. Give either `sparse` or `text`.
        k : int
            Hits for each query, at least 1.
        where : str, optional
            Filter on attributes, such as ``"lang = 'en' and year >= 2020"``.
        subset : iterable of ids, or boolean array of shape (len(index),), optional
            The documents to search among; the mask follows the order of `ids`.
        num_threads : int
            Threads to use, at most 256; 0 for one on each core.

        Returns
        -------
        Hits
            Arrays of shape (B, k); of shape (k,) for a single query. An index of fewer than k documents gives
            as many columns as it has documents. Documents that share no term with the
            query are never returned.

        Raises
        ------
        InvalidInput
            A query, `k` or `subset` is malformed; `where` is, or names an attribute that the index has not.
        SchemaMismatch
            The index holds no such representation, or another kind of terms or ids.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"], attributes={"year": [1, 2]})
        >>> index.search(text="red", where="year > 1")[0].id
        'b'
        """
        core = self._core
        options = (
            inputs.integer("k", k, low=1),
            None if where is None else inputs.text("where", where),
            None if subset is None else inputs.mask_or_keys(subset, self._schema.ids),
            inputs.integer("num_threads", num_threads, low=0),
        )
        _one_of(sparse, text)
        if text is not None:
            queries, single = inputs.texts(text)
            answer = core.search_text(queries, *options)
        else:
            native, single = rows(sparse, self._schema.terms)
            answer = core.search_sparse(native, *options)
        ids, scores, counts = answer
        return Hits(ids[0], scores[0], counts[0, ...]) if single else Hits(ids, scores, counts)

    def explain(self, id: int | str, *, sparse: Any = None, text: str | None = None) -> list[Contribution]:
        """Return what each term that a query and a document share adds to the score.

        Parameters
        ----------
        id : str or int
            The document.
        sparse, text
            One query, in any form that `search` takes.

        Returns
        -------
        list of Contribution
            Largest contribution first; they add up to the score, up to float rounding.

        Raises
        ------
        NotFound
            No document has this id.
        InvalidInput
            The query is malformed, or there is more than one.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a"], sparse=[{3: 2.0, 5: 1.0}])
        >>> [each.term for each in index.explain("a", sparse={3: 1.0, 5: 1.0, 9: 1.0})]
        [3, 5]
        """
        core = self._core
        document = inputs.key("id", id)
        _one_of(sparse, text)
        if text is not None:
            found = core.explain_text(document, inputs.text("text", text))
        else:
            native, _ = rows(sparse, self._schema.terms)
            if len(native[0]) != 2:
                raise InvalidInput(f"explain takes one query; indptr has {len(native[0])} entries, not 2")
            found = core.explain_sparse(document, native)
        return sorted((Contribution(*each) for each in found), key=lambda each: -each.contribution)

    def get(self, id: int | str) -> dict[str, Any]:
        """Return what is stored of a document.

        Parameters
        ----------
        id : str or int
            The document.

        Returns
        -------
        dict
            ``id``; ``attributes`` by name, None where there is no value; and, unless the index holds attributes
            alone, ``sparse``: the weight of each term, as rounded for storage.

        Raises
        ------
        NotFound
            No document has this id.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a"], text=["red fox"], attributes={"year": [1984]})
        >>> index.get("a")["attributes"]["year"]
        1984
        """
        return self._core.get(inputs.key("id", id))

    def __contains__(self, id: int | str) -> bool:
        """Whether a document has this id."""
        return bool(self._core.contains(inputs.keys("id", [id], self._schema.ids))[0])

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._core)

    def ids(self) -> npt.NDArray[Any]:
        """Return all ids in insertion order.

        Returns
        -------
        ndarray of object or int64, shape (len(index),)

        Examples
        --------
        >>> weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"]).ids().tolist()
        ['a', 'b']
        """
        return self._core.ids()

    def stats(self) -> dict[str, Any]:
        """Return counts and sizes in bytes, of the whole index and of its parts.

        Returns
        -------
        dict

        Examples
        --------
        >>> weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"]).stats()["documents"]
        2
        """
        return self._core.stats()

    def verify(self) -> dict[str, Any]:
        """Read every byte of the newest generation and compare it with its checksum; see `weft.verify`.

        Examples
        --------
        >>> report = weft.build("tiny.weft", ids=["a"], text=["red fox"]).verify()
        """
        return verify(self._path)

    def refresh(self) -> bool:
        """Move to the newest generation.

        Returns
        -------
        bool
            Whether there was a newer one.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a"], text=["red fox"])
        >>> with weft.Writer("tiny.weft") as writer:
        ...     writer.add(["b"], text=["red wine"])
        >>> len(index), index.refresh(), len(index)
        (1, True, 2)
        """
        return self._core.refresh()

    def close(self) -> None:
        """Let go of the files. Closing twice is allowed; any other use raises `Error`."""
        self._native = None

    @property
    def _core(self) -> _native.Index:
        if self._native is None:
            raise Error(f"the index {self._path} is closed; open it again with weft.open")
        return self._native

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type["Index"], tuple[str]]:
        return Index, (self._path,)

    def __repr__(self) -> str:
        state = "closed" if self._native is None else f"{len(self)} documents, generation {self.generation}"
        return f"<weft.Index {self._path!r}: {state}>"


def open(path: str | PathLike[str]) -> Index:
    """Open an index for searching; the files are mapped, not read.

    Parameters
    ----------
    path : str or path object
        The folder of the index.

    Returns
    -------
    Index

    Raises
    ------
    Error
        As `Index`.

    Examples
    --------
    >>> _ = weft.build("tiny.weft", ids=["a"], text=["red fox"])
    >>> weft.open("tiny.weft").search(text="fox")[0].id
    'a'
    """
    return Index(path)


def verify(path: str | PathLike[str]) -> dict[str, Any]:
    """Read every byte of the newest generation and compare it with its checksum.

    Works on an index too damaged to open.

    Parameters
    ----------
    path : str or path object
        The folder of the index.

    Returns
    -------
    dict
        What was read.

    Raises
    ------
    CorruptIndex
        A file is not what was committed; the message names it.

    Examples
    --------
    >>> _ = weft.build("tiny.weft", ids=["a"], text=["red fox"])
    >>> report = weft.verify("tiny.weft")
    """
    return _native.verify(inputs.path(path))


def _one_of(sparse: object, text: object) -> None:
    if (sparse is None) == (text is None):
        raise InvalidInput("a query is needed: pass sparse= or text=, and not both")
