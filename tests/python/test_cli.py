"""The command line: what it prints, on which stream, and its exit status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import weft
from weft import cli, encoders
from weft.commands import app
from weft.display import plain, reason, shortened, size
from word_encoders import WordVectors, WordWeights

DOCUMENTS = [
    {"id": "fox", "title": "Foxes [bold]", "text": "The quick red fox", "year": 1984},
    {"id": "wine", "title": "Wine", "text": "A red, red wine", "year": 1999},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in DOCUMENTS))
    return file


@pytest.fixture
def built(corpus: Path, path: Path) -> Path:
    run("build", corpus, "-o", path, "--attribute", "year:int64")
    return path


def run(*arguments: Any, status: int = 0) -> Any:
    """Run a command in this process; return its result."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == status, result.output
    if status:
        assert "Traceback" not in result.output
    return result


def test_build(corpus: Path, path: Path) -> None:
    result = run("build", corpus, "-o", path, "--k1", 0.9, "--b", 0.4, "--language", "none", "--memory-limit", "1MiB")
    assert result.stdout.startswith("2 documents in ")
    assert result.stderr == ""
    assert weft.open(path).schema.sparse == weft.Bm25(0.9, 0.4, None)
    assert "already" in run("build", corpus, "-o", path, status=2).stderr


