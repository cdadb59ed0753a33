"""Whatever is passed to an encoder of fixed-dimensional encodings, it raises a documented exception."""

import numpy as np

import weft
from bad_cases import INF, NAN, WRONG_COUNTS, Case, bad, both, cases, refused
from weft import Fde

PAIR = np.ones((8, 8)), np.ones((16, 8))


@cases(
    both("fde must be", None, 5, "orthogonal", Fde, weft.Lemur(), {}),
    both("kind must be", *(Fde(kind=each) for each in (None, 5, "", "MUVERA", b"muvera", [1], np.array([1, 2])))),  # type: ignore[arg-type]
    both("repetitions", *(Fde(repetitions=each) for each in (0, *WRONG_COUNTS))),  # type: ignore[arg-type]
    both("bits", *(Fde(bits=each) for each in (17, 31, *WRONG_COUNTS, 2**36))),  # type: ignore[arg-type]
    both("projection", *(Fde(projection=each) for each in (0, *WRONG_COUNTS))),  # type: ignore[arg-type]
    both("dimensions", Fde(2**14), Fde(2**62, 16, 2**62), Fde(1, 16, 17), Fde(1, 0, 2**20 + 1, "muvera")),
    both("needs rows", Fde(kind="google"), Fde(1, 1, 8, "google")),
)
def test_encoders(case: Case) -> None:
    refused(lambda: weft.FdeEncoder(case.value, 8), case)


@cases(both("dim", 0, 2**16 + 1, 2**62, *WRONG_COUNTS))
def test_dimensions_of_encoders(case: Case) -> None:
    for kind in ("orthogonal", "muvera", "fastembed"):
        refused(lambda kind=kind: weft.FdeEncoder(Fde(kind=kind), case.value), case)  # type: ignore[misc]


def test_rows_that_take_too_much_memory() -> None:
    for kind in ("muvera", "fastembed"):
        case = bad(None, "1048576 repetitions")
        refused(lambda kind=kind: weft.FdeEncoder(Fde(2**20, 0, 1, kind), 2**16), case)  # type: ignore[misc]


@cases(
    both("rows must be", 5, (), PAIR[:1], (*PAIR, 5), list(PAIR), "ab", PAIR[0]),
    both("hyperplanes must be", *((each, PAIR[1]) for each in (None, "a", [["a"]], [[1], [1, 2]], [[10**400]]))),
    both("hyperplanes.*8, 8", *((each, PAIR[1]) for each in (5, [], PAIR[1], PAIR[0][:, :7], PAIR[0] * NAN))),
    both("hyperplanes", (PAIR[0] * 1e39, PAIR[1]), (PAIR[0] * 1j, PAIR[1])),
    both("projections.*16, 8", *((PAIR[0], each) for each in (PAIR[0], PAIR[1] * INF, PAIR[1].T, np.ones(128)))),
)
def test_rows_of_encoders(case: Case) -> None:
    for kind in ("orthogonal", "google", "fastembed"):
        refused(lambda kind=kind: weft.FdeEncoder(Fde(4, 2, 4, kind), 8, rows=case.value), case)  # type: ignore[misc]


@cases(both("final", 0, 2049, *(each for each in WRONG_COUNTS if each is not None)))
def test_last_projections(case: Case) -> None:
    refused(lambda: weft.FdeEncoder(Fde(), 8, final=case.value), case)


@cases(both("seed", *(each for each in WRONG_COUNTS if each is not None)))
def test_seeds_of_encoders(case: Case) -> None:
    refused(lambda: weft.FdeEncoder(Fde(), 8, seed=case.value), case)


ENCODER, EYE = weft.FdeEncoder(Fde(2, 1, 4), 8), np.eye(8)
HALVES = EYE.astype(np.float16)


@cases(
    both("row 1.*no token vectors", [EYE, EYE[:0]], (EYE, [0, 8, 8]), [HALVES, HALVES[:0]], [EYE, []]),
    both("row 0.*no token vectors", np.ones((2, 0, 8)), [[]]),
    both("row 1.*nan", [EYE, EYE * NAN], [HALVES, HALVES * np.float16(NAN)]),
    both("row 1.*inf", [EYE, np.full((1, 8), INF)]),
    both("row 1.*7.*8", [EYE, EYE[:, :7]]),
    both("4.*8", np.ones((2, 3, 4)), (np.ones((2, 4)), [0, 2])),
    both("", EYE, HALVES, None, 5, "text", {"a": EYE}, [EYE.astype(int)], (EYE, [0, 7]), (EYE,)),
)
def test_encoded_documents(case: Case) -> None:
    refused(lambda: ENCODER.encode_document(case.value), case)


@cases(
    both("nan", EYE * NAN, [EYE * NAN]),
    both("inf", np.full((1, 8), -INF)),
    both("7.*8", EYE[:, :7], [EYE[:, :7]]),
    both("", None, 5, "text", {"a": EYE}, EYE.astype(int), (EYE, [0, 7])),
)
def test_encoded_queries(case: Case) -> None:
    refused(lambda: ENCODER.encode_query(case.value), case)


@cases(both("dtype must be", None, 5, "float64", "", np.float32, np.dtype("f4"), ["int8"], b"int8"))
def test_types_of_encodings(case: Case) -> None:
    refused(lambda: ENCODER.encode_document([EYE], dtype=case.value), case)


@cases(both("num_threads", *WRONG_COUNTS))
def test_threads_of_encoders(case: Case) -> None:
    refused(lambda: ENCODER.encode_document([EYE], num_threads=case.value), case)
    refused(lambda: ENCODER.encode_query(EYE, num_threads=case.value), case)
