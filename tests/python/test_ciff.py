"""CIFF files, compared with an encoder and a decoder written for the tests."""

import contextlib
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ciff_oracle as oracle
import weft
from weft.io import read_ciff, write_ciff

BYTES = bytes.fromhex(
    # header: version 1, 2 lists, 3 documents
    "06 08 01 10 02 18 03"
    # "fox", in 2 documents, 5 times: document 0, whose gap is left out, 2 times; document 2, 3 times
    "13 0a 03 66 6f 78 10 02 18 05 22 02 10 02 22 04 08 02 10 03"
    # "a", in 1 document, 300 times: document 1
    "0f 0a 01 61 10 01 18 ac 02 22 05 08 01 10 ac 02"
    # "d0", "d1", "d2"; document 0 is left out
    "04 12 02 64 30  06 08 01 12 02 64 31  06 08 02 12 02 64 32"
)
LISTS = {"fox": {0: 2, 2: 3}, "a": {1: 300}}
NAMES = ["d0", "d1", "d2"]
ROWS = [("d0", {"fox": 2.0}), ("d1", {"a": 300.0}), ("d2", {"fox": 3.0})]

Table = dict[str, dict[int, int]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.ciff"


def documents(path: Path, **options: Any) -> list[tuple[Any, dict[Any, float]]]:
    """Return the id and the weights of each document of a file."""
    found = []
    for names, (indptr, terms, weights) in read_ciff(path, **options):
        assert len(indptr) == len(names) + 1
        for row, name in enumerate(names):
            part = slice(indptr[row], indptr[row + 1])
            assert len(set(terms[part])) == len(terms[part])
            found.append((name, dict(zip(terms[part], weights[part].tolist(), strict=True))))
    return found


def index_of(path: Path, file: Path, **options: Any) -> weft.Index:
    read = read_ciff(file, **options)
    with weft.Writer(path, read.schema) as writer:
        for names, rows in read:
            writer.add(names, sparse=rows)
    return weft.open(path)


def test_bytes_written_by_hand(file: Path) -> None:
    file.write_bytes(BYTES)
    read = read_ciff(file)
    assert (len(read), read.postings, read.largest_weight, read.description) == (3, 3, 300, "")
    assert read.schema == weft.Schema(weft.Sparse("str", 300.0))
    assert documents(file) == ROWS
    assert [names for names, _ in read] == [NAMES]
    assert list(read) == [], "a file is gone through once"
    file.write_bytes(oracle.ciff(LISTS, NAMES))
    assert documents(file) == ROWS
    assert read_ciff(file).description == "by hand"


tables = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.just([f"d{number}" for number in range(count)]),
        st.dictionaries(
            st.text(max_size=3), st.dictionaries(st.integers(0, count - 1), st.integers(1, 2**24)), max_size=6
        ),
    )
)


@given(tables, st.integers(1, 100))
def test_rows_are_the_same_whatever_the_memory(tmp_path: Path, table: tuple[list[str], Table], limit: int) -> None:
    names, lists = table
    file = tmp_path / "a.ciff"
    file.write_bytes(oracle.ciff(lists, names))
    expected = [
        (name, {term: float(postings[number]) for term, postings in lists.items() if number in postings})
        for number, name in enumerate(names)
    ]
    assert documents(file, memory_limit="1GiB") == expected
    assert documents(file, memory_limit=limit) == expected
    sizes = [8 * (len(batch) + len(rows[2])) for batch, rows in read_ciff(file, memory_limit=limit) if len(batch) > 1]
    assert max(sizes, default=0) <= limit


def test_an_index_of_a_file_answers_like_one_of_dicts(path: Path, tmp_path: Path, file: Path) -> None:
    rng = np.random.default_rng(7)
    rows = [
        {f"t{term}": int(rng.integers(1, 256)) for term in rng.choice(50, rng.integers(0, 20), replace=False)}
        for _ in range(300)
    ]
    names = [f"d{number}" for number in range(300)]
    lists = {
        term: {number: row[term] for number, row in enumerate(rows) if term in row}
        for term in (f"t{number}" for number in rng.permutation(50))
    }
    file.write_bytes(oracle.ciff(lists, names))
    read = index_of(path, file, memory_limit=999)
    built = weft.build(tmp_path / "b.weft", ids=names, sparse=rows, schema=weft.Schema(weft.Sparse("str", 255.0)))
    queries = rows[:20]
    found, expected = read.search(sparse=queries, k=300), built.search(sparse=queries, k=300)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.scores.tolist() == expected.scores.tolist()
    assert [read.get(name)["sparse"] for name in names] == rows


