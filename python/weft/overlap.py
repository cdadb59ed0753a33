"""Work that goes on beside the caller: items made ahead of it, items taken behind it.

Between two threads lies a queue of bounded length, so that memory is bounded whoever is the slower. Whatever one side
raises, the other sees, and no thread is left at work when the context ends.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a thread which reads is waited for; the read that it hangs in may never return."""


class Channel(Generic[T]):
    """A queue of at most `depth` items from one thread to another, which either may end."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._closed = self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Wait for a place; returns False when nobody takes items any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._depth)
            if not self._stopped:
                self._items.append(item)
                self._changed.notify_all()
            return not self._stopped

    def close(self, error: BaseException | None = None) -> None:
        """Put no more; who takes gets what is left and then the error."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Forget what is left; nobody puts or takes any more."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until there are no more."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed or self._stopped)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None and not self._stopped:
            raise self._error


@contextmanager
def ahead(items: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Iterate in a thread, at most `depth` finished items ahead of the caller.

    An exception of the items comes after the items before it.

    Examples
    --------
    >>> from weft.overlap import ahead
    >>> with ahead((each * each for each in range(4)), depth=2) as squares:
    ...     list(squares)
    [0, 1, 4, 9]
    """
    channel: Channel[T] = Channel(depth)

    def work() -> None:
        try:
            for item in items:
                if not channel.put(item):
                    break
            channel.close()
        except BaseException as error:
            channel.close(error)

    thread = Thread(target=work, name="weft-ahead", daemon=True)
    thread.start()
    try:
        yield iter(channel)
    finally:
        channel.stop()
        thread.join(PATIENCE)


@contextmanager
def behind(take: Callable[[T], object], depth: int) -> Iterator[Callable[[T], None]]:
    """Call a function in a thread, for one item after the other, with at most `depth` items waiting.

    The end of the context waits until all are taken; after an `Exception` too, so that work that was paid for is kept,
    but after an interrupt only for the one at hand. What `take` raises is raised in the caller.

    Examples
    --------
    >>> from weft.overlap import behind
    >>> taken = []
    >>> with behind(taken.append, depth=2) as send:
    ...     send(1)
    ...     send(2)
    >>> taken
    [1, 2]
    """
    channel: Channel[T] = Channel(depth)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for item in channel:
                take(item)
        except BaseException as error:
            failed.append(error)
            channel.stop()

    def send(item: T) -> None:
        if not channel.put(item):
            raise failed[0]

    thread = Thread(target=work, name="weft-behind", daemon=True)
    thread.start()
    try:
        yield send
        channel.close()
    except Exception:
        channel.close()
        raise
    except BaseException:
        channel.stop()
        raise
    finally:
        thread.join()
    if failed:
        raise failed[0]
