"""The encoders of an index: those that are given, or those that its settings name, loaded when first needed.

`weft.encoders` is imported when there is an encoder, and no sooner.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from weft import inputs
from weft.errors import Error, InvalidInput, NotFound, SchemaMismatch
from weft.schema import Bm25, Schema

if TYPE_CHECKING:
    from weft.encoders import Encoder

Representation = Literal["sparse", "multivector"]
REPRESENTATIONS: tuple[Representation, ...] = ("sparse", "multivector")


def encoder(kind: Representation, given: Any) -> "Encoder":
    """Return an encoder that makes one kind of vectors.

    Parameters
    ----------
    kind : {"sparse", "multivector"}
    given : str or Encoder
        A name for `weft.encoders.load`, or the encoder.

    Raises
    ------
    InvalidInput
        It is no encoder, or makes the other kind.
    """
    from weft import encoders

    try:
        made = encoders.load(given) if isinstance(given, str) else given
    except (InvalidInput, NotFound) as error:
        raise InvalidInput(f"{kind}: {error}") from error
    if not isinstance(made, encoders.Encoder):
        raise InvalidInput(
            f"{kind} must be an encoder or its name, not {inputs.shown(given)}; "
            "for an encoder of another library there is weft.encoders.adapt"
        )
    if made.kind != kind:
        raise InvalidInput(f"{kind}: {inputs.shown(given)} makes {made.kind} vectors; pass it as {made.kind}=")
    return made


def settings(encoder: "Encoder") -> dict[str, Any]:
    """Return the settings of an encoder as JSON gives them back."""
    try:
        held: dict[str, Any] = json.loads(json.dumps(encoder.settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the settings of {encoder!r} are not JSON: {error}") from error
    return held


class Encoders(Mapping[str, "Encoder"]):
    """The encoders of an index by representation.

    Parameters
    ----------
    schema : Schema
        Of the index, with the settings of its encoders.
    given : mapping of {"sparse", "multivector"} to Encoder
        The others are loaded when they are looked up.

    Raises
    ------
    SchemaMismatch
        A given encoder has other settings than the one that the index was made with.
    """

    def __init__(self, schema: Schema, given: "Mapping[str, Encoder]") -> None:
        self._schema = schema
        self._ready = dict(given)
        for kind, each in given.items():
            if kind not in schema.encoders:
                raise SchemaMismatch(f"the index has no {kind} vectors made by an encoder; leave {kind}= out")
            self._check(kind, each, f"leave {kind}= out to use the one it was made with, or build it anew")

    def __getitem__(self, kind: str) -> "Encoder":
        held = self._schema.encoders[kind]
        if kind not in self._ready:
            way_out = f"pass the encoder as {kind}="
            try:
                made = _loaded(held)
            except Error as error:
                name = held.get("name")
                raise Error(f"the {kind} encoder {name!r} of the index cannot be loaded: {error}; {way_out}") from error
            self._check(kind, made, way_out)
            self._ready[kind] = made
        return self._ready[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._schema.encoders)

    def __len__(self) -> int:
        return len(self._schema.encoders)

    def queries(self, texts: list[str], using: Representation | None = None) -> dict[str, Any]:
        """Return queries for `Index.search`, by the name of its argument.

        Parameters
        ----------
        texts : list of str
        using : {"sparse", "multivector"}, optional
            Leave the other representation out.
        """
        if using is not None and using not in REPRESENTATIONS:
            raise InvalidInput(f'using must be "sparse", "multivector" or None; got {inputs.shown(using)}')
        by_text = isinstance(self._schema.sparse, Bm25) and using != "multivector"
        wanted = [kind for kind in self if using in (None, kind)]
        if not by_text and not wanted:
            raise SchemaMismatch(
                f"the index has no {using or 'sparse or multivector'} representation that texts are searched by"
            )
        made = {kind: self[kind].encode_query(texts, show_progress_bar=False) for kind in wanted}
        return {"text": texts, **made} if by_text else made

    def _check(self, kind: str, given: "Encoder", way_out: str) -> None:
        from weft.encoders.base import mismatch

        difference = mismatch(self._schema.encoders[kind], settings(given))
        if difference is not None:
            raise SchemaMismatch(f"the index was made with another {kind} encoder: {difference}; {way_out}")


def _loaded(held: Mapping[str, Any]) -> "Encoder":
    """Load an encoder by its name; what else it was made with is passed as options."""
    from weft import encoders

    name = held.get("name")
    if not isinstance(name, str):
        raise InvalidInput(f"its settings name none, but {inputs.shown(name)}")
    which = {"revision": held["revision"]} if "revision" in held else {}
    made = encoders.load(name, **which)
    found = settings(made)
    options = {option: value for option, value in held.items() if found.get(option) != value}
    if not options or options.keys() & {"name", "type", "fingerprint"}:
        return made
    try:
        return encoders.load(name, **which, **options)
    except (Error, TypeError):
        return made
