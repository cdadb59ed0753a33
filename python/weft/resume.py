"""Where reading of a source stopped, kept in the index beside the documents that were read.

The note is published by the commit that publishes the documents, so that both are there or neither is.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from weft import inputs
from weft.errors import InvalidInput
from weft.sources import Source, source_of

_LONGEST = 1000
"""Characters of a name."""


@dataclass(frozen=True)
class Bookmark:
    """The place in a source that the documents of an index reach to.

    Attributes
    ----------
    name : str
        Of the source: the path of its first file, or what the user calls it.
    stamp : str
        Changes when the files change; empty for objects in memory.
    """

    name: str
    stamp: str

    @property
    def note(self) -> str:
        """Name of the note in the index."""
        return f"reading {hashlib.blake2b(self.name.encode(), digest_size=8).hexdigest()}"

    def text(self, position: int) -> str:
        """Return the note's text after so many documents of the source."""
        return json.dumps({"source": self.name, "documents": position, "stamp": self.stamp})

    def position(self, notes: Mapping[str, str]) -> int:
        """Return how many documents of the source are in the index.

        Raises
        ------
        InvalidInput
            The files were changed since, or the note is none of ours.
        """
        if self.note not in notes:
            return 0
        try:
            held = json.loads(notes[self.note])
            documents, stamp = int(held["documents"]), held["stamp"]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"the note {self.note!r} of the index does not tell where reading stopped; "
                f"pass resume=False to read {self.name} from its beginning"
            ) from error
        if stamp != self.stamp:
            raise InvalidInput(
                f"{self.name} was changed after {documents:,} of its documents had been added; "
                "pass resume=False to read it from its beginning"
            )
        return documents


def bookmark(source: Source, resume: bool | str) -> Bookmark | None:
    """Return the bookmark of a source, None for objects in memory without a name."""
    if isinstance(resume, str) and 0 < len(resume) <= _LONGEST:
        return Bookmark(inputs.text("resume", resume), source.stamp())
    if not isinstance(resume, bool):
        raise InvalidInput(
            f"resume must be True, False or a name of at most {_LONGEST} characters, not {inputs.shown(resume)}"
        )
    return Bookmark(inputs.path(source.files[0]), source.stamp()) if source.files else None


def unfinished(notes: Mapping[str, str], documents: object) -> bool:
    """Whether the notes of an index tell of a file or folder that was not read to its end."""
    found = bookmark(source_of(documents), resume=True)
    return found is not None and found.note in notes
