"""Token vectors from build to search: scores are the definition's to the last bit, whatever way they are asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import token_oracle
import weft
from token_oracle import DOCUMENTS, QUERIES, collection, padded, peculiar, question, relative_error, unit

Tokens = npt.NDArray[Any]
Flags = Sequence[bool]

CODECS = ["pq4", "pq8", "scalar1", "scalar2", "scalar3", "scalar4", "f16"]
CODECS += ["pq2+pq4", "pq4+scalar2", "scalar1+scalar3", "pq4+f16", "scalar2+f16"]
DIMS = [8, 16, 24, 128]
INF, NAN = float("inf"), float("nan")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that gives a new path each time."""
    folder, numbers = tmp_path_factory.mktemp("multivector"), iter(range(10**9))
    return lambda: folder / str(next(numbers))


def schema(dim: int, codec: str, **more: Any) -> weft.Schema:
    """Return a schema of integer ids and token vectors."""
    centroids = more.pop("centroids", None)
    return weft.Schema(multivector=weft.MultiVector(dim=dim, codec=codec, centroids=centroids), ids="int", **more)


def found(hits: weft.Hits) -> list[tuple[Any, float]]:
    """Return the hits of a single query, after checking the padding."""
    assert (hits.scores[len(hits) :] == -np.inf).all()
    return [tuple(hit) for hit in hits]


def expected(index: weft.Index, query: Tokens, k: int, allowed: Flags | None = None) -> list[tuple[Any, float]]:
    """Return ids and scores of the best, by the definition and the bytes on disk."""
    best = token_oracle.ranking(token_oracle.scores(index.path, query), k, allowed)
    ids = index.ids().tolist()
    return [(ids[position], score) for position, score in best]


@given(DOCUMENTS, st.sampled_from(CODECS), st.sampled_from(DIMS[:3]), QUERIES, st.integers(0, 99), st.integers(1, 12))
def test_exact_search_equals_the_definition(
    fresh: Any, kinds: list[str], codec: str, dim: int, query: tuple[int, set[int]], seed: int, k: int
) -> None:
    index = weft.build(fresh(), multivector=peculiar(kinds, dim, seed), schema=schema(dim, codec))
    rows = padded(query, dim, seed)
    hits = index.search(multivector=rows, k=k, exact=True)
    assert found(hits) == expected(index, rows, k)
    assert hits.exact


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("codec", CODECS)
def test_exact_search_of_many_documents_equals_the_definition(path: Path, codec: str, dim: int) -> None:
    documents = collection(900, dim)
    documents[500:510] = documents[:10]
    index = weft.build(path, multivector=documents, schema=schema(dim, codec, centroids=64))
    for query in (question(5, dim), documents[1][:2].astype(np.float32)):
        every = expected(index, query, 900)
        for k in (1, 10, 1000):
            hits = index.search(multivector=query, k=k, exact=True)
            assert found(hits) == every[:k]
            assert hits.exact


@given(DOCUMENTS, st.sampled_from(["f16", "pq4+f16", "scalar1+f16"]), QUERIES, st.integers(0, 99))
def test_vectors_kept_whole_are_scored_as_they_came(
    fresh: Any, kinds: list[str], codec: str, query: tuple[int, set[int]], seed: int
) -> None:
    documents, rows = peculiar(kinds, 16, seed), padded(query, 16, seed)
    index = weft.build(fresh(), multivector=documents, schema=schema(16, codec))
    scores = token_oracle.maxsim(rows, documents)
    assert found(index.search(multivector=rows, k=20, exact=True)) == token_oracle.ranking(scores, 20)


def test_rows_of_zeros_change_nothing(path: Path) -> None:
    index = weft.build(path, multivector=collection(50, 16), schema=schema(16, "pq4"))
    query = question(7, 16)
    rows = np.zeros((40, 16), np.float32)
    rows[3:10] = query
    for exact in (True, False):
        bare = found(index.search(multivector=query, k=50, exact=exact))
        assert found(index.search(multivector=rows, k=50, exact=exact)) == bare


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("query", [np.zeros((3, 16), np.float32), np.zeros((0, 16), np.float32)])
def test_a_query_of_zeros_finds_nothing(path: Path, codec: str, query: Tokens) -> None:
    index = weft.build(path, multivector=collection(20, 16), schema=schema(16, codec))
    for exact in (True, False):
        assert found(index.search(multivector=query, exact=exact)) == []
    assert index.explain(0, multivector=query) == []
    assert found(index.rerank(multivector=query, ids=[0, 1])) == []


