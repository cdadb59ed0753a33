"""Whatever form a user's data has, the core receives the same."""

import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import weft
from weft import inputs
from weft.rows import rows

DENSE = np.array([[0, 1.5, 0, 2], [0, 0, 0, 0], [3, 0, 0, 0.5]])
INDPTR, TERMS, WEIGHTS = [0, 2, 2, 4], [1, 3, 0, 3], [1.5, 2, 3, 0.5]


def assert_dense(value: object, single: bool = False) -> None:
    (indptr, terms, weights), alone = rows(value, "int")
    assert indptr.tolist() == (INDPTR[:2] if single else INDPTR)
    assert list(terms) == TERMS[: 2 if single else 4]
    assert weights.tolist() == WEIGHTS[: 2 if single else 4]
    assert alone == single
    for array, dtype in ((indptr, np.int64), (terms, np.int64), (weights, np.float32)):
        assert isinstance(array, np.ndarray)
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.dtype.isnative


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_scipy_of_every_format(form: str, kind: str, dtype: type) -> None:
    make = getattr(scipy.sparse, f"{form}_{kind}")
    assert_dense(make(DENSE.astype(dtype)))


def test_scipy_of_one_dimension_is_a_single_row() -> None:
    assert_dense(scipy.sparse.coo_array(DENSE[0]), single=True)
    assert_dense(scipy.sparse.csr_array(DENSE[0]), single=True)
    assert rows(scipy.sparse.csr_array(DENSE[:1]), "int")[1] is False


def test_scipy_coo_duplicates_add_up() -> None:
    doubled = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [4, 4])), shape=(1, 5))
    (_, terms, weights), _ = rows(doubled, "int")
    assert (list(terms), weights.tolist()) == ([4], [3.0])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "g"])
@pytest.mark.parametrize("index", ["i4", "i8", "u2", "u4", "u8", ">i4", ">u8"])
def test_triples_of_every_dtype(dtype: str, index: str) -> None:
    assert_dense((np.array(INDPTR, index), np.array(TERMS, index), np.array(WEIGHTS, dtype)))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "?"])
def test_weights_may_be_whole_numbers(dtype: str) -> None:
    (_, _, weights), _ = rows(([0, 2], [1, 3], np.array([1, 0], dtype)), "int")
    assert weights.tolist() == [1, 0]
    assert weights.dtype == np.float32


def test_triples_of_any_memory_layout() -> None:
    strided = np.repeat(np.array(WEIGHTS), 3)[::3]
    reversed_terms = np.array(TERMS[::-1], np.int32)[::-1]
    column = np.asfortranarray(np.array([INDPTR, INDPTR]).T)[:, 1]
    for array in (strided, reversed_terms, column):
        array.flags.writeable = False
    assert_dense((column, reversed_terms, strided))
    assert_dense((INDPTR, TERMS, WEIGHTS))


def test_dicts() -> None:
    listed: list[dict[int, float]] = [{1: 1.5, 3: 2.0}, {}, {0: 3.0, 3: 0.5}]
    assert_dense(listed)
    assert_dense(iter(listed))
    assert_dense(listed[0], single=True)
    assert_dense(OrderedDict({np.int32(1): np.float16(1.5), np.uint8(3): 2}), single=True)


def test_terms_may_be_strings() -> None:
    (_, terms, weights), single = rows([{"red": 1, "fox": True}, {}], "int")
    assert (terms, weights.tolist(), single) == (["red", "fox"], [1, 1], False)
    (_, terms, _), _ = rows(([0, 2], np.array(["red", "fox"]), [1, 2]), "int")
    assert terms == ["red", "fox"]


@pytest.mark.parametrize("nothing", [[], [{}], {}, ([0], [], [])])
def test_no_terms_are_of_the_kind_of_the_index(nothing: object) -> None:
    assert rows(nothing, "str")[0][1] == []
    terms = rows(nothing, "int")[0][1]
    assert isinstance(terms, np.ndarray)
    assert terms.dtype == np.int64


def test_a_weight_too_large_for_float32_is_left_for_the_core_to_refuse() -> None:
    for value in ({1: 1e39}, ([0, 1], [1], np.array([1e39]))):
        assert rows(value, "int")[0][2].tolist() == [np.inf]


