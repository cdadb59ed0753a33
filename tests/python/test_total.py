"""Whatever object is passed anywhere, a public call succeeds or raises an exception of the library."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import weft
from weft import io

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 4)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["a", "b", "red", "wine", "year", "year = 1984", "lang in ('en')", "english", "int", "1MiB"])
    | st.binary(max_size=5)
    | st.fractions()
    | arrays.from_dtype(np.dtype("f4"))
    | arrays.from_dtype(np.dtype("u8"))
)
ARRAYS = arrays.arrays(
    dtype=arrays.scalar_dtypes(),
    shape=arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
MATRICES = arrays.arrays(np.float64, (2, 3)).map(scipy.sparse.csr_array)
LEAVES = SCALARS | ARRAYS | MATRICES
KEYS = st.none() | st.booleans() | st.integers() | st.integers(0, 9) | st.text(max_size=3) | st.binary(max_size=3)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, min_size=3, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)
NUMBERS = st.lists(st.floats(-1, 1e39) | st.integers(0, 3), max_size=4)
OFFSETS = st.lists(st.integers(-1, 5), max_size=4)
ROWS = (
    st.tuples(OFFSETS, OFFSETS, NUMBERS)
    | st.lists(st.dictionaries(KEYS, st.floats() | st.integers(0, 9)), min_size=2, max_size=2)
    | ANYTHING
)

# A message shows a path as it is; one with a newline would be told over several lines.
PATHS = ANYTHING.filter(lambda value: not (isinstance(value, str) and "\n" in value))


class Held(NamedTuple):
    """Two open indexes with their writers, and a folder for more."""

    folder: Path
    vectors: weft.Writer
    texts: weft.Writer
    numbered: weft.Index
    named: weft.Index


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("total")
    attributes: dict[str, Any] = {"year": "int64", "lang": "keyword", "x": "float64"}
    numbered = weft.build(
        folder / "int",
        sparse=[{1: 1.0}, {5: 1.0}],
        schema=weft.Schema(weft.Sparse(max_weight=1.0), attributes, "int"),
    )
    named = weft.build(folder / "str", ids=["a", "b"], text=["red", "wine"], attributes={"lang": ["en", None]})
    with weft.Writer(numbered.path) as vectors, weft.Writer(named.path) as texts:
        yield Held(folder, vectors, texts, numbered, named)


ENCODER = weft.FdeEncoder(weft.Fde(1, 1, 2), 3)


def three(value: Any) -> tuple[Any, ...]:
    """Return a tuple of three as it is, anything else as the only value of a tuple."""
    return value if isinstance(value, tuple) and len(value) == 3 else (value,)


CALLS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Held, Any], object]]] = {
    "add ids": (ANYTHING, lambda held, value: held.vectors.add(value, sparse=[{1: 1.0}, {2: 1.0}])),
    "add rows": (ROWS, lambda held, value: held.vectors.add([8, 9], sparse=value)),
    "add texts": (ANYTHING, lambda held, value: held.texts.add(["x", "y"], text=value)),
    "add attributes": (
        ANYTHING | st.dictionaries(st.sampled_from(["year", "lang", "x"]), st.lists(SCALARS, min_size=1, max_size=1)),
        lambda held, value: held.vectors.add([8], sparse=[{1: 1.0}], attributes=value),
    ),
    "delete": (ANYTHING, lambda held, value: (held.vectors.delete(value), held.texts.delete(value))),
    "merge": (ANYTHING, lambda held, value: held.vectors.merge(value)),
    "search rows": (ROWS, lambda held, value: held.numbered.search(sparse=value)),
    "search texts": (ANYTHING, lambda held, value: held.named.search(text=value)),
    "search k": (ANYTHING, lambda held, value: held.numbered.search(sparse={1: 1.0}, k=value)),
    "search where": (ANYTHING, lambda held, value: held.numbered.search(sparse={1: 1.0}, where=value)),
    "search subset": (ANYTHING, lambda held, value: held.numbered.search(sparse={1: 1.0}, subset=value)),
    "search knobs": (
        st.tuples(ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: held.numbered.search(sparse={1: 1.0}, alpha=value[0], beta=value[1], gamma=value[2]),
    ),
    "search limits": (
        st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: held.numbered.search(
            sparse={1: 1.0}, target_recall=value[0], min_score=value[1], deadline_ms=value[2], plan=value[3]
        ),
    ),
    "tune": (
        st.tuples(ANYTHING, ANYTHING, ROWS, ANYTHING, ANYTHING),
        lambda held, value: held.numbered.tune(value[0], k=value[1], queries=value[2], samples=value[3], seed=value[4]),
    ),
    "explain rows": (ROWS, lambda held, value: held.numbered.explain(1, sparse=value)),
    "explain text": (ANYTHING, lambda held, value: held.named.explain("a", text=value)),
    "explain id": (ANYTHING, lambda held, value: held.numbered.explain(value, sparse={1: 1.0})),
    "get": (ANYTHING, lambda held, value: (held.numbered.get(value), held.named.get(value))),
    "contains": (ANYTHING, lambda held, value: value in held.numbered or value in held.named),
    "open": (PATHS, lambda held, value: weft.open(value)),
    "verify": (PATHS, lambda held, value: weft.verify(value)),
    "schema": (ANYTHING, lambda held, value: weft.Writer(held.numbered.path, value)),
    "schema json": (ANYTHING, lambda held, value: weft.Schema.from_json(value)),
    "schema fields": (
        st.tuples(ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: (weft.Schema(*value).to_json(), weft.Schema(weft.Sparse(*value[:2])).to_json()),
    ),
    "memory": (ANYTHING, lambda held, value: weft.TextIndex(held.folder / "new", memory_limit=value)),
    "text index": (
        st.tuples(ANYTHING, ANYTHING),
        lambda held, value: weft.TextIndex(held.folder / "new", *value),
    ),
    "documents": (
        st.lists(st.dictionaries(st.sampled_from(["id", "_id", "title", "text", "year"]), SCALARS), max_size=2),
        lambda held, value: list(io.read_documents(value)),
    ),
    "sketch": (
        ANYTHING | st.tuples(ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: [
            weft.Schema(multivector=weft.MultiVector(8), sketch=sketch).to_json()
            for sketch in (weft.Fde(*three(value)), weft.Lemur(*three(value)), value)
        ],
    ),
    "encoder": (
        st.tuples(st.tuples(SCALARS, SCALARS, SCALARS, ANYTHING), ANYTHING, ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: weft.FdeEncoder(
            weft.Fde(*value[0]), value[1], seed=value[2], rows=value[3], final=value[4]
        ),
    ),
    "encoder rows": (
        st.tuples(st.sampled_from(["orthogonal", "google", "fastembed"]), ANYTHING, ANYTHING, ANYTHING),
        lambda held, value: weft.FdeEncoder(
            weft.Fde(1, 1, 2, value[0]), 3, seed=value[1], rows=value[2], final=value[3]
        ),
    ),
    "encode": (
        ANYTHING | st.tuples(ARRAYS, OFFSETS) | st.lists(ARRAYS, max_size=3),
        lambda held, value: (ENCODER.encode_query(value), ENCODER.encode_document(value)),
    ),
    "encode as": (
        st.tuples(ANYTHING, ANYTHING),
        lambda held, value: ENCODER.encode_document([np.eye(3)], dtype=value[0], num_threads=value[1]),
    ),
    "merge hits": (ANYTHING, lambda held, value: weft.Hits.merge(value, 3)),
    "trec": (ANYTHING, lambda held, value: held.numbered.search(sparse=[{1: 1.0}]).to_trec(value, value)),
    "measures": (
        ANYTHING,
        lambda held, value: weft.evaluate(held.named, {"q": "red"}, {"q": {"a": 1}}, measures=value),
    ),
}


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
def test_a_call_succeeds_or_raises_what_is_documented(held: Held, name: str, data: st.DataObject) -> None:
    strategy, call = CALLS[name]
    value = data.draw(strategy)
    message = ""
    try:
        call(held, value)
    except weft.Error as error:
        message = str(error)
    assert "\n" not in message
    if message and name.startswith("add"):
        assert held.vectors.pending == held.texts.pending == 0
    held.vectors.rollback()
    held.texts.rollback()
    assert held.numbered.ids().tolist() == [0, 1]
    assert held.named.ids().tolist() == ["a", "b"]
