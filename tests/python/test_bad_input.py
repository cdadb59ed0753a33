"""Whatever is passed to a public call, it raises a documented exception and changes nothing.

A case names the call, the argument, the exception and words of its message: the row where there is one.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import weft
from bad_cases import BIG, INF, NAN, WRONG_COUNTS, Case, bad, both, cases, refused
from weft import InvalidInput, NotFound, SchemaMismatch
from weft.io import read_qrels


class Held:
    """An index of vectors and an index of text, each with a writer that has something pending."""

    def __init__(self, folder: Path) -> None:
        attributes: Mapping[str, Any] = {"lang": "keyword", "year": "int64", "x": "float64"}
        vectors = weft.Schema(weft.Sparse(max_weight=4.0), attributes, "int")
        named = weft.Schema(weft.Bm25(), attributes)
        self.folder = folder
        self.writers = {name: weft.Writer(folder / name, each) for name, each in (("int", vectors), ("str", named))}
        self.vectors, self.named = self.writers["int"], self.writers["str"]
        self.vectors.add([1, 2], sparse=[{1: 1.0, 5: 2.0}, {5: 1.0}], attributes={"year": [1984, None]})
        self.named.add(["a", "b"], text=["red fox", "red wine"])
        for writer in self.writers.values():
            writer.commit()
        self.vectors.add([3], sparse=[{7: 4.0}])
        self.named.add(["c"], text=["white wine"])
        self.index, self.texts = weft.open(folder / "int"), weft.open(folder / "str")

    def state(self) -> Any:
        searched = self.index.search(sparse={1: 1.0, 5: 1.0}).to_list(), self.texts.search(text="red").to_list()
        files = sorted(file.name for file in self.folder.rglob("*"))
        return [(writer.pending, writer.generation) for writer in self.writers.values()], searched, files


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    held = Held(tmp_path_factory.mktemp("held"))
    yield held
    for name, ids in (("int", [1, 2, 3]), ("str", ["a", "b", "c"])):
        held.writers[name].commit()
        held.writers[name].close()
        assert weft.open(held.folder / name).ids().tolist() == ids
        weft.verify(held.folder / name)


@pytest.fixture
def held(shared: Held) -> Iterator[Held]:
    before = shared.state()
    yield shared
    assert shared.state() == before


WRONG_IDS = [
    bad(None, "ids"),
    bad(5, "ids"),
    bad("ab", "ids"),
    bad(b"ab", "ids"),
    bad({1: 2}, "ids"),
    bad([1, None], "row 1"),
    bad([1, 2.0], "row 1.*2.0"),
    bad([1, NAN], "row 1"),
    bad([1, True], "row 1.*True"),
    bad([1, "b"], "row 1.*'b'"),
    bad(["a", 2], "row 1.*2"),
    bad(["a", b"b"], "row 1"),
    bad([(1,), (2,)], "row 0"),
    bad([[1], [2]], "row 0"),
    bad([1, BIG], f"row 1.*{BIG}"),
    bad([1, -BIG - 1], "row 1"),
    bad([1, Fraction(1)], "row 1"),
    bad(np.array([1, BIG], np.uint64), f"row 1.*{BIG}"),
    bad(np.array([1.0, 2.0]), "row 0.*1.0"),
    bad(np.array([True, False]), "row 0.*True"),
    bad(np.array([b"a", b"b"]), "row 0"),
    bad(np.array([1j, 2]), "row 0"),
    bad(np.array(["2020-01-01", "2021-01-01"], "M8[D]"), "row 0"),
    bad(np.array([[1, 2]]), "dimension"),
    bad(np.array(1), "dimension|list"),
    bad(np.array([1, None], object), "row 1"),
    bad(["a", "\ud800"], "row 1"),
]


@cases(
    WRONG_IDS,
    bad([1, 1], "row 1.*1"),
    bad([1], "1 ids"),
    bad([1, 2, 3], "3 ids"),
    bad([], "0 ids"),
    bad(["a", "b"], "ids", SchemaMismatch),
)
def test_add_ids(held: Held, case: Case) -> None:
    refused(lambda: held.vectors.add(case.value, sparse=[{1: 1.0}, {2: 1.0}]), case)


@cases(
    bad(["a", "a"], "row 1"),
    bad(["", "b"], "row 0"),
    bad(["x" * 70_000, "b"], "row 0"),
    bad([1, 2], "", SchemaMismatch),
)
def test_add_named_ids(held: Held, case: Case) -> None:
    refused(lambda: held.named.add(case.value, text=["red", "wine"]), case)


WRONG_ROWS = [
    bad(5, "sparse"),
    bad("red", "sparse"),
    bad(b"red", "sparse"),
    bad(np.eye(2), "dense"),
    bad(np.array(1.0), "dense"),
    bad((), "tuple"),
    bad(([0, 1], [1]), "tuple"),
    bad(([0, 1], [1], [1.0], [2]), "tuple"),
    bad([{1: 1.0}, None], "row 1"),
    bad([{1: 1.0}, 5], "row 1.*5"),
    bad([{1: 1.0}, [1.0]], "row 1"),
    bad([{1: 1.0}, {2: None}], "row 1.*term 2"),
    bad([{1: 1.0}, {2: "3"}], "row 1.*term 2.*'3'"),
    bad([{1: 1.0}, {2: [1]}], "row 1.*term 2"),
    bad([{1: 1.0}, {2: 1j}], "row 1.*term 2"),
    bad([{1: 1.0}, {2: 10**400}], "row 1.*term 2"),
    bad([{1: 1.0}, {2: NAN}], "row 1.*term 2.*NaN"),
    bad([{1: 1.0}, {2: INF}], "row 1.*term 2.*inf"),
    bad([{1: 1.0}, {2: -INF}], "row 1.*term 2.*-inf"),
    bad([{1: 1.0}, {2: 1e39}], "row 1.*term 2"),
    bad([{1: 1.0}, {2: -0.5}], "row 1.*term 2.*-0.5"),
    bad([{1: 1.0}, {2: -1e-45}], "row 1.*term 2"),
    bad([{1: 1.0}, {-2: 1.0}], "row 1.*-2"),
    bad([{1: 1.0}, {BIG: 1.0}], f"row 1.*{BIG}"),
    bad([{1: 1.0}, {2.0: 1.0}], "row 1.*2.0"),
    bad([{1: 1.0}, {True: 1.0}], "row 1.*True"),
    bad([{1: 1.0}, {None: 1.0}], "row 1.*None"),
    bad([{1: 1.0}, {(1,): 1.0}], "row 1"),
    bad([{1: 1.0}, {b"a": 1.0}], "row 1"),
    bad([{1: 1.0}, {"a": 1.0}], "row 1.*'a'"),
    bad([{1: 1.0}, {2: 1.0, "a": 1.0}], "row 1.*'a'"),
    bad([{"a": 1.0}, {"\ud800": 1.0}], "row 1"),
    bad([{"a": 1.0}, {"b": 1.0}], "terms", SchemaMismatch),
    bad(([0, 1, 2], [1, 2], [1.0]), "2 terms but 1 weights"),
    bad(([0, 1, 2], [1], [1.0, 2.0]), "1 terms but 2 weights"),
    bad(([0, 1, 3], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([0, 1, 1], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([1, 1, 2], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([-1, 1, 2], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([0, 3, 2], [1, 2], [1.0, 2.0]), "row 1"),
    bad(([0, 2**62, 2], [1, 2], [1.0, 2.0]), "row 1"),
    bad(([], [], []), "indptr"),
    bad(([0.0, 1.0, 2.0], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([0, True, 2.5], [1, 2], [1.0, 2.0]), "indptr"),
    bad(([[0, 1, 2]], [1, 2], [1.0, 2.0]), "indptr"),
    bad((None, [1, 2], [1.0, 2.0]), "indptr"),
    bad((np.array([0, 1, BIG], np.uint64), [1, 2], [1.0, 2.0]), "indptr"),
    bad(([0, 1, 2], [1.0, 2.0], [1.0, 2.0]), "indices"),
    bad(([0, 1, 2], [[1, 2]], [1.0, 2.0]), "indices"),
    bad(([0, 1, 2], None, [1.0, 2.0]), "indices"),
    bad(([0, 1, 2], [1, -2], [1.0, 2.0]), "row 1.*-2"),
    bad(([0, 1, 2], np.array([1, BIG], np.uint64), [1.0, 2.0]), "indices"),
    bad(([0, 1, 2], ["a", "b"], [1.0, 2.0]), "terms", SchemaMismatch),
    bad(([0, 0, 2], [2, 2], [1.0, 2.0]), "row 1.*2.*twice"),
    bad(([0, 0, 3], [2, 1, 2], [1.0, 2.0, 3.0]), "row 1.*2.*twice"),
    bad(([0, 1, 2], [1, 2], None), "data"),
    bad(([0, 1, 2], [1, 2], 1.0), "data"),
    bad(([0, 1, 2], [1, 2], ["1", "2"]), "data"),
    bad(([0, 1, 2], [1, 2], [1j, 2]), "data"),
    bad(([0, 1, 2], [1, 2], [1.0, None]), "data"),
    bad(([0, 1, 2], [1, 2], [[1.0], [2.0, 3.0]]), "data"),
    bad(([0, 1, 2], [1, 2], np.array([[1.0, 2.0]])), "data"),
    bad(([0, 1, 2], [1, 2], np.array([1, 2], "M8[D]")), "data"),
    bad(([0, 1, 2], [1, 2], [1.0, NAN]), "row 1.*term 2"),
    bad(([0, 1, 2], [1, 2], [1.0, -2.0]), "row 1.*term 2"),
    bad(([0, 1, 2], [1, 2], np.array([1.0, 1e39])), "row 1.*term 2"),
    bad(scipy.sparse.csr_array([[1.0, 0], [0, -1]]), "row 1"),
    bad(scipy.sparse.csc_array([[1.0, 0], [0, NAN]]), "row 1"),
    bad(scipy.sparse.coo_array([[1j, 0], [0, 1]]), "data"),
    bad(scipy.sparse.csr_array(([1.0, 2.0, 3.0], [1, 0, 0], [0, 1, 3]), shape=(2, 2)), "row 1.*0.*twice"),
]


@cases(
    WRONG_ROWS,
    bad(None, ""),
    bad({1: 1.0}, "2 ids"),
    bad([], "2 ids"),
    bad([{1: 1.0}] * 3, "2 ids"),
    bad(scipy.sparse.csr_array((1, 5)), "2 ids"),
)
def test_add_rows(held: Held, case: Case) -> None:
    error = SchemaMismatch if case.value is None else case.error
    refused(lambda: held.vectors.add([8, 9], sparse=case.value), case._replace(error=error))


@cases([case for case in WRONG_ROWS if case.error is InvalidInput])
def test_search_rows(held: Held, case: Case) -> None:
    refused(lambda: held.index.search(sparse=case.value), case)


@cases(
    [bad(case.value) for case in WRONG_ROWS if case.error is InvalidInput],
    both("one query", [], [{1: 1.0}, {1: 1.0}], ([0, 0, 0], [], [])),
)
def test_explain_rows(held: Held, case: Case) -> None:
    refused(lambda: held.index.explain(1, sparse=case.value), case)


WRONG_TEXTS = [
    bad(5, "text"),
    bad(b"red", "text"),
    bad({"a": 1}, "text"),
    bad(["red", None], "row 1"),
    bad(["red", 5], "row 1.*5"),
    bad(["red", b"wine"], "row 1"),
    bad(["red", NAN], "row 1"),
    bad(["red", ["wine"]], "row 1"),
    bad(["red", "\udcff"], "row 1"),
    bad(np.array([["red", "wine"]]), "dimension"),
    bad(np.array([1, 2]), "row 0"),
]


@cases(WRONG_TEXTS, both("2 ids", "red", ["red"], ["a"] * 3, []))
def test_add_texts(held: Held, case: Case) -> None:
    refused(lambda: held.named.add(["x", "y"], text=case.value), case)


@cases(WRONG_TEXTS, bad("\ud800", "text"))
def test_search_texts(held: Held, case: Case) -> None:
    refused(lambda: held.texts.search(text=case.value), case)


@cases(both("text", 5, b"red", ["red"], "\ud800"))
def test_explain_texts(held: Held, case: Case) -> None:
    refused(lambda: held.texts.explain("a", text=case.value), case)


@cases(
    both("attributes", 5, "lang", ["lang"], [("lang", ["en", "de"])]),
    bad({5: [1, 2]}, "attribute"),
    bad({"\ud800": [1, 2]}, "attribute"),
    bad({"unknown": ["en", "de"]}, "unknown", SchemaMismatch),
    bad({"unknown": [1, 2]}, "unknown", weft.Error),
    bad({"lang": None}, "lang"),
    bad({"lang": "en"}, "lang"),
    bad({"lang": 5}, "lang"),
    bad({"lang": ["en"]}, "2 ids"),
    bad({"lang": []}, "2 ids"),
    bad({"lang": ["en", 5]}, "lang.*row 1"),
    bad({"lang": ["en", b"de"]}, "lang.*row 1"),
    bad({"lang": ["en", "\ud800"]}, "lang.*row 1"),
    bad({"lang": ["en", NAN]}, "lang.*row 1"),
    bad({"lang": np.array([["en", "de"]])}, "lang.*dimension"),
    bad({"year": [1, "2"]}, "year.*row 1"),
    bad({"year": [1, 2.5]}, "year.*row 1"),
    bad({"year": [1, True]}, "year.*row 1"),
    bad({"year": [1, BIG]}, "year.*row 1"),
    bad({"year": [1, -BIG - 1]}, "year.*row 1"),
    bad({"year": [1, [2]]}, "year.*row 1"),
    bad({"year": np.array([1, 2], "M8[D]")}, "year.*row 0"),
    bad({"year": np.array([1, BIG], np.uint64)}, "year.*row 1"),
    bad({"x": [1.0, NAN]}, "x.*row 1"),
    bad({"x": [1.0, INF]}, "x.*row 1"),
    bad({"x": [1.0, "2"]}, "x.*row 1"),
    bad({"x": [1.0, 1j]}, "x.*row 1"),
    bad({"x": [1.0, 10**400]}, "x.*row 1"),
)
def test_add_attributes(held: Held, case: Case) -> None:
    rows = [{1: 1.0}, {2: 1.0}]
    refused(lambda: held.vectors.add([8, 9], sparse=rows, attributes=case.value), case)


@pytest.mark.parametrize(
    "call",
    [
        lambda held: held.vectors.add([8], text=["red"]),
        lambda held: held.vectors.add([8], sparse=[{1: 1.0}], text=["red"]),
        lambda held: held.named.add(["x"], sparse=[{"red": 1.0}]),
        lambda held: held.named.add(["x"]),
        lambda held: held.index.search(text="red"),
        lambda held: held.index.search(sparse={"red": 1.0}),
        lambda held: held.index.explain(1, text="red"),
        lambda held: held.index.explain(1, sparse={"red": 1.0}),
        lambda held: held.vectors.delete("a"),
        lambda held: held.named.delete([1]),
        lambda held: held.index.search(sparse={1: 1.0}, subset=["a"]),
    ],
)
def test_another_representation_or_kind(held: Held, call: Callable[[Held], object]) -> None:
    refused(lambda: call(held), bad(None, "", SchemaMismatch))


@pytest.mark.parametrize("arguments", [{}, {"sparse": {1: 1.0}, "text": "red"}])
def test_a_query_is_needed(held: Held, arguments: Any) -> None:
    refused(lambda: held.index.search(**arguments), bad(None, "pass sparse="))
    refused(lambda: held.index.explain(1, **arguments), bad(None, "pass sparse="))


@cases(both("k ", 0, *WRONG_COUNTS))
def test_k(held: Held, case: Case) -> None:
    refused(lambda: held.index.search(sparse={1: 1.0}, k=case.value), case)
    refused(lambda: weft.Hits.merge([held.index.search(sparse={1: 1.0})], case.value), case)


@cases(both("num_threads", *WRONG_COUNTS))
def test_num_threads(held: Held, case: Case) -> None:
    refused(lambda: held.index.search(sparse={1: 1.0}, num_threads=case.value), case)


@cases(both("max_segments", 0, *WRONG_COUNTS))
def test_max_segments(held: Held, case: Case) -> None:
    refused(lambda: held.vectors.merge(case.value), case)


@cases(
    both("where", 5, b"year = 1", ["year = 1"], "\ud800"),
    both("", "", "year", "year =", "year = ", "= 1", "year = 1 and", "(year = 1", "year = 1)", "year in ()"),
    both("", "year ~ 1", "year = 'x", "year = 1 year = 2", "not", "x" * 100_000, "(" * 10_000, "not " * 10_000),
    both("", "year = 99999999999999999999", "year is 5", "year = null", "year = 1; drop", "\0"),
    both("unknown", "unknown = 1", "unknown is null"),
    both("year", "year = 'x'", "year in (1, 'x')"),
    both("lang", "lang = 5", "lang < 5.5", "lang in (1)"),
)
def test_where(held: Held, case: Case) -> None:
    refused(lambda: held.index.search(sparse={1: 1.0}, where=case.value), case)


def is_mask(value: Any) -> bool:
    """Whether a wrong list of ids is a good ``subset=``: a mask, or none at all."""
    return value is None or (isinstance(value, np.ndarray) and value.dtype == bool)


@cases(
    [case._replace(words=case.words.replace("ids", "subset")) for case in WRONG_IDS if not is_mask(case.value)],
    both("subset", [True], [True, False, True], np.zeros(5, bool), np.zeros((2, 1), bool), np.bool_(True), [True, 1]),
)
def test_subset(held: Held, case: Case) -> None:
    refused(lambda: held.index.search(sparse={1: 1.0}, subset=case.value), case)


WRONG_KEYS = [None, 1.0, NAN, True, b"a", BIG, -BIG - 1, (1,), Fraction(1), np.float64(1), np.array([1])]


@cases(both("id", *WRONG_KEYS))
def test_one_id(held: Held, case: Case) -> None:
    refused(lambda: held.index.get(case.value), case)
    refused(lambda: held.index.explain(case.value, sparse={1: 1.0}), case)
    refused(lambda: case.value in held.index, case)


@pytest.mark.parametrize("id", [99, -1, 3, np.uint8(9), "a"])
def test_no_such_document(held: Held, id: Any) -> None:
    refused(lambda: held.index.get(id), bad(None, str(id), NotFound))
    refused(lambda: held.index.explain(id, sparse={1: 1.0}), bad(None, str(id), NotFound))
    assert id not in held.index
    assert 1 not in held.texts


@cases([case for case in WRONG_IDS if not isinstance(case.value, (int, str))], both("", True, 1.5))
def test_delete(held: Held, case: Case) -> None:
    refused(lambda: held.vectors.delete(case.value), case)


WRONG_PATHS = [None, 5, "", b"index", "a\0b", ["index"], NAN, np.str_("")]


@cases(both("path", *WRONG_PATHS))
def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (weft.open, weft.Index, weft.Writer, weft.verify, weft.TextIndex):
        refused(lambda call=call: call(case.value), case)  # type: ignore[misc]
    refused(lambda: weft.build(case.value, text=["red"]), case)
    assert not list(tmp_path.iterdir())


def test_paths_that_hold_no_index(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not an index")
    before = sorted(tmp_path.iterdir())
    for path in (tmp_path / "missing", tmp_path, file, file / "below", tmp_path / ("x" * 300)):
        for call in (weft.open, weft.verify):
            refused(lambda path=path, call=call: call(path), bad(None, "", weft.Error))  # type: ignore[misc]
    for path in (file, file / "below", tmp_path / ("x" * 300)):
        refused(lambda path=path: weft.build(path, text=["red"]), bad(None, "", weft.IoError))  # type: ignore[misc]
    refused(lambda: weft.Writer(tmp_path / "new"), bad(None, "schema", weft.Error))
    assert [each for each in sorted(tmp_path.iterdir()) if each.name != "new"] == before
    with pytest.raises(OSError, match="file") as raised:
        weft.Writer(file / "below", weft.Schema())
    assert raised.value.errno
    assert raised.value.filename


@cases(
    both("memory_limit", 0, *WRONG_COUNTS[:3], 1.5, NAN, None, True, "", "much", "-1", "1 ZiB", "1e3", "0", "5 5", [1])
)
def test_memory_limits(path: Path, case: Case) -> None:
    for call in (
        lambda: weft.Writer(path, weft.Schema(), memory_limit=case.value),
        lambda: weft.build(path, text=["red"], memory_limit=case.value),
        lambda: weft.TextIndex(path, memory_limit=case.value),
    ):
        refused(call, case)


Sparse, Bm25, Schema = weft.Sparse, weft.Bm25, weft.Schema


@cases(
    both("schema", 5, "bm25", {}, Sparse()),
    both("sparse", Schema(5), Schema("bm25"), Schema({"terms": "int"})),  # type: ignore[arg-type]
    both("", Schema(ids="uuid"), Schema(ids=None), Schema(ids=5)),  # type: ignore[arg-type]
    both("", Schema(Sparse("float")), Schema(Sparse(None)), Schema(Sparse(max_weight="1"))),  # type: ignore[arg-type]
    both("max_weight", *(Schema(Sparse(max_weight=each)) for each in (0.0, -1.0, 0, -1e-9))),
    both("", *(Schema(Sparse(max_weight=each)) for each in (NAN, INF, 1j, 1e39, 10**400))),  # type: ignore[arg-type]
    both("k1", *(Schema(Bm25(k1=each)) for each in (-0.1, -1e300))),
    both("", *(Schema(Bm25(k1=each)) for each in (NAN, INF, "1", None))),  # type: ignore[arg-type]
    both("b", *(Schema(Bm25(b=each)) for each in (-0.1, 1.1))),
    both("", *(Schema(Bm25(b=each)) for each in (NAN, "x", None))),  # type: ignore[arg-type]
    both("average_length", *(Schema(Bm25(average_length=each)) for each in (0.0, -5.0))),
    both("", *(Schema(Bm25(average_length=each)) for each in (NAN, INF, "x"))),  # type: ignore[arg-type]
    both("language", Schema(Bm25(language="klingon")), Schema(Bm25(language="")), Schema(Bm25(language="English "))),
    both("", Schema(Bm25(language=5)), Schema(Bm25(stop_words="yes"))),  # type: ignore[arg-type]
    both("", Schema(Bm25(language=None, stop_words=True))),
    both("attributes", Schema(attributes=5), Schema(attributes=["x"]), Schema(attributes={5: "int64"})),  # type: ignore[arg-type,dict-item]
    both("", *(Schema(attributes={"x": each}) for each in ("date", "INT64", "", None, 5))),  # type: ignore[dict-item]
    both("", *(Schema(attributes={each: "int64"}) for each in ("", "a`b", "x" * 300, "\ud800"))),
)
def test_schemas(path: Path, case: Case) -> None:
    refused(lambda: weft.Writer(path, case.value), case)
    refused(lambda: weft.build(path, text=["red"], schema=case.value), case)
    refused(lambda: weft.open(path), bad(None, "", weft.Error))


@cases(
    both(
        "schema", "", "{", "[]", "5", "null", "{}", '{"ids": "int"}', '{"ids": 1, "sparse": 5, "attributes": {}}', None
    )
)
def test_schema_json(case: Case) -> None:
    refused(lambda: Schema.from_json(case.value), case)


@cases(
    [case for case in WRONG_IDS if case.value is not None],
    both("ids", ["a"], ["a", "b", "c"], []),
    bad(["a", "a"], "row 1"),
)
def test_build_ids(path: Path, case: Case) -> None:
    refused(lambda: weft.build(path, ids=case.value, text=["red", "wine"]), case)
    assert len(weft.build(path, text=["red"])) == 1


@cases([case for case in WRONG_ROWS if case.error is InvalidInput])
def test_build_rows(path: Path, case: Case) -> None:
    refused(lambda: weft.build(path, sparse=case.value), case)
    assert len(weft.build(path, text=["red"])) == 1


@cases(
    both("x.*inferred", {"x": [None, None]}, {"x": []}, {"x": [1, "a"]}, {"x": ["a", 1.5]}),
    both("x.*row 1", {"x": [1, True]}, {"x": ["a", b"b"]}, {"x": [1, (2,)]}),
    both("attribute", {5: [1, 2]}, 5),
)
def test_build_attributes(path: Path, case: Case) -> None:
    refused(lambda: weft.build(path, text=["red", "wine"], attributes=case.value), case)
    assert len(weft.build(path, text=["red"])) == 1


def test_build_of_both(path: Path) -> None:
    refused(lambda: weft.build(path, text=["red"], sparse=[{1: 1.0}]), bad(None, "sparse= or text="))
    schema = Schema(Bm25(), ids="int")
    refused(lambda: weft.build(path, text=["red"], sparse=[{1: 1.0}], schema=schema), bad(None, "", SchemaMismatch))
    refused(lambda: weft.build(path, sparse=[{1: 1.0}], schema=schema), bad(None, "", SchemaMismatch))


PROVEN = (np.array([1]), np.array([True]), np.array([0.0], np.float32))
HITS = weft.Hits(np.array([["a b", None]], object), np.array([[1.0, -INF]], np.float32), *PROVEN)
OTHER = weft.Hits(np.array([[5]]), np.array([[1.0]], np.float32), *PROVEN)


@cases(
    both("parts", [], None, 5, [HITS, None], [HITS, 5], [[HITS]]),
    both("row 1", [HITS, HITS[0]], [HITS, OTHER]),
)
def test_merging_hits(case: Case) -> None:
    refused(lambda: weft.Hits.merge(case.value, 10), case)


@cases(
    both("query_ids", [], ["q1", "q2"], 5, "q", [None], [""], ["a b"], [1.5], ["q\n"]),
    both("id of hit 1", ["q1"]),
)
def test_trec_of_odd_ids(case: Case) -> None:
    refused(lambda: HITS.to_trec(query_ids=case.value), case)


@cases(both("run_id", "", "a b", None, "\n", 1.5))
def test_trec_run_ids(case: Case) -> None:
    refused(lambda: OTHER.to_trec(case.value), case)


@cases(both("sparse", None, 5, "splade", "", Sparse()))
def test_text_index_settings(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path, case.value), case)


@cases(
    both("attributes", 5, ["x"], {5: "int64"}, {"title": "int64"}),
    both("", {"x": "date"}, {"x": None}),
)
def test_text_index_attributes(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path, attributes=case.value).add([]), case)


@cases(both("resume", None, 5, "", b"name", "x" * 1001))
def test_text_index_resumption(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path).add([], resume=case.value), case)


@cases(both("columns", 5, "id", ["id"], {5: "id"}, {"id": None}))
def test_text_index_columns(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path).add([], columns=case.value), case)


@cases(both("using", 5, "", "dense", ["sparse"]))
def test_text_index_representations(path: Path, case: Case) -> None:
    texts = weft.TextIndex(path)
    texts.add([])
    refused(lambda: texts.search("red", using=case.value), case)


@cases(
    both("documents", None, 5, b"corpus.jsonl", {"id": "a", "text": "red"}), both("document 0", [5], ["red"], [None])
)
def test_text_index_documents(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path).add(case.value), case)


@cases(both("commit_every", 0, *(each for each in WRONG_COUNTS if each is not None)))
def test_text_index_commits(path: Path, case: Case) -> None:
    refused(lambda: weft.TextIndex(path).add([], commit_every=case.value), case)


@cases(
    both("measures", 5, "nDCG@10", [], ["nonsense"], [""], [5], ["nDCG@"]),
)
def test_measures(held: Held, case: Case) -> None:
    refused(lambda: weft.evaluate(held.texts, {"q": "red"}, {"q": {"a": 1}}, measures=case.value), case)


def test_evaluations(held: Held, tmp_path: Path) -> None:
    refused(lambda: weft.evaluate(held.texts, {}, {}), bad(None, "none of the 0 queries"))
    refused(lambda: weft.evaluate(held.texts, {"q": "red"}, {"p": {"a": 1}}), bad(None, "none of the 1 queries"))
    refused(lambda: weft.evaluate(held.index, {"q": "red"}, {"q": {"a": 1}}), bad(None, "", SchemaMismatch))
    missing = tmp_path / "missing"
    for queries, qrels in ((missing, {}), ({}, missing), (missing, missing)):
        refused(lambda q=queries, r=qrels: weft.evaluate(held.texts, q, r), bad(None, "missing", weft.IoError))  # type: ignore[misc]
    refused(lambda: weft.evaluate(held.texts, tmp_path, {}), bad(None, r"queries\.jsonl"))
    refused(lambda: weft.evaluate(held.texts, {}, tmp_path), bad(None, r"qrels\.tsv"))


@cases(
    both(":1: ", "a", "a b", "a\tb", "a b c d e", "a 0 b x"),
    both(":2: ", "q\tc\ts\na\tb\tx", "a 0 b 1\na 0 b 1.5"),
)
def test_qrels(tmp_path: Path, case: Case) -> None:
    file = tmp_path / "qrels.tsv"
    file.write_text(case.value)
    refused(lambda: read_qrels(file), case)


def test_there_are_enough_cases(request: pytest.FixtureRequest) -> None:
    assert sum(item.path == request.path for item in request.session.items) >= 200
