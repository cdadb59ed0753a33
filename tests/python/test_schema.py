"""A schema survives the trip through JSON, and through an index."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft

NUMBERS = st.integers(1, 64).map(lambda eighths: eighths / 8)
LAYOUT: dict[str, st.SearchStrategy[Any]] = {"block_size": st.sampled_from([8, 64, 256]), "reorder": st.booleans()}
SPARSE = st.builds(
    weft.Sparse,
    terms=st.sampled_from(["int", "str"]),
    max_weight=st.none() | NUMBERS,
    rescore=st.booleans(),
    **LAYOUT,
)
BM25 = st.builds(
    weft.Bm25,
    k1=NUMBERS,
    b=st.floats(0, 1),
    language=st.sampled_from([None, "english", "german"]),
    average_length=st.none() | NUMBERS,
    **LAYOUT,
)
SCHEMAS = st.builds(
    weft.Schema,
    sparse=st.none() | SPARSE | BM25,
    attributes=st.dictionaries(st.text("abc_", min_size=1), st.sampled_from(["keyword", "int64", "float64"])),
    ids=st.sampled_from(["int", "str"]),
)


@given(SCHEMAS)
def test_json_gives_the_schema_back(schema: weft.Schema) -> None:
    assert weft.Schema.from_json(schema.to_json()) == schema


@given(SCHEMAS)
def test_an_index_keeps_its_schema(tmp_path_factory: pytest.TempPathFactory, schema: weft.Schema) -> None:
    path = tmp_path_factory.mktemp("schema") / "index.weft"
    with weft.Writer(path, schema) as writer:
        assert writer.schema == schema
    assert weft.open(path).schema == schema
    with weft.Writer(path, schema) as writer:
        assert writer.schema == schema


@pytest.mark.parametrize(
    "other",
    [
        weft.Schema(weft.Sparse(), {"year": "int64"}),
        weft.Schema(weft.Sparse(terms="str"), {"year": "int64"}, "int"),
        weft.Schema(weft.Sparse(max_weight=2.0), {"year": "int64"}, "int"),
        weft.Schema(weft.Sparse(block_size=8), {"year": "int64"}, "int"),
        weft.Schema(weft.Sparse(reorder=False), {"year": "int64"}, "int"),
        weft.Schema(weft.Sparse(rescore=True), {"year": "int64"}, "int"),
        weft.Schema(weft.Sparse(), {"year": "float64"}, "int"),
        weft.Schema(weft.Sparse(), {}, "int"),
        weft.Schema(weft.Bm25(), {"year": "int64"}, "int"),
        weft.Schema(None, {"year": "int64"}, "int"),
    ],
)
def test_another_schema_is_refused(path: Path, other: weft.Schema) -> None:
    weft.Writer(path, weft.Schema(weft.Sparse(), {"year": "int64"}, "int")).close()
    with weft.Writer(path, weft.Schema(weft.Sparse(), {"year": "int64"}, "int")) as writer:
        writer.commit()
    with pytest.raises(weft.SchemaMismatch):
        weft.Writer(path, other)
    assert len(weft.open(path)) == 0


@pytest.mark.parametrize("rescore", [1, "yes", None])
def test_rescore_is_true_or_false(path: Path, rescore: Any) -> None:
    with pytest.raises(weft.InvalidInput, match="schema"):
        weft.Writer(path, weft.Schema(weft.Sparse(rescore=rescore)))


@pytest.mark.parametrize("made", [weft.Sparse, weft.Bm25])
@pytest.mark.parametrize(
    "layout", [{"block_size": each} for each in (0, 4, 12, 512, -8, 8.5, "8", None)] + [{"reorder": 1}]
)
def test_a_layout_that_cannot_be_is_refused(path: Path, made: Any, layout: dict[str, Any]) -> None:
    with pytest.raises(weft.InvalidInput):
        weft.Writer(path, weft.Schema(made(**layout)))
