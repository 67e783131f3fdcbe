"""On how few customers does the revenue rest? Shares of MRR of the largest customers, ranked in the engine.

What grows with the customers is sorted and summed where the facts are; what comes back is the sums and the largest ten.
Sums are exact: a share is a Fraction until it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tenure.kernel.money import exponent
from tenure.kernel.time import periods
from tenure.lake.portable import day_number, from_micros
from tenure.measure import states
from tenure.measure.currencies import SCALE, Conversion, currencies, day_before
from tenure.measure.movements import movements

if TYPE_CHECKING:
    from tenure.lake.facts import Facts
    from tenure.measure.definition import Definition

TOP = 10


@dataclass(frozen=True)
class Held:
    """A group of the largest customers: `customers` of them hold `mrr` (10^-16 x 10^-6 minor units), `share` of all."""

    group: str  # largest, top_10, top_tenth
    customers: int
    mrr: int
    share: Fraction


@dataclass(frozen=True)
class Largest:
    """One of the largest customers: its place, what it pays (as Held.mrr) and the share of all MRR that is."""

    place: int
    customer_id: str
    name: str | None
    mrr: int
    share: Fraction


@dataclass(frozen=True)
class Concentration:
    """How MRR is spread over those who pay at the end of the day before `at`, in one currency.

    total: all their MRR (10^-16 x 10^-6 minor units); payers: how many they are; groups: the largest customer, the ten
    largest, and the largest tenth (rounded up to whole customers); largest: the ten, largest first, those who pay the
    same in the order of their ids. Where nobody pays, there are no groups, for there is nothing to share.
    """

    at: date
    currency: str
    total: int
    payers: int
    groups: tuple[Held, ...]
    largest: tuple[Largest, ...]
    statement: str

    def major(self, amount: int) -> Decimal:
        """An amount in major units, rounded half-even to the currency's digits."""
        digits = exponent(self.currency)
        exact = Fraction(amount, SCALE * 1_000_000 * 10**digits)
        return Decimal(round(exact * 10**digits)).scaleb(-digits)

    def rows(self) -> list[dict[str, object]]:
        """One dict per group and per customer of the ten largest, money as Decimal, shares as float."""
        day = self.at.isoformat()
        told: list[dict[str, object]] = []
        for held in self.groups:
            told.append(
                {
                    "before": day,
                    "currency": self.currency,
                    "group": held.group,
                    "customers": held.customers,
                    "of_customers": self.payers,
                    "mrr": self.major(held.mrr),
                    "of_mrr": self.major(self.total),
                    "share": float(held.share),
                    "customer_id": None,
                    "name": None,
                }
            )
        for one in self.largest:
            told.append(
                {
                    "before": day,
                    "currency": self.currency,
                    "group": f"customer_{one.place}",
                    "customers": 1,
                    "of_customers": self.payers,
                    "mrr": self.major(one.mrr),
                    "of_mrr": self.major(self.total),
                    "share": float(one.share),
                    "customer_id": one.customer_id,
                    "name": one.name,
                }
            )
        return told


