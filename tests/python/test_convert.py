"""JSONL vectors, and conversion between files and indexes by function and by command."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import ciff_oracle as oracle
import weft
from weft.commands import app
from weft.io import read_ciff, read_vectors, write_vectors

LINES = [
    {"id": "a", "vector": {"fox": 1.5, "red": 2}},
    {"id": 7, "contents": "red wine", "vector": {"red": 0.25, "wine": 255}},
    {"_id": "é", "content": "", "extra": [None], "vector": {}},
]
IDS = ["a", "7", "é"]


def jsonl(path: Path, lines: list[Any]) -> Path:
    """Write the lines, those that are not text as JSON."""
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "vectors.jsonl", LINES)


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz"])
def test_vectors_of_every_dialect(tmp_path: Path, name: str) -> None:
    file = jsonl(tmp_path / name, [LINES[0], "", LINES[1], LINES[2]])
    assert list(read_vectors(file)) == [
        (f"{file}:1", "a", {"fox": 1.5, "red": 2}),
        (f"{file}:3", "7", {"red": 0.25, "wine": 255}),
        (f"{file}:4", "é", {}),
    ]


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz"])
def test_an_index_of_vectors_and_back(vectors: Path, path: Path, tmp_path: Path, name: str) -> None:
    assert weft.convert(vectors, path, max_weight=255 / 4) == 3
    index = weft.open(path)
    assert index.schema == weft.Schema(weft.Sparse("str", 255 / 4))
    assert index.ids().tolist() == IDS
    assert index.stats()["clipped"] == 1
    file = tmp_path / name
    assert weft.convert(path, file) == 3
    content = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    assert content.decode() == (
        '{"id": "a", "vector": {"fox": 1.5, "red": 2.0}}\n'
        '{"id": "7", "vector": {"red": 0.25, "wine": 63.75}}\n'
        '{"id": "é", "vector": {}}\n'
    )
    again = tmp_path / "again.weft"
    weft.convert(file, again, max_weight=255 / 4)
    assert [weft.open(again).get(each) for each in IDS] == [index.get(each) for each in IDS]


@given(st.lists(st.dictionaries(st.integers(0, 50), st.floats(2**-7, 10, width=32), max_size=6), max_size=6))
def test_written_weights_are_the_stored_ones(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[int, float]]
) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    index = weft.build(folder / "a.weft", sparse=rows, schema=weft.Schema(weft.Sparse(max_weight=10.0), ids="int"))
    write_vectors(folder / "a.jsonl", index)
    weft.convert(folder / "a.jsonl", folder / "b.weft", ids="int", terms="int", max_weight=10.0)
    again = weft.open(folder / "b.weft")
    assert again.schema == index.schema
    for place, name, vector in read_vectors(folder / "a.jsonl"):
        assert place.endswith(f":{int(name) + 1}")
        stored = index.get(int(name))["sparse"]
        assert {int(term): np.float32(weight) for term, weight in vector.items()} == stored
        assert again.get(int(name))["sparse"] == stored


def test_many_batches_and_repeated_ids(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["weft.convert"], "BATCH_DOCUMENTS", 3)
    lines = [{"id": number % 10, "vector": {"all": number + 1}} for number in range(25)]
    weft.convert(jsonl(tmp_path / "a.jsonl", lines), path, ids="int", max_weight=255.0)
    index = weft.open(path)
    assert index.ids().tolist() == [*range(5, 10), *range(5)]
    assert index.get(4)["sparse"] == {"all": 25.0}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "not JSON"),
        ("[]", "expected a JSON object"),
        ({"vector": {}}, 'no "id"'),
        ({"id": 1.5, "vector": {}}, "id is 1.5"),
        ({"id": "", "vector": {}}, "0 bytes"),
        ({"id": "x"}, '"vector" is not there'),
        ({"id": "x", "vector": None}, '"vector" is None'),
        ({"id": "x", "vector": [["fox", 1]]}, "expected an object"),
        ({"id": "x", "vector": {"fox": "1"}}, "'fox' has weight '1'"),
        ({"id": "x", "vector": {"fox": True, "hen": None}}, "'hen' has weight None"),
        ({"id": "x", "vector": {"fox": -1}}, "-1"),
        ('{"id": "x", "vector": {"fox": NaN}}', "NaN"),
        ('{"id": "x", "vector": {"fox": 1e999}}', "inf"),
        ('{"id": "x", "vector": {"fox": 1e39}}', "inf"),
        ('{"id": "x", "vector": {"\\ud800": 1}}', "Unicode"),
        ({"id": "x", "vector": {"f" * 65_536: 1}}, "65,535"),
        (b"\xff".decode("latin-1"), "not JSON"),
    ],
)
def test_a_malformed_line_is_named(line: Any, what: str, path: Path, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", [LINES[0], line, LINES[1]])
    with pytest.raises(weft.InvalidInput) as refused:
        weft.convert(file, path)
    assert str(refused.value).startswith(f"{file}:2: ")
    assert what in str(refused.value)
    with pytest.raises(weft.NotFound):
        weft.open(path)
    weft.convert(jsonl(file, LINES), path)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"ids": "int"}, r":1: id 'a' \(str\) is not an integer"), ({"terms": "int"}, ":1: term 'fox'")],
)
def test_keys_that_are_no_integers(options: Any, what: str, vectors: Path, path: Path) -> None:
    with pytest.raises(weft.InvalidInput, match=what):
        weft.convert(vectors, path, **options)


def test_damaged_files(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    whole = jsonl(file, LINES * 50).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"plain", b"\x1f\x8b" + bytes(30)):
        file.write_bytes(damaged)
        with pytest.raises(weft.InvalidInput, match="damaged gzip"):
            weft.convert(file, path)
    file = jsonl(tmp_path / "a.jsonl", LINES)
    file.write_bytes(file.read_bytes() + b'{"id": "\xff"}')
    with pytest.raises(weft.InvalidInput, match=":4: not UTF-8"):
        weft.convert(file, path)


def test_ciff_and_back(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.ciff"
    file.write_bytes(oracle.ciff({"fox": {0: 2, 2: 3}, "a": {1: 300}}, ["x", "y", "z"]))
    assert weft.convert(file, path, max_weight=300) == 3
    assert weft.open(path).get("y")["sparse"] == {"a": 300.0}
    assert weft.convert(path, tmp_path / "b.ciff") == 3
    assert read_ciff(tmp_path / "b.ciff").postings == 3
    other = tmp_path / "other.weft"
    weft.convert(file, other)
    assert weft.open(other).schema.sparse == weft.Sparse("str", 300.0)


def test_what_cannot_be_converted(vectors: Path, path: Path, tmp_path: Path, animals: weft.Index) -> None:
    for source, destination in (
        (vectors, tmp_path / "b.jsonl"),
        (vectors, tmp_path / "b.ciff"),
        (path, tmp_path / "other.weft"),
        (tmp_path / "a.txt", tmp_path / "b.weft"),
    ):
        with pytest.raises(weft.InvalidInput, match="cannot convert"):
            weft.convert(source, destination)
    with pytest.raises(weft.InvalidInput, match="holds an index already"):
        weft.convert(vectors, path)
    with pytest.raises(weft.InvalidInput):
        weft.convert(vectors, tmp_path / "b.weft", ids="float")  # type: ignore[arg-type]
    with pytest.raises(weft.InvalidInput, match="max_weight"):
        weft.convert(vectors, tmp_path / "b.weft", max_weight=-1)
    for missing in ("missing.jsonl", "missing.ciff"):
        with pytest.raises(weft.IoError, match="missing"):
            weft.convert(tmp_path / missing, tmp_path / "b.weft")
    with pytest.raises(weft.NotFound):
        weft.convert(tmp_path / "missing.weft", tmp_path / "b.jsonl")
    bare = weft.build(tmp_path / "bare.weft", ids=["a"], attributes={"year": [1]})
    for name in ("b.jsonl", "b.ciff"):
        with pytest.raises(weft.SchemaMismatch):
            weft.convert(bare.path, tmp_path / name)
        with pytest.raises(weft.IoError):
            weft.convert(path, tmp_path / "none" / name)
    assert not list(tmp_path.glob("b.jsonl*")) + list(tmp_path.glob("b.ciff*"))
    assert len(animals) == 4


def test_an_index_in_a_folder_with_the_name_of_a_file(vectors: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index.ciff"
    folder.mkdir()
    weft.convert(vectors, folder)
    assert weft.convert(folder, tmp_path / "b.ciff") == 3


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, animals: weft.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("old")
    answers = iter([animals.get("fox")])
    monkeypatch.setattr(weft.Index, "get", lambda *_: next(answers))
    with pytest.raises(weft.InvalidInput, match=r"must be a weft\.Index"):
        write_vectors(file, animals.path)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        write_vectors(file, animals)
    assert file.read_text() == "old"
    assert [each.name for each in tmp_path.glob("a.jsonl*")] == ["a.jsonl"]


def test_progress_counts_documents(vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weft.convert(vectors, tmp_path / "a.weft")
    assert capsys.readouterr() == ("", "")
    for source, destination in (("vectors.jsonl", "b.weft"), ("b.weft", "c.jsonl"), ("c.ciff", "d.weft")):
        if source == "c.ciff":
            weft.convert(tmp_path / "b.weft", tmp_path / source)
        weft.convert(tmp_path / source, tmp_path / destination, show_progress=True)
        assert "documents" in capsys.readouterr().err


def run(*arguments: Any, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def test_the_command(vectors: Path, path: Path, tmp_path: Path) -> None:
    for source, destination in (
        (vectors, path),
        (path, tmp_path / "b.ciff"),
        (tmp_path / "b.ciff", tmp_path / "c.weft"),
        (tmp_path / "c.weft", tmp_path / "d.jsonl.gz"),
    ):
        result = run(source, destination)
        assert result.stdout.startswith(f"3 documents in {destination}, ")
        assert result.stderr == ""
    assert [name for _, name, _ in read_vectors(tmp_path / "d.jsonl.gz")] == IDS
    numbers = jsonl(tmp_path / "n.jsonl", [{"id": "3", "vector": {"12": 0.5}}])
    run(numbers, tmp_path / "n.weft", "--ids", "int", "--terms", "int", "--max-weight", 2, "--memory-limit", "1MiB")
    assert weft.open(tmp_path / "n.weft").schema == weft.Schema(weft.Sparse("int", 2.0), ids="int")


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.jsonl", "new.weft"],
        ["missing.weft", "new.jsonl"],
        ["broken.jsonl", "new.weft"],
        ["broken.ciff", "new.weft"],
        ["vectors.jsonl", "new.ciff"],
        ["vectors.jsonl", "index.weft"],
        ["vectors.jsonl", "new.weft", "--ids", "float"],
        ["vectors.jsonl", "new.weft", "--ids", "int"],
        ["vectors.jsonl", "new.weft", "--max-weight", "0"],
        ["vectors.jsonl", "new.weft", "--memory-limit", "much"],
    ],
)
@pytest.mark.usefixtures("vectors", "animals")
def test_an_error_is_one_line(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.jsonl").write_text("{\n")
    Path("broken.ciff").write_bytes(b"\xff")
    result = run(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.startswith("weft: ")
    assert result.stderr.count("\n") == 1
