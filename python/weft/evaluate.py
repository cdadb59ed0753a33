"""Retrieval quality of an index of text, measured with ir_measures."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from weft import inputs
from weft.encoded import Encoders, Representation
from weft.errors import Error, InvalidInput
from weft.hits import Hits
from weft.index import Index
from weft.io import read_qrels, read_queries, write_run
from weft.text import TextIndex

MEASURES = ("nDCG@10", "R@100")
DEEPEST = 1000
"""Hits for each query when a measure, such as average precision, has no cutoff of its own."""


def evaluate(
    index: Index | TextIndex,
    queries: Mapping[str, str] | str | PathLike[str],
    qrels: Mapping[str, Mapping[str, int]] | str | PathLike[str],
    *,
    measures: Sequence[str] = MEASURES,
    k: int | None = None,
    run: str | PathLike[str] | None = None,
    using: Representation | None = None,
    **options: Any,
) -> dict[str, float]:
    """Search with every judged query and return the mean of each measure.

    Queries without judgements are passed over; a judged query without a text counts as 0.

    Parameters
    ----------
    index : Index or TextIndex
        An index of text, or of vectors by encoders that it knows.
    queries : mapping of query id to text, or path
        What `weft.io.read_queries` returns or reads.
    qrels : mapping of query id to mapping of document id to grade, or path
        What `weft.io.read_qrels` returns or reads.
    measures : sequence of str
        Names as ir_measures spells them, such as ``"nDCG@10"``, ``"R@100"``, ``"RR@10"``, ``"AP"``.
    k : int, optional
        Hits for each query. Default: the largest cutoff of the measures.
    run : str or path object, optional
        Write the hits there as a TREC run.
    using : {"sparse", "multivector"}, optional
        Search by this representation alone; BM25 counts as sparse. Default: by all.
    **options
        For `Index.search`, such as ``fuse="rrf"``.

    Returns
    -------
    dict
        Mean by measure.

    Raises
    ------
    InvalidInput
        A measure is unknown, a file is malformed, or no query is judged.
    Error
        ir_measures is not installed.

    Examples
    --------
    >>> index = weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red red wine"])
    >>> weft.evaluate(index, {"q": "wine"}, {"q": {"b": 1}}, measures=["RR@10"])
    {'RR@10': 1.0}
    """
    parsed = _measures(measures)
    texts = queries if isinstance(queries, Mapping) else read_queries(queries)
    judged = qrels if isinstance(qrels, Mapping) else read_qrels(qrels)
    names = [name for name in texts if name in judged]
    if not names:
        raise InvalidInput(f"none of the {len(texts)} queries is judged; do queries and qrels belong together?")
    depth = inputs.integer("k", max(map(_cutoff, parsed)) if k is None else k, low=1)
    asked = [texts[name] for name in names]
    if isinstance(index, TextIndex):
        hits = index.search(asked, depth, using=using, **options)
    else:
        hits = index.search(**Encoders(index.schema, {}).queries(asked, using), k=depth, **options)
    if run is not None:
        write_run(run, hits, names)
    return _means(parsed, judged, {name: _ranked(each) for name, each in zip(names, hits, strict=True)})


def _measures(names: Sequence[str]) -> list[Any]:
    try:
        import ir_measures
    except ImportError as error:
        raise Error('evaluate needs ir_measures: pip install "weft[eval]"') from error
    parsed = []
    for each in inputs.listed("measures", names):
        name = inputs.text("measures", each)
        try:
            parsed.append(ir_measures.parse_measure(name))
        except (NameError, ValueError, SyntaxError) as error:
            raise InvalidInput(f'measures: {name!r} is not one that ir_measures knows, such as "nDCG@10"') from error
    if not parsed:
        raise InvalidInput('measures is empty; name at least one, such as "nDCG@10"')
    return parsed


def _cutoff(measure: Any) -> int:
    return int(measure.params.get("cutoff", DEEPEST))


def _ranked(hits: Hits) -> dict[str, float]:
    """Return hits as ir_measures takes them; ranks stand for scores, so that ties keep our order."""
    return {str(hit.id): -float(rank) for rank, hit in enumerate(hits)}


def _means(measures: list[Any], qrels: Any, run: dict[str, dict[str, float]]) -> dict[str, float]:
    import ir_measures

    means = ir_measures.calc_aggregate(measures, qrels, run)
    return {str(measure): float(means[measure]) for measure in measures}
