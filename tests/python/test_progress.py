"""Progress of long calls of the core: told when asked for, taken away when the call is over."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
from weft.progress import Stages

VECTORS = np.random.default_rng(0).normal(size=(300, 20, 16)).astype(np.float32)
SCHEMA = weft.Schema(ids="int", multivector=weft.MultiVector(16), sketch=weft.Fde(2, 2, 8))


class Bar:
    made: list["Bar"]

    def __init__(self, total: int, desc: str, **_: Any) -> None:
        self.desc, self.total, self.n, self.open = desc, total, 0, True
        Bar.made.append(self)

    def refresh(self) -> None:
        assert self.open
        assert 0 <= self.n <= self.total

    def close(self) -> None:
        self.open = False


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    monkeypatch.setattr("weft.writer.Stages.shown", lambda show: Stages(Bar) if show else None)
    return Bar.made


def test_stages_are_shown_one_after_the_other(path: Path, bars: list[Bar]) -> None:
    with weft.Writer(path, SCHEMA, show_progress=True) as writer:
        writer.add(range(300), multivector=VECTORS)
        assert not bars
        writer.commit()
        assert {"learning centroids", "coding token vectors", "sketching documents"} <= {bar.desc for bar in bars}
        assert not any(bar.open for bar in bars)
    assert weft.open(path).search(multivector=VECTORS[7], k=1).ids.tolist() == [7]


def test_what_progress_raises_does_not_stop_the_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(work: str, done: int, total: int) -> None:
        raise RuntimeError("no terminal")

    native = weft._native.Writer(str(path), SCHEMA.to_json(), 2**20, broken)
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    native.train((VECTORS[:50].reshape(-1, 16).astype(np.float16), np.arange(51) * 20))
    assert isinstance(raised[0].exc_value, RuntimeError)
    assert native.commit() == 1
    native.close()


def test_nothing_is_shown_by_default_without_a_terminal(path: Path, bars: list[Bar]) -> None:
    weft.build(path, multivector=VECTORS, schema=SCHEMA)
    assert not bars
