"""Queries, judgements and runs: read, searched, measured."""

import os
import tarfile
from pathlib import Path

import pytest

import weft
from weft import io

QRELS = {"q1": {"fox": 1, "hen": 2}, "q2": {"wine": 1}, "never asked": {"fox": 1}}
QUERIES = {"q1": "fox", "q2": "red", "unjudged": "hen"}


def test_the_means_of_measures(animals: weft.Index) -> None:
    means = weft.evaluate(animals, QUERIES, QRELS, measures=["R@1", "RR@10", "AP"])
    (first, _), (best, _) = animals.search(text=["fox", "red"], k=2).ids
    assert means["R@1"] == pytest.approx((0.5 * (first in QRELS["q1"]) + (best == "wine")) / 3)
    assert set(means) == {"R@1", "RR@10", "AP"}
    assert set(weft.evaluate(animals, QUERIES, QRELS)) == {"nDCG@10", "R@100"}


def test_files(animals: weft.Index, tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tfox\t1\nq1\ta hen\t2\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n{"_id": 2, "text": "red"}\n')
    assert io.read_queries(tmp_path) == {"q1": "fox", "2": "red"}
    assert io.read_qrels(tmp_path) == {"q1": {"fox": 1, "a hen": 2}}
    run = tmp_path / "run.txt"
    texts = weft.TextIndex(tmp_path / "texts.weft")
    texts.add([{"id": "fox", "text": "a fox"}])
    assert weft.evaluate(texts, tmp_path, tmp_path, measures=["R@1"], run=run) == {"R@1": 0.5}
    assert run.read_text().split()[:4] == ["q1", "Q0", "fox", "1"]
    (tmp_path / "trec.txt").write_text("q1 0 fox 1\nq1\t0\then\t-1\n")
    assert io.read_qrels(tmp_path / "trec.txt") == {"q1": {"fox": 1, "hen": -1}}


def test_the_missing_library_is_named(animals: weft.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ir_measures", None)
    with pytest.raises(weft.Error, match=r"weft\[eval\]"):
        weft.evaluate(animals, QUERIES, QRELS)


DATA = Path(os.environ.get("WEFT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def scifact(folder: Path) -> Path:
    """Return the SciFact collection, unpacked if need be, or skip the test."""
    archive = DATA / "scifact.tar.xz"
    if (DATA / "scifact").is_dir():
        return DATA / "scifact"
    if not archive.is_file():
        pytest.skip("the SciFact collection is not there; WEFT_DATA may say where")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "scifact"


def test_quality_on_scifact(path: Path, tmp_path: Path) -> None:
    collection = scifact(tmp_path)
    texts = weft.TextIndex(path)
    texts.add(collection)
    assert weft.evaluate(texts, collection, collection)["nDCG@10"] > 0.68
