"""Measuring how much exactness to give up for how much time, and keeping the answer with the index."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from weft import inputs
from weft.errors import InvalidInput, SchemaMismatch
from weft.hits import Hits
from weft.options import recall
from weft.progress import with_progress
from weft.rows import rows
from weft.schema import Bm25
from weft.writer import Writer

if TYPE_CHECKING:
    from weft._types import Rows
    from weft.index import Index

ALPHAS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
BETAS = (1.0, 0.7, 0.5, 0.3)
SUPERBLOCK = 16
"""Blocks in a superblock of the core; here it only saves trials that would change nothing."""
PSEUDO_QUERY_TERMS = 32
FINALISTS = 4
PASSES = 5
WORTH = 0.95
"""Exact search is kept unless something takes at most this share of its time; less may be noise."""


class OperatingPoint(NamedTuple):
    """What `Index.tune` found for one k and one target.

    Attributes
    ----------
    k : int
        Hits for each query.
    target_recall : float
        The recall asked for.
    alpha, beta, gamma : float, float, int
        The knobs of `Index.search`; 1, 1 and 0 where exact search is kept.
    recall : float
        Mean recall on the queries that the knobs were not chosen by.
    microseconds, exact_microseconds : float
        Median time of a search on one thread, with the knobs and without.

    Examples
    --------
    >>> weft.OperatingPoint(10, 0.95, 0.8, 0.5, 64, 0.96, 120.0, 310.0).alpha
    0.8
    """

    k: int
    target_recall: float
    alpha: float
    beta: float
    gamma: int
    recall: float
    microseconds: float
    exact_microseconds: float


class _Knobs(NamedTuple):
    alpha: float
    beta: float
    gamma: int


class Effort(NamedTuple):
    """How much a search by token vectors looks at."""

    probes: int
    candidates: int


K = TypeVar("K", _Knobs, Effort)
"""Knobs: arguments of `Index.search` by name."""


class Trial(NamedTuple, Generic[K]):
    """Knobs with their mean recall and median seconds."""

    knobs: K
    recall: float
    seconds: float


_EXACT = _Knobs(1.0, 1.0, 0)
_Trial: TypeAlias = Trial[_Knobs]


def tune(
    index: "Index",
    target_recall: float | Iterable[float] = 0.95,
    *,
    k: int | Iterable[int] = 10,
    queries: Any = None,
    samples: int = 256,
    seed: int = 0,
    show_progress: bool | None = None,
) -> list[OperatingPoint]:
    """Find the fastest knobs for each k and target and keep them in the index; see `Index.tune`.

    Examples
    --------
    >>> from weft.tune import tune
    >>> index = weft.build("tiny.weft", sparse=[{1: 1.0, row: 0.5} for row in range(2, 50)])
    >>> [point.target_recall for point in tune(index, [0.9, 0.99])]
    [0.9, 0.99]
    """
    targets, depths, most, generator = arguments(target_recall, k, samples, seed)
    if index.schema.sparse is None:
        raise SchemaMismatch("this index has no sparse vectors to tune the search of")
    with Writer(index.path) as writer:
        index.refresh()
        sampled = _sample(index, queries, most, generator)
        points = [point for depth in depths for point in _points(_Bench(index, sampled, depth), targets, show_progress)]
        writer._core.set_operating_points(
            [(point.k, point.target_recall, *_Knobs(point.alpha, point.beta, point.gamma)) for point in points]
        )
        writer.commit()
    index.refresh()
    return points


def arguments(
    target_recall: object, k: object, samples: object, seed: object
) -> tuple[list[float], list[int], int, np.random.Generator]:
    """Return the targets, each k, how many queries to use at most, and what chooses them."""
    targets = [recall("target_recall", each) for each in _several("target_recall", target_recall)]
    depths = [inputs.integer("k", each, low=1) for each in _several("k", k)]
    most = inputs.integer("samples", samples, low=2)
    return targets, depths, most, np.random.default_rng(inputs.integer("seed", seed, low=0))


def _several(name: str, value: object) -> list[Any]:
    """Return the values, also of one that was given alone."""
    values = inputs.listed(name, value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not values:
        raise InvalidInput(f"{name} is empty; give at least one")
    return values


def _sample(index: "Index", queries: Any, most: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return single queries in random order, each as the argument that `Index.search` takes it by."""
    if queries is None:
        return _pseudo_queries(index, most, generator)
    given: list[dict[str, Any]]
    if isinstance(index.schema.sparse, Bm25):
        given = [{"text": each} for each in inputs.texts(queries)[0]]
    else:
        native = rows(queries, index.schema.terms)[0]
        index.search(sparse=native, k=1)  # refuses rows that are not sound
        given = [{"sparse": each} for each in _single_rows(native)]
    return shuffled(given, most, generator)


