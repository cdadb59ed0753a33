"""Candidates by sketches: what is found, in which way ever the index was made, are the best by token vectors."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from test_multivector import Tokens, found, schema
from token_oracle import collection, question, unit
from weft import Fde, Lemur

SKETCHES: dict[str, Fde | Lemur] = {
    "orthogonal-1": Fde(4, 3, 8),
    "orthogonal-4": Fde(4, 3, 8, code_bits=4),
    "muvera-1": Fde(4, 3, 8, "muvera"),
    "muvera-4": Fde(4, 3, 8, "muvera", 4),
    "lemur-4": Lemur(32, 64),
    "lemur-1": Lemur(32, 64, 1),
}
DOCUMENTS = collection(4600, 16, seed=3)
REPLACED = {4: 8, 4601: 9}
LARGE = 1 << 14
"""An index of more token vectors is searched by candidates, where these are not all of its documents."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that gives a new path each time."""
    folder, numbers = tmp_path_factory.mktemp("sketch"), iter(range(10**9))
    return lambda: folder / str(next(numbers))


@pytest.fixture(scope="module", params=SKETCHES)
def lived(request: pytest.FixtureRequest, fresh: Any) -> weft.Index:
    """Return an index of three segments in which documents were deleted and replaced, some of them without tokens."""
    path = fresh()
    made = schema(16, "f16", sketch=SKETCHES[request.param], attributes={"year": "int64"})
    with weft.Writer(path, made) as writer:
        for first, last in ((0, 2000), (2000, 3800), (3800, 4600)):
            years = {"year": [each % 7 for each in range(first, last)]}
            writer.add(range(first, last), multivector=DOCUMENTS[first:last], attributes=years)
            writer.commit()
        writer.delete([*range(0, 4600, 40), 7])
        replacing = [DOCUMENTS[each] for each in REPLACED.values()]
        writer.add(list(REPLACED), multivector=replacing, attributes={"year": [3, None]})
    return weft.open(path)


def by_sketches(index: weft.Index, query: Any, k: int = 10, **options: Any) -> Any:
    """Search by all documents that have a sketch, which is less than all documents; not by looking at each."""
    hits = index.search(multivector=query, k=k, candidate_source="sketch", **options)
    assert not hits.exact.any()
    return hits


def with_tokens(index: weft.Index, allowed: Sequence[bool] | None = None) -> int:
    """Return how many documents have token vectors; the index must be large, and others have none."""
    sizes = np.array([len(DOCUMENTS[REPLACED.get(each, each)]) for each in index.ids().tolist()])
    sizes = sizes if allowed is None else sizes[np.array(allowed)]
    assert sizes.sum() > LARGE
    assert (sizes == 0).any()
    return int((sizes > 0).sum())


def best(index: weft.Index, query: Any, k: int = 10, **options: Any) -> list[tuple[Any, float]]:
    """Return what looking at every document finds."""
    hits = index.search(multivector=query, k=k, exact=True, **options)
    assert hits.exact
    return found(hits)


def test_enough_candidates_find_the_best(lived: weft.Index) -> None:
    enough = with_tokens(lived)
    for query in (question(1, 16), question(7, 16), question(40, 16), DOCUMENTS[77][:3].astype(np.float32)):
        for k in (1, 10, 300):
            assert found(by_sketches(lived, query, k, candidates=enough)) == best(lived, query, k)
    assert lived.verify() == weft.verify(lived.path)


def test_filters_restrict_before_the_best_are_taken(lived: weft.Index) -> None:
    query, ids = question(6, 16), lived.ids().tolist()
    years = [lived.get(each)["attributes"]["year"] for each in ids]
    held = [year is not None and year >= 1 for year in years]
    wanted = {each for each in ids if each % 9}
    subset = [each in wanted for each in ids]
    both = [flag and chosen for flag, chosen in zip(held, subset, strict=True)]
    for allowed, options in (
        (held, {"where": "year >= 1"}),
        (subset, {"subset": wanted}),
        (subset, {"subset": np.array(subset)}),
        (both, {"subset": wanted, "where": "year >= 1"}),
    ):
        enough = with_tokens(lived, allowed)
        assert found(by_sketches(lived, query, candidates=enough, **options)) == best(lived, query, **options)
        few = found(by_sketches(lived, query, candidates=10, **options))
        assert len(few) == 10
        assert {each for each, _ in few} <= {each for each, flag in zip(ids, allowed, strict=True) if flag}
    assert len(lived.search(multivector=query, where="year = 99", candidate_source="sketch")) == 0


