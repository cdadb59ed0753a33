"""Explanations: the words that match, for terminals and browsers."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft
from weft.explanation import Explanation, marked_tokens, marked_words, page
from word_encoders import WordVectors, WordWeights

HOSTILE = '<script>alert("fox")</script> & <b>\x1b[2J'


@pytest.fixture
def texts(path: Path) -> weft.TextIndex:
    index = weft.TextIndex(path, attributes={"text": "keyword"}, multivector=WordVectors(), codec="f16")
    index.add([{"id": "a", "title": "Foxes", "text": "the red fox hunts"}, {"id": "b", "text": "white wine"}])
    return index


class Page(HTMLParser):
    """Collects what a page shows, and its elements."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.shown, self.elements = "", []
        self.inside: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag != "meta":
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside[-1:] != ["style"]:
            self.shown += data


def test_terms_and_tokens(texts: weft.TextIndex) -> None:
    explained = texts.explain("fox red unknown", "a")
    assert [each.term for each in explained] == [each.term for each in texts.index.explain("a", text="fox red unknown")]
    assert explained[0] == explained.terms[0]
    assert len(explained[:1]) == 1
    assert explained.query_words == ("fox", "red", "unknown")
    assert explained.document_words == ("foxes", "the", "red", "fox", "hunts")
    assert [explained.document_words[each.document_token] for each in explained.matches[:2]] == ["fox", "red"]
    assert explained.matches[0].score == pytest.approx(1, abs=0.01)
    hits = texts.search("fox red unknown", using="multivector", exact=True)
    assert sum(each.score for each in explained.matches) == pytest.approx(hits.scores[0], rel=1e-3)
    shown = str(explained)
    assert shown.startswith("a: fox red unknown\n")
    assert "fox (0)" in shown
    assert "fox (3)" in shown
    assert "fox → fox" in explained.summary()
    assert "Explanation" in repr(explained)


def test_without_a_text_tokens_have_numbers(path: Path) -> None:
    texts = weft.TextIndex(path, None, multivector=WordVectors())
    texts.add([{"id": 1, "title": "Foxes", "text": "red fox"}])
    explained = texts.explain("fox", 1)
    assert (explained.terms, explained.document_words, explained.document) == ((), (), ())
    assert explained.matches[0].document_token == 2
    assert explained.query_words == ("fox",)
    assert explained.summary() == "token vectors"
    told = texts.explain("fox", 1, text="Foxes red fox")
    assert told.document_words == ("foxes", "red", "fox")
    assert texts.explain("fox", 1, text="another text of more words").document_words == ()
    both = weft.TextIndex(path.with_name("both"), multivector=WordVectors())
    both.add([{"id": 1, "text": "red fox"}])
    assert [score > 0 for _, score in both.explain("fox", 1, text="a red fox").document] == [False] * 4 + [True]
    with pytest.raises(weft.NotFound):
        texts.explain("fox", "nowhere")


def test_learned_terms(path: Path) -> None:
    texts = weft.TextIndex(path, WordWeights())
    texts.add([{"id": "a", "text": "red fox"}])
    explained = texts.explain("fox", "a")
    assert len(explained) == 1
    assert explained[0].contribution == pytest.approx(texts.search("fox").scores[0], rel=0.01)
    assert str(explained[0].term) in str(explained)


def test_pieces_of_a_document() -> None:
    terms = [weft.Contribution("hunt", 1.0, 1.0, 2.0), weft.Contribution("can't", 1.0, 1.0, 1.0)]
    marked = marked_words("Hens can't HUNT!", weft.Bm25(), terms)
    assert marked == (("Hens", 0.0), (" ", 0.0), ("can't", 1.0), (" ", 0.0), ("HUNT", 2.0), ("!", 0.0))
    assert marked_words("", weft.Bm25(), terms) == ()
    matches = [weft.TokenMatch(0, 1, 0.5), weft.TokenMatch(1, 1, 0.25), weft.TokenMatch(2, 0, -0.5)]
    assert marked_tokens(["a", "b", "c"], matches) == (("a", -0.5), ("b", 0.75), ("c", 0.0))


@given(st.text(max_size=30))
def test_pieces_make_the_text(text: str) -> None:
    assert "".join(piece for piece, _ in marked_words(text, weft.Bm25(), [])) == text


def test_the_page_is_escaped_and_needs_nothing(path: Path) -> None:
    for arguments in ({}, {"multivector": WordVectors()}):
        texts = weft.TextIndex(path, attributes={"text": "keyword"}, **arguments)  # type: ignore[arg-type]
        texts.add([{"id": HOSTILE, "title": HOSTILE, "text": HOSTILE}])
        explained = texts.explain(HOSTILE, HOSTILE)
        shown = Page(explained.to_html())
        assert not {tag for tag, _ in shown.elements} & {"script", "link", "img", "b", "iframe"}
        assert not [
            name for _, attributes in shown.elements for name in attributes if name in ("src", "href", "onclick")
        ]
        assert '<script>alert("fox")</script>' in shown.shown
        assert "\x1b" not in explained.to_html() + str(explained)
        assert "mark" in {tag for tag, _ in shown.elements}
        assert "<article>" in explained._repr_html_()
        for each in path.iterdir():
            each.unlink()


def test_pages_of_nothing_and_of_several() -> None:
    nothing = Explanation("fox", "a")
    assert str(nothing) == "a: fox"
    assert nothing.summary() == "no term in common"
    assert Page(page([nothing, nothing], "<title>")).shown.count("fox") == 2


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=5), st.text(max_size=5))
def test_any_scores_and_words_can_be_shown(scores: list[float], word: str) -> None:
    terms = tuple(weft.Contribution(word, 1.0, score, score) for score in scores)
    matches = tuple(weft.TokenMatch(row, 0, score) for row, score in enumerate(scores))
    words: Any = tuple([word] * len(scores))
    explained = Explanation(word, word, terms, matches, words, (word,), marked_tokens([word], matches))
    assert str(explained).count("\n") == 2 * len(scores) + 2
    Page(explained.to_html())
    assert isinstance(explained.summary(), str)
