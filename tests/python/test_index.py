"""One index from build to search: answers equal the definition, and everything else a user calls works."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import oracle
import weft

SCHEMA = weft.Schema(weft.Sparse(max_weight=oracle.MAX_WEIGHT), {"year": "int64"}, "int")
COLLECTION = st.lists(oracle.ROWS, max_size=12)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that gives a new path each time."""
    folder, numbers = tmp_path_factory.mktemp("indexes"), iter(range(10**9))
    return lambda: folder / str(next(numbers))


def found(hits: weft.Hits) -> list[tuple[Any, float]]:
    """Return the hits of a single query, after checking the padding."""
    assert (hits.scores[len(hits) :] == -np.inf).all()
    assert set(hits.ids[len(hits) :].tolist()) <= {-1, None}
    return [tuple(hit) for hit in hits]


@given(COLLECTION, oracle.ROWS, st.integers(1, 15))
def test_search_equals_the_definition(fresh: Any, rows: list[oracle.Row], query: oracle.Row, k: int) -> None:
    index = weft.build(fresh(), sparse=rows, schema=weft.Schema(SCHEMA.sparse, ids="int"))
    assert found(index.search(sparse=query, k=k)) == oracle.search(rows, query, k)


@given(COLLECTION, oracle.ROWS)
def test_the_scale_leaves_room_above_the_largest_weight(fresh: Any, rows: list[oracle.Row], query: oracle.Row) -> None:
    index = weft.build(fresh(), sparse=rows)
    largest = max((np.float32(weight) for row in rows for weight in row.values()), default=np.float32(0))
    expected = oracle.search(rows, query, 15, float(largest * np.float32(1.25))) if largest else []
    assert found(index.search(sparse=query, k=15)) == expected


@given(COLLECTION, st.lists(oracle.ROWS, max_size=5), st.integers(1, 15))
def test_a_batch_is_its_queries_one_by_one(
    fresh: Any, rows: list[oracle.Row], queries: list[oracle.Row], k: int
) -> None:
    index = weft.build(fresh(), sparse=rows, schema=weft.Schema(SCHEMA.sparse, ids="int"))
    together = index.search(sparse=queries, k=k)
    assert together.counts.tolist() == [len(oracle.search(rows, query, k)) for query in queries]
    for threads in (0, 1, 2, 8):
        again = index.search(sparse=queries, k=k, num_threads=threads)
        assert again.to_list() == together.to_list()
    for query, hits in zip(queries, together, strict=True):
        assert found(hits) == found(index.search(sparse=query, k=k))


@given(
    st.lists(st.tuples(oracle.ROWS, st.none() | st.integers(-3, 3)), max_size=12),
    oracle.ROWS,
    st.sets(st.integers(0, 15)),
    st.integers(-3, 3),
)
def test_filters_restrict_before_the_best_k_are_taken(
    fresh: Any, documents: list[tuple[oracle.Row, int | None]], query: oracle.Row, wanted: set[int], year: int
) -> None:
    rows, years = [row for row, _ in documents], [each for _, each in documents]
    index = weft.build(fresh(), sparse=rows, attributes={"year": years}, schema=SCHEMA)
    held = {position for position, each in enumerate(years) if each is not None and each >= year}
    where = f"year >= {year}"
    mask = np.array([position in wanted for position in range(len(rows))], bool)
    search = oracle.search
    assert found(index.search(sparse=query, k=3, where=where)) == search(rows, query, 3, allowed=held)
    assert found(index.search(sparse=query, k=3, subset=wanted)) == search(rows, query, 3, allowed=wanted)
    assert found(index.search(sparse=query, k=3, subset=mask)) == search(rows, query, 3, allowed=wanted)
    both = found(index.search(sparse=query, k=3, subset=wanted, where=where))
    assert both == search(rows, query, 3, allowed=wanted & held)


@given(COLLECTION, oracle.ROWS)
def test_explanations_add_up_to_the_score(fresh: Any, rows: list[oracle.Row], query: oracle.Row) -> None:
    index = weft.build(fresh(), sparse=rows, schema=weft.Schema(SCHEMA.sparse, ids="int"))
    levels, _ = oracle.query_levels(query)
    for position, score in oracle.search(rows, query, len(rows) + 1):
        why = index.explain(position, sparse=query)
        shared = {term for term, weight in rows[position].items() if weight > 0 and levels.get(term)}
        assert {each.term for each in why} == shared
        assert [each.contribution for each in why] == sorted((each.contribution for each in why), reverse=True)
        assert sum(each.contribution for each in why) == pytest.approx(score, rel=1e-5)
        for each in why:
            assert each.contribution == pytest.approx(each.query_weight * each.document_weight, rel=1e-5)


