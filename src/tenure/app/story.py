"""What does the report say? One tree of plain data, filled by `tenure.app.report`, shown by `tenure.faces.report`.

A `Story` holds every number, interval, customer and caveat of one report and nothing of its looks or its language:
the same story becomes a page (`tenure.faces.report.html`), a terminal print (`tenure.faces.report.terminal`) and the
charts. It is frozen, does no I/O and can be written by hand (see `tests/faces/made_up_story.py`).

Units, everywhere in this module
--------------------------------
money       `Decimal` in major units (12.34, not 1234), with the ISO 4217 code beside it
rate        `float` fraction (0.042 is 4.2 %); nrr may exceed 1
count       `int`
interval    `low`, `high` in the unit of the value; both None where none can be given
period      half-open: `Period.end` is the first day that is *not* in it; days are those of the workspace's zone
day         `datetime.date` in the workspace's zone
unknown     None (or "" for text), never 0; `Figure.reason` says why a value is None

A section of `Story` that is None (or an empty tuple) is left out of the report: a shop with orders alone
has no `recurring`, a company without history no `survival`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

Unit = Literal["money", "rate", "count", "ratio", "months", "days"]
Grain = Literal["day", "week", "month", "quarter", "year"]
Direction = Literal["higher", "lower", "neither"]
Verdict = Literal["real", "noise", "unknown"]
How = Literal["voluntary", "involuntary", "other", "unknown"]


@dataclass(frozen=True)
class Period:
    """Which days? Half-open: from `start` up to, not including, `end`. A balance has the period that it closes."""

    start: date
    end: date
    grain: Grain = "month"


@dataclass(frozen=True)
class Note:
    """What must a reader know before trusting this? A code that the words of each language know, and its values.

    `code` is looked up under `notes.CODE` in `faces/report/words/*.toml` and filled with `values` (numbers, dates,
    text). Codes known today: survivors_only(until), reconstructed, provisional(until), snapshot_one_period,
    assumed_rows(rows, share), derived_rows(rows, share), quarantined_rows(rows), test_customers(customers),
    several_currencies(currencies), missing_rates(currencies), small_base(n), merged_customers(customers),
    undated_traits(traits), one_period_only, no_cancel_actor(share), open_window(days),
    nobody_new(since). A code nobody translated is shown as `text`.
    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Figure:
    """How much, by which definition, over which days, and how sure?

    metric       catalogue name ("customer_churn_rate"): its title and definition are looked up under `metrics.NAME` in
                 the words, else `Story.definitions` has them
    value        money: Decimal; rate, ratio, months, days: float; count: int; None: unknown, see `reason`
    currency     of money; for a rate, the currency it was computed in if the company has several, else ""
    low, high    interval at `level`, None where none can be given (MRR is counted, not estimated)
    numerator, denominator, n
                 what the rate was divided from, in their own units (money: Decimal); n = customers in the base
    reason       why the value is None, one plain clause ("no customers were there at the start")
    is_small_base  the base is under 30: the number is shown, with a warning
    profile      name of the definition profile, "" = that of `About`
    """

    metric: str
    value: Decimal | float | int | None
    unit: Unit
    period: Period
    currency: str = ""
    low: Decimal | float | None = None
    high: Decimal | float | None = None
    level: float = 0.95
    numerator: Decimal | float | int | None = None
    denominator: Decimal | float | int | None = None
    n: int | None = None
    reason: str = ""
    is_small_base: bool = False
    profile: str = ""


@dataclass(frozen=True)
class Comparison:
    """Is it better than it was, or than it should be; and is the change more than noise?

    against      "previous" (last period), "year_ago", "target"
    then         the figure compared with; for a target its value only
    difference   now minus then: rates in fraction points (0.01 = one percentage point), money in major units
    low, high    interval of that *difference* (not of either figure) at `level`; None: none can be given
    """

    against: Literal["previous", "year_ago", "target"]
    then: Figure
    difference: Decimal | float | int | None = None
    low: Decimal | float | None = None
    high: Decimal | float | None = None
    level: float = 0.95

    @property
    def verdict(self) -> Verdict:
        """real: the interval of the difference leaves 0 out; noise: it holds 0; unknown: there is no interval."""
        if self.low is None or self.high is None:
            return "unknown"
        return "real" if self.low > 0 or self.high < 0 else "noise"


