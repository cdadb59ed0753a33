"""Any sequence of calls leaves the token vectors and scores that a plain dictionary would give."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import token_oracle
import weft
from test_multivector import Tokens, schema
from token_oracle import KINDS, peculiar, question

IDS = st.integers(0, 9)
BATCHES = st.dictionaries(IDS, st.sampled_from(KINDS), max_size=5)
SEEDS = st.integers(0, 99)
Model = dict[int, Tokens]


class Documents(RuleBasedStateMachine):
    """A writer and a reader beside their model: tokens by id, in insertion order.

    With a codec that ends in f16 the model knows every score. With another, scores are those of the bytes on disk, and
    tokens are near to what they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.committed: Model = {}
        self.working: Model = {}
        self.seen: Model = {}

    @initialize(codec=st.sampled_from(["pq2+f16", "f16", "scalar4", "pq4+scalar2"]), limit=st.sampled_from([1, "1MiB"]))
    def make(self, codec: str, limit: int | str) -> None:
        self.whole, self.limit = codec.endswith("f16"), limit
        self.writer = weft.Writer(self.folder, schema(8, codec), memory_limit=limit)
        self.writer.commit()
        self.index = weft.open(self.folder)

    @rule(batch=BATCHES, seed=SEEDS)
    def add(self, batch: dict[int, str], seed: int) -> None:
        documents = peculiar(list(batch.values()), 8, seed)
        self.writer.add(list(batch), multivector=documents)
        for each in batch:
            self.working.pop(each, None)
        self.working.update(zip(batch, documents, strict=True))

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
    def retrain(self) -> None:
        self.writer.retrain()
        self.committed = dict(self.working)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.working = dict(self.committed)
        self.writer = weft.Writer(self.folder, memory_limit=self.limit)

    @rule()
    def refresh(self) -> None:
        self.index.refresh()
        self.seen = dict(self.committed)

    @rule(rows=st.integers(1, 4), seed=SEEDS, k=st.integers(1, 12), exact=st.booleans())
    def search(self, rows: int, seed: int, k: int, exact: bool) -> None:
        query = question(rows, 8, seed)
        hits = [tuple(hit) for hit in self.index.search(multivector=query, k=k, exact=exact)]
        ids, documents = list(self.seen), list(self.seen.values())
        if self.whole:
            best = token_oracle.ranking(token_oracle.maxsim(query, documents), k)
            assert hits == [(ids[position], score) for position, score in best]
        elif self.index.generation == self.writer.generation:
            best = token_oracle.ranking(token_oracle.scores(self.folder, query), k)
            assert hits == [(ids[position], score) for position, score in best]

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(list(self.seen)))
        tokens = self.index.get(each)["multivector"]
        assert tokens.shape == self.seen[each].shape
        if self.whole:
            assert (tokens == self.seen[each]).all()

    @invariant()
    def same_documents(self) -> None:
        assert self.index.ids().tolist() == list(self.seen)

    def teardown(self) -> None:
        self.writer.close()
        index = weft.open(self.folder)
        assert index.ids().tolist() == list(self.committed)
        if self.whole:
            stored = token_oracle.decode(self.folder)
            assert all(np.array_equal(*pair) for pair in zip(stored, self.committed.values(), strict=True))
        index.verify()
        shutil.rmtree(self.folder)


TestDocuments = Documents.TestCase
TestDocuments.settings = settings(settings.get_profile("weft"), stateful_step_count=30)