@pytest.mark.parametrize("ids", [["a", "b", "c"], [3, -1, 2**62], np.array([3, 1, 2], np.uint8), ["ü", "b", "c"]])
def test_ids_of_either_kind(path: Path, ids: Any) -> None:
    index = weft.build(path, ids=ids, sparse=[{1: 1.0}, {1: 2.0}, {1: 3.0}])
    expected = list(ids)[::-1]
    assert index.search(sparse={1: 1.0}, k=3).ids.tolist() == expected
    assert index.ids().tolist() == list(ids)
    assert all(each in index for each in ids)
    assert [each["id"] for each in index.search(sparse={1: 1.0}).to_list()] == expected


def test_build_infers_the_schema(path: Path, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"lang": ["en", None], "year": np.array([1, 2]), "x": [0.5, None]}
    index = weft.build(path, ids=["a", "b"], sparse=[{"red": 1}, {}], attributes=columns)
    kinds: dict[str, Any] = {"lang": "keyword", "year": "int64", "x": "float64"}
    assert index.schema == weft.Schema(weft.Sparse("str"), kinds, "str")
    assert weft.build(tmp_path / "2", text="one text").schema == weft.Schema(weft.Bm25(), {}, "int")
    numbered = weft.build(tmp_path / "3", text=["red", "wine"], schema=weft.Schema(weft.Bm25()))
    assert numbered.ids().tolist() == ["0", "1"]
    attributes_alone = weft.build(tmp_path / "4", attributes={"year": [1, 2]})
    assert attributes_alone.schema == weft.Schema(None, {"year": "int64"}, "int")
    assert attributes_alone.get(1)["attributes"]["year"] == 2


def test_build_accepts_a_matrix(path: Path) -> None:
    matrix: Any = scipy.sparse.random(50, 30, density=0.2, format="csr", random_state=0)
    index = weft.build(path, sparse=matrix)
    exact = (matrix @ matrix[:5].T).toarray().T
    for hits, scores in zip(index.search(sparse=matrix[:5], k=50), exact, strict=True):
        by_id = dict(found(hits))
        assert [by_id.get(position, 0) for position in range(50)] == pytest.approx(scores, abs=0.02)


def test_get_and_contains(animals: weft.Index) -> None:
    assert animals.get("fox")["attributes"]["year"] == 1984
    assert animals.get("hen")["attributes"]["year"] is None
    assert animals.get("hen")["attributes"]["kind"] == "animal"
    assert "fox" in animals
    assert "wolf" not in animals
    with pytest.raises(weft.NotFound, match="wolf"):
        animals.get("wolf")
    with pytest.raises(KeyError):
        animals.explain("wolf", text="fox")


def test_stats_and_verify(animals: weft.Index) -> None:
    assert animals.stats()["documents"] == len(animals) == 4
    assert animals.verify() == weft.verify(animals.path)


def test_a_missing_index(path: Path) -> None:
    for call in (weft.open, weft.Writer, weft.verify):
        with pytest.raises(weft.Error):
            call(path)
    assert not (path / "LOCK").exists() or not list(path.glob("manifest*"))


def test_a_second_build_is_refused(animals: weft.Index) -> None:
    with pytest.raises(weft.InvalidInput, match="already"):
        weft.build(animals.path, text=["again"])
    assert len(weft.open(animals.path)) == 4


def test_a_failed_build_can_be_repeated(path: Path) -> None:
    with pytest.raises(weft.InvalidInput):
        weft.build(path, sparse=[{1: -1.0}])
    assert len(weft.build(path, text=["another kind"])) == 1


def test_a_writer_sees_the_lock(animals: weft.Index) -> None:
    with weft.Writer(animals.path), pytest.raises(weft.Locked):
        weft.Writer(animals.path)
    weft.Writer(animals.path).close()