@dataclass(frozen=True)
class Point:
    """One value of a history (for sparklines and lines); value None where it is unknown."""

    period: Period
    value: Decimal | float | int | None
    low: Decimal | float | None = None
    high: Decimal | float | None = None


@dataclass(frozen=True)
class CustomerRow:
    """Which customer is in this number? A row of any list the report opens to.

    mrr          the MRR the row is about: lost (leavers), running (scheduled, due for renewal), after (movements)
    change       signed movement of MRR; None where the list is not about a movement
    since        first day as a customer;  on: the day it happened or will (left, leaves, renews, moved)
    how          who ended it; None where nobody did
    cause        refined cause of a movement (seats, plan, price, discount_end, ...), "" if none
    reason, comment  what the customer said: a code or words, and free text; both untrusted, any language and length
    """

    id: str
    name: str = ""
    mrr: Decimal | None = None
    currency: str = ""
    change: Decimal | None = None
    since: date | None = None
    on: date | None = None
    plan: str = ""
    plan_after: str = ""
    channel: str = ""
    how: How | None = None
    cause: str = ""
    reason: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Opened:
    """The customers behind a number: the first rows, how many there are in all, the command that lists every one."""

    rows: tuple[CustomerRow, ...] = ()
    total: int = 0
    command: str = ""


@dataclass(frozen=True)
class Amount:
    """Money: `value` in major units of `currency`."""

    value: Decimal
    currency: str


@dataclass(frozen=True)
class Headline:
    """One number of the first screen, with what it is compared to, where it came from and who is in it.

    better       "lower" for churn, "higher" for nrr, grr, mrr
    history      oldest first, the last point is the figure's own period
    """

    figure: Figure
    better: Direction = "higher"
    comparisons: tuple[Comparison, ...] = ()
    history: tuple[Point, ...] = ()
    customers: Opened | None = None


@dataclass(frozen=True)
class MovementLine:
    """How much did one kind of movement add or take this period?

    kind         new, reactivation, resume, expansion, contraction, pause, churn, fx, correction
    amount       signed: contraction, pause and churn are negative, fx and correction either
    customers    distinct customers with such a movement (None for fx and correction)
    causes       refined causes, signed, largest first: ((cause, amount), ...)
    """

    kind: str
    amount: Decimal
    customers: int | None = None
    causes: tuple[tuple[str, Decimal], ...] = ()
    opened: Opened | None = None


@dataclass(frozen=True)
class MovementPeriod:
    """One period of the roll-forward: opening + sum of `amounts` (kind -> signed Decimal) = closing."""

    period: Period
    opening: Decimal
    closing: Decimal
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True)
class Layer:
    """What those who joined in `cohort` bring in `period`: MRR at its end, or revenue in it (for a layer cake)."""

    cohort: str
    period: Period
    amount: Decimal


@dataclass(frozen=True)
class Recurring:
    """Recurring revenue of one currency: where it stands, why it moved, how it got here.

    lines        the period of the report, in roll-forward order; opening + sum(amount) = closing exactly as displayed
    months       the movements over time, oldest first (the last is the period of the report)
    layers       MRR by cohort at each period's end; cohorts' names sort in time ("2024", "2024-Q3", "2024-08")
    """

    currency: str
    mrr: Headline
    opening: Decimal
    closing: Decimal
    lines: tuple[MovementLine, ...]
    months: tuple[MovementPeriod, ...] = ()
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Leavers:
    """Who left, which cost most, and what did they say?

    customers    how many left for good in the period
    mrr          what they paid, one amount per currency (largest first)
    costliest    the (up to ten) with the highest lost MRR, with reason and comment, highest first
    said         what was given as reason: (reason, customers, mrr in reporting currency or None), most customers first
    silent       leavers who gave neither reason nor comment
    """

    period: Period
    customers: int
    mrr: tuple[Amount, ...]
    costliest: tuple[CustomerRow, ...]
    said: tuple[tuple[str, int, Decimal | None], ...] = ()
    silent: int | None = None
    command: str = ""


