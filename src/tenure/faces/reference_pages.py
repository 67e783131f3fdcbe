"""What does each metric and each command mean? The reference pages of the documentation, made from the code itself.

    python -m tenure.faces.reference_pages docs/reference    writes metrics/, profiles/, exports.md, command-line.md
    python -m tenure.faces.reference_pages --example shop    makes the example company that the pages ask

A page says nothing of its own where the code can say it: questions, formulas and units are the catalogue's, what an
empty base gives is computed from one, and every number shown was measured on the example company.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.faces import export_pages, profile_pages
from tenure.faces.cli.places import leave
from tenure.kernel.time import Period, midnight, zone
from tenure.measure.catalogue import CATALOGUE, Metric

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace

# Fourteen customers to whom everything happens that a subscription can do.
SUBSCRIPTIONS = """\
subscription_id,customer_id,plan_id,amount,currency,interval,status,started_at,ended_at,cancel_actor,cancel_reason,quantity
s01,Ann,basic,20,USD,month,,2025-01-10,,,,
s02,Ben,pro,50,USD,month,,2025-01-15,2026-05-01,,,
s02,Ben,team,80,USD,month,,2026-05-01,,,,
s03,Chai,pro,50,USD,month,,2025-02-01,2026-06-10,customer,too_expensive,
s04,Dana,team,100,USD,month,,2025-02-03,2026-04-16,,,5
s04,Dana,team,60,USD,month,,2026-04-16,,,,3
s05,Eve,team,1200,USD,year,,2025-03-01,,,,6
s06,Finn,basic,20,EUR,month,,2025-03-07,,,,
s07,Gan,basic,20,USD,month,,2025-04-02,2026-04-20,dunning,,
s08,Hugo,pro,50,USD,month,,2025-05-05,2025-07-10,customer,not_used,
s09,Hugo,pro,50,USD,month,,2026-05-12,,,,
s10,Iris,pro,50,USD,month,,2025-06-01,2026-04-08,,,
s10,Iris,pro,50,USD,month,paused,2026-04-08,2026-06-08,,,
s10,Iris,pro,50,USD,month,,2026-06-08,,,,
s11,Joon,basic,20,USD,month,,2026-04-11,,,,
s12,Kim,pro,50,EUR,month,,2026-05-20,2026-06-28,,,
s13,Lek,team,100,USD,month,,2026-06-15,,,,5
s14,Mona,basic,20,USD,month,,2025-07-01,2026-06-17,business,,
"""
RATES = """\
day,currency,per_usd
2025-01-01,EUR,0.95
2026-04-01,EUR,0.92
2026-05-01,EUR,0.90
2026-06-01,EUR,0.88
"""
SPEND = """\
period_start,period_end,channel,kind,amount,currency
2026-04-01,2026-05-01,ads,media,240,USD
2026-05-01,2026-06-01,ads,media,180,USD
2026-05-01,2026-06-01,events,travel,120,EUR
2026-06-01,2026-07-01,ads,media,300,USD
"""
USAGE_LINES = """\
invoice_id,customer_id,subscription_id,item_id,plan_id,kind,amount,currency,service_start,service_end
h-01,Ben,s02,s02.calls,calls,usage,40,USD,2024-07-01,2024-08-01
h-02,Eve,s05,s05.calls,calls,usage,20,USD,2024-07-01,2024-08-01
h-03,Ben,s02,s02.calls,calls,usage,60,USD,2024-10-01,2024-11-01
h-04,Eve,s05,s05.calls,calls,usage,16,USD,2024-12-01,2025-01-01
h-05,Ben,s02,s02.calls,calls,usage,80,USD,2025-03-01,2025-04-01
i-01,Ben,s02,s02.calls,calls,usage,30,USD,2026-02-01,2026-03-01
i-02,Eve,s05,s05.calls,calls,usage,12,USD,2026-02-01,2026-03-01
i-03,Ben,s02,s02.calls,calls,usage,36,USD,2026-03-01,2026-04-01
i-04,Ben,s02,s02.calls,calls,usage,45,USD,2026-04-01,2026-05-01
i-05,Finn,s06,s06.calls,calls,usage,9,EUR,2026-04-01,2026-05-01
i-06,Ben,s02,s02.calls,calls,usage,60,USD,2026-05-01,2026-06-01
i-06,Ben,s02,s02.calls,calls,credit,-6,USD,2026-05-01,2026-06-01
i-07,Finn,s06,s06.calls,calls,usage,12,EUR,2026-05-01,2026-06-01
i-08,Ben,s02,s02.calls,calls,usage,51,USD,2026-06-01,2026-07-01
"""
ORDERS = """\
order_id,customer_id,ordered_at,amount,currency
o01,Ann,2026-01-12,40,USD
o02,Otto,2026-01-15,25,USD
o03,Pim,2026-01-20,60,USD
o04,Otto,2026-02-10,30,USD
o05,Pim,2026-02-24,55,USD
o06,Ann,2026-03-02,45,USD
o07,Otto,2026-03-12,20,USD
o08,Rosa,2026-03-18,80,USD
o09,Pim,2026-03-30,-15,USD
o10,Otto,2026-04-09,35,USD
o11,Sam,2026-04-14,50,USD
o12,Rosa,2026-04-20,75,USD
o13,Sam,2026-05-16,50,USD
o14,Pim,2026-06-03,65,USD
o15,Otto,2026-06-05,30,USD
o16,Tess,2026-06-20,90,USD
o17,Rosa,2026-06-30,70,USD
"""
CONTACTS = """\
contact_id,customer_id,role,joined_at,left_at
Dao,Dana,champion,2025-02-03,2026-05-11
Dirk,Dana,user,2025-02-03,
Ewa,Eve,champion,2025-03-01,
Eli,Eve,user,2025-03-10,
Emma,Eve,user,2025-03-10,2026-06-20
Esra,Eve,admin,2026-04-22,
Lina,Lek,champion,2026-06-15,
"""
SINCE, UNTIL = "2026-04", "2026-06"

# The catalogue in the order in which one asks; what is in no group is listed at the end.
GROUPS: dict[str, tuple[str, ...]] = {
    "How much recurring revenue is there?": ("mrr", "arr", "mrr_opening", "mrr_net_new", "arpa"),
    "What moved it?": (
        "mrr_new", "mrr_expansion", "mrr_reactivation", "mrr_resume", "mrr_contraction", "mrr_pause", "mrr_churn",
        "mrr_fx", "mrr_correction", "mrr_entering", "mrr_leaving", "quick_ratio",
    ),
    "How much of it is kept?": (
        "nrr", "grr", "nrr_12m", "grr_12m", "gross_mrr_churn_rate", "net_mrr_churn_rate",
    ),
    "How many customers are there, and who came and left?": (
        "customers", "paying_customers", "customers_new", "customers_reactivated", "customers_churned",
        "customers_churned_voluntary", "customers_churned_involuntary", "customers_churned_other",
        "customers_churned_unknown",
    ),
    "How fast do they leave?": (
        "customer_churn_rate", "customer_churn_rate_monthly", "customer_churn_rate_annual", "involuntary_churn_share",
    ),
    "What came due, and what is promised?": (
        "renewals_due", "renewals_renewed", "renewals_late", "renewals_undecided", "renewals_lost", "renewal_rate",
        "annual_plan_renewal_rate", "renewal_churn_rate", "arr_due", "arr_due_renewed", "arr_due_late",
        "arr_due_undecided", "arr_lost_at_renewal", "arr_renewed", "arr_renewal_uplift", "arr_renewal_downsell",
        "arr_renewal_rate", "arr_net_renewal_rate", "cmrr", "cmrr_signed", "cmrr_leaving",
    ),
    "What is a customer worth, and what does winning one cost?": (
        "ltv", "ltv_simple", "ltv_revenue", "ltv_six_months", "ltv_arrears", "ltv_discounted", "cac", "cac_payback",
        "cac_payback_churn_adjusted", "ltv_to_cac", "ltv_simple_to_cac",
    ),
    "Who is there, behind the customers?": (
        "seats_paid", "seats_used", "seat_utilization", "champions_left", "customers_without_champion",
    ),
    "What do they pay for what they use?": (
        "usage_run_rate", "usage_change", "usage_credits", "usage_nrr", "usage_customers", "usage_customers_churned",
        "usage_churn_rate",
    ),
    "And those without a contract?": (
        "active_buyers", "active_buyers_opening", "buyers_new", "buyers_returned", "buyers_lapsed",
        "activity_churn_rate",
    ),
}  # fmt: skip

UNITS = {
    "money": "money, in major units of the currency (a decimal text in JSON)",
    "rate": "a fraction: 0.08 is 8 %",
    "ratio": "a plain number",
    "months": "months, a plain number",
    "count": "a whole number",
}
GRAINS = {
    "state": "what stands at the period's end",
    "flow": "what happened within the period",
    "cohort": "those of the period's start, looked at again at its end",
}
BETTER = {"higher": "higher is better", "lower": "lower is better", "neither": "neither is better"}

# How the interval of a rate is made, by metric; without an entry, the value is counted and not estimated.
_WILSON = "95 %, Wilson: the numerator is a subset of the denominator"
_EFFECTIVE = "95 %, Wilson at the effective number of customers, (sum of m)² / sum of m²"
_RATIO = "95 %, the linearised ratio of sums over those who paid at the start: what a bootstrap of them tends to"
_MEAN_LIFE = "95 %, of the restricted mean (Klein & Moeschberger): how long they stay is estimated, arpa is counted"
_OF_CHURN = "95 %, from the two ends of the churn rate's (Wilson): arpa is counted"
_OF_SEATS = "95 %, the linearised ratio of sums over those who pay for seats: what a bootstrap of them tends to"
INTERVALS = {
    "seat_utilization": _OF_SEATS,
    "customer_churn_rate": _WILSON,
    "customer_churn_rate_monthly": f"{_WILSON}; its two ends are converted like the rate",
    "customer_churn_rate_annual": f"{_WILSON}; its two ends are converted like the rate",
    "renewal_churn_rate": _WILSON,
    "renewal_rate": _WILSON,
    "annual_plan_renewal_rate": _WILSON,
    "arr_renewal_rate": _EFFECTIVE,
    "arr_net_renewal_rate": _RATIO,
    "involuntary_churn_share": _WILSON,
    "gross_mrr_churn_rate": _EFFECTIVE,
    "grr": _EFFECTIVE,
    "grr_12m": _EFFECTIVE,
    "nrr": _RATIO,
    "nrr_12m": _RATIO,
    "usage_nrr": _RATIO,
    "usage_churn_rate": _WILSON,
    "activity_churn_rate": _WILSON,
    "ltv": _MEAN_LIFE,
    "ltv_to_cac": f"{_MEAN_LIFE}; cac is counted",
    **dict.fromkeys(("ltv_simple", "ltv_revenue", "ltv_arrears", "ltv_discounted"), _OF_CHURN),
    "ltv_simple_to_cac": f"{_OF_CHURN}; cac is counted",
}

# Where others count differently, from their published help pages (2026); the same name then means another number.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "mrr": (
        "**Stripe** leaves out trials, taxes and metered products, as here; coupons for a limited time can be switched "
        "on.",
        "**Paddle** ignores discounts and counts a week as 4.33 and a day as 30 to the month (here 365/84 and 365/12).",
        "**Recurly** takes what was invoiced, so a seat added in the middle of a month first counts for half.",
        "**ProfitWell** lets every discount and credit lower MRR.",
    ),
    "mrr_new": ("**Maxio** also calls new what comes back after more than 90 days.",),
    "mrr_reactivation": (
        "**Maxio** calls it new when more than 90 days lie between; **Recurly** calls it reactivated only when at "
        "least a month does.",
    ),
    "mrr_pause": (
        "**ProfitWell** and **Recurly** set a paused subscription to 0, as here; **Maxio** keeps counting it, and "
        "**ChartMogul** books a pause in Recurly as churn.",
    ),
    "mrr_churn": (
        "**Stripe** can date churn at the click instead of the end of the paid period; **Maxio** and **Paddle** do.",
    ),
    "mrr_fx": ("**Paddle** values everything at today's rate, so that currencies move its MRR.",),
    "quick_ratio": ("**Baremetrics** leaves reactivation out of the numerator.",),
    "nrr": (
        "**Baremetrics** shows 100 % minus net MRR churn, and does not follow the customers of the start.",
        "**Chargebee** looks at subscriptions, not at customers.",
    ),
    "grr": (
        "**Chargebee**'s worked example takes the smaller of the two totals, not of each customer's: one customer's "
        "upgrade then hides another's leaving.",
    ),
    "nrr_12m": ("**SaaS Capital** compares two Decembers, which is this number at the end of a December.",),
    "gross_mrr_churn_rate": (
        "**ChartMogul** divides churn and contraction by the MRR of the start, as here; a pause counts here too.",
        "**Baremetrics** looks back 30 days whatever the month's length.",
    ),
    "net_mrr_churn_rate": ("**Baremetrics** subtracts expansion alone, **ChartMogul** reactivation too, as here.",),
    "ltv": (
        "**ChartMogul** divides ARPA by the mean customer churn rate of the six months before: `ltv_six_months`, "
        "revenue and not margin.",
        "**ProfitWell** divides ARPU by 1 - retention and smooths both.",
    ),
    "ltv_six_months": ("**ChartMogul** calls this lifetime value; it shows none where nobody left.",),
    "ltv_simple": ("**Polar** shows 0 where nobody left, **ChartMogul** and this page nothing.",),
    "customers": (
        "**Stripe** counts nobody on a free plan: who moves to one has churned there, and is still a customer here.",
    ),
    "customers_churned": (
        "**ProfitWell** drops those who came and left in one calendar month, **Chargebee** those who cancel within a "
        "month of activation.",
    ),
    "customers_churned_unknown": ("**Chargebee** calls a cancellation without a reason voluntary.",),
    "customer_churn_rate": (
        "Take a month with 100 customers at its start. 10 of them leave and 2 of these return; 30 join and 3 of these "
        "leave. Here, 8 of the 100 are gone at the end: 8.00 %; **ChartMogul** agrees.",
        "**Baremetrics** divides all 13 who left by the 100 of the start: 13.00 %.",
        "**Stripe** divides the 13 by the 130 who were there at the start or joined: 10.00 %.",
        "**ProfitWell** drops those who joined and left in the same month: 10 / 100 = 10.00 %.",
        "**Shopify** divides by customer-days and makes that a month: 11.29 %.",
    ),
}

_APRIL, _MAY = date(2026, 4, 1), date(2026, 5, 1)
_PERIOD = Period(midnight(_APRIL, zone("UTC")), midnight(_MAY, zone("UTC")), _APRIL, _MAY, "month")


# --------------------------------------------------------------------------------------------------------- example


def example(folder: Path) -> Workspace:
    """The example company in a new workspace: its subscriptions, rates, spend, usage and orders, in US dollars."""
    from tenure import open

    shop = open(folder, create=True, currency="USD")
    for table, text in (
        ("subscriptions", SUBSCRIPTIONS),
        ("rates", RATES),
        ("spend", SPEND),
        ("invoice_lines", USAGE_LINES),
        ("contacts", CONTACTS),
        ("orders", ORDERS),
    ):
        file = folder / f"{table}.csv"
        file.write_text(text, encoding="utf-8")
        (report,) = shop.load(table, file)
        assert not report.quarantined, report
    return shop


def _split(metric: Metric) -> tuple[str, ...]:
    """By what an example is split: what enters and leaves is 0 where there are no segments."""
    return ("plan_id",) if metric.name in ("mrr_entering", "mrr_leaving") else ()


def _shown(shop: Workspace) -> dict[str, tuple[str, str]]:
    """What the two example commands of each metric print. The documentation's tests run the first of each again."""
    from tenure.faces.cli import numbers

    found = {}
    # What is noted of one line is not of the others.
    for by, line in {(_split(metric), metric.line): None for metric in CATALOGUE.values()}:
        names = [m.name for m in CATALOGUE.values() if (_split(m), m.line) == (by, line)]
        answer = shop.metrics(*names, since=SINCE, until=UNTIL, by=by)
        people = numbers.people(shop.metrics(*names, since=UNTIL, by=by))
        for name in names:
            rows = [row for row in answer.rows() if row["metric"] == name]
            who = [row for row in people if row["metric"] == name]
            found[name] = (
                numbers.as_table(rows, "month", by, [*answer.notes, *numbers.revenue_told(rows)]),
                numbers.people_table(who, "month", zone("UTC"), by, numbers.revenue_told(rows)),
            )
    return found


