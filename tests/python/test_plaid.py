"""PLAID indexes of every dialect, compared with a writer and a decoder written for the tests."""

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import weft
from plaid_oracle import (
    DIALECTS,
    Plaid,
    named,
    number,
    pickled_tensor,
    pickled_text,
    plaid,
    put,
    save_archive,
    save_tensors,
    write,
)
from weft.commands import app
from weft.plaid import pack, read_plaid, unpack
from weft.stored import npy, tensors

Array = npt.NDArray[Any]


def collected(folder: Path, **options: Any) -> tuple[list[Any], list[Array]]:
    """Return the ids and the vectors of all documents."""
    names: list[Any] = []
    vectors: list[Array] = []
    for ids, (flat, offsets) in read_plaid(folder, **options):
        assert flat.dtype == np.float16
        assert flat.flags.c_contiguous
        assert offsets.dtype == np.int64
        assert len(offsets) == len(ids) + 1
        assert (offsets[0], offsets[-1]) == (0, len(flat))
        names += list(ids)
        vectors += [flat[start:end] for start, end in pairwise(offsets)]
    return names, vectors


def assert_vectors(found: list[Array], content: Plaid) -> None:
    assert [len(each) for each in found] == list(chain(*content.lengths))
    if len(content.codes):
        np.testing.assert_allclose(np.concatenate(found), content.vectors(), atol=1e-3)


def test_packing_by_hand() -> None:
    assert pack(np.array([[1, 2, 3, 0]], np.uint8), 2).tolist() == [[0x9C]]
    assert pack(np.array([[1, 8]], np.uint8), 4).tolist() == [[0x81]]
    assert pack(np.array([[1, 0, 0, 0, 0, 0, 1, 1]], np.uint8), 1).tolist() == [[0b10000011]]
    assert pack(np.array([[1, 0x35]], np.uint8), 8).tolist() == [[0x80, 0b10101100]]


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 4), st.integers(1, 3), st.integers(0, 99))
def test_packing_and_back(nbits: int, rows: int, width: int, seed: int) -> None:
    content = plaid([[rows]], nbits, 8 * width, seed)
    packed = pack(content.buckets.astype(np.uint8), nbits)
    assert packed.tolist() == content.packed().tolist()
    assert unpack(packed, nbits).tolist() == content.buckets.tolist()
    assert unpack(packed, nbits).dtype == np.uint8


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("nbits", [1, 2, 4, 8])
def test_every_dialect(dialect: str, nbits: int, tmp_path: Path) -> None:
    content = plaid([[3, 1, 0, 2], [4], [0, 5, 1]], nbits, dim=16)
    folder = write(tmp_path / "plaid", content, dialect)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    reader = read_plaid(folder)
    assert (reader.dim, reader.nbits, reader.documents, reader.tokens) == (16, nbits, 8, 16)
    names, vectors = collected(folder)
    assert names == list(range(8))
    assert_vectors(vectors, content)
    assert list(map(len, map(list, reader))) == list(map(len, map(list, reader))), "it can be gone through again"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before, "nothing is written"


chunks = st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=4)


@given(chunks, st.sampled_from(DIALECTS), st.sampled_from([1, 2, 4, 8]), st.integers(1, 9), st.integers(0, 99))
def test_vectors_are_the_same_whatever_the_batch(
    tmp_path_factory: pytest.TempPathFactory, lengths: Any, dialect: str, nbits: int, batch: int, seed: int
) -> None:
    content = plaid(lengths, nbits, seed=seed)
    folder = write(tmp_path_factory.mktemp("plaid") / "index", content, dialect)
    names, vectors = collected(folder, batch=batch)
    assert names == list(range(len(vectors)))
    assert_vectors(vectors, content)
    for _, (flat, offsets) in read_plaid(folder, batch=batch):
        assert len(flat) <= batch or len(offsets) == 2


