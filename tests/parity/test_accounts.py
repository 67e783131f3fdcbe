"""Are accounts and mergers counted rightly on companies that nobody would think of?

By account: the plain reference (tests/reference/) knows no parents; it is told the same story with every customer
called by the account, found by walking up the chain, and must agree with what the product says of accounts.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import ON_CI
from tests.parity.test_brute_force import WINDOWS, everything, reference_for, wrong_cells, wrong_movements
from tests.reference.builder import Facts, open_workspace
from tests.reference.companies import World, companies, worlds
from tests.reference.day_by_day import Reference

COMPANIES = 6  # in one workspace
UNHURRIED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


@dataclass
class ByAccount:
    """A workspace that is always asked by account."""

    workspace: Any

    def metrics(self, *names: str, **question: Any) -> Any:
        return self.workspace.metrics(*names, grain="account", **question)

    def movements(self, **question: Any) -> Any:
        return self.workspace.movements(grain="account", **question)


@st.composite
def families(draw: Callable[..., Any], name: str) -> Facts:
    """A company of `companies` in which some customers are children of others, and some of those are merged."""
    facts = draw(companies(name=name))
    there = [f"{name}-c{number}" for number in range(6)]
    for number, customer in enumerate(there[:-1]):
        if not draw(st.booleans()):
            continue
        # Mergers lead to later customers too, so no chain is a circle.
        parent = draw(st.sampled_from(there[number + 1 :]))
        rows = [row for row in facts.tables["customers"] if row["customer_id"] == customer]
        for row in rows or [facts.customer(customer)]:
            row["parent_id"] = parent
    return facts


def account(reference: Reference, customer: str) -> str:
    """The parent above which there is none, of the customer that this one was merged into."""
    kept = reference.root(customer)
    parent = reference.about.get(kept, {}).get("parent_id")
    return kept if parent is None else account(reference, parent)


def told_by_account(facts: Facts, reference: Reference) -> Facts:
    """The same story, in which every customer is called as its account is and nobody tests."""
    told = Facts()
    told.tables["rates"] = facts.tables["rates"]
    for table in ("subscription_states", "subscription_spans"):
        told.tables[table] = [
            {**row, "customer_id": account(reference, row["customer_id"])}
            for row in facts.tables[table]
            if not reference.is_test(row["customer_id"])
        ]
    return told


@settings(
    max_examples=20 if ON_CI else 4,
    deadline=None,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=UNHURRIED,
)
@given(
    world=worlds(),
    shops=st.tuples(*(families(name=f"k{number}") for number in range(COMPANIES))),
    window=st.sampled_from(WINDOWS),
)
def test_accounts_are_what_one_gets_who_calls_every_customer_by_the_account(
    world: World, shops: tuple[Facts, ...], window: tuple[str, date, date]
) -> None:
    facts = everything(world, list(shops))
    if not facts.tables["subscription_states"] and not facts.tables["subscription_spans"]:
        return
    reference = reference_for(world, told_by_account(facts, reference_for(world, facts)))
    with (
        tempfile.TemporaryDirectory(prefix="tenure-accounts-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=world.zone) as workspace,
    ):
        accounts = ByAccount(workspace)
        if not world.reporting:
            assert wrong_movements(accounts, reference, world) == []
        assert wrong_cells(accounts, reference, world, WINDOWS[0], ()) == []
        assert wrong_cells(accounts, reference, world, window, ()) == []


@settings(max_examples=10 if ON_CI else 3, deadline=None, phases=WITHOUT_SHRINKING, suppress_health_check=UNHURRIED)
@given(
    world=worlds(),
    shops=st.tuples(*(families(name=f"k{number}") for number in range(COMPANIES))),
    by=st.sampled_from([(), ("plan_id",), ("currency",)]),
)
def test_sums_of_money_are_the_same_by_customer_and_by_account(
    world: World, shops: tuple[Facts, ...], by: tuple[str, ...]
) -> None:
    facts = everything(world, list(shops))
    if not facts.tables["subscription_states"] and not facts.tables["subscription_spans"]:
        return
    with (
        tempfile.TemporaryDirectory(prefix="tenure-accounts-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=world.zone) as workspace,
    ):
        one, other = (
            workspace.metrics(
                *("mrr", "arr", "mrr_opening", "mrr_fx", "mrr_net_new"),
                since="2023-08",
                until="2025-05",
                by=by,
                currency=world.reporting,
                known_on=world.known_on.isoformat(),
                grain=grain,
            ).rows(exact=True)
            for grain in ("customer", "account")
        )

        def told(rows: list[dict[str, Any]]) -> dict[Any, Any]:
            keys = ("metric", "period_start", "currency")
            told = {(*(row[k] for k in keys), str(row["segment"])): row["value"] for row in rows}
            return {key: value for key, value in told.items() if value}

        assert told(one) == told(other)


# --- mergers ----------------------------------------------------------------------------------------------------------

_FIRST = datetime.fromisoformat("2024-01-01T00:00:00+00:00")


@st.composite
def mergers(draw: Callable[..., Any]) -> tuple[Facts, dict[str, str]]:
    """Customers who all pay while they are there, and who was merged into whom."""
    facts = Facts()
    names = [f"c{number}" for number in range(draw(st.integers(2, 6)))]
    for name in names:
        for number in range(draw(st.integers(0, 3))):
            began = _FIRST + timedelta(days=draw(st.integers(0, 300)))
            ended = began + timedelta(days=draw(st.integers(1, 200)))
            facts.span(began, ended, customer=name, subscription=f"{name}-{number}", amount_minor=1_000)
    into = {
        name: draw(st.sampled_from(names[number + 1 :]))
        for number, name in enumerate(names[:-1])
        if draw(st.booleans())
    }
    return facts, into


@settings(max_examples=15 if ON_CI else 6, deadline=None, suppress_health_check=UNHURRIED)
@given(story=mergers())
def test_a_merger_invents_nobody_and_loses_nobody(story: tuple[Facts, dict[str, str]]) -> None:
    facts, into = story
    if not facts.tables["subscription_spans"]:
        return

    def root(name: str) -> str:
        return root(into[name]) if name in into else name

    told = []
    for merged in (False, True):
        if merged:
            for name, other in into.items():
                facts.customer(name, merged_into=other)
        with (
            tempfile.TemporaryDirectory(prefix="tenure-mergers-") as folder,
            open_workspace(Path(folder) / "shop", facts) as workspace,
        ):
            ask: dict[str, Any] = {"since": "2024-01", "until": "2025-12"}
            moved = workspace.movements(**ask).to_pylist()
            mrr = [row["value"] for row in workspace.metrics("mrr", **ask).rows()]
        told.append((mrr, moved))
    (before, apart), (after, together) = told
    assert after == before
    assert sum(row["amount_micro"] for row in apart) == sum(row["amount_micro"] for row in together)

    def events(moved: list[dict[str, Any]], kind: str) -> Counter[Any]:
        return Counter({(root(row["customer_id"]), row["at"]) for row in moved if row["kind"] == kind})

    assert not events(together, "churn") - events(apart, "churn")
    # Of those who came, one history: whoever came first is new, and nobody twice.
    firsts: dict[str, datetime] = {}
    for row in apart:
        if row["kind"] == "new":
            firsts[root(row["customer_id"])] = min(row["at"], firsts.get(root(row["customer_id"]), row["at"]))
    assert events(together, "new") == Counter(firsts.items())
