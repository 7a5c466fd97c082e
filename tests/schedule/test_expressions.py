from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_runner.clock import from_datetime, to_datetime
from etl_runner.errors import InvalidInput
from etl_runner.schedule.expressions import ScheduleExpression, parse_expression

DAY_MS = 86_400_000


def ms(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def ticks(expression: ScheduleExpression, after: str, count: int = 3) -> list[str]:
    """The next ticks on the clock of the expression's own zone, as 2026-03-29 02:30+02."""
    found = expression.between(ms(after), ms("2199-01-01"), count)
    zone = ZoneInfo(expression.timezone)
    return [f"{to_datetime(tick).astimezone(zone):%Y-%m-%d %H:%M%z}".removesuffix("00") for tick in found]


def days(text: str, after: str = "2026-02-28T12:00", count: int = 3) -> list[str]:
    return [tick[:10] for tick in ticks(parse_expression(text), after, count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 * * 0", ["2026-03-01", "2026-03-08", "2026-03-15"]),
        ("0 0 * * 7", ["2026-03-01", "2026-03-08", "2026-03-15"]),
        ("0 0 * * SUN", ["2026-03-01", "2026-03-08", "2026-03-15"]),
        ("0 0 * * 1-5", ["2026-03-02", "2026-03-03", "2026-03-04"]),
        ("0 0 * * 5-7", ["2026-03-01", "2026-03-06", "2026-03-07"]),
        ("0 0 * * sun-thu", ["2026-03-01", "2026-03-02", "2026-03-03"]),
        ("0 0 13 * *", ["2026-03-13", "2026-04-13", "2026-05-13"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 L * *", ["2026-03-31", "2026-04-30", "2026-05-31"]),
        ("0 0 LW * *", ["2026-03-31", "2026-04-30", "2026-05-29"]),
        ("0 0 * * 5L", ["2026-03-27", "2026-04-24", "2026-05-29"]),
        ("0 0 * * 1#2", ["2026-03-09", "2026-04-13", "2026-05-11"]),
        ("0 0 * JAN,JUL *", ["2026-07-01", "2026-07-02", "2026-07-03"]),
        ("@daily", ["2026-03-01", "2026-03-02", "2026-03-03"]),
        ("@weekly", ["2026-03-01", "2026-03-08", "2026-03-15"]),
        ("@Monthly", ["2026-03-01", "2026-04-01", "2026-05-01"]),
        ("@yearly", ["2027-01-01", "2028-01-01", "2029-01-01"]),
    ],
)
def test_cron_days_are_numbered_the_standard_way(text: str, expected: list[str]) -> None:
    assert days(text) == expected


def test_a_restricted_day_of_month_and_day_of_week_fire_on_either() -> None:
    assert days("0 0 13 * 5") == ["2026-03-06", "2026-03-13", "2026-03-20"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cron(0 9 ? * 1 *)", ["2026-03-01", "2026-03-08", "2026-03-15"]),
        ("cron(0 9 ? * 2-6 *)", ["2026-03-02", "2026-03-03", "2026-03-04"]),
        ("cron(0 9 ? * mon-fri *)", ["2026-03-02", "2026-03-03", "2026-03-04"]),
        ("cron(0 9 ? * FRI-MON *)", ["2026-03-01", "2026-03-02", "2026-03-06"]),
        ("cron(0 9 ? * L *)", ["2026-03-07", "2026-03-14", "2026-03-21"]),
        ("cron(0 9 ? * 6L *)", ["2026-03-27", "2026-04-24", "2026-05-29"]),
        ("cron(0 9 ? * 2#1 *)", ["2026-03-02", "2026-04-06", "2026-05-04"]),
        ("cron(0 9 L * ? *)", ["2026-03-31", "2026-04-30", "2026-05-31"]),
        ("cron(0 9 LW * ? *)", ["2026-03-31", "2026-04-30", "2026-05-29"]),
        ("cron(0 9 L-3 * ? *)", ["2026-03-28", "2026-04-27", "2026-05-28"]),
        ("cron(0 9 15W * ? *)", ["2026-03-16", "2026-04-15", "2026-05-15"]),
        ("cron(0 9 31W * ? *)", ["2026-03-31", "2026-05-29", "2026-07-31"]),
        ("cron(0 9 1/10 * ? *)", ["2026-03-01", "2026-03-11", "2026-03-21"]),
        ("cron(0 9 1 JAN,JUL ? *)", ["2026-07-01", "2027-01-01", "2027-07-01"]),
        ("cron(0  9 1 1 ?  2028,2030)", ["2028-01-01", "2030-01-01"]),
        ("cron(0 9 29 2 ? *)", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("cron(0 9 ? 2 2#5 *)", ["2044-02-29", "2072-02-29", "2112-02-29"]),
    ],
)
def test_aws_cron_has_its_own_day_numbers_and_its_l_w_and_hash(text: str, expected: list[str]) -> None:
    assert days(text) == expected


def test_the_leap_day_is_found_over_a_century_without_one() -> None:
    assert days("cron(0 0 29 2 ? *)", after="2096-03-01", count=1) == ["2104-02-29"]


def test_next_is_strictly_after_an_exact_match() -> None:
    every_quarter = parse_expression("cron(0/15 * * * ? *)")

    assert every_quarter.next_after(ms("2026-01-01T00:00")) == ms("2026-01-01T00:15")
    assert every_quarter.next_after(ms("2026-01-01T00:00") - 1) == ms("2026-01-01T00:00")


def test_a_schedule_whose_years_are_over_has_no_next() -> None:
    assert parse_expression("cron(0 0 1 1 ? 2020)").next_after(ms("2026-01-01")) is None


# What happens at the clock changes: London leaps 01:00 -> 02:00 on 2026-03-29 and falls 02:00 -> 01:00 on
# 2026-10-25, New York 02:00 -> 03:00 on 2026-03-08 and 02:00 -> 01:00 on 2026-11-01, Lord Howe by half an
# hour, Sao Paulo over midnight both ways in 2018, and Samoa left out the whole of 2011-12-30.
@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("30 1 * * *", "Europe/London", "2026-03-28T12:00", ["03-29 02:00+01", "03-30 01:30+01"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00", ["03-08 03:00-04", "03-09 02:30-04"]),
        ("30 1 * * *", "Europe/London", "2026-10-24T12:00", ["10-25 01:30+01", "10-26 01:30+00"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["11-01 01:30-04", "11-02 01:30-05"]),
        ("cron(30 1 * * ? *)", "Europe/London", "2026-03-28T12:00", ["03-29 02:00+01", "03-30 01:30+01"]),
        ("cron(30 1 * * ? *)", "Europe/London", "2026-10-24T12:00", ["10-25 01:30+01", "10-26 01:30+00"]),
        ("*/15 1 * * *", "Europe/London", "2026-03-28T12:00", ["03-29 02:00+01", "03-30 01:00+01"]),
        ("0 1-2 * * *", "Europe/London", "2026-03-28T12:00", ["03-29 02:00+01", "03-30 01:00+01"]),
        ("0 * * * *", "Europe/London", "2026-03-29T00:00", ["03-29 02:00+01", "03-29 03:00+01"]),
        ("0 * * * *", "Europe/London", "2026-10-24T23:30", ["10-25 01:00+01", "10-25 01:00+00"]),
        ("0 0-23 * * *", "Europe/London", "2026-10-24T23:30", ["10-25 01:00+01", "10-25 01:00+00"]),
        ("cron(0 0/1 * * ? *)", "Europe/London", "2026-10-24T23:30", ["10-25 01:00+01", "10-25 01:00+00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T03:00", ["10-04 02:30+11", "10-05 02:15+11"]),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00", ["11-04 01:00-02", "11-05 00:00-02"]),
        ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00", ["02-17 23:30-02", "02-18 23:30-03"]),
        ("*/30 * * * *", "America/Sao_Paulo", "2018-02-18T01:00", ["02-17 23:30-02", "02-17 23:00-03"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00", ["12-31 00:00+14", "12-31 12:00+14"]),
        ("at(2026-03-29T01:30:00)", "Europe/London", "2026-03-01", ["03-29 02:00+01"]),
        ("at(2026-10-25T01:30:00)", "Europe/London", "2026-03-01", ["10-25 01:30+01"]),
    ],
)  # fmt: skip
def test_a_jumped_time_fires_once_after_the_jump_and_a_repeated_one_the_first_time(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    found = ticks(parse_expression(text, zone), after, len(expected))

    assert [tick.removeprefix(f"{tick[:4]}-") for tick in found] == expected


@pytest.mark.parametrize("text", ["0 * * * *", "*/30 * * * *", "rate(1 hour)"])
@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "America/Sao_Paulo", "Pacific/Apia"])
def test_what_is_hourly_fires_every_real_hour_of_the_year(text: str, zone: str) -> None:
    start, end = ms("2018-01-01"), ms("2019-01-01")
    gaps = {b - a for a, b in pairwise(parse_expression(text, zone).between(start, end, 10**6))}

    assert len(gaps) == 1


def test_a_rate_counts_from_the_epoch_so_that_all_nodes_agree() -> None:
    assert ticks(parse_expression("rate(3 hours)"), "2026-01-01T00:10", 2) == [
        "2026-01-01 03:00+00",
        "2026-01-01 06:00+00",
    ]


def test_a_rate_with_a_start_fires_first_at_its_start_and_counts_from_there() -> None:
    start = ms("2026-01-01T00:10")
    rate = parse_expression("rate(1 hour)", start_ms=start)

    assert rate.next_after(ms("2020-01-01")) == start
    assert rate.next_after(start) == start + 3_600_000


def test_no_kind_fires_before_its_start() -> None:
    daily = parse_expression("0 0 * * *", start_ms=ms("2026-01-05"))

    assert ticks(daily, "2026-01-01", 1) == ["2026-01-05 00:00+00"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("30 2 * * *", "At 02:30 every day (Europe/Berlin)"),
        ("0 0 13 * 5", "At 00:00 on the 13th day of month or on Friday (Europe/Berlin)"),
        ("cron(0 4 ? * MON-FRI *)", "At 04:00 on Monday through Friday (Europe/Berlin)"),
        ("cron(0 4 ? * 2-6 2027)", "At 04:00 on Monday through Friday, in the year 2027 (Europe/Berlin)"),
        ("cron(0 9 15W * ? *)", "At 09:00, on the weekday nearest to day 15 of the month (Europe/Berlin)"),
        ("rate(1 minute)", "Every minute"),
        ("rate(10 seconds)", "Every 10 seconds"),
        ("at(2030-01-31T04:00:00)", "Once, at 2030-01-31 04:00:00 (Europe/Berlin)"),
    ],
)
def test_describe_says_it_in_words(text: str, words: str) -> None:
    assert parse_expression(text, "Europe/Berlin").describe() == words


def test_a_parsed_expression_keeps_its_text_zone_and_kind() -> None:
    found = [
        parse_expression(text).kind for text in ("0 4 * * *", "cron(0 4 * * ? *)", "rate(1 day)", "@hourly")
    ]
    parsed = parse_expression("@daily", "Asia/Tokyo")

    assert found == ["cron", "aws-cron", "rate", "cron"]
    assert (parsed.text, parsed.timezone) == ("@daily", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0 25 * * *", ["'25'", "hour", "field 2 of 5", "character 3", "0 to 23"]),
        ("0 0 * 13 *", ["'13'", "month", "field 4 of 5", "character 7"]),
        ("0  0 32 * *", ["'32'", "day-of-month", "character 6"]),
        ("0 0 * * 8", ["'8'", "day-of-week", "0 and 7 are Sunday"]),
        ("0 0 * * fri-mon", ["'FRI-MON'", "day-of-week"]),
        ("50-10 0 * * *", ["'50-10'", "runs upwards"]),
        ("0 0 1,,2 * *", ["'1,,2'", "day-of-month"]),
        ("*/0 * * * *", ["'*/0'", "minute"]),
        ("0 0 15W * *", ["'15W'", "AWS form"]),
        ("0 0 L-3 * *", ["'L-3'", "AWS form"]),
        ("0 0 ? * 1", ["'?'", "write *"]),
        ("0 0 31 2 *", ["never fires"]),
        ("0 0 30,31 2 *", ["never fires"]),
        ("* * * * * *", ["6 fields where 5 are needed", "rate(10 seconds)"]),
        ("* * *", ["3 fields where 5 are needed"]),
        ("cron(0 4 * * *)", ["5 fields where 6 are needed", "year"]),
        ("cron(0 24 * * ? *)", ["'24'", "hour", "field 2 of 6", "character 8"]),
        ("cron(0 0 ? * 0 *)", ["'0'", "day-of-week", "1 is Sunday"]),
        ("cron(0 0 ? * L-3 *)", ["'L-3'", "day-of-week"]),
        ("cron(0 0 ? * 2#6 *)", ["'2#6'", "day-of-week"]),
        ("cron(0 0 W * ? *)", ["'W'", "day-of-month"]),
        ("cron(*/0 0 * * ? *)", ["'*/0'", "minute"]),
        ("cron(? 0 * * ? *)", ["'?'", "minute"]),
        ("cron(0 0 1 1 ? 1969)", ["'1969'", "year", "1970 to 2199"]),
        ("cron(0 0 * * * *)", ["exactly one of the two must be ?"]),
        ("cron(0 0 ? * ? *)", ["exactly one of the two must be ?"]),
        ("cron(0 0 31W 2 ? *)", ["never fires"]),
        ("cron(0 0 31 2 ? *)", ["never fires"]),
        ("cron(0 0 29 2 ? 2026)", ["never fires"]),
        ("cron(0 0 L-30 2 ? *)", ["never fires"]),
        ("cron(0 0 1 1 ? *", ["closing bracket"]),
        ("rate(1 minutes)", ["'minutes'", "rate(1 minute)"]),
        ("rate(5 minute)", ["'minute'", "rate(5 minutes)"]),
        ("rate(0 minutes)", ["'0'", "whole number from 1"]),
        ("rate(-1 minutes)", ["'-1'", "whole number from 1"]),
        ("rate(1.5 hours)", ["'1.5'"]),
        ("rate(5 months)", ["'months'", "seconds, minutes"]),
        ("rate(5)", ["a number and a unit"]),
        ("rate(99999999 weeks)", ["hundred years"]),
        ("at(2026-02-30T00:00:00)", ["'2026-02-30T00:00:00'"]),
        ("at(2026-02-03)", ["'2026-02-03'", "at(2030-01-31T04:00:00)"]),
        ("at(2026-02-03T00:00:00Z)", ["own time zone"]),
        ("@reboot", ["'@reboot'", "@daily"]),
        ("Rate(5 minutes)", ["no schedule expression"]),
        ("tomorrow", ["'tomorrow'", "no schedule expression"]),
        ("", ["no schedule expression"]),
        ("0 4 * * " + "1," * 200, ["the most is 256"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_field_and_remedy(text: str, parts: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_expression(text)

    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("Mars/Olympus", "IANA"),
        ("", "IANA"),
        ("../etc/passwd", "IANA"),
        ("right/UTC", "UTC"),
        ("America", "time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_names_like_it(zone: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match="no time zone") as caught:
        parse_expression("0 0 * * *", zone)

    assert hint in str(caught.value)


_field = st.sampled_from
EXPRESSIONS = st.one_of(
    st.builds(
        "{} {} {} {} {}".format,
        _field(["0", "*", "*/7", "5,50", "30"]),
        _field(["*", "0", "1", "2", "*/5", "1-3", "23"]),
        _field(["*", "1", "29", "L", "*/9"]),
        _field(["*", "3", "10,11", "2"]),
        _field(["*", "0", "7", "1-5", "5L", "1#1"]),
    ),
    st.builds(
        "cron({} {} {} {} ? *)".format,
        _field(["0", "*", "0/25"]),
        _field(["*", "1", "2", "0/3"]),
        _field(["*", "L", "LW", "1W", "L-2"]),
        _field(["*", "3", "OCT-NOV"]),
    ),
    st.builds("rate({} {})".format, st.integers(2, 5000), _field(["minutes", "hours", "days"])),
)
ZONES = _field(
    ["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]
)
MOMENTS = st.integers(ms("2005-01-01"), ms("2035-01-01"))


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_next_after_rises_and_between_is_next_after_repeated(text: str, zone: str, after: int) -> None:
    expression = parse_expression(text, zone)
    one_by_one: list[int] = []
    tick = expression.next_after(after)
    while tick is not None and len(one_by_one) < 30:
        assert tick > (one_by_one[-1] if one_by_one else after)
        one_by_one.append(tick)
        tick = expression.next_after(tick)

    assert expression.between(after, one_by_one[-1], 10**6) == one_by_one
    assert expression.between(after, one_by_one[-1], 7) == one_by_one[:7]


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS, st.integers(0, 40 * DAY_MS), st.integers(0, 40 * DAY_MS))
def test_an_interval_split_in_two_has_the_same_ticks(
    text: str, zone: str, after: int, first: int, second: int
) -> None:
    expression = parse_expression(text, zone)
    middle, end = after + first, after + first + second
    split = expression.between(after, middle, 10**6) + expression.between(middle, end, 10**6)

    assert split == expression.between(after, end, 10**6)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, MOMENTS)
def test_in_utc_every_tick_is_a_whole_minute_of_its_own_clock(text: str, after: int) -> None:
    found = parse_expression(text).between(after, after + 5 * DAY_MS, 50)

    assert [tick for tick in found if tick % 60_000] == []


CHANGES = {
    "Europe/London": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/Sao_Paulo": ["2018-02-18", "2018-11-04"],
    "Pacific/Apia": ["2011-12-30"],
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],
}


def walls(zone: str, middle: str) -> list[tuple[str, int]]:
    """Each minute of five days as the clock of the zone shows it, with its moment."""
    start = ms(middle) - 2 * DAY_MS
    moments = range(start, start + 5 * DAY_MS, 60_000)
    return [(f"{to_datetime(each).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}", each) for each in moments]


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, found in CHANGES.items() for day in found])
def test_looking_at_every_minute_gives_the_same_ticks(zone: str, day: str) -> None:
    shown = walls(zone, day)
    first_of: dict[str, int] = {}
    for wall, moment in shown:
        first_of.setdefault(wall, moment)
    start, end = shown[0][1], shown[-1][1]
    dates = [f"{to_datetime(ms(day) + offset * DAY_MS):%Y-%m-%d}" for offset in (-1, 0, 1)]
    for minute in range(0, 24 * 60, 75):
        wanted = [f"{date} {minute // 60:02}:{minute % 60:02}" for date in dates]
        daily = sorted(
            {first_of.get(wall) or next(at for later, at in shown if later > wall) for wall in wanted}
        )
        hourly = [at for wall, at in shown if wall.endswith(f":{minute % 60:02}")]
        at_time = parse_expression(f"{minute % 60} {minute // 60} * * *", zone)
        each_hour = parse_expression(f"{minute % 60} * * * *", zone)

        assert at_time.between(daily[0] - 1, daily[-1], 10**6) == daily
        assert each_hour.between(start - 1, end, 10**6) == hourly


def test_a_year_of_fifty_schedules_takes_about_a_second() -> None:
    texts = ["0 * * * *", "*/15 * * * *", "0 4 * * *", "cron(0 4 ? * MON-FRI *)", "30 2 1 * *"]
    texts += [
        "cron(0/30 8-18 * * ? *)",
        "rate(5 minutes)",
        "0 9 * * 1-5",
        "cron(0 6 L * ? *)",
        "0 0 1,15 * 5",
    ]
    zones = ["Europe/Berlin", "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    expressions = [parse_expression(text, zone) for text in texts for zone in zones]
    began = process_time()
    count = sum(len(each.between(ms("2026-01-01"), ms("2027-01-01"), 10**6)) for each in expressions)

    assert count > 700_000
    assert process_time() - began < 5  # of processor time; 0.4 s was measured


def test_a_night_far_away_in_time_neither_crashes_nor_fires() -> None:
    daily = parse_expression("0 0 * * *", "Europe/Berlin")

    assert daily.next_after(10**18) is None
    assert daily.next_after(-(10**18)) == from_datetime(
        datetime(1900, 1, 1, tzinfo=UTC) + timedelta(hours=23)
    )
