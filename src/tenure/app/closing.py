"""What did we publish? A month's figures, frozen under a name and a hash, and what is told of them since.

A closed month is two files in the workspace's folder `closed`: 2026-06.json with the figures, the definition and the
instant up to which was known, and a Parquet file with every customer's balance. The hash stands over all of it, so a
file that was changed by hand is noticed when it is read. Nothing that is loaded later changes a closed month; what that
would have changed is told by `restatements`, and as `mrr_correction` of the month after.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput, BadPeriod, Damaged
from tenure.kernel.time import add_months, midnight, whole_days, zone
from tenure.measure.catalogue import CATALOGUE, Metric
from tenure.measure.currencies import SCALE
from tenure.measure.definition import BASE, CHOICES, profile
from tenure.measure.openings import major, names

if TYPE_CHECKING:
    import pyarrow as pa

    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts
    from tenure.measure.answers import Answer
    from tenure.measure.definition import Definition
    from tenure.measure.restatements import Learned

FOLDER = "closed"
OPENING, CORRECTION = "mrr_opening", "mrr_correction"
_NAME = re.compile(r"\d{4}-\d{2}\.json")
_FIGURE = ("value", "numerator", "denominator")

# (metric, currency, whether it is the reporting currency's)
FigureKey = tuple[str, str | None, bool]


@dataclass(frozen=True)
class Closed:
    """A closed month: what was published, by which definition, and what was known then.

    figures: by (metric, currency, whether all money is converted into it), as dicts with value, numerator and
    denominator (Fractions: money in 10^-6 minor units), n, unit and reason. known_before: nothing recorded at or after
    it was known. closed_at: nothing loaded at or after it was there.
    """

    month: date
    profile: str
    choices: dict[str, Any]
    currency: str | None
    known_before: datetime
    closed_at: datetime
    figures: dict[FigureKey, dict[str, Any]]
    hash: str
    path: Path
    balances_file: Path

    @property
    def name(self) -> str:
        """The name under which it can be cited: the month and the first digits of its hash."""
        return f"{self.month:%Y-%m} ({self.hash[:12]})"

    def balances(self) -> pa.Table:
        """Every customer's balance at the close, as measure.restatements.balances made it."""
        import pyarrow.parquet as pq

        return pq.read_table(self.balances_file)

    def money(self, metric: str, currency: str, converted: bool) -> Fraction | None:
        """A figure of money in a currency, in 10^-6 minor units; None where it was not closed so."""
        found = self.figures.get((metric, currency, converted))
        if found is None:
            several = {key[1] for key in self.figures if key[0] == metric and not key[2]} - {None}
            if not converted:
                return Fraction(0) if several else None  # a currency in which nobody had paid
            if several != {currency}:
                return None
            found = self.figures[metric, currency, False]
        value: Fraction | None = found["value"]
        return value

    def is_by(self, definition: Definition) -> bool:
        """Whether it was closed by the same definition, whatever that was called."""
        # A choice that there was not yet stands as the default has it.
        return {**plain_choices(profile(BASE)), **self.choices} == plain_choices(definition)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were closed and that there still are, in the catalogue's order."""
        there = {name for name, _, _ in self.figures}
        return tuple(name for name in CATALOGUE if name in there)


