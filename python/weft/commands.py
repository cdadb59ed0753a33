"""The commands of `weft`: thin calls of the library, with output for people."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

import weft
from weft import demo as demonstration
from weft import encoders
from weft.display import plain, size
from weft.encoded import Encoders, Representation
from weft.evaluate import MEASURES
from weft.explanation import TITLE, page
from weft.explanation import explain as explained
from weft.jsonl import io_errors
from weft.resume import unfinished
from weft.writer import MEMORY_LIMIT, holds_index


class _Commands(TyperGroup):
    """Turns the exceptions that a user can act on into one line and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (weft.Error, OSError) as error:
            message = plain(" ".join(str(error).split()))
            print(f"weft: {message}", file=sys.stderr)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            print("weft: interrupted", file=sys.stderr)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search text with BM25 and encoders: build an index, search it, see why each hit was found.",
)

IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="The folder of the index.", show_default=False)]

Using = Annotated[
    Representation | None,
    typer.Option(help="Search by this alone; BM25 counts as sparse.", show_default="all there is"),
]
Fuse = Annotated[
    Literal["rrf"] | None, typer.Option(help="Join ranks of both.", show_default="the order of token vectors")
]


def _out() -> Console:
    """Return a console that prints what it is given: no markup, no emoji codes, no guessed colours."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        _out().print(f"weft {weft.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def build(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="JSONL (.gz too), Parquet or Arrow file; BEIR or Parquet folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="INDEX", help="Folder of the new index.")],
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Encode with this model, such as minilm. One of sparse vectors stands in for BM25. May be repeated.",
        ),
    ] = None,
    bm25: Annotated[bool, typer.Option("--bm25/--no-bm25", help="BM25 beside an encoder of token vectors.")] = True,
    codec: Annotated[
        str | None, typer.Option(help="Code of token vectors.", show_default=weft.MultiVector.codec)
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:KIND",
            help="Keep a field: keyword, int64 or float64; text:keyword for explain. May be repeated.",
        ),
    ] = None,
    commit_every: Annotated[
        int | None,
        typer.Option(metavar="DOCUMENTS", help="Commit that often.", show_default="with encoders each minute"),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where a build of this corpus has stopped.")] = True,
    memory_limit: Annotated[str, typer.Option(help="Memory for documents not yet on disk.")] = MEMORY_LIMIT,
    k1: Annotated[float, typer.Option(help="BM25: saturation of the term frequency.")] = weft.Bm25.k1,
    b: Annotated[float, typer.Option(help="BM25: strength of the length normalisation.")] = weft.Bm25.b,
    language: Annotated[str, typer.Option(help='Language of the stemmer, or "none".')] = "english",
    stop_words: Annotated[bool, typer.Option("--stop-words", help="Drop the language's stop words.")] = False,
) -> None:
    """Index documents: one JSON object a line with "id" or "_id", "title" and "text", or such columns."""
    if holds_index(output) and not unfinished(weft.open(output).notes, corpus):
        raise weft.InvalidInput(f"{output} holds an index already; choose another folder")
    made = {each.kind: each for each in map(encoders.load, encoder or [])}
    if len(made) < len(encoder or []):
        raise weft.InvalidInput("--encoder: there is place for one of sparse vectors and one of token vectors")
    terms = weft.Bm25(k1, b, None if language.lower() == "none" else language, stop_words) if bm25 else None
    texts = weft.TextIndex(
        output,
        made.get("sparse", terms),
        _attributes(attribute or []),
        memory_limit,
        multivector=made.get("multivector"),
        codec=codec,
    )
    report = texts.add(corpus, commit_every=commit_every, resume=resume)
    _out().print(f"{len(texts.index):,} documents in {plain(output)}, {size(_bytes(output))}{_work(report)}")


@app.command()
def search(
    index: IndexPath,
    query: Annotated[list[str], typer.Argument(metavar="QUERY...", help="Words; quotes are not needed.")],
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 10,
    where: Annotated[str | None, typer.Option(help="Filter such as \"year >= 2020 and lang = 'en'\".")] = None,
    using: Using = None,
    fuse: Fuse = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what every word adds.")] = False,
    to_html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the explanations there.")
    ] = None,
) -> None:
    """Search, and say why each hit was found."""
    out = _out()
    words = " ".join(query)
    explanations = []
    with weft.open(index) as opened:
        encoders = Encoders(opened.schema, {})
        hits = opened.search(**encoders.queries([words], using), k=k, where=where, fuse=fuse)[0]
        for rank, (name, score) in enumerate(hits, start=1):
            explanation = explained(opened, encoders, words, name)
            explanations.append(explanation)
            title = opened.get(name)["attributes"].get(TITLE) or ""
            heading = Text.assemble((f"{rank:>3}  ", "dim"), (f"{score:8.3f}  ", "cyan"), (plain(name), "bold"))
            out.print(heading.append(f"  {plain(title)}" if title not in ("", name) else ""))
            if explain:
                out.print(explanation.tables())
            else:
                out.print(Text(f"{'':15}{explanation.summary()}", "dim"))
    if not len(hits):
        out.print("no hits")
    if to_html is not None:
        _write(to_html, page(explanations, words))


@app.command()
def explain(
    index: IndexPath,
    id: Annotated[str, typer.Argument(metavar="ID", help="The document.", show_default=False)],
    query: Annotated[list[str], typer.Argument(metavar="QUERY...", help="Words; quotes are not needed.")],
    to_html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page there.")] = None,
) -> None:
    """Show which words of a query matched which of a document."""
    with weft.open(index) as opened:
        name = int(id) if opened.schema.ids == "int" and id.lstrip("-").isdecimal() else id
        explanation = explained(opened, Encoders(opened.schema, {}), " ".join(query), name)
    if to_html is not None:
        _write(to_html, explanation.to_html())
    _out().print(str(explanation))


@app.command()
def evaluate(
    index: IndexPath,
    queries: Annotated[Path, typer.Option(help="JSONL file or BEIR folder.")],
    qrels: Annotated[Path, typer.Option(help="BEIR or TREC file, or BEIR folder.")],
    measures: Annotated[list[str] | None, typer.Option(help="Such as nDCG@10. May be repeated.")] = None,
    k: Annotated[int | None, typer.Option("-k", help="Hits for each query.  [default: the largest cutoff]")] = None,
    using: Using = None,
    fuse: Fuse = None,
    run: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the hits as a TREC run.")] = None,
) -> None:
    """Measure retrieval quality against relevance judgements."""
    with weft.open(index) as opened:
        means = weft.evaluate(
            opened, queries, qrels, measures=measures or MEASURES, k=k, run=run, using=using, fuse=fuse
        )
    table = Table("measure", "mean")
    for measure, mean in means.items():
        table.add_row(measure, f"{mean:.4f}")
    _out().print(table)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A .ciff, .jsonl or .jsonl.gz file, a PLAID index, or an index.")
    ],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="The folder of a new index, or such a file.")],
    ids: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Ids of a new index: str or int.", show_default="str; int for PLAID"),
    ] = None,
    terms: Annotated[str, typer.Option(metavar="KIND", help="Terms of a new index: str or int.")] = "str",
    max_weight: Annotated[float | None, typer.Option(help="The largest weight of a new index.")] = None,
    codec: Annotated[
        str | None, typer.Option(help="Code of token vectors, such as scalar2.", show_default="as many bits as PLAID")
    ] = None,
    memory_limit: Annotated[str, typer.Option(help="Memory for documents not yet on disk.")] = MEMORY_LIMIT,
) -> None:
    """Turn a file of sparse vectors or a PLAID index into an index, or an index into a file."""
    options: dict[str, Any] = {"ids": ids, "terms": terms, "max_weight": max_weight, "codec": codec}
    count = weft.convert(source, destination, **options, memory_limit=memory_limit)
    _out().print(f"{count:,} documents in {plain(destination)}, {size(_bytes(destination))}")


@app.command()
def inspect(
    index: IndexPath,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what an index holds and how large its parts are."""
    with weft.open(index) as opened:
        facts = {"schema": json.loads(opened.schema.to_json()), **opened.stats()}
    _print_facts(facts, as_json)


