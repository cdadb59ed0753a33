"""Fixtures and the Hypothesis profile shared by all tests of the Python package."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import weft

settings.register_profile(
    "weft",
    max_examples=int(os.environ.get("WEFT_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("weft")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a new index may be made."""
    return tmp_path / "index.weft"


@pytest.fixture
def animals(path: Path) -> weft.Index:
    """Return a small index of text with attributes."""
    return weft.build(
        path,
        ids=["fox", "wine", "hen", "empty"],
        text=["The quick red fox", "A red, red wine", "Foxes hunt hens; hens fear foxes", ""],
        attributes={"year": [1984, 1999, None, 2020], "kind": ["animal", "drink", "animal", None]},
    )


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python code in a process of its own and fails when the code does."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done

    return run
