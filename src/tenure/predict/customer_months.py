"""Who was there when each month began, what did they pay, and who was gone when it ended? Counted in the engine.

Time is cut into months that end where knowledge ends: with the last one closing at `cut`, month w runs from the cut's
day of one calendar month to that of the next. Every customer who is there when a month begins stands in one row with
the plan and the billing interval of the dearest item, the months since joining, how far the term's end is, whether the
end was announced and how long ago, and what is paid. Rows alike are counted together, so that what comes back is
bounded by plans, tenures and months, not by customers.

`contract` is what a customer pays a month, pauses aside: who is on a pause goes on having one. Who has contracts in
several currencies has a row in each, and counts as a customer in the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from tenure.errors import BadInput
from tenure.kernel.time import Period, add_months, midnight
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement
from tenure.measure import states
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day
from tenure.measure.lifetimes import exposure_start
from tenure.measure.movements import calendar, movements
from tenure.measure.segments import Segment, members, resolve

if TYPE_CHECKING:
    import pyarrow as pa

MOST_MONTHS = 60  # looked back on
OLDEST = 120  # months since joining beyond which nobody grows older
FAR = 99  # months ahead beyond which an announced end is not told apart
_NOTICE = 3  # months since an end was announced: so many and more are one
_OF_ITEM = ("plan_id", "currency")
_DEAD = ", ".join(f"'{status}'" for status in states.DEAD)


@dataclass(frozen=True, eq=False)
class CustomerMonths:
    """The counts; see the module.

    cut: the day on which knowledge ends (exclusive); months: how many are counted, the last one ends at the cut.

    past: Arrow, one row per month (w, from 0 on), plan, interval (months), phase (months to the term's end, 0: it falls
    into this one), tenure, notice (0: no end announced as the month began; 1, 2, 3: for so many months), goes (1: the
    announced end falls into it), currency; with customers, lost, before and after (contract of all, and of those who
    stayed, as it began and as it ended), stayed (before, of those who stayed), paid, and `squares` of after less
    before in proportion to what sums of squares need. now: the same of who is there at the cut, with seg, ahead (months
    until the announced end; -1: none) in place of notice and goes, and sums. came: new customers by month and seg.
    """

    cut: date
    months: int
    past: pa.Table
    now: pa.Table
    came: pa.Table
    segment: Segment | None
    facts: Facts = field(repr=False)
    definition: Definition = field(repr=False)
    statement: str = field(repr=False, default="")

    def month(self, w: int) -> tuple[date, date]:
        """The first day of month w and the day after its last; from `months` on they lie ahead."""
        return add_months(self.cut, w - self.months), add_months(self.cut, w - self.months + 1)


def resolved(facts: Facts, by: Sequence[str]) -> Segment | None:
    """What `--by` names, `plan` for plan_id; BadInput for what customers move between."""
    segment = resolve(facts, ["plan_id" if name == "plan" else name for name in by])
    if segment is not None:
        odd = [*segment.dated, *segment.bands, *(name for name in segment.item if name not in _OF_ITEM)]
        if odd:
            raise BadInput(
                f"value is told by what belongs to a customer as of now, and {', '.join(odd)} changes: use plan, "
                "currency, a column of customers such as channel, or an undated trait"
            )
    return segment


def customer_months(facts: Facts, definition: Definition, *, cut: date, by: Sequence[str] = ()) -> CustomerMonths:
    """Everything that is counted of customers under contract as the day `cut` begins; see the module.

    Raises BadInput where nothing is known of subscriptions before that day.
    """
    import pyarrow.compute as pc

    segment = resolved(facts, by)
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    if cut <= span[0]:
        raise BadInput(f"history begins on {span[0]}; ask for a later day than {cut}")
    # Months before anybody is known to have left show survivors alone.
    since, _ = exposure_start(facts, definition, cut)
    begin = max(since or span[0], span[0])
    months = max(1, min(MOST_MONTHS, 12 * (cut.year - begin.year) + cut.month - begin.month - (begin.day > cut.day)))
    tz = facts.timezone
    edges = [add_months(cut, back) for back in range(-months, 1)]
    windows = [Period(midnight(a, tz), midnight(b, tz), a, b, "month") for a, b in pairwise(edges)]
    st, there = _there(facts, definition, windows, segment)
    table, sql = _counted(st, facts, there, months)
    past = table.filter(pc.equal(table.column("what"), "past"))
    now = table.filter(pc.equal(table.column("what"), "now"))
    came = table.filter(pc.equal(table.column("what"), "came"))
    return CustomerMonths(
        cut,
        months,
        past.drop_columns(["what", "seg", "ahead", "newcomers"]),
        now.select([*_NOW, "customers", "before", "paid", "squares"]).rename_columns([*_NOW, *_SUMS]),
        came.select([*_CAME, "customers", "newcomers", "before"]).rename_columns(
            [*_CAME, "customers", "newcomers", "contract"]
        ),
        segment,
        facts,
        definition,
        sql,
    )


_NOW = ("seg", "plan_id", "months", "phase", "tenure", "ahead", "currency")
_SUMS = ("customers", "contract", "paid", "squares")
_CAME = ("w", "seg", "plan_id", "months", "phase", "currency")


def _counted(st: Statement, facts: Facts, there: str, months: int) -> tuple[pa.Table, str]:
    """Past, present and newcomers in one statement, told apart by `what`; what a row does not tell is 0 or ''."""
    money = facts.engine.dialect.total
    gap = "(CAST(after_minor AS DOUBLE) - CAST(contract AS DOUBLE))"
    # Sums of squares in whole minor units: those of millionths would lose the last digits.
    square = "1000000000000.0"
    squares = "CAST(contract AS DOUBLE) * contract"
    stays = "CASE WHEN lost = 0 THEN {} ELSE 0 END"
    nothing, none = "CAST(0 AS DECIMAL(38,0))", "CAST(0 AS BIGINT)"

    def summed(inner: str) -> str:
        return f"CAST(sum({inner}) / {square} AS DOUBLE)"

    keys = "w, plan_id, months, phase, tenure, notice, goes, currency"
    sql = st.render(
        f"SELECT 'past' AS what, '' AS seg, {keys}, {none} AS ahead, CAST(sum(first) AS BIGINT) AS customers, "
        f"CAST(sum(first * lost) AS BIGINT) AS lost, {none} AS newcomers, {money('contract')} AS before, "
        f"{money(stays.format('contract'))} AS stayed, {money(stays.format('after_minor'))} AS after, "
        f"{money('paid')} AS paid, {summed(stays.format(f'{gap} * {gap}'))} AS squared_change, "
        f"{summed(stays.format(squares))} AS squares FROM {there} WHERE w < {months} GROUP BY {keys}\n"
        f"UNION ALL SELECT 'now', seg, {months}, plan_id, months, phase, tenure, {none}, {none}, currency, ahead, "
        f"CAST(sum(first) AS BIGINT), {none}, {none}, {money('contract')}, {nothing}, {nothing}, {money('paid')}, "
        f"CAST(0 AS DOUBLE), {summed(squares)} FROM {there} WHERE w = {months} "
        "GROUP BY seg, plan_id, months, phase, tenure, currency, ahead\n"
        f"UNION ALL SELECT 'came', seg, w, plan_id, months, phase, {none}, {none}, {none}, currency, {none}, "
        f"CAST(sum(first) AS BIGINT), {none}, CAST(sum(first * is_first) AS BIGINT), {money('contract')}, {nothing}, "
        f"{nothing}, {nothing}, CAST(0 AS DOUBLE), CAST(0 AS DOUBLE) FROM {there} WHERE joined = w - 1 AND w >= 1 "
        "GROUP BY seg, w, plan_id, months, phase, currency\n"
        "ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    )
    return facts.engine.table(sql), sql


def people(found: CustomerMonths) -> tuple[Statement, str]:
    """A step with everybody who is there at the cut: customer_id and the columns of `now`, a row per currency."""
    facts = found.facts
    tz = facts.timezone
    edges = [found.month(w) for w in range(found.months)]
    windows = [Period(midnight(a, tz), midnight(b, tz), a, b, "month") for a, b in edges]
    st, there = _there(facts, found.definition, windows, found.segment)
    return st, st.step(
        "people_now",
        "SELECT customer_id, seg, plan_id, months, phase, tenure, ahead, currency, contract, paid, first "
        f"FROM {there} WHERE w = {found.months}",
    )


def _there(
    facts: Facts, definition: Definition, windows: Sequence[Period], segment: Segment | None
) -> tuple[Statement, str]:
    """A step with a row for each customer (and currency) who is there as month w begins, w up to the cut itself."""
    st, d = facts.statement(), facts.engine.dialect
    last = len(windows)
    found = states.shape(facts, definition)
    moved = movements(st, facts, definition, found, windows)
    known_seg = ""
    of_customer = segment is not None and segment.of_customer
    if of_customer:
        assert segment is not None
        known_seg = members(st, facts, segment, (), moved, None)
    presence = _presence(st, facts, moved, last)
    balance = _balance(st, facts, moved, last)
    terms = _terms(st, facts, definition, windows)
    start = st.step(
        "month_starts",
        d.values([(str(w), f"CAST({_number(period.first)} AS BIGINT)") for w, period in enumerate(windows)]
                 + [(str(last), f"CAST({_number(windows[-1].after)} AS BIGINT)")], ("w", "day")),
    )  # fmt: skip
    place = "1"
    if found.currencies:
        place = (
            "CASE WHEN row_number() OVER (PARTITION BY p.customer_id, p.w ORDER BY b.contract DESC, b.currency) = 1 "
            "THEN 1 ELSE 0 END"
        )
    tenure = d.completed_months("p.since_day", "m.day")
    parts = [] if segment is None else [
        {"plan_id": "coalesce(t.plan_id, '')", "currency": "coalesce(b.currency, '')"}[name] for name in segment.item
    ]  # fmt: skip
    if of_customer:
        parts.append("coalesce(k.seg, '')")
    seg = " || '\x1f' || ".join(parts) or "''"
    join = f" LEFT JOIN {known_seg} AS k ON k.customer_id = p.customer_id" if of_customer else ""
    return st, st.step(
        "there",
        f"SELECT p.customer_id, CAST(p.w AS BIGINT) AS w, p.lost, p.is_first, p.joined, {seg} AS seg, coalesce(t.plan_id, '') AS plan_id, "
        f"CAST(coalesce(t.months, 1) AS BIGINT) AS months, CAST(coalesce(t.phase, 0) AS BIGINT) AS phase, least(greatest({tenure}, 0), {OLDEST}) AS tenure, "
        f"CAST(coalesce(t.notice, 0) AS BIGINT) AS notice, CAST(CASE WHEN t.ahead = 0 THEN 1 ELSE 0 END AS BIGINT) AS goes, CAST(coalesce(t.ahead, -1) AS BIGINT) AS ahead, "
        "coalesce(b.currency, '') AS currency, coalesce(b.contract, 0) AS contract, "
        f"coalesce(b.contract_after, 0) AS after_minor, coalesce(b.paid, 0) AS paid, {place} AS first "
        f"FROM {presence} AS p JOIN {start} AS m ON m.w = p.w "
        f"LEFT JOIN {balance} AS b ON b.customer_id = p.customer_id AND b.w = p.w "
        f"LEFT JOIN {terms} AS t ON t.customer_id = p.customer_id AND t.w = p.w{join}",
        keep=True,
        says="everybody who is there as a month begins",
    )


def _number(day: date) -> int:
    from tenure.lake.portable import day_number

    return day_number(day)


def _presence(st: Statement, facts: Facts, moved: str, last: int) -> str:
    """A step (customer_id, w, lost, is_first, joined, since_day): who is a customer as month w begins."""
    d = facts.engine.dialect
    turns = st.step(
        "turns_of_customers",
        "SELECT customer_id, period, max_by(customer1, ts) AS there, "
        "max(CASE WHEN customer0 = 0 AND customer1 = 1 THEN day END) AS joined_day, "
        "max(CASE WHEN customer0 = 0 AND customer1 = 1 THEN ts END) AS joined_ts, "
        "max(CASE WHEN first = 1 AND customer1 = 1 THEN 1 ELSE 0 END) AS came "
        f"FROM {moved} WHERE closes = 1 GROUP BY customer_id, period",
        says="each month in which a customer moved",
    )
    window = "(PARTITION BY customer_id ORDER BY period)"
    runs = st.step(
        "runs_of_customers",
        f"SELECT customer_id, period, there, came, {d.last_known('joined_day', window)} AS since_day, "
        f"{d.last_known('CASE WHEN joined_day IS NOT NULL THEN period END', window)} AS joined, "
        f"lead(period) OVER {window} AS next, lead(there) OVER {window} AS next_there FROM {turns}",
    )
    months = d.numbers("(period + 1)", f"(coalesce(next, {last}) + 1)")
    every = st.step(
        "customers_by_month",
        f"SELECT customer_id, since_day, joined, came, period, next, next_there, {months} AS w FROM {runs} "
        "WHERE there = 1 AND since_day IS NOT NULL",
    )
    return st.step(
        "presence",
        "SELECT customer_id, w, since_day, joined, CASE WHEN came = 1 AND joined = period THEN 1 ELSE 0 END AS is_first, "
        f"CASE WHEN w = next AND next_there = 0 THEN 1 ELSE 0 END AS lost FROM {every}",
        says="who is a customer as each month begins, and who is none as it ends",
    )


def _balance(st: Statement, facts: Facts, moved: str, last: int) -> str:
    """A step (customer_id, currency, w, contract, contract_after, paid): millionths of a minor unit a month."""
    d = facts.engine.dialect
    turns = st.step(
        "turns_of_money",
        f"SELECT customer_id, currency, period, CAST(sum(amount) AS BIGINT) AS paid, "
        "CAST(sum(CASE WHEN kind IN ('pause', 'resume') THEN 0 ELSE amount END) AS BIGINT) AS contract "
        f"FROM {moved} WHERE kind IS NOT NULL GROUP BY customer_id, currency, period",
    )
    window = "(PARTITION BY customer_id, currency ORDER BY period)"
    so_far = f"OVER {window[:-1]} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    runs = st.step(
        "runs_of_money",
        f"SELECT customer_id, currency, period, lead(period) OVER {window} AS next, CAST(sum(paid) {so_far} AS BIGINT) "
        f"AS paid, CAST(sum(contract) {so_far} AS BIGINT) AS contract FROM {turns}",
    )
    ahead = st.step("money_ahead", f"SELECT *, lead(contract) OVER {window} AS next_contract FROM {runs}")
    months = d.numbers("(period + 1)", f"(coalesce(next, {last}) + 1)")
    every = st.step(
        "money_by_month",
        f"SELECT customer_id, currency, paid, contract, next, next_contract, {months} AS w FROM {ahead} WHERE contract > 0",
    )
    return st.step(
        "balances_by_month",
        "SELECT customer_id, currency, w, paid, contract, "
        f"CASE WHEN w = next THEN greatest(next_contract, 0) ELSE contract END AS contract_after FROM {every}",
        says="what each customer pays as each month begins, and has a contract for",
    )


def _terms(st: Statement, facts: Facts, definition: Definition, windows: Sequence[Period]) -> str:
    """A step (customer_id, w, plan_id, months, phase, notice, ahead): the terms of each customer's dearest item."""
    d = facts.engine.dialect
    last = len(windows)
    every = states.all_states(st, facts, states.EVENT_COLUMNS, definition)
    rate = states.monthly(facts, definition, states.base_price(facts, definition))
    calendar(st, facts, windows)
    item = "(PARTITION BY subscription_id, item_id ORDER BY ts)"
    ending = (
        f"(status NOT IN ({_DEAD}) AND (cancel_at IS NOT NULL OR cancel_requested_at IS NOT NULL "
        "OR status = 'non_renewing' OR NOT coalesce(auto_renews, TRUE)))"
    )
    months = (
        "greatest(coalesce(interval_count, 1), 1) * CASE interval WHEN 'quarter' THEN 3 WHEN 'year' THEN 12 "
        "WHEN 'month' THEN 1 ELSE 0 END"
    )
    told = st.step(
        "states_of_items",
        f"SELECT customer_id, subscription_id, item_id, status, plan_id, ts, greatest({months}, 1) AS months, {rate} AS mrr, "
        f"CASE WHEN {ending} THEN 1 ELSE 0 END AS ending, "
        f"coalesce(term_ends_at, period_end, min(ts) OVER (PARTITION BY subscription_id, item_id)) AS term_us, "
        "coalesce(cancel_at, term_ends_at, period_end) AS end_us, "
        f"lag(CASE WHEN {ending} THEN 1 ELSE 0 END) OVER {item} AS was_ending FROM {every} WHERE ts < {facts.horizon}",
    )
    first = windows[0].first
    day = min(windows[-1].after.day, 28)

    def place(us: str) -> str:
        """The month (w) into which an instant falls; months go on before the first and after the last."""
        date_ = d.date_of(local_day(facts, us))
        return (
            f"CAST(year({date_}) * 12 + month({date_}) - CASE WHEN day({date_}) < {day} THEN 1 ELSE 0 END "
            f"- {first.year * 12 + first.month - (1 if first.day < day else 0)} AS BIGINT)"
        )

    placed = st.step(
        "states_in_months",
        f"SELECT customer_id, subscription_id, item_id, status, plan_id, months, mrr, ending, ts, "
        f"coalesce(c.period, -1) AS period, {place('term_us')} AS term, {place('end_us')} AS ends, "
        f"CASE WHEN ending = 1 AND coalesce(was_ending, 0) = 0 THEN coalesce(c.period, -1) END AS told "
        f"FROM {told} LEFT JOIN calendar AS c ON c.day = {local_day(facts, 'ts')}",
    )
    dense = "(PARTITION BY customer_id ORDER BY subscription_id, item_id)"
    runs = st.step(
        "runs_of_items",
        f"SELECT *, lead(period) OVER {item} AS next, {d.last_known('told', item)} AS told_in, "
        f"dense_rank() OVER {dense} AS place FROM {placed}",
    )
    numbers = d.numbers("(period + 1)", f"(coalesce(next, {last}) + 1)")
    # Of several states of one month the last one is in force as the next month begins.
    every_month = st.step(
        "items_by_month",
        f"SELECT customer_id, plan_id, months, mrr, ending, term, ends, told_in, place, {numbers} AS w FROM {runs} "
        f"WHERE status NOT IN ({_DEAD}) AND coalesce(next > period, TRUE)",
    )
    key = "CAST(mrr AS DECIMAL(28,0)) * 1000 - place % 1000"
    joined = st.step(
        "terms_by_month",
        f"SELECT customer_id, w, max_by(plan_id, {key}) AS plan_id, CAST(max_by(months, {key}) AS BIGINT) AS months, "
        f"CAST(max_by(term, {key}) AS BIGINT) AS term, min(ending) AS leaving, "
        f"max(ends) AS ends, min(CASE WHEN ending = 1 THEN w - told_in END) AS notice "
        f"FROM {every_month} GROUP BY customer_id, w",
    )
    phase = "((term - w) % months + months) % months"
    return st.step(
        "terms",
        f"SELECT customer_id, w, plan_id, months, {phase} AS phase, "
        f"CASE WHEN leaving = 1 THEN least(notice, {_NOTICE}) ELSE 0 END AS notice, "
        f"CASE WHEN leaving = 1 THEN least(greatest(coalesce(ends, w + {phase}) - w, 0), {FAR}) END AS ahead FROM {joined}",
        says="plan, interval and term of each customer's dearest item",
    )
