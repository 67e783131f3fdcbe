"""What does `tenure load rates` need of the European Central Bank's file? `python ecb_rates.py IN.zip rates.csv`.

The bank says how many units of each currency one euro bought on each day (www.ecb.europa.eu, "euro foreign exchange
reference rates": a zip archive, or the CSV in it). Tenure keeps units of each currency for one US dollar: `day,
currency, per_usd`. Cells with N/A and days without a dollar rate are left out; the last earlier rate counts on them.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

DIGITS = Decimal("1e-12")


def euro_rates(path: Path) -> Iterator[dict[str, str]]:
    """The rows of the bank's file: Date, and units of each currency for one euro."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def per_dollar(row: dict[str, str]) -> Iterator[tuple[str, str, Decimal]]:
    """One day's rates as (day, currency, units for one US dollar)."""
    if row["USD"] in ("", "N/A"):
        return
    dollars = Decimal(row["USD"])
    yield row["Date"], "EUR", (1 / dollars).quantize(DIGITS)
    for currency, rate in row.items():
        if len(currency) == 3 and currency != "USD" and rate not in ("", "N/A"):
            yield row["Date"], currency, (Decimal(rate) / dollars).quantize(DIGITS)


def main(source: str, out: str, since: str = "1999-01-04") -> None:
    """Writes the rates from the day `since` on."""
    with Path(out).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["day", "currency", "per_usd"])
        for row in euro_rates(Path(source)):
            if row["Date"] >= since:
                writer.writerows(per_dollar(row))


if __name__ == "__main__":
    main(*sys.argv[1:])
