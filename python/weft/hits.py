"""The answer of a search."""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.errors import Error, InvalidInput


class Hit(NamedTuple):
    """One document found.

    Examples
    --------
    >>> weft.Hit("a", 2.5).score
    2.5
    """

    id: int | str
    score: float


@dataclass(frozen=True, eq=False, repr=False)
class Hits:
    """Documents found, best first: score descending, then insertion order.

    For a batch of B queries the arrays are ``(B, k)``; for a single query they have no batch axis. A row with
    fewer than k hits is padded with id None (-1 for integer ids) and score -inf.

    Iterating over the hits of a batch gives the `Hits` of each query; over those of a single query, each `Hit`.

    Attributes
    ----------
    ids : ndarray of object or int64, shape (B, k) or (k,)
        External ids.
    scores : ndarray of float32, shape (B, k) or (k,)
        Higher is better.
    counts : ndarray of int64, shape (B,) or ()
        How many hits of each row are real.
    exact : ndarray of bool, shape (B,) or ()
        Whether the hits are proven to be the best.
    bound : ndarray of float32, shape (B,) or ()
        No document left out scores higher than this, those below ``min_score`` aside; 0 when every match is here.
        Hits that score higher are among the best whether `exact` or not.

    Examples
    --------
    >>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red red wine"])
    >>> hits = index.search(text="wine", k=5)
    >>> len(hits), hits[0].id
    (1, 'b')
    >>> [len(each) for each in index.search(text=["red", "wine", "tea"])]
    [2, 1, 0]
    """

    ids: npt.NDArray[Any]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]
    bound: npt.NDArray[np.float32]

    @property
    def single(self) -> bool:
        """Whether these are the hits of a single query."""
        return self.counts.ndim == 0

    def __len__(self) -> int:
        """Return the number of queries, or for a single query the number of hits."""
        return int(self.counts) if self.single else len(self.counts)

    def __getitem__(self, position: int) -> Any:
        """Return the `Hits` of one query, or for a single query one `Hit`."""
        position = range(len(self))[position]
        if self.single:
            return Hit(self.ids[position : position + 1].tolist()[0], float(self.scores[position]))
        row = (position, ...)
        return Hits(self.ids[row], self.scores[row], self.counts[row], self.exact[row], self.bound[row])

    def __iter__(self) -> Iterator[Any]:
        """Iterate over queries, or for a single query over hits."""
        return (self[position] for position in range(len(self)))

    def to_list(self) -> list[Any]:
        """Return plain Python values.

        Returns
        -------
        list of dict, or list of list of dict
            One ``{"id": ..., "score": ...}`` a hit; for a batch, one list a query.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=[7], sparse=[{3: 2.0}])
        >>> index.search(sparse={3: 1.0}).to_list()
        [{'id': 7, 'score': 2.0}]
        """
        return [each._asdict() if self.single else each.to_list() for each in self]

    def to_arrow(self) -> Any:
        """Return the hits as an Arrow table.

        Returns
        -------
        pyarrow.Table
            Columns ``query`` (position in the batch, from 0), ``rank`` (from 1), ``id``, ``score``.

        Raises
        ------
        Error
            pyarrow is not installed.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a"], text=["red fox"])
        >>> index.search(text="fox").to_arrow().column_names
        ['query', 'rank', 'id', 'score']
        """
        try:
            import pyarrow  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise Error('to_arrow needs pyarrow: pip install "weft[arrow]"') from error
        return pyarrow.table(self._columns())

    def to_pandas(self) -> Any:
        """Return the hits as a data frame.

        Returns
        -------
        pandas.DataFrame
            The columns of `to_arrow`.

        Raises
        ------
        Error
            pandas is not installed.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=["a"], text=["red fox"])
        >>> index.search(text="fox").to_pandas()["id"].tolist()
        ['a']
        """
        try:
            import pandas  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise Error("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self._columns())

    def to_trec(self, run_id: str = "weft", query_ids: Iterable[str] | Iterable[int] | None = None) -> str:
        """Return the hits as a TREC run, one line a hit.

        Parameters
        ----------
        run_id : str
            Name of the run, the last field of each line.
        query_ids : iterable of str or int, optional
            Ids of the queries, as many as there are. Default: their positions, from 0.

        Returns
        -------
        str
            Lines ``query Q0 document rank score run``.

        Raises
        ------
        InvalidInput
            The number of `query_ids` is wrong, or an id is empty or holds white space, which the format cannot carry.

        Examples
        --------
        >>> index = weft.build("tiny.weft", ids=[7], sparse=[{3: 2.0}])
        >>> print(index.search(sparse={3: 1.0}).to_trec("mine", ["q1"]), end="")
        q1 Q0 7 1 2.0 mine
        """
        queries = [self] if self.single else list(self)
        names = list(range(len(queries))) if query_ids is None else inputs.listed("query_ids", query_ids)
        if len(names) != len(queries):
            raise InvalidInput(f"query_ids has {len(names)} ids for {len(queries)} queries; give one for each")
        run = _field("run_id", run_id)
        lines = []
        for position, hits in enumerate(queries):
            name = _field(f"query_ids: row {position}", names[position])
            for rank, hit in enumerate(hits, start=1):
                document = _field(f"id of hit {rank} of query {name}", hit.id)
                lines.append(f"{name} Q0 {document} {rank} {hit.score} {run}\n")
        return "".join(lines)

    @staticmethod
    def merge(parts: Sequence["Hits"], k: int) -> "Hits":
        """Return the best k hits of several shards, searched with the same queries.

        Parameters
        ----------
        parts : sequence of Hits
            One for each shard. A document belongs in one shard only: ids are not compared.
        k : int
            Hits to keep for each query, at least 1.

        Returns
        -------
        Hits
            Score descending; equal scores in the order of the shards, then of rank. Exact where every part is and
            was searched deep enough for `k`.

        Raises
        ------
        InvalidInput
            No parts, parts of different shapes or kinds of ids, or ``k < 1``.

        Examples
        --------
        >>> one = weft.build("one.weft", ids=["a"], sparse=[{3: 1.0}])
        >>> two = weft.build("two.weft", ids=["b"], sparse=[{3: 2.0}])
        >>> weft.Hits.merge([shard.search(sparse={3: 1.0}) for shard in (one, two)], k=10).ids[:2].tolist()
        ['b', 'a']
        """
        k = inputs.integer("k", k, low=1)
        parts = inputs.listed("parts", parts)
        _check_parts(parts)
        ids = np.concatenate([part.ids for part in parts], axis=-1)
        scores = np.concatenate([part.scores for part in parts], axis=-1)
        order = np.argsort(-scores, axis=-1, kind="stable")
        ids, scores = np.take_along_axis(ids, order, -1), np.take_along_axis(scores, order, -1)
        counts = np.minimum(np.sum([part.counts for part in parts], axis=0, dtype=np.int64), k)
        unseen = np.max([part.bound for part in parts], axis=0)
        last, dropped = _column(scores, k - 1), _column(scores, k)
        exact = np.all([part.exact for part in parts], axis=0) & (unseen <= np.maximum(last, 0))
        bound = np.maximum(unseen, dropped)
        return Hits(ids[..., :k], scores[..., :k], *map(np.asarray, (counts, exact, bound)))

    def _columns(self) -> dict[str, Any]:
        ids, scores = np.atleast_2d(self.ids), np.atleast_2d(self.scores)
        real = np.arange(ids.shape[1]) < np.atleast_1d(self.counts)[:, np.newaxis]
        query, position = np.nonzero(real)
        return {"query": query, "rank": position + 1, "id": ids[real], "score": scores[real]}

    def __repr__(self) -> str:
        if self.single:
            best = f"; best {self[0].id!r} {self[0].score:.4g}" if len(self) else ""
            return f"<weft.Hits: {len(self)} hits{'' if self.exact else ', not proven exact'}{best}>"
        doubted = int(np.count_nonzero(~self.exact))
        doubt = f", {doubted} queries not proven exact" if doubted else ""
        return f"<weft.Hits: {len(self)} queries, {int(self.counts.sum())} hits{doubt}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        columns = self._columns()
        names = [name for name in columns if not (self.single and name == "query")]
        rows = zip(*(columns[name].tolist() for name in names), strict=True)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(_cell(cell))}</td>' for cell in row)}</tr>" for row in rows)
        head = "".join(f"<th>{name}</th>" for name in names)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _field(name: str, value: object) -> str:
    """Return one field of a TREC line."""
    text = str(inputs.key(name, value))
    if not text or text.split() != [text]:
        raise InvalidInput(f"{name} is {inputs.shown(value)}; a TREC run cannot hold white space or an empty id")
    return text


def _column(scores: npt.NDArray[np.float32], column: int) -> Any:
    """Return the scores of one rank, -inf where there are fewer."""
    return scores[..., column] if column < scores.shape[-1] else np.float32(-np.inf)


def _check_parts(parts: Sequence[Hits]) -> None:
    for position, part in enumerate(parts):
        if not isinstance(part, Hits):
            raise InvalidInput(f"parts: row {position} is {inputs.shown(part)}; expected weft.Hits")
    if not parts:
        raise InvalidInput("parts is empty; give the hits of at least one shard")
    for position, part in enumerate(parts):
        if part.counts.shape != parts[0].counts.shape:
            raise InvalidInput(f"parts: row {position} answers other queries than row 0; search every shard alike")
        if part.ids.dtype != parts[0].ids.dtype:
            raise InvalidInput(f"parts: row {position} has {part.ids.dtype} ids but row 0 {parts[0].ids.dtype}")
