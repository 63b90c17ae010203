"""Durations, sizes, times and numbers as the configuration files write them.

Pure functions: text in, a plain value out. What is wrong is said by ValueError, whose
text is ready to be shown after a key path ("'48' has no unit, write 48h").
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {"t": 1 << 40, "g": 1 << 30, "m": 1 << 20, "k": 1 << 10, "b": 1}

_DURATION = re.compile(r"(?:\d+[wdhms])+", re.ASCII)
_SIZE = re.compile(
    r"(?P<whole>\d+)(?:\.(?P<part>\d{1,6}))?(?P<unit>[kmgt](?=i?b?$)|b$)(?:i?b)?",
    re.ASCII | re.IGNORECASE,
)
_BARE = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_WHOLE = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_NUMBER = re.compile(r"(?:0|[1-9]\d{0,11})(?:\.\d{1,9})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?Z)?", re.ASCII
)
# A century: what is longer is a slip of the keyboard, and would overflow times.
_LONGEST = 100 * 366 * 86400
_LARGEST = 1 << 60


def parse_duration(text: str) -> int:
    """Return the seconds of `30m`, `48h`, `7d` or `1d12h`; the unit is mandatory."""
    if _BARE.fullmatch(text):
        raise ValueError(f"'{text}' has no unit, write {text.lstrip('+-')}h")
    if not _DURATION.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a duration, write for example 30m, 48h or 7d"
        )
    units = re.findall(r"[wdhms]", text)
    if units != sorted(set(units), key="wdhms".index):
        raise ValueError(f"'{text}' is not a duration, write its largest unit first")
    parts = re.findall(r"(\d+)([wdhms])", text)
    seconds = sum(int(count[:15]) * _SECONDS[unit] for count, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(f"'{text}' is longer than a century, write null for unlimited")
    return seconds


def format_duration(seconds: int) -> str:
    """Return the shortest text that parse_duration reads back as `seconds`."""
    if seconds == 0:
        return "0s"
    text = ""
    # Weeks are read but not written: 168h is better known as 7d than as 1w.
    for unit in "dhms":
        count, seconds = divmod(seconds, _SECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def parse_size(text: str) -> int:
    """Return the bytes of `512m`, `32g` or `1.5t`, binary as Docker counts them."""
    if _BARE.fullmatch(text):
        raise ValueError(f"'{text}' has no unit, write {text.lstrip('+-')}g")
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}' is not a size, write for example 512m or 32g")
    unit = _BYTES[match["unit"].lower()]
    part: str = match["part"] or ""
    size: int = int(match["whole"][:19]) * unit + int(part or 0) * unit // int(
        "1" + "0" * len(part)
    )
    if size > _LARGEST:
        raise ValueError(f"'{text}' is too large, write null for unlimited")
    return size


def format_size(size: int) -> str:
    """Return the shortest text that parse_size reads back as exactly `size` bytes."""
    for unit, factor in _BYTES.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return "0b"


def parse_whole(text: str) -> int:
    """Return a whole number that is not negative; no octal, hexadecimal or `1_000`."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"'{text}' is not a whole number")
    return int(text)


def parse_number(text: str) -> float:
    """Return a number that is not negative; no exponents, infinity or `nan`."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"'{text}' is not a number")
    return float(text)


def format_number(number: float) -> str:
    """Return a number without needless decimals: 16, 0.5, 0.142857143."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def counted(number: str | int, noun: str) -> str:
    """Return a number and its noun: `1 GPU`, `2 GPUs`, `0.5 GPUs`."""
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def parse_time(text: str) -> datetime:
    """Return the moment of `2026-12-10T08:00Z`; a date alone is its first moment, UTC.

    Local times and offsets are refused, because two readers would differ by hours.
    """
    match = _TIME.fullmatch(text)
    if not match:
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
            raise ValueError(
                f"'{text}' is not a time in UTC, write for example 2026-12-10T08:00Z"
            )
        raise ValueError(
            f"'{text}' is not a time, write 2026-12-10 or 2026-12-10T08:00Z (UTC)"
        )
    try:
        numbers = [int(part or 0) for part in match.groups()]
        return datetime(*numbers, tzinfo=timezone.utc)  # type: ignore[arg-type,misc]
    except ValueError as error:
        raise ValueError(f"'{text}' is not a time: {error}") from error


def format_time(moment: datetime) -> str:
    """Return a moment in UTC, as short as it can be read back to the second."""
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if text.endswith("T00:00:00Z"):
        return text[:-10]
    return text[:-4] + "Z" if text.endswith(":00Z") else text


def utc_stamp(moment: datetime | None = None) -> str:
    """Return a moment, now by default, as UTC ISO 8601 with milliseconds and `Z`."""
    moment = moment or datetime.now(timezone.utc)
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def read_stamp(text: object) -> datetime:
    """Return the moment of a stamp that utc_stamp wrote; raises ValueError."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a text")
    # Python 3.10 does not read the Z.
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone")
    return moment