class FakeTensor:
    """Offers what the library uses of a torch sparse tensor."""

    def __init__(self, matrix: Any, layout: str = "torch.sparse_coo") -> None:
        self.coo = scipy.sparse.coo_array(matrix)
        self.layout = layout
        self.shape = self.coo.shape

    def detach(self) -> "FakeTensor":
        return self

    cpu = to_sparse_coo = coalesce = detach

    def sparse_dim(self) -> int:
        return self.coo.ndim

    def dense_dim(self) -> int:
        return 0

    def indices(self) -> SimpleNamespace:
        return SimpleNamespace(numpy=lambda: np.vstack(self.coo.coords))

    def values(self) -> SimpleNamespace:
        return SimpleNamespace(float=lambda: SimpleNamespace(numpy=lambda: self.coo.data.astype(np.float32)))


@pytest.fixture
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch")
    module.Tensor = FakeTensor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("fake_torch")
def test_tensors_are_recognised_without_importing_torch() -> None:
    assert_dense(FakeTensor(DENSE))
    assert_dense(FakeTensor(DENSE[0]), single=True)
    with pytest.raises(weft.InvalidInput, match="dense"):
        rows(FakeTensor(DENSE, "torch.strided"), "int")


def test_real_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(DENSE)
    for sparse in (tensor.to_sparse(), tensor.to_sparse_csr(), tensor.to_sparse_csc(), tensor.float().to_sparse()):
        assert_dense(sparse)
    assert_dense(tensor.bfloat16().to_sparse())
    assert_dense(tensor.clone().requires_grad_().to_sparse())
    assert_dense(tensor[0].to_sparse(), single=True)
    doubled = torch.sparse_coo_tensor([[0, 0], [4, 4]], [1.0, 2.0], (1, 5))
    assert rows(doubled, "int")[0][2].tolist() == [3.0]
    for wrong in (tensor, tensor[None].to_sparse(), tensor.to_sparse(1)):
        with pytest.raises(weft.InvalidInput):
            rows(wrong, "int")


def tensor(matrix: Any, method: str) -> Any:
    return getattr(pytest.importorskip("torch").tensor(matrix), method)()


