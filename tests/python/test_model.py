"""Any sequence of calls leaves what a plain dictionary would hold, in memory and on disk."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import oracle
import weft

IDS = st.integers(0, 9)
SCHEMA = weft.Schema(weft.Sparse(max_weight=oracle.MAX_WEIGHT), {"year": "int64"}, "int")
Model = dict[int, tuple[oracle.Row, int | None]]


class Documents(RuleBasedStateMachine):
    """A writer and a reader beside their model: documents by id, in insertion order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.committed: Model = {}
        self.working: Model = {}
        self.seen: Model = {}

    @initialize(memory_limit=st.sampled_from([1, "1MiB"]))
    def make(self, memory_limit: int | str) -> None:
        self.memory_limit = memory_limit
        self.writer = weft.Writer(self.folder, SCHEMA, memory_limit=memory_limit)
        self.writer.commit()
        self.index = weft.open(self.folder)

    @rule(batch=st.dictionaries(IDS, st.tuples(oracle.ROWS, st.none() | st.integers(-2, 2)), max_size=5))
    def add(self, batch: Model) -> None:
        rows, years = [row for row, _ in batch.values()], [year for _, year in batch.values()]
        self.writer.add(list(batch), sparse=rows, attributes={"year": years})
        for each in batch:
            self.working.pop(each, None)
        self.working.update(batch)

    @rule(ids=st.lists(IDS, max_size=4, unique=True))
    def delete(self, ids: list[int]) -> None:
        held = [each for each in ids if each in self.working]
        assert self.writer.delete(ids) == len(held)
        for each in held:
            del self.working[each]

    @rule()
    def commit(self) -> None:
        self.writer.commit()
        self.committed = dict(self.working)

    @rule()
    def rollback(self) -> None:
        self.writer.rollback()
        self.working = dict(self.committed)

    @rule(max_segments=st.integers(1, 3))
    def merge(self, max_segments: int) -> None:
        self.writer.merge(max_segments)
        self.committed = dict(self.working)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.working = dict(self.committed)
        self.writer = weft.Writer(self.folder, memory_limit=self.memory_limit)

    @rule()
    def refresh(self) -> None:
        self.index.refresh()
        self.seen = dict(self.committed)

    @rule(query=oracle.ROWS, k=st.integers(1, 12), year=st.none() | st.integers(-2, 2))
    def search(self, query: oracle.Row, k: int, year: int | None) -> None:
        ids, documents = list(self.seen), list(self.seen.values())
        allowed = {i for i, (_, each) in enumerate(documents) if year is None or (each is not None and each >= year)}
        expected = oracle.search([row for row, _ in documents], query, k, allowed=allowed)
        hits = self.index.search(sparse=query, k=k, where=None if year is None else f"year >= {year}")
        assert [tuple(hit) for hit in hits] == [(ids[position], score) for position, score in expected]

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(list(self.seen)))
        assert self.index.get(each)["attributes"]["year"] == self.seen[each][1]

    @invariant()
    def same_documents(self) -> None:
        assert self.index.ids().tolist() == list(self.seen)
        assert len(self.index) == len(self.seen)
        assert [each in self.index for each in range(10)] == [each in self.seen for each in range(10)]

    def teardown(self) -> None:
        self.writer.close()
        assert weft.open(self.folder).ids().tolist() == list(self.committed)
        weft.verify(self.folder)
        shutil.rmtree(self.folder)


TestDocuments = Documents.TestCase
TestDocuments.settings = settings(settings.get_profile("weft"), stateful_step_count=30)
