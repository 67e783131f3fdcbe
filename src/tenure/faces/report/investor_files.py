"""The figures behind the page for investors, as CSV files that a spreadsheet opens, and a README that explains them.

One file per subject, a header row in each, money in major units, rates as fractions, days as 2026-06-30. Periods are
half open: `period_end` is the first day that is not in them. No file names a customer.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.faces.cli import numbers, triangles
from tenure.faces.cli.outputs import as_csv

if TYPE_CHECKING:
    from tenure.app.investors import Investors

README = "README.txt"
# Each file: what it tells, and what each of its columns is.
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "metrics.csv": (
        "Every metric of every month, one row each.",
        {
            "metric": "its name; definitions.csv says what it is",
            "profile": "the definition profile it is counted by",
            "period_start": "first day of the month",
            "period_end": "first day after it",
            "currency": "ISO 4217, empty where the number has none",
            "unit": "money, rate (a fraction), ratio or count",
            "value": "the number; empty where it is unknown, then reason says why",
            "low": "lower end of its 95 % interval, where it has one",
            "high": "upper end",
            "numerator": "what a rate was divided from: above the line",
            "denominator": "below the line",
            "n": "customers in the base",
            "reason": "why a value is missing or doubtful",
        },
    ),
    "movements.csv": (
        "How MRR moved in each month: opening + every other line = closing, exactly.",
        {
            "period_start": "first day of the month",
            "period_end": "first day after it",
            "currency": "ISO 4217",
            "kind": "opening, new, reactivation, resume, expansion, contraction, pause, churn, fx, correction, closing",
            "amount": "signed, major units; a loss is negative",
        },
    ),
    "cohorts_customers.csv": (
        "How many of those who first paid in a month are customers, month by month.",
        {
            "cohort_start": "first day of the month in which they first paid",
            "cohort_end": "first day after it",
            "age": "whole months since, 0 is the month itself",
            "size": "how many came",
            "value": "how many are customers at that month's end",
            "share": "value / size, a fraction",
        },
    ),
    "cohorts_revenue.csv": (
        "How much MRR those who first paid in a month bring, month by month.",
        {
            "cohort_start": "first day of the month in which they first paid",
            "cohort_end": "first day after it",
            "age": "whole months since, 0 is the month itself",
            "currency": "ISO 4217",
            "size": "the MRR they came with",
            "value": "their MRR at that month's end",
            "share": "value / size, a fraction; above 1 where they grew",
        },
    ),
    "layers.csv": (
        "The layer cake: MRR at each month's end by when customers joined.",
        {
            "cohort": "the year or quarter in which they joined",
            "period_start": "first day of the month",
            "period_end": "first day after it",
            "currency": "ISO 4217",
            "mrr": "their MRR at its end",
        },
    ),
    "concentration.csv": (
        "On how few customers MRR rests at the end of the last month.",
        {
            "before": "the first day after the month",
            "currency": "ISO 4217",
            "group": "largest, top_10, top_tenth (rounded up), and customer_1 to customer_10 by size, unnamed",
            "customers": "how many are in the group",
            "of_customers": "how many pay",
            "mrr": "what the group pays a month",
            "of_mrr": "what all pay",
            "share": "mrr / of_mrr, a fraction",
        },
    ),
    "definitions.csv": (
        "What the numbers mean and what counts, and how far the facts can be trusted.",
        {
            "section": "about (the summary itself), metric, or choice (of the definition profile)",
            "name": "of the metric, the choice or the fact about the summary",
            "value": "formula of the metric, value of the choice, or the fact",
            "says": "the same in words",
        },
    ),
}


def texts(found: Investors) -> dict[str, str]:
    """Every file of the pack by its name, README.txt first."""
    told = {
        name: as_csv(tuple(columns), rows)
        for (name, (_, columns)), rows in zip(FILES.items(), _rows(found), strict=True)
    }
    return {README: readme(found), **told}


def readme(found: Investors) -> str:
    """What is in the pack, in plain text."""
    about = found.story.about
    period = about.period
    month = f"{period.start:%Y-%m}"
    lines = [
        f"{about.company}: figures for investors, {month}",
        "",
        f"Known on {(about.known_on - timedelta(microseconds=1)):%Y-%m-%d %H:%M} UTC, counted by the definition "
        f"profile {about.profile}, in {found.recurring.currency}. Days are days in {about.timezone}.",
    ]
    if about.is_made_up:
        lines.append("THIS COMPANY IS MADE UP: every number comes from a simulator.")
    if about.is_provisional:
        lines.append("PROVISIONAL: the month was not over, or rows may still arrive.")
    if about.is_reconstructed:
        lines.append("RECONSTRUCTED: some rows were loaded or dated after the fact.")
    lines += [
        "",
        "Text is UTF-8, columns are separated by commas, decimals have a point. Money is in major units (12.34), rates",
        "are fractions (0.042 is 4.2 %), an empty cell is unknown. A period ends before its period_end. No customer is",
        "named.",
    ]
    for name, (tells, columns) in FILES.items():
        lines += ["", f"{name}: {tells}"]
        room = max(len(column) for column in columns)
        lines += [f"  {column.ljust(room)}  {meaning}" for column, meaning in columns.items()]
    return "\n".join(lines) + "\n"


def write(found: Investors, out: str | Path) -> list[str]:
    """Writes the pack into a folder, or into one file where `out` ends in .zip; the names of its files.

    A zip of the same figures is the same file, byte for byte.
    """
    path, files = Path(out), texts(found)
    if path.suffix.lower() == ".zip":
        if path.is_dir():
            raise BadInput(f"{path} is a folder; name the zip file to write, such as {path / 'investors.zip'}")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
            for name, text in files.items():
                pack.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
        return list(files)
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file; name a folder for the CSV files, or a file that ends in .zip")
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return list(files)


def _rows(found: Investors) -> Iterable[Iterable[Mapping[str, Any]]]:
    """The rows of each file, in the order of FILES."""
    recurring = found.recurring
    yield found.metrics.rows()
    yield [
        {"period_start": one.period.start, "period_end": one.period.end, "currency": recurring.currency, **line}
        for one in recurring.months
        for line in (
            {"kind": "opening", "amount": one.opening},
            *({"kind": kind, "amount": amount} for kind, amount in one.amounts.items()),
            {"kind": "closing", "amount": one.closing},
        )
    ]
    for measure in ("customers", "revenue"):
        yield triangles.as_rows([one for one in found.cohorts if one.measure == measure])
    yield [
        {
            "cohort": one.cohort,
            "period_start": one.period.start,
            "period_end": one.period.end,
            "currency": recurring.currency,
            "mrr": numbers.trimmed(one.amount, recurring.currency),
        }
        for one in recurring.layers
    ]
    yield found.concentration.rows() if found.concentration is not None else []
    yield _definitions(found)


def _definitions(found: Investors) -> Iterable[Mapping[str, Any]]:
    from tenure.faces.report.sentences import Teller, report_language
    from tenure.measure.catalogue import CATALOGUE

    story = found.story
    about, teller = story.about, Teller(story, report_language("en"))
    facts = {
        "company": about.company,
        "month": f"{about.period.start:%Y-%m}",
        "currency": found.recurring.currency,
        "timezone": about.timezone,
        "profile": about.profile,
        "known_before": about.known_on,
        "made_up": about.is_made_up,
        "provisional": about.is_provisional,
        "reconstructed": about.is_reconstructed,
        "tenure": about.version,
    }
    for name, value in facts.items():
        yield {"section": "about", "name": name, "value": value}
    for note in story.trust.notes:
        yield {"section": "about", "name": note.code, "says": str(teller.note(note) or note.text)}
    names = dict.fromkeys([*(cell.metric.name for cell in found.metrics.cells), *(d.metric for d in story.definitions)])
    for name in names:
        known = CATALOGUE.get(name) or teller.definitions[name]
        yield {"section": "metric", "name": name, "value": known.formula, "says": known.question}
    rules = dict(about.rules)
    for name, choice in found.definition.choices.items():
        value = "/".join(map(str, choice)) if isinstance(choice, tuple) else str(choice)
        title, says = teller.rule(name, rules.get(name, value))
        yield {"section": "choice", "name": name, "value": value, "says": f"{title} {says}"}