def test_ids_that_are_given(tmp_path: Path) -> None:
    folder = write(tmp_path / "plaid", plaid([[1, 2], [1]]), "chunks")
    assert collected(folder, ids=["a", "b", "c"])[0] == ["a", "b", "c"]
    assert collected(folder, ids=(number * 7 for number in range(3)))[0] == [0, 7, 14]
    assert read_plaid(folder, ids=np.array([5, 4, 3], np.uint8)).ids.dtype == np.int64  # type: ignore[union-attr]
    for ids, words in (
        (["a", "b"], "2 were given; the index has 3"),
        ([1, 1, 2], "1 .* 2 times"),
        ([1, "a", 2], "one kind"),
    ):
        with pytest.raises(weft.InvalidInput, match=words):
            read_plaid(folder, ids=ids)  # type: ignore[arg-type]
    for batch in (0, True, 1.5):
        with pytest.raises(weft.InvalidInput, match="batch"):
            read_plaid(folder, batch=batch)  # type: ignore[arg-type]


PICKLED_BY_TORCH = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\x00\x00\x00storageq\x01ctorch\nFloatStorage\nq\x02"
    b"X\x01\x00\x00\x000q\x03X\x03\x00\x00\x00cpuq\x04K\x03tq\x05QK\x00K\x03\x85q\x06K\x01\x85q\x07\x89"
    b"ccollections\nOrderedDict\nq\x08)Rq\ttq\nRq\x0bh\x00((h\x01ctorch\nHalfStorage\nq\x0cX\x01\x00\x00\x001q\r"
    b"h\x04K\x08tq\x0eQK\x02K\x04\x85q\x0fK\x01\x85q\x10\x89h\x08)Rq\x11tq\x12Rq\x13\x86q\x14."
)
"""Of ``(torch.arange(3.0), torch.arange(8).half()[2:6])``."""


def test_tensors_as_torch_saves_them(tmp_path: Path) -> None:
    data = {"data/0": np.arange(3, dtype="<f4").tobytes(), "data/1": np.arange(8, dtype="<f2").tobytes()}
    save_archive(tmp_path / "a.pt", {"data.pkl": PICKLED_BY_TORCH, **data})
    first, second = (each.read() for each in tensors(str(tmp_path / "a.pt"), count=2))
    assert (first.dtype, first.tolist()) == (np.float32, [0, 1, 2])
    assert (second.dtype, second.tolist()) == (np.float16, [2, 3, 4, 5])


def test_tensors_of_real_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "a.pt"
    for kind in (torch.float16, torch.float32, torch.float64, torch.uint8, torch.int16, torch.int32, torch.int64):
        whole = torch.arange(24).reshape(6, 4).to(kind)
        for tensor in (whole, whole[2:5], whole[:0], whole[3], whole[:, :1].contiguous(), torch.empty(0, 4).to(kind)):
            torch.save(tensor, file)
            (found,) = tensors(str(file))
            assert np.array_equal(found.read(), tensor.numpy())
            assert found.dtype == tensor.numpy().dtype
    for wrong in (
        whole.T,
        whole[:, :2],
        whole.bfloat16(),
        whole.bool(),
        whole.to_sparse(),
        [whole, whole],
        {"a": whole},
        5,
    ):
        torch.save(wrong, file)
        with pytest.raises(weft.InvalidInput, match="not a file of tensors"):
            tensors(str(file))
    torch.save(whole, file, _use_new_zipfile_serialization=False)
    with pytest.raises(weft.InvalidInput, match=r"torch 1\.6 or newer"):
        tensors(str(file))
    content = plaid([[3, 1], [2]])
    folder = write(tmp_path / "plaid", content, "colbert")
    assert torch.load(folder / "centroids.pt").shape == (5, 8)
    assert [len(each) for each in torch.load(folder / "buckets.pt")] == [3, 4]


def test_pickles_are_not_executed(tmp_path: Path) -> None:
    for call in (
        named("os", "system") + pickled_text("touch executed") + b"\x85R.",
        named("builtins", "exec") + pickled_text("open('executed', 'w')") + b"\x85R.",
        b"(" + pickled_text("touch executed") + b"ios\nsystem\n.",
        b"(" + named("os", "system") + pickled_text("touch executed") + b"o.",
        pickled_text("os") + pickled_text("system") + b"\x93" + pickled_text("touch executed") + b"\x85R.",
    ):
        save_archive(tmp_path / "a.pt", {"data.pkl": b"\x80\x02" + call})
        with pytest.raises(weft.InvalidInput, match=r"it calls|instruction"):
            tensors(str(tmp_path / "a.pt"))
    assert not Path("executed").exists()


Change = Callable[[Path], object]


def with_array(name: str, array: Any) -> Change:
    return lambda folder: np.save(folder / name, array)


