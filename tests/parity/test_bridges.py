"""Does a bridge reach the other definition's number exactly, on companies that nobody would think of?

A bridge evaluates a combination of choices for those customers alone whom all of them could touch. The number it ends
with is put together from these parts; here it must be the one that the other definition gives for everybody.
"""

from __future__ import annotations

import tempfile
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tenure.errors import BadConfiguration, BadInput
from tenure.measure.bridge import bridge
from tenure.measure.catalogue import metric
from tenure.measure.definition import CHOICES, Definition, check, profile, profiles, with_choices
from tenure.measure.gathering import gather
from tests.conftest import ON_CI
from tests.parity.test_brute_force import everything
from tests.reference.builder import Facts, open_workspace
from tests.reference.companies import World, companies, worlds

METRICS = ("mrr", "mrr_churn", "mrr_new", "customers", "customers_churned", "customer_churn_rate", "nrr", "grr_12m")
PERIODS = (
    ("month", date(2024, 3, 1), date(2024, 4, 1)),
    ("quarter", date(2024, 1, 1), date(2024, 4, 1)),
    ("month", date(2024, 10, 1), date(2024, 11, 1)),
)
NUMBERS = {"days": (0, 7, 30, 90), "months": (0, 1, 6), "minutes": (0, 60, 1440), "factor": ((30, 1), (13, 3), (1, 1))}


@st.composite
def definitions(draw: Any) -> Definition:
    """A vendor's definition with up to four choices made anew; never one that contradicts itself."""
    base = profile(draw(st.sampled_from([name for name in profiles() if name != "recurly"])))
    # Rates are not known for all of a random company's history, and it sends no invoices.
    names = [name for name in CHOICES if name not in ("source", "fx")]
    changed = {}
    for name in draw(st.lists(st.sampled_from(names), max_size=4, unique=True)):
        allowed = CHOICES[name].allowed
        changed[name] = draw(st.sampled_from(allowed if isinstance(allowed, tuple) else NUMBERS[allowed]))
    changed["fx"] = "dated"
    try:
        found = with_choices(base, changed)
        check(found)
    except BadConfiguration:
        assume(False)
    return found


@settings(
    max_examples=8 if ON_CI else 5,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(
    world=worlds(),
    shops=st.tuples(*(companies(name=f"k{number}") for number in range(5))),
    one=definitions(),
    other=definitions(),
    name=st.sampled_from(METRICS),
    span=st.sampled_from(PERIODS),
)
def test_a_bridge_adds_up_to_the_other_definitions_number_on_random_companies(
    world: World, shops: tuple[Facts, ...], one: Definition, other: Definition, name: str, span: tuple[str, date, date]
) -> None:
    facts = everything(world, list(shops))
    assume(facts.tables["subscription_states"] or facts.tables["subscription_spans"])
    grain, first, until = span
    what = metric(name)
    currency = world.reporting or "USD"
    with (
        tempfile.TemporaryDirectory(prefix="tenure-bridge-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=world.zone) as shop,
    ):
        known = shop.facts(world.known_on.isoformat())
        expected = []
        for definition in (one, other):
            there = gather(
                known, definition, first=first, after=until, grain=grain, currency=currency, year_back=what.looks_back
            )
            figures = there.found[0, "", currency if what.of_money else None]
            expected.append(what.compute(figures).value)
        try:
            found = bridge(known, one, other, name, first=first, until=until, grain=grain, currency=currency)
        except BadInput as refused:
            # A number that does not exist, at one end or on the way, cannot be bridged.
            assert f"there is no {name}" in str(refused)
            return
        assert [found.start.value, found.end.value] == expected
        assert sum((line.amount for line in found.lines), Fraction(0)) == found.difference
