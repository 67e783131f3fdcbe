"""Treated customers end with the first touch, others like them count for them, and the hold-out bounds the weights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tenure.kernel.lots import drawn
from tenure.lake.portable import DAY_US, micros
from tenure.predict.left_alone import first_treated, is_held_out, left_alone
from tests.reference.builder import Company, Facts, instant

START = datetime(2025, 1, 1, tzinfo=UTC)


def rows_of(outcome: list[str], months: int, customers: int) -> pa.Table:
    """One row per customer and month of 30 days."""
    month = np.tile(np.arange(months), customers)
    at = micros(START) + month * 30 * DAY_US
    stamp = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "customer_id": [f"c{i:05d}" for i in np.repeat(np.arange(customers), months)],
            "cut_off": pa.array(at).cast(stamp),
            "ends_at": pa.array(at + 30 * DAY_US).cast(stamp),
            "decided_at": pa.array([None] * len(at), stamp),
            "month": month,
            "period": month,
            "outcome": outcome,
        }
    )


def test_a_lot_is_the_same_for_ever_and_spreads_evenly() -> None:
    names = [f"cus_{i}" for i in range(20_000)]
    lots = np.array(drawn(names, "never treated"))
    assert np.array_equal(lots, drawn(names, "never treated"))
    # Pinned: who is held out must not change with a version of anything.
    assert drawn(["ada"], "never treated") == [pytest.approx(0.35718106, abs=1e-8)]
    assert abs(lots.mean() - 0.5) < 0.01 and abs((lots < 0.1).mean() - 0.1) < 0.008
    other = np.array(drawn(names, "sample"))
    assert abs(np.corrcoef(lots, other)[0, 1]) < 0.03
    held = is_held_out(names, 0.1)
    assert (held <= is_held_out(names, 0.2)).all()


def test_only_touches_with_an_arm_treat_unless_their_play_is_named(company: Company) -> None:
    facts = Facts()
    told = {"a": "treated", "b": "control", "c": None, "d": "Held out", "e": "B"}
    for name, arm in told.items():
        facts.state("2025-01-01", customer=name)
        told_at = instant("2025-03-01")
        plain = {"customer_id": name, "play": "check-in", "arm": arm}
        facts._add("touches", {"touch_id": f"t-{name}", "sent_at": told_at}, plain, {}, told_at)
    shop = company(facts).workspace
    assert first_treated(shop.facts("2025-12-31")).column("customer_id").to_pylist() == ["a", "e"]
    named = first_treated(shop.facts("2025-12-31"), ["check-in"])
    assert named.column("customer_id").to_pylist() == ["a", "c", "e"]
    assert first_treated(shop.facts("2025-02-28")).num_rows == 0


def test_weights_give_back_the_rate_that_treatment_of_the_risky_hides() -> None:
    # Half are risky: 30 % of them leave in a month against 5 %. In each month 60 % of the risky are called before.
    customers, months, share = 6_000, 1, 0.1
    rng = np.random.default_rng(3)
    risky = rng.random(customers) < 0.5
    leaves = rng.random(customers) < np.where(risky, 0.3, 0.05)
    rows = rows_of(["voluntary" if each else "" for each in leaves], months, customers)
    names = rows.column("customer_id").to_pylist()
    called = risky & (rng.random(customers) < 0.6) & ~is_held_out(names, share)
    touched = pa.table(
        {
            "customer_id": [name for name, each in zip(names, called, strict=True) if each],
            "first_us": pa.array([micros(START + timedelta(days=1))] * int(called.sum()), pa.int64()),
        }
    )
    found = left_alone(rows, {"risky": risky.astype(float)}, touched, share, threads=1)
    assert found.weight is not None and found.treated == called.sum()
    weight = found.weight
    assert (weight[called] == 0).all() and (weight[~called] > 0).all()
    truth = leaves.mean()
    blind = leaves[~called].mean()
    weighted = weight @ leaves / weight.sum()
    assert blind < truth - 0.03
    assert abs(weighted - truth) < 0.012
    assert weight.max() / weight[weight > 0].min() < 1 / share + 1e-9


def test_who_left_before_the_touch_counts_and_a_broken_hold_out_is_said() -> None:
    rows = rows_of([""] * 800, 2, 400)
    names = rows.column("customer_id").to_pylist()
    stamp = pa.timestamp("us", tz="UTC")
    decided = pa.array([micros(START) + DAY_US] + [None] * 799, pa.int64()).cast(stamp)
    rows = rows.set_column(rows.column_names.index("decided_at"), "decided_at", decided)
    held = is_held_out(names, 0.1)
    broken = next(name for name, each in zip(names, held, strict=True) if each and name != names[0])
    late = micros(START) + 10 * DAY_US
    touched = pa.table({"customer_id": [names[0], broken], "first_us": pa.array([late, late], pa.int64())})
    found = left_alone(rows, {"x": np.zeros(800)}, touched, 0.1, threads=1)
    assert found.weight is not None
    assert found.weight[0] > 0 and found.weight[1] == 0  # left on day 2; touched on day 11
    assert (found.weight[[i for i, name in enumerate(names) if name == broken]] == 0).all()
    assert any("of the hold-out were treated" in says for says in found.says)


def test_where_nobody_was_treated_every_row_counts_alike() -> None:
    rows = rows_of([""] * 5, 1, 5)
    nobody = pa.table({"customer_id": pa.array([], pa.string()), "first_us": pa.array([], pa.int64())})
    assert left_alone(rows, {"x": np.zeros(5)}, nobody, 0.1).weight is None