def with_json(name: str, value: Any) -> Change:
    return lambda folder: put(folder / name, value)


def with_metadata(**values: Any) -> Change:
    def change(folder: Path) -> None:
        put(folder / "metadata.json", {**json.loads((folder / "metadata.json").read_text()), **values})

    return change


def with_tensors(name: str, *arrays: Array) -> Change:
    return lambda folder: save_tensors(folder / name, *arrays)


def with_pickle(pickled: bytes, size: int = 0, **members: bytes) -> Change:
    """Replace the centroids by one tensor with a storage of `size` bytes."""
    members = {"data.pkl": b"\x80\x02" + pickled + b".", "data/0": bytes(size), **members}
    return lambda folder: save_archive(folder / "centroids.pt", members)


def with_bytes(name: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    return change


def compressed(folder: Path) -> None:
    with zipfile.ZipFile(folder / "centroids.pt") as archive:
        members = {each.partition("/")[2]: archive.read(each) for each in archive.namelist()}
    save_archive(folder / "centroids.pt", members, zipfile.ZIP_DEFLATED)


def a_folder(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def a_pipe(folder: Path) -> None:
    (folder / "centroids.npy").unlink()
    os.mkfifo(folder / "centroids.npy")


SQUARE = np.zeros((5, 8), np.float16)
HOSTILE: list[tuple[str, Change, str]] = [
    ("chunks", with_json("metadata.json", "{"), "metadata.json: not JSON"),
    ("chunks", with_json("metadata.json", "[" * 100_000), "metadata.json: not JSON"),
    ("chunks", with_json("metadata.json", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")), "not JSON"),
    ("chunks", lambda folder: os.truncate(folder / "doclens.0.json", 2**27), "doclens.0.json: longer than"),
    ("chunks", with_json("metadata.json", [1]), "metadata.json is .* expected an object"),
    ("chunks", with_metadata(nbits=3), "nbits in metadata.json is 3"),
    ("chunks", with_metadata(nbits=True), "nbits in metadata.json is True"),
    ("chunks", with_metadata(nbits=[2]), "nbits in metadata.json is"),
    ("chunks", with_metadata(config=[2]), "nbits in metadata.json is None"),
    ("colbert", with_metadata(config={}), "nbits in metadata.json is None"),
    ("chunks", with_metadata(num_chunks=-1), "num_chunks in metadata.json is -1"),
    ("chunks", with_metadata(num_chunks="2"), "num_chunks in metadata.json is '2'"),
    ("chunks", with_metadata(nbits=4), "bucket_weights.npy: float32 of shape .* shape .16,"),
    ("chunks", with_json("doclens.1.json", {}), "doclens.1.json: expected a list"),
    ("chunks", with_json("doclens.1.json", [4, -1, 1]), "doclens.1.json: expected a list"),
    ("chunks", with_json("doclens.1.json", [True, 3]), "doclens.1.json: expected a list"),
    ("chunks", with_json("doclens.1.json", [4.0]), "doclens.1.json: expected a list"),
    ("chunks", with_json("doclens.1.json", [[4]]), "doclens.1.json: expected a list"),
    ("chunks", with_json("doclens.1.json", [3]), r"1.codes.npy: int64 of shape \(4,\); .* shape \(3,\)"),
    ("chunks", with_json("doclens.1.json", [10**30]), "1.codes.npy: int64 of shape"),
    ("colbert", with_json("doclens.1.json", [5]), r"1.codes.pt: int32 of shape \(4,\); .* shape \(5,\)"),
    ("merged", with_json("doclens.1.json", [8]), r"merged_codes.npy has shape \(13,\); .* need 14 rows"),
    ("merged", with_json("doclens.1.json", [5]), "num_embeddings in metadata.json is not 11"),
    ("merged", with_metadata(num_embeddings=None), "num_embeddings in metadata.json is not 10"),
    ("merged", with_array("merged_codes.npy", np.int64(3)), r"merged_codes.npy has shape \(\)"),
    ("merged", with_array("merged_residuals.npy", np.zeros((13, 3), np.uint8)), "merged_residuals.npy: uint8"),
    ("chunks", with_array("1.codes.npy", np.zeros(4, np.int16)), "1.codes.npy: int16"),
    ("chunks", with_array("1.codes.npy", np.zeros((4, 1), np.int64)), r"1.codes.npy: int64 of shape \(4, 1\)"),
    ("chunks", with_array("1.codes.npy", np.array([0, 1, 5, 0])), "1.codes.npy: token 2 has centroid 5; there are 5"),
    ("chunks", with_array("1.codes.npy", np.array([0, -1, 0, 0])), "1.codes.npy: token 1 has centroid -1"),
    (
        "merged",
        with_array("merged_codes.npy", np.full(13, 2**40)),
        "merged_codes.npy: token 0 has centroid 1099511627776",
    ),
    (
        "chunks",
        with_array("1.residuals.npy", np.zeros((4, 3), np.uint8)),
        r"1.residuals.npy: .* expected uint8 .*\(4, 2\)",
    ),
    ("chunks", with_array("1.residuals.npy", np.zeros((4, 2), np.int8)), "1.residuals.npy: int8"),
    ("chunks", with_array("1.residuals.npy", np.zeros((5, 2), np.uint8)), "1.residuals.npy: uint8"),
    ("chunks", with_array("centroids.npy", np.zeros((5, 8), np.int64)), "centroids.npy: int64"),
    ("chunks", with_array("centroids.npy", np.zeros(8)), r"centroids.npy: float64 of shape \(8,\)"),
    ("chunks", with_array("centroids.npy", np.zeros((5, 0))), "2 bits for each of 0 dimensions"),
    ("chunks", with_array("centroids.npy", np.zeros((5, 3))), "2 bits for each of 3 dimensions"),
    ("chunks", with_array("centroids.npy", np.full((5, 8), np.nan)), "centroids.npy: a value is not finite"),
    ("chunks", with_array("centroids.npy", np.full((5, 8), 1e300)), "centroids.npy: a value is not finite"),
    ("chunks", with_array("centroids.npy", np.array([[{}] * 8])), "centroids.npy: not an .npy file"),
    ("chunks", with_array("centroids.npy", np.zeros((5, 8), ">f4")), "centroids.npy: not an .npy file"),
    ("chunks", with_array("centroids.npy", np.asfortranarray(np.random.rand(5, 8))), "centroids.npy: not an .npy file"),
    ("chunks", with_array("bucket_weights.npy", np.array([0, 1, 2, -np.inf])), "bucket_weights.npy: a value"),
    ("chunks", with_array("bucket_weights.npy", np.zeros(3)), r"bucket_weights.npy: .* of shape \(3,\)"),
    ("chunks", with_bytes("centroids.npy", lambda _: b""), "centroids.npy: not an .npy file"),
    ("chunks", with_bytes("centroids.npy", lambda whole: whole[:-1]), "centroids.npy: the file is too short"),
    ("chunks", with_bytes("centroids.npy", replaced(b"NUMPY\x01", b"NUMPY\x02")), "centroids.npy: not an .npy file"),
    (
        "chunks",
        with_bytes("centroids.npy", replaced(b"(5, 8), }    ", b"(99999, 8), }")),
        "centroids.npy: the file is too",
    ),
    ("chunks", with_bytes("centroids.npy", replaced(b"(5, 8), }", b"(-5, 8),}")), "centroids.npy: not an .npy file"),
    ("chunks", a_pipe, "centroids.npy is not a file"),
    ("chunks", a_folder("doclens.0.json"), "doclens.0.json is not a file"),
    ("colbert", a_folder("1.codes.pt"), "1.codes.pt is not a file"),
    ("colbert", with_bytes("buckets.pt", lambda _: b"text"), "buckets.pt: not a file of tensors"),
    ("colbert", with_bytes("buckets.pt", lambda whole: whole[:-1]), "buckets.pt: not a file of tensors"),
    (
        "colbert",
        with_bytes("buckets.pt", lambda whole: b"\0" * 9 + whole[9:]),
        "member .*data.pkl' is compressed or cut",
    ),
    ("colbert", with_tensors("buckets.pt", np.zeros(4, np.float32)), "buckets.pt: .* it holds 1; expected 2"),
    ("colbert", with_tensors("centroids.pt", SQUARE, SQUARE), "centroids.pt: .* it holds 2; expected 1"),
    ("colbert", with_tensors("centroids.pt", SQUARE.astype(np.int64)), "centroids.pt: int64"),
    ("colbert", with_tensors("0.codes.pt", np.zeros(6, np.float32)), "0.codes.pt: float32"),
    ("colbert", with_tensors("1.codes.pt", np.array([9, 0, 0, 0], np.int32)), "1.codes.pt: token 0 has centroid 9"),
    ("colbert", compressed, "centroids.pt: .* is compressed or cut"),
    ("colbert", with_pickle(b"N"), "instruction NONE"),
    ("colbert", with_pickle(b""), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(b")"), "it holds 0; expected 1"),
    ("colbert", with_pickle(number(5)), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(number(5) + b"\x85"), "something else than tensors"),
    ("colbert", with_pickle(b"h\x05"), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(b"r\xff\xff\xff\xff"), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(b"t"), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(b"X\xff\xff\xff\xff"), "centroids.pt: not a file of tensors"),
    ("colbert", with_pickle(b"0" * 2**17), "data.pkl has 131075 bytes"),
    ("colbert", with_pickle(pickled_tensor("0", "BFloat16", (5, 8), 40, 0), 80), "BFloat16Storage.; expected"),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (5, 8), 40, 0), 79), "too short for a tensor of shape"),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (5, 8), 40, 1), 80), "too short for a tensor of shape"),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (5, 8), 40, -1), 80), "not in row order"),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (-5, 8), 40, 0), 80), "not in row order"),
    (
        "colbert",
        with_pickle(pickled_tensor("0", "Half", (2**31 - 1, 2**31 - 1), 40, 0, (1, 1)), 80),
        "not in row order",
    ),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (5, 8), 40, 0, (1, 5)), 80), "not in row order"),
    (
        "colbert",
        with_pickle(pickled_tensor("0", "Half", (5, 8), 40, 0, (8,)), 80),
        "centroids.pt: not a file of tensors",
    ),
    ("colbert", with_pickle(pickled_tensor("1", "Half", (5, 8), 40, 0), 80), "data/1"),
    ("colbert", with_pickle(pickled_tensor("0", "Half", (5, 8), 40, 0), 80, byteorder=b"big"), "not little-endian"),
]


