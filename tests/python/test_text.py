"""Text in: analysed, weighted by BM25, found again."""

import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
import weft
from weft import encoders, pipeline
from weft._native import analyze
from word_encoders import WordVectors, WordWeights

FOX: dict[str, Any] = {"id": "fox", "title": "Foxes", "text": "The red fox.", "year": 1984}
WINE: dict[str, Any] = {"_id": "wine", "text": "Red or white wine", "other": [1, 2]}
TEXTS = st.lists(
    st.lists(st.sampled_from(["red", "white", "fox", "foxes", "wine", "the"]), max_size=8).map(" ".join), max_size=8
)


def bm25(texts: list[str], query: str, k1: float, b: float) -> tuple[list[oracle.Row], oracle.Row]:
    """Return document and query weights by definition, terms numbered."""
    counts = [Counter(analyze(each, "english", False)) for each in texts]
    numbers = {term: number for number, term in enumerate({term: 0 for count in counts for term in count})}
    total = sum(count.total() for count in counts)
    mean = total / len(texts) if total else 1.0

    def weight(frequency: int, length: int) -> float:
        return frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * length / mean))

    rows: list[oracle.Row] = [
        {numbers[term]: weight(tf, count.total()) for term, tf in count.items()} for count in counts
    ]
    wanted = Counter(analyze(query, "english", False))
    found = {term: sum(term in count for count in counts) for term in wanted}
    idf = {term: math.log1p((len(texts) - df + 0.5) / (df + 0.5)) for term, df in found.items()}
    return rows, {numbers.get(term, -number): wanted[term] * idf[term] for number, term in enumerate(wanted, start=1)}


@given(TEXTS, TEXTS.map(" ".join), st.sampled_from([0.0, 0.9, 1.2]), st.sampled_from([0.0, 0.4, 1.0]))
def test_scores_are_those_of_bm25(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: str, k1: float, b: float
) -> None:
    index = weft.build(
        tmp_path_factory.mktemp("bm25") / "index", text=texts, schema=weft.Schema(weft.Bm25(k1, b), ids="int")
    )
    rows, weights = bm25(texts, query, k1, b) if texts else ([], {})
    expected = dict(oracle.search(rows, weights, len(texts) + 1, max_weight=k1 + 1))
    found = {hit.id: hit.score for hit in index.search(text=query, k=len(texts) + 1)}
    assert found == pytest.approx(expected, rel=1e-6)


def test_statistics_are_live(animals: weft.Index) -> None:
    with weft.Writer(animals.path) as writer:
        writer.delete(["hen", "empty"])
    animals.refresh()
    (red,) = animals.explain("wine", text="red")
    assert red.query_weight == pytest.approx(math.log(1 + 0.5 / 2.5), rel=1e-3)


@given(st.lists(st.tuples(st.sampled_from("abcd"), TEXTS.map(" ".join), st.booleans())), TEXTS.map(" ".join))
def test_updates_equal_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, bool]], query: str
) -> None:
    """Documents come, are replaced and go, over many commits; statistics follow them exactly."""
    schema = weft.Schema(weft.Bm25(average_length=3.0))
    folder = tmp_path_factory.mktemp("updates")
    live: dict[str, str] = {}
    with weft.Writer(folder / "updated", schema) as writer:
        for name, body, stays in steps:
            writer.add([name], text=[body])
            live.pop(name, None)
            live[name] = body
            if not stays:
                writer.commit()
                writer.delete(name)
                del live[name]
            writer.commit()
    updated = weft.open(folder / "updated")
    rebuilt = weft.build(folder / "rebuilt", ids=list(live), text=list(live.values()), schema=schema)
    assert updated.ids().tolist() == list(live)
    assert updated.search(text=query).to_list() == rebuilt.search(text=query).to_list()


def test_analysis() -> None:
    assert analyze("The ﬁne FOXES can't", "english", False) == ["the", "fine", "fox", "can't"]
    assert analyze("The ﬁne FOXES", "english", True) == ["fine", "fox"]
    assert analyze("The FOXES", None, False) == ["the", "foxes"]


