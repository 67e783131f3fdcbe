"""What does the other tool show? A file of figures (month, metric, value), read cell by cell or refused with reasons.

Read are 1234.5 and 1,234.50 (groups of three digits before a decimal point), and 8 % or 8.00% where the metric is a
rate. Refused are a decimal comma, a currency's sign, a percent sign behind money or a count, and a rate that can only
be meant in percent but does not say so.
"""

from __future__ import annotations

import csv
import re
from datetime import date
from fractions import Fraction
from pathlib import Path

from tenure.connect.files.headers import month_of, snake
from tenure.errors import BadFile
from tenure.kernel.money import is_currency
from tenure.measure.catalogue import CATALOGUE, Metric
from tenure.measure.reconciling import Theirs

# How the columns, and the metrics, are called elsewhere.
_COLUMNS = {
    "month": ("month", "period", "date", "เดือน"),
    "metric": ("metric", "metric_name", "name", "measure", "kpi", "ตัวชี้วัด"),
    "value": ("value", "amount", "figure", "number", "result", "ค่า"),
    "currency": ("currency", "currency_code", "สกุลเงิน"),
}
_METRICS = {
    "churn_rate": "customer_churn_rate",
    "customer_churn": "customer_churn_rate",
    "logo_churn": "customer_churn_rate",
    "logo_churn_rate": "customer_churn_rate",
    "user_churn": "customer_churn_rate",
    "user_churn_rate": "customer_churn_rate",
    "subscriber_churn_rate": "customer_churn_rate",
    "revenue_churn": "gross_mrr_churn_rate",
    "revenue_churn_rate": "gross_mrr_churn_rate",
    "gross_mrr_churn": "gross_mrr_churn_rate",
    "gross_revenue_churn": "gross_mrr_churn_rate",
    "mrr_churn_rate": "gross_mrr_churn_rate",
    "net_mrr_churn": "net_mrr_churn_rate",
    "net_revenue_churn": "net_mrr_churn_rate",
    "net_revenue_retention": "nrr",
    "ndr": "nrr",
    "net_dollar_retention": "nrr",
    "gross_revenue_retention": "grr",
    "monthly_recurring_revenue": "mrr",
    "annual_recurring_revenue": "arr",
    "annual_run_rate": "arr",
    "new_business": "mrr_new",
    "active_customers": "customers",
    "customer_count": "customers",
    "arpu": "arpa",
}
_MOST_SHOWN = 5
_MOST_DIGITS = 9  # what is told with more is a float's dust
_PLAIN = re.compile(r"[+-]?(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?")
_DELIMITERS = ",;\t"


def read_theirs(path: Path, currency: str | None = None) -> list[Theirs]:
    """The figures of a file; BadFile with line and reason for every row that cannot be read.

    currency: into which all money is converted; a row of money in another one is refused.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 ({error.reason} at byte {error.start}); save it as CSV in UTF-8") from None
    lines = text.splitlines()
    if not lines:
        raise BadFile(f"{path} is empty; write a header such as month,metric,value")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter)
    header = [snake(name) for name in next(reader)]
    place = {ours: header.index(name) for ours, names in _COLUMNS.items() for name in reversed(names) if name in header}
    missing = [name for name in ("month", "metric", "value") if name not in place]
    if missing:
        raise BadFile(
            f"{path} has no column {' and '.join(missing)} among {', '.join(header)}; "
            "it needs month, metric and value, and may have currency"
        )
    found: list[Theirs] = []
    bad: list[str] = []
    seen: dict[tuple[date, str, str | None], int] = {}
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        try:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} cells under {len(header)} columns")
            row = _row(line, {name: cells[i].strip() for name, i in place.items()}, currency)
            first = seen.setdefault((row.month, row.metric.name, row.currency), line)
            if first != line:
                raise ValueError(f"{row.metric.name} of {row.month:%Y-%m} stands in line {first} already")
        except ValueError as error:
            bad.append(f"line {line}: {error}")
        else:
            found.append(row)
    if bad:
        more = f"\n... and {len(bad) - _MOST_SHOWN} more" if len(bad) > _MOST_SHOWN else ""
        raise BadFile("\n".join([f"{path}: {len(bad)} of its rows cannot be read", *bad[:_MOST_SHOWN]]) + more)
    if not found:
        raise BadFile(f"{path} has a header and no figure under it")
    return found


def _row(line: int, cells: dict[str, str], reporting: str | None) -> Theirs:
    month = month_of(cells["month"])
    if month is None:
        raise ValueError(f"'{cells['month']}' is not a month; write it like 2026-06")
    metric = metric_of(cells["metric"])
    currency = cells.get("currency", "").upper() or None
    if currency is not None and not is_currency(currency):
        raise ValueError(f"'{currency}' is not an ISO 4217 code such as USD")
    if currency is not None and metric.of_money and reporting is not None and currency != reporting:
        raise ValueError(f"it is in {currency}, and money is compared in {reporting}; choose with --currency")
    value, digits = number(cells["value"], metric)
    within = Fraction(1, 2 * 10 ** min(digits, _MOST_DIGITS))
    return Theirs(line, month, metric, currency if metric.of_money else None, value, within)


def metric_of(text: str) -> Metric:
    """The metric that a name, a title or a usual name elsewhere means; ValueError for any other."""
    name = snake(text)
    titles = {snake(metric.title): metric.name for metric in CATALOGUE.values()}
    ours = name if name in CATALOGUE else _METRICS.get(name) or titles.get(name)
    if ours is None:
        raise ValueError(f"no metric called '{text}'; `tenure metrics --list` shows them all")
    if CATALOGUE[ours].needs:
        raise ValueError(f"{ours} rests on assumptions too; compare what it is made of, such as arpa and churn rates")
    if CATALOGUE[ours].line == "usage":
        raise ValueError(f"{ours} is of usage, which every definition counts alike; compare what is committed")
    return CATALOGUE[ours]


def number(text: str, metric: Metric) -> tuple[Fraction, int]:
    """A cell's number as the metric has it, and how many decimals of it are told (those of 8.00 % are four)."""
    if not text:
        raise ValueError("the value is empty")
    percent = text.endswith("%")
    if percent and metric.unit != "rate":
        raise ValueError(f"'{text}' is a percentage, and {metric.name} is none")
    bare = text.removesuffix("%").strip()
    match = _PLAIN.fullmatch(bare)
    if match is None:
        raise ValueError(
            f"'{text}' is not a plain number; write it like 1234.50, 1,234.50 or 8.25 %, without a currency"
        )
    whole, decimals = match.group(1), match.group(2) or ""
    if "," in whole and (metric.unit in ("rate", "ratio") or whole.startswith("0")):
        raise ValueError(f"'{text}': a comma may be a decimal one here; write it with a point, such as 8.25 %")
    value = Fraction(bare.replace(",", ""))
    if metric.unit == "count" and value.denominator != 1:
        raise ValueError(f"'{text}' is not a whole number, and {metric.name} is a count")
    if percent:
        return value / 100, len(decimals) + 2
    most = 1 if "churn" in metric.name else 5
    if metric.unit == "rate" and abs(value) > most:
        raise ValueError(
            f"'{text}' as a fraction would be {100 * float(value):,.0f} %; write {text} % if that is meant"
        )
    return value, len(decimals)