def test_commit_on_a_clean_exit_rollback_on_an_error(animals: weft.Index) -> None:
    with weft.Writer(animals.path) as writer:
        writer.add(["owl"], text=["An owl"])
        assert writer.pending == 1
    assert animals.refresh()
    assert "owl" in animals
    with pytest.raises(weft.InvalidInput), weft.Writer(animals.path) as writer:  # noqa: PT012
        writer.delete("owl")
        writer.delete(1.5)  # type: ignore[arg-type]
    assert not animals.refresh()
    assert "owl" in animals
    with weft.Writer(animals.path) as writer:
        writer.delete("owl")
        writer.rollback()
    animals.refresh()
    assert "owl" in animals


def test_a_closed_writer_and_a_closed_index(animals: weft.Index) -> None:
    writer = weft.Writer(animals.path)
    writer.add(["owl"], text=["An owl"])
    writer.close()
    writer.close()
    for call in (writer.commit, writer.rollback, writer.merge, lambda: writer.delete("fox"), lambda: writer.pending):
        with pytest.raises(weft.Error, match="closed"):
            call()
    with weft.Writer(animals.path) as closed_inside:
        closed_inside.close()
    with animals:
        assert not animals.refresh()
    for use in (animals.ids, animals.refresh, lambda: len(animals), lambda: animals.search(text="fox")):
        with pytest.raises(weft.Error, match="closed"):
            use()
    assert "closed" in repr(animals)
    assert "closed" in repr(writer)


def test_replacing_moves_a_document_to_the_end(animals: weft.Index) -> None:
    with weft.Writer(animals.path) as writer:
        writer.add(["fox"], text=["wolf"])
    animals.refresh()
    assert animals.ids().tolist() == ["wine", "hen", "empty", "fox"]
    assert [hit.id for hit in animals.search(text="wolf")] == ["fox"]
    assert [hit.id for hit in animals.search(text="quick")] == []


def test_an_open_index_does_not_change(animals: weft.Index) -> None:
    before = animals.search(text=["fox", "red"]).to_list()
    with weft.Writer(animals.path) as writer:
        writer.delete(["fox", "wine"])
        writer.merge()
    assert animals.search(text=["fox", "red"]).to_list() == before
    assert "fox" in animals
    assert animals.refresh()
    assert [hit.id for hit in animals.search(text="fox")] == ["hen"]
    assert not animals.refresh()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))])
def test_an_index_is_pickled_by_its_path(animals: weft.Index, copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    other = copied(animals)
    assert other is not animals
    assert other.path == animals.path
    assert other.search(text="fox").to_list() == animals.search(text="fox").to_list()


def test_an_index_is_shared_by_threads(animals: weft.Index) -> None:
    expected = animals.search(text=["fox", "red"]).to_list()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(lambda: animals.search(text=["fox", "red"]).to_list()) for _ in range(200)]
        assert all(answer.result() == expected for answer in answers)


FORKS = """
import os, weft
index = weft.build("forked.weft", text=["red fox", "red wine"])
queries = ["red", "fox", "wine"] * 50
expected = index.search(text=queries, num_threads=2).to_list()
for _ in range(100):
    child = os.fork()
    if child == 0:
        os._exit(index.search(text=queries, num_threads=2).to_list() != expected)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_an_index_works_after_a_fork(run_python: Any) -> None:
    done = run_python(FORKS)
    assert (done.stdout, done.stderr) == ("", "")


def test_k_beyond_the_collection(animals: weft.Index) -> None:
    hits = animals.search(text=["fox", "nothing known"], k=1000)
    assert hits.counts.tolist() == [2, 0]
    assert found(hits[1]) == []


def test_empty_queries_and_an_empty_index(path: Path, animals: weft.Index) -> None:
    assert found(animals.search(text="")) == []
    assert len(animals.search(text=[])) == 0
    empty = weft.build(path.parent / "none", sparse=[], ids=[])
    assert len(empty) == 0
    assert empty.ids().tolist() == []
    assert empty.search(sparse=[{1: 1.0}, {}]).counts.tolist() == [0, 0]


def test_representations(animals: weft.Index) -> None:
    assert repr(animals) == f"<weft.Index {str(animals.path)!r}: 4 documents, generation {animals.generation}>"
    with weft.Writer(animals.path) as writer:
        assert repr(writer).endswith(f"generation {writer.generation}, 0 pending>")