@pytest.mark.parametrize("value", [1e-38, 1e-30, 1e-22, 1e30, 9e35])
@pytest.mark.parametrize("codec", ["pq4", "f16"])
def test_rows_of_any_length(path: Path, value: float, codec: str) -> None:
    index = weft.build(path, multivector=collection(30, 16), schema=schema(16, codec))
    rows = np.vstack([question(2, 16), np.full((1, 16), value, np.float32), question(1, 16, seed=2)])
    assert found(index.search(multivector=rows, k=30, exact=True)) == expected(index, rows, 30)


def test_equal_scores_rank_by_insertion(fresh: Any) -> None:
    one = unit(np.random.default_rng(3).standard_normal((3, 16)))
    ids = [5, 3, 9, 1, 7]
    for codec in ("pq4", "f16"):
        index = weft.build(fresh(), ids=ids, multivector=[one] * 5, schema=schema(16, codec))
        hits = found(index.search(multivector=one.astype(np.float32), k=3, exact=True))
        assert [each for each, _ in hits] == ids[:3]
        assert len({score for _, score in hits}) == 1


def test_scores_of_zero_rank_by_insertion(fresh: Any) -> None:
    """A vector of zeros is coded as a centroid times 0, which is negative where the product is."""
    documents = [np.eye(8, dtype=np.float16)[[each % 3]] * np.float16(each % 2) for each in range(20)]
    for codec in ("pq4", "scalar2", "f16", "pq2+pq4"):
        index = weft.build(fresh(), multivector=documents, schema=schema(8, codec, centroids=1))
        for query in (np.eye(8)[:1], -np.ones((2, 8)), -np.eye(8)):
            hits = index.search(multivector=query.astype(np.float32), k=20, exact=True)
            assert found(hits) == expected(index, query, 20)
            assert not np.signbit(hits.scores[hits.scores == 0]).any()
            zeros = hits.ids[hits.scores == 0].tolist()
            assert zeros == sorted(zeros)
            least = index.search(multivector=query.astype(np.float32), k=20, exact=True, min_score=0.0)
            assert found(least) == [hit for hit in found(hits) if hit[1] >= 0]


# Several segments, deletions, replacements, merges.


@pytest.fixture(params=CODECS)
def lived(request: pytest.FixtureRequest, path: Path) -> weft.Index:
    """Return an index of three segments in which documents were deleted and replaced."""
    documents = collection(300, 16, seed=5)
    with weft.Writer(path, schema(16, request.param, centroids=32, attributes={"year": "int64"})) as writer:
        for first in range(0, 300, 100):
            ids = range(first, first + 100)
            years = {"year": [each % 7 for each in ids]}
            writer.add(ids, multivector=documents[first : first + 100], attributes=years)
            writer.commit()
        writer.delete([*range(0, 300, 3), 7])
        writer.add([4, 101], multivector=[documents[8], documents[4]], attributes={"year": [3, None]})
    return weft.open(path)


def test_an_index_that_lived_equals_the_definition(lived: weft.Index) -> None:
    for query in (question(1, 16), question(20, 16)):
        for k in (1, 7, 400):
            assert found(lived.search(multivector=query, k=k, exact=True)) == expected(lived, query, k)
    assert lived.verify() == weft.verify(lived.path)


def test_merging_changes_no_score(lived: weft.Index) -> None:
    query = question(9, 16)
    before, vectors = found(lived.search(multivector=query, k=400, exact=True)), lived.get(101)["multivector"]
    with weft.Writer(lived.path) as writer:
        writer.merge()
    assert lived.refresh()
    assert found(lived.search(multivector=query, k=400, exact=True)) == before == expected(lived, query, 400)
    assert (lived.get(101)["multivector"] == vectors).all()
    lived.verify()


