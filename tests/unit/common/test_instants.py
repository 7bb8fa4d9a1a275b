"""Instants have an offset, and days turn at 24:00 in UTC+8."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from services.common import instants
from services.common.instants import Instant

INSTANTS = st.integers(-(10**15), 4 * 10**15).map(Instant)


@given(INSTANTS)
def test_every_form_of_an_instant_is_the_same_instant(instant):
    """Timestamp, datetime and text, there and back, to the microsecond, also before 1970."""
    assert instant == instants.from_timestamp(instants.to_timestamp(instant))
    assert instant == instants.from_datetime(instants.to_datetime(instant))
    assert instant == instants.parse_rfc3339(instants.format_rfc3339(instant))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001
def test_an_offset_names_the_instant_not_the_clock_face(naive, minutes):
    """The same instant under any offset is one instant; without an offset it is none."""
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instants.from_datetime(moment) == instants.from_datetime(moment.astimezone(UTC))
    with pytest.raises(ValueError, match="offset"):
        instants.from_datetime(naive)


@pytest.mark.parametrize(
    "text",
    [
        "2022-08-05T13:20:00",
        "2022-08-05 13:20:00+08:00",
        "2022-08-05",
        "",
        "20220805",
        "2022-08-05T25:00:00+08:00",
        "now",
    ],
)
def test_what_is_no_rfc_3339_instant_is_an_error(text):
    """Above all a text without an offset: it is never silently UTC."""
    with pytest.raises(ValueError, match=r".+"):
        instants.parse_rfc3339(text)


def test_texts_are_in_utc_plus_8():
    """As people in China read them."""
    instant = instants.parse_rfc3339("2022-08-05T05:20:00Z")
    assert "2022-08-05T13:20:00+08:00" == instants.format_rfc3339(instant)
    assert "2022-08-05T13:20:00.000001+08:00" == instants.format_rfc3339(Instant(instant + 1))
    assert Timestamp(seconds=1_659_676_800) == instants.to_timestamp(instant)


def test_nanoseconds_are_rounded_down():
    """An instant is never later than what was said."""
    assert 1_000_001 == instants.from_timestamp(Timestamp(seconds=1, nanos=1_999))


def test_a_day_turns_at_24_00_in_utc_plus_8():
    """One microsecond before midnight it is still the day before."""
    midnight = instants.parse_rfc3339("2022-08-05T00:00:00+08:00")
    day = instants.calendar_day(midnight)
    assert (day - 1, day, day, day + 1) == tuple(
        instants.calendar_day(Instant(midnight + shift)) for shift in (-1, 0, instants.DAY - 1, instants.DAY)
    )
    assert (datetime(2022, 8, 5) - datetime(1970, 1, 1)).days == day  # noqa: DTZ001


@given(INSTANTS)
def test_an_instant_is_the_start_of_its_day_and_its_time_of_day(instant):
    """And its day is the one a calendar of UTC+8 shows."""
    day = instants.calendar_day(instant)
    assert instant == instants.start_of_day(day) + instants.time_of_day(instant)
    assert 0 <= instants.time_of_day(instant) < instants.DAY
    assert instants.to_datetime(instants.start_of_day(day)).date() == instants.to_datetime(instant).date()


@pytest.mark.parametrize(
    "text", ["20220805T132000+0800", "2022-W31-5T10:00:00+08:00", "2022-08-05T13+08", "2022-08-05T13:20:00+08:00:30"]
)
def test_other_forms_of_iso_8601_are_not_rfc_3339(text):
    """What two readers might read differently is refused."""
    with pytest.raises(ValueError, match="RFC 3339"):
        instants.parse_rfc3339(text)


def test_rfc_3339_does_not_mind_the_case():
    """Section 5.6: T and Z may be lower case."""
    assert instants.parse_rfc3339("2022-08-05T05:20:00Z") == instants.parse_rfc3339("2022-08-05t05:20:00z")
