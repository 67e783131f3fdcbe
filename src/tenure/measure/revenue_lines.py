"""Of which revenue is a number? Committed, usage or both together, never mixed silently.

`committed` is MRR of subscriptions and minimum commitments; `usage` the run-rate of usage lines beyond them (see
usage_revenue); `total` the two together, where what usage does is `usage_change` and never expansion. A number that is
told of one line only is refused for the others, with those that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from tenure.errors import BadInput, UnknownName
from tenure.measure.catalogue import CATALOGUE, Metric, Value, of_usage
from tenure.measure.figures import Figures
from tenure.measure.usage_revenue import UsageFigures

COMMITTED, USAGE, TOTAL = LINES = ("committed", "usage", "total")
ORDERS = "orders"  # what is bought without a contract, beside the three lines of recurring revenue

# The usage run-rate's parts by the name that they have as MRR: how each opens, and what it is.
_MONEY: dict[str, tuple[str, Callable[[UsageFigures], Fraction], str]] = {
    "mrr": ("closing", lambda u: u.closing, "the usage run-rate"),
    "arr": ("arr", lambda u: 12 * u.closing, "12 x the usage run-rate"),
    "mrr_opening": ("opening", lambda u: u.opening, "the usage run-rate where the period begins"),
    "mrr_fx": ("fx", lambda u: u.fx, "what exchange rates did to the usage run-rate"),
    "mrr_net_new": ("change", lambda u: u.change, "usage_change"),
}
# Counts and rates of usage under the names that they have for subscriptions.
_SAME = {
    "customers": "usage_customers",
    "customers_churned": "usage_customers_churned",
    "customer_churn_rate": "usage_churn_rate",
    "nrr_12m": "usage_nrr",
}
# Movements of committed revenue: in the roll-forward of the total they stand as they are, beside usage_change.
_MOVEMENTS = tuple(
    f"mrr_{kind}"
    for kind in ("new", "expansion", "contraction", "churn", "reactivation", "pause", "resume", "entering", "leaving")
)


def names_of(line: str) -> list[str]:
    """The metrics that are told of a line of revenue."""
    usage = [name for name, metric in CATALOGUE.items() if metric.line == USAGE]
    if line == COMMITTED:
        return list(CATALOGUE)
    return [*_MONEY, *(_SAME if line == USAGE else _MOVEMENTS), *usage]


def of_line(metric: Metric, line: str) -> Metric:
    """The metric as it is told of a line of revenue; metrics of usage alone are the same in each.

    UnknownName for a line that is none, BadInput for a metric that this line does not have.
    """
    if line not in LINES:
        raise UnknownName.of("revenue line", line, LINES)
    if line == COMMITTED or metric.line in (USAGE, ORDERS):
        return metric
    if metric.name not in names_of(line):
        there = ", ".join(names_of(line))
        raise BadInput(f"{metric.name} is not told of {line} revenue; there are {there}. Or leave out --revenue")
    if metric.name in _MONEY:
        opens, get, formula = _MONEY[metric.name]
        if line == USAGE:
            return replace(metric, compute=of_usage(get), opens=f"usage:{opens}", formula=formula, line=USAGE)
        both = _together(metric, of_usage(get))
        return replace(
            metric, compute=both, opens=f"total:{opens}", formula=f"{metric.formula}; plus {formula}", line=TOTAL
        )
    if line == USAGE:
        same = CATALOGUE[_SAME[metric.name]]
        return replace(
            metric, compute=same.compute, opens=same.opens, formula=same.formula, line=USAGE, looks_back=False
        )
    return replace(metric, line=TOTAL)


def _together(metric: Metric, usage: Callable[[Figures], Value]) -> Callable[[Figures], Value]:
    """Both together; unknown where either is. Who has no usage at all pays what is committed."""

    def compute(f: Figures) -> Value:
        committed, used = metric.compute(f), usage(f)
        if committed.value is None or (used.value is None and f.usage is not None):
            return Value(None, reason=committed.reason or used.reason)
        return Value(committed.value + (used.value or 0))

    return compute