def shuffled(queries: list[dict[str, Any]], most: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return at most so many of the queries in random order."""
    if len(queries) < 2:
        raise InvalidInput(f"queries: tune needs at least 2, not {len(queries)}")
    return [queries[position] for position in generator.permutation(len(queries))[:most]]


def _pseudo_queries(index: "Index", most: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return the heaviest terms of random documents as queries."""
    ids = index.ids()
    chosen = ids[generator.permutation(len(ids))[:most]].tolist()
    documents = [sorted(index.get(each)["sparse"].items(), key=lambda item: -item[1]) for each in chosen]
    found = [{"sparse": dict(document[:PSEUDO_QUERY_TERMS])} for document in documents if document]
    if len(found) < 2:
        raise InvalidInput("the index holds too few documents to make queries of; pass queries=")
    return [{"sparse": rows(each["sparse"], index.schema.terms)[0]} for each in found]


def _single_rows(native: "Rows") -> "Iterator[Rows]":
    indptr, terms, weights = native
    for start, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        yield np.array([0, end - start]), terms[start:end], weights[start:end]


class Bench(Generic[K]):
    """Queries with their exact answers, half to choose knobs by and half to judge the choice."""

    def __init__(self, index: "Index", queries: list[dict[str, Any]], k: int, exact: Iterable[Hits]) -> None:
        self.k = k
        self._index = index
        self._queries = queries
        self._half = (len(queries) + 1) // 2
        self._least = [_least(hits, k) for hits in exact]

    def trial(self, knobs: K, passes: int = 1) -> Trial[K]:
        """Search with every query of the first half."""
        measured = [self._measure(position, knobs) for _ in range(passes) for position in range(self._half)]
        found, seconds = zip(*measured, strict=True)
        return Trial(knobs, float(np.mean(found)), float(np.median(seconds)))

    def held_out_recall(self, knobs: K) -> float:
        """Return the mean recall over the second half."""
        positions = range(self._half, len(self._queries))
        return float(np.mean([self._measure(position, knobs)[0] for position in positions]))

    def _measure(self, position: int, knobs: K) -> tuple[float, float]:
        """Return the recall of one query, and its seconds."""
        query = {**self._queries[position], **knobs._asdict()}
        start = time.perf_counter()
        hits = self._index.search(**query, k=self.k, num_threads=1)
        seconds = time.perf_counter() - start
        least, count = self._least[position]
        return (np.count_nonzero(hits.scores >= least) / count if count else 1.0), seconds


def _least(exact: Hits, k: int) -> tuple[float, int]:
    """Return the score that a hit must reach to be one of the exact k, and how many there are.

    Documents that tie with the last hit count as found; hits have their full scores whatever the knobs.
    """
    count = min(int(exact.counts.sum()), k)
    return (float(exact.scores[..., count - 1].item()) if count else 0.0), count


def fastest(bench: Bench[K], trials: Iterable[Trial[K]], target: float, exact: Trial[K], passes: int) -> Trial[K]:
    """Return the fastest that reaches the target, measured anew in so many passes; `exact` where none saves enough."""
    reaching = sorted((trial for trial in trials if trial.recall >= target), key=lambda trial: trial.seconds)
    finalists = dict.fromkeys(trial.knobs for trial in reaching[:FINALISTS])
    measured = [bench.trial(knobs, passes) for knobs in finalists if knobs != exact.knobs]
    best = min(measured, key=lambda trial: trial.seconds, default=exact)
    return best if best.seconds <= WORTH * exact.seconds else exact


class _Bench(Bench[_Knobs]):
    def __init__(self, index: "Index", queries: list[dict[str, Any]], k: int) -> None:
        super().__init__(index, queries, k, (index.search(**query, k=k, num_threads=1) for query in queries))

    @property
    def gammas(self) -> list[int]:
        """Limits from none downwards to 1."""
        sparse = self._index.schema.sparse
        superblocks = len(self._index) // (sparse.block_size * SUPERBLOCK) if sparse else 0
        return [0, *(2**power for power in reversed(range(superblocks.bit_length())))]


def _points(bench: _Bench, targets: list[float], show_progress: bool | None) -> Iterator[OperatingPoint]:
    for target in targets:
        trials = list(with_progress(_frontier(bench, target), None, show_progress, " trials"))
        exact = bench.trial(_EXACT, PASSES)
        best = fastest(bench, trials, target, exact, PASSES)
        yield OperatingPoint(
            bench.k,
            target,
            *best.knobs,
            bench.held_out_recall(best.knobs),
            best.seconds * 1e6,
            exact.seconds * 1e6,
        )


def _frontier(bench: _Bench, target: float) -> Iterator[_Trial]:
    """Try the knobs that may be the fastest to reach the target.

    Time and recall grow with alpha and with gamma, so that for each beta the smallest sufficient alpha of every
    gamma lies on a staircase: down to the next gamma after a success, up to the next alpha after a failure. A
    smaller beta is tried while it helps.
    """
    fastest = np.inf
    for beta in BETAS:
        before = fastest
        alphas, gammas = iter(ALPHAS), iter(bench.gammas)
        alpha, gamma = next(alphas, None), next(gammas, None)
        while alpha is not None and gamma is not None:
            trial = bench.trial(_Knobs(alpha, beta, gamma))
            yield trial
            if trial.recall >= target:
                fastest = min(fastest, trial.seconds)
                gamma = next(gammas, None)
            else:
                alpha = next(alphas, None)
        if fastest == before and beta < BETAS[0]:
            return