def exported(path: Path) -> tuple[dict[int, Any], dict[str, Any], list[dict[int, Any]]]:
    """Return header, postings by term with df and cf, and records of a file that the library wrote."""
    first, *rest = oracle.messages(path.read_bytes())
    head = dict(first)
    lists: dict[str, Any] = {}
    for fields in rest[: head.get(2, 0)]:
        document, postings = 0, {}
        for number, value in fields:
            if number == 4:
                posting = dict(oracle.decode(value))
                assert posting.get(1, 0) > 0 or not postings
                document += posting.get(1, 0)
                postings[document] = posting[2]
        facts = dict(fields)
        lists[facts.get(1, b"").decode()] = (facts[2], facts[3], postings)
    return head, lists, [dict(fields) for fields in rest[head.get(2, 0) :]]


def test_export_joins_segments_and_leaves_out_the_deleted(path: Path, file: Path) -> None:
    schema = weft.Schema(weft.Sparse("str", 51.0), {"year": "int64"}, "int")
    with weft.Writer(path, schema, memory_limit=1) as writer:
        for number in range(10):
            row = {"all": 1.0, f"t{number}": 0.2 * (number + 1), "é": 51.0 if number % 2 else 0.0}
            writer.add([number], sparse=[row])
            writer.commit()
        writer.delete([0, 4])
        writer.add([9, 10], sparse=[{"all": 2.0}, {}])
    index = weft.open(path)
    assert index.stats()["segments"] > 1
    write_ciff(file, index)
    head, lists, records = exported(file)

    ids = index.ids().tolist()
    assert ids == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [(each.get(1, 0), each[2].decode()) for each in records] == [(n, str(id)) for n, id in enumerate(ids)]
    vectors = [index.get(name)["sparse"] for name in ids]
    impacts = [{term: round(weight * 5) for term, weight in vector.items()} for vector in vectors]
    assert "t0" not in lists
    assert "t9" not in lists
    assert sorted(lists) == sorted({term for vector in vectors for term in vector})
    for term, (df, cf, postings) in lists.items():
        expected = {number: row[term] for number, row in enumerate(impacts) if term in row}
        assert (df, cf, postings) == (len(expected), sum(expected.values()), expected)
    lengths = [sum(row.values()) for row in impacts]
    assert [each.get(3, 0) for each in records] == lengths
    assert head.pop(8).decode() == f"weft {weft.__version__}; weight = tf * 0.2"
    assert head == {1: 1, 2: len(lists), 3: 9, 4: len(lists), 5: 9, 6: sum(lengths), 7: sum(lengths) / 9}
    assert os.listdir(file.parent).count("a.ciff.tmp") == 0


@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 255), max_size=5), max_size=8))
def test_whole_weights_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    schema = weft.Schema(weft.Sparse(max_weight=255.0), ids="int")
    index = weft.build(folder / "a.weft", sparse=rows, schema=schema)
    write_ciff(folder / "a.ciff", index)
    again = index_of(folder / "b.weft", folder / "a.ciff", ids="int", terms="int", memory_limit=40)
    assert again.schema == schema
    assert [again.get(number)["sparse"] for number in range(len(rows))] == rows
    write_ciff(folder / "b.ciff", again)
    assert (folder / "a.ciff").read_bytes() == (folder / "b.ciff").read_bytes()


def test_larger_weights_are_scaled(path: Path, file: Path) -> None:
    file.write_bytes(oracle.ciff({"a": {0: 255, 1: 510, 2: 2}}, NAMES))
    index = index_of(path, file)
    assert [index.get(name)["sparse"]["a"] for name in NAMES] == [256.0, 510.0, 2.0]
    assert index.stats()["clipped"] == 0


def test_an_index_of_text(animals: weft.Index, path: Path, file: Path) -> None:
    write_ciff(file, animals)
    index = index_of(path.parent / "copy.weft", file)
    assert index.ids().tolist() == animals.ids().tolist()
    step = float(read_ciff(file).description.rpartition(" * ")[2])
    for name in animals.ids():
        weights = {term: weight * step for term, weight in index.get(name)["sparse"].items()}
        assert weights == pytest.approx(animals.get(name)["sparse"])


def test_no_documents(path: Path, file: Path) -> None:
    write_ciff(file, weft.build(path, ids=[], sparse=[], schema=weft.Schema(weft.Sparse())))
    assert documents(file) == []
    assert exported(file)[0] == {1: 1, 8: f"weft {weft.__version__}".encode()}


def test_integer_keys(file: Path) -> None:
    file.write_bytes(oracle.ciff({"-0": {0: 1}, "12": {1: 2}}, ["7", "-3"]))
    with pytest.raises(weft.InvalidInput, match="term '-0'"):
        read_ciff(file, terms="int")
    assert [name for name, _ in documents(file, ids="int")] == [7, -3]
    for wrong in ("", "x", "1.0", " 1", "01", "+1", "1_0", "\u0661", str(2**63), "9" * 5000):
        file.write_bytes(oracle.ciff({wrong: {0: 1}}, ["7"]))
        with pytest.raises(weft.InvalidInput, match="term"):
            read_ciff(file, terms="int")