@pytest.mark.parametrize(("dialect", "change", "words"), HOSTILE, ids=map(str, range(len(HOSTILE))))
def test_a_broken_file_is_named(dialect: str, change: Change, words: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "plaid", plaid([[3, 1, 0, 2], [4]]), dialect)
    change(folder)
    with pytest.raises(weft.InvalidInput, match=words) as refused:
        collected(folder)
    assert str(refused.value).startswith(str(folder))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("dialect", ["colbert", "chunks"])
def test_a_missing_file_is_named(dialect: str, tmp_path: Path) -> None:
    content = plaid([[1], [2]])
    suffix = "pt" if dialect == "colbert" else "npy"
    for position, name in enumerate(["metadata.json", "doclens.1.json", f"1.codes.{suffix}", f"0.residuals.{suffix}"]):
        folder = write(tmp_path / str(position), content, dialect)
        (folder / name).unlink()
        with pytest.raises(weft.IoError, match=name.removesuffix(".pt")):
            read_plaid(folder)
    folder = write(tmp_path / "chunks", content, dialect)
    with_metadata(num_chunks=10**18)(folder)
    with pytest.raises(weft.IoError, match=r"doclens\.2\.json"):
        read_plaid(folder)
    with pytest.raises(weft.IoError, match="nowhere"):
        read_plaid(tmp_path / "nowhere")


