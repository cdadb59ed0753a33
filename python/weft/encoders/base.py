"""What an encoder is, and what our encoders of torch models have in common.

A text becomes token ids (`TorchEncoder.tokenize`), token ids become a representation (`TorchEncoder.encode_tokens`).
A result does not depend, beyond rounding, on the texts that share its batch.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, runtime_checkable

import numpy as np
import numpy.typing as npt

from weft import inputs
from weft.encoders.batching import in_order, padded, plan
from weft.encoders.device import Precision, device, number_type, require_torch
from weft.errors import InvalidInput
from weft.progress import with_progress
from weft.schema import Kind

if TYPE_CHECKING:
    import torch

EncoderKind = Literal["sparse", "multivector"]
Role = Literal["query", "document"]
Columns = tuple[npt.NDArray[Any], ...]

MAX_TOKENS = 256
"""Tokens of a query or a document where neither the caller nor the checkpoint says otherwise."""
BATCH_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Tokens in a batch, padding included."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into one representation. Queries and documents must come from encoders of equal `settings`.

    Attributes
    ----------
    kind : {"sparse", "multivector"}
        The representation.
    dim : int or None
        Dimensions of a token vector; None for sparse vectors.
    terms : {"int", "str"} or None
        What the terms of sparse vectors are; None for token vectors.
    settings : dict
        JSON that describes the encoder: ``name``, ``type`` and whatever changes its results.
    """

    @property
    def kind(self) -> EncoderKind:
        """The representation."""
        ...

    @property
    def dim(self) -> int | None:
        """Dimensions of a token vector."""
        ...

    @property
    def terms(self) -> Kind | None:
        """What the terms of sparse vectors are."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        ...

    def encode_query(
        self, inputs: str | Sequence[str], *, batch_size: int = 32, show_progress_bar: bool | None = None
    ) -> Any:
        """Return what `Index.search` takes as ``sparse=`` or ``multivector=``; a lone str is a single query."""
        ...

    def encode_document(
        self, inputs: Sequence[str], *, batch_size: int = 32, show_progress_bar: bool | None = None
    ) -> Any:
        """Return what `Writer.add` takes as ``sparse=`` or ``multivector=``."""
        ...


def mismatch(held: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return the most telling difference between the settings of two encoders, or None.

    A model is the same whatever folder it lies in: where both have a fingerprint, names and revisions may differ. Where
    one has none, these decide.

    Examples
    --------
    >>> from weft.encoders.base import mismatch
    >>> mismatch({"name": "a", "max_query_tokens": 32}, {"name": "a", "max_query_tokens": 64})
    'max_query_tokens is 64, not 32'
    """
    names = {*held, *given}
    both = held.get("fingerprint") is not None and given.get("fingerprint") is not None
    names -= {"name", "revision"} if both else {"fingerprint"}
    for name in sorted(names, key=lambda name: (name != "type", name)):
        if held.get(name) != given.get(name):
            return f"{name} is {given.get(name)!r}, not {held.get(name)!r}"
    return None


