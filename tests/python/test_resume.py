"""A build that was killed goes on after its last commit and ends as if nothing had happened."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from test_pipeline import broken_after, documents
from weft import batches
from weft.resume import bookmark
from weft.sources import source_of
from weft.writer import holds_index
from word_encoders import WordVectors, WordWeights

BUILD = """
import sys, weft
from word_encoders import WordVectors, WordWeights
from weft import pipeline
pipeline.TEXTS_TO_ENCODE = 16
kind, path, corpus = sys.argv[1:]
vectors = WordVectors(seconds=0.002)
sparse = WordWeights(seconds=0.002) if kind == "learned" else "bm25"
texts = weft.TextIndex(path, sparse, multivector=vectors, memory_limit="1MiB")
print("ready", flush=True)
texts.add(corpus, commit_every=32)
print("done", flush=True)
"""


def start_build(kind: str, path: Path, corpus: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, kind, str(path), str(corpus)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)


def write(corpus: Path, count: int) -> Path:
    """Write documents of which some come again, changed."""
    held = documents(count)
    for row in range(0, count, 7):
        held[row]["id"] = held[row // 2]["id"]
    corpus.write_text("".join(json.dumps(each) + "\n" for each in held))
    return corpus


def same(path: Path, other: Path) -> None:
    """Check that two indexes hold the same documents, in the same order, with the same vectors and scores."""
    one, two = weft.open(path), weft.open(other)
    assert one.ids().tolist() == two.ids().tolist()
    for name in one.ids():
        got, expected = one.get(name), two.get(name)
        assert got.pop("multivector").tolist() == expected.pop("multivector").tolist()
        assert got == expected
    queries = ["red fox", "hunts the white hen", "wine"]
    sparse: Any = WordWeights() if "sparse" in one.schema.encoders else "bm25"
    first, second = (weft.TextIndex(each, sparse, multivector=WordVectors()) for each in (path, other))
    for using in ("sparse", "multivector", None):
        hits, expected_hits = (texts.search(queries, 50, using=using, exact=True) for texts in (first, second))  # type: ignore[arg-type]
        assert hits.to_list() == expected_hits.to_list()
    assert one.notes == two.notes == {}
    one.verify()


def generation(path: Path) -> int:
    """Return the number of the last commit, by the names of files."""
    return max((int(file.stem.rpartition("-")[2]) for file in path.glob("manifest-*.json")), default=0)


def finished(path: Path) -> bool:
    """Whether there is an index whose source was read to its end: every commit before leaves a note."""
    return holds_index(path) and not weft.open(path).notes


@pytest.mark.parametrize("kind", ["bm25", "learned"])
def test_a_build_killed_ten_times_equals_an_uninterrupted_one(kind: str, tmp_path: Path) -> None:
    """Of 38 commits a build makes none to two, and is killed within the time that the next one takes."""
    corpus, whole, killed = write(tmp_path / "corpus.jsonl", 1200), tmp_path / "whole.weft", tmp_path / "killed.weft"
    with start_build(kind, whole, corpus) as child:
        assert child.stdout is not None
        begun = time.monotonic() if child.stdout.readline() == "ready\n" else 0.0
        assert child.stdout.readline() == "done\n"
        between = (time.monotonic() - begun) / 38
    chance = random.Random(kind)
    kills = 0
    while not finished(killed):
        with start_build(kind, killed, corpus) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            if kills == 10:
                continue
            enough = generation(killed) + chance.randrange(3)
            while generation(killed) < enough and child.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, between))
            child.kill()
            kills += 1
    assert kills == 10
    same(killed, whole)


def test_an_interrupted_add_goes_on(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without encoders too, and with blank lines; the report says how far the earlier call came."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(each) + "\n\n" for each in documents(100)))
    for texts in (weft.TextIndex(path), weft.TextIndex(tmp_path / "encoded.weft", multivector=WordVectors())):
        with monkeypatch.context() as patched:
            commit, left = weft.Writer.commit, [2]

            def break_off(self: weft.Writer, commit: Any = commit, left: list[int] = left) -> int:
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
                return int(commit(self))

            patched.setattr(weft.Writer, "commit", break_off)
            with pytest.raises(KeyboardInterrupt):
                texts.add(corpus, commit_every=30)
        texts.refresh()
        assert len(texts.index) == 30
        assert len(texts.index.notes) == 1
        report = texts.add(corpus)
        assert (report.resumed, report.documents) == (30, 70)
        assert texts.index.ids().tolist() == [f"d{row}" for row in range(100)]
        assert texts.index.notes == {}
        assert texts.add(corpus).resumed == 0


def interrupted(path: Path, resume: bool | str = "mine") -> weft.TextIndex:
    """Return an index of the first 20 of 25 documents that were read."""
    texts = weft.TextIndex(path)
    with pytest.raises(ZeroDivisionError):
        texts.add(broken_after(25, ZeroDivisionError()), commit_every=10, resume=resume)
    texts.refresh()
    assert len(texts.index) == 20
    return texts


def test_iterables_go_on_by_name(path: Path) -> None:
    texts = interrupted(path)
    read = []

    def stream() -> Iterator[dict[str, Any]]:
        for each in documents(40):
            read.append(each)
            yield each

    assert texts.add(documents(5), resume="other").resumed == 0
    assert texts.add(stream(), resume="mine").resumed == 20
    assert len(texts.index) == 40
    assert texts.index.notes == {}
    assert interrupted(path.with_name("unnamed"), resume=True).index.notes == {}
    for wrong in (5, None, "", "x" * 70_000):
        with pytest.raises(weft.InvalidInput, match="resume"):
            texts.add(documents(40), resume=wrong, commit_every=10)  # type: ignore[arg-type]


def test_from_the_beginning(path: Path) -> None:
    texts = interrupted(path)
    assert texts.add(documents(40), resume=False).resumed == 0
    assert len(texts.index.notes) == 1
    texts.delete([f"d{row}" for row in range(10)])
    assert texts.add(documents(40), resume="mine").resumed == 20
    assert len(texts.index) == 30
    assert texts.index.notes == {}


def test_a_changed_source_is_refused(path: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(each) + "\n" for each in documents(25)) + "{")
    texts = weft.TextIndex(path)
    with pytest.raises(weft.InvalidInput, match="26: not JSON"):
        texts.add(corpus, commit_every=10)
    texts.refresh()
    assert len(texts.index) == 20
    corpus.write_text("".join(json.dumps(each) + "\n" for each in documents(30, seed=1)))
    with pytest.raises(weft.InvalidInput, match=r"changed after 20 .*resume=False"):
        texts.add(corpus)
    report = texts.add(corpus, resume=False)
    assert (report.resumed, report.documents) == (0, 30)
    assert texts.index.notes == {}
    assert len(texts.index) == 30


def test_a_source_that_has_become_shorter(path: Path) -> None:
    texts = interrupted(path)
    assert texts.add(documents(3), resume="mine").documents == 0
    assert len(texts.index) == 20


def test_tables_go_on(path: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    held = documents(25)
    parquet.write_table(pyarrow.Table.from_pylist([*held, {"id": "bad", "text": None}]), tmp_path / "c.parquet")
    texts = weft.TextIndex(path)
    with pytest.raises(weft.InvalidInput, match="row 25: text"):
        texts.add(tmp_path / "c.parquet", commit_every=10)
    with pytest.raises(weft.InvalidInput, match="row 25: text"):
        texts.add(tmp_path / "c.parquet", commit_every=1)
    texts.refresh()
    assert len(texts.index) == 25


def test_commits_by_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With encoders, at the ends of chunks; the first one not before there is something to learn from."""
    monkeypatch.setattr("weft.pipeline.TEXTS_TO_ENCODE", 8)
    monkeypatch.setattr(batches, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(batches, "FIRST_COMMIT", 20)
    committed = []
    commit = weft.Writer.commit

    def counted(self: weft.Writer) -> int:
        committed.append(self.pending)
        return commit(self)

    monkeypatch.setattr(weft.Writer, "commit", counted)
    texts = weft.TextIndex(path, multivector=WordVectors())
    texts.add(documents(50))
    assert committed == [24, 8, 8, 8, 2, 0]
    committed.clear()
    weft.TextIndex(path.with_name("bm25")).add(documents(50))
    assert committed == [50]
    assert np.all(texts.index.ids() == [f"d{row}" for row in range(50)])


def test_modification_times_tell(path: Path, tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus.jsonl", 25)
    corpus.write_text(corpus.read_text() + "{")
    texts = weft.TextIndex(path)
    with pytest.raises(weft.InvalidInput, match="not JSON"):
        texts.add(corpus, commit_every=10)
    os.utime(corpus, (1, 1))
    with pytest.raises(weft.InvalidInput, match="changed"):
        texts.add(corpus)


@pytest.mark.parametrize("note", ["nonsense", "[]", "{}", '{"documents": null, "stamp": ""}'])
def test_a_note_that_tells_nothing_is_refused(tmp_path: Path, note: str) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"id": "a", "text": "fox"}\n')
    texts = weft.TextIndex(tmp_path / "index.weft")
    texts.add(corpus)
    mark = bookmark(source_of(corpus), resume=True)
    assert mark is not None
    with weft.Writer(tmp_path / "index.weft") as writer:
        writer.note(mark.note, note)
    with pytest.raises(weft.InvalidInput, match="resume=False"):
        texts.add(corpus)
    assert texts.add(corpus, resume=False).documents == 1
    assert not texts.index.notes
