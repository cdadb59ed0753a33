"""From documents to an index: sources, overlapping work, bounded memory, errors and interrupts."""

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from weft import pipeline
from weft.overlap import ahead, behind
from weft.progress import progress
from weft.sources import read_documents, source_of
from word_encoders import Opaque, WordVectors, WordWeights

WORDS = ["red", "fox", "wine", "hen", "hunts", "white", "the", "a"]


def documents(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return documents of 1 to 12 words, in one go."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(WORDS, generator.integers(1, 13))) for _ in range(count)]
    return [{"id": f"d{row}", "text": text} for row, text in enumerate(texts)]


def no_threads() -> bool:
    """Whether no thread of ours is at work."""
    return not [thread for thread in threading.enumerate() if thread.name.startswith("weft-")]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TEXTS_TO_ENCODE", 8)
    monkeypatch.setattr(pipeline, "TEXTS_TO_WRITE", 8)


def test_items_made_ahead_are_few_and_in_order() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            made.append(item)
            yield item

    taken = []
    with ahead(items(), depth=3) as ready:
        for item in ready:
            time.sleep(0.002)
            taken.append(item)
            # Three wait, and one more is made that finds no place.
            assert len(made) - len(taken) <= 4
    assert taken == list(range(50))
    assert no_threads()


def test_items_taken_behind_are_few_and_in_order() -> None:
    taken: list[int] = []

    def take(item: int) -> None:
        time.sleep(0.002)
        taken.append(item)

    with behind(take, depth=3) as send:
        for item in range(50):
            send(item)
            # Three wait, and one is being taken.
            assert item + 1 - len(taken) <= 4
    assert taken == list(range(50))
    assert no_threads()


def test_an_error_ahead_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError

    taken: list[int] = []

    def take_all() -> None:
        with ahead(items(), depth=1) as ready:
            for item in ready:
                taken.append(item)

    with pytest.raises(ZeroDivisionError):
        take_all()
    assert taken == [1, 2]
    assert no_threads()
    with ahead(items(), depth=5) as ready:
        assert next(ready) == 1
    assert no_threads()


def test_an_error_behind_reaches_the_caller() -> None:
    def take(item: int) -> None:
        raise ZeroDivisionError

    def send_all(count: int) -> None:
        with behind(take, depth=1) as send:
            for item in range(count):
                send(item)

    for count in (1, 1000):
        with pytest.raises(ZeroDivisionError):
            send_all(count)
    assert no_threads()


@pytest.mark.parametrize(("error", "expected"), [(ValueError(), 3), (KeyboardInterrupt(), 1)])
def test_after_an_error_what_was_sent_is_taken_but_not_after_an_interrupt(error: BaseException, expected: int) -> None:
    taken: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def take(item: int) -> None:
        begun.set()
        go_on.wait()
        taken.append(item)

    def send_three() -> None:
        with behind(take, depth=2) as send:
            for item in range(3):
                send(item)
                begun.wait()
            threading.Timer(0.05, go_on.set).start()
            raise error

    with pytest.raises(type(error)):
        send_three()
    assert len(taken) == expected


@pytest.mark.parametrize("apart", [True, False])
def test_the_index_is_that_of_the_encoders(path: Path, tmp_path: Path, small_chunks: None, apart: bool) -> None:
    held = documents(100)
    sparse, vectors = WordWeights(), WordVectors()
    texts = weft.TextIndex(
        path,
        sparse if apart else Opaque(sparse),  # type: ignore[arg-type]
        multivector=vectors if apart else Opaque(vectors),  # type: ignore[arg-type]
        codec="f16",
    )
    report = texts.add(held)
    bodies = [each["text"] for each in held]
    built = weft.build(
        tmp_path / "built.weft",
        ids=[each["id"] for each in held],
        sparse=sparse.encode_document(bodies),
        multivector=vectors.encode_document(bodies),
        attributes={"title": [None] * len(held)},
        schema=texts.index.schema,
    )
    assert texts.index.ids().tolist() == built.ids().tolist()
    query = {"sparse": sparse.encode_query(["red fox"]), "multivector": vectors.encode_query(["red fox"])}
    for each in ({"sparse": query["sparse"]}, {"multivector": query["multivector"]}, query):
        assert texts.index.search(**each, k=20).to_list() == built.search(**each, k=20).to_list()
    words = sum(len(body.split()) for body in bodies)
    assert (report.documents, report.tokens, report.truncated) == (100, 2 * words if apart else 0, 0)
    assert max(sparse.calls[:-1]) == 8
    assert no_threads()


def test_the_report(path: Path) -> None:
    encoder = WordVectors(most=4, seconds=0.05)
    report = weft.TextIndex(path, multivector=encoder).add(documents(20))
    lengths = [len(each["text"].split()) for each in documents(20)]
    assert report.truncated == sum(length > 4 for length in lengths)
    assert report.tokens == sum(min(length, 4) for length in lengths)
    assert report.seconds > report.model_seconds >= 0.05
    assert 0 < report.utilisation < 1
    assert report.resumed == 0
    assert weft.TextIndex(path.with_name("none")).add([]).utilisation == 0


def test_memory_is_bounded_whoever_is_slow(path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of documents that were read and are not yet in the writer there are never more than a few chunks."""
    most, read, written = 0, 0, 0
    add = weft.Writer.add

    def slow_add(self: weft.Writer, ids: Any, **vectors: Any) -> None:
        nonlocal written
        time.sleep(slowness["writer"])
        add(self, ids, **vectors)
        written += len(ids)

    def stream() -> Iterator[dict[str, Any]]:
        nonlocal read, most
        for each in documents(200):
            read += 1
            most = max(most, read - written)
            yield each

    monkeypatch.setattr(weft.Writer, "add", slow_add)
    for slowness in ({"writer": 0.01, "encoder": 0.0}, {"writer": 0.0, "encoder": 0.01}):
        most = read = written = 0
        texts = weft.TextIndex(path, multivector=WordVectors(seconds=slowness["encoder"]))
        texts.add(stream())
        # Being read, waiting for the encoder, there, waiting for the writer, there.
        assert most <= 8 * (1 + pipeline.WAITING + 1 + 1 + 1 + 1)
    assert len(texts.index) == 200


def broken_after(count: int, error: BaseException) -> Iterator[dict[str, Any]]:
    yield from documents(count)
    raise error


def test_an_error_of_the_source(path: Path) -> None:
    texts = weft.TextIndex(path, multivector=WordVectors())
    with pytest.raises(ZeroDivisionError):
        texts.add(broken_after(25, ZeroDivisionError()), commit_every=10)
    texts.refresh()
    assert texts.index.ids().tolist() == [f"d{row}" for row in range(20)]
    assert no_threads()


class Failing(WordVectors):
    """Fails at its third call."""

    error: BaseException = ZeroDivisionError()

    def encode_tokens(self, words: Any) -> Any:
        if len(self.calls) == 2:
            raise self.error
        return super().encode_tokens(words)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_an_error_of_the_encoder(path: Path, error: BaseException, small_chunks: None) -> None:
    encoder = Failing()
    encoder.error = error
    weft.TextIndex(path, multivector=encoder).add(documents(3))
    texts = weft.TextIndex(path, multivector=encoder)
    with pytest.raises(type(error)):
        texts.add([{**each, "id": each["id"] + "x"} for each in documents(40)])
    assert weft.open(path).ids().tolist() == ["d0", "d1", "d2"]
    assert no_threads()
    with weft.Writer(path):
        pass


def test_an_error_of_the_writer_names_the_document(path: Path, tmp_path: Path, small_chunks: None) -> None:
    held = [{**each, "year": 1984} for each in documents(40)]
    held[21]["year"] = "x"
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in held))
    texts = weft.TextIndex(path, WordWeights(), {"year": "int64"}, multivector=WordVectors())
    with pytest.raises(weft.InvalidInput, match="year") as raised:
        texts.add(file)
    assert f"{file}:22: " in str(raised.value)
    assert no_threads()
    assert not path.exists() or not list(path.glob("manifest-*"))


@pytest.mark.parametrize("sparse", [True, False])
def test_bad_vectors_name_the_document(path: Path, sparse: bool) -> None:
    class Bad(WordWeights if sparse else WordVectors):  # type: ignore[misc]
        def vectors(self, words: Any) -> Any:
            made = super().vectors(words)
            made[2 if sparse else 0][words.offsets[3] if not sparse else made[0][3]] = np.nan
            return made

    chosen: dict[str, Any] = {"sparse": Bad()} if sparse else {"multivector": Bad()}
    with pytest.raises(weft.InvalidInput, match="document 3" if sparse else "row 3"):
        weft.TextIndex(path, **chosen).add(documents(10))


def test_an_encoder_makes_one_row_of_each_text(path: Path) -> None:
    class Short(WordVectors):
        def vectors(self, words: Any) -> Any:
            flat, offsets = super().vectors(words)
            return flat[: offsets[-2]], offsets[:-1]

    with pytest.raises(weft.Error, match="9 rows of 10 texts"):
        weft.TextIndex(path, multivector=Short()).add(documents(10))


INTERRUPTED = """
import sys, time, weft
from word_encoders import WordVectors
texts = weft.TextIndex(sys.argv[1], multivector=WordVectors(seconds=0.05))
def endless():
    for row in range(10**9):
        yield {"id": row, "text": "red fox"}
        if sys.argv[2] == "hangs" and row == 30:
            time.sleep(1000)
print("ready", flush=True)
try:
    texts.add(endless(), commit_every=10)
except KeyboardInterrupt:
    texts.refresh()
    print("interrupted", len(texts.index) % 10, flush=True)
"""


@pytest.mark.parametrize("source", ["flows", "hangs"])
def test_ctrl_c(path: Path, source: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(path), source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        while not list(path.glob("manifest-*")):
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted 0\n"
        assert child.wait(60) == 0
    weft.open(path).verify()


def test_progress_knows_the_time_left(capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path) -> None:
    with progress(lambda: 7, show=True, done=2) as advance:
        advance(4, "3 tokens/s")
    shown = capsys.readouterr().err
    assert "2/7" in shown
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(each) + "\n\n" for each in documents(5)))
    weft.TextIndex(path, multivector=WordVectors(seconds=0.2)).add(file, show_progress=True)
    shown = capsys.readouterr().err
    assert "/5 " in shown
    assert "tokens/s" in shown


def test_texts_without_and_with_a_million_characters(path: Path) -> None:
    long = "red " * 250_000
    report = weft.TextIndex(path, multivector=WordVectors(most=8)).add(
        [{"id": "empty", "text": ""}, {"id": "long", "text": long}, {"id": "short", "text": "fox"}]
    )
    assert (report.documents, report.truncated, report.tokens) == (3, 1, 9)
    texts = weft.TextIndex(path, multivector=WordVectors(most=8))
    assert texts.index.ids().tolist() == ["empty", "long", "short"]
    assert texts.search("red", using="sparse").ids[0] == "long"
    assert len(texts.index.get("empty")["multivector"]) == 0


def tables(folder: Path) -> Iterator[Any]:
    """Return the same five documents in every form that holds rows."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "id": [f"d{row}" for row in range(5)],
            "text": [each["text"] for each in documents(5)],
            "embedding": [[1.0, 2.0]] * 5,
        }
    )
    yield table
    yield table.to_reader(max_chunksize=2)
    parquet.write_table(table, folder / "one.parquet", row_group_size=2)
    yield folder / "one.parquet"
    (folder / "shards").mkdir()
    parquet.write_table(table.slice(0, 2), folder / "shards" / "0.parquet")
    parquet.write_table(table.slice(2), folder / "shards" / "1.parquet")
    yield str(folder / "shards")
    with pyarrow.ipc.new_file(folder / "file.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=3)
    with pyarrow.ipc.new_stream(folder / "stream.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=3)
    yield folder / "file.arrow"
    yield folder / "stream.arrow"
    yield table.to_pandas()


def test_tables(path: Path, tmp_path: Path) -> None:
    for number, table in enumerate(tables(tmp_path)):
        texts = weft.TextIndex(path.with_name(f"{number}.weft"))
        assert texts.add(table).documents == 5
        assert texts.index.ids().tolist() == [f"d{row}" for row in range(5)]
    for skip in range(6):
        folder = tmp_path / f"skip{skip}"
        folder.mkdir()
        for table in tables(folder):
            found = [document["id"] for _, document in read_documents(table, skip)]
            assert found == [f"d{row}" for row in range(skip, 5)]


def test_hugging_face_datasets(path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list(documents(5))
    for dataset in (made, made.to_iterable_dataset()):
        assert [each["id"] for _, each in read_documents(dataset, 2)] == ["d2", "d3", "d4"]
    assert source_of(made).total == 5
    with pytest.raises(weft.InvalidInput, match="'train'"):
        weft.TextIndex(path).add(datasets.DatasetDict({"train": made}))


def test_columns(path: Path) -> None:
    texts = weft.TextIndex(path)
    texts.add([{"pid": 7, "passage": "red fox"}], columns={"id": "pid", "text": "passage"})
    assert texts.search("fox")[0].id == "7"
    with pytest.raises(weft.InvalidInput, match="document 0: no"):
        texts.add([{"id": 7, "text": "x"}], columns={"id": "pid"})
    for wrong in ([], {"id": 5}):
        with pytest.raises(weft.InvalidInput, match="columns"):
            texts.add([], columns=wrong)  # type: ignore[arg-type]


def test_bad_rows_are_named(path: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "bad.parquet"
    texts = pyarrow.Array.from_buffers(
        pyarrow.string(), 3, [None, pyarrow.py_buffer(np.array([0, 1, 2, 3], np.int32)), pyarrow.py_buffer(b"a\xffb")]
    )
    parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": texts}), file)
    with pytest.raises(weft.InvalidInput, match=r"bad\.parquet, row 1: not UTF-8"):
        weft.TextIndex(path).add(file)
    parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": ["a", None, "b"]}), file)
    with pytest.raises(weft.InvalidInput, match=r"bad\.parquet, row 1: text"):
        weft.TextIndex(path).add(file)
    for name in ("no.parquet", "no.arrow"):
        (tmp_path / name).write_bytes(b"no table")
        with pytest.raises(weft.InvalidInput, match=name):
            weft.TextIndex(path).add(tmp_path / name)
        with pytest.raises(weft.IoError):
            weft.TextIndex(path).add(tmp_path / f"missing-{name}")


def test_a_missing_pyarrow_is_named(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(weft.Error, match=r"weft\[arrow\]"):
        weft.TextIndex(path).add(tmp_path / "any.parquet")


def test_compressed_lines(path: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(each) + "\n" for each in documents(5))
    assert [each["id"] for _, each in read_documents(tmp_path / "corpus.jsonl.gz", 3)] == ["d3", "d4"]
    assert source_of(tmp_path / "corpus.jsonl.gz").count() == 5
