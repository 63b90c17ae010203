"""core/units.py: durations, sizes, numbers and times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("60s", 60),
        ("30m", 1800),
        ("48h", 172800),
        ("7d", 604800),
        ("1w", 604800),
        ("1d12h", 129600),
        ("1h30m5s", 5405),
    ],
)
def test_duration_reads(text: str, seconds: int) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("48", "'48' has no unit, write 48h"),
        ("0", "write 0h"),
        ("1.5h", "is not a duration"),
        ("-1h", "is not a duration"),
        ("", "is not a duration"),
        ("32g", "is not a duration"),
        ("48H", "is not a duration"),
        ("30m1h", "largest unit first"),
        ("1h1h", "largest unit first"),
        ("١h", "is not a duration"),
        ("48h\n", "is not a duration"),
        ("99999d", "write null for unlimited"),
        ("9" * 5000 + "s", "write null for unlimited"),
    ],
)
def test_duration_refuses(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        units.parse_duration(text)


@given(st.integers(0, 10**9))
def test_duration_round_trip(seconds: int) -> None:
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100b", 100),
        ("1k", 1024),
        ("512m", 512 << 20),
        ("512M", 512 << 20),
        ("32g", 32 << 30),
        ("32gb", 32 << 30),
        ("32GiB", 32 << 30),
        ("1.5g", 3 << 29),
        ("2t", 2 << 40),
    ],
)
def test_size_reads(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "g",
        "32gg",
        "32 g",
        "-1g",
        "1e3m",
        "32x",
        "32bb",
        "32ib",
        ".5g",
        "9" * 99 + "t",
    ],
)
def test_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|too large"):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["32", "1.5", "0", "-1"])
def test_size_without_unit_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no unit, write [\d.]+g"):
        units.parse_size(text)


@given(st.integers(0, 1 << 60))
def test_size_round_trip(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


@pytest.mark.parametrize("text", ["012", "0x10", "1_000", "1.0", "-1", "+1", "", "²"])
def test_whole_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        units.parse_whole(text)


@pytest.mark.parametrize("text", ["nan", "inf", ".inf", "1e9", "-0.5", "1.", "", "01"])
def test_number_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        units.parse_number(text)


@given(st.integers(0, 10**12 - 1), st.integers(0, 999))
def test_number_round_trip(whole: int, thousandths: int) -> None:
    text = units.format_number(whole // 1000 + thousandths / 1000)
    assert units.format_number(units.parse_number(text)) == text


def test_time_is_utc() -> None:
    moment = datetime(2026, 12, 10, 8, tzinfo=timezone.utc)
    assert units.parse_time("2026-12-10T08:00Z") == moment
    assert units.parse_time("2026-12-10T08:00:00Z") == moment
    assert units.parse_time("2026-12-10T08:00:00.123456789Z") == moment
    assert units.parse_time("2026-12-10") == moment - timedelta(hours=8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-12-10T08:00", "not a time in UTC"),
        ("2026-12-10 08:00", "not a time in UTC"),
        ("2026-12-10T08:00+01:00", "not a time in UTC"),
        ("10.12.2026", "write 2026-12-10"),
        ("2026-13-01", "month must be in 1..12"),
        ("2026-02-30", "day"),
        ("tomorrow", "write 2026-12-10"),
    ],
)
def test_time_refuses(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        units.parse_time(text)


def test_one_is_singular() -> None:
    assert units.counted(1, "GPU") == units.counted("1", "GPU") == "1 GPU"
    assert units.counted(0, "GPU") == "0 GPUs"
    assert units.counted("0.5", "CPU") == "0.5 CPUs"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)))
def test_time_round_trip(naive: datetime) -> None:
    moment = naive.replace(microsecond=0, tzinfo=timezone.utc)
    assert units.parse_time(units.format_time(moment)) == moment


def test_stamp_has_milliseconds_and_z() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=timezone(timedelta(hours=2)))
    assert units.utc_stamp(moment) == "2026-01-02T01:04:05.006Z"
