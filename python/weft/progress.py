"""Progress of long work, shown on a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from weft.errors import Error

T = TypeVar("T")


def with_progress(items: Iterable[T], total: int | None, show: bool | None, unit: str = " documents") -> Iterable[T]:
    """Return the items, behind a progress bar on stderr when wanted and possible."""
    tqdm = _tqdm(show)
    if tqdm is None:
        return items
    bar: Iterable[T] = tqdm(items, total=total, unit=unit, leave=False)
    return bar


@contextmanager
def progress(total: Callable[[], int | None], show: bool | None, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on stderr when wanted and possible.

    Parameters
    ----------
    total : callable
        Returns how many documents there are, or None; asked when there is a bar, which then knows the time left.
    show : bool, optional
        Default: on a terminal, when tqdm is installed.
    done : int
        Documents that were done before.

    Yields
    ------
    callable
        Takes how many more documents are done, and what else to show.
    """
    tqdm = _tqdm(show)
    if tqdm is None:
        yield lambda count, beside: None
        return
    with tqdm(total=total(), initial=done, unit=" documents", leave=False) as bar:

        def advance(count: int, beside: str) -> None:
            bar.set_postfix_str(beside, refresh=False)
            bar.update(count)

        yield advance


class Stages:
    """Shows the stages of one long call of the core on stderr, a bar for each, one after the other."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._work = ""
        self._bar: Any = None

    @classmethod
    def shown(cls, show: bool | None) -> "Stages | None":
        """Return what shows stages, or None when that is not wanted or not possible."""
        tqdm = _tqdm(show)
        return None if tqdm is None else cls(tqdm)

    def __call__(self, work: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of the work are done."""
        if work != self._work:
            self.close()
            self._work, self._bar = work, self._tqdm(total=total, desc=work, unit=" parts", leave=False)
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
        self._work, self._bar = "", None


def _tqdm(show: bool | None) -> Any:
    """Return the class of progress bars, or None when there are to be none."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (on_terminal if show is None else show):
        return None
    try:
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        if show is None:
            return None
        raise Error("show_progress needs tqdm: pip install tqdm") from error
    return tqdm