@app.command()
def verify(index: IndexPath) -> None:
    """Read every byte and compare it with its checksum."""
    facts = weft.verify(index)
    _out().print(f"{plain(index)} is sound")
    _print_facts(facts, as_json=False)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(help="Keep the index there.", show_default=False)] = None,
    token_vectors: Annotated[
        bool | None,
        typer.Option(help="Search by token vectors, too.", show_default="when minilm is installed"),
    ] = None,
) -> None:
    """Index Python's own documentation and ask it some questions."""
    demonstration.run(folder, write=_out().print, token_vectors=token_vectors)


def _bytes(path: Path) -> int:
    """Return the length of a file, or of all files of a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _attributes(declared: list[str]) -> dict[str, Any]:
    attributes = {}
    for each in declared:
        name, colon, kind = each.rpartition(":")
        if not colon or not name:
            raise weft.InvalidInput(f"--attribute {each!r}: expected NAME:KIND, such as year:int64")
        attributes[name] = kind
    return attributes


def _work(report: weft.Report) -> str:
    """Say what went before, what the encoders did, and what they left out."""
    parts = [f"; {report.resumed:,} from before"] if report.resumed else []
    if report.model_seconds:
        parts.append(f"; {report.documents / report.seconds:,.0f} documents/s, models at work {report.utilisation:.0%}")
    if report.truncated:
        parts.append(f"; {report.truncated:,} texts cut to the most tokens that a model takes")
    return "".join(parts)


def _write(path: Path, content: str) -> None:
    with io_errors(path):
        path.write_text(content, encoding="utf-8")


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for name, value in _flat(facts):
        in_bytes = isinstance(value, int) and "bytes" in name
        table.add_row(name, size(value) if in_bytes else _fact(value))
    _out().print(table)


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over the leaves of nested dicts, named by their path."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", value


def _fact(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return plain("—" if value is None else value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
