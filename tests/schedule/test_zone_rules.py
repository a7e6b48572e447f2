"""Zone rules come from the pinned package, and are read exactly."""

from __future__ import annotations

import random
import struct
import zoneinfo
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import tzdata

from cronbell.errors import ScheduleError
from cronbell.schedule import zones
from cronbell.schedule.zones import CYCLE, Reach

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR = 365 * 86_400


def offset_at(table: zones.Stretches, instant: int) -> int:
    time, _ = table.fold(instant)
    return table.offsets[bisect_right(table.starts, time) - 1]


def oracle_offset(zone: zoneinfo.ZoneInfo, instant: int) -> float:
    local = (EPOCH + timedelta(seconds=instant)).astimezone(zone)
    return local.utcoffset().total_seconds()


@pytest.mark.parametrize("name", sorted(zones.zone_names()))
def test_offsets_are_those_of_zoneinfo_at_every_change_and_between(name):
    table = zones.stretches(name, Reach.NONE, Reach.NONE)
    zone = zones.zone_info(name)
    chance = random.Random(name)
    instants = [chance.randrange(-200 * YEAR, 8000 * YEAR) for _ in range(20)]
    for start in {*table.starts[1:-1:29], *table.starts[1:-1][-20:]}:
        instants += [start - 1, start, start + 1]
    for instant in instants:
        assert offset_at(table, instant) == oracle_offset(zone, instant), instant


def test_rules_come_from_the_package_and_not_from_the_system():
    # Morocco left +01 on 2026-09-20; copies older than 2026c still say +01 here.
    instant = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp())
    table = zones.stretches("Africa/Casablanca", Reach.NONE, Reach.NONE)
    assert offset_at(table, instant) == 0
    assert zones.tzdata_version() == tzdata.IANA_VERSION


def test_a_stale_system_copy_is_never_read(tmp_path, monkeypatch):
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia" / "Seoul").write_bytes(zones._read("Pacific/Apia"))
    monkeypatch.setattr(zoneinfo, "TZPATH", zoneinfo.TZPATH)
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    try:
        zoneinfo.ZoneInfo.clear_cache()
        zones.load_zone.cache_clear()
        zones.zone_info.cache_clear()
        # The sabotage works: whoever asks zoneinfo gets the wrong rules …
        assert oracle_offset(zoneinfo.ZoneInfo("Asia/Seoul"), 0) != 9 * 3600
        # … and we do not ask it,
        assert zones.load_zone("Asia/Seoul").offsets[-1] == 9 * 3600
        assert oracle_offset(zones.zone_info("Asia/Seoul"), 0) == 9 * 3600
        # nor does anybody else in this process once it is pinned.
        zones.pin_zoneinfo()
        assert oracle_offset(zoneinfo.ZoneInfo("Asia/Seoul"), 0) == 9 * 3600
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Asia/Soul", "did you mean Asia/Seoul?"),
        ("asia/seoul", "did you mean Asia/Seoul?"),
        ("Seoul", "did you mean Asia/Seoul?"),
        ("new york", "did you mean America/New_York?"),
        ("EST5EDT6", "did you mean EST5EDT?"),
        ("", "use an IANA name"),
        ("../../etc/passwd", "use an IANA name"),
        ("/etc/localtime", "use an IANA name"),
        ("UTC\0", "did you mean UTC?"),
        ("서울", "use an IANA name"),
        ("A" * 100_000, "use an IANA name"),
    ],
)
def test_unknown_zone_is_refused_with_what_was_probably_meant(name, hint):
    with pytest.raises(ScheduleError) as caught:
        zones.load_zone(name)
    assert caught.value.field == "timezone"
    assert hint in caught.value.hint
    assert len(caught.value.message) < 150


def compiled(footer):
    header = struct.pack(">4s1s15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    block = struct.pack(">lbb", 0, 0, 0) + b"LMT\0"
    return header + block + header + block + b"\n" + footer.encode() + b"\n"


@pytest.mark.parametrize(
    "footer",
    [
        "EST5EDT,M3.2.0,M11.1.0",
        "EST5EDT,J60/2,J300/2:30:15",
        "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
        "AAA0BBB-2,M10.1.3/26,M4.5.6/50",
    ],
)
def test_every_form_of_lasting_rule_is_read_as_zoneinfo_reads_it(footer, monkeypatch):
    data = compiled(footer)
    zone = zoneinfo.ZoneInfo.from_file(BytesIO(data))
    monkeypatch.setattr(zones, "_read", lambda _name: data)
    zones.load_zone.cache_clear()
    table = zones.stretches.__wrapped__("test", Reach.NONE, Reach.NONE)
    zones.load_zone.cache_clear()
    starts = [start for start in table.starts[1:-1] if start > 2 * YEAR]
    assert len(starts) > 700
    for start in starts:
        for instant in (start - 1, start, start + 5 * CYCLE - 1, start + 5 * CYCLE):
            assert offset_at(table, instant) == oracle_offset(zone, instant), instant


def test_a_rule_by_day_of_year_counts_from_zero_as_posix_says():
    # zoneinfo of CPython 3.11 is a day early here, so it cannot be the judge.
    first, second = zones._yearly_changes("AAA-3BBB,59/0,299", 1972)[:2]
    assert first == (int(datetime(1972, 2, 28, 21, tzinfo=UTC).timestamp()), 4 * 3600)
    assert second == (int(datetime(1972, 10, 25, 22, tzinfo=UTC).timestamp()), 3 * 3600)
