"""How to search: what may be given up for time, and what is not wanted at all."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from weft import inputs
from weft.errors import InvalidInput

if TYPE_CHECKING:
    from weft._types import Late, Options

Plan = Literal["exhaustive", "block-max", "rows"]
Source = Literal["sparse", "centroids", "sketch", "both"]

_PLANS = get_args(Plan)
_SOURCES = get_args(Source)
_LONGEST_MS = 24 * 3600 * 1000


def options(
    alpha: float,
    beta: float,
    gamma: int | None,
    target_recall: float | None,
    min_score: float | None,
    deadline_ms: float | None,
    plan: str | None,
    num_threads: int,
) -> "Options":
    """Return the arguments of `Index.search` as the core takes them."""
    limit = 0 if gamma is None else inputs.integer("gamma", gamma, low=0)
    knobs = _share("alpha", alpha), _share("beta", beta), limit
    if target_recall is not None:
        target_recall = recall("target_recall", target_recall)
        if knobs != (1.0, 1.0, 0):
            raise InvalidInput("target_recall chooses alpha, beta and gamma itself; pass it without them")
    if min_score is not None:
        min_score = inputs.number("min_score", min_score)
    if plan is not None and not (isinstance(plan, str) and plan in _PLANS):
        names = ", ".join(f'"{name}"' for name in _PLANS)
        raise InvalidInput(f"plan must be one of {names}, or None; got {inputs.shown(plan)}")
    deadline = None if deadline_ms is None else _seconds(deadline_ms)
    threads = inputs.integer("num_threads", num_threads, low=0)
    return (*knobs, target_recall, min_score, deadline, plan, threads)


def late(exact: object, candidates: object, probes: object, source: object, fuse: object) -> "Late":
    """Return the arguments of `Index.search` that concern token vectors as the core takes them."""
    if not isinstance(exact, (bool, np.bool_)):
        raise InvalidInput(f"exact must be True or False, not {inputs.shown(exact)}")
    if source is not None and not (isinstance(source, str) and source in _SOURCES):
        names = ", ".join(f'"{name}"' for name in _SOURCES)
        raise InvalidInput(f"candidate_source must be one of {names}, or None; got {inputs.shown(source)}")
    return (
        bool(exact),
        None if candidates is None else inputs.integer("candidates", candidates, low=1),
        None if probes is None else inputs.integer("probes", probes, low=1),
        source,
        *_fusion(fuse),
    )


def _fusion(fuse: object) -> tuple[str | None, tuple[float, float] | None]:
    if fuse is None:
        return None, None
    if isinstance(fuse, str) and fuse == "rrf":
        return fuse, None
    if isinstance(fuse, Mapping) and set(fuse) == {"sparse", "multivector"}:
        sparse, multivector = (inputs.number(f"fuse[{name!r}]", fuse[name]) for name in ("sparse", "multivector"))
        return "weights", (sparse, multivector)
    raise InvalidInput(
        f'fuse must be None, "rrf" or {{"sparse": weight, "multivector": weight}}; got {inputs.shown(fuse)}'
    )


def recall(name: str, value: object) -> float:
    """Return a recall to reach, above 0 and below 1."""
    share = inputs.number(name, value)
    if not 0 < share < 1:
        raise InvalidInput(f"{name} must be above 0 and below 1; got {inputs.shown(value)}")
    return share


def _share(name: str, value: object) -> float:
    """Return a share of a whole, above 0 and at most 1."""
    share = inputs.number(name, value)
    if not 0 < share <= 1:
        raise InvalidInput(f"{name} must be above 0 and at most 1; got {inputs.shown(value)}")
    return share


def _seconds(deadline_ms: object) -> float:
    milliseconds = inputs.number("deadline_ms", deadline_ms)
    if not 0 < milliseconds <= _LONGEST_MS:
        raise InvalidInput(f"deadline_ms must be above 0 and at most a day; got {inputs.shown(deadline_ms)}")
    return milliseconds / 1000