# ----------------------------------------------------------------------------------------------------------- pages


def metric_page(metric: Metric, output: str, who: str) -> str:
    """The page of one metric; `output` is what its example prints, `who` the same with --customers."""
    split = "".join(f" --by {name}" for name in _split(metric))
    command = f"tenure -w shop metrics {metric.name} --from {SINCE} --to {UNTIL}{split}"
    lines = [
        "<!-- Made by tenure.faces.reference_pages; change the code, not this page. -->",
        "<!-- setup: python -m tenure.faces.reference_pages --example shop -->",
        f"# {metric.title}",
        "",
        f"*{metric.question}*",
        "",
        "| | |",
        "|---|---|",
        f"| name | `{metric.name}` |",
        f"| formula | {_cell(metric.formula)} |",
        f"| unit | {UNITS.get(metric.unit, metric.unit)} |",
        f"| looks at | {GRAINS[metric.grain]}; {BETTER[metric.better]} |",
        f"| an empty base | {_cell(_empty(metric))} |",
        f"| interval | {_cell(INTERVALS.get(metric.name, 'none: it is counted, not estimated'))} |",
        f"| rules | [{_title(metric.source)}](../../{metric.source.removeprefix('docs/')}) |",
        "",
        "## An example",
        "",
        "The [example company](index.md#the-example-company) has fourteen customers.",
        "",
        "```console",
        f"$ {command}",
        output.rstrip("\n"),
        "```",
        "",
        "Who is in the last of them:",
        "",
        "```text",
        f"$ tenure -w shop metrics {metric.name} --from {UNTIL}{split} --customers",
        who.rstrip("\n"),
        "```",
        "",
    ]
    if metric.name in ELSEWHERE:
        lines += ["## The same name elsewhere", "", "As the vendors' help pages told it in 2026:", ""]
        lines += [f"- {difference}" for difference in ELSEWHERE[metric.name]]
        lines.append("")
    lines += [f"*Read next: {_next(metric)}.*", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _title(source: str) -> str:
    return {"movements": "how states become movements"}.get(Path(source).stem, Path(source).stem.replace("-", " "))


def _empty(metric: Metric) -> str:
    """What the metric says of a period in which there was nothing, asked of the metric itself."""
    from tenure.measure.buyers import NOTHING_KNOWN, BuyerFigures
    from tenure.measure.committed import Committed
    from tenure.measure.figures import Figures, Retention
    from tenure.measure.renewal_book import RenewalFigures
    from tenure.measure.seats import PeopleFigures
    from tenure.measure.usage_revenue import UsageFigures

    unknown = BuyerFigures(reason=NOTHING_KNOWN)
    empty = Figures(
        _PERIOD,
        "",
        "USD",
        kept_12m=Retention(),
        usage=UsageFigures(),
        renewals=RenewalFigures(),
        committed=Committed(),
        buyers=unknown,
        people=PeopleFigures(),
    )
    value = metric.compute(empty)
    if value.value is None:
        return f"no value (NULL), because {value.reason}"
    return "0" if not value.value else str(value.value)


def _group(name: str) -> tuple[str, tuple[str, ...]]:
    for title, names in groups().items():
        if name in names:
            return title, names
    raise KeyError(name)


def groups() -> dict[str, tuple[str, ...]]:
    """Every metric of the catalogue under the question it belongs to."""
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in CATALOGUE if name not in grouped)
    found = {title: tuple(name for name in names if name in CATALOGUE) for title, names in GROUPS.items()}
    return found | ({"And besides?": others} if others else {})