def plain_choices(definition: Definition) -> dict[str, Any]:
    """A definition's choices as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in definition.choices.items()}


def of_month(text: str) -> date:
    """The first day of the month that a text names; BadPeriod for anything else."""
    first, after = whole_days(text)
    if first.day != 1 or after != add_months(first, 1):
        raise BadPeriod(f"'{text}' is not a month; write it like 2026-06")
    return first


# --------------------------------------------------------------------------------------------------------- to and fro


def _path(folder: Path, month: date) -> Path:
    return folder / FOLDER / f"{month:%Y-%m}.json"


def _hash(content: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything but the hash itself."""
    told = {name: value for name, value in content.items() if name != "hash"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def read(folder: Path, month: date) -> Closed | None:
    """The closed month, or None where it is not closed; Damaged where the files are not what was written."""
    path = _path(folder, month)
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Damaged(f"{path} cannot be read ({error}); {_REMEDY}") from None
    try:
        return _understood(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"{path} is not a closed month as Tenure writes it ({error!r}); {_REMEDY}") from None


_REMEDY = "restore the folder `closed` from a copy, or close the month anew with --again, which keeps the old file"


def _understood(path: Path, content: dict[str, Any]) -> Closed:
    if _hash(content) != content["hash"]:
        raise Damaged(f"{path} was changed after the month was closed: its hash does not fit; {_REMEDY}")
    beside = path.with_name(content["balances"]["file"])
    if not beside.exists() or _digest(beside) != content["balances"]["sha256"]:
        what = "was changed after the month was closed" if beside.exists() else "is missing"
        raise Damaged(f"{beside}, with the balances of {path.name}, {what}; {_REMEDY}")
    figures = {}
    for row in content["figures"]:
        told = {name: None if row[name] is None else Fraction(row[name]) for name in _FIGURE}
        key = (row["metric"], row["currency"], row["converted"])
        figures[key] = {**told, "unit": row["unit"], "n": row["n"], "reason": row["reason"]}
    return Closed(
        date.fromisoformat(f"{content['month']}-01"),
        content["profile"],
        content["definition"],
        content["currency"],
        datetime.fromisoformat(content["known_before"]),
        datetime.fromisoformat(content["closed_at"]),
        figures,
        content["hash"],
        path,
        beside,
    )


def closed_months(folder: Path) -> list[Closed]:
    """Every closed month of a workspace, oldest first."""
    there = (folder / FOLDER).glob("*.json")
    months = sorted(date.fromisoformat(f"{path.stem}-01") for path in there if _NAME.fullmatch(path.name))
    return [closed for month in months if (closed := read(folder, month)) is not None]


# -------------------------------------------------------------------------------------------------------------- close


def _figures(shop: Workspace, month: date, profile: str | None, currency: str | None, known: datetime) -> list[Any]:
    """The rows that are frozen: every metric in each currency by itself, and in the reporting currency."""
    found = []
    for reporting in dict.fromkeys(("each", currency)):
        if reporting is None:
            continue
        answer = shop.metrics(
            *(name for name, metric in CATALOGUE.items() if not metric.needs),
            since=f"{month:%Y-%m}",
            profile=profile,
            currency=reporting,
            known_on=known - timedelta(microseconds=1),
            intervals=False,
        )
        found += [
            {
                "metric": row["metric"],
                "currency": row["currency"],
                "converted": reporting != "each",
                "unit": row["unit"],
                **{name: None if row[name] is None else str(Fraction(row[name])) for name in _FIGURE},
                "n": row["n"],
                "reason": row["reason"],
            }
            for row in answer.rows(exact=True)
        ]
    return found


def close(
    shop: Workspace,
    month: str,
    *,
    profile: str | None = None,
    currency: str | None = None,
    known_on: str | datetime | None = None,
    again: bool = False,
) -> tuple[Closed, bool]:
    """Freezes a month's figures; answers the closed month and whether it was closed just now.

    The same month with equal figures stays as it is. BadInput where they differ, unless `again`, which keeps the old
    file as 2026-06.v1.json; BadPeriod for a month that is not over.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenure.lake.disk import make_durable
    from tenure.lake.locks import held
    from tenure.measure.restatements import balances

    first = of_month(month)
    after = add_months(first, 1)
    closed_at = datetime.now(UTC)
    known = shop.known_before(known_on)
    if known > closed_at + timedelta(seconds=1):
        raise BadPeriod(f"--known-on {known_on}: that has not come yet; a month is closed by what is known today")
    if known < midnight(after, zone(shop.settings.timezone)):
        when = "is not over" if known_on is None else f"was not over on {known_on}"
        raise BadPeriod(f"{month} {when}: a month is closed when its last day has passed")
    reporting = currency or shop.settings.currency
    reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
    definition = shop.definition(profile)
    figures = _figures(shop, first, profile, reporting, known)
    now = balances(shop.facts(known - timedelta(microseconds=1)), definition, first, after)
    folder = shop.folder / FOLDER
    folder.mkdir(exist_ok=True)
    with held(folder / ".lock", what="closing a month", timeout=60.0):
        path = _path(shop.folder, first)
        version = 1
        if path.exists():
            if not again:
                old = read(shop.folder, first)
                assert old is not None
                differing = _differing(old, definition, reporting, figures, now)
                if not differing:
                    return old, False
                raise BadInput(
                    f"{month} is closed as {old.name}, and is another now: {differing}. `tenure restatements` tells "
                    "why; --again closes it anew and keeps the old file"
                )
            while path.with_name(f"{path.stem}.v{version}.json").exists():
                version += 1
            os.link(path, path.with_name(f"{path.stem}.v{version}.json"))
            version += 1
        beside = path.with_name(f"{path.stem}.parquet" if version == 1 else f"{path.stem}.v{version}.parquet")
        draft = folder / f".{beside.name}"
        pq.write_table(pa.table(now), draft)
        content: dict[str, Any] = {
            "month": f"{first:%Y-%m}",
            "profile": definition.name,
            "definition": plain_choices(definition),
            "currency": reporting,
            "timezone": shop.settings.timezone,
            "known_before": known.isoformat(),
            "closed_at": closed_at.isoformat(),
            "figures": figures,
            "balances": {"file": beside.name, "rows": now.num_rows, "sha256": _digest(draft)},
        }
        content["hash"] = _hash(content)
        # The balances first: until the figures name them, nobody reads them.
        make_durable([draft])
        draft.replace(beside)
        written = folder / f".{path.name}"
        written.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
        make_durable([written])
        written.replace(path)
        make_durable([path, beside])
    found = read(shop.folder, first)
    assert found is not None
    return found, True


def _differing(
    old: Closed, definition: Definition, currency: str | None, figures: list[dict[str, Any]], now: pa.Table
) -> str:
    """In what a month that is closed differs from the same month now, '' where in nothing."""
    if not old.is_by(definition):
        return f"it was closed by the profile {old.profile}, not {definition.name}"
    if old.currency != currency:
        return f"it was closed in {old.currency or 'each currency'}, not in {currency or 'each'}"
    fresh = {(row["metric"], row["currency"], row["converted"]): row["value"] for row in figures}
    told: dict[tuple[str, str | None], str] = {}
    for key in sorted(old.figures.keys() | fresh.keys(), key=lambda key: str(key)):
        name, money, _ = key
        if name not in old.metrics:
            continue  # a metric of a later catalogue was not published
        was = old.figures.get(key, {}).get("value")
        stands = None if fresh.get(key) is None else Fraction(fresh[key])
        if was != stands:
            unit = CATALOGUE[name].unit
            told[name, money] = f"{name} {shown(was, unit, money)} is {shown(stands, unit, money)}"
    if not told and not old.balances().equals(now):
        return "other customers pay the same sum"
    more = f" and {len(told) - 4} more" if len(told) > 4 else ""
    return ", ".join(told[key] for key in sorted(told, key=lambda key: list(CATALOGUE).index(key[0]))[:4]) + more


def shown(value: Fraction | None, unit: str, currency: str | None) -> str:
    """An exact figure as one reads it in a sentence: 120.50 USD, 8.00 %, 12; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "money" and currency is not None:
        amount = rounded(value, currency)
        return f"{amount:,} {currency}"
    if unit == "rate":
        return f"{100 * float(value):,.2f} %"
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,.4f}"


