"""Companies in which there is little or nothing to learn: every command says so, and the simplest model stands.

Nobody left, all left, ten customers, customers who are all alike, leavers all of one time, dates that lie ahead, a
trait with 100,000 values: `fit`, `risk`, `backtest` and `value`, as typed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from tenure.faces.cli.ending import run
from tests.reference.builder import Facts, open_company
from tests.rules.known_company import simulate

START = datetime(2025, 1, 1, tzinfo=UTC)


class Said(NamedTuple):
    """Exit code, what was printed, and what was complained of."""

    code: int
    out: str
    err: str


Ask = Callable[..., Said]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Types a command at the company in the test's folder; lines that were wrapped are put together."""

    def asked(*words: str) -> Said:
        capsys.readouterr()
        code = run(["-w", str(tmp_path / "shop"), *words])
        told = capsys.readouterr()
        return Said(code, " ".join(told.out.split()), " ".join(told.err.split()))

    return asked


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def company(facts: Facts, tmp_path: Path) -> None:
    open_company(tmp_path / "shop", facts, currency="USD").close()


def came(facts: Facts, count: int, over: int = 1, **columns: Any) -> None:
    for i in range(count):
        facts.state(day(i % over), customer=f"c{i}", subscription=f"s{i}", **columns)


def went(facts: Facts, number: int, on: int) -> None:
    """Customer `number` asked to leave on a day, and was gone."""
    told: dict[str, Any] = {"status": "canceled", "cancel_actor": "customer", "cancel_requested_at": day(on)}
    facts.state(day(on), customer=f"c{number}", subscription=f"s{number}", **told)


