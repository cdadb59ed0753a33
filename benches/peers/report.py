"""Tables and plots out of the raw lines of `sparse.py` or `multivector.py`.

    python benches/peers/report.py RAW.jsonl... --out REPORT

A later file counts where two hold the same measurement. Tables name the fastest setting that reaches a recall.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

Line = dict[str, Any]
NONE = "-"
LEVELS = (0.90, 0.95, 0.97, 0.99)
BUSY = 0.1  # share of the machine used by others above which a figure is marked
PLAIN: Any = {"svg.fonttype": "none", "svg.hashsalt": "peers", "font.size": 9}
MARKERS = "oD^vsPX"


def read_lines(paths: Iterable[Path]) -> list[Line]:
    """All measurements, in order of first appearance."""
    lines: dict[str, Line] = {}
    for path in paths:
        for text in path.read_text().splitlines():
            line = json.loads(text)
            names = ("kind", "collection", "engine", "index", "setting", "k", "way", "processor", "stage")
            lines[json.dumps([line.get(name) for name in names])] = line
    return list(lines.values())


def of(lines: list[Line], **wanted: Any) -> list[Line]:
    return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]


def distinct(lines: list[Line], key: str) -> list[Any]:
    return list(dict.fromkeys(line[key] for line in lines if key in line))


def reaching(lines: list[Line], recall: float) -> Line | None:
    """The fastest setting of at least this recall."""
    return min((line for line in lines if line["recall"] >= recall), key=lambda line: line["p50_ms"], default=None)


def highest(lines: list[Line]) -> Line:
    """The fastest of the settings with the best recall."""
    return min(lines, key=lambda line: (-line["recall"], line["p50_ms"]))


def unit(collection: Line) -> str:
    """What sizes of a collection are given for."""
    return "token" if "tokens" in collection else "posting"


def parameters(values: Line) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) or "default"


def number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def marked(value: str, line: Line) -> str:
    return f"{value}\\*" if line["others"] > BUSY else value


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def latency(line: Line | None) -> str:
    return marked(f"{number(line['p50_ms'])} / {number(line['mean_ms'])}", line) if line else NONE


def search_table(lines: list[Line]) -> str:
    """Latencies of each engine by recall, over all its indexes and settings."""
    rows = []
    for engine in distinct(lines, "engine"):
        mine = of(lines, engine=engine)
        best = highest(mine)
        cells = [latency(reaching(mine, level)) for level in LEVELS]
        rows.append([engine, *cells, f"{latency(best)} ({best['recall']:.4f})"])
    return table(["engine", *(f"≥ {level:.2f}" for level in LEVELS), "highest (recall)"], rows)


def build_table(lines: list[Line], unit: str) -> str:
    rows = [
        [
            f"{line['engine']} {line['version']}",
            parameters(line["index"]),
            marked(number(line["seconds"]), line),
            number(line["cpu_seconds"]),
            f"{line['peak_mb']:,.0f}",
            f"{line['peak_mb'] - line['start_mb']:,.0f}",
            f"{line['bytes'] / 1e6:,.1f}",
            number(line[f"bytes_per_{unit}"]),
        ]
        for line in lines
    ]
    head = ["engine", "index", "build s", "CPU s", "peak MB", "above start MB", "index MB", f"bytes a {unit}"]
    return table(head, rows)


def settings_table(lines: list[Line], builds: list[Line]) -> str:
    """The settings of each index that no other one of its settings beats, with what the index takes."""
    rows = []
    for built in builds:
        index = of_index(built)
        sizes = [f"{built['code_bytes']:.4g}", number(built["bytes_per_token"])]
        costs = [number(built["seconds"]), number(built["tokens_per_second"]), f"{built['peak_mb']:,.0f}"]
        for line in frontier(of(lines, engine=built["engine"], index=built["index"])):
            quality = [f"{line['recall']:.4f}", NONE if line["ndcg"] is None else f"{line['ndcg']:.4f}"]
            times = [marked(number(line["p50_ms"]), line), number(line["p95_ms"])]
            rows.append([index, parameters(line["setting"]), *times, *quality, *sizes, *costs])
    head = ["engine", "setting", "p50 ms", "p95 ms", "recall", "nDCG@10", "code bytes a token", "index bytes a token"]
    return table([*head, "build s", "tokens / s", "build peak MB"], rows)


def batch_table(lines: list[Line], searches: list[Line]) -> str:
    """Rates of the settings that are fastest one query at a time."""
    rows = []
    for engine, way in dict.fromkeys((line["engine"], line["way"]) for line in lines):
        cells = []
        for level in LEVELS:
            best = reaching(of(searches, engine=engine), level)
            found = best and of(lines, engine=engine, way=way, index=best["index"], setting=best["setting"])
            cells.append(marked(f"{found[0]['queries_per_second']:,.0f}", found[0]) if found else NONE)
        rows.append([engine, way, *cells])
    return table(["engine", "way", *(f"≥ {level:.2f}" for level in LEVELS)], rows)


def growth_table(lines: list[Line], collections: list[Line], recall: float) -> str:
    """Latencies over collections of growing size, and the exponent of a power of the size fitted to them."""
    rows = []
    for engine in distinct(lines, "engine"):
        found = [
            reaching(of(lines, engine=engine, collection=each["collection"]), recall) or {} for each in collections
        ]
        points = [(each["documents"], line["p50_ms"]) for each, line in zip(collections, found, strict=True) if line]
        sizes, times = np.log(np.array(points, float).reshape(-1, 2)).T
        slope = f"{np.polyfit(sizes, times, 1)[0]:.2f}" if len(points) > 1 else NONE
        rows.append([engine, *(number(line["p50_ms"]) if line else NONE for line in found), slope])
    return table(["engine", *(f"{each['documents']:,}" for each in collections), "exponent"], rows)


def frontier(lines: list[Line]) -> list[Line]:
    """The settings that no other one beats in both recall and latency, by rising recall."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda line: (-line["recall"], line["p50_ms"])):
        if not kept or line["p50_ms"] < kept[-1]["p50_ms"]:
            kept.append(line)
    return kept[::-1]