def test_add_search_explain_delete(path: Path) -> None:
    texts = weft.TextIndex(path, attributes={"year": "int64"})
    texts.add([FOX, WINE])
    assert [hit.id for hit in texts.search("fox")] == ["fox"]
    assert texts.search(["foxes", "wine"], k=1).ids.tolist() == [["fox"], ["wine"]]
    assert texts.search("red", where="year = 1984").counts == 1
    assert texts.search("red", subset=["wine"])[0].id == "wine"
    assert {each.term for each in texts.explain("red fox", "fox")} == {"red", "fox"}
    assert texts.index.get("fox")["attributes"]["title"] == "Foxes"
    assert texts.index.get("wine")["attributes"]["title"] is None
    assert texts.delete("fox") == 1
    assert texts.delete(["fox"]) == 0
    assert len(texts.index) == 1


def test_nothing_is_made_before_the_first_add(path: Path) -> None:
    texts = weft.TextIndex(path)
    with pytest.raises(weft.Error):
        texts.search("fox")
    assert not path.exists()
    texts.add([])
    assert texts.search("fox").counts == 0


def test_an_existing_index_keeps_its_settings(path: Path) -> None:
    weft.TextIndex(path, weft.Bm25(k1=0.9), {"year": "int64"}).add([FOX])
    again = weft.TextIndex(path)
    again.add([WINE])
    assert again.index.schema == weft.Schema(weft.Bm25(k1=0.9), {"title": "keyword", "year": "int64"})
    assert again.index.ids().tolist() == ["fox", "wine"]
    weft.TextIndex(path, weft.Bm25(k1=0.9), {"year": "int64"})
    for sparse, attributes in ((weft.Bm25(), None), ("bm25", {}), ("bm25", {"year": "float64"})):
        with pytest.raises(weft.SchemaMismatch):
            weft.TextIndex(path, sparse, attributes)  # type: ignore[arg-type]


def test_other_kinds_of_index_are_refused(path: Path, tmp_path: Path) -> None:
    weft.build(path, sparse=[{1: 1.0}])
    weft.build(tmp_path / "numbered", text=["red"])
    for each in (path, tmp_path / "numbered"):
        with pytest.raises(weft.SchemaMismatch):
            weft.TextIndex(each)


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_of_documents_with_one_id_the_last_counts(path: Path, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TEXTS_TO_WRITE", batch)
    texts = weft.TextIndex(path)
    texts.add({"id": each % 3, "text": f"word{each}"} for each in range(8))
    assert texts.index.ids().tolist() == ["2", "0", "1"]
    assert [texts.search(f"word{each}").counts for each in range(8)] == [0, 0, 0, 0, 0, 1, 1, 1]


def test_files_and_folders(path: Path, tmp_path: Path) -> None:
    lines = "\ufeff" + json.dumps(FOX) + "\r\n\n" + json.dumps(WINE)
    folder = tmp_path / "beir"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    sources: list[str | Path] = [folder, str(folder / "corpus.jsonl"), tmp_path / "corpus.jsonl.gz"]
    for number, source in enumerate(sources):
        texts = weft.TextIndex(tmp_path / f"{number}.weft")
        texts.add(source)
        assert texts.index.ids().tolist() == ["fox", "wine"]


GOOD = b'{"id": "a", "text": "red"}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1]", "object"),
        (b'{"id": "b", "text": "\xff"}', "UTF-8"),
        (b'{"text": "red"}', 'no "id"'),
        (b'{"id": "b"}', "text"),
        (b'{"id": "b", "text": 5}', "text"),
        (b'{"id": "b", "text": "red", "title": 5}', "title"),
        (b'{"id": 1.5, "text": "red"}', "id"),
        (b'{"id": "", "text": "red"}', "id"),
        (b'{"id": "b", "text": "\\ud800"}', "text"),
        (b'{"id": "b", "text": "red", "year": "x"}', "year"),
        (b'{"id": "b", "text": "red", "year": 1e400}', "year"),
        (b'{"id": "b", "text": "red", "year": [1]}', "year"),
        (b'{"id": "b", "text": "red", "year": true}', "year"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
    ],
)
def test_an_error_names_file_and_line(path: Path, tmp_path: Path, line: bytes, reason: str) -> None:
    texts = weft.TextIndex(path, attributes={"year": "int64"})
    texts.add([FOX])
    file = tmp_path / "corpus.jsonl"
    file.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD)
    with pytest.raises(weft.InvalidInput, match=reason) as raised:
        texts.add(file)
    assert f"{file}:3: " in str(raised.value)
    texts.refresh()
    assert texts.index.ids().tolist() == ["fox"]


