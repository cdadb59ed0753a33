"""Where a model runs and in which numbers."""

from typing import TYPE_CHECKING, Any, Literal, get_args

from weft.errors import Error, InvalidInput
from weft.inputs import shown

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def require_torch() -> None:
    """Raise what says how to install torch and transformers when they are missing."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise Error(f'encoders need torch and transformers ({error}): pip install "weft[encode]"') from error


def device(name: str | None) -> "torch.device":
    """Return the device of that name; by default a GPU if there is one, else the CPU."""
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        first = str(error).partition("\n")[0]
        raise InvalidInput(f'device {shown(name)} cannot be used ({first}); try "cpu"') from error
    return chosen


def number_type(precision: Precision, device: "torch.device") -> "torch.dtype":
    """Return the type that products are computed in on the device.

    ``"auto"`` is bfloat16 wherever the hardware multiplies it natively, float16 on other GPUs, and else float32.
    """
    import torch

    if precision not in get_args(Precision):
        raise InvalidInput(f"precision must be one of {', '.join(get_args(Precision))}, not {shown(precision)}")
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and _native_bfloat16() else torch.float32


def _native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively; where torch cannot tell, it is taken not to."""
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