def test_hits_have_their_scores_however_few_candidates(lived: weft.Index) -> None:
    query = question(5, 16)
    scores = dict(best(lived, query, 5000))
    for options in ({}, {"candidates": 1}, {"candidates": 25}, {"k": 200}, {"min_score": 1.0}, {"deadline_ms": 1e-30}):
        hits = by_sketches(lived, query, **{"k": 10, **options})
        assert all(scores[each] == score for each, score in found(hits))
        assert found(hits) == sorted(found(hits), key=lambda hit: -hit[1])
        assert len(hits) <= options.get("candidates", 5000)
        assert (hits.scores[: len(hits)] >= options.get("min_score", -np.inf)).all()
        assert hits.bound == np.inf


def test_sketches_are_the_default(lived: weft.Index) -> None:
    for seed in range(5):
        query = question(5, 16, seed)
        hits = found(lived.search(multivector=query, candidates=30))
        assert hits == found(by_sketches(lived, query, candidates=30))
        by_cells = found(lived.search(multivector=query, candidates=4600, probes=64, candidate_source="centroids"))
        assert by_cells[0] == best(lived, query, 1)[0]


def test_the_same_for_any_number_of_threads_opened_again_and_pickled(lived: weft.Index) -> None:
    queries = [question(rows, 16, seed=rows) for rows in (3, 1, 33, 0, 8)]
    answers = [lived.search(multivector=queries, candidates=20, num_threads=threads) for threads in (0, 1, 2, 8)]
    assert all(answer.to_list() == answers[0].to_list() for answer in answers)
    for other in (weft.open(lived.path), pickle.loads(pickle.dumps(lived))):
        assert other.schema == lived.schema
        for query, hits in zip(queries, answers[0], strict=True):
            assert found(other.search(multivector=query, candidates=20)) == found(hits)


def test_rows_of_zeros_and_exact_search(lived: weft.Index) -> None:
    query = question(4, 16)
    rows = np.insert(query, [0, 2, 4], np.zeros(16), axis=0)
    assert found(by_sketches(lived, rows, candidates=20)) == found(by_sketches(lived, query, candidates=20))
    hits = lived.search(multivector=query, candidate_source="sketch", exact=True)
    assert hits.exact
    assert found(hits) == best(lived, query, 10)
    for nothing in (np.zeros((2, 16)), np.zeros((0, 16))):
        assert len(lived.search(multivector=nothing, candidate_source="sketch")) == 0


def test_statistics(lived: weft.Index) -> None:
    sketch = lived.schema.sketch
    assert sketch is not None
    stats = lived.stats()
    assert stats["sketch"]["dimensions"] == sketch.dimensions
    assert stats["sketch"]["bytes_per_document"] == sketch.dimensions * sketch.code_bits // 8 + 8
    assert 0 < stats["sketch"]["error"] < 1
    assert stats["sketch"]["drift"] == pytest.approx(1, abs=0.2)
    assert stats["bytes_by_kind"]["sketch"] > 4000 * stats["sketch"]["bytes_per_document"]


def test_merging_changes_nothing(lived: weft.Index) -> None:
    queries = [question(5, 16, seed) for seed in range(6)]

    def answers() -> list[Any]:
        return [found(by_sketches(lived, query, candidates=30)) for query in queries]

    before = answers()
    with weft.Writer(lived.path) as writer:
        writer.merge()
    assert lived.refresh()
    assert answers() == before
    lived.verify()
    assert lived.stats()["segments"] == 1


def test_sketches_are_learned_again(lived: weft.Index) -> None:
    query = question(5, 16, 0)
    codebooks = set(lived.path.glob("codebook-*.sketch"))
    with weft.Writer(lived.path) as writer:
        writer.retrain()
    assert lived.refresh()
    assert set(lived.path.glob("codebook-*.sketch")).isdisjoint(codebooks)
    exact = found(lived.search(multivector=query, k=10, exact=True))
    assert found(by_sketches(lived, query, candidates=len(lived))) == exact
    assert lived.stats()["sketch"]["drift"] == pytest.approx(1, abs=0.2)
    lived.verify()


# How an index is made.


