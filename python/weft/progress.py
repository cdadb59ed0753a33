"""Progress of long work, shown on a terminal."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from weft.errors import Error

T = TypeVar("T")


def with_progress(items: Iterable[T], total: int | None, show: bool | None, unit: str = " documents") -> Iterable[T]:
    """Return the items, behind a progress bar on stderr when wanted and possible."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (on_terminal if show is None else show):
        return items
    try:
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        if show is None:
            return items
        raise Error("show_progress needs tqdm: pip install tqdm") from error
    bar: Iterable[T] = tqdm(items, total=total, unit=unit, leave=False)
    return bar
