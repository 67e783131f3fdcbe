"""Which company shall we make up? Its settings, and the stream of its facts.

    from tenure.simulate.company import Company, simulate, write
    for table, rows in simulate(Company(customers=5_000)): ...
    write(Company(), "made-up")

The same settings give the same facts, in the same order, on every run of one version. What happens to a customer
does not depend on `chunk`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.simulate.hazards import Causes

if TYPE_CHECKING:
    import pyarrow as pa

# The tables of facts that a company has, in the order in which they are best loaded.
FACTS = (
    "customers",
    "identities",
    "contacts",
    "traits",
    "changes",
    "change_exposures",
    "rates",
    "subscription_states",
    "invoices",
    "invoice_lines",
    "payments",
    "usage",
    "tickets",
    "answers",
    "mentions",
    "touches",
    "exposures",
    "spend",
    "competitor_offers",
)
TRUTHS = ("truth_hazards", "truth_mrr", "truth_causes", "truth_leavers")


@dataclass(frozen=True)
class Company:
    """A made-up company: how many customers it ever had, over which months, and how its world works."""

    customers: int = 5_000
    months: int = 30  # calendar months, the last one being that of `until`
    seed: int = 7
    until: date = date(2026, 6, 30)  # the last day of history, UTC
    usage: str = "week"  # sums per week, day or month; none: no usage at all
    late: float = 0.03  # share of rows recorded days late; 0: none of any kind
    mistakes: float = 1.0  # how many rows are corrected or taken back, 1 = one in 200; 0: none
    churn: float = 1.0  # multiplies every hazard of leaving by choice
    causes: Causes = field(default_factory=Causes)
    unevenness: float = 1.0  # how far the base hazard differs by tenure, plan, channel, ...; 0: the same for everybody
    confounding: float = (
        0.0  # how far unhappy customers leave more and are sent more mail; the mail itself does nothing
    )
    causes_first: bool = False  # who leaves for an event decides after it; else the order within a month is by chance
    checklist_effect: float = 0.35  # log odds that the onboarding checklist adds to a trial's conversion
    renewal_rows: bool = False  # also a state row for every monthly renewal
    prorates_all: bool = False  # every change of price in mid-cycle is invoiced; else most of the dearer ones
    chunk: int = 5_000  # customers at once: memory, not results

    def __post_init__(self) -> None:
        for name, low, high in (
            ("customers", 1, 9_999_999),
            ("months", 1, 120),
            ("chunk", 1, 1_000_000),
            ("late", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise BadInput(f"{name} is {getattr(self, name)}; give a number from {low} to {high}")
        if self.usage not in ("week", "day", "month", "none"):
            raise BadInput(f"usage is '{self.usage}'; use week, day, month or none")
        if not 0 <= self.mistakes <= 20 or self.churn < 0:
            raise BadInput("mistakes goes from 0 to 20 and churn from 0 up")
        if not 0 <= self.unevenness <= 1 or not 0 <= self.confounding <= 10:
            raise BadInput("unevenness goes from 0 to 1 and confounding from 0 to 10")

    @classmethod
    def null(cls, **settings: Any) -> Company:
        """A world without effects: whoever they are and whatever happens to them, all leave at one rate."""
        return cls(causes=Causes.none(), unevenness=0.0, **settings)

    @classmethod
    def confounded(cls, **settings: Any) -> Company:
        """A world in which unhappy customers leave more and are sent more mail, and the mail does nothing."""
        return cls(causes=replace(Causes.none(), experience=1.0), confounding=1.0, **settings)

    def at(self, share: float) -> int:
        """The month that lies at a share of the window, 0 for the first."""
        return int(self.months * share)


def simulate(company: Company, progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """The company's facts and truths, piece by piece: (table, rows), several pieces per table, customers in order.

    `progress` is called with (customers done, customers) after every chunk.
    """
    import numpy as np

    from tenure.simulate import world
    from tenure.simulate.billing import bills
    from tenure.simulate.chance import Chance
    from tenure.simulate.contracts import subscription_states
    from tenure.simulate.directory import directory
    from tenure.simulate.lives import Walk
    from tenure.simulate.months import Months
    from tenure.simulate.people import newcomers
    from tenure.simulate.sheets import Clerk, Names, from_rows
    from tenure.simulate.touches import reached
    from tenure.simulate.truth import Totals, truth_hazards, truth_leavers
    from tenure.simulate.usage import usage
    from tenure.simulate.voices import spoken

    months, chance = Months(company.until, company.months), Chance(company.seed)
    events, clerk, totals = world.calendar(company, months), Clerk(months, chance, company.late), Totals.of(months)
    yield "changes", from_rows("changes", world.changes(company, months))
    yield "rates", from_rows("rates", world.rates(months, chance))
    yield "competitor_offers", from_rows("competitor_offers", world.competitor_offers(company, months, chance))
    for low in range(0, company.customers, company.chunk):
        who = np.arange(low, min(low + company.chunk, company.customers))
        lives = Walk(company, months, chance, events, newcomers(company, months, chance, who)).walked()
        names = Names.of(who)
        yield from directory(lives, names, clerk, chance, company.mistakes)
        yield "subscription_states", subscription_states(lives, names, clerk, chance, company.mistakes)
        yield from bills(lives, names, clerk, chance, months)
        yield from usage(lives, names, clerk, chance, months, events, company.usage)
        yield from spoken(lives, names, clerk, chance, months)
        yield from reached(lives, names, clerk, chance, months, events)
        yield "truth_hazards", truth_hazards(lives, names, months)
        yield "truth_leavers", truth_leavers(lives, names, months)
        totals.add(lives)
        if progress is not None:
            progress(int(who[-1]) + 1, company.customers)
    yield "spend", from_rows("spend", world.spend(months, chance, totals.sign_ups))
    yield from totals.tables()


def write(
    company: Company,
    folder: str | Path,
    format: str = "parquet",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Path]]:
    """Write the company's facts into `folder` and its truths into `folder/truth`; returns the files of each table.

    `format` is parquet or csv; each file is what `tenure load TABLE FILE` reads. MADE-UP.md says what they are.
    """
    from tenure.simulate.files import write_files

    return write_files(company, Path(folder), format, progress)
