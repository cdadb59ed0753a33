"""Small heads on a frozen backbone: terms of documents, or token vectors, from hidden states.

A head starts from what can be computed without training. With its backbone it makes a checkpoint that
`weft.encoders.load` reads.
"""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch.nn import functional

from weft.encoders.checkpoint import load_model, load_tokenizer
from weft.errors import InvalidInput

LINEAR_SHIFT = 4.0
"""Added before gelu, which is the identity from here on up to 1e-4; the layer norm takes it away again."""
SAMPLE = 200_000
"""States that a first head is computed from."""
NORM_EPSILON = 1e-12
"""Of the layer norm in heads of BERT."""


@dataclass
class SparseHead:
    """Weights of terms: the maximum over the tokens of log(1 + ReLU(norm(gelu(dense(h))) · E^T + bias)).

    It is the head of BERT's masked language model, where E are the word embeddings of the backbone, with the activation
    and the pooling of SPLADE v2.

    Attributes
    ----------
    dense : (dim, dim) float32
    shift, gain, offset : (dim,) float32
        Added after the dense layer; factors and summands of the layer norm.
    bias : (v,) float32
    embeddings : (v, dim) float32
        Of the backbone; not trained.

    References
    ----------
    Formal, Lassance, Piwowarski, Clinchant, SPLADE v2, 2021, equation 6.

    Examples
    --------
    >>> import torch
    >>> from weft.encoders.heads import SparseHead
    >>> embeddings = torch.eye(4).repeat(2, 1)
    >>> head = SparseHead.initial(embeddings[[0, 1, 2, 3]], torch.tensor([0, 1, 2, 3]), embeddings[:4])
    >>> weights = head.weights(embeddings[None, :2], torch.ones(1, 2, dtype=torch.bool), torch.arange(4))
    >>> weights.argsort(dim=1, descending=True)[0, :2].sort().values.tolist()
    [0, 1]
    """

    dense: torch.Tensor
    shift: torch.Tensor
    gain: torch.Tensor
    offset: torch.Tensor
    bias: torch.Tensor
    embeddings: torch.Tensor

    @classmethod
    def initial(
        cls, states: torch.Tensor, ids: torch.Tensor, embeddings: torch.Tensor, positive: float = 1e-4
    ) -> "SparseHead":
        """Return the head that gives each token itself and the terms whose embeddings are near.

        The dense layer is the ridge regression from states to the embeddings of their own tokens, where a token that
        occurs n times counts as sqrt(n). Gain and bias are such that the logit of a token itself is 1 in the median.

        Parameters
        ----------
        states : (T, dim) tensor
        ids : (T,) int64
            The token of each state.
        embeddings : (v, dim) float32
        positive : float
            Share of all logits that are positive.
        """
        some = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))[:SAMPLE].to(states.device)
        states, ids = states[some].float(), ids.to(states.device)[some]
        dim = states.shape[1]
        weighted = states * torch.bincount(ids)[ids].float().rsqrt()[:, None]
        gram = weighted.T @ states
        gram += 1e-3 * gram.diagonal().mean() * torch.eye(dim, device=states.device)
        dense = torch.linalg.solve(gram, weighted.T @ embeddings[ids]).T
        dense = dense * 0.25 / (states @ dense.T).std()
        zeros, ones = torch.zeros(dim, device=states.device), torch.ones(dim, device=states.device)
        head = cls(dense, zeros + LINEAR_SHIFT, ones, zeros, embeddings.new_zeros(len(embeddings)), embeddings)
        few = head.transform(states[:1000])
        logits = few @ embeddings.T
        floor = logits.flatten().topk(max(1, round(positive * logits.numel()))).values[-1]
        own = (few * embeddings[ids[:1000]]).sum(1).median()
        scale = 1 / (own - floor).clamp(min=1e-3)
        head.gain, head.bias = head.gain * scale, head.bias - scale * floor
        return head

    def parameters(self) -> list[torch.Tensor]:
        """Return what is trained."""
        return [self.dense, self.shift, self.gain, self.offset, self.bias]

    def transform(self, states: torch.Tensor) -> torch.Tensor:
        """Return what is multiplied with the embeddings: (…, dim) of (…, dim)."""
        hidden = functional.gelu(functional.linear(states, self.dense, self.shift))
        return functional.layer_norm(hidden, self.gain.shape, self.gain, self.offset, NORM_EPSILON)

    def weights(self, states: torch.Tensor, held: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        """Return the weights (n, t) of the terms (t,) in documents of states (n, longest, dim), tokens where `held`."""
        logits = functional.linear(self.transform(states), self.embeddings[terms], self.bias[terms])
        return logits.masked_fill(~held[:, :, None], 0).amax(1).relu().log1p()

    def save(self, folder: str | PathLike[str], backbone: str | PathLike[str], idf: dict[str, float]) -> None:
        """Write a masked language model of backbone and head, with the weights of queries, to a folder.

        Raises
        ------
        InvalidInput
            The backbone is none of BERT's kind.
        """
        from transformers import AutoModelForMaskedLM

        model = AutoModelForMaskedLM.from_pretrained(backbone, local_files_only=True)
        if model.config.model_type != "bert" or model.config.hidden_act != "gelu":
            raise InvalidInput(f"{backbone}: a head for terms needs a model of the kind of BERT, with gelu")
        head = model.cls.predictions
        with torch.no_grad():
            head.transform.dense.weight.copy_(self.dense)
            head.transform.dense.bias.copy_(self.shift)
            head.transform.LayerNorm.weight.copy_(self.gain)
            head.transform.LayerNorm.bias.copy_(self.offset)
            head.bias.copy_(self.bias)
        model.save_pretrained(folder)
        load_tokenizer(backbone).save_pretrained(folder)
        _write_json(Path(folder) / "idf.json", idf)


@dataclass
class MultiVectorHead:
    """Token vectors: a linear map, then length 1, as in ColBERT.

    Attributes
    ----------
    linear : (dim, hidden) float32

    Examples
    --------
    >>> import torch
    >>> from weft.encoders.heads import MultiVectorHead
    >>> MultiVectorHead.initial(torch.eye(4)[:3], dim=2).vectors(torch.ones(5, 4)).shape
    torch.Size([5, 2])
    """

    linear: torch.Tensor

    @classmethod
    def initial(cls, states: torch.Tensor, dim: int = 128) -> "MultiVectorHead":
        """Return the directions in which states of length 1 are longest: an uncentred principal component analysis.

        Parameters
        ----------
        states : (T, hidden) tensor
        dim : int
            Dimensions of a vector.
        """
        some = torch.randperm(len(states), generator=torch.Generator().manual_seed(0))[:SAMPLE].to(states.device)
        unit = functional.normalize(states[some].float(), dim=1)
        return cls(torch.linalg.eigh(unit.T @ unit).eigenvectors.flip(1)[:, :dim].T.contiguous())

    def parameters(self) -> list[torch.Tensor]:
        """Return what is trained."""
        return [self.linear]

    def vectors(self, states: torch.Tensor) -> torch.Tensor:
        """Return token vectors (…, dim) of length 1."""
        return functional.normalize(functional.linear(states, self.linear), dim=-1)

    def save(self, folder: str | PathLike[str], backbone: str | PathLike[str], query: int, document: int) -> None:
        """Write backbone and head in the form of sentence-transformers; the most tokens of texts come with them."""
        from safetensors.torch import save_file

        root = Path(folder)
        load_model("AutoModel", backbone).save_pretrained(root)
        load_tokenizer(backbone).save_pretrained(root)
        dense = root / "1_Dense"
        dense.mkdir(exist_ok=True)
        save_file({"linear.weight": self.linear.contiguous().cpu()}, dense / "model.safetensors")
        dim, hidden = self.linear.shape
        identity = "torch.nn.modules.linear.Identity"
        _write_json(
            dense / "config.json",
            {"in_features": hidden, "out_features": dim, "bias": False, "activation_function": identity},
        )
        kinds = [("", "Transformer"), ("1_Dense", "Dense"), ("2_Normalize", "Normalize")]
        modules = [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(kinds)
        ]
        _write_json(root / "modules.json", modules)
        _write_json(root / "config_sentence_transformers.json", {"query_length": query, "document_length": document})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
