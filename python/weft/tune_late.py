"""Measuring how much a search by token vectors must look at, and keeping the answer with the index."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from weft import tokens
from weft.errors import InvalidInput, SchemaMismatch
from weft.hits import Hits
from weft.progress import with_progress
from weft.tune import WORTH, Bench, Effort, Trial, arguments, fastest, shuffled
from weft.writer import Writer

if TYPE_CHECKING:
    from weft.index import Index

PROBES = (64, 32, 16, 8, 4, 2, 1)
LEAST_CANDIDATES = 16
GROWTH = 1.5
PSEUDO_QUERY_TOKENS = 32
PASSES = 2
BATCH = 16
"""Queries whose exact answers are sought together, on all cores."""
TIMED = 8
"""Queries that the time of exact search is taken from; it differs little between queries."""


class EffortPoint(NamedTuple):
    """What `Index.tune` found for one k and one target of search by token vectors.

    Attributes
    ----------
    k : int
        Hits for each query.
    target_recall : float
        The recall asked for.
    probes, candidates : int, int
        Of `Index.search`; as many candidates as there are documents where exact search is kept.
    recall : float
        Mean recall on the queries that the effort was not chosen by.
    microseconds, exact_microseconds : float
        Median time of a search on one thread, with this effort and for the exact best of the largest k.

    Examples
    --------
    >>> weft.EffortPoint(10, 0.95, 8, 120, 0.96, 900.0, 31000.0).candidates
    120
    """

    k: int
    target_recall: float
    probes: int
    candidates: int
    recall: float
    microseconds: float
    exact_microseconds: float


def tune_late(
    index: "Index",
    target_recall: float | Iterable[float] = 0.95,
    *,
    k: int | Iterable[int] = 10,
    queries: Any = None,
    samples: int = 256,
    seed: int = 0,
    show_progress: bool | None = None,
) -> list[EffortPoint]:
    """Find the least effort for each k and target and keep it in the index; see `Index.tune`.

    Examples
    --------
    >>> import numpy as np
    >>> from weft.tune_late import tune_late
    >>> index = weft.build("tokens.weft", multivector=np.random.default_rng(0).random((40, 3, 8)))
    >>> [point.target_recall for point in tune_late(index, [0.9, 0.99])]
    [0.9, 0.99]
    """
    targets, depths, most, generator = arguments(target_recall, k, samples, seed)
    if index.schema.multivector is None:
        raise SchemaMismatch("this index has no token vectors to tune the search of")
    with Writer(index.path) as writer:
        index.refresh()
        sampled = _sample(index, index.schema.multivector.dim, queries, most, generator)
        exact = _exact(index, sampled, max(depths), show_progress)
        seconds = _exact_seconds(index, sampled, max(depths))
        benches = (_Bench(index, sampled, depth, exact, seconds) for depth in depths)
        points = [point for bench in benches for point in _points(bench, targets, show_progress)]
        writer._core.set_effort_points([point[:4] for point in points])
        writer.commit()
    index.refresh()
    return points


def _sample(index: "Index", dim: int, queries: Any, most: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return single queries in random order, each as the argument that `Index.search` takes it by."""
    if queries is None:
        return _pseudo_queries(index, most, generator)
    flat, offsets, _ = tokens.queries(queries, dim)
    index.search(multivector=(flat, offsets), k=1, candidates=1, probes=1)  # refuses queries that are not sound
    given = [{"multivector": each} for each in np.split(flat, offsets[1:-1])] if len(offsets) > 1 else []
    return shuffled(given, most, generator)


def _pseudo_queries(index: "Index", most: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return random tokens of random documents as queries."""
    ids = index.ids()
    chosen = ids[generator.permutation(len(ids))[:most]].tolist()
    documents = [vectors for each in chosen if len(vectors := index.get(each)["multivector"])]
    if len(documents) < 2:
        raise InvalidInput("the index holds too few documents to make queries of; pass queries=")
    return [{"multivector": generator.permutation(vectors)[:PSEUDO_QUERY_TOKENS]} for vectors in documents]


def _exact(index: "Index", queries: list[dict[str, Any]], k: int, show_progress: bool | None) -> list[Hits]:
    """Return the exact answer of each query."""
    batches = [queries[start : start + BATCH] for start in range(0, len(queries), BATCH)]
    found: list[Hits] = []
    for batch in with_progress(batches, len(batches), show_progress, " exact searches"):
        found.extend(index.search(multivector=[each["multivector"] for each in batch], k=k, exact=True))
    return found


def _exact_seconds(index: "Index", queries: list[dict[str, Any]], k: int) -> float:
    """Return the median seconds of an exact search."""
    seconds = []
    for query in queries[:TIMED]:
        start = time.perf_counter()
        index.search(**query, k=k, exact=True, num_threads=1)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


class _Bench(Bench[Effort]):
    """A bench that tries each effort once, whatever the targets."""

    def __init__(
        self, index: "Index", queries: list[dict[str, Any]], k: int, exact: list[Hits], seconds: float
    ) -> None:
        super().__init__(index, queries, k, exact)
        # Sketches, where there are some, find candidates without cells.
        self.probes = PROBES if index.schema.sketch is None else PROBES[-1:]
        self.candidates = _growing(max(k, LEAST_CANDIDATES), len(index))
        self.exact = Trial(Effort(max(PROBES), max(len(index), 1)), 1.0, seconds)
        self._tried: dict[Effort, Trial[Effort]] = {}

    def first_trial(self, effort: Effort) -> Trial[Effort]:
        """Search with every query of the first half, unless that was done before."""
        if effort not in self._tried:
            self._tried[effort] = self.trial(effort)
        return self._tried[effort]


def _growing(least: int, documents: int) -> list[int]:
    """Return numbers of candidates, ascending, below the number of documents, with which search is exact."""
    found = []
    while least < documents:
        found.append(least)
        least = round(least * GROWTH)
    return found


def _points(bench: _Bench, targets: list[float], show_progress: bool | None) -> Iterator[EffortPoint]:
    exact = bench.exact
    for target in targets:
        trials = with_progress(_frontier(bench, target), None, show_progress, " trials")
        best = fastest(bench, trials, target, exact, PASSES)
        yield EffortPoint(
            bench.k,
            target,
            *best.knobs,
            exact.recall if best is exact else bench.held_out_recall(best.knobs),
            best.seconds * 1e6,
            exact.seconds * 1e6,
        )


def _frontier(bench: _Bench, target: float) -> Iterator[Trial[Effort]]:
    """Try the efforts that may be the fastest to reach the target.

    Time and recall grow with probes and with candidates, so that the least sufficient candidates lie on a staircase:
    on to fewer probes after a success, up to more candidates after a failure. More candidates are not tried where
    those that failed took longer already than what is known to suffice.
    """
    least = WORTH * bench.exact.seconds
    probes, candidates = iter(bench.probes), iter(bench.candidates)
    probed, count = next(probes, None), next(candidates, None)
    while probed is not None and count is not None:
        trial = bench.first_trial(Effort(probed, count))
        yield trial
        if trial.recall >= target:
            least = min(least, trial.seconds)
            probed = next(probes, None)
        elif trial.seconds >= least:
            probed = next(probes, None)
        else:
            count = next(candidates, None)