def _next(metric: Metric) -> str:
    _, names = _group(metric.name)
    place = names.index(metric.name)
    near = [names[(place + step) % len(names)] for step in (1, 2)]
    links = [f"[{CATALOGUE[name].title}]({name}.md)" for name in dict.fromkeys(near) if name != metric.name]
    if metric.name in INTERVALS:
        links.append("[how sure a number is](../../explanation/intervals.md)")
    links.append("[the catalogue](index.md)")
    return ", ".join(links)


def index_page() -> str:
    """The catalogue: every metric with its question, and the company that all examples ask."""
    lines = [
        "<!-- Made by tenure.faces.reference_pages; change the code, not this page. -->",
        "# The catalogue of metrics",
        "",
        "*Which numbers are there, and which question does each of them answer?*",
        "",
        "`tenure metrics --list` prints the same. Every number comes from one table of movements, explained in",
        "[how states become movements](../../explanation/movements.md); a rate always carries what it was divided from",
        "and its interval, and a rate without a period is refused.",
        "",
    ]
    for title, names in groups().items():
        lines += [f"## {title}", "", "| metric | question | unit |", "|---|---|---|"]
        for name in names:
            metric = CATALOGUE[name]
            lines.append(f"| [`{name}`]({name}.md) | {_cell(metric.question)} | {metric.unit} |")
        lines.append("")
    lines += [
        "## The example company",
        "",
        "The pages of the metrics ask a company of fourteen customers: few enough to check every number by hand. This",
        "is all there is to know of them:",
        "",
        "<!-- file: subscriptions.csv -->",
        "```csv",
        SUBSCRIPTIONS.rstrip("\n"),
        "```",
        "",
        "Finn and Kim pay in euros, worth so much (units for one US dollar):",
        "",
        "<!-- file: rates.csv -->",
        "```csv",
        RATES.rstrip("\n"),
        "```",
        "",
        "And this is what was spent to win customers:",
        "",
        "<!-- file: spend.csv -->",
        "```csv",
        SPEND.rstrip("\n"),
        "```",
        "",
        "And some pay for what they use, besides:",
        "",
        "<!-- file: invoice_lines.csv -->",
        "```csv",
        USAGE_LINES.rstrip("\n"),
        "```",
        "",
        "And these are the people behind those who pay by the seat:",
        "",
        "<!-- file: contacts.csv -->",
        "```csv",
        CONTACTS.rstrip("\n"),
        "```",
        "",
        "And these were bought without a contract, some by customers who have one as well:",
        "",
        "<!-- file: orders.csv -->",
        "```csv",
        ORDERS.rstrip("\n"),
        "```",
        "",
        "```console",
        "$ tenure init shop --currency USD",
        "...",
        "$ tenure -w shop load subscriptions subscriptions.csv",
        "...",
        "$ tenure -w shop load rates rates.csv",
        "...",
        "$ tenure -w shop load spend spend.csv",
        "...",
        "$ tenure -w shop load invoice_lines invoice_lines.csv",
        "...",
        "$ tenure -w shop load contacts contacts.csv",
        "...",
        "$ tenure -w shop load orders orders.csv",
        "...",
        f"$ tenure -w shop metrics mrr customers customer_churn_rate --from {SINCE} --to {UNTIL} --format csv",
        "metric,profile,revenue,period_start,period_end,segment,currency,unit,value,low,high,numerator,denominator,n,"
        "reason",
        "...",
        "```",
        "",
        "*Read next: [MRR](mrr.md), [customer churn rate](customer_churn_rate.md),",
        "[MRR is not revenue](../../explanation/mrr-is-not-revenue.md).*",
        "",
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- command line


def command_page() -> str:
    """Every command with its arguments and options, as the parser itself knows them."""
    import typer

    from tenure.faces.cli.commands import app

    root: Any = typer.main.get_command(app)
    lines = [
        "<!-- Made by tenure.faces.reference_pages; change the code, not this page. -->",
        "<!-- setup: python -m tenure.faces.reference_pages --example shop -->",
        "# The command line",
        "",
        "*What can I type after `tenure`, and what comes back?*",
        "",
        "## What holds for every command",
        "",
        "- **Where.** `-w DIR` names the workspace, before or after the command's name. Without it `TENURE_WORKSPACE`",
        "  counts, else the folder one stands in.",
        "- **When.** A date, month, quarter or year names the whole of it, in the workspace's time zone: `2026-06-30`,",
        "  `2026-06`, `2026-Q2`, `2026-W26`, `2026`. `--to`, `--as-of` and `--known-on` include it.",
        "- **How it prints.** `--format table` is for people: rates in percent, reasons as footnotes. `csv` and `json`",
        "  carry exact values: money as decimal text in major units, rates as fractions, `period_end` exclusive,",
        "  unknown is empty (`null`). A `segment` is an object in JSON and columns `segment.NAME` in CSV. Text that a",
        "  spreadsheet would run as a formula gets a leading apostrophe in `csv`.",
        "- **How it ends.** 0: done. 1: the input was fine, the work was not possible. 2: bad input or usage. 130:",
        "  interrupted. Messages go to stderr and say what to do next; `TENURE_DEBUG=1` adds where in the code it",
        "  happened.",
        "- **Progress** shows on a terminal only.",
        "",
        "One number as a program reads it:",
        "",
        "```console",
        "$ tenure -w shop metrics customer_churn_rate --from 2026-06 --format json",
        "@JSON@",
        "```",
        "",
        "And what a mistake gets:",
        "",
        "<!-- exits: 2 -->",
        "```console",
        "$ tenure -w shop metrics custmer_churn_rate --from 2026-06",
        "@MISTAKE@",
        "```",
        "",
        "## `tenure`",
        "",
        *_parameters(root),
    ]
    every = [
        each
        for name, command in root.commands.items()
        for each in ((name, command), *((f"{name} {of}", one) for of, one in getattr(command, "commands", {}).items()))
    ]
    for name, command in every:
        usage = [f"tenure {name}", "[OPTIONS]"]
        usage += [_argument(p) for p in command.params if p.param_type_name == "argument"]
        usage += ["[METHOD]"] if getattr(command, "commands", {}) else []
        lines += [f"## `tenure {name}`", "", (command.help or "").strip(), "", "```text", " ".join(usage), "```", ""]
        lines += _parameters(command)
    lines += [
        "*Read next: [the catalogue of metrics](metrics/index.md), [the glossary](glossary.md).*",
        "",
    ]
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    name = _placeholder(parameter)
    return name if parameter.required else f"[{name}]"


def _placeholder(parameter: Any) -> str:
    return f"{parameter.metavar or parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}"


def _parameters(command: Any) -> list[str]:
    rows = []
    for parameter in command.params:
        says = _cell(parameter.help or "")
        if parameter.param_type_name == "argument":
            rows.append(f"| `{_placeholder(parameter)}` | {says} |")
            continue
        takes = "" if parameter.is_flag else f" {_takes(parameter)}"
        default = parameter.default
        told = getattr(default, "value", default)
        if told not in (None, False, "", ()) and not callable(told) and "[default" not in says:
            says += f" [default: {told}]"
        rows.append(f"| `{', '.join(parameter.opts)}{takes}` | {says} |")
    return ["| | |", "|---|---|", *rows, ""] if rows else []


def _takes(parameter: Any) -> str:
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    if parameter.metavar:
        return str(parameter.metavar)
    if choices:
        return "/".join(str(getattr(choice, "value", choice)) for choice in choices)
    return str(parameter.name).upper()


def _said(arguments: Sequence[str]) -> str:
    """What a command prints, on stdout and on stderr."""
    from contextlib import redirect_stderr, redirect_stdout

    from tenure.faces.cli.ending import run

    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        run(arguments)
    return told.getvalue().rstrip("\n")


# ----------------------------------------------------------------------------------------------------------- write


def pages() -> Iterator[tuple[str, str]]:
    """Every generated page: its path below docs/reference, and its text."""
    with tempfile.TemporaryDirectory(prefix="tenure-pages-") as scratch:
        folder = Path(scratch) / "shop"
        shop = example(folder)
        shown = _shown(shop)
        yield from profile_pages.pages(shop, ["-w", str(folder)], _said)
        leave(shop)
        yield "exports.md", export_pages.page()
        yield "metrics/index.md", index_page()
        for metric in CATALOGUE.values():
            yield f"metrics/{metric.name}.md", metric_page(metric, *shown[metric.name])
        text = command_page()
        where = ["-w", str(folder), "metrics"]
        text = text.replace("@JSON@", _said([*where, "customer_churn_rate", "--from", "2026-06", "--format", "json"]))
        yield "command-line.md", text.replace("@MISTAKE@", _said([*where, "custmer_churn_rate", "--from", "2026-06"]))


def main(arguments: Sequence[str]) -> int:
    """Writes the pages below the folder named, or makes the example company in the folder after --example."""
    if len(arguments) == 2 and arguments[0] == "--example":
        example(Path(arguments[1]))
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m tenure.faces.reference_pages DIR | --example DIR", file=sys.stderr)
        return 2
    for name, text in pages():
        path = Path(arguments[0]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