def test_damaged_gzip_is_an_error(path: Path, tmp_path: Path) -> None:
    whole = gzip.compress(GOOD * 1000)
    file = tmp_path / "corpus.jsonl.gz"
    for damaged in (whole[:-4], whole[:20] + b"\0" * 10 + whole[30:], GOOD):
        file.write_bytes(damaged)
        with pytest.raises(weft.InvalidInput, match="gzip"):
            weft.TextIndex(path).add(file)


def test_an_error_names_the_position(path: Path) -> None:
    with pytest.raises(weft.InvalidInput, match="document 1"):
        weft.TextIndex(path).add([FOX, {"id": "b"}])
    with pytest.raises(weft.InvalidInput, match="document 1"):
        weft.TextIndex(path).add([FOX, "a text"])  # type: ignore[list-item]


def test_commit_every(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off() -> Iterator[dict[str, Any]]:
        for number in range(25):
            yield {"id": number, "text": "red"}
        raise ZeroDivisionError

    texts = weft.TextIndex(path)
    with pytest.raises(ZeroDivisionError):
        texts.add(broken_off(), commit_every=10)
    assert len(texts.index) == 20


def test_progress(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = weft.TextIndex(path)
    texts.add([FOX])
    assert capsys.readouterr() == ("", "")
    texts.add([WINE], show_progress=True)
    assert "documents" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    with pytest.raises(weft.Error, match="tqdm"):
        texts.add([WINE], show_progress=True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    texts.add([WINE])


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `weft.encoders.load` make encoders of words; return the names that it was asked for."""
    asked: list[str] = []

    def load(name: str, max_words: int = 1000) -> Any:
        asked.append(name)
        if name not in ("weights", "vectors"):
            raise weft.NotFound(f"there is no model {name}")
        return WordWeights(name, max_words) if name == "weights" else WordVectors(name, max_words)

    monkeypatch.setattr(encoders, "load", load, raising=False)
    return asked


def test_search_by_encoders_is_search_by_their_vectors(path: Path) -> None:
    sparse, vectors = WordWeights(), WordVectors()
    texts = weft.TextIndex(path, sparse, multivector=vectors, codec="f16")
    texts.add([FOX, WINE, {"id": "hen", "text": "a red hen hunts the fox"}])
    queries = ["red fox", "wine", "nothing like it"]
    by_terms, by_tokens = {"sparse": sparse.encode_query(queries)}, {"multivector": vectors.encode_query(queries)}
    options: list[dict[str, Any]] = [
        {},
        {"k": 2, "fuse": "rrf"},
        {"fuse": {"sparse": 0.3, "multivector": 0.7}},
        {"candidate_source": "centroids", "candidates": 2, "probes": 1},
        {"exact": True, "where": "title = 'Foxes'"},
        {"subset": ["wine", "hen"], "min_score": 0.5},
    ]
    for each in options:
        expected = texts.index.search(**by_terms, **by_tokens, **each)
        assert texts.search(queries, **each).to_list() == expected.to_list()
    assert texts.search(queries, using="sparse").to_list() == texts.index.search(**by_terms).to_list()
    assert texts.search(queries, using="multivector").to_list() == texts.index.search(**by_tokens).to_list()
    assert texts.search("red fox").to_list() == texts.search(queries).to_list()[0]
    assert texts.search("red fox").single
    with pytest.raises(weft.InvalidInput, match="using"):
        texts.search("red", using="dense")  # type: ignore[arg-type]


def test_bm25_finds_and_token_vectors_order(path: Path) -> None:
    texts = weft.TextIndex(path, multivector=WordVectors())
    texts.add([FOX, WINE])
    expected = texts.index.search(text=["red wine"], multivector=WordVectors().encode_query(["red wine"]))
    assert texts.search(["red wine"]).to_list() == expected.to_list()
    assert texts.search("wine", using="sparse").counts == 1
    only = weft.TextIndex(path.with_name("only"), None, multivector=WordVectors())
    only.add([FOX, WINE])
    assert only.search("wine")[0].id == "wine"
    with pytest.raises(weft.SchemaMismatch, match="no sparse"):
        only.search("wine", using="sparse")


def test_encoders_are_loaded_by_name_when_needed(path: Path, loads: list[str]) -> None:
    weft.TextIndex(path, "weights", multivector="vectors").add([FOX, WINE])
    assert loads == ["weights", "vectors"]
    loads.clear()
    again = weft.TextIndex(path, "weights")
    assert set(again.encoders) == {"sparse", "multivector"}
    assert loads == []
    assert again.search("white", using="sparse")[0].id == "wine"
    assert loads == ["weights"]
    again.add([{"id": "hen", "text": "a hen"}])
    assert loads == ["weights", "vectors"]
    assert weft.evaluate(weft.open(path), {"q": "hen"}, {"q": {"hen": 1}}, measures=["RR@1"], fuse="rrf") == {"RR@1": 1}
    assert weft.evaluate(again, {"q": "hen"}, {"q": {"hen": 1}}, measures=["RR@1"], using="multivector") == {"RR@1": 1}


def test_encoders_of_other_settings_are_refused(path: Path, loads: list[str]) -> None:
    weft.TextIndex(path, multivector=WordVectors(most=7)).add([FOX])
    weft.TextIndex(path, multivector=WordVectors(most=7)).add([WINE])
    with pytest.raises(weft.SchemaMismatch, match=r"max_words is 8, not 7"):
        weft.TextIndex(path, multivector=WordVectors(most=8))
    with pytest.raises(weft.Error, match=r"'words' of the index cannot be loaded.*multivector="):
        weft.TextIndex(path).search("fox")
    with pytest.raises(weft.SchemaMismatch, match="leave sparse= out"):
        weft.TextIndex(path, WordWeights())
    with pytest.raises(weft.SchemaMismatch, match="not None"):
        weft.TextIndex(path, None)
    with pytest.raises(weft.SchemaMismatch, match="codec"):
        weft.TextIndex(path, codec="f16")
    other = path.with_name("other")
    weft.TextIndex(other, multivector=WordVectors("weights")).add([FOX])
    with pytest.raises(weft.SchemaMismatch, match="type is 'wordweights', not 'wordvectors'"):
        weft.TextIndex(other).search("fox")


def test_encoders_are_loaded_with_the_options_that_they_were_made_with(path: Path, loads: list[str]) -> None:
    weft.TextIndex(path, multivector=WordVectors("vectors", most=3)).add([FOX])
    assert weft.TextIndex(path).encoders["multivector"].settings["max_words"] == 3


def test_bad_encoders(path: Path, loads: list[str]) -> None:
    for arguments, reason in (
        ({"sparse": WordVectors()}, "pass it as multivector="),
        ({"multivector": "weights"}, "pass it as sparse="),
        ({"multivector": "missing"}, "no model"),
        ({"multivector": object()}, "adapt"),
        ({"sparse": 5}, "adapt"),
        ({"codec": "f16"}, "codec"),
        ({"sparse": None}, "nothing to search by"),
    ):
        with pytest.raises(weft.Error, match=reason):
            weft.TextIndex(path, **arguments)  # type: ignore[arg-type]
    assert not path.exists()


def test_settings_without_a_name_are_refused(tmp_path: Path) -> None:
    schema = weft.Schema(
        attributes={"title": "keyword"}, multivector=weft.MultiVector(8), encoders={"multivector": {"type": "colbert"}}
    )
    path = tmp_path / "index.weft"
    weft.build(path, ids=["a"], multivector=np.ones((1, 2, 8)), schema=schema)
    with pytest.raises(weft.Error, match="name none"):
        weft.TextIndex(path, None).search("fox")
