"""Token vectors in every usual form become the same flat array and offsets."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from weft import InvalidInput
from weft.tokens import documents, queries

FIRST = np.array([[0.5, -1.5, 0.25, 2], [0, 0, 0, 0], [3, 1, -4, 0.125]])
SECOND = np.array([[1.0, 2, 3, 4]])
FLAT = np.vstack([FIRST, SECOND])
NAN, INF = float("nan"), float("inf")


def assert_same(value: object, dim: int | None = 4) -> None:
    """The value is the two rows, as documents and as queries."""
    for read, dtype in ((documents, np.float16), (queries, np.float32)):
        flat, offsets = read(value, dim)[:2]
        assert np.array_equal(flat, FLAT)
        assert offsets.tolist() == [0, 3, 4]
        for array, kind in ((flat, dtype), (offsets, np.int64)):
            assert array.dtype == kind
            assert array.dtype.isnative
            assert array.flags.carray
    assert queries(value, dim)[2] is False


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f2", ">f4", ">f8", "g"])
@pytest.mark.parametrize("dim", [4, None])
def test_lists_and_pairs_of_every_dtype(dtype: str, dim: int | None) -> None:
    assert_same([FIRST.astype(dtype), SECOND.astype(dtype)], dim)
    assert_same((FLAT.astype(dtype), np.array([0, 3, 4])), dim)


@pytest.mark.parametrize("dtype", ["i4", "u2", ">i8", "u8"])
def test_offsets_of_every_dtype(dtype: str) -> None:
    assert_same((FLAT, np.array([0, 3, 4], dtype)))
    assert_same((FLAT, [0, 3, 4]))


def test_arrays_of_any_memory_layout() -> None:
    column, strided = np.asfortranarray(FIRST), np.repeat(SECOND, 3, axis=1)[:, ::3]
    column.flags.writeable = False
    assert_same([column, strided])
    assert_same((np.asfortranarray(FLAT), [0, 3, 4]))
    held = np.empty(2 + FLAT.size * 4, np.uint8)[1 : 1 + FLAT.size * 4].view("<f4").reshape(FLAT.shape)
    held[:] = FLAT
    assert_same((held, [0, 3, 4]))


def test_containers_of_arrays() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [FIRST, SECOND]
    assert_same(ragged)
    assert_same({0: FIRST, 1: SECOND}.values())
    assert documents((each for each in (FIRST, SECOND)), 4)[1].tolist() == [0, 3, 4]
    assert_same([FIRST.tolist(), SECOND.astype(np.float32)])


def test_stacked_rows() -> None:
    stacked = np.stack([FIRST, FIRST + 1])
    for value in (stacked, stacked.astype(np.float16), np.asfortranarray(stacked)):
        flat, offsets = documents(value, None)
        assert np.array_equal(flat, stacked.reshape(-1, 4))
        assert offsets.tolist() == [0, 3, 6]
    assert documents(np.empty((3, 0, 4)), 4)[1].tolist() == [0, 0, 0, 0]
    assert queries(np.empty((0, 3, 4)), None)[1].tolist() == [0]


def test_a_single_query_has_two_dimensions() -> None:
    for value in (FIRST, FIRST.astype(np.float16)):
        flat, offsets, single = queries(value, 4)
        assert (flat.tolist(), offsets.tolist(), single) == (FIRST.tolist(), [0, 3], True)
    assert queries([FIRST], 4)[2] is False
    assert queries(np.empty((0, 4)), None)[1].tolist() == [0, 0]
    with pytest.raises(InvalidInput, match=r"shape \(3, 4\) .* pass one document as \[array\]"):
        documents(FIRST, 4)


def test_rows_without_tokens() -> None:
    for empty in ([], np.empty(0), np.empty((0, 4), np.float32)):
        flat, offsets = documents([empty, SECOND, empty], None)
        assert (flat.tolist(), offsets.tolist()) == (SECOND.tolist(), [0, 0, 1, 1])
    assert documents((np.empty((0, 4)), [0, 0]), None)[0].shape == (0, 4)
    assert documents([], 4)[0].shape == (0, 4)
    assert queries([[]], 4)[1].tolist() == [0, 0]


def test_what_the_core_takes_is_not_copied() -> None:
    flat, offsets = FLAT.astype(np.float16), np.array([0, 3, 4])
    same = documents((flat, offsets), 4)
    assert same[0] is flat
    assert same[1] is offsets
    query = FIRST.astype(np.float32)
    assert queries(query, 4)[0] is query


ragged = st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: st.lists(
        st.integers(0, 4).flatmap(
            lambda tokens: arrays.arrays(dtype, (tokens, 3), elements={"min_value": -60000, "max_value": 60000})
        ),
        max_size=5,
    )
)


@given(ragged)
def test_rows_are_found_by_the_offsets(rows: list[Any]) -> None:
    for read, kind in ((documents, np.float16), (queries, np.float32)):
        flat, offsets = read(rows, 3)[:2]
        assert len(offsets) == len(rows) + 1
        for row, given_row in enumerate(rows):
            assert np.array_equal(flat[offsets[row] : offsets[row + 1]], given_row.astype(kind))
        again = read((flat, offsets), None)
        assert again[0] is flat
        assert np.array_equal(again[1], offsets)


@given(ragged.filter(lambda rows: any(map(len, rows))), st.data(), st.sampled_from([NAN, INF, -INF, 65520.0, -1e30]))
def test_a_value_that_is_not_finite_is_named(rows: list[Any], data: st.DataObject, value: float) -> None:
    rows = [each.astype(np.float64) for each in rows]
    row = data.draw(st.sampled_from([row for row, each in enumerate(rows) if len(each)]))
    token, dimension = data.draw(st.integers(0, len(rows[row]) - 1)), data.draw(st.integers(0, 2))
    rows[row][token, dimension] = value
    place = f"row {row}, token {token}, dimension {dimension} is {value}; float16 holds finite numbers up to 65504"
    joined = np.concatenate(rows), np.cumsum([0, *map(len, rows)])
    for form in (rows, joined):
        with pytest.raises(InvalidInput) as refused:
            documents(form, 3)
        assert str(refused.value) == f"multivector: {place}"


def test_every_block_is_looked_at() -> None:
    for token in (0, 4095, 4096, 9999):
        flat = np.zeros((10_000, 2))
        flat[token, 1] = 1e39
        with pytest.raises(
            InvalidInput, match=rf"row {token // 10}, token {token % 10}, dimension 1 is 1e\+39; float32"
        ):
            queries((flat, np.arange(0, 10_001, 10)), 2)


def test_the_largest_and_the_smallest_numbers() -> None:
    flat, _ = documents([[[65504.0, -65519.0, 1e-30]]], 3)
    assert flat.tolist() == [[65504.0, -65504.0, 0.0]]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "must be a list of"),
        (5, "must be a list of"),
        ("text", "must be a list of"),
        (b"text", "must be a list of"),
        ({"a": FIRST}, "must be a list of"),
        (np.float64(1), r"shape \(\)"),
        (FIRST[0], r"shape \(4,\)"),
        (np.zeros((2, 2, 2, 4)), r"shape \(2, 2, 2, 4\)"),
        ([FIRST, FIRST[0]], r"row 1 has shape \(4,\)"),
        ([1.0, 2.0], r"row 0 has shape \(\)"),
        ([FIRST, np.stack([FIRST])], r"row 1 has shape \(1, 3, 4\)"),
        ([FIRST, [[1.0], [1.0, 2.0]]], "row 1 is not an array"),
        ([FIRST, FIRST.astype(int)], "row 1 holds int64"),
        ([FIRST > 0], "row 0 holds bool"),
        ([FIRST.astype(complex)], "row 0 holds complex128"),
        ([FIRST.astype(str)], "row 0 holds <U"),
        ([FIRST.astype(object)], "row 0 holds object"),
        ([None], "row 0 holds object"),
        (["text"], "row 0 holds <U4"),
        (np.stack([FIRST]).astype(np.uint8), "multivector holds uint8"),
        ([FIRST, FIRST[:, :3]], "row 1 has dimension 3; expected 4"),
        ([[], SECOND, np.empty((0, 5))], "row 2 has dimension 5; expected 4"),
        ((FLAT[:, :3], [0, 4]), "multivector has dimension 3; expected 4"),
        (np.stack([FIRST])[:, :, :2], "multivector has dimension 2; expected 4"),
        ((FLAT,), "not 1 values"),
        ((FIRST, SECOND), "offsets must have one dimension"),
        ((FIRST, SECOND, FIRST), "not 3 values"),
        ((FLAT, [0.0, 4.0]), "offsets must be integers"),
        ((FLAT, []), "begin with 0 and end with 4, the tokens; got nothing"),
        ((FLAT, [0, 3]), "end with 4, the tokens; got 0 and 3"),
        ((FLAT, [1, 4]), "got 1 and 4"),
        ((FLAT, [0, 3, 2, 4]), "row 1 begins at 3 and ends at 2"),
        ((FLAT, [0, -(2**63), 2**63 - 1, 4]), "row 0 begins at 0"),
    ],
)
def test_other_forms_are_refused(value: Any, words: str) -> None:
    for read in (documents, queries):
        with pytest.raises(InvalidInput, match=words) as refused:
            read(value, 4)
        assert str(refused.value).startswith("multivector")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [[], [[], []], (np.empty(0), [0]), [np.empty((2, 0))], np.empty((1, 2, 0))])
def test_a_dimension_that_nothing_tells(value: Any) -> None:
    for read in (documents, queries):
        with pytest.raises(InvalidInput, match="dimension"):
            read(value, None)


class FakeTensor:
    """Offers what the library uses of a dense torch tensor that needs a gradient and is on another device."""

    def __init__(self, values: Any, dtype: str = "torch.float32", steps: tuple[str, ...] = ()) -> None:
        self.values, self.dtype, self.steps = np.asarray(values), dtype, steps

    def then(self, step: str) -> "FakeTensor":
        return FakeTensor(self.values, self.dtype, (*self.steps, step))

    def detach(self) -> "FakeTensor":
        return self.then("detach")

    def cpu(self) -> "FakeTensor":
        return self.then("cpu")

    def float(self) -> SimpleNamespace:
        return SimpleNamespace(numpy=lambda: self.values.astype(np.float32))

    def numpy(self) -> Any:
        if self.steps != ("detach", "cpu") or self.dtype == "torch.bfloat16":
            raise TypeError("cannot become an array")
        return self.values

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("cannot become an array")


@pytest.fixture
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch")
    module.Tensor = FakeTensor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("fake_torch")
def test_tensors_are_recognised_without_importing_torch() -> None:
    assert_same([FakeTensor(FIRST), FakeTensor(SECOND, "torch.bfloat16")])
    assert_same((FakeTensor(FLAT), [0, 3, 4]))
    assert queries(FakeTensor(FIRST), None)[2] is True
    with pytest.raises(InvalidInput, match=r"pass one document as \[array\]"):
        documents(FakeTensor(FIRST), None)


def test_real_tensors() -> None:
    torch = pytest.importorskip("torch")
    rows = [torch.tensor(FIRST), torch.tensor(SECOND)]
    for change in ("double", "float", "half", "bfloat16", "requires_grad_", "pin_memory"):
        if change != "pin_memory" or torch.cuda.is_available():
            assert_same([getattr(each.clone(), change)() for each in rows])
    if torch.cuda.is_available():
        assert_same([each.cuda().bfloat16() for each in rows])
    assert_same((torch.cat(rows), torch.tensor([0, 3, 4])))
    assert_same([rows[0].T.contiguous().T, rows[1]])
    assert documents(torch.stack([rows[0]] * 2).half(), None)[1].tolist() == [0, 3, 6]
    assert queries(rows[0], None)[2] is True
    for wrong in (rows[0], [rows[0].int()], [rows[0].to_sparse()], [rows[0].to("meta")], [rows[0] * 1j]):
        with pytest.raises(InvalidInput, match="multivector"):
            documents(wrong, 4)