@dataclass(frozen=True)
class ShareLine:
    """One way of leaving: how many, what they paid, and its share of all leavers with interval (fractions)."""

    how: How
    customers: int
    mrr: Decimal | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chosen:
    """Did they choose to leave, or did a card fail?  other: dispute, fraud, ended by us; unknown stays unknown."""

    period: Period
    lines: tuple[ShareLine, ...]
    currency: str = ""
    previous: tuple[ShareLine, ...] = ()


@dataclass(frozen=True)
class Ahead:
    """Who is already leaving, and who decides soon?

    scheduled    customers with an end already set and not yet reached; `on` = the day MRR stops
    renewals     customers whose term ends within `window_days` and who have not cancelled; `on` = term end
    Amounts: MRR, one per currency, largest first.
    """

    as_of: date
    scheduled: Opened
    scheduled_mrr: tuple[Amount, ...] = ()
    renewals: Opened = Opened()
    renewals_mrr: tuple[Amount, ...] = ()
    window_days: int = 90


@dataclass(frozen=True)
class CausePart:
    """One cause's part in the leaving: a taxonomy code, shares with their 90 % interval, how strong its evidence is.

    mrr      share of the MRR lost; None where money cannot be summed, as are its ends
    strength experiment, event study, adjusted association, stated, text; "" without evidence
    withheld why no share is given although something was found, else ""
    """

    cause: str
    customers: float | None
    low: float | None
    high: float | None
    mrr: float | None = None
    mrr_low: float | None = None
    mrr_high: float | None = None
    strength: str = ""
    withheld: str = ""


@dataclass(frozen=True)
class Causes:
    """Why customers left, all ways of asking taken together (`tenure why`).

    customers how many left in the period, lost and paying
    parts     every cause in the order of its share, `unknown` last; the shares sum to one
    """

    period: Period
    customers: int
    parts: tuple[CausePart, ...]
    command: str


@dataclass(frozen=True)
class ScoredRow:
    """A customer's stored score: the chance to leave within the horizon, the part of it by failed payment.

    worth     what the customer is still expected to bring, major units; None where that is not known
    at_stake  chance x worth
    """

    id: str
    name: str
    chance: float
    by_payment: float | None = None
    worth: Decimal | None = None
    at_stake: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True)
class LeavesNext:
    """Who leaves next, by the last scores that `tenure risk` wrote before the period's end or at it.

    scored    how many customers have a score; expected: the sum of their chances
    rows      the (up to ten) with most at stake, or the likeliest where worth cannot be compared, as `ranked` says
    """

    day: date
    days: int
    scored: int
    expected: float
    rows: tuple[ScoredRow, ...]
    ranked: Literal["at_stake", "chance"]
    command: str


# The lines of `tenure cost` that the report tells, in its order.
COST_LINES = (
    "customers_lost", "mrr_lost", "arr_lost", "forgone_value", "replacement_cost", "arr_scheduled", "arr_past_due",
    "arr_at_risk", "arr_saved", "arr_recovered", "arr_won_back",
)  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """What churn cost in the period: lines of `tenure cost` in one currency, by name, in major units.

    lines    customers_lost (a count), mrr_lost, arr_lost, forgone_value, replacement_cost, arr_scheduled, arr_past_due,
             arr_at_risk, arr_saved, arr_recovered, arr_won_back; None where a line is not known
    command  prints all lines with their definitions
    """

    currency: str
    period: Period
    lines: Mapping[str, Decimal | int | None]
    command: str