def test_filters_restrict_before_the_best_are_taken(lived: weft.Index) -> None:
    query, ids = question(6, 16), lived.ids().tolist()
    years = [lived.get(each)["attributes"]["year"] for each in ids]
    held = [year is not None and year >= 5 for year in years]
    wanted = {each for each in ids if each % 2}
    both = [flag and each in wanted for flag, each in zip(held, ids, strict=True)]
    subset = [each in wanted for each in ids]
    for exact in (True, False):
        options: dict[str, Any] = {"k": 5, "exact": exact, "candidates": 1000}
        assert found(lived.search(multivector=query, where="year >= 5", **options)) == expected(lived, query, 5, held)
        filtered = expected(lived, query, 5, subset)
        assert found(lived.search(multivector=query, subset=wanted, **options)) == filtered
        assert found(lived.search(multivector=query, subset=np.array(subset), **options)) == filtered
        joined = found(lived.search(multivector=query, subset=wanted, where="year >= 5", **options))
        assert joined == expected(lived, query, 5, both)
    assert found(lived.search(multivector=query, where="year = 99")) == []
    few = found(lived.search(multivector=query, where="year >= 5", k=5, candidates=3))
    assert {each for each, _ in few} <= {each for each, flag in zip(ids, held, strict=True) if flag}


def test_enough_candidates_make_a_search_exact(lived: weft.Index) -> None:
    for query in (question(1, 16, seed=3), question(12, 16, seed=4)):
        every = expected(lived, query, 10)
        for candidates in (len(lived), 10**9):
            hits = lived.search(multivector=query, k=10, candidates=candidates)
            assert found(hits) == every
            assert hits.exact


def test_the_same_for_any_number_of_threads_and_opened_again(lived: weft.Index) -> None:
    queries = [question(rows, 16, seed=rows) for rows in (3, 1, 33, 0, 8)]
    for options in ({"exact": True}, {"candidates": 20, "probes": 2}, {}):
        answers = [lived.search(multivector=queries, num_threads=threads, **options) for threads in (0, 1, 2, 8)]
        assert all(answer.to_list() == answers[0].to_list() for answer in answers)
        for query, hits in zip(queries, answers[0], strict=True):
            assert found(weft.open(lived.path).search(multivector=query, **options)) == found(hits)


# Approximate search.


@pytest.fixture(scope="module", params=["pq4", "scalar2", "pq2+pq4", "pq4+f16", "f16"])
def large(request: pytest.FixtureRequest, fresh: Any) -> weft.Index:
    """Return an index of two segments too large for looking at all their tokens."""
    path, documents = fresh(), collection(5000, 16, seed=9)
    with weft.Writer(path, schema(16, request.param, centroids=512)) as writer:
        writer.add(range(2500), multivector=documents[:2500])
        writer.commit()
        writer.add(range(2500, 5000), multivector=documents[2500:])
        writer.commit()
        writer.delete(range(0, 5000, 11))
    return weft.open(path)


def test_approximate_hits_have_their_scores(large: weft.Index) -> None:
    shared, proven = 0, 0
    for seed in range(10):
        query = large.get(22 * seed + 1)["multivector"][:3]
        query = query if len(query) else question(3, 16, seed)
        best = expected(large, query, 5000)
        scores = dict(best)
        for options in ({}, {"candidates": 10}, {"candidates": 100, "probes": 1}, {"probes": 64}, {"k": 500}):
            hits = large.search(multivector=query, **options)
            assert all(scores[each] == score for each, score in found(hits))
            assert found(hits) == sorted(found(hits), key=lambda hit: (-hit[1], hit[0]))
            missed = scores.keys() - {each for each, _ in found(hits)}
            assert hits.bound >= max(scores[each] for each in missed)
            proven += bool(hits.exact)
        hits = large.search(multivector=query, candidates=1000, probes=64)
        shared += len({hit.id for hit in hits} & {each for each, _ in best[:10]})
    assert shared >= 95
    assert proven < 10


def test_approximate_search_is_the_same_for_any_number_of_threads(large: weft.Index) -> None:
    queries = [question(rows, 16, seed=rows) for rows in (3, 1, 33, 0, 8)]
    for options in ({"candidates": 20, "probes": 2}, {}):
        answers = [large.search(multivector=queries, num_threads=threads, **options) for threads in (0, 1, 2, 8)]
        assert all(answer.to_list() == answers[0].to_list() for answer in answers)
        for query, hits in zip(queries, answers[0], strict=True):
            assert found(weft.open(large.path).search(multivector=query, **options)) == found(hits)


def test_filters_leave_enough_candidates(large: weft.Index) -> None:
    query = question(8, 16)
    for step in (2, 50, 2400):
        subset = set(range(1, 5000, step))
        allowed = [each in subset for each in large.ids().tolist()]
        hits = large.search(multivector=query, subset=subset, candidates=20)
        best = expected(large, query, 10, allowed)
        assert {hit.id for hit in hits} <= subset
        assert len(hits) == len(best)
        assert found(large.search(multivector=query, subset=subset, exact=True)) == best


