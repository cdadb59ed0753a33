"""The Common Index File Format, in which search engines exchange inverted indexes (Lin et al. 2020)."""

import os
import re
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weft import _native, inputs
from weft.errors import InvalidInput
from weft.index import Index
from weft.schema import Kind, Schema, Sparse

if TYPE_CHECKING:
    from weft._types import Keys, Rows

_DECIMAL = re.compile("0|-?[1-9][0-9]{0,18}")


def read_ciff(
    path: str | PathLike[str], *, ids: Kind = "str", terms: Kind = "str", memory_limit: int | str = "8MiB"
) -> "Ciff":
    """Open a file in the Common Index File Format (Lin et al. 2020) to read its documents as vectors.

    The file is read and checked once here, and once more by iterating. It is mapped, so nobody may change it
    meanwhile.

    Parameters
    ----------
    path : str or path object
        The file, not compressed.
    ids, terms : {"str", "int"}
        Kind of the external ids and of the terms; ``"int"`` reads decimals as integers.
    memory_limit : int or str
        Bytes that the postings of one batch may take, eight each. A batch has at least one document.

    Returns
    -------
    Ciff

    Raises
    ------
    InvalidInput
        The file is malformed; the message names the postings list or the record. Or an argument is.
    IoError
        The file cannot be read.

    Examples
    --------
    >>> from weft.io import read_ciff, write_ciff
    >>> write_ciff("tiny.ciff", weft.build("tiny.weft", ids=["a", "b"], text=["red fox", "red wine"]))
    >>> file = read_ciff("tiny.ciff")
    >>> len(file), file.postings, file.schema.sparse.max_weight
    (2, 4, 255.0)
    >>> with weft.Writer("copy.weft", file.schema) as writer:
    ...     for names, sparse in file:
    ...         writer.add(names, sparse=sparse)
    >>> weft.open("copy.weft").search(sparse={"wine": 1.0})[0].id
    'b'
    """
    if {ids, terms} - {"str", "int"}:
        raise InvalidInput(f'ids and terms must be "str" or "int"; got {ids!r} and {terms!r}')
    name = inputs.path(path)
    if os.path.exists(name) and not os.path.isfile(name):
        raise InvalidInput(f"{name} is not a file")
    return Ciff(_native.CiffReader(name), Schema(Sparse(terms), ids=ids), inputs.memory(memory_limit))


class Ciff(Iterator["tuple[Keys, Rows]"]):
    """The documents of a CIFF file, in batches of ids and rows that `Writer.add` takes; made by `read_ciff`.

    Like a file, it can be gone through once.

    Examples
    --------
    >>> from weft.io import read_ciff, write_ciff
    >>> write_ciff("tiny.ciff", weft.build("tiny.weft", ids=["a"], text=["red fox"]))
    >>> [names for names, sparse in read_ciff("tiny.ciff")]
    [['a']]
    """

    def __init__(self, native: "_native.CiffReader", kinds: Schema, budget: int) -> None:
        self._native = native
        self._budget = budget
        self._ids = kinds.ids
        largest = 255.0 if native.largest <= 255 else float(native.largest)
        self._schema = Schema(Sparse(kinds.terms, largest), ids=kinds.ids)
        self._terms = self._table(native.terms())

    def __len__(self) -> int:
        """Return the number of documents."""
        return self._native.documents

    @property
    def postings(self) -> int:
        """Number of postings."""
        return self._native.postings

    @property
    def largest_weight(self) -> int:
        """The largest weight; 0 when there is none."""
        return self._native.largest

    @property
    def description(self) -> str:
        """What the file says of itself."""
        return self._native.description

    @property
    def schema(self) -> Schema:
        """A schema for the documents, in which weights up to 255, or up to the largest, keep their value."""
        return self._schema

    def __next__(self) -> "tuple[Keys, Rows]":
        found = self._native.next_rows(self._budget)
        if found is None:
            raise StopIteration
        names, indptr, numbers, weights = found
        keys: Keys = decimals("id", names) if self._ids == "int" else names
        terms = self._terms[numbers]
        return keys, (indptr, terms if terms.dtype == np.int64 else terms.tolist(), weights)

    def _table(self, terms: list[str]) -> npt.NDArray[Any]:
        return decimals("term", terms) if self._schema.terms == "int" else np.array(terms, object)


def write_ciff(path: str | PathLike[str], index: Index) -> None:
    """Write the vectors of an index in the Common Index File Format (Lin et al. 2020).

    Documents are numbered in insertion order, deleted ones left out. The term frequencies are the stored weights, as
    integers from 1 to 255; the description of the file tells what to multiply them by. Integer ids and terms become
    decimals.

    Parameters
    ----------
    path : str or path object
        The file, replaced if it exists.
    index : Index
        Vectors or text.

    Raises
    ------
    SchemaMismatch
        The index holds no vectors.
    IoError
        The file cannot be written.

    Examples
    --------
    >>> from weft.io import read_ciff, write_ciff
    >>> schema = weft.Schema(weft.Sparse(max_weight=51.0))
    >>> write_ciff("tiny.ciff", weft.build("tiny.weft", ids=["a"], sparse=[{3: 2.0}], schema=schema))
    >>> file = read_ciff("tiny.ciff")
    >>> file.largest_weight, file.description.partition("; ")[2]
    (10, 'weight = tf * 0.2')
    """
    if not isinstance(index, Index):
        raise InvalidInput(f"index must be a weft.Index, not {inputs.shown(index)}")
    _native.write_ciff(inputs.path(path), index._core)


def decimals(name: str, texts: list[str]) -> npt.NDArray[np.int64]:
    """Return integers written as decimals."""
    for text in texts:
        if not _DECIMAL.fullmatch(text):
            raise InvalidInput(f"{name} {inputs.shown(text)} is not an integer; read it as a str")
    return inputs.integers(name, np.array([inputs.key(name, int(text)) for text in texts], np.int64))
