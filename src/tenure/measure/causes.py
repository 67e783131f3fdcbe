"""Why did MRR move? Movements by cause: seats, plan, price, the end of a discount, an add-on, another interval.

A cause is one word for what was different of the item before and after; the first that is true:

    pause_expired, discount, removed, downgraded_to_free     of what pays nothing afterwards; of other losses of
                                                             customers, the reason that was given
    add_on                an item that joins what the customer has
    interval, plan, seats another interval, plan or quantity
    discount_end, discount   a smaller or a larger discount
    price                 another amount for the same
    commitment            another minimum commitment of something metered
    discount_end, other   more without any of these: a discount's time is over; less: other

Each movement has one cause, so that causes add up to what they are the causes of. What usage does has none here: it is
`usage_change`, on the line of usage revenue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel.time import Period, periods
from tenure.lake.facts import Facts
from tenure.lake.portable import day_number, from_micros
from tenure.measure import states
from tenure.measure.catalogue import metrics
from tenure.measure.currencies import SCALE, Conversion, by_day, currencies
from tenure.measure.definition import Definition
from tenure.measure.figures import Figures
from tenure.measure.movements import Money, movements
from tenure.measure.segments import Segment, of_lent

if TYPE_CHECKING:
    from tenure.measure.answers import Answer, Question

CAUSE = "cause"
_GONE = "coalesce(d_status_1, '') NOT IN ('canceled', 'unpaid')"


def cause() -> str:
    """The cause of a row of movements that were asked for in detail, as SQL text; '' where there is none."""

    def differs(name: str) -> str:
        return f"d_{name}_0 IS DISTINCT FROM d_{name}_1"

    return (
        "CASE WHEN kind IN ('new', 'reactivation') THEN '' "
        "WHEN kind = 'churn' OR m1 = 0 THEN "
        "CASE WHEN coalesce(d_status_1, '') = 'paused' AND kind IN ('churn', 'contraction', 'resume') THEN 'pause_expired' "
        f"WHEN kind = 'contraction' AND coalesce(d_amount_minor_1, 0) <> 0 AND {_GONE} THEN 'discount' "
        "WHEN kind = 'contraction' THEN 'removed' "
        f"WHEN kind = 'churn' AND coalesce(d_amount_minor_1, 1) = 0 AND {_GONE} THEN 'downgraded_to_free' "
        "ELSE coalesce(d_reason_1, '') END "
        "WHEN kind IN ('pause', 'resume') THEN '' "
        "WHEN m0 = 0 THEN 'add_on' "
        f"WHEN {differs('interval')} OR {differs('interval_count')} THEN 'interval' "
        f"WHEN {differs('plan_id')} THEN 'plan' "
        f"WHEN {differs('quantity')} THEN 'seats' "
        f"WHEN {differs('discount')} THEN CASE WHEN coalesce(d_discount_1, 0) > coalesce(d_discount_0, 0) THEN 'discount' "
        "ELSE 'discount_end' END "
        f"WHEN {differs('amount_minor')} THEN 'price' "
        f"WHEN {differs('minimum_commit_minor')} THEN 'commitment' "
        "WHEN m1 > m0 THEN 'discount_end' ELSE 'other' END"
    )


def asks_for_causes(by: Sequence[str]) -> bool:
    """Whether a question splits by cause; BadInput where by something else too."""
    if CAUSE in by and len(by) > 1:
        others = ", ".join(name for name in by if name != CAUSE)
        raise BadInput(f"--by cause stands alone; ask for {others} in a question of its own")
    return CAUSE in by


def segment() -> Segment:
    """The segment whose text is the cause."""
    return of_lent(CAUSE)


def caused(
    facts: Facts,
    definition: Definition,
    asked: Sequence[Period],
    conversion: Conversion | None,
    *,
    each: bool = False,
    statements: list[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Movements summed by period, cause, currency, kind and day; `each`: by customer too, with ts.

    Rows win, seg (the cause), currency, kind, day, amount (signed, 10^-6 minor units).
    """
    st = facts.statement()
    found = states.shape(facts, definition)
    known = currencies(facts, definition.source)
    money = Money()
    if conversion is not None and len(known) > 1:
        rates = by_day(facts, conversion, known, asked[0].first, asked[-1].after)
        money = Money(facts.engine.lend("rates_by_day", rates))
    moved = movements(st, facts, definition, found, asked, detail=True, money=money)
    told = st.step(
        "caused",
        f"SELECT period AS win, {cause()} AS seg, {states.currency_of(facts, found)} AS currency, kind, day, customer_id, ts, "
        f"amount FROM {moved} WHERE kind IS NOT NULL AND kind <> 'idle' AND amount <> 0 AND period >= 0",
        says="each movement and why",
    )
    keys = "win, seg, currency, kind, day" + (", customer_id" if each else "")
    also = ", max(ts) AS ts" if each else ""
    sql = st.render(
        f"SELECT {keys}, {facts.engine.dialect.total('amount')} AS amount{also} FROM {told} GROUP BY {keys} ORDER BY {keys}"
    )
    if statements is not None:
        statements.append(sql)
    for batch in facts.engine.table(sql).to_batches():
        yield from batch.to_pylist()