def test_a_small_segment_does_not_hide_a_large_one(path: Path) -> None:
    """It has few tokens for each centroid, and so no cells to look into."""
    documents = [tokens for tokens in collection(5000, 16, seed=2) if len(tokens) >= 3][:3600]
    with weft.Writer(path, schema(16, "scalar4", centroids=512)) as writer:
        writer.add(range(3500), multivector=documents[:3500])
        writer.commit()
        writer.add(range(3500, 3600), multivector=[tokens[:3] for tokens in documents[3500:]])
    index = weft.open(path)
    for each in range(0, 3600, 36):
        query = documents[each][:3].astype(np.float32)
        best = index.search(multivector=query, k=1, exact=True)[0].id
        assert index.search(multivector=query, k=1, candidates=10)[0].id == best


def test_min_score_cuts_the_ranking(lived: weft.Index) -> None:
    query = question(4, 16)
    for exact in (True, False):
        ranked = found(lived.search(multivector=query, k=400, exact=exact, candidates=1000))
        for least in (-1.0, 0.0, ranked[4][1], ranked[-1][1], ranked[0][1] + 1):
            hits = lived.search(multivector=query, k=10, exact=exact, candidates=1000, min_score=least)
            assert found(hits) == [hit for hit in ranked[:10] if hit[1] >= least]


@pytest.mark.parametrize("deadline_ms", [1e-30, 1e-3, 0.05, 86_400_000])
@pytest.mark.parametrize("exact", [True, False])
def test_a_deadline_is_no_error(lived: weft.Index, deadline_ms: float, exact: bool) -> None:
    query = question(8, 16)
    scores = dict(expected(lived, query, 400))
    hits = lived.search(multivector=query, k=10, exact=exact, deadline_ms=deadline_ms)
    assert all(scores[each] == score for each, score in found(hits))
    if hits.exact or (deadline_ms > 1000 and exact):
        assert found(hits) == expected(lived, query, 10)


# What is stored.


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("codec", CODECS)
def test_tokens_come_back_as_they_are_coded(path: Path, codec: str, dim: int) -> None:
    documents = collection(200, dim, seed=1)
    index = weft.build(path, multivector=documents, schema=schema(dim, codec, centroids=16))
    decoded = token_oracle.decode(path)
    assert len(decoded) == 200
    got = [index.get(each)["multivector"] for each in range(200)]
    for each, tokens in enumerate(got):
        assert (tokens.dtype, tokens.shape) == (np.float32, documents[each].shape)
        assert tokens == pytest.approx(decoded[each], abs=2e-6)
    if codec.endswith("f16"):
        assert all((tokens == raw).all() for tokens, raw in zip(got, documents, strict=True))
    error = relative_error(got, documents)
    _, codebook, _ = token_oracle.read(path)
    assert codebook is not None
    best = codebook.decode(codebook.encode(np.concatenate(documents)))
    assert error <= 1.01 * relative_error([best], documents) + 1e-6
    most = {"pq4": 0.4, "pq8": 0.4, "scalar1": 0.4, "scalar2": 0.15, "scalar3": 0.04, "scalar4": 0.02, "pq2+pq4": 0.3}
    assert error < most.get(codec, 0.2)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "f16"])
def test_codes_are_the_nearest(path: Path, codec: str) -> None:
    documents = collection(200, 16, seed=1)
    weft.build(path, multivector=documents, schema=schema(16, codec, centroids=16))
    _, codebook, [segment] = token_oracle.read(path)
    assert codebook is not None
    assert segment.coded is not None
    best = codebook.encode(np.concatenate(documents))
    same = segment.coded.centroids == best.centroids
    assert same.mean() > 0.99
    for ours, theirs in zip(segment.coded.levels, best.levels, strict=True):
        for column, reference in zip(ours, theirs, strict=True):
            assert (column == reference)[same].mean() > 0.99


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_numbers_are_packed_as_they_are_unpacked(bits: int) -> None:
    numbers = np.random.default_rng(bits).integers(0, 2**bits, (9, 24)).astype(np.uint8)
    codes = token_oracle.pack(numbers, bits)
    assert codes.shape == (9, 3 * bits)
    assert (token_oracle.unpack(codes, bits) == numbers).all()


