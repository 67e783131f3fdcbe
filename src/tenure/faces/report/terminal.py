"""The report in the terminal: the same story and the same sentences, with tables, sparklines and a coloured heat map.

In a pipe Rich writes no colours, and nothing here relies on them: numbers stand in every cell, verdicts are words. All
text goes through `Text`, never through Rich's markup, and customers' words are cleaned first: a name like "[red]" or an
escape sequence prints as it is or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from string import Formatter
from typing import TYPE_CHECKING, Any

from tenure.app.story import (
    Ahead,
    Causes,
    Chosen,
    Cohorts,
    CustomerRow,
    Hazard,
    Headline,
    Leavers,
    LeavesNext,
    Opened,
    Orders,
    Recurring,
    Story,
    Survival,
    Worse,
)
from tenure.charts.look import heat, ramp
from tenure.faces.report.pictures import Picture, cohort_name, pictures, share_at
from tenure.faces.report.quoting import NAME_LENGTH, name_of, quoted
from tenure.faces.report.sentences import Sentence, Teller, Told, Tone, report_language

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
TONES: dict[Tone, str] = {"": "bold", "good": "bold green", "bad": "bold red"}
MOST_PERIODS = 30
MOST_COHORTS = 14
MOST_AGES = 13
COMMENT = 90


def print_report(story: Story, console: Console, language: str = "en") -> None:
    """Prints the whole story to `console`."""
    teller = Teller(story, report_language(language))
    words = teller.language.words
    drawn = {picture.name: picture for picture in pictures(teller)}
    _masthead(teller, console)
    _say(console, teller.lead())
    _kpis(teller, console)
    for recurring in story.recurring:
        _why(teller, console, recurring)
    if story.rates:
        _heading(console, words("noise.question"))
        _say(console, teller.noise()[0])
    if story.leavers:
        _leavers(teller, console, story.leavers)
    if story.chosen:
        _chosen(teller, console, story.chosen)
    if story.causes:
        _verdict(teller, console, story.causes)
    if story.leaves_next:
        _leaves_next(teller, console, story.leaves_next)
    if story.ahead:
        _ahead(teller, console, story.ahead)
    if story.due:
        _heading(console, words("due.question"))
        _say(console, teller.due(story.due))
    if story.costs:
        _heading(console, words("costs.question"))
        _say(console, teller.costs(story.costs))
    if story.worse:
        _worse(teller, console, story.worse)
    for orders in story.orders:
        _orders(teller, console, orders, drawn)
    for recurring in story.recurring:
        _history(teller, console, recurring, drawn)
    for cohorts in (*story.cohorts, *(one.cohorts for one in story.orders if one.cohorts)):
        if cohorts.rows:
            _heat_map(teller, console, cohorts, drawn)
    for survival in story.survival:
        if survival.curves:
            _survival(teller, console, survival, drawn)
    if story.hazard and story.hazard.points:
        _hazard(teller, console, story.hazard, drawn)
    _trust(teller, console)


def sparkline(values: Iterable[Decimal | float | int | None], is_from_zero: bool = False) -> str:
    """Numbers as a row of blocks, from the least of them (or from zero) to the greatest; a gap where one is unknown.

    >>> sparkline([1, 2, 3, None, 8])
    '▁▂▃ █'
    """
    told = [None if value is None else float(value) for value in values]
    known = [value for value in told if value is not None]
    if not known:
        return ""
    low = min(0.0, *known) if is_from_zero else min(known)
    spread = max(known) - low
    return "".join(
        " " if value is None else BLOCKS[3] if not spread else BLOCKS[round((value - low) / spread * 7)]
        for value in told
    )


def line_of(sentence: Sentence) -> Text:
    """A sentence for the terminal, its numbers bold."""
    from rich.text import Text

    text = Text()
    for literal, name, _, _ in Formatter().parse(sentence.template):
        text.append(literal)
        if name is not None:
            value = sentence.values[name]
            text.append(value.text, TONES[value.tone]) if isinstance(value, Told) else text.append(value)
    return text


# --- parts ------------------------------------------------------------------------------------------------------------


def _masthead(teller: Teller, console: Console) -> None:
    from rich.text import Text

    words, about = teller.language.words, teller.story.about
    company = quoted(about.company, NAME_LENGTH)
    title = Text(no_wrap=False)
    if company:
        title.append(company, "bold").append(" · ")
    title.append(words("page.title"), "bold").append(f" · {teller.period(about.period)}")
    for is_so, key in ((about.is_provisional, "page.provisional"), (about.is_reconstructed, "page.reconstructed")):
        if is_so:
            title.append(f"  [{words(key)}]", "yellow")
    console.print()
    console.print(title)
    if about.is_made_up:
        key = "page.made_up_long" if company else "page.made_up_long_nameless"
        console.print(Text(f"{words('page.made_up')}: {words(key, company=company)}", "yellow"))
    console.print()


def _kpis(teller: Teller, console: Console) -> None:
    from rich.text import Text

    story, words = teller.story, teller.language.words
    found: list[Headline] = [recurring.mrr for recurring in story.recurring]
    for orders in story.orders:
        found.extend(one for one in (orders.revenue, orders.customers, orders.repeat_rate) if one)
    found.extend([story.customers] if story.customers else [])
    found.extend(story.rates)
    kinds = [
        kind
        for kind in ("previous", "year_ago", "target")
        if any(one.against == kind for headline in found for one in headline.comparisons)
    ]
    # Eighty columns hold one comparison beside the numbers, not three.
    room = 3 if console.width >= 150 else 2 if console.width >= 118 else 1
    kinds = kinds[:room]
    table = _table(console)
    table.add_column(words("kpi.metric"), no_wrap=True)
    table.add_column(words("kpi.now"), justify="right", no_wrap=True)
    table.add_column(words("kpi.interval"), justify="right", no_wrap=True)
    table.add_column(words("kpi.history"), no_wrap=True)
    for kind in kinds:
        table.add_column(_against(teller, found, kind), justify="right")
    for headline in found:
        figure = headline.figure
        cells = [
            Text(teller.title(figure.metric) + (f" {figure.currency}" if len(story.recurring) > 1 else "")),
            Text(teller.value(figure.value, figure.unit, figure.currency), "bold"),
            Text(teller.interval(figure), "dim"),
            Text(sparkline(point.value for point in headline.history[-14:]), "cyan"),
        ]
        for kind in kinds:
            comparison = next((one for one in headline.comparisons if one.against == kind), None)
            cell = Text()
            if comparison is not None and comparison.then.value is not None:
                shown = teller.compared(headline, comparison)
                cell.append(shown.difference, TONES[shown.tone])
                if shown.verdict:
                    cell.append(f" {shown.verdict}", "dim")
            cells.append(cell)
        table.add_row(*cells)
    if found:
        console.print()
        console.print(table)
        _say(console, teller.small([headline.figure for headline in found]))


def _against(teller: Teller, headlines: Sequence[Headline], kind: str) -> str:
    words = teller.language.words
    if kind == "target":
        return words("compare.target")
    found = next(one for headline in headlines for one in headline.comparisons if one.against == kind)
    return words(f"compare.short_{kind}", period=teller.period(found.then.period, short=True))


def _why(teller: Teller, console: Console, recurring: Recurring) -> None:
    from rich.text import Text

    words, currency = teller.language, recurring.currency
    several = len(teller.story.recurring) > 1
    _heading(
        console, words.words("why.question_currency", currency=currency) if several else words.words("why.question")
    )
    _say(console, teller.why(recurring))
    lines = [line for line in recurring.lines if line.amount or line.customers]
    if not lines:
        return
    most = max(abs(line.amount) for line in lines) or Decimal(1)
    table = _table(console)
    table.add_column(words.words("why.kind"), no_wrap=True)
    table.add_column(words.words("why.amount"), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(words.words("why.customers"), justify="right", no_wrap=True)
    table.add_column(words.words("why.causes"))
    opening = words.money(recurring.opening, currency, whole=False)
    table.add_row(Text(words.named("kinds", "opening"), "bold"), Text(opening, "bold"), "", "", "")
    for line in lines:
        causes = ", ".join(
            f"{teller.cause(cause)} {words.money(amount, currency, True, whole=False)}" for cause, amount in line.causes
        )
        colour = "cyan" if line.amount >= 0 else "red"
        table.add_row(
            Text(words.named("kinds", line.kind)),
            Text(words.money(line.amount, currency, True, whole=False)),
            Text("█" * max(1, round(float(abs(line.amount) / most) * 16)) if line.amount else "", colour),
            Text("" if line.customers is None else words.number(line.customers)),
            Text(causes, "dim"),
        )
    closing = words.money(recurring.closing, currency, whole=False)
    table.add_row(Text(words.named("kinds", "closing"), "bold"), Text(closing, "bold"), "", "", "")
    console.print(table)


def _leavers(teller: Teller, console: Console, leavers: Leavers) -> None:
    _heading(console, teller.language.words("leavers.question"))
    _say(console, teller.leavers(leavers))
    _people(teller, console, Opened(leavers.costliest, leavers.customers, leavers.command), "left_on")


def _verdict(teller: Teller, console: Console, causes: Causes) -> None:
    from rich.text import Text

    words = teller.language
    _heading(console, words.words("verdict.question"))
    _say(console, teller.verdict(causes))
    head, rows = teller.verdict_rows(causes)
    table = _table(console)
    # The page has the money too; a terminal is narrow.
    shown = (0, 1, 2, len(head) - 1)
    for index in shown:
        table.add_column(head[index], justify="right" if index in (1, 2) else "left", no_wrap=True)
    most = max((part.customers or 0.0 for part in causes.parts), default=0.0)
    table.add_column("", no_wrap=True)
    for row, part in zip(rows, causes.parts, strict=True):
        bar = Text("█" * round((part.customers or 0.0) / most * 12 if most else 0))
        bar.stylize("dim" if part.cause == "unknown" else "cyan")
        table.add_row(*(Text(row[index]) for index in shown), bar)
    console.print(table)


def _leaves_next(teller: Teller, console: Console, told: LeavesNext) -> None:
    from rich.text import Text

    _heading(console, teller.language.words("next.question"))
    _say(console, teller.leaves_next(told))
    head, rows = teller.leaves_next_rows(told)
    table = _table(console)
    for index, name in enumerate(head):
        table.add_column(name, justify="right" if index else "left", no_wrap=bool(index))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    console.print(Text(f"{teller.language.words('next.more')} {told.command}", "dim"))


def _chosen(teller: Teller, console: Console, chosen: Chosen) -> None:
    from rich.text import Text

    words = teller.language
    _heading(console, words.words("chosen.question"))
    _say(console, teller.chosen(chosen))
    everyone = sum(line.customers for line in chosen.lines)
    if not everyone:
        return
    table = _table(console)
    for index, key in enumerate(("chosen.how", "why.customers", "chosen.share", "kpi.interval")):
        table.add_column(words.words(key), justify="right" if index else "left", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in chosen.lines:
        share = line.share if line.share is not None else line.customers / everyone
        interval = ""
        if line.low is not None and line.high is not None:
            interval = words.words("page.interval_short", low=words.percent(line.low), high=words.percent(line.high))
        table.add_row(
            Text(words.words(f"how.{line.how}")),
            Text(words.number(line.customers)),
            Text(words.percent(share)),
            Text(interval, "dim"),
            Text("█" * round(share * 24), "red" if line.how == "involuntary" else "cyan"),
        )
    console.print(table)


def _ahead(teller: Teller, console: Console, ahead: Ahead) -> None:
    words = teller.language
    _heading(console, words.words("ahead.question"))
    _say(console, teller.ahead(ahead))
    if ahead.scheduled.rows:
        _caption(console, words.words("ahead.scheduled_title"))
        _people(teller, console, ahead.scheduled, "leaves_on")
    if ahead.renewals.rows:
        _caption(console, words.words("ahead.renewals_title", days=words.number(ahead.window_days)))
        _people(teller, console, ahead.renewals, "renews_on")


def _worse(teller: Teller, console: Console, worse: Worse) -> None:
    from rich.text import Text

    words = teller.language
    _heading(console, words.words("worse.question"))
    _say(console, teller.worse(worse))
    worst = {(row.column, row.segment) for row in worse.worst}
    for segments in worse.tables:
        if not segments.rows:
            continue
        table = _table(console)
        table.add_column(words.words("picture.segments_title", column=teller.column(segments.column)), no_wrap=True)
        for key in ("worse.rate", "kpi.interval", "worse.rest", "worse.difference", "worse.base"):
            table.add_column(words.words(key), justify="right")
        for row in segments.rows[:12]:
            is_worst = (row.column, row.segment) in worst
            table.add_row(
                Text(
                    quoted(teller.band(row.column, row.segment), 30) or words.words("page.unknown"),
                    "bold red" if is_worst else "",
                ),
                Text(teller.value(row.rate.value, "rate"), "bold"),
                Text(teller.interval(row.rate), "dim"),
                Text(teller.value(row.rest.value, "rate") if row.rest else ""),
                Text("" if row.difference is None else words.points(row.difference), "red" if is_worst else ""),
                Text("" if row.rate.n is None else words.number(row.rate.n)),
            )
        console.print(table)


def _orders(teller: Teller, console: Console, orders: Orders, drawn: dict[str, Picture]) -> None:
    from rich.text import Text

    words = teller.language
    for name in ("revenue", "active", "activity", "layers_revenue"):
        if name in drawn:
            _heading(console, drawn[name].title)
            _say(console, drawn[name].sentences)
        if name == "revenue" and orders.months:
            table = _table(console)
            picture = drawn.get(name)
            for index, column in enumerate(picture.head if picture else ()):
                table.add_column(column, justify="right" if index else "left", no_wrap=True)
            for row in picture.rows[-6:] if picture else ():
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)
    if "layers_revenue" in drawn:
        _layers(teller, console, orders.layers, orders.currency)
    if orders.costliest and orders.costliest.rows:
        _heading(console, words.words("picture.best_title"))
        _say(console, teller.best(orders.costliest))
        _people(teller, console, orders.costliest, "moved_on", "picture.revenue_column")


def _history(teller: Teller, console: Console, recurring: Recurring, drawn: dict[str, Picture]) -> None:
    from rich.text import Text

    words, currency = teller.language, recurring.currency
    if "movements" in drawn and len(recurring.months) > 1:
        _heading(console, drawn["movements"].title)
        _say(console, drawn["movements"].sentences)
        shown = recurring.months[-MOST_PERIODS:]
        recent = 4 if console.width >= 130 else 3 if console.width >= 105 else 1
        table = _table(console)
        table.add_column(words.words("why.kind"), no_wrap=True)
        first, last = teller.period(shown[0].period, short=True), teller.period(shown[-1].period, short=True)
        table.add_column(f"{first} – {last}", no_wrap=True)
        for one in shown[-recent:]:
            table.add_column(teller.period(one.period, short=True), justify="right", no_wrap=True)
        for line in recurring.lines:
            amounts = [one.amounts.get(line.kind, Decimal(0)) for one in shown]
            if not any(amounts):
                continue
            sizes = amounts if line.kind in ("fx", "correction") else [abs(amount) for amount in amounts]
            table.add_row(
                Text(words.named("kinds", line.kind)),
                Text(sparkline(sizes), "red" if sum(amounts) < 0 else "cyan"),
                *(Text(words.money(amount, currency, True, whole=True)) for amount in amounts[-recent:]),
            )
        table.add_row(
            Text(words.named("kinds", "closing"), "bold"),
            Text(sparkline(one.closing for one in shown), "bold"),
            *(Text(words.money(one.closing, currency, whole=True), "bold") for one in shown[-recent:]),
        )
        console.print(table)
    if "layers" in drawn:
        _heading(console, drawn["layers"].title)
        _say(console, drawn["layers"].sentences)
        _layers(teller, console, recurring.layers, currency)


def _layers(teller: Teller, console: Console, layers: Sequence[Any], currency: str) -> None:
    from rich.text import Text

    words = teller.language
    periods = sorted({layer.period.start for layer in layers})[-MOST_PERIODS:]
    amounts: dict[tuple[str, Any], Decimal] = {}
    for layer in layers:
        key = (layer.cohort, layer.period.start)
        amounts[key] = amounts.get(key, Decimal(0)) + layer.amount
    cohorts = sorted({layer.cohort for layer in layers})
    total = sum((amounts.get((cohort, periods[-1]), Decimal(0)) for cohort in cohorts), Decimal(0))
    table = _table(console)
    table.add_column(words.words("picture.cohort"), no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(words.words("kpi.now"), justify="right", no_wrap=True)
    table.add_column(words.words("chosen.share"), justify="right", no_wrap=True)
    for cohort in cohorts[-MOST_COHORTS:]:
        now = amounts.get((cohort, periods[-1]), Decimal(0))
        table.add_row(
            Text(quoted(cohort, 24)),
            Text(sparkline((amounts.get((cohort, period)) for period in periods), is_from_zero=True), "cyan"),
            Text(words.money(now, currency, whole=True)),
            Text(words.percent(now / total, 0) if total else ""),
        )
    console.print(table)


def _heat_map(teller: Teller, console: Console, cohorts: Cohorts, drawn: dict[str, Picture]) -> None:
    from rich.text import Text

    words = teller.language
    picture = drawn[f"cohorts_{cohorts.measure}"]
    _heading(console, picture.title)
    _say(console, [*picture.sentences, *picture.notes])
    rows = cohorts.rows[-MOST_COHORTS:]
    ages = min(max(len(row.values) for row in rows), MOST_AGES, max(3, (console.width - 26) // 5))
    later = [value for row in rows for value in row.values[1:ages] if value is not None] or [1.0]
    low = 0.0 if cohorts.measure == "orders" else min(later)
    high = max(later) if cohorts.measure == "orders" else max(1.0, *later)
    colours = ramp(heat(), 24)
    table = _table(console, gap=0)
    table.add_column(words.words("picture.cohort"), no_wrap=True)
    table.add_column(words.words("picture.size"), justify="right", no_wrap=True)
    for age in range(ages):
        table.add_column(f"{age} ", justify="right", no_wrap=True)

    def cell(value: float | None) -> Text:
        if value is None:
            return Text("")
        share = min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)
        ink = "#ffffff" if share > 0.52 else "#1d2a35"
        return Text(f"{words.percent(value, 0):>4} ", f"{ink} on {colours[round(share * 23)]}")

    for row in rows:
        is_money = isinstance(row.size, Decimal)
        size = words.money(row.size, cohorts.currency, whole=True) if is_money else words.number(row.size)
        table.add_row(
            Text(cohort_name(teller, row.cohort, row.start, cohorts.grain)[:20]),
            Text(f"{size} ", "dim"),
            *(cell(row.values[age] if age < len(row.values) else None) for age in range(ages)),
        )
    console.print(table)


def _survival(teller: Teller, console: Console, survival: Survival, drawn: dict[str, Picture]) -> None:
    from rich.text import Text

    words = teller.language
    picture = drawn["survival_by" if len(survival.curves) > 1 else "survival"]
    _heading(console, picture.title)
    _say(console, [*picture.sentences, *picture.notes])
    longest = max((curve.points[-1].at for curve in survival.curves if curve.points), default=0.0)
    steps = {"months": (1, 3, 6, 12, 24, 36, 60), "days": (30, 90, 180, 365, 730), "weeks": (4, 13, 26, 52, 104)}
    marks = [at for at in steps.get(survival.unit, (1, 2, 3, 5, 10)) if at <= longest][-5:]
    table = _table(console)
    table.add_column(words.words("picture.segment") if len(survival.curves) > 1 else "", no_wrap=True)
    table.add_column("", no_wrap=True)
    for at in marks:
        table.add_column(f"{at} {teller.units(at, survival.unit[:-1])}", justify="right", no_wrap=True)
    for curve in survival.curves:
        if not curve.points:
            continue
        seen = curve.points[-1].at
        shape = sparkline((share_at(curve.points, seen * step / 23) for step in range(24)), is_from_zero=True)
        table.add_row(
            Text(quoted(curve.segment, 30) or words.words("charts.everybody")),
            Text(shape, "cyan"),
            *(Text(words.percent(share_at(curve.points, at), 0) if at <= seen else "") for at in marks),
        )
    console.print(table)


def _hazard(teller: Teller, console: Console, hazard: Hazard, drawn: dict[str, Picture]) -> None:
    from rich.text import Text

    picture = drawn["hazard"]
    _heading(console, picture.title)
    _say(console, [*picture.sentences, *picture.notes])
    shown = hazard.points[: max(10, console.width - 30)]
    line = sparkline((point.hazard for point in shown), is_from_zero=True)
    text = Text("0 ", "dim").append(line, "cyan")
    text.append(f" {teller.language.number(shown[-1].end)} {teller.units(shown[-1].end, hazard.unit[:-1])}", "dim")
    console.print(text)


def _trust(teller: Teller, console: Console) -> None:
    from rich.text import Text

    words, about = teller.language, teller.story.about
    answer, notes = teller.trust()
    _heading(console, words.words("trust.question"))
    _say(console, answer)
    for note in notes:
        console.print(Text("• ").append_text(line_of(note)))
    names = ("table", "rows", "since", "until", "derived", "assumed", "quarantined")
    table = _table(console)
    for index, name in enumerate(names):
        table.add_column(words.words(f"trust.{name}"), justify="right" if index else "left", no_wrap=True)
    for fact in teller.story.trust.facts:
        table.add_row(
            Text(words.named("tables", fact.table)),
            Text(words.number(fact.rows) if fact.rows else words.words("trust.absent"), "" if fact.rows else "dim"),
            Text("" if fact.since is None else words.day(fact.since)),
            Text("" if fact.until is None else words.day(fact.until)),
            *(Text(words.number(count) if count else "") for count in (fact.derived, fact.assumed, fact.quarantined)),
        )
    console.print(table)
    known = words.words("page.known_on", day=words.day(about.known_on.date()))
    profile = words.words("definitions.intro", profile=about.profile)
    made_up = f"{words.words('page.made_up')} · " if about.is_made_up else ""
    console.print(Text(f"{made_up}{known} {profile}", "dim"))


def _people(teller: Teller, console: Console, opened: Opened, day: str, amounts: str = "customer.mrr") -> None:
    from rich.text import Text

    words = teller.language
    rows = opened.rows[:10]
    if not rows:
        return

    def amount(row: CustomerRow) -> str:
        value = row.mrr if row.mrr is not None else abs(row.change) if row.change is not None else None
        return "" if value is None else words.money(value, row.currency, whole=False)

    says = any(row.reason or row.comment for row in rows)
    table = _table(console)
    table.add_column(words.words("customer.name"), max_width=28)
    table.add_column(words.words(amounts), justify="right", no_wrap=True)
    table.add_column(words.words(f"customer.{day}"), justify="right", no_wrap=True)
    table.add_column(words.words("customer.plan"), max_width=22)
    if says:
        table.add_column(words.words("customer.comment"), ratio=1)
    for row in rows:
        cells = [
            Text(name_of(row.name, row.id)),
            Text(amount(row), "bold"),
            Text("" if row.on is None else words.day(row.on)),
            Text(quoted(row.plan, 30), "dim"),
        ]
        if says:
            told = Text(teller.reason(row.reason) if row.reason else "", "bold")
            if row.comment:
                told.append(": " if row.reason else "", "not bold").append(
                    f"“{quoted(row.comment, COMMENT)}”", "not bold"
                )
            cells.append(told)
        table.add_row(*cells)
    console.print(table)
    if opened.total > len(rows):
        rest = opened.total - len(rows)
        text = Text(words.words("page.more_rows", rest, count=words.number(rest)) + " ", "dim")
        if opened.command:
            text.append(f"{words.words('page.list_all')} {opened.command}", "dim")
        console.print(text)


def _table(console: Console, gap: int = 2) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="dim" if console.is_terminal else "",
        show_edge=False,
    )


def _heading(console: Console, words: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(words, "bold underline" if console.is_terminal else ""))


def _caption(console: Console, words: str) -> None:
    from rich.text import Text

    console.print(Text(words, "italic"))


def _say(console: Console, sentences: Iterable[Sentence]) -> None:
    from rich.text import Text

    told = [line_of(sentence) for sentence in sentences]
    if told:
        console.print(Text(" ").join(told))