FORMS: dict[str, Any] = {
    **{
        f"{form}_{kind}": getattr(scipy.sparse, f"{form}_{kind}")
        for form in ("csr", "csc", "coo")
        for kind in ("matrix", "array")
    },
    "transposed": lambda matrix: scipy.sparse.csr_array(matrix.T).T,
    "sliced": lambda matrix: scipy.sparse.csr_array(np.vstack([matrix, matrix]))[len(matrix) :],
    "triple": lambda matrix: tuple(
        getattr(scipy.sparse.csr_array(matrix), name) for name in ("indptr", "indices", "data")
    ),
    "dicts": lambda matrix: [dict(enumerate(row)) for row in matrix.tolist()],
    "generator": lambda matrix: (dict(enumerate(row)) for row in matrix),
    **{
        f"torch_{layout}": lambda matrix, name=layout: tensor(matrix, f"to_sparse_{name}")
        for layout in ("coo", "csr", "csc")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_added_and_searched_alike(form: str, path: Path) -> None:
    schema = weft.Schema(weft.Sparse(max_weight=255 / 64), ids="int")
    with weft.Writer(path, schema) as writer:
        writer.add([10, 11, 12], sparse=FORMS[form](DENSE))
    index = weft.open(path)
    assert [index.get(each)["sparse"] for each in (10, 11, 12)] == [{1: 1.5, 3: 2.0}, {}, {0: 3.0, 3: 0.5}]
    hits = index.search(sparse=FORMS[form](DENSE), k=3)
    assert hits.counts.tolist() == [2, 0, 2]
    assert hits.ids[0, :2].tolist() == [10, 12]
    np.testing.assert_allclose(hits.scores[[0, 2], :2], [[6.25, 1.0], [9.25, 1.0]], rtol=1e-3)


@pytest.mark.parametrize("form", [dict, scipy.sparse.coo_array, scipy.sparse.csr_array, "torch"])
def test_every_single_form_is_one_query(form: Any, path: Path) -> None:
    index = weft.build(path, sparse=FORMS["csr_array"](DENSE))
    query = (
        tensor(DENSE[2], "to_sparse_coo")
        if form == "torch"
        else form(dict(enumerate(DENSE[2])) if form is dict else DENSE[2])
    )
    assert index.search(sparse=query, k=3).ids.tolist() == [2, 0, -1]
    with weft.Writer(path) as writer:
        writer.add([7], sparse=query)
    assert weft.open(path).get(7)["sparse"].keys() == {0, 3}


def test_order_within_a_row_does_not_matter_and_a_repeated_term_is_named(path: Path) -> None:
    unsorted = scipy.sparse.csr_array((np.array([2.0, 1.5]), np.array([3, 1]), np.array([0, 2])), shape=(1, 4))
    index = weft.build(path, sparse=unsorted)
    assert index.search(sparse=unsorted, k=1).counts.tolist() == [1]
    with weft.Writer(path) as writer, pytest.raises(weft.InvalidInput, match="row 0: term 3 is there twice"):
        writer.add([1], sparse=([0, 2], [3, 3], [1.0, 2.0]))


def test_the_package_imports_neither_torch_nor_scipy(run_python: Any) -> None:
    run_python("import sys, weft; assert not {'torch', 'scipy', 'pandas', 'pyarrow', 'typer', 'tqdm'} & {*sys.modules}")


@given(
    arrays.arrays(
        dtype=arrays.integer_dtypes() | arrays.unsigned_integer_dtypes(sizes=(8, 16, 32)),
        shape=st.integers(0, 20),
    ),
    st.booleans(),
)
def test_integer_ids_of_any_array(values: "np.ndarray[Any, Any]", backwards: bool) -> None:
    values = values[::-1] if backwards else values
    ids = inputs.keys("ids", values, "int")
    assert isinstance(ids, np.ndarray)
    assert ids.tolist() == values.tolist()
    assert ids.dtype == np.int64
    assert ids.flags.c_contiguous


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (("a", np.str_("b")), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        ((name for name in "ab"), ["a", "b"]),
        ({"a": 1, "b": 2}.keys(), ["a", "b"]),
        ([3, np.int8(4)], [3, 4]),
        (range(3, 5), [3, 4]),
        (np.array([3, 4], object), [3, 4]),
        ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        ([], []),
        (np.array([]), []),
    ],
)
def test_ids_of_other_forms(values: object, expected: list[object]) -> None:
    ids = inputs.keys("ids", values, "str")
    assert list(ids) == expected
    assert isinstance(ids, list) == (not expected or isinstance(expected[0], str))
    assert all(type(each) is str for each in ids) or isinstance(ids, np.ndarray)


def test_ids_of_columns() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for column in (pandas.Series(["a", "b"]), pyarrow.array(["a", "b"]), pyarrow.chunked_array([["a"], ["b"]])):
        assert inputs.keys("ids", column, "int") == ["a", "b"]


def test_subsets() -> None:
    for mask in ([True, False], np.array([True, False]), np.array([True, True, False])[::2]):
        native = inputs.mask_or_keys(mask, "str")
        assert isinstance(native, np.ndarray)
        assert native.dtype == np.bool_
        assert native.tolist() == [True, False]
    assert inputs.mask_or_keys(["a"], "int") == ["a"]
    assert inputs.mask_or_keys([], "str") == []
    assert inputs.mask_or_keys({"a"}, "str") == ["a"]


def test_columns() -> None:
    given = {"year": np.array([1, 2], np.int16), "name": ("a", None), "x": [np.float32(0.5), 1]}
    assert inputs.columns(given) == {"year": [1, 2], "name": ["a", None], "x": [0.5, 1]}
    assert inputs.columns(None) == {}


@pytest.mark.parametrize(
    ("column", "kind"),
    [(["a", None], "keyword"), ([1, 2], "int64"), ([None, 0.5], "float64"), ([1, 0.5], "float64")],
)
def test_kinds_are_inferred(column: list[Any], kind: str) -> None:
    assert inputs.attribute_kind("x", column) == kind


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, 1), (np.int32(7), 7), ("5", 5), ("256MiB", 2**28), (" 1.5 gib", 3 * 2**29), ("2 kB", 2000), ("9B", 9)],
)
def test_memory_sizes(size: int | str, count: int) -> None:
    assert inputs.memory(size) == count


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert inputs.path("a") == inputs.path(Path("a")) == str(tmp_path / "a")


def unaligned(array: Any) -> Any:
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    shifted = buffer[1:].view(array.dtype)
    shifted[:] = array
    return shifted


def frozen(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change", [frozen, unaligned, lambda a: np.repeat(a, 2)[::2], lambda a: a.astype(a.dtype.newbyteorder()), list]
)
def test_a_triple_of_any_layout_is_the_triple(change: Any) -> None:
    ready = (np.array([0, 2]), np.array([3, 5]), np.array([1.0, 2.0], np.float32))
    assert rows(ready, "int")[0] is ready
    for position in range(3):
        changed: Any = tuple(change(each) if place == position else each for place, each in enumerate(ready))
        native, single = rows(changed, "int")
        assert not single
        for expected, made in zip(ready, native, strict=True):
            assert isinstance(made, np.ndarray)
            assert (made.dtype, made.tolist()) == (expected.dtype, expected.tolist())
            assert made.flags.c_contiguous
            assert made.flags.aligned