def test_cells_list_the_documents_of_each_centroid(path: Path) -> None:
    weft.build(path, multivector=collection(300, 16), schema=schema(16, "pq4", centroids=32))
    _, _, [segment] = token_oracle.read(path)
    assert segment.coded is not None
    starts = np.frombuffer(segment.file["cell_starts"], "<u4").tolist()
    listed = np.frombuffer(segment.file["cell_documents"], "<u2").tolist()
    assert (len(starts), starts[-1]) == (33, len(listed))
    numbers = segment.of_documents(segment.coded.centroids)
    for cell in range(32):
        having = [document for document, cells in enumerate(numbers) if cell in cells]
        assert listed[starts[cell] : starts[cell + 1]] == having


def test_a_file_of_few_tokens_has_no_cells(path: Path) -> None:
    weft.build(path, multivector=collection(20, 16), schema=schema(16, "pq4", centroids=1000))
    _, codebook, [segment] = token_oracle.read(path)
    assert segment.file["cell_starts"] == segment.file["cell_documents"] == b""
    assert codebook is not None
    assert len(codebook.steps) <= segment.starts[-1]


def test_one_document(fresh: Any) -> None:
    for number, codec in enumerate(CODECS):
        tokens = unit(np.random.default_rng(number).standard_normal((1, 8)))
        index = weft.build(fresh(), multivector=[tokens], schema=schema(8, codec))
        for exact in (True, False):
            hits = found(index.search(multivector=tokens.astype(np.float32), exact=exact))
            assert hits == expected(index, tokens.astype(np.float32), 10)
            assert hits[0] == (0, pytest.approx(1.0, abs=0.02))


def test_documents_without_tokens_are_never_found(path: Path) -> None:
    none = np.zeros((0, 16), np.float16)
    index = weft.build(path, multivector=[none] * 5, schema=schema(16, "pq4"))
    query = question(3, 16)
    for exact in (True, False):
        assert found(index.search(multivector=query, exact=exact)) == []
    assert index.get(3)["multivector"].shape == (0, 16)
    assert index.explain(3, multivector=query) == []
    assert found(index.rerank(multivector=query, ids=[1, 3])) == []
    assert not list(path.glob("*.multivector"))
    with weft.Writer(path) as writer:
        writer.add([3, 5], multivector=[none, unit(query)])
    index.refresh()
    assert [hit.id for hit in index.search(multivector=query, exact=True)] == [5]
    assert index.explain(3, multivector=query) == []
    assert found(index.rerank(multivector=query, ids=[1, 3])) == []
    with weft.Writer(path) as writer:
        writer.merge()
    index.refresh()
    assert found(index.search(multivector=query, exact=True)) == expected(index, query, 10)
    with weft.Writer(path) as writer:
        writer.delete(5)
        writer.merge()
    index.refresh()
    assert found(index.search(multivector=query, exact=True)) == []


def test_a_document_of_ten_thousand_tokens(fresh: Any) -> None:
    generator = np.random.default_rng(0)
    documents = [unit(generator.standard_normal((10_000, 16))), *collection(20, 16)]
    for codec in ("pq4", "f16"):
        index = weft.build(fresh(), multivector=documents, schema=schema(16, codec))
        query = question(20, 16)
        assert found(index.search(multivector=query, exact=True)) == expected(index, query, 10)
        assert index.search(multivector=query)[0].id == 0


@pytest.mark.parametrize("codec", ["pq4", "pq4+scalar2", "f16"])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 32, 33, 512])
def test_queries_of_any_size(path: Path, codec: str, rows: int) -> None:
    index = weft.build(path, multivector=collection(60, 24), schema=schema(24, codec))
    query = question(rows, 24)
    for exact in (True, False):
        assert found(index.search(multivector=query, k=60, exact=exact)) == expected(index, query, 60)


def test_vectors_of_any_length(fresh: Any) -> None:
    generator = np.random.default_rng(0)
    documents = [
        (generator.standard_normal((5, 16)) * 10.0 ** generator.uniform(-6, 4)).astype(np.float16) for _ in range(60)
    ]
    for codec in CODECS:
        index = weft.build(fresh(), multivector=documents, schema=schema(16, codec, centroids=8))
        query = question(4, 16) * np.float32(50)
        assert found(index.search(multivector=query, k=60, exact=True)) == expected(index, query, 60)
        decoded = [index.get(each)["multivector"] for each in range(60)]
        assert np.isfinite(np.concatenate(decoded)).all()


