"""usage/days.py: used GPU time per user and hour."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.paths import Paths
from ds01.usage.days import Sample, Use, folder_of, hours_between, note, read, use_of

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("etc", "state", "log"):
        (tmp_path / name).mkdir()
    return Paths(tmp_path / "etc", tmp_path / "state", tmp_path / "log")


def sample(begin: datetime, seconds: float, **fields: object) -> Sample:
    given = {"uid": 1001, "user": "alice", "share": 1.0, "used": 0.5, "idle": False}
    end = begin + timedelta(seconds=seconds)
    return Sample(begin=begin, end=end, **{**given, **fields})  # type: ignore[arg-type]


def total(
    paths: Paths, begin: datetime = NOON, hours: float = 24, uid: int = 1001
) -> Use:
    found = Use()
    for who, _, use in read(paths, begin, begin + timedelta(hours=hours)):
        if who == uid:
            found += use
    return found


def test_samples_add_up_over_passes(paths: Paths) -> None:
    for minute in range(10):
        note(paths, [sample(NOON + timedelta(minutes=minute), 60)], NOON)
    assert total(paths) == Use(600, 300, 600, 0)


def test_a_share_and_its_idle_time_count(paths: Paths) -> None:
    note(paths, [sample(NOON, 70, share=1 / 7, used=0.0, idle=True)], NOON)
    found = total(paths)
    assert found.measured == pytest.approx(10, abs=0.01)
    assert found.used == 0
    assert found.idle == pytest.approx(10, abs=0.01)


def test_unknown_is_in_no_figure(paths: Paths) -> None:
    note(paths, [sample(NOON, 60, used=None, idle=None)], NOON)
    assert not folder_of(paths).exists()
    note(paths, [sample(NOON, 60, used=None)], NOON)
    assert total(paths) == Use(0, 0, 60, 0)


@pytest.mark.parametrize("seconds", [0, -60, 901])
def test_time_that_nobody_watched_is_unknown(seconds: float) -> None:
    assert use_of(sample(NOON, seconds)) == Use()


def test_midnight_splits_a_sample_between_two_documents(paths: Paths) -> None:
    begin = datetime(2026, 11, 24, 23, 55, tzinfo=timezone.utc)
    note(paths, [sample(begin, 600, used=1.0)], begin)
    assert sorted(path.name for path in folder_of(paths).iterdir()) == [
        "2026-11-24.json",
        "2026-11-25.json",
    ]
    assert total(paths, begin - timedelta(hours=1), 4).used == pytest.approx(600)
    assert total(paths, begin, 5 / 60).used < 600


def test_a_broken_document_is_set_aside_and_the_next_sample_counts(
    paths: Paths,
) -> None:
    note(paths, [sample(NOON, 60)], NOON)
    path = folder_of(paths) / "2026-11-24.json"
    path.write_text('{"users": ', encoding="utf-8")
    assert list(read(paths, NOON, NOON + timedelta(hours=1))) == []
    note(paths, [sample(NOON, 30)], NOON)
    assert total(paths).measured == pytest.approx(30)
    assert list(folder_of(paths).glob("*.corrupt-*"))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"users": []}',
        '{"users": {"x": 1, "7": {"hours": {"99": [1, 1, 1, 1], "3": [1]}}}}',
        '{"users": {"7": {"hours": {"12": ["a", 1, 1, -1]}}}}',
    ],
)
def test_strange_documents_add_nothing(paths: Paths, text: str) -> None:
    folder_of(paths).mkdir()
    (folder_of(paths) / "2026-11-24.json").write_text(text, encoding="utf-8")
    assert total(paths, uid=7) == Use()


def test_old_days_are_forgotten_when_a_day_begins(paths: Paths) -> None:
    long_ago = NOON - timedelta(days=500)
    note(paths, [sample(long_ago, 60)], long_ago)
    note(paths, [sample(NOON, 60)], NOON)
    assert [path.name for path in folder_of(paths).iterdir()] == ["2026-11-24.json"]


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)).map(
    lambda moment: moment.replace(tzinfo=timezone.utc)
)


@given(MOMENTS, st.floats(0.001, 86400 * 3))
def test_the_parts_of_the_hours_are_the_whole(begin: datetime, seconds: float) -> None:
    end = begin + timedelta(seconds=seconds)
    parts = list(hours_between(begin, end))
    if end > begin:
        assert sum(part for _, part in parts) == pytest.approx(1)
    assert all(hour.minute == 0 and part > 0 for hour, part in parts)