def rounded(value: Fraction, currency: str) -> Any:
    """10^-6 minor units as a Decimal of major units, rounded half-even to the currency's digits."""
    from decimal import Decimal

    from tenure.kernel.money import exponent

    digits = exponent(currency)
    return Decimal(round(value / 1_000_000)).scaleb(-digits)


# -------------------------------------------------------------------------------------------------------- corrections


def reconciled(shop: Workspace, answer: Answer) -> Answer:
    """The answer with the openings of closed books: a period after a closed month begins with what was closed.

    Its `mrr_correction` is the opening as known now less the one as closed, so that opening + movements + correction =
    closing. Books count that were closed by the same definition, by what the answer knows; segments have none.
    """
    cells = []
    books: dict[date, Closed | None] = {}
    remarks: list[str] = []
    used: dict[date, Closed] = {}
    openings = {(c.period.first, c.currency): c.value for c in answer.cells if c.metric.name == OPENING}
    for cell in answer.cells:
        first = cell.period.first
        if cell.metric.name not in (OPENING, CORRECTION) or first.day != 1 or cell.currency is None:
            cells.append(cell)
            continue
        month = add_months(first, -1)
        if month not in books:
            books[month] = read(shop.folder, month)
        closed, now = books[month], openings.get((first, cell.currency))
        if closed is None or now is None or closed.known_before > answer.facts.known_before:
            cells.append(cell)
            continue
        then = closed.money("mrr", cell.currency, answer.question.currency is not None)
        why = ""
        if cell.segment is not None:
            why = "the books were closed without segments"
        elif not closed.is_by(answer.definition):
            why = f"it was closed by the profile {closed.profile}"
        elif then is None:
            why = f"it was closed in {closed.currency or 'each currency'}"
        if why or then is None:
            remarks.append(f"No correction is told after the closed month {closed.month:%Y-%m}: {why}.")
            cells.append(cell)
            continue
        reason = "; ".join(filter(None, (cell.reason, f"as closed: {closed.name}")))
        value = then * SCALE
        used[first] = closed
        cells.append(replace(cell, value=value if cell.metric.name == OPENING else now - value, reason=reason))

    def corrected(first: date) -> list[dict[str, Any]]:
        return differing(answer.facts, used[first]) if first in used else []

    return replace(answer, cells=cells, notes=[*answer.notes, *dict.fromkeys(remarks)], corrected=corrected)