def test_files_cut_anywhere_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6))
    save_tensors(tmp_path / "a.pt", np.arange(6))
    for name, read in (("a.npy", npy), ("a.pt", tensors)):
        whole = (tmp_path / name).read_bytes()
        for length in range(len(whole)):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(weft.InvalidInput):
                read(str(tmp_path / name))


def changed(file: Path) -> bytes:
    if file.suffix == ".npy":
        np.save(file, np.arange(6))
    else:
        save_tensors(file, np.arange(6))
    return file.read_bytes()


@given(
    st.sampled_from(["a.npy", "a.pt"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_files_are_read_or_refused(tmp_path: Path, name: str, changes: list[tuple[float, int]]) -> None:
    content = bytearray(changed(tmp_path / name))
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(weft.InvalidInput):
        found = [npy(str(tmp_path / name))] if name == "a.npy" else tensors(str(tmp_path / name))
        for each in found:
            each.read()


def test_a_file_cut_while_it_is_read_is_no_crash(tmp_path: Path) -> None:
    folder = write(tmp_path / "plaid", plaid([[3, 1], [2]]), "chunks")
    reader = iter(read_plaid(folder, batch=1))
    next(reader)
    for name in ("0.codes.npy", "1.residuals.npy"):
        os.truncate(folder / name, 130)
    with pytest.raises(weft.InvalidInput, match=r"0\.codes\.npy: the file was cut while it was read"):
        list(reader)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("nbits", "codec"), [(1, "scalar1"), (2, "scalar2"), (4, "scalar4"), (8, "f16")])
def test_an_index_of_ours(dialect: str, nbits: int, codec: str, tmp_path: Path, path: Path) -> None:
    content = plaid([[3, 1, 2], [4], [1, 5, 1]], nbits)
    folder = write(tmp_path / "plaid", content, dialect)
    assert weft.convert(folder, path) == 7
    index = weft.open(path)
    assert index.schema == weft.Schema(multivector=weft.MultiVector(8, codec), ids="int")
    assert index.ids().tolist() == list(range(7))
    _, vectors = collected(folder)
    stored = [index.get(number)["multivector"] for number in range(7)]
    assert [each.shape for each in stored] == [each.shape for each in vectors]
    if codec == "f16":
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(stored, vectors, strict=True))
        longest = vectors[5].astype(np.float32)
        assert index.search(multivector=longest, k=1, exact=True)[0].id == 5


def test_ids_and_codec_of_an_index_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "plaid", plaid([[3, 1], [2]]), "chunks")
    for position, (ids, expected) in enumerate(
        [(["x", "y", "z"], ["x", "y", "z"]), ([7, 8, 9], [7, 8, 9]), ("str", ["0", "1", "2"]), ("int", [0, 1, 2])]
    ):
        made = tmp_path / f"{position}.weft"
        assert weft.convert(folder, made, ids=ids, codec="f16", show_progress=True) == 3  # type: ignore[arg-type]
        assert "documents" in capsys.readouterr().err
        index = weft.open(made)
        assert index.ids().tolist() == expected
        assert index.schema.multivector == weft.MultiVector(8, "f16")


