"""From documents to an index: read and tokenised, encoded, written, each beside the others.

With encoders a thread reads and tokenises, the caller encodes, and a thread writes; `weft.overlap` bounds what waits
between them. Without encoders there is nothing to wait for, and the caller does everything.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weft.batches import Chunk, Document, Sink, chunks, shaped
from weft.overlap import ahead, behind
from weft.resume import Bookmark
from weft.writer import Writer

if TYPE_CHECKING:
    from weft.encoders import Encoder

TEXTS_TO_WRITE = 4096
"""Documents of a chunk that no encoder sees."""
TEXTS_TO_ENCODE = 1024
"""Documents of a chunk for encoders, which sort them by length."""
WAITING = 2
"""Chunks that wait to be encoded, at most."""


@dataclass(frozen=True)
class Report:
    """What `TextIndex.add` has done.

    Attributes
    ----------
    documents : int
        Documents read and added, those that a later one replaced included.
    tokens : int
        Tokens of their texts, special ones included, over all encoders; of encoders that do not say, none.
    truncated : int
        Texts that were longer than an encoder takes, and were cut, over all encoders.
    seconds : float
        Wall time.
    model_seconds : float
        Of these, what the encoders took.
    resumed : int
        Documents passed over because an earlier call had added them.

    Examples
    --------
    >>> report = weft.TextIndex("notes.weft").add([{"id": 1, "text": "Buy a fox."}])
    >>> report.documents, report.truncated
    (1, 0)
    """

    documents: int
    tokens: int
    truncated: int
    seconds: float
    model_seconds: float
    resumed: int

    @property
    def utilisation(self) -> float:
        """Share of the time in which an encoder was at work, from 0 to 1."""
        return self.model_seconds / self.seconds if self.seconds else 0.0


class Encoding:
    """Turns the texts of chunks into vectors by encoders, and counts.

    Parameters
    ----------
    encoders : mapping of {"sparse", "multivector"} to Encoder
    writer : Writer
        Whose schema the vectors must fit.
    """

    def __init__(self, encoders: "Mapping[str, Encoder]", writer: Writer) -> None:
        self._encoders = encoders
        self._writer = writer
        self.tokens = self.truncated = 0
        self.seconds = 0.0

    def prepare(self, chunk: Chunk) -> tuple[Chunk, dict[str, Any]]:
        """Tokenise for each encoder that does so apart from encoding; for any thread."""
        able = {kind: encoder for kind, encoder in self._encoders.items() if hasattr(encoder, "tokenize")}
        return chunk, {kind: encoder.tokenize(chunk.texts) for kind, encoder in able.items()}

    def encode(self, chunk: Chunk, prepared: Mapping[str, Any]) -> dict[str, Any]:
        """Return the vectors of each representation, as `Writer.add` takes them."""
        vectors = {}
        for kind, encoder in self._encoders.items():
            begun = time.monotonic()
            if kind in prepared:
                made = encoder.encode_tokens(prepared[kind])  # type: ignore[attr-defined,unused-ignore]
                self.tokens += len(prepared[kind].ids)
                self.truncated += prepared[kind].truncated
            else:
                made = encoder.encode_document(chunk.texts, show_progress_bar=False)
            self.seconds += time.monotonic() - begun
            vectors[kind] = shaped(kind, made, self._writer, chunk)
        return vectors


def run(
    documents: Iterable[Document],
    writer: Writer,
    encoders: "Mapping[str, Encoder]",
    *,
    start: int,
    commit_every: int | None,
    bookmark: Bookmark | None,
    advance: Callable[[int, str], None],
) -> Report:
    """Add documents to a writer; the caller commits the last of them.

    Parameters
    ----------
    documents : iterable of Document
        Those of the source from `start` on.
    writer : Writer
    encoders : mapping of {"sparse", "multivector"} to Encoder
    start : int
        How many documents of the source had been added before.
    commit_every : int, optional
        Documents between commits. Default: by time where there are encoders, else none.
    bookmark : Bookmark, optional
        Says after each such commit how far the source was read.
    advance : callable
        Told of progress, as by `weft.progress.progress`.
    """
    begun = time.monotonic()
    sink = Sink(writer, commit_every, bool(encoders), bookmark)
    encoding = Encoding(encoders, writer)
    most = TEXTS_TO_ENCODE if encoders else TEXTS_TO_WRITE
    end = start

    def done(chunk: Chunk) -> None:
        nonlocal end
        rate = encoding.tokens / (time.monotonic() - begun)
        advance(chunk.end - end, f"{rate:,.0f} tokens/s" if rate else "")
        end = chunk.end

    work = _overlapped if encoders else _in_turn
    work(chunks(documents, start, min(most, commit_every or most)), encoding, sink, done)
    sink.finish()
    seconds = time.monotonic() - begun
    return Report(end - start, encoding.tokens, encoding.truncated, seconds, encoding.seconds, start)


def _in_turn(grouped: Iterable[Chunk], _: Encoding, sink: Sink, done: Callable[[Chunk], None]) -> None:
    for chunk in grouped:
        sink.take(chunk, {})
        done(chunk)


def _overlapped(grouped: Iterable[Chunk], encoding: Encoding, sink: Sink, done: Callable[[Chunk], None]) -> None:
    def write(encoded: tuple[Chunk, dict[str, Any]]) -> None:
        sink.take(*encoded)

    # Of what is to be written one chunk waits: token vectors are large.
    with ahead(map(encoding.prepare, grouped), WAITING) as prepared, behind(write, depth=1) as send:
        for chunk, tokens in prepared:
            send((chunk, encoding.encode(chunk, tokens)))
            done(chunk)