def concentration(
    facts: Facts, definition: Definition, *, at: date, currency: str | None = None
) -> list[Concentration]:
    """How concentrated MRR is at the end of the day before `at`; one answer per currency, the largest first.

    currency: converts everything at that day's rates (NoRate where one is missing; a definition that converts at the
    newest rates has those); None keeps each currency by itself. A customer's MRR is what `mrr` sums, all subscriptions
    together, so that the total is `mrr` at the end of a period that ends then.
    """
    first = date(at.year - 1, 1, 1)
    span = periods(first, at, "stretch", facts.timezone)
    known = currencies(facts, definition.source)
    conversion = None
    if currency is not None and known != [currency]:
        conversion = Conversion.of(facts, currency)
        if definition.fx == "current":
            conversion.fixed = day_number(from_micros(facts.horizon - 1).astimezone(facts.timezone).date())
    st = facts.statement()
    d = facts.engine.dialect
    found = states.shape(facts, definition)
    moved = movements(st, facts, definition, found, span)
    native = "currency" if found.currency is None else d.literal(found.currency)
    balances = st.step(
        "held",
        f"SELECT customer_id, {native} AS currency, CAST(sum(amount) AS DECIMAL(38,0)) AS native FROM {moved} "
        f"WHERE kind IS NOT NULL AND kind <> 'idle' GROUP BY customer_id, {native} HAVING sum(amount) <> 0",
        says="what each customer pays in each currency",
    )
    if conversion is not None:
        day = day_before(at)
        held_now = facts.engine.table(st.render(f"SELECT DISTINCT currency FROM {balances} ORDER BY 1"))
        units = [(c, conversion.need(c, day)) for c in held_now.column(0).to_pylist()]
        if not units:
            return []
        written = d.values(
            [(d.literal(c), f"CAST('{unit}' AS DECIMAL(20,0))") for c, unit in units], ("currency", "unit")
        )
        rates = st.step("units", written, says="what a minor unit is worth on the day, times 10^16")
        balances = st.step(
            "held_converted",
            f"SELECT h.customer_id, {d.literal(str(currency))} AS currency, "
            "CAST(sum(CAST(h.native AS DECIMAL(18,0)) * u.unit) AS DECIMAL(38,0)) AS native "
            f"FROM {balances} AS h JOIN {rates} AS u ON u.currency = h.currency GROUP BY h.customer_id",
        )
    each = "PARTITION BY currency"
    ranked = st.step(
        "ranked",
        f"SELECT customer_id, currency, native, row_number() OVER ({each} ORDER BY native DESC, customer_id) AS place, "
        f"count(*) OVER ({each}) AS payers FROM {balances} WHERE native > 0",
        keep=True,
        says="who pays, the largest first",
    )
    tenth = d.div("payers + 9", "10")
    sql = st.render(
        "SELECT currency, 0 AS place, NULL AS customer_id, max(payers) AS payers, "
        "CAST(sum(native) AS DECIMAL(38,0)) AS total, "
        f"CAST(sum(CASE WHEN place <= {TOP} THEN native ELSE 0 END) AS DECIMAL(38,0)) AS top, "
        f"CAST(sum(CASE WHEN place <= {tenth} THEN native ELSE 0 END) AS DECIMAL(38,0)) AS tenth FROM {ranked} "
        "GROUP BY currency\nUNION ALL\n"
        "SELECT currency, place, customer_id, payers, native AS total, CAST(NULL AS DECIMAL(38,0)) AS top, "
        f"CAST(NULL AS DECIMAL(38,0)) AS tenth FROM {ranked} WHERE place <= {TOP} ORDER BY 1, 2"
    )
    rows = facts.engine.table(sql).to_pylist()
    known_names = _names(facts, [row["customer_id"] for row in rows if row["place"]])
    scale = 1 if conversion is not None else SCALE
    answers = []
    for whole in (row for row in rows if not row["place"]):
        mine = [row for row in rows if row["place"] and row["currency"] == whole["currency"]]
        total, payers = int(whole["total"]), int(whole["payers"])

        def held(group: str, customers: int, mrr: int, total: int = total) -> Held:
            return Held(group, customers, mrr * scale, Fraction(mrr, total))

        groups = (
            held("largest", 1, int(mine[0]["total"])),
            held("top_10", min(TOP, payers), int(whole["top"])),
            held("top_tenth", -(-payers // 10), int(whole["tenth"])),
        )
        largest = tuple(
            Largest(
                int(row["place"]),
                row["customer_id"],
                known_names.get(row["customer_id"]),
                int(row["total"]) * scale,
                Fraction(int(row["total"]), total),
            )
            for row in mine
        )
        answers.append(Concentration(at, whole["currency"], total * scale, payers, groups, largest, sql))
    return sorted(answers, key=lambda one: (-one.major(one.total), one.currency))


def _names(facts: Facts, wanted: list[str]) -> dict[str, str]:
    """The names of a few customers."""
    if not wanted or not facts.has("customers"):
        return {}
    st = facts.statement()
    latest = facts.latest(st, "customers", ("customer_id", "name"))
    ids = ", ".join(facts.engine.dialect.literal(one) for one in sorted(set(wanted)))
    rows = facts.engine.table(
        st.render(f"SELECT customer_id, name FROM {latest} WHERE name IS NOT NULL AND customer_id IN ({ids})")
    )
    return dict(zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True))