def test_what_cannot_be_converted(tmp_path: Path, path: Path, animals: weft.Index) -> None:
    folder = write(tmp_path / "plaid", plaid([[3, 1], [2]]), "chunks")
    (tmp_path / "a.jsonl").write_text("")
    for source, destination, options, words in (
        (folder, path, {}, "holds an index already"),
        (folder, folder, {}, "cannot convert"),
        (folder, tmp_path / "b.ciff", {}, "cannot convert"),
        (tmp_path / "a.jsonl", folder, {}, "cannot convert"),
        (folder, tmp_path / "b.weft", {"ids": "float"}, "ids must be"),
        (folder, tmp_path / "b.weft", {"ids": ["a"]}, "1 were given"),
        (folder, tmp_path / "b.weft", {"codec": "scalar9"}, "scalar9"),
        (tmp_path / "a.jsonl", tmp_path / "b.weft", {"codec": "f16"}, "codec is for token vectors"),
        (path, tmp_path / "b.jsonl", {"codec": "f16"}, "codec is for token vectors"),
        (tmp_path / "a.jsonl", tmp_path / "b.weft", {"ids": ["a"]}, "ids must be"),
    ):
        with pytest.raises(weft.InvalidInput, match=words):
            weft.convert(source, destination, **options)  # type: ignore[arg-type]
    with_array("1.codes.npy", np.array([0, 5]))(folder)
    with pytest.raises(weft.InvalidInput, match="centroid 5"):
        weft.convert(folder, tmp_path / "b.weft")
    with pytest.raises(weft.NotFound):
        weft.open(tmp_path / "b.weft")
    assert len(animals) == 4


def test_the_command(tmp_path: Path, path: Path) -> None:
    folder = write(tmp_path / "plaid", plaid([[3, 1], [2]]), "merged")
    result = CliRunner().invoke(app, ["convert", str(folder), str(path), "--codec", "f16", "--ids", "str"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"3 documents in {path}, ")
    assert weft.open(path).ids().tolist() == ["0", "1", "2"]
    result = CliRunner().invoke(app, ["convert", str(folder), str(tmp_path / "b.weft"), "--codec", "f17"])
    assert result.exit_code == 2
    assert result.stderr.startswith("weft: ")