@dataclass(frozen=True)
class DueMonth:
    """What came due in one period: how many renewals by outcome (renewed, late, undecided, lost), and their ARR."""

    period: Period
    counts: Mapping[str, int]
    arr: Mapping[str, Decimal]

    @property
    def due(self) -> int:
        """How many came due."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class ComingDue:
    """Do yearly terms renew, and what is already promised?

    months       terms of a year or more, oldest first, the last is the period of the report; due = sum of `counts`
    rate         share of the decided of all months that renewed, with its interval; None where none is decided
    signed, leaving   MRR that will begin and that will go within `months_ahead`, as told by the period's end
    """

    currency: str
    months: tuple[DueMonth, ...]
    mrr: Decimal
    signed: Decimal
    leaving: Decimal
    months_ahead: int = 12
    rate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SegmentRate:
    """How much worse or better is one segment than all the others?

    rate         the segment's churn (Figure with interval, n, numerator, denominator)
    rest         the same for everybody not in it
    difference   rate - rest, with interval (already widened for the number of segments looked at, if `is_adjusted`)
    mrr          the segment's MRR at the start of the period, reporting currency
    """

    column: str
    segment: str
    rate: Figure
    rest: Figure | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    mrr: Decimal | None = None
    opened: Opened | None = None


@dataclass(frozen=True)
class SegmentTable:
    """Churn by one column (plan_id, channel, cohort, country, tenure band, ...): every segment, worst first."""

    column: str
    rows: tuple[SegmentRate, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Worse:
    """Which cohort, plan or channel is worse than the rest, and by more than noise?

    tables       one per column looked at
    worst        rows of those tables whose difference stays above 0 after allowing for all comparisons, worst first;
                 empty: none is
    compared     number of segments compared in all (for the multiple-comparison sentence)
    per          "month" where the rates are averages per month over a longer `period`, and n counts customer-months;
                 "" where each rate is over the whole period
    """

    metric: str
    period: Period
    tables: tuple[SegmentTable, ...]
    worst: tuple[SegmentRate, ...] = ()
    compared: int = 0
    is_adjusted: bool = True
    per: str = ""


@dataclass(frozen=True)
class CohortRow:
    """One cohort: its name, when it began, its size, and what was left at each age.

    values       index = age in periods (0 = the first); fraction of the start, None beyond what has been observed
    size         customers (or money) at age 0
    """

    cohort: str
    start: date
    size: Decimal | int
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Cohorts:
    """How much of each cohort is still there after 1, 2, 3 ... periods?

    measure      "customers", "revenue" (MRR retained) or "orders" (share of the cohort that bought in that period)
    grain        length of a cohort and of an age step
    average      weighted mean over cohorts at each age (only those observed), same indexing
    """

    measure: Literal["customers", "revenue", "orders"]
    grain: Grain
    rows: tuple[CohortRow, ...]
    average: tuple[float | None, ...] = ()
    currency: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class SurvivalPoint:
    """At tenure `at` (in the curve's time unit): share still there, interval, number still under observation."""

    at: float
    survival: float
    low: float | None = None
    high: float | None = None
    at_risk: int | None = None


@dataclass(frozen=True)
class SurvivalCurve:
    """One Kaplan-Meier curve; segment "" = everybody.  median None: more than half stay longer than we have watched.

    restricted_mean  average stay within the first `horizon` of tenure, both in the section's unit
    """

    segment: str
    points: tuple[SurvivalPoint, ...]
    customers: int = 0
    left: int = 0
    median: float | None = None
    median_low: float | None = None
    median_high: float | None = None
    restricted_mean: float | None = None
    horizon: float | None = None


@dataclass(frozen=True)
class Survival:
    """How long do customers stay?  Step curves with bands; `p_value` of the log-rank test if there are several."""

    curves: tuple[SurvivalCurve, ...]
    unit: Literal["months", "days", "weeks", "years"] = "months"
    column: str = ""
    level: float = 0.95
    p_value: float | None = None
    exposure_since: date | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class HazardPoint:
    """Of those who reached tenure `start`, which share left before `end`? In the section's unit, half-open.

    hazard       fraction of those there at `start`, over the whole of [start, end), however long that is
    """

    start: float
    end: float
    hazard: float
    low: float | None = None
    high: float | None = None
    left: int = 0
    at_risk: int = 0


@dataclass(frozen=True)
class Hazard:
    """When do they leave?  Hazard by tenure, in spans that follow each other; `unit` as in Survival."""

    points: tuple[HazardPoint, ...]
    unit: Literal["months", "days", "weeks", "years"] = "months"
    level: float = 0.95
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class OrderPeriod:
    """One period of orders: revenue net of returns, orders, customers who bought, of these the new."""

    period: Period
    revenue: Decimal
    orders: int
    customers: int
    new_customers: int = 0
    returns: Decimal | None = None


@dataclass(frozen=True)
class Activity:
    """Who has stopped buying?  Activity churn per period, and the silence after which a buyer counts as gone.

    window_days  how many days without a purchase; is_chosen: by the rule from the gaps, and not set by the company
    within       the share of the gaps between purchase days that are no longer (None: there is no gap)
    reached      silences that lasted so long; came_back: the share of them that ended in a purchase all the same
    """

    churn: Headline
    window_days: int
    is_chosen: bool
    within: float | None
    reached: int
    came_back: float | None


@dataclass(frozen=True)
class Orders:
    """No subscriptions: what do customers buy, how many come back, and from which cohorts does revenue come?

    silent_days  after how many days without an order a customer counts as gone (None: not decided)
    """

    currency: str
    revenue: Headline
    customers: Headline | None = None
    repeat_rate: Headline | None = None
    months: tuple[OrderPeriod, ...] = ()
    cohorts: Cohorts | None = None
    layers: tuple[Layer, ...] = ()
    costliest: Opened | None = None
    silent_days: int | None = None
    notes: tuple[Note, ...] = ()
    activity: Activity | None = None


@dataclass(frozen=True)
class FactCoverage:
    """What do we have of one table?  since/until: first and last business day of its rows; rows 0: nothing was loaded.

    derived      rows rebuilt from other facts
    assumed      rows whose recorded_at was assumed
    quarantined  rows refused at load
    """

    table: str
    rows: int
    customers: int | None = None
    since: date | None = None
    until: date | None = None
    derived: int = 0
    assumed: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Match:
    """Of the customers that `system` names, how many do we know as customers? matched of total."""

    system: str
    matched: int
    total: int


@dataclass(frozen=True)
class Trust:
    """How far to trust all this?

    facts            every table the report looked for, those with 0 rows too
    survivors_until  before this day nobody left in our data: history is survivors only, exposure starts here;
                     None: no such gap
    test_customers   left out of everything
    """

    facts: tuple[FactCoverage, ...]
    matches: tuple[Match, ...] = ()
    survivors_until: date | None = None
    test_customers: int = 0
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Definition:
    """What exactly is this metric?  As the catalogue says it, in English; words of a language may translate it."""

    metric: str
    title: str
    question: str
    formula: str
    unit: Unit
    source: str = ""


@dataclass(frozen=True)
class About:
    """Whose report is it, over which days, by which rules, and how final is it?

    company          display name, "" if none was given
    is_made_up       the simulator's company: every output says so
    currency         reporting currency, "" if the company keeps several apart
    period           the period the headlines are about
    known_on         record time: nothing learned later is in here
    made_at          when the report was made (UTC)
    profile          name of the definition profile; `rules` its choices, (name, value) as in measure.definition
    is_provisional   the period has not ended, or rows may still come: numbers may change
    is_reconstructed built on assumed or later-loaded rows
    version          of tenure
    """

    company: str
    period: Period
    timezone: str
    currency: str
    known_on: datetime
    made_at: datetime
    profile: str = "tenure"
    rules: tuple[tuple[str, str], ...] = ()
    is_made_up: bool = False
    is_provisional: bool = False
    is_reconstructed: bool = False
    version: str = ""
    engine: str = ""


@dataclass(frozen=True)
class Story:
    """Everything one report says. Sections that are None or empty are left out.

    rates        in the order shown: customer_churn_rate, gross_mrr_churn_rate, net_mrr_churn_rate, nrr_12m, grr_12m
    """

    about: About
    trust: Trust
    recurring: tuple[Recurring, ...] = ()
    customers: Headline | None = None
    rates: tuple[Headline, ...] = ()
    leavers: Leavers | None = None
    chosen: Chosen | None = None
    ahead: Ahead | None = None
    worse: Worse | None = None
    cohorts: tuple[Cohorts, ...] = ()
    survival: tuple[Survival, ...] = ()
    hazard: Hazard | None = None
    orders: tuple[Orders, ...] = ()
    definitions: tuple[Definition, ...] = ()
    notes: tuple[Note, ...] = ()
    due: ComingDue | None = None
    costs: Costs | None = None
    causes: Causes | None = None
    leaves_next: LeavesNext | None = None
