"""Why a document was found: which words of a query matched which of it, for terminals and browsers."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

from weft import _native, inputs
from weft.display import plain, reason
from weft.encoded import Encoders
from weft.index import Contribution, Index, TokenMatch
from weft.schema import Bm25

Marked: TypeAlias = tuple[str, float]
"""A piece of the document, and the part of the score that it has."""

TITLE = "title"
TEXT = "text"
"""Attributes: the title of a document, and its text where that is kept."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_BAR = 20
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .1rem 1rem .1rem 0; font-weight: normal; }
th, small { opacity: .65; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
i { display: inline-block; height: .7rem; background: #d9822b; }
mark { color: inherit; border-radius: .2rem; }
p { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, repr=False)
class Explanation(Sequence[Contribution]):
    """Why a document was found; as a sequence, what each term adds to its score, largest first.

    Attributes
    ----------
    query : str
    id : str
    terms : tuple of Contribution
        Empty without sparse vectors or text.
    matches : tuple of TokenMatch
        The token of the document that each row of the query matches best; empty without token vectors.
    query_words, document_words : tuple of str
        What the rows and tokens stand for; empty where the encoder, or a missing text, does not tell.
    document : tuple of (str, float)
        The document in pieces, each with its part of the score: its tokens by `matches`, or else its words by `terms`
        of BM25. Empty where the text is not known.

    Examples
    --------
    >>> notes = weft.TextIndex("notes.weft", attributes={"text": "keyword"})
    >>> report = notes.add([{"id": "a", "text": "Foxes hunt."}])
    >>> print(notes.explain("hunting", "a"))
    a: hunting
      term  query  document  score
      hunt  0.288     1.001  0.288  ████████████████████
    """

    query: str
    id: str
    terms: tuple[Contribution, ...] = ()
    matches: tuple[TokenMatch, ...] = ()
    query_words: tuple[str, ...] = ()
    document_words: tuple[str, ...] = ()
    document: tuple[Marked, ...] = ()

    @overload
    def __getitem__(self, position: int) -> Contribution: ...

    @overload
    def __getitem__(self, position: slice) -> tuple[Contribution, ...]: ...

    def __getitem__(self, position: int | slice) -> Contribution | tuple[Contribution, ...]:
        """Return the contribution of a term."""
        return self.terms[position]

    def __len__(self) -> int:
        """Return how many terms there are."""
        return len(self.terms)

    def to_html(self) -> str:
        """Return a page that needs nothing else: no script, no network; texts are escaped.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> report = notes.add([{"id": "<a>", "text": "Foxes hunt."}])
        >>> "&lt;a&gt;" in notes.explain("hunting", "<a>").to_html()
        True
        """
        return page([self])

    def summary(self, most: int = 4) -> str:
        """Return on one line what counts most, for a list of hits.

        Examples
        --------
        >>> notes = weft.TextIndex("notes.weft")
        >>> report = notes.add([{"id": "a", "text": "Foxes hunt."}])
        >>> notes.explain("hunting", "a").summary()
        'hunt 100%'
        """
        parts = [] if self.matches and not self.terms else [reason(self.terms, most)]
        if self.query_words and self.document_words:
            pairs = [
                (self.query_words[each.query_token], self.document_words[each.document_token]) for each in self._best()
            ]
            shown = dict.fromkeys(f"{plain(query)} → {plain(document)}" for query, document in pairs)
            parts += list(shown)[:most]
        elif self.matches:
            parts.append("token vectors")
        return " · ".join(parts)

    def tables(self) -> str:
        """Return terms and matches as tables for a terminal."""
        lines = []
        for heading, rows in _tables(self):
            lines += _lines([heading, *([*cells, _bar(share)] for cells, share in rows)])
        return "\n".join(lines)

    def _best(self) -> list[TokenMatch]:
        """Return the matches of words, best first; special tokens such as ``[CLS]`` are none."""
        words = (each for each in self.matches if not self.query_words[each.query_token].startswith("["))
        return sorted(words, key=lambda each: -each.score)

    def _repr_html_(self) -> str:
        """Return the tables for notebooks."""
        return _article(self)

    def __str__(self) -> str:
        """Return the tables behind the names of document and query."""
        return f"{plain(self.id)}: {plain(self.query)}\n{self.tables()}".rstrip()

    def __repr__(self) -> str:
        return f"<weft.Explanation of {self.id!r}: {len(self.terms)} terms, {len(self.matches)} token matches>"


def explain(index: Index, encoders: Encoders, query: str, id: int | str, text: str | None = None) -> Explanation:
    """Explain why a document of an index is found by a query.

    Parameters
    ----------
    index : Index
    encoders : Encoders
        Those of the index.
    query : str
    id : int or str
    text : str, optional
        The document, title first. Default: what the index has kept.
    """
    asked = encoders.queries([inputs.text("query", query)])
    text = _kept(index, id) if text is None else inputs.text("text", text)
    vectors = asked.pop("multivector", None)
    terms = tuple(index.explain(id, **({"text": query} if "text" in asked else asked))) if asked else ()
    bm25 = index.schema.sparse
    document = marked_words(text, bm25, terms) if text is not None and isinstance(bm25, Bm25) else ()
    if vectors is None:
        return Explanation(query, str(id), terms, document=document)
    matches = tuple(index.explain(id, multivector=vectors))
    encoder, tokens = encoders["multivector"], len(index.get(id)["multivector"])
    asked_words = _words(encoder, query, "query", len(vectors[0]))
    words = () if text is None else _words(encoder, text, "document", tokens)
    return Explanation(
        query, str(id), terms, matches, asked_words, words, marked_tokens(words, matches) if words else document
    )


def joined(title: str | None, text: str) -> str:
    """Return title and text of a document as they are indexed."""
    return f"{title} {text}" if title else text


def page(explanations: Iterable[Explanation], title: str = "weft") -> str:
    """Return a page of HTML with an explanation after the other.

    Examples
    --------
    >>> from weft.explanation import Explanation, page
    >>> "<h2>a</h2>" in page([Explanation("fox", "a")])
    True
    """
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_escaped(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(map(_article, explanations))
        + "\n</body></html>\n"
    )


def marked_words(text: str, bm25: Bm25, terms: Sequence[Contribution]) -> tuple[Marked, ...]:
    """Return a text in pieces, its words with what their terms add to the score.

    Examples
    --------
    >>> from weft.explanation import marked_words
    >>> marked_words("Foxes hunt.", weft.Bm25(), [weft.Contribution("fox", 1.0, 0.5, 0.5)])
    (('Foxes', 0.5), (' ', 0.0), ('hunt', 0.0), ('.', 0.0))
    """
    adds = {each.term: each.contribution for each in terms}
    return tuple((piece, sum((adds.get(term, 0.0) for term in _analysed(piece, bm25)), 0.0)) for piece in _pieces(text))


def marked_tokens(words: Sequence[str], matches: Sequence[TokenMatch]) -> tuple[Marked, ...]:
    """Return tokens, each with the sum of what the rows of the query score with it.

    Examples
    --------
    >>> from weft.explanation import marked_tokens
    >>> marked_tokens(["red", "fox"], [weft.TokenMatch(0, 1, 0.5), weft.TokenMatch(1, 1, 0.25)])
    (('red', 0.0), ('fox', 0.75))
    """
    scores = [0.0] * len(words)
    for match in matches:
        scores[match.document_token] += match.score
    return tuple(zip(words, scores, strict=True))


def _kept(index: Index, id: int | str) -> str | None:
    """Return title and text of a document where both are kept."""
    held = index.get(id)["attributes"]
    return joined(held.get(TITLE), held[TEXT]) if held.get(TEXT) is not None else None


def _words(encoder: Any, text: str, role: str, rows: int) -> tuple[str, ...]:
    """Return what each row of the encoding of a text stands for; nothing where the encoder does not tell."""
    words = encoder.labels(text, role) if hasattr(encoder, "labels") else []
    return tuple(words) if len(words) == rows else ()


def _pieces(text: str) -> Iterator[str]:
    """Iterate over words and what lies between them."""
    end = 0
    for word in _WORD.finditer(text):
        yield from filter(None, (text[end : word.start()], word[0]))
        end = word.end()
    yield from filter(None, [text[end:]])


def _analysed(piece: str, bm25: Bm25) -> list[str]:
    return _native.analyze(piece, bm25.language, bm25.stop_words) if _WORD.match(piece) else []


def _tables(explanation: Explanation) -> Iterator[tuple[list[str], list[tuple[list[str], float]]]]:
    """Iterate over tables: their heading; and of each row the cells, and its share of the largest score."""
    if explanation.terms:
        most = max(each.contribution for each in explanation.terms)
        yield (
            ["term", "query", "document", "score"],
            [
                (
                    [plain(term), f"{query:.3f}", f"{document:.3f}", f"{score:.3f}"],
                    _share(score, most),
                )
                for term, query, document, score in explanation.terms
            ],
        )
    if explanation.matches:
        most = max(each.score for each in explanation.matches)
        yield (
            ["query", "document", "score"],
            [
                (
                    [_named(row, explanation.query_words), _named(token, explanation.document_words), f"{score:.3f}"],
                    _share(score, most),
                )
                for row, token, score in explanation.matches
            ],
        )


def _named(number: int, words: Sequence[str]) -> str:
    return f"{plain(words[number])} ({number})" if words else str(number)


def _share(score: float, most: float) -> float:
    return max(0.0, score / most) if most > 0 else 0.0


def _bar(share: float) -> str:
    return "█" * round(share * _BAR)


def _lines(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table in columns, numbers to the right."""
    columns = list(zip(*(row[: len(rows[0])] for row in rows), strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(cell.replace(".", "").replace("-", "").isdigit() for cell in column[1:]) for column in columns]
    lines = []
    for row in rows:
        cells = zip(row, widths, numeric, strict=False)
        aligned = [f"{cell:>{width}}" if right else f"{cell:<{width}}" for cell, width, right in cells]
        lines.append("  ".join(["", *aligned, *row[len(widths) :]]).rstrip())
    return lines


def _article(explanation: Explanation) -> str:
    parts = [f"<h2>{_escaped(explanation.id)}</h2>", f"<p>{_escaped(explanation.query)}</p>"]
    for heading, rows in _tables(explanation):
        parts.append(f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in heading)}</tr>")
        parts += (_row(cells, share) for cells, share in rows)
        parts.append("</table>")
    most = max((score for _, score in explanation.document), default=0.0)
    gap = " " if explanation.document_words else ""
    text = gap.join(_mark(piece, _share(score, most)) for piece, score in explanation.document)
    return "\n".join(["<article>", *parts, f"<p>{text}</p>" if text else "", "</article>"])


def _row(cells: list[str], share: float) -> str:
    words = "".join(f"<td>{_escaped(cell)}</td>" for cell in cells[:-1])
    return f'<tr>{words}<td class="n">{cells[-1]}</td><td><i style="width:{share * 10:.1f}rem"></i></td></tr>'


def _mark(piece: str, share: float) -> str:
    escaped = _escaped(piece)
    return f'<mark style="background:rgba(217,130,43,{share:.2f})">{escaped}</mark>' if share else escaped


def _escaped(text: object) -> str:
    """Return text that HTML shows as it is; characters that are not printable become a replacement mark."""
    return html.escape("".join(each if each.isspace() else plain(each) for each in str(text)))