def test_paths_that_cannot_be_read_or_written(tmp_path: Path, animals: weft.Index) -> None:
    with pytest.raises(weft.IoError, match=r"missing\.ciff"):
        read_ciff(tmp_path / "missing.ciff")
    with pytest.raises(weft.InvalidInput, match="not a file"):
        read_ciff(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(weft.InvalidInput, match="not a file"):
        read_ciff(tmp_path / "pipe")
    with pytest.raises(weft.IoError, match="none"):
        write_ciff(tmp_path / "none" / "a.ciff", animals)
    (tmp_path / "folder").mkdir()
    with pytest.raises(weft.IoError):
        write_ciff(tmp_path / "folder", animals)
    with pytest.raises(weft.InvalidInput):
        write_ciff("/", animals)
    with pytest.raises(weft.InvalidInput, match=r"must be a weft\.Index"):
        write_ciff(tmp_path / "a.ciff", animals.path)  # type: ignore[arg-type]
    with pytest.raises(weft.InvalidInput, match="float"):
        read_ciff(tmp_path / "a.ciff", terms="float")  # type: ignore[arg-type]
    bare = weft.build(tmp_path / "bare.weft", ids=["a"], attributes={"year": [1]})
    with pytest.raises(weft.SchemaMismatch):
        write_ciff(tmp_path / "a.ciff", bare)
    assert not list(tmp_path.glob("*.ciff*"))


HOSTILE = {
    "nothing": b"",
    "gunzip": gzip.compress(BYTES),
    "version 2": oracle.framed(oracle.header(0, 0, version=2)),
    "do not fit": oracle.framed(oracle.header(2**31 - 1, 2**31 - 1)),
    "-1 postings lists": oracle.framed(oracle.header(-1, 0)),
    "list 0: posting 1: document gap 0": oracle.framed(
        oracle.header(1, 2),
        oracle.encode([(1, "a"), (2, 2), (4, b"\x10\x01"), (4, b"\x10\x01")]),
        *(oracle.record(number, f"d{number}") for number in range(2)),
    ),
    "list 0: posting 0: document -1": oracle.framed(
        oracle.header(1, 1), oracle.encode([(2, 1), (4, oracle.encode([(1, -1), (2, 1)]))]), b"\x12\x01a"
    ),
    "document 3; there are 3": oracle.ciff({"a": {3: 1}}, NAMES),
    "list 1: document frequency 4": oracle.framed(
        oracle.header(2, 1),
        oracle.postings_list("a", {0: 1}),
        oracle.postings_list("b", {0: 1}, df=4),
        oracle.record(0, "d0"),
    ),
    "record 1: document 0": oracle.framed(oracle.header(0, 2), oracle.record(0, "d0"), oracle.record(0, "d1")),
    "two documents have the id": oracle.ciff({}, ["d0", "d0"]),
    "record 0: its id has 0 bytes": oracle.ciff({}, ["", "d", "e"]),
    "two postings lists": oracle.framed(
        oracle.header(2, 0), oracle.postings_list("a", {}), oracle.postings_list("a", {})
    ),
    "list 0: a string is not UTF-8": oracle.framed(oracle.header(1, 0), oracle.encode([(1, b"\xff")])),
    "list 0: a number has more than 64 bits": oracle.framed(oracle.header(1, 0)) + b"\xff" * 10 + b"\x01",
    "list 0: a length passes the end": oracle.framed(oracle.header(1, 0)) + b"\xfe\xff\xff\xff\x07\x0a",
    "1 bytes follow": BYTES + b"\0",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_broken_file_is_refused_by_place(what: str, file: Path) -> None:
    file.write_bytes(HOSTILE[what])
    with pytest.raises(weft.InvalidInput, match="header" if what == "nothing" else what) as refused:
        read_ciff(file)
    assert str(refused.value).startswith(f"{file}: ")


def test_a_file_cut_anywhere_is_refused(file: Path) -> None:
    for length in range(len(BYTES)):
        file.write_bytes(BYTES[:length])
        with pytest.raises(weft.InvalidInput):
            read_ciff(file)


@given(st.lists(st.tuples(st.integers(0, len(BYTES) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_file_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(BYTES)
    for place, value in changes:
        content[place] = value
    file = tmp_path / "a.ciff"
    file.write_bytes(content)
    with contextlib.suppress(weft.InvalidInput):
        documents(file)


def test_a_file_that_changes_while_it_is_read_is_no_crash(file: Path) -> None:
    file.write_bytes(BYTES)
    read = read_ciff(file, memory_limit=1)
    next(read)
    with file.open("r+b") as opened:
        opened.write(b"\xff" * len(BYTES))
    with pytest.raises(weft.InvalidInput, match="changed while it was read"):
        list(read)