@pytest.mark.parametrize("name", SKETCHES)
def test_the_order_of_documents_does_not_matter(fresh: Any, name: str) -> None:
    """With a sample given before, sketches are the same, in whatever order and segments documents come."""
    queries, answers = [question(5, 16, seed) for seed in range(10)], []
    sample = [tokens for tokens in DOCUMENTS[:500] if len(tokens)]
    for order in (range(4600), range(4599, -1, -1), np.random.default_rng(0).permutation(4600).tolist()):
        path = fresh()
        with weft.Writer(path, schema(16, "f16", sketch=SKETCHES[name])) as writer:
            writer.train(sample)
            for part in np.array_split(list(order), 3):
                writer.add(part.tolist(), multivector=[DOCUMENTS[each] for each in part])
                writer.commit()
        index = weft.open(path)
        answers.append([dict(found(by_sketches(index, query, candidates=40))) for query in queries])
    assert answers[0] == answers[1] == answers[2]


def clustered(count: int) -> list[Tokens]:
    """Return documents of 15 tokens, each near one of the five directions of its subject."""
    random = np.random.default_rng(5)
    subjects = random.standard_normal((count // 20, 5, 32)) + random.standard_normal(32)
    chosen = subjects[random.integers(0, len(subjects), count)]
    tokens = np.repeat(chosen, 3, axis=1) + 0.7 * random.standard_normal((count, 15, 32))
    return list(unit(tokens))


@pytest.mark.parametrize(
    ("sketch", "most_missed"),
    [
        (Fde(), 0.06),
        (Fde(code_bits=4), 0.03),
        (Fde(kind="muvera"), 0.15),
        (Lemur(), 0.02),
        (Lemur(128, 512), 0.03),
    ],
)
@pytest.mark.parametrize("order", ["random", "sorted"])
def test_a_hundred_candidates_hold_most_of_the_ten_best(
    path: Path, sketch: Fde | Lemur, most_missed: float, order: str
) -> None:
    documents, random = clustered(2000), np.random.default_rng(6)
    if order == "sorted":
        documents.sort(key=lambda tokens: float(tokens[0, 0]))
    index = weft.build(path, multivector=documents, schema=schema(32, "f16", sketch=sketch))
    shared = 0
    for _ in range(50):
        tokens = documents[random.integers(0, 2000)][random.permutation(15)[:8]]
        query = tokens.astype(np.float32) + 0.1 * random.standard_normal((8, 32)).astype(np.float32)
        wanted = {each for each, _ in best(index, query)}
        shared += len(wanted & {hit.id for hit in by_sketches(index, query, candidates=100)})
    assert shared >= 500 * (1 - most_missed)


@pytest.mark.parametrize("name", SKETCHES)
def test_rollback_forgets_sketches(path: Path, name: str) -> None:
    with weft.Writer(path, schema(16, "f16", sketch=SKETCHES[name])) as writer:
        writer.add(range(300), multivector=DOCUMENTS[:300])
        writer.rollback()
        assert writer.pending == 0
        writer.train([DOCUMENTS[5]])
        writer.rollback()
        writer.add(range(4600), multivector=DOCUMENTS)
        writer.commit()
        writer.add([5000], multivector=[DOCUMENTS[1]])
        writer.rollback()
    index = weft.open(path)
    assert index.ids().tolist() == list(range(4600))
    query = question(4, 16)
    assert found(by_sketches(index, query, candidates=with_tokens(index))) == best(index, query, 10)
    assert len(list(path.glob("codebook-*.sketch"))) == 1
    index.verify()


@pytest.mark.parametrize("name", SKETCHES)
def test_documents_that_leave_little_to_learn(fresh: Any, name: str) -> None:
    """One document, equal ones, zeros, none with tokens: nothing breaks, and nothing is lost."""
    one, none = DOCUMENTS[1][:2], np.zeros((0, 16), np.float16)
    for documents in ([one], [one[:1]], [one] * 70, [one * np.float16(0)] * 3, [none] * 3, [none, one, none]):
        index = weft.build(fresh(), multivector=documents, schema=schema(16, "f16", sketch=SKETCHES[name]))
        index.verify()
        for query in (question(3, 16), one.astype(np.float32)):
            hits = index.search(multivector=query, candidate_source="sketch")
            assert found(hits) == best(index, query, 10)
        with weft.Writer(index.path) as writer:
            writer.add([900], multivector=[DOCUMENTS[2]])
            writer.merge()
        index.refresh()
        assert found(index.search(multivector=question(3, 16))) == best(index, question(3, 16), 10)
        index.verify()


@pytest.mark.parametrize("name", ["orthogonal-1", "lemur-4"])
def test_a_writer_with_little_memory(path: Path, name: str) -> None:
    with weft.Writer(path, schema(16, "f16", sketch=SKETCHES[name]), memory_limit=1) as writer:
        for each, tokens in enumerate(DOCUMENTS[:100]):
            writer.add([each], multivector=[tokens])
    index = weft.open(path)
    assert found(index.search(multivector=question(5, 16), k=100)) == best(index, question(5, 16), 100)
    assert index.stats()["sketch"]["error"] >= 0


@pytest.mark.parametrize("name", ["orthogonal-1", "orthogonal-4", "lemur-4"])
def test_damage_is_reported(path: Path, name: str) -> None:
    weft.build(path, multivector=DOCUMENTS[:300], schema=schema(16, "f16", sketch=SKETCHES[name]))
    files = sorted(path.glob("*.sketch"))
    assert len(files) == 2
    for file in files:
        whole = file.read_bytes()
        for place in (70, len(whole) // 2, len(whole) - 90):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(weft.CorruptIndex, match=file.name):
                weft.verify(path)
        file.write_bytes(whole[:-1])
        with pytest.raises(weft.CorruptIndex, match=file.name):
            weft.open(path)
        file.unlink()
        with pytest.raises(weft.Error, match=file.name):
            weft.open(path)
        file.write_bytes(whole)
    weft.verify(path)


# Beside sparse vectors.

SPARSE = {1: 1.0, 2: 2.0, 7: 1.0}


@pytest.fixture(scope="module", params=SKETCHES)
def both(request: pytest.FixtureRequest, fresh: Any) -> weft.Index:
    """Return a small index with sparse and token vectors: beside sparse ones, candidates are always chosen."""
    random = np.random.default_rng(1)
    sparse = [dict.fromkeys(random.integers(0, 20, 4).tolist(), 1.0 + each % 3) for each in range(300)]
    made = schema(16, "f16", sparse=weft.Sparse(max_weight=4.0), sketch=SKETCHES[request.param])
    return weft.build(fresh(), sparse=sparse, multivector=DOCUMENTS[:300], schema=made)


def test_sketches_beside_terms(both: weft.Index) -> None:
    query = question(6, 16)
    every = best(both, query, 300)
    options: dict[str, Any] = {"sparse": SPARSE, "multivector": query, "candidate_source": "sketch"}
    assert found(both.search(candidates=300, k=300, **options)) == every
    few = found(both.search(candidates=15, k=10, **options))
    assert len(few) == 10
    assert set(few) <= set(every)
    by_terms = {hit.id for hit in both.search(sparse=SPARSE, k=15)}
    joined = found(both.search(**{**options, "candidate_source": "both"}, candidates=15, k=300))
    assert {each for each, _ in few} | by_terms & dict(every).keys() <= {each for each, _ in joined}
    assert set(joined) <= set(every)


@pytest.mark.parametrize("source", ["sketch", "both"])
@pytest.mark.parametrize("fuse", ["rrf", {"sparse": 0.3, "multivector": 0.7}])
def test_scores_are_joined(both: weft.Index, source: Any, fuse: Any) -> None:
    query = question(6, 16)
    by_terms = [tuple(hit) for hit in both.search(sparse=SPARSE, k=300)]
    terms, tokens = dict(by_terms), dict(best(both, query, 300))
    options: dict[str, Any] = {"sparse": SPARSE, "multivector": query, "k": 300, "fuse": fuse}
    joined = dict(found(both.search(candidates=300, candidate_source=source, **options)))
    assert joined.keys() == terms.keys() | tokens.keys()
    ranks = [{each: rank for rank, each in enumerate(ranked, 1)} for ranked in (terms, tokens)]
    for each, score in joined.items():
        fused = sum(1 / (60 + rank[each]) for rank in ranks if each in rank)
        weighted = 0.3 * terms.get(each, 0) + 0.7 * tokens.get(each, 0)
        assert score == pytest.approx(fused if fuse == "rrf" else weighted, rel=1e-5, abs=1e-6)
    exact = both.search(exact=True, candidate_source=source, **options)
    assert exact.exact
    assert dict(found(exact)) == joined
    subset = set(range(0, 300, 3))
    assert {hit.id for hit in both.search(candidate_source=source, subset=subset, **options)} <= subset


# Schemas.


@pytest.mark.parametrize("name", SKETCHES)
def test_a_schema_is_kept(path: Path, name: str) -> None:
    made = schema(16, "f16", sketch=SKETCHES[name])
    assert weft.Schema.from_json(made.to_json()) == made
    weft.Writer(path, made).close()
    index = weft.build(path, multivector=DOCUMENTS[:5], schema=made)
    assert index.schema == weft.open(path).schema == made
    for other in (None, Fde(4, 3, 16), Lemur(64, 64), *(SKETCHES[each] for each in SKETCHES if each != name)):
        with pytest.raises(weft.SchemaMismatch):
            weft.Writer(path, schema(16, "f16", sketch=other))
    with weft.Writer(path, made) as writer:
        writer.add([9], multivector=[DOCUMENTS[1]])
    assert weft.open(path).schema == made


def test_an_index_without_sketches_says_so(path: Path) -> None:
    index = weft.build(path, multivector=DOCUMENTS[:5], schema=schema(16, "f16"))
    assert index.stats()["sketch"] is None
    for options in ({}, {"exact": True}, {"candidates": 1}):
        with pytest.raises(weft.SchemaMismatch, match="no sketches"):
            index.search(multivector=question(2, 16), candidate_source="sketch", **options)


WRONG: list[tuple[Any, str]] = [
    (Fde(bits=17), "bits 17"),
    (Fde(bits=-1), "-1"),
    (Fde(bits=31), "bits 31"),
    (Fde(repetitions=0), "repetitions"),
    (Fde(projection=0), "projection"),
    (Fde(repetitions=2**40), str(2**40)),
    (Fde(repetitions=2**14), "dimensions"),
    (Fde(repetitions=2**70), "valid"),
    (Fde(code_bits=2), "code_bits 2"),
    (Fde(code_bits=0), "code_bits 0"),
    (Fde(kind="google"), "google"),
    (Fde(kind="fastembed"), "fastembed"),
    (Fde(kind="x"), "'x'"),  # type: ignore[arg-type]
    (Fde(kind=None), "None"),  # type: ignore[arg-type]
    (Fde(repetitions=1.5), "1.5"),  # type: ignore[arg-type]
    (Fde(bits="4"), "4"),  # type: ignore[arg-type]
    (Fde(bits=None), "null"),  # type: ignore[arg-type]
    (Lemur(dimensions=0), "0 dimensions"),
    (Lemur(dimensions=40), "40 dimensions.*multiple of 16"),
    (Lemur(dimensions=2048), "2048 dimensions.*1024 features"),
    (Lemur(features=1000), "1000 features.*multiple of 16"),
    (Lemur(features=16384), "16384 features.*8192"),
    (Lemur(code_bits=2), "code_bits 2"),
    (Lemur(features=-16), "-16"),
    ("fde", "sketch"),
    (Fde, "sketch"),
    ({}, "sketch"),
    (5, "sketch"),
]


@pytest.mark.parametrize(("sketch", "words"), WRONG)
def test_wrong_sketches_are_refused(path: Path, sketch: Any, words: str) -> None:
    with pytest.raises(weft.InvalidInput, match=words) as raised:
        weft.Writer(path, schema(16, "f16", sketch=sketch))
    assert "\n" not in str(raised.value)
    assert not list(path.glob("manifest*"))


@pytest.mark.parametrize("sketch", [Fde(), Lemur()])
def test_a_sketch_is_of_token_vectors(path: Path, sketch: Any) -> None:
    with pytest.raises(weft.InvalidInput, match="multivector"):
        weft.Writer(path, weft.Schema(weft.Sparse(), sketch=sketch))


@pytest.mark.parametrize(
    "shape",
    ["5", "[]", "{}", '"fde"', '{"kind": "fde"}', '{"kind": "x", "orthogonal": true}', '{"kind": "lemur", "bits": 1}'],
)
def test_json_of_a_sketch(shape: str) -> None:
    text = f'{{"ids": "int", "sparse": null, "multivector": null, "attributes": {{}}, "sketch": {shape}}}'
    with pytest.raises(weft.InvalidInput, match="schema"):
        weft.Schema.from_json(text)
