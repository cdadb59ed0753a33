"""From text to hits with an encoder of token vectors: quality beside BM25, and the speed of the way there.

    python benches/encoders.py FOLDER                       # a BEIR folder, judged; needs '.[minilm,eval]'
    python benches/encoders.py FOLDER --device cpu --copies 4 --speed

The first prints nDCG@10, R@100, bytes and times for BM25, token vectors, one after the other, and both joined. With
`--speed` it prints tokens a second of the encoder alone and of `TextIndex.add`, with the share of time that the model
works.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import weft
from weft.evaluate import MEASURES
from weft.io import read_documents, read_queries

WAYS: dict[str, list[dict[str, Any]]] = {
    "BM25": [{}],
    "token vectors": [{}],
    "both": [{}, {"fuse": "rrf"}, {"fuse": {"sparse": 0.3, "multivector": 1.0}}],
}


def made_of(name: str, path: str, encoder: weft.encoders.Encoder) -> weft.TextIndex:
    sparse = None if name == "token vectors" else "bm25"
    return weft.TextIndex(path, sparse, multivector=None if name == "BM25" else encoder)


def quality(folder: Path, encoder: weft.encoders.Encoder) -> None:
    queries = list(read_queries(folder).values())
    for name, ways in WAYS.items():
        with tempfile.TemporaryDirectory() as scratch:
            texts = made_of(name, f"{scratch}/index", encoder)
            report = texts.add(folder)
            size = texts.index.stats()["bytes"]
            print(f"{name}: {report.documents:,} documents, {size / 1e6:.1f} MB, built in {report.seconds:.1f} s")
            for way in ways:
                means = weft.evaluate(texts, folder, folder, measures=MEASURES, **way)
                shown = "  ".join(f"{measure} {mean:.4f}" for measure, mean in means.items())
                print(f"  {way or 'default'!s:<50} {shown}  p50 {p50(texts, queries[:100], way):.2f} ms", flush=True)


def p50(texts: weft.TextIndex, queries: list[str], way: dict[str, Any]) -> float:
    """The median milliseconds of a search for the top 10, on one thread, without the encoding of its query."""
    seconds = []
    for query in queries:
        ready = {kind: each.encode_query(query) for kind, each in texts.encoders.items()}
        if texts.index.schema.sparse is not None:
            ready["text"] = query
        start = time.perf_counter()
        texts.index.search(**ready, num_threads=1, **way)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds) * 1e3)


def speed(folder: Path, encoder: weft.encoders.Encoder, copies: int) -> None:
    documents = [document for _, document in read_documents(folder)]
    texts = [f"{each.get('title') or ''} {each['text']}".strip() for each in documents]
    encoder.encode_document(texts[:64])
    start = time.perf_counter()
    flat, _ = encoder.encode_document(texts)
    seconds = time.perf_counter() - start
    print(f"encoder alone: {len(flat) / seconds:,.0f} tokens/s, {len(texts) / seconds:,.0f} documents/s", flush=True)
    many = ({**each, "id": f"{copy}-{row}"} for copy in range(copies) for row, each in enumerate(documents))
    with tempfile.TemporaryDirectory() as scratch:
        report = made_of("both", f"{scratch}/index", encoder).add(many)
    rates = f"{report.tokens / report.seconds:,.0f} tokens/s, {report.documents / report.seconds:,.0f} documents/s"
    print(f"TextIndex.add: {rates}, model at work {report.utilisation:.0%} of {report.seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--device", help="as torch names it; a GPU if there is one")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--copies", type=int, default=1, help="of the documents, for --speed")
    arguments = parser.parse_args()
    encoder = weft.encoders.load(arguments.encoder, device=arguments.device)
    if arguments.speed:
        speed(arguments.folder, encoder, arguments.copies)
    else:
        quality(arguments.folder, encoder)


if __name__ == "__main__":
    main()
