"""ColBERTer: one vector for each distinct whole word, and none for words that say little."""

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from weft import inputs
from weft.encoders.base import Options, Role
from weft.encoders.checkpoint import load_tokenizer, locate, read_json, read_tensors
from weft.encoders.device import require_torch
from weft.encoders.late import LateEncoder, new_backbone
from weft.errors import InvalidInput

if TYPE_CHECKING:
    import torch

_BACKBONE = "bert_model."
_LAYERS = ("compressor", "stop_word_reducer", "mini_compressor")


class ColBerTer(LateEncoder):
    """A vector for each distinct whole word, in few dimensions, searched by MaxSim.

    With hidden states :math:`h_i` and the occurrences of a word W in the text, its vector is
    :math:`v = mean_{i in W}(C h_i + c)`: the mean over all wordpieces of all occurrences. In documents it is multiplied
    with a gate, :math:`v · ReLU(w·v + b)`, and words whose gate is 0 are dropped: stop words that depend on their
    context. A last layer may take v to fewer dimensions. Vectors are of any length, and are compared by inner product.

    Words are what stands between spaces and punctuation, in the case that the tokenizer sees. Those that the vocabulary
    cannot spell count as one. A document all of whose words are dropped has no vectors, and is not found. The score of
    ``[CLS]`` vectors, which the paper adds, is left out.

    Parameters
    ----------
    folder : str or path object
        Folder of a checkpoint as published with the paper:

        - ``config.json``, where ``bert_model`` names the folder (relative to this one) or the model whose configuration
          and, if there is none here, tokenizer is used; ``aggregate_unique_ids`` must be true.
        - ``model.safetensors`` or ``pytorch_model.bin``, with the transformer under ``bert_model.``, and the linear
          layers ``compressor`` (C, c), ``stop_word_reducer`` (w, b; optional) and ``mini_compressor`` (the last one;
          optional), each a ``weight`` and a ``bias``.
    pool_factor : float
        Keep about one vector in `pool_factor` of a document; see `weft.encoders.pooling.pool`.
    **options
        See `weft.encoders.base.Options`.

    Raises
    ------
    InvalidInput
        An option is malformed, or the folder holds no such model. Uni-ColBERTer, whose single dimension is compared
        between equal words only, is none.
    NotFound
        There is no such folder.
    Error
        torch or transformers is missing, or SciPy, where tokens are pooled.

    References
    ----------
    Hofstätter et al., Introducing Neural Bag of Whole-Words with ColBERTer, CIKM 2022, section 3.

    Examples
    --------
    >>> encoder = weft.encoders.load("sebastian-hofstaetter/colberter-128-32-msmarco")  # doctest: +SKIP
    >>> index = weft.build("i.weft", multivector=encoder.encode_document(["The red fox."]))  # doctest: +SKIP
    >>> index.search(multivector=encoder.encode_query("fox"))  # doctest: +SKIP
    """

    normalized = False
    protected = 0

    def __init__(self, folder: str | PathLike[str], *, pool_factor: float = 1.0, **options: Unpack[Options]) -> None:
        require_torch()
        path = locate(Path(inputs.path(folder)))
        source = _source(path, _config(path))
        held = read_tensors(path)
        backbone = new_backbone(
            source, {name.removeprefix(_BACKBONE): held[name] for name in held if name.startswith(_BACKBONE)}
        )
        for name in _LAYERS:
            setattr(backbone, name, _layer(held, name))
        if backbone.compressor is None:
            raise InvalidInput(f"{path} has no compressor.weight, the first layer of a ColBERTer model")
        own = any((path / name).is_file() for name in ("tokenizer.json", "vocab.txt"))
        tokenizer = load_tokenizer(path if own else source)
        last = backbone.mini_compressor or backbone.compressor
        super().__init__(folder, tokenizer, backbone, last.out_features, pool_factor, options)
        self._continuing = {id for piece, id in tokenizer.get_vocab().items() if piece.startswith("##")}
        self._special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    def _vectors(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", "torch.Tensor"]:
        import torch

        model = self.models[role]
        vectors = model.compressor(model(input_ids=ids, attention_mask=held.long()).last_hidden_state).float()
        words = [whole_words(row, self._continuing, self._special) for row in ids.tolist()]
        number = torch.tensor(words, device=ids.device)
        # Row t of the sums belongs to no word: special tokens and padding go there.
        sums = vectors.new_zeros(len(ids), ids.shape[1] + 1, vectors.shape[2])
        sums.scatter_add_(1, number.unsqueeze(-1).expand_as(vectors), vectors)
        counts = torch.nn.functional.one_hot(number, ids.shape[1] + 1).sum(1)[:, :-1]
        means = sums[:, :-1] / counts.clamp(min=1).unsqueeze(-1)
        kept = counts > 0
        if role == "document" and model.stop_word_reducer is not None:
            gate = model.stop_word_reducer(means).relu().float()
            means, kept = means * gate, kept & (gate.squeeze(-1) > 0)
        return means if model.mini_compressor is None else model.mini_compressor(means), kept


def whole_words(ids: Sequence[int], continuing: Collection[int], special: Collection[int]) -> list[int]:
    """Return the number of the whole word that each wordpiece belongs to.

    Words are numbered by first appearance; equal words have one number. That of special tokens is ``len(ids)``.

    Parameters
    ----------
    ids : sequence of int
        Wordpieces of one text.
    continuing : collection of int
        Those that continue a word.
    special : collection of int
        Those that belong to none.

    Examples
    --------
    Two words of the pieces 5 and 6, and one of 5 alone:

    >>> from weft.encoders.colberter import whole_words
    >>> whole_words([1, 5, 6, 5, 5, 6, 2], continuing={6}, special={1, 2})
    [7, 0, 0, 1, 0, 0, 7]
    """
    starts = [at for at, id in enumerate(ids) if at == 0 or id not in continuing or ids[at - 1] in special]
    seen: dict[tuple[int, ...], int] = {}
    numbers: list[int] = []
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        word = tuple(ids[start:end])
        number = len(ids) if word[0] in special else seen.setdefault(word, len(seen))
        numbers += [number] * len(word)
    return numbers


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = read_json(folder / "config.json")
    if not isinstance(config.get("bert_model"), str) or not config.get("aggregate_unique_ids"):
        raise InvalidInput(f"{folder / 'config.json'} lacks bert_model, or aggregate_unique_ids is not true")
    if config.get("compress_to_exact_mini_mode"):
        raise InvalidInput(f"{folder} is a Uni-ColBERTer, which compares equal words only and is not supported")
    return config


def _source(folder: Path, config: dict[str, Any]) -> Path:
    """Return the folder of the transformer that the model was made from."""
    beside = folder / config["bert_model"]
    return beside if beside.is_dir() else locate(config["bert_model"])


def _layer(tensors: "dict[str, torch.Tensor]", name: str) -> "torch.nn.Module | None":
    import torch

    if f"{name}.weight" not in tensors:
        return None
    rows, columns = tensors[f"{name}.weight"].shape
    layer = torch.nn.Linear(columns, rows)
    layer.load_state_dict({key: tensors[f"{name}.{key}"] for key in ("weight", "bias")})
    return layer