@dataclass(frozen=True)
class Tokens:
    """Texts as token ids, special tokens included: text i is ``ids[offsets[i] : offsets[i + 1]]``.

    Attributes
    ----------
    ids : (T,) int32
    offsets : (n + 1,) int64
    truncated : int
        How many of the texts were cut to the encoder's limit.
    role : {"query", "document"}
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    truncated: int
    role: Role

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1


class Options(TypedDict, total=False):
    """Options that every encoder of a torch model takes.

    Attributes
    ----------
    name : str, optional
        What settings call the model, if not the folder that it lies in.
    revision : str, optional
        Of a model of the hub: a branch, a tag or a commit, for settings to keep.
    device : str, optional
        As torch names it, such as ``"cuda:1"``. Default: a GPU if there is one, else the CPU.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Type of products; sums, norms and what is returned are more precise. ``"auto"`` takes 16 bits where the hardware
        multiplies them natively.
    max_query_tokens, max_document_tokens : int, optional
        Longer texts are cut. Special tokens count. Default: what the checkpoint says, or 256.
    query_prompt, document_prompt : str
        Put before each text.
    batch_tokens : int, optional
        The most tokens in a batch, padding included. Default: 4096 on a CPU, 32768 on a GPU.
    """

    name: str
    revision: str | None
    device: str | None
    precision: Precision
    max_query_tokens: int | None
    max_document_tokens: int | None
    query_prompt: str
    document_prompt: str
    batch_tokens: int | None


class TorchEncoder:
    """A tokenizer and one or two torch models.

    A subclass sets `kind`, `dim` and `terms`, gives `_step` and `_empty`, and shapes what `_encoded` returns.

    Parameters
    ----------
    folder : str or path object
        Where the model lies.
    tokenizer : PreTrainedTokenizerBase
        Of transformers, with the fast tokenizer behind it.
    models : mapping of {"query", "document"} to torch.nn.Module
        Moved to the device in 32 bits, and put into evaluation mode. Every parameter must come from the checkpoint,
        since `fingerprint` tells models apart by them.
    options : Options
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        tokenizer: Any,
        models: "Mapping[Role, torch.nn.Module]",
        options: Options,
    ) -> None:
        require_torch()
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            raise InvalidInput(f"unknown option {min(unknown)!r}; there are {', '.join(Options.__annotations__)}")
        self.name = options.get("name") or inputs.path(folder)
        self.revision = options.get("revision")
        self.device = device(options.get("device"))
        self.number_type = number_type(options.get("precision", "auto"), self.device)
        self.fingerprint = fingerprint(*models.values()) if models else None
        self.models = {role: model.eval().float().to(self.device) for role, model in models.items()}
        self.tokenizer = tokenizer
        self._fast = fast_tokenizer(self.name, tokenizer)
        self._frames = _frame(tokenizer)
        lengths = (int(tokenizer.model_max_length), _positions(self.models.values()), self._frames)
        self.limits: dict[Role, int] = {
            "query": _limit("max_query_tokens", options.get("max_query_tokens"), *lengths),
            "document": _limit("max_document_tokens", options.get("max_document_tokens"), *lengths),
        }
        self.prompts: dict[Role, str] = {
            "query": options.get("query_prompt", ""),
            "document": options.get("document_prompt", ""),
        }
        budget = options.get("batch_tokens")
        if budget is None:
            budget = BATCH_TOKENS.get(self.device.type, BATCH_TOKENS["cpu"])
        self._batch_tokens = inputs.integer("batch_tokens", budget, low=1)

    @property
    def settings(self) -> dict[str, Any]:
        """What queries and documents must have in common, as JSON."""
        return {
            "name": self.name,
            **({} if self.revision is None else {"revision": self.revision}),
            "type": type(self).__name__.lower(),
            "fingerprint": self.fingerprint,
            **{f"max_{role}_tokens": limit for role, limit in self.limits.items()},
            **{f"{role}_prompt": prompt for role, prompt in self.prompts.items()},
        }

    def tokenize(self, texts: Sequence[str], role: Role = "document") -> Tokens:
        """Return the token ids of the texts, each cut to the limit of its role.

        A text of white space alone has no tokens, and its row of the result is empty.
        """
        listed, _ = inputs.texts(texts)
        prompt = self.prompts[role]
        encodings = self._fast.encode_batch_fast([prompt + text for text in listed], add_special_tokens=False)
        before, after = self._frame(role)
        room = self.limits[role] - len(before) - len(after)
        rows: list[list[int]] = []
        truncated = 0
        for text, encoding in zip(listed, encodings, strict=True):
            own = [] if text.isspace() or not text else encoding.ids
            truncated += len(own) > room
            rows.append([*before, *own[:room], *after] if own else [])
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        flat = np.fromiter(chain.from_iterable(rows), np.int32, count=int(offsets[-1]))
        return Tokens(flat, offsets, truncated, role)

    def _frame(self, role: Role) -> tuple[list[int], list[int]]:
        """Return the special tokens before and after a text."""
        return self._frames

    def _step(self, ids: "torch.Tensor", held: "torch.Tensor", role: Role) -> tuple["torch.Tensor", ...]:
        """Run a batch: token ids (b, t) int64, and where they are tokens, (b, t) bool.

        Returns the length of each text's result, (b,), and the results one after the other, as one or more tensors.
        """
        raise NotImplementedError

    def _empty(self) -> Columns:
        """Return the columns of no result at all."""
        raise NotImplementedError

    def _encoded(
        self, tokens: Tokens, batch_size: int | None, show_progress: bool | None
    ) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[Any]]]:
        """Return the offsets of each text's result and the columns that `_step` makes, in the order of the texts."""
        if batch_size is not None:
            batch_size = inputs.integer("batch_size", batch_size, low=1)
        batches = plan(np.diff(tokens.offsets), batch_size, self._batch_tokens)
        nothing = np.empty(0, np.int64)
        parts = [(nothing, *self._empty()), *self._steps(tokens, batches, show_progress)]
        counts, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        return in_order(len(tokens), np.concatenate([nothing, *batches]), counts, columns)

    def _steps(
        self, tokens: Tokens, batches: list[npt.NDArray[np.int64]], show_progress: bool | None
    ) -> Iterator[Columns]:
        import torch

        pad = self.tokenizer.pad_token_id or 0
        for rows in with_progress(batches, len(batches), show_progress, " batches"):
            ids, held = (self._moved(array) for array in padded(tokens.ids, tokens.offsets, rows, pad))
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, self.number_type, enabled=self.number_type != torch.float32),
            ):
                yield tuple(tensor.cpu().numpy() for tensor in self._step(ids, held, tokens.role))

    def _moved(self, array: npt.NDArray[Any]) -> "torch.Tensor":
        import torch

        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def __repr__(self) -> str:
        return f"<weft.encoders.{type(self).__name__} {self.name!r} on {self.device}>"


