"""Who was there when each month began, and who left within the month after? What most ways of asking compare.

    months = Months.of(facts, definition, first, after, lead=7)
    st = facts.statement()
    step = months.at_risk(st)        one row per live customer and month's beginning, in the engine

The step has customer_id, cut (0, 1, ...: which month), at_us (its beginning), plan and pays_yearly (of the item that pays
most), tenure (a band, see TENURES), currency and mrr (10^-6 minor units, in the currency of the largest item), seats,
discount (share of the price), and gone: 1 where the customer decided to leave in [at + lead, next beginning + lead), by
choice or for a reason nobody told. Windows follow one another, so that each loss falls into one. Who had decided before
his window opens has no row: what he does then no longer says why. Who was lost in the window to a failed payment has
none either. By the clock `lost` a customer is gone whose end falls into [at, next beginning), however
he was lost and whenever he decided: what is counted as churn.

What can be known of a month's beginning lies before it: a metric joined to this step must use rows before at_us alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tenure.errors import BadInput, BadPeriod
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, micros
from tenure.measure import states
from tenure.measure.cohorts import nothing_known
from tenure.measure.definition import Definition
from tenure.predict.features_periods import LONGEST_LAG_DAYS, decisions

if TYPE_CHECKING:
    import pyarrow as pa

LEAD_DAYS = 7
LONGEST_LEAD_DAYS = 90
CLOCKS = ("decided", "lost")
# Days since the first payment; tenure is where churn differs most.
TENURES = ((91, "0-3 months"), (182, "3-6 months"), (365, "6-12 months"), (730, "1-2 years"))
TENURE_LAST = "2 years or more"
# A stratum: who shares month, plan, yearly billing and tenure.
STRATUM = "cut, plan, pays_yearly, tenure"
LOST = "losses_of_customers"
_WANTED = (
    "customer_id", "subscription_id", "item_id", "status", "plan_id", "interval", "interval_count", "quantity",
    "amount_minor", "tax_minor", "tax_inclusive", "discount_forever_minor", "discount_limited_minor",
    "discount_ends_at", "minimum_commit_minor", "currency", "is_metered", "period_end", "term_ends_at",
    "trial_ends_at", "cancel_at",
)  # fmt: skip
_DEAD = ", ".join(f"'{status}'" for status in states.DEAD)
_ITEM = "PARTITION BY subscription_id, item_id"


@dataclass(frozen=True, eq=False)
class Months:
    """The months that are compared, and every loss that is known; see the module.

    cuts: the months whose windows are over; unfinished: those whose windows are not, which are left out.
    """

    facts: Facts
    definition: Definition
    cuts: tuple[Period, ...]
    unfinished: tuple[Period, ...]
    lead: int
    clock: str
    losses: pa.Table

    @classmethod
    def of(
        cls,
        facts: Facts,
        definition: Definition,
        first: date,
        after: date,
        *,
        lead: int = LEAD_DAYS,
        clock: str = "decided",
    ) -> Months:
        """The months that begin in [first, after), and every loss.

        Raises BadInput for a lead beyond 0 to 90 days, BadPeriod where no month begins or no window is over.
        """
        if not 0 <= lead <= LONGEST_LEAD_DAYS:
            raise BadInput(f"a lead of {lead} days: give whole days from 0 to {LONGEST_LEAD_DAYS}")
        if clock not in CLOCKS:
            raise BadInput(f"a clock is one of {', '.join(CLOCKS)}, not '{clock}'")
        begun = [
            month
            for month in periods(first.replace(day=1), after, "month", facts.timezone)
            if month.first >= first and month.start <= facts.known_before
        ]
        if not begun:
            raise BadPeriod(f"no month begins from {first} up to {after} that is known; ask for a longer stretch")
        # Every method asks for the same losses: one look at the lake works them out once.
        key = ("decisions", definition)
        if key not in facts.memory:
            facts.memory[key] = decisions(facts, definition)
        losses: pa.Table = facts.memory[key]
        lag = timedelta(0)
        if clock == "lost":
            lead = 0
        else:
            import pyarrow.compute as pc

            # A decision that nobody told shows at the end of what it ended.
            all_told = pc.all(losses.column("is_told")).as_py() is not False
            lag = timedelta(days=lead + (0 if all_told else LONGEST_LAG_DAYS))
        over = tuple(month for month in begun if month.end + lag <= facts.known_before)
        if not over:
            raise BadPeriod(
                f"no month from {first} up to {after} is over with its {lag.days} days of lead and delay by "
                f"{facts.known_before:%Y-%m-%d}; ask for an earlier one, or for a shorter --lead"
            )
        return cls(facts, definition, over, tuple(begun[len(over) :]), lead, clock, losses)

    def at_risk(self, st: Statement) -> str:
        """The step `at_risk`; see the module."""
        if "at_risk" in st:
            return "at_risk"
        d = self.facts.engine.dialect
        lead = self.lead * DAY_US
        rows = [
            (str(i), str(micros(month.start)), str(micros(month.start) + lead), str(micros(month.end) + lead))
            for i, month in enumerate(self.cuts)
        ]
        cuts = st.step("cuts", d.values(rows, ("cut", "at_us", "opens_us", "closes_us")), says="the months' beginnings")
        item = self.items(st)
        first = st.step(
            "first_payments",
            f"SELECT customer_id, min(begins_us) AS first_us FROM {item} WHERE (mrr > 0 OR coalesce(is_metered, FALSE)) "
            "AND coalesce(next_ts > begins_us, TRUE) AND coalesce(ends_us > begins_us, TRUE) GROUP BY customer_id",
        )
        limited = "CASE WHEN coalesce(i.discount_ends_at >= c.at_us, TRUE) THEN coalesce(i.discount_limited_minor, 0) ELSE 0 END"
        standing = st.step(
            "items_standing",
            "SELECT i.customer_id, i.plan_id, i.interval, i.currency, i.mrr, c.cut, c.at_us, c.opens_us, c.closes_us, "
            "CASE WHEN coalesce(i.is_metered, FALSE) THEN NULL ELSE i.quantity END AS seats, "
            f"CASE WHEN i.amount_minor > 0 THEN CAST(coalesce(i.discount_forever_minor, 0) + {limited} AS DOUBLE) / i.amount_minor END AS discount, "
            "row_number() OVER (PARTITION BY i.customer_id, c.cut ORDER BY i.mrr DESC, i.subscription_id, i.item_id) AS place "
            f"FROM {item} AS i JOIN {cuts} AS c ON i.ts < c.at_us AND coalesce(i.next_ts >= c.at_us, TRUE) "
            "AND i.begins_us < c.at_us AND coalesce(i.ends_us >= c.at_us, TRUE)",
            says="each live item at each month's beginning",
        )
        of_largest = {name: f"max(CASE WHEN place = 1 THEN {name} END)" for name in ("plan_id", "interval", "currency")}
        main = st.step(
            "items_with_currency",
            f"SELECT *, max(CASE WHEN place = 1 THEN currency END) OVER (PARTITION BY customer_id, cut) AS main FROM {standing}",
        )
        summed = st.step(
            "customers_standing",
            f"SELECT customer_id, cut, max(at_us) AS at_us, max(opens_us) AS opens_us, max(closes_us) AS closes_us, "
            f"coalesce({of_largest['plan_id']}, '') AS plan, CASE WHEN {of_largest['interval']} = 'year' THEN 1 ELSE 0 END AS pays_yearly, "
            f"{of_largest['currency']} AS currency, {d.total('CASE WHEN coalesce(currency = main, TRUE) THEN mrr ELSE 0 END')} AS mrr, "
            f"{d.total('seats')} AS seats, max(CASE WHEN place = 1 THEN discount END) AS discount FROM {main} GROUP BY customer_id, cut",
        )
        by = "decided_us" if self.clock == "decided" else "lost_us"
        gone = "n.ends_us >= s.opens_us AND n.ends_us < s.closes_us"
        if self.clock == "lost":
            gone = "n.ends_us >= s.at_us AND n.ends_us < s.closes_us"
        late = "n.ends_us < s.opens_us OR " if self.clock == "decided" else ""
        forced = f"({gone} AND n.is_choice = 0)" if self.clock == "decided" else "FALSE"
        following = st.step(
            "next_losses",
            f"SELECT s.customer_id, s.cut, min_by(l.{by}, l.lost_us) AS ends_us, min_by(l.is_choice, l.lost_us) AS is_choice "
            f"FROM {summed} AS s JOIN {self.lend()} AS l ON l.customer_id = s.customer_id AND l.lost_us >= s.at_us "
            "GROUP BY s.customer_id, s.cut",
        )
        days = f"(s.at_us - f.first_us) / CAST({DAY_US} AS DOUBLE)"
        bands = " ".join(f"WHEN {days} < {limit} THEN '{name}'" for limit, name in TENURES)
        return st.step(
            "at_risk",
            f"SELECT s.customer_id, s.cut, s.at_us, s.plan, s.pays_yearly, CASE {bands} ELSE '{TENURE_LAST}' END AS tenure, s.currency, "
            f"s.mrr, s.seats, s.discount, CASE WHEN {gone} THEN 1 ELSE 0 END AS gone FROM {summed} AS s "
            f"JOIN {first} AS f ON f.customer_id = s.customer_id AND f.first_us < s.at_us "
            f"LEFT JOIN {following} AS n ON n.customer_id = s.customer_id AND n.cut = s.cut "
            f"WHERE NOT coalesce({late}{forced}, FALSE)",
            keep=True,
            says="live customers at each month's beginning, and whether they left in the month after",
        )

    def items(self, st: Statement) -> str:
        """The step `live_items`, of live items' states: from when to when each stands."""
        if "live_items" in st:
            return "live_items"
        facts = self.facts
        definition = replace(self.definition, source="states", churn_at="end", follows="customer")
        if not states.tables(facts):
            raise nothing_known(facts)
        every = states.all_states(st, facts, _WANTED, definition)
        rate = states.monthly(facts, definition, states.base_price(facts, definition))
        begins = "CASE WHEN status = 'trialing' THEN greatest(trial_ends_at, ts) ELSE ts END"
        ends = "CASE WHEN status = 'non_renewing' THEN coalesce(cancel_at, term_ends_at, period_end) ELSE cancel_at END"
        followed = st.step(
            "followed_states",
            f"SELECT *, {rate} AS mrr, {begins} AS begins_us, {ends} AS ends_us, lead(ts) OVER item AS next_ts FROM {every} "
            f"WHERE ts < {facts.horizon} WINDOW item AS ({_ITEM} ORDER BY ts)",
        )
        return st.step(
            "live_items",
            f"SELECT * FROM {followed} WHERE status NOT IN ({_DEAD}) AND NOT (status = 'trialing' AND trial_ends_at IS NULL)",
            keep=True,
            says="what lives, from when to when",
        )

    def lend(self) -> str:
        """The losses as a relation in the engine: customer_id, lost_us, decided_us, is_choice."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cause = self.losses.column("cause")
        choice = pc.not_equal(cause, "involuntary")
        table = self.losses.select(["customer_id", "lost_us", "decided_us"])
        return self.facts.engine.lend(LOST, table.append_column("is_choice", pc.cast(choice, pa.int64())))

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the months that were compared."""
        found = []
        if self.unfinished:
            first, last = self.unfinished[0].first, self.unfinished[-1].first
            which = f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}"
            found.append(f"{which}: left out, for it is not yet seen to its end who left.")
        return found
