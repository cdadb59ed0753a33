"""Reader processes beside a writer: every answer belongs to one generation, whole."""

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Queue
from typing import Any

import weft

COMMITS = 200
READERS = 8
DOCUMENTS = 20
SCHEMA = weft.Schema(weft.Sparse(max_weight=255.0), {"commit": "int64"}, "int")


def expected_ids(commit: int) -> list[int]:
    """Return the ids that commit number `commit` leaves: one, another each time, is deleted."""
    return [each for each in range(DOCUMENTS) if each != commit % DOCUMENTS]


def write(writer: weft.Writer, commit: int) -> None:
    """Replace every document by one whose weight tells the commit."""
    weight = float(1 + commit % 255)
    writer.add(range(DOCUMENTS), sparse=[{3: weight}] * DOCUMENTS, attributes={"commit": [commit] * DOCUMENTS})
    writer.delete([commit % DOCUMENTS])


def read(path: Path, stop: Event, reports: "Queue[Any]") -> None:
    """Search until told to stop; report how many generations were seen, or what was wrong."""
    index = weft.open(path)
    seen = set()
    while not stop.is_set():
        index.refresh()
        hits = index.search(sparse={3: 1.0}, k=DOCUMENTS)
        commit = index.get(hits[0].id)["attributes"]["commit"]
        seen.add(commit)
        fault = describe_fault(index, hits, commit)
        if fault:
            reports.put(fault)
            return
    reports.put(len(seen))


def describe_fault(index: weft.Index, hits: weft.Hits, commit: int) -> str | None:
    ids = [hit.id for hit in hits]
    if ids != expected_ids(commit) or index.ids().tolist() != ids:
        return f"commit {commit} has ids {ids}"
    if {hit.score for hit in hits} != {float(1 + commit % 255)}:
        return f"commit {commit} has scores {hits.scores}"
    commits = {index.get(each)["attributes"]["commit"] for each in ids}
    return f"commits {commits} are mixed" if commits != {commit} else None


def test_every_answer_belongs_to_one_generation(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    stop, reports = context.Event(), context.Queue()
    with weft.Writer(path, SCHEMA) as writer:
        write(writer, 0)
        writer.commit()
        readers = [context.Process(target=read, args=(path, stop, reports)) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        for commit in range(1, COMMITS + 1):
            write(writer, commit)
            if commit % 10 == 0:
                writer.merge(max_segments=1)
            writer.commit()
            time.sleep(0.01)
    stop.set()
    found = [reports.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join(60)
    assert all(isinstance(each, int) for each in found), found
    assert max(found) > 10
    weft.verify(path)
    assert weft.open(path).ids().tolist() == expected_ids(COMMITS)