def of_engine(line: Line) -> str:
    return str(line["engine"])


def of_index(line: Line) -> str:
    return " ".join([line["engine"], *map(str, line["index"].values())])


def plot(lines: list[Line], title: str, path: Path, curve: Callable[[Line], str] = of_engine) -> None:
    """Latency against recall, one panel for each k, with curves along their best settings."""
    depths, curves = distinct(lines, "k"), list(dict.fromkeys(map(curve, lines)))
    with mpl.rc_context(PLAIN):
        figure = Figure(figsize=(4 * len(depths), 3.8), layout="constrained")
        for axes, k in zip(figure.subplots(1, len(depths), squeeze=False)[0], depths, strict=True):
            for position, name in enumerate(curves):
                best = frontier([line for line in of(lines, k=k) if curve(line) == name])
                recalls, times = [line["recall"] for line in best], [line["p50_ms"] for line in best]
                style = {"marker": MARKERS[position % len(MARKERS)], "markersize": 4, "linewidth": 1}
                axes.plot(recalls, times, label=name, color=f"C{position}", **style)
            axes.set(yscale="log", xlim=(0.8, 1.005), xticks=(0.8, 0.85, 0.9, 0.95, 1.0))
            axes.set(title=f"top {k}", xlabel="recall of the exact hits")
            axes.grid(alpha=0.3, which="both", linewidth=0.5)
        figure.axes[0].set_ylabel("median latency, ms")
        handles, columns = figure.axes[0].get_legend_handles_labels(), 2 * len(depths) + 1
        figure.legend(*handles, loc="outside lower center", ncols=min(len(curves), columns))
        figure.suptitle(title)
        figure.savefig(path, metadata={"Date": None})


def describe(each: Line) -> str:
    sizes, parts = f"{unit(each)}s", "tokens" if unit(each) == "token" else "terms"
    width = f" of {each['dimensions']} dimensions" if "dimensions" in each else ""
    counts = f"{each['documents']:,} documents, {each[sizes]:,} {sizes}{width}"
    means = [f"{each[f'{parts}_per_{name}']}" for name in ("document", "query")]
    text = f"{counts} ({means[0]} a document), {each['queries']} queries of {means[1]} {parts}"
    judged = each.get("exact_ndcg")
    return f"{text}; nDCG@10 of exact search {judged:.4f}" if judged else text


def sections(lines: list[Line], out: Path) -> Iterable[str]:
    """The parts of the report; plots are written on the way."""
    collections = of(lines, kind="collection")
    late = any(unit(each) == "token" for each in collections)
    yield f"# Engines for {'multi-vector' if late else 'learned-sparse'} search\n"
    for each in of(lines, kind="machine"):
        yield f"{each['processor']}, {each['cores']} cores, {' '.join(each['vectors'])}.\n"
    yield (
        "Median / mean milliseconds a query, one query at a time on one thread, for the fastest setting that reaches "
        f"the recall of the exact float32 hits. \\* other processes used more than {BUSY:.0%} of the machine.\n"
    )
    for each in collections:
        name = each["collection"]
        searches, builds = of(lines, kind="search", collection=name), of(lines, kind="build", collection=name)
        yield f"## {name}\n\n{describe(each)}.\n"
        for k in distinct(searches, "k"):
            yield f"Top {k}:\n\n{search_table(of(searches, k=k))}"
        yield f"Building:\n\n{build_table(builds, unit(each))}"
        batches = of(lines, kind="batch", collection=name)
        for threads in distinct(batches, "threads"):
            rates = batch_table(of(batches, threads=threads), of(searches, k=batches[0]["k"]))
            yield f"Queries a second, all queries at once, top {batches[0]['k']}, {threads} threads:\n\n{rates}"
        for k in distinct(searches, "k") if unit(each) == "token" else []:
            yield f"Settings, top {k}:\n\n{settings_table(of(searches, k=k), builds)}"
        for line in of(lines, kind="failed", collection=name):
            yield f"Failed: {line['engine']}, {parameters(line['index'])}, {line['stage']}.\n"
        if searches:
            curve = of_index if unit(each) == "token" else of_engine
            plot(searches, f"{name}: {each['documents']:,} documents", out / f"{name}.svg", curve)
            yield f"![Latency against recall]({name}.svg)\n"
    yield from growth(lines)


def growth(lines: list[Line]) -> Iterable[str]:
    searches = of(lines, kind="search", k=10)
    collections = sorted(of(lines, kind="collection"), key=lambda each: each["documents"])
    if searches and len(collections) > 1:
        yield "## Growth\n\nMedian milliseconds, top 10, by the number of documents; latency grows with its power.\n"
        for level in (0.95, 0.99):
            yield f"Recall ≥ {level:.2f}:\n\n{growth_table(searches, collections, level)}"


def write_report(raw: Iterable[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text("\n".join(sections(read_lines(raw), out)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write_report(arguments.raw, arguments.out)


if __name__ == "__main__":
    main()