def test_a_writer_with_little_memory(path: Path) -> None:
    documents = collection(120, 16)
    with weft.Writer(path, schema(16, "pq4"), memory_limit=1) as writer:
        for each, tokens in enumerate(documents):
            writer.add([each], multivector=[tokens])
    index = weft.open(path)
    query = question(5, 16)
    assert found(index.search(multivector=query, k=120, exact=True)) == expected(index, query, 120)


def test_rollback_forgets_tokens_and_codebook(path: Path) -> None:
    with weft.Writer(path, schema(16, "pq4")) as writer:
        writer.add([1], multivector=[question(3, 16)])
        writer.rollback()
        writer.add([2], multivector=[question(2, 16, seed=1)])
    index = weft.open(path)
    assert index.ids().tolist() == [2]
    assert found(index.search(multivector=question(3, 16), exact=True)) == expected(index, question(3, 16), 10)
    assert len(list(path.glob("codebook-*"))) == 1


ROWS = np.ones((2, 16), np.float32)


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([ROWS, np.full((1, 16), NAN)], "row 1.*nan"),
        ([ROWS, np.full((1, 16), 65_536.0)], "row 1.*65536"),
        ([ROWS, np.ones((2, 8))], "row 1.*8.*16"),
        ([ROWS, np.ones((2, 16), int)], "row 1.*int"),
        ([ROWS], "1"),
        ([ROWS] * 3, "3"),
        ((np.ones((4, 16)), [0, 2]), "offsets"),
        (None, "multivector"),
    ],
)
def test_wrong_documents_change_nothing(path: Path, documents: Any, words: str) -> None:
    with weft.Writer(path, schema(16, "pq4")) as writer:
        with pytest.raises((weft.InvalidInput, weft.SchemaMismatch), match=words) as raised:
            writer.add([1, 2], multivector=documents)
        assert "\n" not in str(raised.value)
        assert writer.pending == 0
        writer.add([1, 2], multivector=[ROWS, ROWS[:0]])
    assert len(weft.open(path)) == 2


WRONG_QUERIES: list[Any] = [np.full((1, 16), each) for each in (NAN, INF, 3e38, 1e39)]
WRONG_QUERIES += [np.ones((2, 8)), np.ones(16), np.ones((2, 16), int), np.ones((4097, 16)), "text", 5, [1.0, 2.0]]


@pytest.mark.parametrize("query", WRONG_QUERIES)
def test_wrong_queries_are_refused(path: Path, query: Any) -> None:
    index = weft.build(path, multivector=[ROWS], schema=schema(16, "pq4"))
    calls: list[Callable[[], object]] = [
        lambda: index.search(multivector=query),
        lambda: index.rerank(multivector=query, ids=[0]),
        lambda: index.explain(0, multivector=query),
    ]
    for call in calls:
        with pytest.raises((weft.InvalidInput, weft.SchemaMismatch)) as raised:
            call()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["candidates", "probes", "exact", "fuse", "candidate_source"])
def test_wrong_options_are_named(path: Path, name: str) -> None:
    index = weft.build(path, multivector=[ROWS], schema=schema(16, "pq4"))
    for value in (0, -1, 1.5, "1", 2**63, {"sparse": 1}, {"sparse": 1, "multivector": NAN}):
        with pytest.raises(weft.InvalidInput, match=name):
            index.search(multivector=ROWS, **{name: value})


def test_large_options_are_fine(path: Path) -> None:
    index = weft.build(path, multivector=collection(300, 16), schema=schema(16, "pq4", centroids=16))
    query = question(3, 16)
    huge = 2**63 - 1
    every = expected(index, query, 300)
    for names in (["candidates"], ["k", "candidates"], ["k", "probes", "candidates"]):
        options = {"k": 300, **dict.fromkeys(names, huge)}
        assert found(index.search(multivector=query, **options))[: len(every)] == every
    assert len(index.search(multivector=query, probes=huge)) == 10


WRONG_CODECS: list[Any] = ["pq", "PQ4", "pq3", "pq0", "pq4+", "+pq4", "pq4+pq4+f16", "", 4, None]
WRONG_CODECS += ["scalar5", "scalar0", "f16+pq4", "f16+f16"]
WRONG = [(dim, "pq4", None) for dim in (0, 4, 12, -8, 2048, 2**63, 16.0, "16", None)]
WRONG += [(16, codec, None) for codec in WRONG_CODECS]
WRONG += [(16, "pq4", centroids) for centroids in (0, -1, 2**21, 1.5, "8")]