def fast_tokenizer(name: str, tokenizer: Any) -> Any:
    """Return the compiled tokenizer, which neither cuts nor pads and lets go of the interpreter lock."""
    fast: Any = getattr(tokenizer, "backend_tokenizer", None)
    if not hasattr(fast, "encode_batch_fast"):
        raise InvalidInput(f"{name}: its tokenizer has no fast form (tokenizer.json); convert it with transformers")
    fast.no_truncation()
    fast.no_padding()
    return fast


def fingerprint(*models: "torch.nn.Module") -> str:
    """Return 16 hexadecimal digits made of some values of every parameter, whatever its name and place."""
    parameters = []
    for model in models:
        for parameter in model.parameters():
            flat = parameter.detach().reshape(-1)
            some = flat[:: max(1, len(flat) // 64)].float().cpu().numpy()
            parameters.append(str(tuple(parameter.shape)).encode() + some.tobytes())
    return hashlib.blake2b(b"".join(sorted(parameters)), digest_size=8).hexdigest()


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    probe = "a"
    own = tokenizer(probe, add_special_tokens=False)["input_ids"]
    framed = tokenizer(probe)["input_ids"]
    for start in range(len(framed) - len(own) + 1):
        if framed[start : start + len(own)] == own:
            return framed[:start], framed[start + len(own) :]
    return [], []


def _positions(models: "Iterable[torch.nn.Module]") -> int | None:
    """Return the most tokens that all models can take, if they say so."""
    limits = []
    for model in models:
        limits.append(getattr(getattr(model, "config", None), "max_position_embeddings", None))
        for name, module in model.named_modules():
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                limits.append(module.num_embeddings - module.padding_idx - 1)  # positions count from there
    return min((limit for limit in limits if limit is not None), default=None)


def _limit(name: str, given: int | None, usual: int, most: int | None, frame: tuple[list[int], list[int]]) -> int:
    if given is None:
        return min(MAX_TOKENS, usual, usual if most is None else most)
    limit = inputs.integer(name, given, low=sum(map(len, frame)) + 1)
    if most is not None and limit > most:
        raise InvalidInput(f"{name} is {limit}, but the model takes {most} tokens at most")
    return limit
