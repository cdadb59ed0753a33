"""Batches, and what holds without torch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weft
from weft.encoders.batching import in_order, padded, plan

LENGTHS = st.lists(st.integers(0, 40), max_size=30)


@given(LENGTHS, st.none() | st.integers(1, 9), st.integers(1, 100))
def test_batches_keep_to_both_limits(lengths: list[int], rows: int | None, tokens: int) -> None:
    batches = plan(np.array(lengths, np.int64), rows, tokens)
    held = [row for batch in batches for row in batch]
    assert sorted(held) == [row for row, length in enumerate(lengths) if length]
    assert [lengths[row] for row in held] == sorted(filter(None, lengths), reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= tokens
        assert rows is None or len(batch) <= rows


@given(LENGTHS, st.integers(1, 60))
def test_results_come_back_in_order(lengths: list[int], tokens: int) -> None:
    sizes = np.array(lengths, np.int64)
    offsets = np.cumsum([0, *lengths])
    ids = np.arange(offsets[-1], dtype=np.int32)
    order, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in plan(sizes, None, tokens):
        rectangle, held = padded(ids, offsets, batch, pad=-1)
        assert np.array_equal(rectangle >= 0, held)
        order.append(batch)
        columns.append(rectangle[held])
    joined = np.concatenate(order)
    found, [column] = in_order(len(lengths), joined, sizes[joined], [np.concatenate(columns)])
    assert np.array_equal(found, offsets)
    assert np.array_equal(column, ids)


def test_encoders_are_imported_when_they_are_used(run_python) -> None:  # type: ignore[no-untyped-def]
    run_python(
        "import sys, weft; weft.encoders.load; weft.encoders.Splade; weft.encoders.adapt;"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'scipy'} & sys.modules.keys()"
    )


def test_without_torch_the_way_out_is_named(run_python, tmp_path) -> None:  # type: ignore[no-untyped-def]
    run_python(
        "import sys, weft; sys.modules['torch'] = None\n"
        "try: weft.encoders.Splade('.')\n"
        "except weft.Error as error: assert 'weft[encode]' in str(error), error\n"
        "else: raise AssertionError"
    )


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="Word2Vec"):
        _ = weft.encoders.Word2Vec
    assert {"load", "adapt", "Splade"} <= set(dir(weft.encoders))
