"""Any sequence of calls leaves the sketches of the documents that a plain dictionary would hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

import token_oracle
import weft
from test_multivector import schema
from test_multivector_model import BATCHES, SEEDS, Documents
from test_sketch import SKETCHES
from token_oracle import peculiar, question


class Sketched(Documents):
    """Candidates come from sketches alone: beside sparse vectors, documents are never all looked at."""

    @initialize(codec=st.sampled_from(["f16", "pq2+f16"]), name=st.sampled_from(list(SKETCHES)))
    def make(self, codec: str, name: str) -> None:
        self.whole, self.limit = True, 1
        made = schema(8, codec, sparse=weft.Sparse(max_weight=1.0), sketch=SKETCHES[name])
        self.writer = weft.Writer(self.folder, made, memory_limit=self.limit)
        self.writer.commit()
        self.index = weft.open(self.folder)

    @rule(batch=BATCHES, seed=SEEDS)
    def add(self, batch: dict[int, str], seed: int) -> None:
        documents = peculiar(list(batch.values()), 8, seed)
        self.writer.add(list(batch), sparse=[{1: 1.0}] * len(batch), multivector=documents)
        for each in batch:
            self.working.pop(each, None)
        self.working.update(zip(batch, documents, strict=True))

    @rule(rows=st.integers(1, 4), seed=SEEDS, k=st.integers(1, 12), exact=st.booleans())
    def search(self, rows: int, seed: int, k: int, exact: bool) -> None:
        query = question(rows, 8, seed)
        hits = self.index.search(sparse={1: 1.0}, multivector=query, k=k, exact=exact, candidate_source="sketch")
        ids, documents = list(self.seen), list(self.seen.values())
        best = token_oracle.ranking(token_oracle.maxsim(query, documents), k)
        assert [tuple(hit) for hit in hits] == [(ids[position], score) for position, score in best]


TestSketched = Sketched.TestCase
TestSketched.settings = settings(settings.get_profile("weft"), stateful_step_count=30)
