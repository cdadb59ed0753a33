"""The examples in the docstrings run."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import weft

LEFT_OUT = {"weft._native", "weft.cli", "weft.commands"}
MODULES = [each.name for each in pkgutil.walk_packages(weft.__path__, "weft.") if each.name not in LEFT_OUT]
EXAMPLES = [
    example
    for name in ["weft", *MODULES]
    for example in doctest.DocTestFinder(exclude_empty=True).find(
        importlib.import_module(name), extraglobs={"weft": weft}
    )
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_example_runs(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)


def _public() -> list[tuple[str, Any]]:
    members = [(name, getattr(weft, name)) for name in weft.__all__ if name != "__version__"]
    for name, value in list(members):
        if inspect.isclass(value) and not issubclass(value, Exception):
            members += [(f"{name}.{each}", value.__dict__[each]) for each in vars(value) if not each.startswith("_")]
    return members


@pytest.mark.parametrize(("name", "value"), _public())
def test_everything_public_is_documented(name: str, value: Any) -> None:
    if callable(value) or isinstance(value, property):
        assert inspect.getdoc(value), f"{name} has no docstring"
