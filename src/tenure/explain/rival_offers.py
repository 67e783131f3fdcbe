"""What do rivals ask, and what do we? Their prices as somebody saw them, their features, and our plans, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tenure.explain.rivals import Rivals
from tenure.kernel.money import exponent
from tenure.kernel.time import midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, from_micros, micros
from tenure.measure import states


@dataclass(frozen=True, slots=True)
class Offer:
    """What a rival asks for a product: first, least and latest price in major units, when; features as he tells them.

    lacking: of those, the ones that nobody uses with us under that name; None where no usage tells.
    """

    rival: str
    product: str
    currency: str | None
    interval: str | None
    first: Decimal | None
    least: Decimal | None
    least_on: date
    latest: Decimal | None
    latest_on: date
    features: tuple[str, ...]
    lacking: tuple[str, ...] | None

    def as_json(self) -> dict[str, Any]:
        """The offer as plain values."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "features": "; ".join(self.features),
            "lacking": None if self.lacking is None else "; ".join(self.lacking),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What we ask: the usual (median) price of one unit of a plan for an interval, and how many customers have it."""

    plan: str
    currency: str
    interval: str
    price: Decimal
    customers: int

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def _major(minor: int | None, currency: str | None) -> Decimal | None:
    if minor is None or currency is None:
        return None
    return Decimal(int(minor)).scaleb(-exponent(currency))


def offers(facts: Facts, names: Rivals, after: date) -> tuple[Offer, ...]:
    """What rivals ask, as seen before `after`."""
    if not facts.has("competitor_offers"):
        return ()
    st = facts.statement()
    columns = ("competitor", "product", "observed_at", "price_minor", "currency", "interval", "features")
    known = facts.latest(st, "competitor_offers", columns)
    ends = micros(midnight(after, facts.timezone))
    rows = facts.engine.table(
        st.render(
            f"SELECT {', '.join(columns)} FROM {known} WHERE observed_at < {ends} ORDER BY competitor, product, observed_at"
        )
    ).to_pylist()
    ours = _features(facts, after)
    by: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault((row["competitor"], row["product"], row["currency"], row["interval"]), []).append(row)
    found = []
    for (rival, product, currency, interval), seen in by.items():
        priced = [row for row in seen if row["price_minor"] is not None] or seen[-1:]
        least = min(priced, key=lambda row: (row["price_minor"] or 0, row["observed_at"]))
        told = tuple(
            part.strip()
            for part in (seen[-1]["features"] or "").replace(",", ";").replace("|", ";").split(";")
            if part.strip()
        )
        found.append(
            Offer(
                names.counted_as(rival) or rival, product, currency, interval, _major(priced[0]["price_minor"], currency),
                _major(least["price_minor"], currency), _day(facts, least), _major(priced[-1]["price_minor"], currency),
                _day(facts, priced[-1]), told,
                None if ours is None else tuple(one for one in told if one.casefold() not in ours),
            )
        )  # fmt: skip
    return tuple(found)


def _day(facts: Facts, row: Mapping[str, Any]) -> date:
    return from_micros(row["observed_at"]).astimezone(facts.timezone).date()


def _features(facts: Facts, after: date) -> set[str] | None:
    """The features that anybody used with us in the year before; None where no usage names any."""
    if not facts.has("usage") or facts.lacks("usage", "feature"):
        return None
    ends = micros(midnight(after, facts.timezone))
    st = facts.statement()
    known = facts.latest(st, "usage", ("feature", "happened_at"), step="used_features")
    sql = f"SELECT DISTINCT feature FROM {known} WHERE feature IS NOT NULL AND happened_at < {ends} AND happened_at >= {ends - 365 * DAY_US}"
    return {row["feature"].casefold() for row in facts.engine.table(st.render(sql)).to_pylist()}


def plans(facts: Facts, after: date) -> tuple[Plan, ...]:
    """The usual price of a unit of each plan, of items that were active just before `after`."""
    if not states.tables(facts):
        return ()
    ends = micros(midnight(after, facts.timezone))
    st = facts.statement()
    wanted = (
        "customer_id", "subscription_id", "item_id", "status", "plan_id", "interval", "interval_count", "quantity",
        "amount_minor", "currency",
    )  # fmt: skip
    every = states.all_states(st, facts, wanted)
    last = st.step(
        "last_states",
        f"SELECT *, row_number() OVER (PARTITION BY subscription_id, item_id ORDER BY ts DESC) AS place FROM {every} WHERE ts < {ends}",
    )
    each = "CAST(amount_minor AS BIGINT)"
    unit = f"CASE WHEN quantity > 1 THEN {facts.engine.dialect.div(each, 'CAST(quantity AS BIGINT)')} ELSE {each} END"
    sql = st.render(
        f"SELECT plan_id, currency, interval, percentile_disc(0.5) WITHIN GROUP (ORDER BY {unit}) AS price, count(DISTINCT customer_id) AS n "
        f"FROM {last} WHERE place = 1 AND status = 'active' AND plan_id IS NOT NULL AND amount_minor > 0 AND coalesce(interval_count, 1) = 1 "
        "AND interval IS NOT NULL AND currency IS NOT NULL GROUP BY plan_id, currency, interval ORDER BY currency, plan_id, interval"
    )
    found = []
    for row in facts.engine.table(sql).to_pylist():
        price = _major(row["price"], row["currency"])
        if price is not None:
            found.append(Plan(row["plan_id"], row["currency"], row["interval"], price, int(row["n"])))
    return tuple(found)
