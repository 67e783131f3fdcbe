"""What was a dollar worth? The European Central Bank's reference rates, turned into units per US dollar.

The Bank publishes units per euro, one line a day and one column a currency, as eurofxref-hist.zip or .csv:

    Date,USD,JPY,THB,...
    2026-10-30,1.1172,175.68,37.683,...

Source: https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from pathlib import Path

from tenure.errors import BadFile

_DECIMALS = Decimal(1).scaleb(-12)
_PRECISE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LIMIT = 200_000_000  # bytes of the unpacked file; the real one has two million


def is_reference_rates(path: Path) -> bool:
    """Whether the file is one of the Bank's: its first line is Date, then currency codes, USD among them."""
    try:
        with _text(path) as lines:
            header = _header(lines.readline(100_000))
    except (OSError, ValueError, zipfile.BadZipFile, BadFile):
        return False
    return len(header) > 1 and header[0] == "Date" and "USD" in header and all(map(_is_code, filter(None, header[1:])))


def write_long(path: Path, target: Path) -> None:
    """The file as one line per day and currency: day, currency, per_usd (12 decimals, half to even, rounded once).

    The euro and the dollar itself are included; N/A is left out. A day whose dollar rate cannot be read keeps its
    currencies with no rate, so that the loader holds them back and says so.
    """
    try:
        with _text(path) as lines, target.open("w", encoding="utf-8", newline="") as out:
            reader = csv.reader(lines)
            header = [name.strip() for name in next(reader)]
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(("day", "currency", "per_usd"))
            for row in reader:
                writer.writerows(_of_day(header, row))
    except (zipfile.BadZipFile, csv.Error, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read as the European Central Bank's rates: {error}") from None


def per_usd(per_eur: Decimal, usd_per_eur: Decimal) -> Decimal:
    """Units of a currency for one US dollar, from units for one euro.

    >>> per_usd(Decimal("37.683"), Decimal("1.1172"))
    Decimal('33.729860365199')
    """
    return _PRECISE.quantize(_PRECISE.divide(per_eur, usd_per_eur), _DECIMALS)


def _of_day(header: list[str], row: list[str]) -> Iterator[tuple[str, str, str]]:
    cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
    day = cells.pop("Date", "")
    if not day:
        return
    cells["EUR"] = "1"
    dollar = _rate(cells.get("USD", ""))
    for code, text in cells.items():
        if not code or text in ("N/A", ""):
            continue
        rate = _rate(text)
        yield day, code, text if rate is None else "" if dollar is None else f"{per_usd(rate, dollar):f}"


def _rate(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and value > 0 else None


@contextmanager
def _text(path: Path) -> Iterator[io.TextIOBase]:
    """The file's text, out of its zip archive if it is in one."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [item for item in archive.infolist() if item.filename.lower().endswith(".csv")]
            if len(names) != 1 or names[0].file_size > _LIMIT:
                raise BadFile(f"{path} does not hold exactly one CSV file of rates")
            with archive.open(names[0]) as packed, io.TextIOWrapper(packed, "utf-8-sig", newline="") as text:
                yield text
    else:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text


def _header(line: str) -> list[str]:
    return [name.strip() for name in line.split(",")]


def _is_code(name: str) -> bool:
    return re.fullmatch("[A-Z]{3}", name) is not None
