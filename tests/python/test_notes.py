"""Notes that a writer leaves, and settings of encoders that the schema keeps."""

from pathlib import Path
from typing import Any

import pytest

import weft

TEXTS = weft.Schema(sparse=weft.Bm25())


def test_notes_are_published_with_the_documents_before_them(path: Path) -> None:
    with weft.Writer(path, TEXTS) as writer:
        writer.add(["a"], text=["fox"])
        writer.note("position", "1")
        writer.commit()
        writer.note("position", "2")
        writer.note("empty", "")
        assert weft.open(path).notes == {"position": "1"}
        writer.rollback()
        assert writer.commit() == weft.open(path).generation
    assert weft.open(path).notes == {"position": "1"}
    with weft.Writer(path) as writer:
        writer.note("position", None)
        writer.note("never there", None)
    assert weft.open(path).notes == {}
    weft.verify(path)


@pytest.mark.parametrize("name", ["", "é" * 128, 7])
def test_a_note_needs_a_name(path: Path, name: Any) -> None:
    with weft.Writer(path, TEXTS) as writer, pytest.raises(weft.InvalidInput, match="name"):
        writer.note(name, "text")


def test_notes_are_short_and_few(path: Path) -> None:
    with weft.Writer(path, TEXTS) as writer:
        writer.note("long", "x" * 2**16)
        with pytest.raises(weft.InvalidInput, match="65537 bytes"):
            writer.note("longer", "x" * (2**16 + 1))
        for number in range(1023):
            writer.note(str(number), "")
        with pytest.raises(weft.InvalidInput, match="1024 notes"):
            writer.note("one more", "")
    assert len(weft.open(path).notes) == 1024


def test_settings_of_encoders_belong_to_the_schema(path: Path) -> None:
    settings = {"name": "a/b", "longest": 180, "nested": {"x": [1, 2.5, None, True]}}
    schema = weft.Schema(weft.Sparse(), encoders={"sparse": settings})
    weft.build(path, ids=["a"], sparse=[{1: 1.0}], schema=schema)
    assert weft.open(path).schema.encoders == {"sparse": settings}
    with weft.Writer(path, schema):
        pass
    with pytest.raises(weft.SchemaMismatch):
        weft.Writer(path, weft.Schema(weft.Sparse(), encoders={"sparse": {**settings, "longest": 181}}))
    with pytest.raises(weft.SchemaMismatch):
        weft.Writer(path, weft.Schema(weft.Sparse()))


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"multivector": {}}, "multivector"),
        ({"dense": {}}, "dense"),
        ({"sparse": 7}, "settings"),
        ({"sparse": {"x": float("nan")}}, "JSON"),
        ({"sparse": {"x": "y" * 2**16}}, "bytes of settings"),
        ([], "settings"),
    ],
)
def test_settings_must_fit_the_schema(path: Path, encoders: Any, message: str) -> None:
    with pytest.raises(weft.InvalidInput, match=message):
        weft.Writer(path, weft.Schema(weft.Sparse(), encoders=encoders))


def test_text_has_no_encoder(path: Path) -> None:
    with pytest.raises(weft.InvalidInput, match="sparse"):
        weft.Writer(path, weft.Schema(weft.Bm25(), encoders={"sparse": {}}))
