"""Pieces of text that the command line and the demonstration show."""

from collections.abc import Sequence

from weft.index import Contribution


def plain(value: object) -> str:
    """Return text safe for a terminal: characters that are not printable become a replacement mark."""
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def shortened(text: str, width: int) -> str:
    """Return the text in at most `width` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def reason(contributions: Sequence[Contribution], most: int = 4) -> str:
    """Return the terms that count most for a hit and their share of its score."""
    total = sum(each.contribution for each in contributions)
    if not total:
        return "no term in common"
    parts = [f"{plain(each.term)} {each.contribution / total:.0%}" for each in contributions[:most]]
    if len(contributions) > most:
        parts.append(f"{len(contributions) - most} more")
    return " · ".join(parts)


def size(count: float) -> str:
    """Return a number of bytes in the largest fitting binary unit."""
    for unit in ("bytes", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"
