"""What happened around the customers? Changes, exchange rates, rivals' offers, and what winning customers cost.

All of it is made up, the exchange rates too: a plausible walk, not history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.simulate import people, plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.months import DAY, HOUR, MINUTE, Months, day_start

if TYPE_CHECKING:
    from tenure.simulate.company import Company

RIVALS = ("Madeupify", "Pretendly", "Fictivo")
SITES = ("made-up-reviews", "made-up-forum", "made-up-app-store")
SPEND_KINDS = ("ads", "people", "tools")

# Share of the window at which each change comes, so that a shorter window has them too.
RELEASE, PRICE, POLICY, INCIDENT, RIVAL, REMOVAL, CAMPAIGN = 0.27, 0.5, 0.6, 0.67, 0.74, 0.84, 0.55
SLOW_SUPPORT = (0.30, 0.42)


@dataclass(frozen=True)
class Calendar:
    """When the company's changes were announced and took effect: int64 microseconds UTC."""

    price_announced: int
    price_effective: int
    incident: int
    incident_told: int
    removal_announced: int
    removal_effective: int
    release: int
    policy_announced: int
    policy_effective: int
    campaign: int
    rival: int
    rival_ends: int
    slow_from: int
    slow_to: int


def calendar(company: Company, months: Months) -> Calendar:
    """The dates of the changes within the window."""

    def at(share: float, plus_months: int = 0, day: int = 1, hour: int = 8) -> int:
        return int(months.start(company.at(share) + plus_months)[0]) + (day - 1) * DAY + hour * HOUR

    return Calendar(
        price_announced=at(PRICE, 0, 3),
        price_effective=at(PRICE, 1, 1, 0),
        incident=at(INCIDENT, 0, 10, 6),
        incident_told=at(INCIDENT, 0, 10, 9),
        removal_announced=at(REMOVAL, 0, 5),
        removal_effective=at(REMOVAL, 1, 5),
        release=at(RELEASE, 0, 14),
        policy_announced=at(POLICY, 0, 2),
        policy_effective=at(POLICY, 1, 2),
        campaign=at(CAMPAIGN, 0, 6),
        rival=at(RIVAL, 0, 12),
        rival_ends=at(RIVAL, 6, 12),
        slow_from=at(SLOW_SUPPORT[0]),
        slow_to=at(SLOW_SUPPORT[1]),
    )


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds))


def changes(company: Company, months: Months) -> list[dict[str, Any]]:
    """Rows of `changes`: what the company changed or suffered."""
    c = calendar(company, months)
    told = [
        ("release", c.release, c.release, "New reports, twice as fast", "everyone"),
        ("price", c.price_announced, c.price_effective, "Team costs 14 % more from the next renewal", "plan team"),
        ("policy", c.policy_announced, c.policy_effective, "Data is kept for 24 months", "everyone"),
        ("incident", c.incident_told, c.incident, "Sync was down for 31 hours", "customers on cluster B"),
        ("removal", c.removal_announced, c.removal_effective, "Classic sync is gone", "users of classic-sync"),
        ("campaign", c.campaign, c.campaign, "Weekly tips by mail", "customers who get the weekly mail"),
    ]
    return [
        {
            "change_id": f"chg_{kind}",
            "kind": kind,
            "announced_at": _instant(announced),
            "happened_at": _instant(happened),
            "title": f"{title} (made up)",
            "scope": scope,
            "recorded_at": _instant(announced + 5 * MINUTE),
        }
        for kind, announced, happened, title, scope in told
        if announced + 5 * MINUTE < months.end_of_window
    ]


def rates(months: Months, chance: Chance) -> list[dict[str, Any]]:
    """Rows of `rates`: weekdays' units per US dollar from the first possible sign-up on, mean-reverting and made up."""
    first = months.start_of_window - (people.YEARS_BEFORE * 365 + 10) * DAY
    days = np.arange(first // DAY, months.end_of_window // DAY)
    days = days[(days + 3) % 7 < 5]  # 1 January 1970 was a Thursday
    rows = []
    for number, (currency, mean, swing) in enumerate(
        [("USD", 1.0, 0.0), ("EUR", 0.92, 0.0042), ("THB", 34.5, 0.0038), ("JPY", 142.0, 0.0055)]
    ):
        shocks = chance.normal("rate", days, number) * swing
        log = np.empty(len(days))
        level = 0.0
        for at, shock in enumerate(shocks):
            level = 0.995 * level + shock
            log[at] = level
        for day, per_usd in zip(days, mean * np.exp(log), strict=True):
            on = date(1970, 1, 1) + timedelta(days=int(day))
            rows.append(
                {
                    "day": on,
                    "currency": currency,
                    "per_usd": Decimal(f"{per_usd:.6f}"),
                    # Published in the afternoon of its day.
                    "recorded_at": _instant(day_start(on) + 15 * HOUR),
                }
            )
    return rows


def competitor_offers(company: Company, months: Months, chance: Chance) -> list[dict[str, Any]]:
    """Rows of `competitor_offers`: every quarter somebody looks at what three rivals ask."""
    c = calendar(company, months)
    rows = []
    for rival, name in enumerate(RIVALS):
        for product, (size, cents) in enumerate([("small", 1_100), ("medium", 1_900), ("large", 3_300)]):
            for month in range(0, months.count, 3):
                number = rival * 1_000 + product * 100 + month
                at = int(months.start(month)[0]) + (3 + rival) * DAY + 9 * HOUR
                price = cents + 100 * rival - 100 * product + 50 * int(chance.pick("offer", [1, 3, 1], number)[0] - 1)
                if rival == 0 and c.rival - 30 * DAY <= at < c.rival_ends:
                    price = price * 6 // 10 // 50 * 50  # the offer that draws customers away
                if at + 3 * HOUR >= months.end_of_window:
                    continue
                rows.append(
                    {
                        "competitor": name,
                        "product": f"{name} {size} (made up)",
                        "observed_at": _instant(at),
                        "price_minor": price,
                        "currency": "USD",
                        "interval": "month",
                        "features": ("reports;sync", "reports;sync;api", "reports;sync;api;audit-log")[product],
                        "recorded_at": _instant(at + 3 * HOUR),
                    }
                )
    return rows


def spend(months: Months, chance: Chance, sign_ups: Numbers) -> list[dict[str, Any]]:
    """Rows of `spend`: USD per month, channel and kind, from the month's sign-ups by channel [channel, month]."""
    per_sign_up = np.array(
        [[1_500, 9_000, 2_500], [21_000, 6_000, 3_000], [4_000, 11_000, 1_500], [2_000, 42_000, 6_000]]
    )
    rows = []
    for month in range(months.count):
        start, end = int(months.start(month)[0]), int(months.start(month + 1)[0])
        if end + 3 * DAY >= months.end_of_window:
            continue  # the month's books are not closed yet
        for channel, channel_name in enumerate(people.CHANNELS):
            for kind, kind_name in enumerate(SPEND_KINDS):
                noise = 0.85 + 0.3 * float(chance.uniform("spend", month * 100 + channel * 10 + kind)[0])
                amount = int(noise * per_sign_up[channel, kind] * (2 + int(sign_ups[channel, month]))) // 100 * 100
                rows.append(
                    {
                        "period_start": _instant(start),
                        "period_end": _instant(end),
                        "channel": channel_name,
                        "kind": kind_name,
                        "amount_minor": amount,
                        "currency": plans.CURRENCIES[0],
                        "recorded_at": _instant(end + 2 * DAY + 9 * HOUR),
                    }
                )
    return rows
