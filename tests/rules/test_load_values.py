"""A cell becomes the one value it can mean, exactly, or the row is held back with the reason."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tenure.errors import BadFile, BadInput, UnknownCurrency, UnknownName, UnknownZone
from tests.rules.load_shop import NOW, Shop, at
from tests.rules.load_shop import shop as shop

HEAD = "subscription_id,customer_id,amount,currency,interval,started_at"


def spans(*rows: str) -> str:
    return "\n".join([HEAD, *rows])


def test_amounts_in_major_units_become_minor_units_exactly(shop: Shop) -> None:
    cases = {
        "12.34,USD": 1234,
        "12,USD": 1200,
        "12.3,usd": 1230,
        "0,EUR": 0,
        "29.850000,EUR": 2985,
        ".5,EUR": 50,
        "+7,EUR": 700,
        "1234,JPY": 1234,
        "1234.000,JPY": 1234,
        "1.234,KWD": 1234,
        "90071992547.41,USD": 9007199254741,  # 2^53 + ...: no float on the way
        " 8.15 ,USD": 815,
    }
    rows = [f's{i},c{i},"{case.split(",")[0]}",{case.split(",")[1]},month,2026-01-01' for i, case in enumerate(cases)]
    report = shop.load("subscriptions", spans(*rows))
    assert report.quarantined == 1 and shop.reasons(report)[12][1].startswith("is worth more than")
    wanted = {f"s{i}": minor for i, minor in enumerate(cases.values()) if minor < 9e12}
    assert dict(shop.rows("subscription_spans", "subscription_id, amount_minor")) == wanted


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        ("12.345", "USD", "is finer than the currency's minor unit"),
        ("0.5", "JPY", "is finer than the currency's minor unit"),
        ("1.2345", "KWD", "is finer than the currency's minor unit"),
        ("29.850000000000001", "EUR", "is finer than the currency's minor unit"),
        ("NaN", "USD", "is not an amount"),
        ("inf", "USD", "is not an amount"),
        ("-Infinity", "USD", "is not an amount"),
        ('"1,234.50"', "USD", "is not an amount"),
        ("$5", "USD", "is not an amount"),
        ("1e3", "USD", "is not an amount"),
        ("1_000", "USD", "is not an amount"),
        ("-1", "USD", "is negative"),
        ("900000000000.01", "USD", "is worth more than"),
        ("99999999999999999999", "USD", "is too large"),
        ("", "USD", "is missing, though the item is billed"),
        ("5", "XYZ", "is not an ISO 4217 currency code"),
        ("5", "", "has no currency"),
    ],
)
def test_an_amount_that_cannot_be_held_exactly_is_held_back(
    shop: Shop, amount: str, currency: str, reason: str
) -> None:
    report = shop.load(
        "subscriptions", spans(f"s,c,{amount},{currency},month,2026-01-01", "t,c,1,USD,month,2026-01-01")
    )
    assert (report.loaded, report.quarantined) == (1, 1)
    assert shop.reasons(report)[2][1].startswith(reason)
    assert report.reasons[0].first_line == 2


def test_a_limit_of_monthly_value_looks_at_the_interval(shop: Shop) -> None:
    # 9e12 minor units a month at most: 1.2e13 a year is 1e12 a month, 4e11 a day is 1.2e13 a month.
    report = shop.load(
        "subscriptions",
        """
        subscription_id,customer_id,amount_minor,currency,interval,interval_count,started_at
        year,c,12000000000000,IDR,year,1,2026-01-01
        day,c,400000000000,IDR,day,1,2026-01-01
        days,c,400000000000,IDR,day,2,2026-01-01
        """,
    )
    assert [row[0] for row in shop.rows("subscription_spans", "subscription_id")] == ["days", "year"]
    assert list(shop.reasons(report)) == [3]


def test_words_are_read_in_the_usual_spellings(shop: Shop) -> None:
    shop.load(
        "subscriptions",
        """
        subscription_id,customer_id,amount,currency,interval,status,is_metered,started_at,ended_at
        a,c,1,USD,Monthly,ACTIVE,no,2026-01-01,
        b,c,1,USD,annual,cancelled,False,2026-01-01,2026-02-01
        c,c,,USD,quarterly,trial,Yes,2026-01-01,
        """,
    )
    assert shop.rows("subscription_spans", 'subscription_id, "interval", status, is_metered') == [
        ("a", "month", "active", False),
        ("b", "year", "canceled", False),
        ("c", "quarter", "trialing", True),
    ]


def test_whole_numbers_may_be_written_as_floats_but_not_be_fractions(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        """
        subscription_id,customer_id,amount_minor,currency,interval,quantity,started_at
        a,c,100.0,USD,month,3.0,2026-01-01
        b,c,100,USD,month,007,2026-01-01
        c,c,100.5,USD,month,1,2026-01-01
        d,c,100,USD,month,0x10,2026-01-01
        e,c,100,USD,month,1_0,2026-01-01
        f,c,100,USD,month,-2,2026-01-01
        """,
    )
    assert shop.rows("subscription_spans", "subscription_id, quantity") == [("a", 3), ("b", 7)]
    assert {line: reason for line, (_, reason) in shop.reasons(report).items()} == {
        4: "is not a whole number of minor units",
        5: "is not a whole number",
        6: "is not a whole number",
        7: "is negative",
    }


def test_times_are_read_in_the_usual_spellings(shop: Shop) -> None:
    cases = {
        "2026-01-31": "2026-01-31",
        "20260131": "2026-01-31",
        "2026/01/31": "2026-01-31",
        "2026-01-31 17:30": "2026-01-31 17:30",
        "2026-01-31T17:30:15": "2026-01-31 17:30:15",
        "2026-01-31 17:30:15.250": "2026-01-31 17:30:15.250",
        "2026-01-31T17:30:15Z": "2026-01-31 17:30:15",
        "2026-01-31T17:30:15+07:00": "2026-01-31 10:30:15",
        "2026-01-31 17:30:15 +0700": "2026-01-31 10:30:15",
        "2026-01-31 17:30:15-05": "2026-01-31 22:30:15",
        "20260131T173015Z": "2026-01-31 17:30:15",
        "1769880615": "2026-01-31 17:30:15",
        "1769880615250": "2026-01-31 17:30:15.250",
        " 2026-01-31 ": "2026-01-31",
    }
    rows = [f"s{i:02},c,1,USD,month,{case}" for i, case in enumerate(cases)]
    assert shop.load("subscriptions", spans(*rows)).quarantined == 0
    found = dict(shop.rows("subscription_spans", "subscription_id, started_at"))
    assert {case: found[f"s{i:02}"] for i, case in enumerate(cases)} == {
        case: at(instant) for case, instant in cases.items()
    }


@pytest.mark.parametrize(
    "time",
    [
        "31/01/2026",
        "01-31-2026",
        "yesterday",
        "epoch",
        "infinity",
        "-infinity",
        "2026-02-30",
        "2026-13-01",
        "12:30",
        "42",
    ],
)
def test_what_is_no_time_is_held_back(shop: Shop, time: str) -> None:
    report = shop.load("subscriptions", spans(f"s,c,1,USD,month,{time}"))
    assert shop.reasons(report) == {2: ("started_at", "is not a time; write it like 2026-01-31 17:30")}


@pytest.mark.parametrize("time", ["0001-01-01", "1899-12-31", "2201-01-01", "9999-12-31", "0001-01-01T00:00:00Z"])
def test_years_outside_1900_to_2200_are_held_back(shop: Shop, time: str) -> None:
    report = shop.load("subscriptions", spans(f"s,c,1,USD,month,{time}", "t,c,1,USD,month,1900-01-01"))
    assert shop.reasons(report) == {2: ("started_at", "is outside the years 1900 to 2200")}


def test_an_end_in_the_year_9999_is_no_end_and_the_report_says_so(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        """
        subscription_id,customer_id,amount,currency,interval,started_at,ended_at
        a,c,1,USD,month,2026-01-01,9999-12-31
        b,c,1,USD,month,2026-01-01,9999-12-31 23:59:59
        c,c,1,USD,month,2026-01-01,2026-02-01
        """,
    )
    assert shop.rows("subscription_spans", "subscription_id, ended_at") == [
        ("a", None),
        ("b", None),
        ("c", at("2026-02-01")),
    ]
    assert any("9999-12-31" in note for note in report.notes)


def test_naive_times_are_in_the_given_zone_and_offsets_count_each_by_its_own(shop: Shop) -> None:
    shop.load(
        "subscriptions",
        spans(
            "day,c,1,USD,month,2026-01-01",
            "naive,c,1,USD,month,2026-01-01 08:00",
            "offset,c,1,USD,month,2026-01-01 08:00+00:00",
            "zulu,c,1,USD,month,2026-01-01T08:00:00Z",
            "epoch,c,1,USD,month,1767254400",
        ),
        timezone="Asia/Bangkok",
    )
    assert dict(shop.rows("subscription_spans", "subscription_id, started_at")) == {
        "day": at("2025-12-31 17:00"),
        "naive": at("2026-01-01 01:00"),
        "offset": at("2026-01-01 08:00"),
        "zulu": at("2026-01-01 08:00"),
        "epoch": at("2026-01-01 08:00"),
    }


def test_a_time_that_the_clocks_skipped_does_not_exist_and_one_that_happens_twice_is_the_first(shop: Shop) -> None:
    # Berlin 2026: 29 March 02:00 -> 03:00, 25 October 03:00 -> 02:00.
    report = shop.load(
        "subscriptions",
        spans(
            "before,c,1,USD,month,2026-03-29 01:59:59",
            "gap,c,1,USD,month,2026-03-29 02:30",
            "after,c,1,USD,month,2026-03-29 03:00",
            "twice,c,1,USD,month,2025-10-26 02:30",
            "second,c,1,USD,month,2025-10-26 02:30+01:00",
            "later,c,1,USD,month,2025-10-26 03:00",
        ),
        timezone="Europe/Berlin",
    )
    assert shop.reasons(report) == {3: ("started_at", "does not exist in Europe/Berlin: the clocks skipped it")}
    assert dict(shop.rows("subscription_spans", "subscription_id, started_at")) == {
        "before": at("2026-03-29 00:59:59"),
        "after": at("2026-03-29 01:00"),
        "twice": at("2025-10-26 00:30"),  # summer time, the first of two
        "second": at("2025-10-26 01:30"),
        "later": at("2025-10-26 02:00"),
    }


def test_a_day_whose_midnight_was_skipped_begins_when_the_clocks_say_so(shop: Shop) -> None:
    # Beirut skips midnight of 29 March 2026: the day begins at 01:00 local, 22:00 UTC.
    report = shop.load(
        "subscriptions",
        spans("day,c,1,USD,month,2026-03-29", "time,c,1,USD,month,2026-03-29 00:00:00"),
        timezone="Asia/Beirut",
    )
    assert shop.rows("subscription_spans", "subscription_id, started_at") == [("day", at("2026-03-28 22:00"))]
    assert list(shop.reasons(report)) == [3]


def test_a_unit_price_of_any_fineness_times_the_quantity_is_rounded_half_up_once_a_line(shop: Shop) -> None:
    shop.load(
        "order_lines",
        """
        order_id,customer_id,ordered_at,quantity,unit_amount,currency
        a,c,2026-01-01,3,0.005,USD
        b,c,2026-01-01,-3,0.005,USD
        c,c,2026-01-01,1000,0.0004,USD
        d,c,2026-01-01,2.5,1.01,USD
        e,c,2026-01-01,3,0.5,JPY
        """,
    )
    # 0.015 -> 0.02; -0.015 -> -0.02; 0.4; 2.525 -> 2.53; 1.5 yen -> 2 yen
    assert shop.rows("order_lines", "order_id, amount_minor, kind") == [
        ("a", 2, "sale"),
        ("b", -2, "return"),
        ("c", 40, "sale"),
        ("d", 253, "sale"),
        ("e", 2, "sale"),
    ]


def test_rates_beyond_twelve_decimals_are_rounded_half_to_even_once(shop: Shop) -> None:
    shop.load(
        "rates",
        """
        day,currency,per_usd
        2026-01-01,EUR,0.8950948800575
        2026-01-02,EUR,0.8950948800565
        2026-01-03,EUR,0.89509488005651
        2026-01-04,JPY,157
        """,
    )
    found = [row[0] for row in shop.rows("rates", "per_usd, day")]
    assert sorted(found) == sorted(
        [Decimal("0.895094880058"), Decimal("0.895094880056"), Decimal("0.895094880057"), Decimal(157)]
    )


def test_thai_text_survives(shop: Shop) -> None:
    shop.load("customers", "customer_id,name,แผน\nล1,สมชาย ใจดี,โปร\n")
    assert shop.rows("customers", "customer_id, name") == [("ล1", "สมชาย ใจดี")]
    assert shop.rows("traits", "trait, value") == [("แผน", "โปร")]


def test_cells_that_say_null_say_nothing(shop: Shop) -> None:
    report = shop.load("customers", 'customer_id,name,country\na,NULL,\\N\nNULL,b,\n"",b,\n  ,b,\n')
    assert shop.rows("customers", "customer_id, name, country") == [("a", None, None)]
    assert {reason for _, reason in shop.reasons(report).values()} == {"is missing"}


def test_options_that_mean_nothing_are_refused_before_anything_is_read(shop: Shop) -> None:
    content = "customer_id\na\n"
    with pytest.raises(UnknownName, match="Did you mean 'customers'"):
        shop.load("custommers", content)
    with pytest.raises(UnknownZone):
        shop.load("customers", content, timezone="Mars/Olympus")
    with pytest.raises(UnknownCurrency):
        shop.load("customers", content, currency="XYZ")
    with pytest.raises(UnknownName, match="no column that becomes a trait"):
        shop.load("customers", content, static=["region"])
    with pytest.raises(BadInput, match="time zone"):
        shop.load("customers", content, now=NOW.replace(tzinfo=None))
    with pytest.raises(BadFile, match="--currency"):
        shop.load("subscriptions", "subscription_id,customer_id,amount,started_at\ns,c,1,2026-01-01\n")
    assert shop.lake.tables() == []


def test_the_lines_of_an_order_keep_the_names_that_the_file_gives_them(shop: Shop) -> None:
    report = shop.load(
        "order_lines",
        """
        order_id,line,customer_id,ordered_at,amount,currency
        o1,A,c1,2026-01-01,1.00,USD
        o1,B,c1,2026-01-01,2.00,USD
        o2,A,c1,2026-01-02,3.00,usd
        o2,,c1,2026-01-02,4.00,USD
        o3,A,c1,someday,5.00,USD
        """,
    )
    assert shop.reasons(report) == {6: ("ordered_at", "is not a time; write it like 2026-01-31 17:30")}
    found = shop.rows("order_lines", "order_id, line, amount_minor", "order_id = 'o1' OR line = 'A'")
    assert found == [("o1", "A", 100), ("o1", "B", 200), ("o2", "A", 300)]
    assert shop.count("order_lines") == 4
