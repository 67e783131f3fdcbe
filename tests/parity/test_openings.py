"""Do the customers listed for a number add up to it, for every metric, on companies that nobody would think of?"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenure.kernel.money import exponent
from tenure.measure.catalogue import CATALOGUE
from tests.conftest import ON_CI
from tests.parity.test_brute_force import everything
from tests.reference.builder import Facts, open_workspace
from tests.reference.companies import World, companies, worlds

WINDOWS = (
    ("month", date(2023, 8, 1), date(2025, 6, 1)),
    ("quarter", date(2023, 7, 1), date(2025, 7, 1)),
    ("day", date(2024, 2, 25), date(2024, 3, 14)),
)
BY: tuple[tuple[str, ...], ...] = (
    (),
    ("plan_id",),
    ("tier",),
    ("tenure",),
    ("size",),
    ("currency",),
    ("channel", "plan_id"),
)


def sums(answer: Any) -> dict[Any, list[Decimal]]:
    """What the listed customers add up to: [amounts, bases, rows] of each number."""
    found: dict[Any, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
    for row in answer.customers().to_pylist():
        where = row["segment"] and tuple(json.loads(row["segment"]).items())
        total = found[row["metric"], row["period_start"].isoformat(), where, row["currency"]]
        total[0] += row["amount"]
        total[1] += row["base"] or 0
        total[2] += 1
    return found


def differences(answer: Any) -> list[str]:
    """Every number whose customers do not add up to it, in words."""
    told = sums(answer)
    wrong = []
    for row in answer.rows(exact=True):
        # Nothing divided by nothing opens to nobody; ARPA of a currency that nobody pays counts heads of another.
        if (row["value"] is None and not row["denominator"]) or (row["metric"] == "arpa" and not row["numerator"]):
            continue
        where = row["segment"] and tuple(row["segment"].items())
        amount, base, rows = told.get((row["metric"], row["period_start"], where, row["currency"]), (0, 0, 0))
        metric = CATALOGUE[row["metric"]]
        if metric.opens == "parts":  # made of two other numbers, each of which opens
            continue
        top = row["value"] if row["numerator"] is None else row["numerator"]
        minor = Fraction(1, 1_000_000 * 10 ** exponent(row["currency"])) if row["currency"] else Fraction(1)
        parts = [(Fraction(amount), top * (minor if row["unit"] == "money" or metric.money_parts else 1))]
        if row["denominator"] is not None:
            parts.append((Fraction(base), row["denominator"] * (minor if metric.money_parts else 1)))
        # Each row is rounded once to ten decimals.
        if any(abs(mine - figure) > Fraction(int(rows) + 1, 10**10) for mine, figure in parts):
            wrong.append(
                f"{row['metric']} {row['period_start']} {where} {row['currency']}: {amount}, {base} and not {parts}"
            )
    return wrong


@settings(
    max_examples=8 if ON_CI else 4,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    world=worlds(),
    shops=st.tuples(*(companies(name=f"k{number}") for number in range(5))),
    window=st.sampled_from(WINDOWS),
    by=st.sampled_from(BY),
)
def test_the_customers_in_any_number_add_up_to_it(
    world: World, shops: tuple[Facts, ...], window: tuple[str, date, date], by: tuple[str, ...]
) -> None:
    facts = everything(world, list(shops))
    if not facts.tables["subscription_states"] and not facts.tables["subscription_spans"]:
        return
    grain, first, after = window
    reporting = world.reporting or ("USD" if "size" in by else None)
    with (
        tempfile.TemporaryDirectory(prefix="tenure-opened-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=world.zone) as shop,
    ):
        answer = shop.metrics(
            *CATALOGUE,
            since=first.isoformat(),
            until=(after - timedelta(days=1)).isoformat(),
            period=grain,
            by=by,
            currency=reporting,
            known_on=world.known_on.isoformat(),
            intervals=False,
        )
        assert differences(answer)[:10] == []
