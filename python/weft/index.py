"""An open index: search, look up, explain, inspect."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy.typing as npt

from weft import _native, inputs, tokens
from weft.errors import Error, InvalidInput
from weft.hits import Hits
from weft.options import Plan, Source, options
from weft.options import late as late_options
from weft.rows import rows
from weft.schema import Schema

if TYPE_CHECKING:
    from weft._types import Answer
    from weft.tune import OperatingPoint
    from weft.tune_late import EffortPoint


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


class TokenMatch(NamedTuple):
    """The token of a document that one row of a query matches best.

    Examples
    --------
    >>> weft.TokenMatch(0, 3, 0.5).document_token
    3
    """

    query_token: int
    document_token: int
    score: float


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

    @property
    def notes(self) -> dict[str, str]:
        """What `Writer.note` left, by name."""
        return self._core.notes

    def search(
        self,
        *,
        sparse: Any = None,
        text: str | Iterable[str] | None = None,
        multivector: Any = None,
        k: int = 10,
        where: str | None = None,
        subset: Iterable[str] | Iterable[int] | npt.NDArray[Any] | None = None,
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
        candidate_source: Source | None = None,
        fuse: Literal["rrf"] | Mapping[str, float] | None = None,
    ) -> Hits:
        """Return the k best documents for each query.

        By `sparse` or `text` alone the answer is exact unless `alpha`, `beta`, `gamma`, `target_recall` or
        `deadline_ms` ask for less. The hits have their full scores all the same, and `Hits.exact` and `Hits.bound` say
        what is proven of them.

        The score of `multivector` is MaxSim: the sum over the rows of a query of their largest product with a token of
        the document. Alone it finds its candidates by sketches where the schema has some, otherwise by the centroids of
        token vectors. Beside `sparse` or `text`, these
        find the candidates, and MaxSim, or what `fuse` says, puts them in order.

        Parameters
        ----------
        sparse : sparse matrix, torch sparse tensor, (indptr, indices, data), dict or list of dict
            Query weights, finite and at least 0. A dict or a one-dimensional array is a single query.
        text : str or iterable of str
            Queries for an index of text. Give either `sparse` or `text`.
        multivector : (n, dim) array, list of arrays, (B, n, dim) array, or (flat, offsets)
            Token vectors of queries, NumPy or torch; a two-dimensional array is a single query. Rows of zeros are
            padding. Nothing is normalised.
        k : int
            Hits for each query, at least 1.
        where : str, optional
            Filter on attributes, such as ``"lang = 'en' and year >= 2020"``.
        subset : iterable of ids, or boolean array of shape (len(index),), optional
            The documents to search among; the mask follows the order of `ids`.
        num_threads : int
            Threads to use, at most 256; 0 for one on each core.
        alpha : float
            Above 0, at most 1. Blocks whose bound times `alpha` is below the k-th best score are skipped.
        beta : float
            Above 0, at most 1. Share of the query's terms, heaviest first, that bounds are made of; documents are
            always scored with all.
        gamma : int, optional
            Superblocks (runs of adjacent blocks) visited at most, over all segments; 0 or None for no limit.
        target_recall : float, optional
            Above 0, below 1. Take `alpha`, `beta` and `gamma`, or `probes` and `candidates`, from what `tune` found for
            this recall, or for the next higher one, at this k or the next larger one, failing that the largest; exact
            where none is as high. For one kind of query at a time.
        min_score : float, optional
            Documents below are not returned.
        deadline_ms : float, optional
            Milliseconds, above 0, for all queries together. What is known by then is returned.
        plan : {"exhaustive", "block-max", "rows"}, optional
            How to search: every posting of the query's terms, the blocks that may hold a hit, or every document
            that passes the filter. `alpha`, `beta` and `gamma` matter to ``"block-max"`` alone. Default: whichever
            is likely to be the fastest, for each query and segment.
        exact : bool
            With `multivector`: score every document that may be a hit, unless a bound proves it worse. Exact means the
            order of the vectors as stored. Otherwise, and with `sparse` or `text` alone, nothing changes.
        candidates : int, optional
            Documents scored by their token vectors. Default: ``max(128, 4 * k)``, or what `tune` found for
            `target_recall`. Time grows with it. Sketches find 16 times as many, of which centroids choose these.
        probes : int, optional
            Cells of centroids that each row of a query looks into for candidates, where these come from there. Default:
            8, or as above.
        candidate_source : {"sparse", "centroids", "sketch", "both"}, optional
            Where candidates come from; ``"both"`` joins those of ``"sparse"`` and of `multivector` alone. Default:
            ``"sparse"`` where there is more than `multivector`, or ``"both"`` with `fuse`; otherwise as above.
        fuse : {"rrf"} or {"sparse": weight, "multivector": weight}, optional
            Order candidates by reciprocal rank fusion or by a weighted sum of both scores. A candidate that sparse
            search did not find has no sparse score. Default: by MaxSim alone.

        Returns
        -------
        Hits
            Arrays of shape (B, k); of shape (k,) for a single query. An index of fewer than k documents gives
            as many columns as it has documents. Documents that share no term with the
            query are never returned.

        Raises
        ------
        InvalidInput
            A query or an argument is malformed; `where` names an attribute that the index has not; `target_recall`
            comes with `alpha`, `beta` or `gamma`, or before `tune`.
        SchemaMismatch
            The index holds no such representation, or another kind of terms or ids.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"], attributes={"year": [1, 2]})
        >>> index.search(text="red", where="year > 1")[0].id
        'b'
        >>> hits = index.search(text="red", k=1, alpha=0.8, gamma=100)
        >>> bool(hits.exact), bool(hits.bound <= hits.scores[0])
        (True, True)
        """
        core = self._core
        late = late_options(exact, candidates, probes, candidate_source, fuse)
        arguments = (
            inputs.integer("k", k, low=1),
            None if where is None else inputs.text("where", where),
            None if subset is None else inputs.mask_or_keys(subset, self._schema.ids),
            options(alpha, beta, gamma, target_recall, min_score, deadline_ms, plan, num_threads),
        )
        _some_query(sparse, text, multivector)
        texts, single = (None, False) if text is None else inputs.texts(text)
        native, single = (None, single) if sparse is None else rows(sparse, self._schema.terms)
        if multivector is not None:
            if target_recall is not None and (sparse is not None or text is not None):
                raise InvalidInput("target_recall was measured for one kind of query; pass candidates= with two")
            flat, offsets, single = tokens.queries(multivector, self._dim)
            answer = core.search_late((flat, offsets), native, texts, *arguments, late)
        elif texts is not None:
            answer = core.search_text(texts, *arguments)
        elif native is not None:
            answer = core.search_sparse(native, *arguments)
        return _hits(answer, single)

    def rerank(
        self,
        *,
        multivector: Any,
        ids: Iterable[Any],
        num_threads: int = 0,
    ) -> Hits:
        """Return the MaxSim of given documents, best first.

        Parameters
        ----------
        multivector : array or list of arrays
            Queries, as `search` takes them.
        ids : iterable of ids, or one such iterable for each query
            The documents to score; for a single query their ids. Documents without token vectors are left out.
        num_threads : int
            As for `search`.

        Returns
        -------
        Hits
            Arrays as wide as the longest answer.

        Raises
        ------
        NotFound
            No document has one of the ids.
        InvalidInput
            A query is malformed, or there are not as many lists of ids as queries.

        Examples
        --------
        >>> import numpy as np
        >>> vectors = [np.eye(8, dtype=np.float32)[:2], np.eye(8, dtype=np.float32)[1:3]]
        >>> index = weft.build("tokens.weft", ids=["a", "b"], multivector=vectors)
        >>> index.rerank(multivector=np.eye(8)[2:3], ids=["a", "b"]).ids.tolist()
        ['b', 'a']
        """
        flat, offsets, single = tokens.queries(multivector, self._dim)
        lists = [ids] if single else inputs.listed("ids", ids)
        keys = [inputs.keys("ids", each, self._schema.ids) for each in lists]
        threads = inputs.integer("num_threads", num_threads, low=0)
        return _hits(self._core.rerank((flat, offsets), keys, threads), single)

    def tune(
        self,
        target_recall: float | Iterable[float] = 0.95,
        *,
        k: int | Iterable[int] = 10,
        queries: Any = None,
        multivector: Any = None,
        samples: int = 256,
        seed: int = 0,
        show_progress: bool | None = None,
    ) -> "list[OperatingPoint] | list[EffortPoint]":
        """Find the fastest approximate search that reaches a recall, for ``search(target_recall=...)``.

        For search by sparse vectors or text `alpha`, `beta` and `gamma` are found; for search by token vectors alone,
        `probes` and `candidates`. The latter are tuned where the index holds token vectors alone, or when they are
        passed as `multivector`. What was found before for search of that kind is replaced.

        Answers are compared with those of exact search; a document that ties with the last of them counts as
        found. One half of the queries chooses, by the median time of a search on one thread; the other half says what
        recall to expect. What is found is kept in the index by a commit, and is seen here at once. Documents added
        later do not change it.

        Parameters
        ----------
        target_recall : float or iterable of float
            Above 0, below 1.
        k : int or iterable of int
            Hits for each query; each k is tuned for each target.
        queries : any form that `search` takes, optional
            Texts for an index of text, sparse vectors for an index of these, otherwise token vectors: at least 2,
            better hundreds, of the kind to come. Default: the 32 heaviest terms, or 32 random tokens, of random
            documents, which is second best, for queries are seldom like documents.
        multivector : any form that `search` takes, optional
            Token vectors of queries, for an index that holds sparse vectors or text besides. Give either this or
            `queries`.
        samples : int
            Queries to use at most, at least 2. Each is answered by exact search, which takes long by token vectors.
        seed : int
            Of the random choice of queries, at least 0.
        show_progress : bool, optional
            Default: on a terminal, when tqdm is installed.

        Returns
        -------
        list of OperatingPoint or of EffortPoint
            For each k, each target; an `EffortPoint` for search by token vectors. Where nothing that reaches a target
            saves 5 % of the time, exact search is kept.

        Raises
        ------
        Locked
            A writer has the index open.
        InvalidInput
            An argument is malformed, or there are fewer than two queries or documents.
        SchemaMismatch
            The index holds no vectors or text of this kind, or another kind of terms.

        Examples
        --------
        >>> index = weft.build("tiny.weft", sparse=[{1: 1.0, row: 0.5} for row in range(2, 50)])
        >>> [point] = index.tune(0.9)
        >>> point.k, point.target_recall
        (10, 0.9)
        >>> hits = index.search(sparse={1: 1.0, 7: 2.0}, target_recall=0.9)

        By token vectors:

        >>> import numpy as np
        >>> vectors = np.random.default_rng(0).standard_normal((50, 4, 8))
        >>> index = weft.build("tokens.weft", multivector=vectors)
        >>> [point] = index.tune(0.9, queries=vectors[:20, :2])
        >>> hits = index.search(multivector=vectors[0], target_recall=0.9)
        """
        from weft.tune import tune
        from weft.tune_late import tune_late

        if queries is not None and multivector is not None:
            raise InvalidInput("pass queries= or multivector=, and not both")
        if multivector is not None or (self.schema.sparse is None and self.schema.multivector is not None):
            queries = queries if multivector is None else multivector
            return tune_late(
                self, target_recall, k=k, queries=queries, samples=samples, seed=seed, show_progress=show_progress
            )
        return tune(self, target_recall, k=k, queries=queries, samples=samples, seed=seed, show_progress=show_progress)

    @overload
    def explain(self, id: int | str, *, sparse: Any = None, text: str | None = None) -> list[Contribution]: ...

    @overload
    def explain(self, id: int | str, *, multivector: Any) -> list[TokenMatch]: ...

    def explain(
        self, id: int | str, *, sparse: Any = None, text: str | None = None, multivector: Any = None
    ) -> list[Contribution] | list[TokenMatch]:
        """Return what each term that a query and a document share adds to the score, or each row of a query.

        Parameters
        ----------
        id : str or int
            The document.
        sparse, text, multivector
            One query, in any form that `search` takes.

        Returns
        -------
        list of Contribution or of TokenMatch
            Largest contribution first; or, for `multivector`, the token that each row matches best, by the codes, in
            the order of rows. They add up to the score, up to float rounding.

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
        _some_query(sparse, text, multivector)
        if multivector is not None:
            if sparse is not None or text is not None:
                raise InvalidInput("explain takes one query: pass sparse=, text= or multivector=")
            flat, offsets, _ = tokens.queries(multivector, self._dim)
            return [TokenMatch(*each) for each in core.explain_late(document, (flat, offsets))]
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
            alone, ``sparse``: the weight of each term, and ``multivector``: a float32 array of shape (n, dim), both as
            rounded for storage.

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
    def _dim(self) -> int | None:
        """Dimensions of token vectors; the core says that there are none."""
        return None if self._schema.multivector is None else self._schema.multivector.dim

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


def _some_query(sparse: object, text: object, multivector: object) -> None:
    if sparse is not None and text is not None:
        raise InvalidInput("pass sparse= or text=, and not both")
    if sparse is None and text is None and multivector is None:
        raise InvalidInput("a query is needed: pass sparse=, text= or multivector=")


def _hits(answer: "Answer", single: bool) -> Hits:
    """Return the hits, without the batch axis for a single query."""
    if not single:
        return Hits(*answer)
    ids, scores, counts, exact, bound = answer
    return Hits(ids[0], scores[0], counts[0, ...], exact[0, ...], bound[0, ...])
