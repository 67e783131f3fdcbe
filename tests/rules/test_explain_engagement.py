"""Engagement: signs against a reading customer by customer, planted breaks with lead times, and who was worse off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenure.charts import svg
from tenure.errors import UnknownName
from tenure.explain.engagement import engagement
from tenure.explain.months import Months
from tenure.explain.rhythm import SIGNS, rhythms
from tenure.simulate.hazards import Causes
from tests.reference.builder import Company, Facts, Shop, open_company
from tests.rules.simulated_shop import opened

DAY = timedelta(days=1)
START = datetime(2024, 6, 3, tzinfo=UTC)
FEATURES = ("a", "b", "c", "d")
Uses = dict[str, dict[int, dict[str, int]]]


def told(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def world(customers: int, seed: int, breaks: float, effect: float) -> tuple[Facts, Uses, dict[str, date]]:
    """Customers of steady rhythms, some of which break; who broke has `effect` more chance a month to leave."""
    rng = np.random.default_rng(seed)
    facts, broke = Facts(), dict[str, date]()
    uses: Uses = {}
    for i in range(customers):
        name, every = f"c{i:03d}", int(rng.integers(1, 6))
        facts.state(told(START), customer=name, plan_id=["basic", "team"][i % 2])
        broken_on = START + int(rng.integers(200, 560)) * DAY if rng.random() < breaks else None
        left = None
        for month in range(8, 20):
            begins = datetime(2024 + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)
            hazard = 0.02 + (effect if broken_on is not None and broken_on + 25 * DAY < begins else 0.0)
            if rng.random() < hazard:
                left = begins + int(rng.integers(10, 28)) * DAY
                facts.state(
                    told(left),
                    customer=name,
                    status="canceled",
                    cancel_actor="customer",
                    cancel_requested_at=told(left),
                )
                break
        uses[name] = {}
        at = START + int(rng.integers(every)) * DAY
        while at < (left or datetime(2025, 10, 1, tzinfo=UTC)):
            if broken_on is not None and at >= broken_on:
                broke[name] = broken_on.date()
                break
            chosen = [feature for feature in FEATURES[: 1 + i % 4] if rng.random() < 0.7] or ["a"]
            uses[name][number(at.date())] = {feature: int(rng.integers(3, 9)) for feature in chosen}
            for feature in chosen:
                quantity = float(uses[name][number(at.date())][feature])
                facts.use(f"{name}-{at:%Y%m%d}-{feature}", told(at), customer=name, feature=feature, quantity=quantity)
            at += (every + int(rng.integers(0, 2))) * DAY
    return facts, uses, broke


def signs_by_hand(days: dict[int, dict[str, int]], cut: int) -> dict[str, int | None]:
    """Silence, falling use and fewer features of one customer, from his days of use before a day."""
    before = sorted(day for day in days if day < cut)
    found: dict[str, int | None] = dict.fromkeys(SIGNS)
    if not before:
        return found
    last = before[-1]
    gaps = [b - a for a, b in pairwise(before) if b >= last - 182]
    if len(gaps) >= 8:
        likely = math.ceil(sum(gaps) * (100 ** (1 / len(gaps)) - 1) - 1e-6)
        found["silence"] = int(cut - last > max(likely, *gaps))
    n = min(20, (cut - before[0]) // 7)
    if n >= 12:
        weeks = [0.0] * n
        for day in before:
            if (cut - 1 - day) // 7 < n:
                weeks[(cut - 1 - day) // 7] += sum(days[day].values())
        y = np.round(np.log1p(weeks), 6)
        best, fall = max((_split(y, k), -k) for k in range(3, n - 5))[0], 0.0
        at = next(k for k in range(3, n - 5) if _split(y, k) == best)
        fall = y[at:].mean() - y[:at].mean()
        found["falling"] = int(best >= 3.5 and fall >= -math.log(0.7))
    spans = [{feature for day in before if (cut - 1 - day) // 28 == span for feature in days[day]} for span in range(4)]
    if all(spans) and min(map(len, spans[1:])) >= 2:
        found["narrower"] = int(2 * len(spans[0]) <= min(map(len, spans[1:])))
    return found


def _split(y: np.ndarray, k: int) -> float:
    after, before = y[:k], y[k:]
    inside = ((after - after.mean()) ** 2).sum() + ((before - before.mean()) ** 2).sum()
    spread = max(inside / (len(y) - 2), 0.01)
    return float(round((before.mean() - after.mean()) / math.sqrt(spread * (1 / k + 1 / (len(y) - k))), 6))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Uses, dict[str, date]]]:
    facts, uses, broke = world(130, 4, 0.4, 0.15)
    shop = open_company(tmp_path_factory.mktemp("engagement") / "shop", facts)
    yield shop, uses, broke
    shop.close()


def test_signs_are_as_a_reading_customer_by_customer_says(broken: tuple[Shop, Uses, object]) -> None:
    shop, uses, _ = broken
    months = Months.of(
        shop.workspace.facts(shop.known_on), shop.workspace.definition(), date(2025, 2, 1), date(2025, 8, 1)
    )
    st = months.facts.statement()
    step, missing = rhythms(st, months)
    assert set(missing) == {"champion"}
    rows = months.facts.engine.table(st.render(f"SELECT * FROM {step}")).to_pylist()
    wrong = []
    seen = dict.fromkeys(SIGNS[:3], 0)
    for row in rows:
        expected = signs_by_hand(uses[row["customer_id"]], number(months.cuts[row["cut"]].first))
        for sign in SIGNS[:3]:
            seen[sign] += expected[sign] == 1
            if row[sign] != expected[sign]:
                wrong.append((row["customer_id"], row["cut"], sign, row[sign], expected[sign]))
    assert not wrong, wrong[:5]
    assert seen["silence"] > 50 and seen["falling"] > 10 and seen["narrower"] > 0


def test_a_break_that_goes_with_leaving_is_found_with_its_false_alarms_and_lead_time(
    broken: tuple[Shop, Uses, dict[str, date]],
) -> None:
    shop, _, broke = broken
    found = shop.workspace.why("engagement", since="2025-02", until="2025-07", known_on=shop.known_on)
    standing = {one.name for one in found.findings if one.stands}
    assert "silence" in standing and standing <= {"silence", "falling"}
    (silence,) = (one for one in found.signs if one.name == "silence")
    assert silence.caught.low > 0.3
    # Of those who stay at most those who broke, too, are false alarms.
    assert 0.02 < silence.false_alarms.value < 0.15
    assert silence.difference.low > 0.15
    # Leaving is looked for from a week after a month began.
    low, middle, high = silence.lead_days
    assert 7 <= low <= middle <= high <= 200
    listed = {row["customer_id"]: row for row in found.broken().to_pylist()}
    silent = {name: row for name, row in listed.items() if "silence" in row["signs"]}
    assert silent and set(silent) <= set(broke)
    assert all(1 <= row["typical_gap_days"] <= 6 for row in silent.values())
    assert all(row["last_active_on"] < broke[name] for name, row in silent.items())


def test_the_picture_is_drawn_in_both_languages(broken: tuple[Shop, object, object]) -> None:
    shop = broken[0]
    found = shop.workspace.why("engagement", since="2025-02", until="2025-07", known_on=shop.known_on)
    assert "Left later" in svg(found.chart("en")) and "จังหวะเดิม" in svg(found.chart("th"))
    with pytest.raises(UnknownName):
        found.chart("de")


def messages(seed: int, mail: str) -> Facts:
    """Half the customers are sent a lot: drawn by lot and they leave for it, or the unhappy ones, who leave anyway."""
    rng = np.random.default_rng(seed)
    facts = Facts()
    for i in range(360):
        name, unhappy = f"c{i:03d}", rng.random() < 0.4
        flooded = rng.random() < 0.4 if mail == "harms" else (unhappy if rng.random() < 0.9 else rng.random() < 0.4)
        facts.state("2024-06-10", customer=name, plan_id="team" if i % 2 else "basic")
        for month in range(10, 24):
            begins = datetime(2024 + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)
            if month % 4 == i % 4:
                score = int(rng.integers(0, 7) if unhappy else rng.integers(6, 11))
                facts.answer(f"n{name}-{month}", told(begins + 9 * DAY), customer=name, kind="nps", score=score)
            for sent in range(5 if flooded else 1):
                facts.touch(
                    f"t{name}-{month}-{sent}",
                    told(begins + (2 + 5 * sent) * DAY),
                    customer=name,
                    play="tips",
                    channel="email",
                )
            suffers = flooded if mail == "harms" else unhappy
            if month > 12 and rng.random() < 0.015 + 0.09 * suffers:
                left = begins + 12 * DAY
                facts.state(
                    told(left),
                    customer=name,
                    status="canceled",
                    cancel_actor="customer",
                    cancel_requested_at=told(left),
                )
                break
    return facts


@pytest.mark.parametrize(("mail", "cause"), [("harms", "contact"), ("follows unhappiness", None)])
def test_mail_to_the_unhappy_is_called_no_cause_and_mail_by_lot_points_to_contact(
    company: Company, mail: str, cause: str | None
) -> None:
    shop = company(messages(3, mail))
    found = shop.workspace.why("engagement", since="2025-02", until="2025-10", known_on=shop.known_on)
    (fatigue,) = (one for one in found.findings if one.name == "fatigue")
    assert fatigue.stands and fatigue.estimate.low > 0.02
    assert fatigue.cause == cause
    assert fatigue.more["worse_off_before"] is (cause is None)
    assert (cause is not None) or "unhappier already" in fatigue.reason
    assert fatigue.strength.words == "adjusted association"
    assert 0 < fatigue.who().num_rows < fatigue.customers


def test_who_paused_is_known_to_be_away_and_a_champion_who_left_is_a_sign_for_ninety_days(company: Company) -> None:
    facts = Facts()
    for name in ("paused", "silent", "led"):
        facts.state("2024-06-01", customer=name)
        for day in range(40):
            facts.use(
                f"{name}{day}", told(datetime(2024, 10, 1, tzinfo=UTC) + 3 * day * DAY), customer=name, feature="a"
            )
    facts.state("2025-01-28", customer="paused", status="paused")
    facts.state("2025-04-03", customer="paused")
    facts.contact("p1", "2024-06-01", customer="led", role="Champion", left_at="2025-02-10")
    facts.contact("p2", "2024-06-01", customer="silent", role="champion")
    shop = company(facts)
    found = engagement(
        shop.workspace.facts(shop.known_on), shop.workspace.definition(), date(2025, 3, 1), date(2025, 7, 1)
    )
    months = Months.of(
        shop.workspace.facts(shop.known_on), shop.workspace.definition(), date(2025, 3, 1), date(2025, 7, 1)
    )
    st = months.facts.statement()
    step, _ = rhythms(st, months)
    rows = months.facts.engine.table(
        st.render(f"SELECT customer_id, cut, silence, champion, champion_day FROM {step}")
    ).to_pylist()
    flags = {(row["customer_id"], row["cut"]): row for row in rows}
    assert [flags["silent", cut]["silence"] for cut in range(4)] == [1, 1, 1, 1]
    assert all(row["silence"] is None for (name, _), row in flags.items() if name == "paused")
    # Away for 90 days on 11 May.
    assert [flags["led", cut]["champion"] for cut in range(4)] == [1, 1, 1, None]
    assert flags["led", 0]["champion_day"] == number(date(2025, 2, 10))
    assert [flags["silent", cut]["champion"] for cut in range(4)] == [0, 0, 0, 0]
    assert "tenure load touches" in found.missing["fatigue"]


SHARED = {"customers": 1500, "months": 24, "late": 0, "mistakes": 0}


def simulated(folder: Path, **settings: Any) -> Any:
    workspace, _ = opened(folder, **SHARED, **settings)
    found = workspace.why("engagement", since="2024-11", until="2026-05")
    workspace.close()
    return found


def test_where_lost_habits_make_them_leave_falling_use_is_found_weeks_before(tmp_path: Path) -> None:
    found = simulated(tmp_path / "quiet", causes=replace(Causes.none(), experience=3.0))
    assert "falling" in {one.name for one in found.findings if one.stands}
    (falling,) = (one for one in found.signs if one.name == "falling")
    assert falling.difference.low > 0
    assert falling.lead_days[1] > 28


def test_in_the_confounded_world_no_message_is_called_a_cause(tmp_path: Path) -> None:
    habits = replace(Causes.none(), experience=1.0)
    found = simulated(tmp_path / "confounded", causes=habits, confounding=1.0)
    assert {one.name for one in found.findings} >= {"fatigue", "neglect"}
    assert not [one.name for one in found.findings if one.stands and one.cause == "contact"]