def test_a_failed_build_can_be_repeated(corpus: Path, path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(corpus.read_text() + "{")
    assert f"{wrong}:3" in run("build", wrong, "-o", path, status=2).stderr
    run("build", corpus, "-o", path, "--stop-words")


def test_search(built: Path) -> None:
    lines = run("search", built, "quick", "fox", "-k", 1).stdout.splitlines()
    assert lines[0].split() == ["1", lines[0].split()[1], "fox", "Foxes", "[bold]"]
    assert "quick" in lines[1]
    assert "%" in lines[1]
    assert "wine" not in run("search", built, "red", "--where", "year < 1990").stdout
    explained = run("search", built, "red fox", "--explain").stdout
    assert "document" in explained
    assert run("search", built, "nothing").stdout == "no hits\n"


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names of encoders mean encoders of words."""
    made = {"weights": WordWeights, "vectors": WordVectors}
    monkeypatch.setattr(encoders, "load", lambda name: made[name](name, most=5), raising=False)


def test_encoders(corpus: Path, path: Path, tmp_path: Path, words: None) -> None:
    built = run("build", corpus, "-o", path, "--encoder", "vectors", "--attribute", "text:keyword", "--codec", "f16")
    assert "1 texts cut" in built.stdout
    assert weft.open(path).schema.multivector == weft.MultiVector(16, "f16")
    lines = run("search", path, "quick", "fox", "--html", tmp_path / "hits.html").stdout.splitlines()
    assert lines[0].split()[2] == "fox"
    assert "→" in lines[1]
    assert "<article>" in (tmp_path / "hits.html").read_text()
    for options in (["--using", "sparse"], ["--using", "multivector"], ["--fuse", "rrf"]):
        assert "fox" in run("search", path, "quick fox", *options).stdout
    explained = run("explain", path, "fox", "quick", "fox", "--html", tmp_path / "fox.html").stdout
    assert explained.startswith("fox: quick fox\n")
    assert "<title>" in (tmp_path / "fox.html").read_text()
    assert "nowhere" in run("explain", path, "nowhere", "red", status=2).stderr
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "quick fox"}\n')
    (tmp_path / "qrels.tsv").write_text("q1\tfox\t1\n")
    beside = ["--queries", tmp_path, "--qrels", tmp_path, "--measures", "RR@1"]
    assert "1.0000" in run("evaluate", path, *beside, "--fuse", "rrf").stdout


def test_kinds_of_encoders(corpus: Path, tmp_path: Path, words: None) -> None:
    run("build", corpus, "-o", tmp_path / "both", "--encoder", "weights", "--encoder", "vectors")
    assert set(weft.open(tmp_path / "both").schema.encoders) == {"sparse", "multivector"}
    run("build", corpus, "-o", tmp_path / "tokens", "--encoder", "vectors", "--no-bm25")
    assert weft.open(tmp_path / "tokens").schema.sparse is None
    assert "fox" in run("search", tmp_path / "tokens", "fox").stdout
    twice = ["--encoder", "weights", "--encoder", "weights"]
    assert "--encoder" in run("build", corpus, "-o", tmp_path / "twice", *twice, status=2).stderr


def test_a_build_goes_on(path: Path, tmp_path: Path, words: None) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"id": row, "text": "red"}) + "\n" for row in range(7)) + "{")
    options = ["-o", path, "--encoder", "vectors", "--commit-every", 2]
    run("build", corpus, *options, status=2)
    assert len(weft.open(path)) == 6
    corpus.write_text(corpus.read_text()[:-1])
    assert "resume" in run("build", corpus, *options, status=2).stderr
    assert run("build", corpus, *options, "--no-resume").stdout.startswith("7 documents in ")
    assert "already" in run("build", corpus, *options, status=2).stderr


def test_terminal_control_characters_are_not_printed(path: Path) -> None:
    weft.TextIndex(path).add([{"id": "a\x1b[2J", "title": "\x1b]0;title\a", "text": "red\x1b[2J"}])
    for extra in ([], ["--explain"]):
        assert "\x1b" not in run("search", path, "red", *extra).stdout


def test_evaluate(built: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tfox\t1\n")
    beside = ["--queries", tmp_path, "--qrels", tmp_path, "--run", tmp_path / "run.txt"]
    printed = run("evaluate", built, *beside, "--measures", "RR@10", "--measures", "R@5").stdout
    assert "RR@10" in printed
    assert "1.0000" in printed
    assert (tmp_path / "run.txt").read_text().startswith("q1 Q0 fox 1 ")
    assert "nonsense" in run("evaluate", built, *beside, "--measures", "nonsense", status=2).stderr


def test_inspect_and_verify(built: Path) -> None:
    facts = json.loads(run("inspect", built, "--json").stdout)
    assert facts["documents"] == 2
    assert facts["schema"]["attributes"] == {"title": "keyword", "year": "int64"}
    assert "documents" in run("inspect", built).stdout
    assert "sound" in run("verify", built).stdout


def test_verify_finds_damage(built: Path) -> None:
    segment = next(built.glob("segment-*.sparse"))
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    assert segment.name in run("verify", built, status=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "missing.weft", "fox"],
        ["inspect", "missing.weft"],
        ["verify", "missing.weft"],
        ["build", "missing.jsonl", "-o", "new.weft"],
        ["build", "INDEX", "-o", "new.weft"],
        ["search", "INDEX", "fox", "--where", "year >"],
        ["search", "INDEX", "fox", "-k", "0"],
        ["build", "CORPUS", "-o", "new.weft", "--k1", "-1"],
        ["build", "CORPUS", "-o", "new.weft", "--language", "klingon"],
        ["build", "CORPUS", "-o", "new.weft", "--attribute", "year"],
        ["build", "CORPUS", "-o", "new.weft", "--attribute", "year:date"],
        ["build", "CORPUS", "-o", "new.weft", "--memory-limit", "much"],
        ["build", "CORPUS", "-o", "CORPUS"],
    ],
)
def test_an_error_is_one_line(arguments: list[str], built: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.parent)
    names = {"INDEX": str(built), "CORPUS": str(corpus)}
    result = run(*(names.get(each, each) for each in arguments), status=2)
    assert result.stdout == ""
    assert result.stderr.startswith("weft: ")
    assert result.stderr.count("\n") == 1


def test_usage() -> None:
    assert "build" in run("--help").stdout
    assert weft.__version__ in run("--version").stdout
    run("search", status=2)
    run("unknown", status=2)


def test_the_script_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "weft.commands", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert capsys.readouterr() == ("", 'weft: the command line needs typer and rich: pip install "weft[cli]"\n')


MAIN = [sys.executable, "-c", "from weft.cli import main; main()"]


def test_a_closed_pipe_is_no_error(built: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*MAIN, "search", str(built), "red"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""


def test_an_interrupt_ends_with_130(path: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "endless.jsonl"
    os.mkfifo(pipe)
    command = [*MAIN, "build", str(pipe), "-o", str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Opening waits for the reader, which then waits for a line that never comes.
    with child, pipe.open("w"):
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=20)
    assert (child.returncode, out, error) == (130, "", "weft: interrupted\n")


def test_the_demonstration(tmp_path: Path) -> None:
    printed = run("demo", tmp_path / "python.weft", "--no-token-vectors").stdout
    assert max(map(len, printed.splitlines()[:-1])) <= 100
    assert printed.count("why: ") == 12
    assert "kind = 'class'" in printed
    assert len(weft.open(tmp_path / "python.weft")) > 1000
    assert "json.dumps" in weft.open(tmp_path / "python.weft")


def test_pieces_of_display() -> None:
    assert plain("a\nb\x1b\u202ec") == "a\ufffdb\ufffd\ufffdc"
    assert shortened("abcdef", 4) == "abc…"
    assert [size(each) for each in (0, 1023, 1024, 5 * 2**20, 2**40)] == [
        "0 bytes",
        "1,023 bytes",
        "1.0 KiB",
        "5.0 MiB",
        "1,024.0 GiB",
    ]
    terms = [weft.Contribution(f"t{weight}", 1.0, weight, weight) for weight in (6.0, 3.0, 1.0)]
    assert reason(terms, most=2) == "t6.0 60% · t3.0 30% · 1 more"
    assert reason([]) == "no term in common"