def test_where_nobody_left_everybody_has_a_small_chance_and_it_is_said(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    came(facts, 40, over=20)
    facts.state(day(180), customer="z", subscription="z")
    company(facts, tmp_path)
    told = ask("fit", "--horizon", "30d")
    assert told.code == 0 and "NOT IN SERVICE" in told.out and "Nobody left: the chance to leave is only" in told.out
    listed = json.loads(ask("risk", "--format", "json").out)
    assert {row["probability"] for row in listed} == {listed[0]["probability"]} and listed[0]["probability"] < 0.01
    assert all(row["reasons"] == [] for row in listed)
    replayed = ask("backtest")
    assert replayed.code == 0 and "nobody left among those judged" in replayed.out
    worth = ask("value")
    assert worth.code == 0 and "that everybody stays is an extrapolation" in worth.out


def test_where_all_have_left_nobody_is_listed_and_nobody_is_worth_anything(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    came(facts, 30, over=20)
    for i in range(30):
        went(facts, i, 60 + 4 * i)
    company(facts, tmp_path)
    told = ask("fit", "--horizon", "30d")
    assert told.code == 0 and "NOT IN SERVICE" in told.out
    assert "Of 0 customers" in ask("risk").out
    replayed = ask("backtest")
    assert replayed.code == 1 and "load more history" in replayed.err
    worth = ask("value")
    assert worth.code == 0 and "There is nobody to value" in worth.out


def test_ten_customers_get_the_base_rate_and_an_honest_interval(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    came(facts, 10, over=30)
    went(facts, 0, 70)
    went(facts, 1, 160)
    company(facts, tmp_path)
    told = ask("fit", "--horizon", "30d")
    assert "it takes 30 to learn who: the base rate by tenure stands" in told.out
    listed = json.loads(ask("risk", "--format", "json").out)
    assert len(listed) == 8 and len({row["probability"] for row in listed}) == 1
    replayed = ask("backtest")
    assert replayed.code == 0 and "looked 9 times at customers" in replayed.out
    worth = json.loads(ask("value", "--format", "json").out)
    assert len(worth) == 8
    assert all(float(row["low"]) < 0.6 * float(row["value"]) < float(row["high"]) for row in worth)


def test_customers_who_are_all_alike_differ_in_nothing_and_have_one_chance(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    came(facts, 100)
    for i in range(50):
        went(facts, i, 20 + 4 * i)
    company(facts, tmp_path)
    told = ask("fit", "--horizon", "30d")
    assert "NOT IN SERVICE" in told.out and "The same for everybody, so they say nothing: currency, mrr" in told.out
    assert len({row["probability"] for row in json.loads(ask("risk", "--format", "json").out)}) == 1
    replayed = ask("backtest")
    assert replayed.code == 0 and "AUC 0.500" in replayed.out
    assert ask("value").code == 0


def test_leavers_of_one_time_only_leave_nothing_to_judge_on(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    for i in range(80):
        facts.state(day(i % 30), customer=f"c{i}", subscription=f"s{i}", quantity=1 + i % 7)
    went(facts, 79, 33)
    for i in range(40):
        went(facts, i, 65 + i % 20)
    facts.state(day(220), customer="z", subscription="z")
    company(facts, tmp_path)
    told = ask("fit", "--horizon", "30d")
    assert told.code == 0 and "NOT IN SERVICE" in told.out
    assert "nobody left in the months it was judged on, so nothing shows" in told.out
    replayed = ask("backtest")
    assert replayed.code == 0 and "nobody left among those judged" in replayed.out
    assert ask("risk").code == 0 and ask("value").code == 0


def test_dates_that_lie_ahead_are_neither_known_nor_asked_for(tmp_path: Path, ask: Ask) -> None:
    facts = Facts()
    came(facts, 12, over=10)
    went(facts, 0, 65)
    facts.state(day(150), customer="c11", subscription="s11", quantity=2)
    # Written down in May: an end and a beginning in years to come.
    ahead: dict[str, Any] = {"status": "canceled", "cancel_actor": "customer", "recorded_at": day(130)}
    facts.state("2091-01-01", customer="c5", subscription="s5", **ahead)
    facts.state("2090-01-01", customer="later", subscription="later", recorded_at=day(130))
    company(facts, tmp_path)
    assert ask("fit", "--horizon", "30d").code == 0
    listed = json.loads(ask("risk", "--format", "json").out)
    assert {row["customer_id"] for row in listed} == {f"c{i}" for i in range(1, 12)}
    assert {row["as_of"] for row in listed} == {"2025-05-31"}  # the last day that facts tell of is day 150
    for command in ("fit", "risk", "backtest", "value"):
        told = ask(command, "--as-of", "2090-06-30")
        assert told.code == 2 and told.err.startswith("Error: "), (command, told)
    assert len(json.loads(ask("value", "--format", "json").out)) == 11


def test_a_trait_with_a_hundred_thousand_values_tells_nothing_of_itself(tmp_path: Path, ask: Ask) -> None:
    known = simulate(1_000, 8, seed=3)
    shop = known.opened(tmp_path / "shop")
    count, each = len(known.joined), 100
    stamp = pa.timestamp("us", tz="UTC")
    # Each customer's session has a new name every third day, and is written down as it begins.
    at = pa.array([int(known.joined[i // each]) + (i % each) * 3 * 86_400_000_000 for i in range(count * each)], stamp)
    rows = {
        "customer_id": [f"c{i // each}" for i in range(count * each)],
        "trait": ["session"] * (count * each),
        "effective_at": at,
        "value": [f"session {i}" for i in range(count * each)],
        "is_dated": [True] * (count * each),
        "recorded_at": at,
        "loaded_at": pa.array([datetime(2028, 1, 1, tzinfo=UTC)] * (count * each), stamp),
    }
    shop.lake.append_arrow("traits", pa.table(rows), load_id="sessions", repeats_keys=False)
    (fitted,) = shop.fit(horizons=("30d",), since="2026-01", threads=1)
    shop.close()
    assert "trait:session" not in fitted.trained.refused
    contributions = fitted.trained.model
    assert contributions.chosen_ in ("logistic", "boosted trees", "base rate by tenure")
    listed = json.loads(ask("risk", "--format", "json", "--no-save").out)
    assert len(listed) > 300
    assert not any("session" in reason["reason"] for row in listed for reason in row["reasons"])
