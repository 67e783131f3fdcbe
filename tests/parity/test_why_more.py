"""Do broken rhythms, rivals, money and the sample to call come out the same on a laptop and on a cluster?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tenure.lake.engines import Spark
from tests.reference.builder import Facts, Shop, open_company

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = timedelta(days=1)
BEGINS = datetime(2025, 6, 1, 12, tzinfo=UTC)


def told() -> Facts:
    """Thirty customers: some fall silent, some use less, some pause; champions leave, mail goes out, a third leave."""
    facts = Facts()
    for i in range(30):
        name = f"c{i:02d}"
        price = {"plan_id": "team" if i % 2 else "basic", "amount_minor": 1000 + 10 * i, "quantity": 1}
        facts.customer(name, name=f"Firm {i}")
        facts.state("2025-05-01", customer=name, **price)
        for day in range(0, 330, 2 + i % 3):
            if day > 230 and i % 5 == 0:
                break
            for feature in ("a", "b", "c")[: 1 if day > 250 and i % 5 == 1 else 3]:
                much = (9.0 if day < 250 or i % 5 != 2 else 2.0) + day % 3
                facts.use(f"{name}-{day}-{feature}", BEGINS + day * DAY, customer=name, feature=feature, quantity=much)
        facts.contact(
            f"p{i}", "2025-05-01", customer=name, role="champion", left_at="2026-02-20" if i % 6 == 0 else None
        )
        for month in (1, 2, 3):
            for sent in range(5 if i % 4 == 0 else 1):
                facts.touch(
                    f"t{i}-{month}-{sent}",
                    f"2026-{month:02d}-{2 + 5 * sent:02d}",
                    customer=name,
                    play="tips",
                    channel="email",
                )
        facts.touch(f"t{i}", "2026-01-20", customer=name, play="check-in", channel="call" if i % 3 else "email")
        facts.answer(f"n{i}", "2026-01-15", customer=name, kind="nps", score=float(i % 11))
        if i % 7 == 3:
            facts.state("2026-02-10", customer=name, status="paused", **price)
        elif i % 3 == 0:
            said = {"cancel_reason": "too_expensive"} if i % 2 else {"cancel_comment": "ย้ายไปใช้Rivalryแล้ว"}
            facts.state(
                f"2026-04-{2 + i % 20:02d}", customer=name, status="canceled", cancel_actor="customer", **price, **said
            )
        elif i % 10 == 1:
            facts.state("2026-04-15", customer=name, cancel_at="2026-05-15", cancel_requested_at="2026-04-15", **price)
    facts.state("2026-05-01", customer="c01", **{"plan_id": "team", "amount_minor": 900}, recorded_at="2026-05-03")
    facts.ticket("k1", "2026-04-03", customer="c01", subject="Import from Rivalry", body="<b>please</b>")
    facts.mention("m1", "2026-04-10", rating=2.0, text="Rivalry is faster", competitor="Rivalry")
    facts.offer("Rivalry", "Rivalry small", "2026-02-01", price_minor=900, features="a; magic")
    facts.offer("Rivalry", "Rivalry small", "2026-03-01", price_minor=700, features="a; magic")
    return facts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Shop]:
    opened = open_company(tmp_path_factory.mktemp("parity-of-why") / "shop", told(), timezone="Asia/Bangkok")
    opened.workspace._engines["spark"] = Spark(spark)
    yield opened
    opened.close()


def both(shop: Shop, method: str, **asked: Any) -> tuple[Any, Any]:
    one, other = (
        shop.workspace.why(method, known_on=shop.known_on, engine=engine, **asked) for engine in ("duckdb", "spark")
    )
    return one, other


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            expected = pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            assert b[name] == expected, (name, a, b)


def test_rhythms_and_messages_are_the_same_on_both_engines(shop: Shop) -> None:
    one, other = both(shop, "engagement", since="2026-03", until="2026-04")
    same([sign.as_json() for sign in one.signs], [sign.as_json() for sign in other.signs])
    same([found.as_json() for found in one.findings], [found.as_json() for found in other.findings])
    assert one.broken().to_pylist() == other.broken().to_pylist()
    shown = " ".join(row["signs"] for row in one.broken().to_pylist())
    assert "silence" in shown and "falling" in shown
    assert {found.name for found in one.findings} >= {"champion", "narrower", "fatigue", "neglect"}


def test_rivals_and_whom_to_call_are_the_same_on_both_engines(shop: Shop) -> None:
    one, other = both(shop, "competition", since="2026-04", currency="USD")
    same([rival.as_json() for rival in one.rivals], [rival.as_json() for rival in other.rivals])
    assert (one.offers, one.plans) == (other.offers, other.plans)
    assert one.rivals[0].said == 4 and one.offers[0].lacking == ("magic",)
    one, other = both(shop, "follow-up", since="2026-04", size=4)
    assert one.sheet() == other.sheet()
    assert len(one.calls) == 4


def test_money_by_cause_is_the_same_on_both_engines(shop: Shop) -> None:
    one, other = both(shop, "money", since="2026-04", by=())
    same(one.rows(), other.rows())
    assert {row["name"] for row in one.rows() if row["section"] == "threat"} >= {"scheduled"}