@pytest.mark.parametrize(("dim", "codec", "centroids"), WRONG)
def test_wrong_schemas_are_refused(path: Path, dim: Any, codec: Any, centroids: Any) -> None:
    with pytest.raises(weft.InvalidInput):
        weft.Writer(path, schema(dim, codec, centroids=centroids))
    assert not list(path.glob("manifest*"))


def test_a_schema_is_kept(path: Path) -> None:
    weft.Writer(path, schema(16, "pq4+scalar2", centroids=7)).close()
    index = weft.build(path, multivector=[ROWS], schema=schema(16, "pq4+scalar2", centroids=7))
    assert index.schema == weft.open(path).schema == schema(16, "pq4+scalar2", centroids=7)
    for other in (schema(16, "pq4", centroids=7), schema(16, "pq4+scalar2"), schema(8, "pq4+scalar2", centroids=7)):
        with pytest.raises(weft.SchemaMismatch):
            weft.Writer(path, other)


def test_an_index_without_token_vectors_says_so(animals: weft.Index) -> None:
    calls: list[Callable[[], object]] = [
        lambda: animals.search(multivector=ROWS),
        lambda: animals.rerank(multivector=ROWS, ids=["fox"]),
        lambda: animals.explain("fox", multivector=ROWS),
    ]
    for call in calls:
        with pytest.raises(weft.SchemaMismatch, match="token vectors"):
            call()
    with weft.Writer(animals.path) as writer, pytest.raises(weft.SchemaMismatch):
        writer.add(["owl"], text=["owl"], multivector=[ROWS])


# Around a search.


@pytest.mark.parametrize("codec", CODECS)
def test_explanations_add_up_to_the_score(path: Path, codec: str) -> None:
    documents = collection(40, 16, seed=8)
    index = weft.build(path, multivector=documents, schema=schema(16, codec))
    query = np.vstack([question(3, 16), np.zeros((1, 16)), question(2, 16, seed=1)]).astype(np.float32)
    for each, score in expected(index, query, 40):
        why = index.explain(each, multivector=query)
        assert [match.query_token for match in why] == [0, 1, 2, 4, 5]
        assert np.float32(sum(match.score for match in why)) == pytest.approx(score, rel=1e-6, abs=1e-6)
        products = query.astype(np.float64) @ index.get(each)["multivector"].T.astype(np.float64)
        for match in why:
            assert isinstance(match, weft.TokenMatch)
            best = products[match.query_token]
            assert match.score == pytest.approx(best[match.document_token], abs=0.02)
            assert best[match.document_token] >= best.max() - 0.04


def test_small_rows_are_explained_in_their_place(path: Path) -> None:
    index = weft.build(path, multivector=collection(5, 16, most=4), schema=schema(16, "f16"))
    query = np.vstack([np.full((1, 16), 1e-30), question(2, 16)]).astype(np.float32)
    each = next(each for each in range(5) if len(index.get(each)["multivector"]))
    alone = index.explain(each, multivector=query[1:])
    matches = [match for match in index.explain(each, multivector=query) if match.query_token > 0]
    assert [match[1:] for match in matches] == [match[1:] for match in alone]
    assert [match.query_token for match in matches] == [1, 2]


def test_rerank_orders_what_it_is_given(lived: weft.Index) -> None:
    query, ids = question(5, 16), lived.ids().tolist()
    for chosen in (ids[:20], ids[::-7], ids[3:4], []):
        allowed = [each in chosen for each in ids]
        assert found(lived.rerank(multivector=query, ids=chosen)) == expected(lived, query, len(ids), allowed)
    with pytest.raises(weft.NotFound):
        lived.rerank(multivector=query, ids=[ids[0], 0])


@pytest.fixture
def both(path: Path) -> weft.Index:
    """Return an index with sparse and token vectors."""
    generator = np.random.default_rng(1)
    sparse = [dict.fromkeys(generator.integers(0, 20, 4).tolist(), 1.0 + each % 3) for each in range(200)]
    shape = schema(16, "pq4", sparse=weft.Sparse(max_weight=4.0), centroids=16)
    return weft.build(path, sparse=sparse, multivector=collection(200, 16, seed=4), schema=shape)


SPARSE = {1: 1.0, 2: 2.0, 7: 1.0}


