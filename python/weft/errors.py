"""The exceptions of `weft`.

Everything that the library raises on purpose is an `Error`. Each class also derives from the built-in
exception that a caller would expect (`ValueError`, `KeyError`, `OSError`), so existing handlers work.
The compiled core looks these classes up by name.
"""


class Error(Exception):
    """Base of every exception of the library; raised itself when no narrower class fits.

    Examples
    --------
    >>> issubclass(weft.InvalidInput, weft.Error)
    True
    """


class InvalidInput(Error, ValueError):
    """An argument has the wrong type, shape or value. The message names the row and the value."""


class SchemaMismatch(Error, ValueError):
    """The data or the schema differs from the schema that the index was made with."""


class CorruptIndex(Error):
    """A file of the index is not what was committed. Restore the index from a copy or rebuild it."""


class FormatVersion(Error):
    """The index was written by a newer `weft`. Upgrade the library to read it."""


class Locked(Error):
    """Another writer holds the index. Only one writer may be open at a time."""


class NotFound(Error, KeyError):
    """No document has this id, or no index lies at this path."""

    def __str__(self) -> str:
        """Return the message as written; `KeyError` would show its `repr`."""
        return Exception.__str__(self)


class IoError(Error, OSError):
    """The operating system refused a file operation; `errno` and `filename` say which."""