def differing(facts: Facts, closed: Closed) -> list[dict[str, Any]]:
    """The customers whose balance at a closed month's end is another now; see measure.restatements.compared."""
    from tenure.measure.restatements import balances, compared

    facts = replace(facts, grain="customer", memory={})  # books are closed customer by customer
    now = balances(facts, definition_of(closed), closed.month, add_months(closed.month, 1))
    return compared(facts, closed.balances(), now)


def then_of(facts: Facts, closed: Closed) -> Facts:
    """The facts as they were when a month was closed: what was recorded, and in the lake, by then."""
    return replace(facts, known_before=closed.known_before, loaded_before=closed.closed_at, memory={})


def corrections(
    shop: Workspace, month: str, *, known_on: str | datetime | None = None, engine: str | None = None
) -> list[dict[str, Any]]:
    """The customers whose balance, with which a month opens, is another now than in the closed month before.

    Returns dicts, the largest correction first: customer_id, name, currency, kind (`correction`), closed, now, amount
    (Decimals in major units), was_customer, is_customer, because (rows learned since, as Learned.as_json has them).
    """
    from tenure.measure.restatements import among, learned

    first = of_month(month)
    before = add_months(first, -1)
    closed = read(shop.folder, before)
    if closed is None:
        raise BadInput(f"{before:%Y-%m} is not closed, so {month} opens with what is known now")
    definition = definition_of(closed)
    facts = shop.facts(known_on, engine)
    found = differing(facts, closed)
    rows = learned(facts, definition, since=closed.known_before, after=first, loaded_since=closed.closed_at)
    whose, _ = among(facts, then_of(facts, closed), rows)
    known = names(facts)
    told = []
    for row in found:
        currency = row["currency"]
        was, now = row["then"], row["now"]
        why = behind(rows, {row["customer_id"]}, whose)
        told.append(
            {
                "customer_id": row["customer_id"],
                "name": known.get(row["customer_id"]),
                "currency": currency,
                "kind": "correction",
                "closed": None if currency is None else major(was, currency),
                "now": None if currency is None else major(now, currency),
                "amount": None if currency is None else major(now - was, currency),
                "was_customer": row["was_customer"],
                "is_customer": row["is_customer"],
                "because": [one.as_json() for one in why],
            }
        )
    return sorted(told, key=lambda row: (-abs(row["amount"] or 0), row["customer_id"], row["currency"] or ""))


def behind(rows: list[Learned], customers: set[str], whose: dict[str, set[str]]) -> list[Learned]:
    """The rows that are of these customers."""
    return [row for row in rows if any(whose.get(one, {one}) & customers for one in row.customers)]


def definition_of(closed: Closed) -> Definition:
    """The definition by which a month was closed, under the name it had then."""
    definition = replace(profile(BASE), name=closed.profile)
    choices: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in closed.choices.items()
        if name in CHOICES
    }
    return replace(definition, **choices)


# ------------------------------------------------------------------------------------------------------- restatements


@dataclass(frozen=True)
class Restatement:
    """A published figure and the same figure now; because of which rows, and which customers' part they changed.

    then, now: exact; money in 10^-6 minor units. published: `as closed: ...` or `as known on ...`.
    """

    month: date
    metric: Metric
    currency: str | None
    published: str
    then: Fraction | None
    now: Fraction | None
    because: tuple[Learned, ...]
    customers: tuple[str, ...]


@dataclass(frozen=True)
class MonthRestated:
    """A published month: the figures that changed since, and the rows that were learned, whether they changed any."""

    month: date
    published: str
    profile: str
    learned: tuple[Learned, ...]
    changed: tuple[Restatement, ...]