def test_the_best_by_terms_are_ordered_by_tokens(both: weft.Index) -> None:
    query = question(6, 16)
    first = [hit.id for hit in both.search(sparse=SPARSE, k=30)]
    allowed = [each in first for each in range(200)]
    hits = both.search(sparse=SPARSE, multivector=query, k=10, candidates=30)
    assert found(hits) == expected(both, query, 10, allowed)
    matching = [each in {hit.id for hit in both.search(sparse=SPARSE, k=200)} for each in range(200)]
    assert found(both.search(sparse=SPARSE, multivector=query, candidates=200)) == expected(both, query, 10, matching)


def test_exact_beside_terms_looks_at_every_document(both: weft.Index) -> None:
    query = question(6, 16)
    hits = both.search(sparse=SPARSE, multivector=query, exact=True)
    assert found(hits) == expected(both, query, 10)
    assert hits.exact
    assert found(both.search(sparse={}, multivector=query, exact=True)) == expected(both, query, 10)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1}, {"candidate_source": "sparse"}, {"deadline_ms": 1e-30}])
@pytest.mark.parametrize("fuse", ["rrf", {"sparse": 0.3, "multivector": 0.7}])
def test_joined_hits_are_exact_only_if_nothing_was_left_out(both: weft.Index, options: Any, fuse: Any) -> None:
    query = question(6, 16)
    best = both.search(sparse=SPARSE, multivector=query, fuse=fuse, k=200, candidates=200, probes=16)
    hits = both.search(sparse=SPARSE, multivector=query, fuse=fuse, k=200, exact=True, **options)
    assert found(hits) == found(best) or not hits.exact
    assert hits.exact or options


def test_scores_are_joined(both: weft.Index) -> None:
    query = question(6, 16)
    by_terms = [hit.id for hit in both.search(sparse=SPARSE, k=200)]
    terms = dict(found(both.search(sparse=SPARSE, k=200)))
    tokens = dict(expected(both, query, 200))
    options: dict[str, Any] = {"sparse": SPARSE, "multivector": query, "k": 200, "candidates": 200, "probes": 16}
    weights = {"sparse": 0.3, "multivector": 0.7}
    joined = dict(found(both.search(fuse=weights, **options)))
    assert joined.keys() == terms.keys() | tokens.keys()
    for each, score in joined.items():
        assert score == pytest.approx(0.3 * terms.get(each, 0) + 0.7 * tokens.get(each, 0), rel=1e-5, abs=1e-6)
    ranks = [{each: rank for rank, each in enumerate(ranked, 1)} for ranked in (by_terms, tokens)]
    fused = found(both.search(fuse="rrf", **options))
    for each, score in fused:
        assert score == pytest.approx(sum(1 / (60 + rank[each]) for rank in ranks if each in rank), rel=1e-5)
    assert fused == sorted(fused, key=lambda hit: (-hit[1], hit[0]))
    for fuse in (None, "rrf", weights):
        for threads in (1, 2, 8):
            again = both.search(fuse=fuse, num_threads=threads, **options)
            assert found(again) == found(both.search(fuse=fuse, **options))


def test_filters_hold_for_joined_searches(both: weft.Index) -> None:
    subset = set(range(0, 200, 2))
    for fuse in (None, "rrf", {"sparse": 1.0, "multivector": 1.0}):
        hits = both.search(sparse=SPARSE, multivector=question(6, 16), fuse=fuse, subset=subset, k=50)
        assert {hit.id for hit in hits} <= subset
        assert len(hits) > 5


def test_batches_of_both_have_one_query_of_each(both: weft.Index) -> None:
    queries = [question(3, 16, seed=seed) for seed in range(3)]
    batch = both.search(sparse=[SPARSE] * 3, multivector=queries)
    for query, hits in zip(queries, batch, strict=True):
        assert found(both.search(sparse=SPARSE, multivector=query)) == found(hits)
    with pytest.raises(weft.InvalidInput):
        both.search(sparse=[SPARSE] * 2, multivector=queries)


def test_statistics(lived: weft.Index) -> None:
    tokens = sum(len(lived.get(each)["multivector"]) for each in lived.ids())
    known = lived.stats()["multivector"]
    assert known["tokens"] >= tokens
    assert known["centroids"] == 32
    assert known["bytes_per_token"] > 0
    assert 0 <= known["error"] < 1
    assert known["drift"] >= 0
    with weft.Writer(lived.path) as writer:
        writer.merge()
    lived.refresh()
    assert lived.stats()["multivector"]["tokens"] == tokens