def ask_by_cause(facts: Facts, definition: Definition, question: Question) -> Answer:
    """The answer to a question about movements, by cause; BadInput for a number that is no sum of movements."""
    from tenure.measure.answers import Answer, Cell

    wanted = metrics(question.names)
    if question.revenue != "committed":
        raise BadInput("causes are told of committed revenue; what usage does is usage_change. Leave out --revenue")
    for metric in wanted:
        if metric.unit != "money" or not metric.opens.startswith("flow:"):
            raise BadInput(
                f"{metric.name} is no sum of movements, so it has no causes; mrr_expansion, mrr_contraction, mrr_churn and "
                "mrr_net_new have"
            )
    if definition.fx != "dated" and question.currency is not None:
        raise BadInput(f"causes are told at each day's rates; this definition has fx = {definition.fx}")
    asked = periods(question.first, question.after, question.grain, facts.timezone)
    known = currencies(facts, definition.source)
    converts = question.currency is not None and known != [question.currency]
    conversion = Conversion.of(facts, question.currency) if question.currency is not None and converts else None
    statements: list[str] = []
    found: dict[tuple[int, str, str], Figures] = {}
    sizes: dict[str, int] = defaultdict(int)
    for row in caused(facts, definition, asked, conversion, statements=statements):
        native = row["currency"]
        key = (row["win"], row["seg"], question.currency or native)
        if key not in found:
            found[key] = Figures(asked[row["win"]], row["seg"], key[2], definition=definition)
        unit = SCALE if conversion is None else conversion.unit(native, row["day"])
        if unit is None:
            assert conversion is not None
            found[key].reason = conversion.lacking(found[key].reason, native, row["day"])
            continue
        found[key].flows[row["kind"]] += int(row["amount"]) * unit
        sizes[row["seg"]] += abs(int(row["amount"]) * unit)
    horizon = day_number(from_micros(facts.horizon).astimezone(facts.timezone).date())
    order = sorted({seg for _, seg, _ in found}, key=lambda seg: (-sizes[seg], seg))
    cells = []
    for metric in wanted:
        kinds = metric.opens.partition(":")[2].split(",")
        for i, period in enumerate(asked):
            for seg in order:
                for money in [question.currency] if question.currency is not None else known:
                    figures = found.get((i, seg, str(money)))
                    if figures is None or not (figures.reason or any(figures.flows[kind] for kind in kinds)):
                        continue
                    value = metric.compute(figures)
                    provisional = "provisional: the period is not over" if day_number(period.after) > horizon else ""
                    reason = "; ".join(filter(None, (value.reason, provisional)))
                    told = {CAUSE: seg or None}
                    empty = (None, None, None, None, None)
                    cells.append(Cell(metric, period, told, money, value.value, *empty, reason))
    return Answer(question, definition, cells, statements, facts)