def restatements(
    shop: Workspace,
    *,
    since: str,
    until: str | None = None,
    profile: str | None = None,
    currency: str | None = None,
    published_on: str | None = None,
    known_on: str | datetime | None = None,
    engine: str | None = None,
) -> list[MonthRestated]:
    """What has changed in the published figures of the months from the whole of `since` to the whole of `until`.

    A closed month was published as it was closed, by the definition of then; any other as it was known at the end of
    `published_on` (default: of the first day after the month). With `published_on` or another profile or currency,
    closed months too are compared with what was known.
    """
    first, after = whole_days(since)[0], whole_days(until or since)[1]
    facts = shop.facts(known_on, engine)
    reporting = currency or shop.settings.currency
    reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
    definition = shop.definition(profile)
    found = []
    month = first.replace(day=1)
    while month < after:
        end = add_months(month, 1)
        closed = None if published_on else read(shop.folder, month)
        if closed is not None and profile is not None and not closed.is_by(definition):
            closed = None
        if closed is not None and currency is not None and closed.currency != reporting:
            closed = None
        if closed is not None:
            mine, money, then = definition_of(closed), closed.currency, then_of(facts, closed)
            published = f"as closed: {closed.name}"
        else:
            day = published_on or end.isoformat()
            mine, money = definition, reporting
            then = replace(facts, known_before=shop.known_before(day), memory={})
            published = f"as known on {day}"
            if then.known_before < midnight(end, facts.timezone):
                raise BadPeriod(f"--published-on {day}: {month:%Y-%m} was not over then; name a later day")
        if then.known_before < facts.known_before:
            # What has not been published yet cannot have changed.
            found.append(_restated(shop, facts, then, mine, month, money, closed, published))
        month = end
    return found


def _restated(
    shop: Workspace,
    facts: Facts,
    then: Facts,
    definition: Definition,
    month: date,
    currency: str | None,
    closed: Closed | None,
    published: str,
) -> MonthRestated:
    from tenure.measure.restatements import among, changed, learned

    after = add_months(month, 1)
    rows = learned(facts, definition, since=then.known_before, after=after, loaded_since=then.loaded_before)
    if not rows:
        return MonthRestated(month, published, definition.name, (), ())
    now = _asked(shop, facts, definition, month, currency, with_books=closed is not None)
    if closed is None:
        was = _asked(shop, then, definition, month, currency, with_books=False)
    else:
        was = {
            (name, money): told["value"]
            for (name, money, converted), told in closed.figures.items()
            if converted == (currency is not None)
        }
    if closed is not None:
        # A metric of a later catalogue was not published.
        was, now = ({key: told[key] for key in told if key[0] in closed.metrics} for told in (was, now))
    order = [
        (name, money) for name in CATALOGUE for money in sorted({k[1] for k in (*was, *now) if k[0] == name}, key=str)
    ]
    differing = [key for key in order if was.get(key) != now.get(key)]
    whose, customers = among(facts, then, rows)
    metrics = [CATALOGUE[name] for name in dict.fromkeys(name for name, _ in differing)]
    moved = changed(facts, then, definition, metrics, month, after, currency, customers) if metrics else {}
    rates = [row for row in rows if row.table == "rates"]
    found = []
    for key in differing:
        of = moved.get(key, set())
        because = behind(rows, of, whose)
        if currency is not None and CATALOGUE[key[0]].of_money:
            because = [*because, *rates]
        then_value, now_value = was.get(key), now.get(key)
        found.append(
            Restatement(
                month, CATALOGUE[key[0]], key[1], published, then_value, now_value, tuple(because), tuple(sorted(of))
            )
        )
    return MonthRestated(month, published, definition.name, tuple(rows), tuple(found))


def _asked(
    shop: Workspace, facts: Facts, definition: Definition, month: date, currency: str | None, *, with_books: bool
) -> dict[tuple[str, str | None], Fraction | None]:
    """Every figure of a month by (metric, currency), exact; opening as closed where it shall begin with the books."""
    from tenure.measure.answers import Question, ask

    names = tuple(name for name, metric in CATALOGUE.items() if not metric.needs)
    question = Question(names, month, add_months(month, 1), "month", (), currency, False)
    answer = ask(facts, definition, question)
    answer = reconciled(shop, answer) if with_books else answer
    rows = answer.rows(exact=True)
    return {(row["metric"], row["currency"]): _fraction(row["value"]) for row in rows}


def _fraction(value: Any) -> Fraction | None:
    return None if value is None else Fraction(value)
