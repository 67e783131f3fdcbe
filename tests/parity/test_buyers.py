"""Are the numbers of buyers those that a walk over every day gives, on shops nobody would think of, and on Spark?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenure.lake.engines import Spark
from tenure.measure.purchase_gaps import SHARES
from tests.conftest import ON_CI
from tests.parity.test_openings import differences
from tests.reference.builder import Facts, open_workspace
from tests.reference.purchases import days_bought, gaps_of, order, period_of, scores_of, still_silent, told

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST = date(2024, 1, 1)
WHO = ("Ann", "Bo", "Cy", "Dee", "Eve", None)
CHANNELS = ("ads", "shop", None)


@st.composite
def shops(draw: Callable[..., Any]) -> Facts:
    """Orders of five people over 150 days: repeats, returns, late records, a merged and a test customer."""
    facts = Facts()
    for _ in range(draw(st.integers(1, 25))):
        day, hour = draw(st.integers(0, 150)), draw(st.sampled_from((0, 3, 12, 17, 23)))
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)
        late = draw(st.sampled_from((0, 0, 0, 5, 60)))
        minor = draw(st.sampled_from((1_000, 500, 0, -300, 12_345)))
        kind = draw(st.sampled_from((None, None, None, "return")))
        recorded = at + timedelta(days=late)
        order(facts, at, draw(st.sampled_from(WHO)), minor, kind=kind, recorded_at=recorded)
    merged, test = draw(st.booleans()), draw(st.booleans())
    for customer in WHO[:-1]:
        channel = draw(st.sampled_from(CHANNELS))
        into = "Ann" if merged and customer == "Dee" else None
        facts.customer(str(customer), channel=channel, merged_into=into, is_test=test and customer == "Eve")
    return facts


@settings(
    max_examples=20 if ON_CI else 10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    facts=shops(),
    zone=st.sampled_from(("UTC", "Asia/Bangkok", "America/New_York")),
    known_on=st.sampled_from((date(2024, 3, 10), date(2024, 12, 31))),
    window=st.sampled_from((None, 1, 7, 30, 45)),
    grain=st.sampled_from(("month", "week", "quarter")),
)
def test_buyers_are_those_that_a_walk_over_every_day_finds(
    facts: Facts, zone: str, known_on: date, window: int | None, grain: str
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tenure-buyers-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=zone) as shop,
    ):
        text = known_on.isoformat()
        orders = told(facts, shop.known_before(text))
        days = days_bought(orders, zone)
        if not orders:
            return
        last = max(row["at"].astimezone(ZoneInfo(zone)).date() for row in orders)
        gaps, silences = gaps_of(days, last)
        found = shop.purchase_gaps(known_on=text, window=window)
        if not days:
            assert found == []
            return
        (told_gaps,) = found
        assert sorted(gap for gap, (n, _) in told_gaps.counts.items() for _ in range(n)) == gaps
        assert sorted(gap for gap, (_, n) in told_gaps.counts.items() for _ in range(n)) == silences
        for share in SHARES:
            least = next((gap for i, gap in enumerate(gaps, 1) if i >= share * len(gaps)), None)
            assert told_gaps.quantile(share) == least
        for day in (5, 20):
            known = told_gaps.curve.survival_at(day).value
            assert known is None or known == pytest.approx(still_silent(gaps, silences, day))
        chosen = window or told_gaps.quantile(SHARES[4])
        if chosen is None:
            return
        assert told_gaps.window is not None and told_gaps.window.days == chosen
        assert told_gaps.window.reached == sum(g > chosen for g in gaps) + sum(s >= chosen for s in silences)

        answer = shop.activity(since="2023-12", until="2024-07", period=grain, window=window, known_on=text)
        assert differences(answer) == []
        by: dict[str, dict[str, Any]] = {}
        for row in answer.rows():
            by.setdefault(row["period_start"], {})[row["metric"]] = row
        for start, rows in by.items():
            first, after = date.fromisoformat(start), date.fromisoformat(rows["buyers_new"]["period_end"])
            if rows["buyers_new"]["value"] is None:
                begun = min(row["at"].astimezone(ZoneInfo(zone)).date() for row in orders)
                assert first > last or after <= begun
                continue
            brute = period_of(days, last, first, after, chosen)
            names = ("active_buyers_opening", "buyers_new", "buyers_returned", "buyers_lapsed", "active_buyers")
            parts = ("opening", "new", "returned", "lapsed", "closing")
            assert {part: rows[name]["value"] for name, part in zip(names, parts, strict=True)} == {
                part: brute[part] for part in parts
            }
            rate = rows["activity_churn_rate"]
            assert (rate["numerator"], rate["denominator"]) == (brute["lost"], brute["opening"])
        split = shop.activity(
            since="2023-12", until="2024-07", period=grain, window=window, known_on=text, by="channel"
        )
        assert differences(split) == []
        for name in ("buyers_new", "buyers_lapsed", "active_buyers"):
            for start, rows in by.items():
                if rows[name]["value"] is not None:
                    mine = [r["value"] for r in split.rows() if (r["metric"], r["period_start"]) == (name, start)]
                    assert sum(mine) == rows[name]["value"]


@settings(
    max_examples=12 if ON_CI else 8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(facts=shops())
def test_scores_are_those_that_counting_everybody_who_has_less_gives(facts: Facts) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tenure-rfm-") as folder,
        open_workspace(Path(folder) / "shop", facts, currency="USD") as shop,
    ):
        orders = told(facts, shop.known_before("2025"))
        days = days_bought(orders, "UTC")
        found = shop.rfm(known_on="2025")
        if not days:
            assert found == []
            return
        ((scored,), last) = found, max(row["at"].date() for row in orders)
        money = {who: sum(row["minor"] for row in orders if row["customer_id"] == who) for who in days}
        r = scores_of({who: mine[-1].toordinal() for who, mine in days.items()})
        f = scores_of({who: len(mine) for who, mine in days.items()})
        m = scores_of(money)
        people = {row["customer_id"]: row for row in scored.people().to_pylist()}
        assert {who: (row["r"], row["f"], row["m"]) for who, row in people.items()} == {
            who: (r[who], f[who], m[who]) for who in days
        }
        for who, row in people.items():
            assert (row["recency_days"], row["frequency"]) == ((last - days[who][-1]).days, len(days[who]))
            assert row["monetary"] * 100 == money[who]
        assert (scored.revenue + scored.only_returned[1] + scored.unnamed) * 100 == sum(row["minor"] for row in orders)


def test_buyers_are_equal_on_both_engines(tmp_path: Path, spark: SparkSession) -> None:
    facts = Facts()
    for i in range(240):
        at = datetime(2024, 1, 1, 17, tzinfo=UTC) + timedelta(days=(i * i) % 173, hours=i % 7)
        minor = 100 * (i % 13) - 200
        order(facts, at, None if i % 31 == 0 else f"c{i * 7 % 41}", minor, currency="EUR" if i % 5 == 0 else "USD")
    for i in range(41):
        facts.customer(f"c{i}", channel=CHANNELS[i % 3], is_test=i == 5)
    facts.span("2024-02-01", "2024-03-15", customer="c3")
    facts.span("2024-02-01", None, customer="c9")
    facts.rate("2023-01-01", "EUR", "0.9")
    facts.rate("2024-03-01", "EUR", "0.87")
    with open_workspace(tmp_path / "shop", facts, timezone="Asia/Bangkok") as shop:
        shop._engines["spark"] = Spark(spark)

        def asked(engine: str) -> list[Any]:
            answer = shop.activity(since="2024-01", until="2024-06", by="channel", engine=engine, window="40d")
            (scored,) = shop.rfm(by="channel", currency="USD", engine=engine)
            book = shop.book(since="2024-03", currency="USD", window="40d", engine=engine)
            return [
                json.dumps([gaps.as_json() for gaps in shop.purchase_gaps(by="channel", engine=engine)], default=str),
                answer.rows(exact=True),
                answer.customers().to_pylist(),
                [scored.rows(), scored.cuts, scored.only_returned, scored.people().to_pylist()],
                [book.rows(), book.customers().to_pylist()],
            ]

        here, there = asked("duckdb"), asked("spark")
        assert here == there
        assert any(row["value"] for row in here[1])
        shop._engines.pop("spark")
