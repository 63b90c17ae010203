"""Words for people: ages, sizes, spans of time, and what was most likely meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a typing error most likely meant, or None.

    Upper and lower case are the same; the answer is spelled as it is known.
    """
    import difflib  # noqa: PLC0415 - only when something is wrong

    spelled = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(word.casefold(), list(spelled), n=1, cutoff=0.6)
    return spelled[close[0]] if close else None


SEPARATOR = "._."


def age(seconds: float) -> str:
    """Return a duration as people say it: `5s`, `12m`, `3h`, `4d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def size_text(size: float | None) -> str:
    """Return bytes as `12M`, in powers of 1024; `-` where not known."""
    if size is None:
        return "-"
    for unit in ("B", "K", "M", "G", "T"):
        if size < 1024 or unit == "T":
            return f"{size:.0f}{unit}" if unit in "BK" else f"{size:.1f}{unit}"
        size /= 1024
    raise AssertionError("not reached")


def span(seconds: float, units: int = 2) -> str:
    """Return a duration in its two largest units, or one: `42m`, `9h 36m`, `3d 4h`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == units or (parts and unit == "m"):
            break
    return " ".join(part for part in parts if part) or "0s"
