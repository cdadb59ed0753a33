"""Cases of bad input: an argument, the exception that it raises, and words of the message."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import weft
from weft import InvalidInput

INF, NAN = float("inf"), float("nan")
BIG = 2**63


class Case(NamedTuple):
    """One wrong argument."""

    value: Any
    error: type[weft.Error]
    words: str


def bad(value: Any, words: str = "", error: type[weft.Error] = InvalidInput) -> Case:
    return Case(value, error, words)


def both(words: str, *values: Any) -> list[Case]:
    return [bad(value, words) for value in values]


def refused(call: Callable[[], object], case: Case) -> None:
    with pytest.raises(case.error, match=case.words or None) as raised:
        call()
    message = str(raised.value)
    assert message
    assert "\n" not in message
    assert len(message) < 1000


def cases(*groups: Case | list[Case]) -> pytest.MarkDecorator:
    """Parametrise a test over cases and groups of cases."""
    flat = [case for group in groups for case in (group if isinstance(group, list) else [group])]
    return pytest.mark.parametrize("case", flat, ids=[f"{position}" for position in range(len(flat))])


WRONG_COUNTS = [-1, BIG, 2**70, 1.0, 1.5, NAN, "1", None, True, [1], np.float64(1), np.array([1, 2])]
