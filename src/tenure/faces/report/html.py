"""The report as one page that opens offline: no script, no asset from anywhere else, nothing that runs.

Charts stand in the page as SVG drawn by vl-convert, not as Vega specifications with a script. A report is read, mailed,
printed and kept: SVG needs no megabyte of JavaScript, no interpreter and no hole in the content security policy, shows
at once, prints sharply and is the same picture in ten years. What is lost is tooltips on marks; in their place every
chart tells its answer in words and opens to the table of its numbers. Each is drawn twice, for a wide screen and for a
phone: shrunken text is no text.

Everything a customer wrote is cleaned (`quoting`) and escaped (Jinja's autoescape). The policy in the page allows its
one style sheet by its hash, fonts and images out of the page itself, and nothing more.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.app.story import (
    Chosen,
    CustomerRow,
    Headline,
    Leavers,
    MovementLine,
    Opened,
    Point,
    Recurring,
    Story,
    Worse,
)
from tenure.faces.report.pictures import Picture, pictures
from tenure.faces.report.quoting import NAME_LENGTH, name_of, quoted
from tenure.faces.report.sentences import Compared, Sentence, Teller, Told, report_language

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent
WIDE = 760
NARROW = 328
NOISE_COLUMNS = ("against", "then", "now", "difference", "interval", "verdict")


@dataclass(frozen=True)
class Kpi:
    """One number of the first screen, ready to show."""

    title: str
    value: str
    tip: str
    interval: str
    is_small_base: bool
    spark: Markup
    compared: tuple[Compared, ...]


def render(story: Story, language: str = "en") -> str:
    """The whole report as the text of one HTML file."""
    from markupsafe import Markup

    from tenure.charts.picture import font_faces

    words = report_language(language)
    teller = Teller(story, words)
    style = font_faces() + (HERE / "page.css").read_text(encoding="utf-8")
    about = story.about
    company = quoted(about.company, NAME_LENGTH)
    period = teller.period(about.period)
    answer, tests = teller.noise()
    trust, notes = teller.trust()

    def money(value: Decimal | None, currency: str, signed: bool = False) -> str:
        return "" if value is None else words.money(value, currency, signed, whole=False)

    def day_of(value: date | None) -> str:
        return "" if value is None else words.day(value)

    heading = words.words("page.title_of", company=company, period=period) if company else words.words("page.title")
    known = words.words("page.known_on", day=words.day(about.known_on.date()))
    made = words.words("page.made_at", instant=words.instant(about.made_at), version=about.version)
    footer = f"{known} {made} {words.words('page.timezone', timezone=about.timezone)}"
    if about.is_provisional:
        footer += " " + words.words("page.provisional_long", period=period)
    key = "page.made_up_long" if company else "page.made_up_long_nameless"
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            language=language,
            w=words.words,
            named=words.named,
            number=words.number,
            money=money,
            day_of=day_of,
            quoted=quoted,
            name_of=name_of,
            reason=teller.reason,
            cause=teller.cause,
            columns=columns,
            say=lambda sentence, is_focusable=True: said(sentence, is_focusable),
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii"),
            about=about,
            company=company,
            period=period,
            heading=heading,
            made_up=words.words(key, company=company),
            footer=footer,
            lead=teller.lead(),
            kpis=[_kpi(teller, headline) for headline in headlines(story)],
            why=[_why(teller, recurring) for recurring in story.recurring],
            noise={
                "answer": answer,
                "rule": teller.rule_of_noise(),
                "rows": tests,
                "head": [words.words("kpi.metric"), *(words.words(f"noise.{name}") for name in NOISE_COLUMNS)],
            }
            if tests
            else None,
            leavers=_leavers(teller, story.leavers) if story.leavers else None,
            chosen=_chosen(teller, story.chosen) if story.chosen else None,
            verdict={
                "answer": teller.verdict(story.causes),
                "rows": teller.verdict_rows(story.causes),
                "command": story.causes.command,
            }
            if story.causes
            else None,
            leaves_next={
                "answer": teller.leaves_next(story.leaves_next),
                "rows": teller.leaves_next_rows(story.leaves_next),
                "command": story.leaves_next.command,
            }
            if story.leaves_next
            else None,
            ahead={
                "answer": teller.ahead(story.ahead),
                "scheduled": story.ahead.scheduled,
                "renewals": story.ahead.renewals,
                "renewals_title": words.words("ahead.renewals_title", days=words.number(story.ahead.window_days)),
            }
            if story.ahead
            else None,
            due={"answer": teller.due(story.due), "rows": teller.due_rows(story.due)} if story.due else None,
            costs={
                "answer": teller.costs(story.costs),
                "rows": teller.cost_rows(story.costs),
                "command": story.costs.command,
            }
            if story.costs
            else None,
            worse=_worse(teller, story.worse) if story.worse else None,
            best=[
                {"answer": teller.best(orders.costliest), "opened": orders.costliest}
                for orders in story.orders
                if orders.costliest and orders.costliest.rows
            ],
            trust=_trust(teller, trust, notes),
            pictures=[_drawn(picture, index) for index, picture in enumerate(pictures(teller))],
            meanings=_meanings(teller),
            has_formula=bool(story.definitions),
            rules=[teller.rule(name, value) for name, value in story.about.rules],
        )
    )


def headlines(story: Story) -> list[Headline]:
    """The numbers of the first screen, in the order shown."""
    found = [recurring.mrr for recurring in story.recurring]
    for orders in story.orders:
        found.extend(one for one in (orders.revenue, orders.customers, orders.repeat_rate) if one)
    if story.customers:
        found.append(story.customers)
    return [*found, *story.rates]


def said(sentence: Sentence, is_focusable: bool = True) -> Markup:
    """A sentence as HTML: its numbers carry their meaning on hover and focus, everything in it is escaped."""
    from markupsafe import Markup, escape

    values: dict[str, Any] = {}
    for key, value in sentence.values.items():
        if not isinstance(value, Told):
            values[key] = Markup("<bdi>{}</bdi>").format(value)
        elif value.tip:
            focus = Markup(' tabindex="0"') if is_focusable else ""
            values[key] = Markup('<abbr class="n {}"{} title="{}">{}</abbr>').format(
                value.tone, focus, value.tip, value.text
            )
        else:
            values[key] = Markup('<b class="n {}">{}</b>').format(value.tone, value.text)
    return Markup(escape(sentence.template)).format(**values)


def columns(rows: tuple[CustomerRow, ...]) -> dict[str, bool]:
    """Which columns have anything to show in these rows?"""
    shows = {
        name: any(getattr(row, name) not in (None, "") for row in rows)
        for name in ("change", "mrr", "since", "on", "plan", "channel", "how", "cause")
    }
    shows["said"] = any(row.reason or row.comment for row in rows)
    # A movement and the MRR after it are shown as one number where they are the same.
    if shows["change"] and all(row.mrr is None or abs(row.change or 0) == abs(row.mrr) for row in rows):
        shows["mrr"] = False
    return shows


def sparkline(points: tuple[Point, ...]) -> Markup:
    """A line of a number's history, drawn by hand: 2 numbers a point, no chart library."""
    from markupsafe import Markup

    known = [(index, float(point.value)) for index, point in enumerate(points) if point.value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(value for _, value in known), max(value for _, value in known)
    spread = (high - low) or 1.0
    last = max(len(points) - 1, 1)
    placed = [(index / last * 196 + 2, 30 - (value - low) / spread * 26) for index, value in known]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return Markup(
        '<svg class="spark" viewBox="0 0 200 34" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<polyline points="{}"/></svg>'
    ).format(line)


def bar(share: float, kind: str = "fill") -> Markup:
    """A share as a bar: 0 to 1 of its track."""
    from markupsafe import Markup

    width = max(0.0, min(1.0, share)) * 120
    return Markup(
        '<svg class="bar" viewBox="0 0 120 10" aria-hidden="true" focusable="false">'
        '<rect class="track" width="120" height="10" rx="2"/>'
        '<rect class="{}" width="{}" height="10" rx="2"/></svg>'
    ).format(kind, f"{width:.1f}")


# --- sections ---------------------------------------------------------------------------------------------------------


def _kpi(teller: Teller, headline: Headline) -> Kpi:
    figure = headline.figure
    title = teller.title(figure.metric)
    several = len(teller.story.recurring) > 1 or len(teller.story.orders) > 1
    interval = teller.interval(figure)
    if figure.value is None:
        interval = quoted(teller.missing(figure.reason), 120)
    return Kpi(
        f"{title} ({figure.currency})" if several and figure.currency else title,
        teller.value(figure.value, figure.unit, figure.currency),
        teller.tip(figure),
        interval,
        figure.is_small_base,
        sparkline(headline.history),
        tuple(teller.compared(headline, one) for one in headline.comparisons if one.then.value is not None),
    )


def _why(teller: Teller, recurring: Recurring) -> dict[str, Any]:
    words = teller.language
    most = max((abs(line.amount) for line in recurring.lines), default=Decimal(0)) or Decimal(1)
    several = len(teller.story.recurring) > 1

    def line_of(line: MovementLine) -> dict[str, Any]:
        causes = [
            f"{teller.cause(cause)} {words.money(amount, recurring.currency, True, whole=False)}"
            for cause, amount in line.causes
        ]
        return {
            "name": words.named("kinds", line.kind),
            "amount": words.money(line.amount, recurring.currency, signed=True, whole=False),
            "bar": bar(float(abs(line.amount) / most), "gain" if line.amount >= 0 else "loss"),
            "customers": "" if line.customers is None else words.number(line.customers),
            "causes": ", ".join(causes),
            "opened": line.opened,
        }

    question = (
        words.words("why.question_currency", currency=recurring.currency) if several else words.words("why.question")
    )
    return {
        "question": question,
        "sentences": teller.why(recurring),
        "opening": words.money(recurring.opening, recurring.currency, whole=False),
        "closing": words.money(recurring.closing, recurring.currency, whole=False),
        "lines": [line_of(line) for line in recurring.lines if line.amount or line.customers],
    }


def _leavers(teller: Teller, leavers: Leavers) -> dict[str, Any]:
    currency = teller.story.about.currency or (leavers.mrr[0].currency if leavers.mrr else "")
    rows = [
        (
            teller.reason(reason),
            teller.language.number(count),
            "" if mrr is None or not currency else teller.language.money(mrr, currency, whole=False),
        )
        for reason, count, mrr in leavers.said
    ]
    churn = [one.customers for one in teller.story.rates if one.figure.metric == "customer_churn_rate"]
    others = [opened for opened in churn if opened and opened.rows and opened.rows != leavers.costliest]
    return {
        "answer": teller.leavers(leavers),
        "opened": Opened(leavers.costliest, leavers.customers, leavers.command),
        "said": rows,
        "others": others,
    }


def _chosen(teller: Teller, chosen: Chosen) -> dict[str, Any]:
    words = teller.language
    everyone = sum(line.customers for line in chosen.lines)
    before = {line.how: line for line in chosen.previous}
    lines = []
    for line in chosen.lines:
        share = line.share if line.share is not None else (line.customers / everyone if everyone else 0.0)
        low, high = line.low, line.high
        interval = (
            words.words("page.interval_short", low=words.percent(low), high=words.percent(high))
            if low is not None and high is not None
            else ""
        )
        earlier = before.get(line.how)
        lines.append(
            {
                "name": words.words(f"how.{line.how}"),
                "customers": words.number(line.customers),
                "share": words.percent(share),
                "bar": bar(share, "loss" if line.how == "involuntary" else "fill"),
                "interval": interval,
                "mrr": "" if line.mrr is None else words.money(line.mrr, chosen.currency, whole=False),
                "before": "" if earlier is None or earlier.share is None else words.percent(earlier.share),
            }
        )
    return {"answer": teller.chosen(chosen), "lines": lines, "has_previous": bool(before)}


def _worse(teller: Teller, worse: Worse) -> dict[str, Any]:
    words = teller.language
    worst = {(row.column, row.segment) for row in worse.worst}
    currency = teller.story.about.currency
    tables = []
    for table in worse.tables:
        rows = []
        for row in table.rows[:40]:
            difference = "" if row.difference is None else words.points(row.difference)
            if difference and row.low is not None and row.high is not None:
                interval = words.words("page.interval_short", low=words.points(row.low), high=words.points(row.high))
                difference += f" ({interval})"
            cells = [
                f"{teller.value(row.rate.value, 'rate')} ({teller.interval(row.rate)})"
                if teller.interval(row.rate)
                else teller.value(row.rate.value, "rate"),
                teller.value(row.rest.value, "rate") if row.rest else "",
                difference,
                "" if row.rate.n is None else words.number(row.rate.n),
                "" if row.mrr is None or not currency else words.money(row.mrr, currency, whole=True),
            ]
            rows.append(
                {
                    "segment": quoted(teller.band(row.column, row.segment), NAME_LENGTH) or words.words("page.unknown"),
                    "is_worst": (row.column, row.segment) in worst,
                    "cells": cells,
                    "opened": row.opened,
                }
            )
        names = ("segment", "rate", "rest", "difference", "base", "mrr")
        tables.append(
            {
                "title": words.words("picture.segments_title", column=teller.column(table.column)),
                "head": [words.words(f"worse.{name}") for name in names],
                "rows": rows,
                "small": teller.small_segments(table),
            }
        )
    return {"answer": teller.worse(worse), "tables": tables}


def _trust(teller: Teller, answer: list[Sentence], notes: list[Sentence]) -> dict[str, Any]:
    words, trust = teller.language, teller.story.trust
    rows = [
        (
            words.named("tables", fact.table),
            words.number(fact.rows) if fact.rows else words.words("trust.absent"),
            "" if fact.customers is None else words.number(fact.customers),
            "" if fact.since is None else words.day(fact.since),
            "" if fact.until is None else words.day(fact.until),
            *(words.number(count) if count else "" for count in (fact.derived, fact.assumed, fact.quarantined)),
        )
        for fact in trust.facts
    ]
    names = ("table", "rows", "customers", "since", "until", "derived", "assumed", "quarantined")
    matches = [
        (
            teller.system(match.system),
            f"{words.number(match.matched)} / {words.number(match.total)}",
            words.percent(match.matched / match.total) if match.total else "",
        )
        for match in trust.matches
    ]
    return {
        "answer": answer,
        "notes": notes,
        "head": [words.words(f"trust.{name}") for name in names],
        "rows": rows,
        "matches": matches,
    }


def _meanings(teller: Teller) -> list[dict[str, str]]:
    used = [headline.figure.metric for headline in headlines(teller.story)]
    metrics = list(dict.fromkeys([*used, *teller.definitions]))
    found = []
    for metric in metrics:
        known = teller.definitions.get(metric)
        found.append(
            {
                "metric": metric,
                "title": teller.title(metric),
                "meaning": teller.meaning(metric),
                "formula": teller.formula(metric),
                "source": known.source if known else "",
            }
        )
    return found


# --- charts in the page -----------------------------------------------------------------------------------------------


def _drawn(picture: Picture, index: int) -> dict[str, Any]:
    from markupsafe import Markup

    from tenure.charts.picture import svg, unchecked

    wide = narrow = None
    if picture.draw:
        with unchecked():
            charts = [picture.draw(width) for width in (WIDE, NARROW)]
        wide, narrow = (
            Markup(embedded(svg(chart), f"p{index}{side}", picture.alt))
            for chart, side in zip(charts, "wn", strict=True)
        )
    return {
        "id": f"{picture.name.replace('_', '-')}-{index}",
        "title": picture.title,
        "sentences": picture.sentences,
        "notes": picture.notes,
        "head": picture.head,
        "rows": picture.rows,
        "wide": wide,
        "narrow": narrow,
    }


_OPENING = re.compile(r'^<svg [^>]*?width="([\d.]+)" height="([\d.]+)" viewBox="([^"]*)"[^>]*>')
_IDS = re.compile(r'\bid="([^"]+)"|url\(#([^)]+)\)|href="#([^"]+)"')


def embedded(svg_text: str, prefix: str, label: str) -> str:
    """SVG that shares a page with others: its ids are its own, it scales, it is named for who cannot see it."""
    from markupsafe import escape

    found = _OPENING.match(svg_text)
    if not found:
        raise ValueError("vl-convert wrote an SVG whose first tag is not understood")
    body = svg_text[found.end() :]
    body = body.replace(' font-family="Sarabun, sans-serif"', "").replace(' pointer-events="none"', "")
    body = re.sub(r' (aria-hidden|role|aria-roledescription|aria-label)="[^"]*"', "", body)

    def own(match: re.Match[str]) -> str:
        if match[1]:
            return f'id="{prefix}-{match[1]}"'
        return f"url(#{prefix}-{match[2]})" if match[2] else f'href="#{prefix}-{match[3]}"'

    body = _IDS.sub(own, body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{found[3]}" role="img" aria-label="{escape(label)}" '
        f'focusable="false">{body}'
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
