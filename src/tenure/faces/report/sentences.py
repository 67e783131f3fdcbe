"""What does the report say, in sentences? One place turns a story into words, for the page and for the terminal.

A `Sentence` is a template of the language and its values; a value that is a number is `Told`: its text and what it
means. The page shows the meaning on hover and focus, the terminal prints the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tenure.app.story import (
    COST_LINES,
    Activity,
    Ahead,
    Amount,
    Causes,
    Chosen,
    ComingDue,
    Comparison,
    Costs,
    Definition,
    Figure,
    Headline,
    Leavers,
    LeavesNext,
    Note,
    Opened,
    Orders,
    Period,
    Recurring,
    SegmentRate,
    SegmentTable,
    Story,
    Worse,
)
from tenure.charts.language import Language
from tenure.charts.language import language as language_of
from tenure.faces.report.quoting import NAME_LENGTH, name_of, quoted

if TYPE_CHECKING:
    from tenure.text import Taxonomy

WORDS = Path(__file__).with_name("words")
GAINS = ("new", "reactivation", "resume", "expansion")
# Reasons that give none.
UNTOLD = frozenset({"", "other", "unknown"})
LOSSES = ("contraction", "pause", "churn")

Tone = Literal["", "good", "bad"]


@dataclass(frozen=True)
class Told:
    """A number in a sentence: how it is written, what it means, and whether it is good news."""

    text: str
    tip: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Sentence:
    """A template of the words and what fills it; plain strings may be a stranger's text."""

    template: str
    values: Mapping[str, Told | str] = field(default_factory=dict)

    def __str__(self) -> str:
        texts = {key: value.text if isinstance(value, Told) else value for key, value in self.values.items()}
        return self.template.format(**texts)


@dataclass(frozen=True)
class Compared:
    """One comparison, ready to show: with what, what it was, by how much it differs, and what to think of it."""

    against: str
    then: str
    difference: str
    verdict: str
    tone: Tone
    is_real: bool
    tip: str


@dataclass(frozen=True)
class Tested:
    """One rate against one earlier figure or target, all as text."""

    metric: str
    against: str
    then: str
    now: str
    difference: str
    interval: str
    verdict: str
    tone: Tone
    is_first: bool


def report_language(code: str) -> Language:
    """The language called `code` with the sentences of the report."""
    return language_of(code, WORDS)


# Reasons that name something; what to do about it stands where it can be done, in the terminal.
_NO_RATE = re.compile(r"no exchange rate for (\w+) on or before ([\d-]+)")
_UNKNOWN_HOW = re.compile(r"([\d,]+) of ([\d,]+) left for an unknown reason")
_UNDECIDED = re.compile(r"([\d,]+) of ([\d,]+) not decided yet")
_ADVICE = re.compile(r"load some with `tenure load \w+`")


@cache
def _taxonomy() -> Taxonomy:
    from tenure.text import Taxonomy

    return Taxonomy.load()


class Teller:
    """Tells one story in one language."""

    def __init__(self, story: Story, language: Language) -> None:
        self.story = story
        self.language = language
        self.definitions: dict[str, Definition] = {one.metric: one for one in story.definitions}

    # --- numbers ----------------------------------------------------------------------------------------------------

    def title(self, metric: str) -> str:
        """The name of a metric as people say it."""
        if self.language.has(f"metrics.{metric}.title"):
            return self.language.words(f"metrics.{metric}.title")
        known = self.definitions.get(metric)
        return known.title if known else metric.replace("_", " ")

    def meaning(self, metric: str) -> str:
        """One sentence on what a metric says, "" if nobody wrote one."""
        if self.language.has(f"metrics.{metric}.definition"):
            return self.language.words(f"metrics.{metric}.definition")
        known = self.definitions.get(metric)
        return (known.question or known.formula) if known else ""

    def formula(self, metric: str) -> str:
        """How a metric is computed, "" if nobody wrote it."""
        known = self.definitions.get(metric)
        if known and self.language.code == "en":  # the language in which the catalogue itself is written
            return known.formula
        if self.language.has(f"metrics.{metric}.formula"):
            return self.language.words(f"metrics.{metric}.formula")
        return known.formula if known else ""

    def missing(self, reason: str) -> str:
        """Why there is no number; reasons that nobody translated stay as they are."""
        told = []
        for part in reason.split("; "):
            if self.language.has(f"missing.{part}"):
                told.append(self.language.words(f"missing.{part}"))
            elif found := _NO_RATE.fullmatch(part):
                told.append(self.language.words("missing.rate", currency=found[1], day=found[2]))
            elif found := _UNKNOWN_HOW.fullmatch(part):
                told.append(self.language.words("missing.unknown_how", unknown=found[1], left=found[2]))
            elif found := _UNDECIDED.fullmatch(part):
                told.append(self.language.words("missing.undecided", open=found[1], due=found[2]))
            elif not _ADVICE.fullmatch(part):
                told.append(part)
        return "; ".join(told)

    def rule(self, name: str, value: str) -> tuple[str, str]:
        """A choice of the definition in words: what it is about, and what is chosen."""
        words = self.language.words
        if self.language.has(f"rules.intervals.{name}"):
            interval = words(f"rules.intervals.{name}")
            return words("rules.factor", interval=interval), words("rules.factor_times", factor=value)
        if not self.language.has(f"rules.{name}.title"):
            return name, value
        count = value if value.isdigit() and value != "0" else ""
        key = f"rules.{name}." + ("some" if count else "none" if value == "0" else value)
        return words(f"rules.{name}.title"), words(key, count=count) if self.language.has(key) else value

    def band(self, column: str, segment: str) -> str:
        """A segment's name: bands of tenure and size are ours and told in words, other names are the company's."""
        return self.language.named("bands", segment) if column in ("tenure", "size") else segment

    def small(self, figures: Sequence[Figure]) -> list[Sentence]:
        """Which of these figures have a base so small that only the interval says something."""
        names = [self.title(one.metric) for one in figures if one.is_small_base and one.value is not None]
        listed = self.language.listed(dict.fromkeys(names))
        return [self._say("kpi.small", metrics=listed)] if names else []

    def small_segments(self, table: SegmentTable) -> list[Sentence]:
        """Which segments of a table have a base so small that only the interval says something."""
        names = [
            f"“{quoted(self.band(table.column, row.segment), NAME_LENGTH)}”"
            for row in table.rows
            if row.rate.is_small_base
        ]
        return [self._say("worse.small", segments=self.language.listed(names))] if names else []

    def value(self, value: Decimal | float | int | None, unit: str, currency: str = "", signed: bool = False) -> str:
        """A value in its unit; None is told as unknown."""
        if value is None:
            return self.language.words("page.unknown")
        if unit == "money":
            return self.language.money(value, currency, signed)
        if unit == "rate":
            return self.language.percent(value, signed=signed)
        digits = {"ratio": 2, "months": 1, "days": 0}.get(unit, 0)
        sign = "+" if signed and value > 0 else ""
        return sign + self.language.number(value, digits)

    def period(self, period: Period, short: bool = False) -> str:
        """The name of a period."""
        return self.language.period(period.start, period.end, period.grain, short)

    def units(self, count: float, grain: str) -> str:
        """The unit of a length of time, in the form its count takes: day(s), week(s), month(s), quarter(s), year(s)."""
        key = f"unit.{grain}"
        return self.language.words(key, Decimal(str(count))) if self.language.has(key) else grain

    def interval(self, figure: Figure) -> str:
        """The figure's interval, "" if it has none."""
        if figure.low is None or figure.high is None:
            return ""
        return self.language.words(
            "page.interval_short",
            low=self.value(figure.low, figure.unit, figure.currency),
            high=self.value(figure.high, figure.unit, figure.currency),
        )

    def tip(self, figure: Figure) -> str:
        """Everything needed to defend a figure: definition, period, numerator, denominator, interval, profile."""
        words = self.language.words
        parts = [self.title(figure.metric) + (f" ({figure.currency})" if figure.currency else "")]
        meaning = self.meaning(figure.metric)
        if meaning:
            parts.append(meaning)
        parts.append(self.period(figure.period))
        if figure.value is None and figure.reason:
            parts.append(words("page.unknown_because", reason=self.missing(figure.reason)))
        if figure.numerator is not None and figure.denominator is not None:
            parts.append(
                words(
                    "tip.formula",
                    numerator=self._part(figure.numerator, figure.currency),
                    denominator=self._part(figure.denominator, figure.currency),
                )
            )
        elif figure.n is not None:
            parts.append(words("tip.base", figure.n, count=self.language.number(figure.n)))
        if figure.low is not None and figure.high is not None:
            parts.append(
                words(
                    "page.interval",
                    level=self.language.percent(figure.level, 0),
                    low=self.value(figure.low, figure.unit, figure.currency),
                    high=self.value(figure.high, figure.unit, figure.currency),
                )
            )
        if figure.is_small_base:
            parts.append(words("page.small_base"))
        parts.append(words("tip.profile", profile=figure.profile or self.story.about.profile))
        return " · ".join(part.rstrip(".") for part in parts if part)

    def figure(self, figure: Figure, tone: Tone = "") -> Told:
        """A figure as it stands in a sentence."""
        return Told(self.value(figure.value, figure.unit, figure.currency), self.tip(figure), tone)

    def count(self, count: int | float | Decimal) -> Told:
        """A count as it stands in a sentence."""
        return Told(self.language.number(count))

    def amounts(self, amounts: Sequence[Amount]) -> Told:
        """Money in one or several currencies."""
        if not amounts:
            return Told(self.language.words("page.nothing"))
        return Told(" + ".join(self.language.money(one.value, one.currency) for one in amounts), self.meaning("mrr"))

    def compared(self, headline: Headline, comparison: Comparison) -> Compared:
        """A comparison as the page and the terminal show it."""
        now, words = headline.figure, self.language.words
        then = self.value(comparison.then.value, now.unit, now.currency)
        is_rate = now.unit == "rate"
        if comparison.difference is None:
            difference = ""
        elif is_rate:
            difference = words("compare.points", difference=self.language.points(comparison.difference))
        else:
            difference = self.value(comparison.difference, now.unit, now.currency, signed=True)
            if comparison.then.value:
                share = Decimal(str(comparison.difference)) / abs(Decimal(str(comparison.then.value)))
                difference += f" ({self.language.percent(share, signed=True)})"
        tone = tone_of(headline, comparison)
        tested_otherwise = comparison.against == "target"
        if tested_otherwise:
            met = target_state(headline, comparison)
            verdict = words(f"compare.{met}") if met else ""
            tone = {"met": "good", "missed": "bad"}.get(met, "")  # type: ignore[assignment]
            against = words("compare.short_target", value=then)
        else:
            verdict = words(f"compare.{comparison.verdict}") if comparison.verdict != "unknown" else ""
            against = words(
                f"compare.short_{comparison.against}", period=self.period(comparison.then.period, short=True)
            )
        # Money and heads are counted; a rate's change may be chance until an interval says it is not.
        if comparison.verdict == "noise" or (is_rate and comparison.verdict == "unknown" and not tested_otherwise):
            tone = ""
        tip = [against, then]
        if comparison.low is not None and comparison.high is not None:
            low, high = self._difference(comparison.low, now), self._difference(comparison.high, now)
            tip.append(words("page.interval", level=self.language.percent(comparison.level, 0), low=low, high=high))
        return Compared(
            against,
            then,
            difference,
            verdict,
            tone,
            comparison.verdict == "real",
            " · ".join(part for part in tip if part),
        )

    def note(self, note: Note) -> Sentence | None:
        """A caveat in words; its plain text where this language has no words for its code; None if there is neither."""
        if not self.language.has(f"notes.{note.code}"):
            return Sentence("{text}", {"text": quoted(note.text, 600)}) if note.text else None
        template = self.language.template(f"notes.{note.code}")
        try:
            told = Sentence(template, {key: self._noted(value, key) for key, value in note.values.items()})
            str(told)
        except KeyError:
            return Sentence("{text}", {"text": quoted(note.text, 600)}) if note.text else None
        return told

    # --- the first screen ---------------------------------------------------------------------------------------------

    def lead(self) -> list[Sentence]:
        """The report in a few sentences."""
        told: list[Sentence] = []
        for recurring in self.story.recurring:
            told.append(self._level("mrr", recurring.mrr))
        for orders in self.story.orders:
            told.append(self._level("revenue", orders.revenue))
            told.extend(self._orders(orders))
        rates = {headline.figure.metric: headline for headline in self.story.rates}
        churn = rates.get("customer_churn_rate")
        if churn:
            told.append(self._churn(churn))
        gross = rates.get("gross_mrr_churn_rate")
        if gross and gross.figure.value is not None:
            told.append(self._say("lead.revenue_churn", rate=self.figure(gross.figure)))
        nrr, grr = rates.get("nrr_12m"), rates.get("grr_12m")
        has_nrr = nrr is not None and nrr.figure.value is not None
        has_grr = grr is not None and grr.figure.value is not None
        if nrr and grr and has_nrr and has_grr:
            told.append(self._say("lead.rolling_both", nrr=self.figure(nrr.figure), grr=self.figure(grr.figure)))
        elif nrr and has_nrr:
            told.append(self._say("lead.rolling_nrr", nrr=self.figure(nrr.figure)))
        elif grr and has_grr:
            told.append(self._say("lead.rolling_grr", grr=self.figure(grr.figure)))
        return told

    def why(self, recurring: Recurring) -> list[Sentence]:
        """Why MRR moved: what came in, what went, and what was most of each."""
        gains = {line.kind: line.amount for line in recurring.lines if line.kind in GAINS and line.amount > 0}
        losses = {line.kind: line.amount for line in recurring.lines if line.kind in LOSSES and line.amount < 0}
        currency = recurring.currency
        is_whole = abs(recurring.closing) >= 10_000 or None
        values: dict[str, Told | str] = {}
        if gains:
            top = max(gains, key=lambda kind: gains[kind])
            values["gains"] = Told(
                self.language.money(sum(gains.values(), Decimal(0)), currency, whole=is_whole), tone="good"
            )
            values["top_gain"] = self.language.named("in_sentence", top)
            values["gain"] = Told(self.language.money(gains[top], currency, whole=is_whole))
        if losses:
            top = min(losses, key=lambda kind: losses[kind])
            values["losses"] = Told(
                self.language.money(-sum(losses.values(), Decimal(0)), currency, whole=is_whole), tone="bad"
            )
            values["top_loss"] = self.language.named("in_sentence", top)
            values["loss"] = Told(self.language.money(-losses[top], currency, whole=is_whole))
        key = "both" if gains and losses else "gains" if gains else "losses" if losses else "none"
        told = [Sentence(self.language.template(f"why.{key}"), values)]
        for line in recurring.lines:
            if line.kind in ("fx", "correction") and line.amount:
                amount = Told(self.language.money(line.amount, currency, True, is_whole))
                told.append(self._say(f"why.{line.kind}", amount=amount))
        return told

    def noise(self) -> tuple[list[Sentence], list[Tested]]:
        """Whether any change is more than noise: the answer, and every comparison of a rate."""
        tested: list[tuple[Headline, Comparison]] = []
        rows: list[Tested] = []
        for headline in self._rates():
            is_first = True
            for comparison in headline.comparisons:
                if headline.figure.value is None or comparison.then.value is None:
                    continue
                rows.append(self._tested(headline, comparison, is_first))
                is_first = False
                if comparison.verdict != "unknown" and comparison.against != "target":
                    tested.append((headline, comparison))
        real = [pair for pair in tested if pair[1].verdict == "real"]
        if not tested:
            return [self._say("noise.untestable")], rows
        if not real:
            return [self._say("noise.all_noise", len(tested), count=self.count(len(tested)))], rows
        names = self.language.listed(
            self.language.words(
                "noise.item", metric=self.title(headline.figure.metric), before=self._before(comparison)
            )
            for headline, comparison in real
        )
        if len(tested) == 1:
            return [self._say("noise.only_real", names=names)], rows
        count, every = self.count(len(real)), self.count(len(tested))
        return [self._say("noise.some_real", len(real), count=count, all=every, names=names)], rows

    def rule_of_noise(self) -> Sentence:
        """When is a change more than noise?"""
        levels = [one.level for headline in self._rates() for one in headline.comparisons] or [0.95]
        return self._say("noise.rule", level=Told(self.language.percent(levels[0], 0)))

    def leavers(self, leavers: Leavers) -> list[Sentence]:
        """Who left, what the costliest were worth, what was said most."""
        period = self.period(leavers.period)
        if not leavers.customers:
            return [self._say("leavers.none", period=period)]
        count = self.count(leavers.customers)
        if not leavers.mrr:
            told = [self._say("leavers.some_without_money", leavers.customers, count=count, period=period)]
        else:
            amounts = Told(self.amounts(leavers.mrr).text, self.meaning("mrr"), "bad")
            told = [self._say("leavers.some", leavers.customers, count=count, period=period, mrr=amounts)]
        costliest = [row for row in leavers.costliest if row.mrr is not None]
        one_currency = {row.currency for row in costliest}
        if len(leavers.mrr) == 1 and one_currency == {leavers.mrr[0].currency} and leavers.mrr[0].value > 0:
            total = sum((row.mrr for row in costliest if row.mrr is not None), Decimal(0))
            if len(costliest) < leavers.customers:
                told.append(
                    self._say(
                        "leavers.costliest",
                        len(costliest),
                        count=self.count(len(costliest)),
                        amount=Told(self.language.money(total, leavers.mrr[0].currency)),
                        share=Told(self.language.percent(total / leavers.mrr[0].value, 0)),
                    )
                )
        named = [one for one in leavers.said if one[0].lower() not in UNTOLD]
        if named:
            reason, count_said, _ = named[0]
            quote, number = f"“{self.reason(reason)}”", self.count(count_said)
            told.append(self._say("leavers.said", count_said, reason=quote, count=number))
        if leavers.silent:
            told.append(self._say("leavers.silent", leavers.silent, count=self.count(leavers.silent)))
        return told

    def reason(self, reason: str) -> str:
        """A reason as shown: codes read as words, whatever else as the customer wrote it."""
        if self.language.has(f"reasons.{reason}"):
            return self.language.words(f"reasons.{reason}")
        return quoted(reason.replace("_", " "), NAME_LENGTH)

    def cause(self, cause: str) -> str:
        """A movement's cause as shown: a word of ours, else a reason the customer gave."""
        if self.language.has(f"causes.{cause}"):
            return self.language.words(f"causes.{cause}")
        return self.reason(cause)

    def chosen(self, chosen: Chosen) -> list[Sentence]:
        """Who chose to leave and whose payment failed."""
        lines = {line.how: line for line in chosen.lines}
        everyone = sum(line.customers for line in chosen.lines)
        if not everyone:
            return [self._say("chosen.none")]
        unknown = lines["unknown"].customers if "unknown" in lines else 0
        if unknown == everyone:
            return [self._say("chosen.all_unknown")]
        values: dict[str, Told | str] = {"unknown": self.count(unknown)}
        for how in ("voluntary", "involuntary"):
            line = lines.get(how)
            values[how] = self.count(line.customers if line else 0)
            share = (line.share if line.share is not None else line.customers / everyone) if line else 0.0
            values[f"{how}_share"] = Told(self.language.percent(share, 0), self._share_tip(chosen, how))
        told = [Sentence(self.language.template("chosen.some"), values)]
        other = lines.get("other")
        if other and other.customers:
            told.append(self._say("chosen.other", other.customers, count=self.count(other.customers)))
        return told

    def ahead(self, ahead: Ahead) -> list[Sentence]:
        """Who has cancelled and still pays, and whose term ends soon."""
        key = (
            "both"
            if ahead.scheduled.total and ahead.renewals.total
            else "scheduled"
            if ahead.scheduled.total
            else "renewals"
            if ahead.renewals.total
            else "none"
        )
        values: dict[str, Told | str] = {"days": self.count(ahead.window_days)}
        for name, opened, amounts in (
            ("scheduled", ahead.scheduled, ahead.scheduled_mrr),
            ("renewals", ahead.renewals, ahead.renewals_mrr),
        ):
            count = self.language.number(opened.total)
            values[name] = Told(self.language.words("ahead.customers", opened.total, count=count))
            values[f"{name}_mrr"] = self.amounts(amounts)
        return [Sentence(self.language.template(f"ahead.{key}"), values)]

    def due(self, due: ComingDue) -> list[Sentence]:
        """What became of yearly terms, and what is already promised."""
        month = due.months[-1]
        told = [self.renewed(due)] if due.rate is not None else []
        if month.due:
            count = self.language.words("due.renewals", month.due, count=self.language.number(month.due))
            told.append(
                self._say(
                    "due.month",
                    period=self.period(month.period),
                    due=Told(count),
                    arr=self._arr(due, sum(month.arr.values(), Decimal(0))),
                    renewed=self.count(month.counts["renewed"]),
                    late=self.count(month.counts["late"]),
                    undecided=self.count(month.counts["undecided"]),
                    lost=self.count(month.counts["lost"]),
                    lost_arr=self._arr(due, month.arr["lost"]),
                )
            )
        else:
            told.append(self._say("due.none", period=self.period(month.period)))
        if due.signed or due.leaving:
            told.append(
                self._say(
                    "due.promised",
                    months=self.count(due.months_ahead),
                    mrr=self._arr(due, due.mrr),
                    cmrr=self._arr(due, due.mrr + due.signed - due.leaving),
                    signed=self._arr(due, due.signed),
                    leaving=self._arr(due, due.leaving),
                )
            )
        return told

    def cause_of_leaving(self, cause: str) -> str:
        """A cause's name, as the taxonomy of reasons has it."""
        return _taxonomy()[cause].name(self.language.code)

    def verdict(self, causes: Causes) -> list[Sentence]:
        """What carried the leaving, all ways of asking taken together, and how much nothing explains."""
        shares = {part.cause: part.customers for part in causes.parts if part.customers}
        unknown = next((part for part in causes.parts if part.cause == "unknown"), None)
        known = [name for name in shares if name != "unknown"]
        count, period = self.count(causes.customers), self.period(causes.period)
        if not known or unknown is None:
            told = [self._say("verdict.none", customers=count, period=period)]
        else:
            parts = self.language.listed(
                f"{self.cause_of_leaving(name)} {self.language.percent(shares[name] or 0.0)}" for name in known
            )
            told = [self._say("verdict.shares", customers=count, period=period, causes=parts)]
            told.append(
                self._say(
                    "verdict.unknown",
                    share=Told(self.language.percent(unknown.customers or 0.0)),
                    low=self.language.percent(unknown.low or 0.0),
                    high=self.language.percent(unknown.high or 0.0),
                )
            )
        return told

    def verdict_rows(self, causes: Causes) -> tuple[list[str], list[list[str]]]:
        """The head and rows of the causes: shares with their intervals, and how strong the evidence is."""
        words, percent = self.language.words, self.language.percent
        has_money = any(part.mrr is not None for part in causes.parts)

        def shown(value: float | None, low: float | None, high: float | None) -> list[str]:
            if value is None:
                return ["", ""]
            if low is None or high is None:
                return [percent(value), ""]
            return [percent(value), words("page.interval_short", low=percent(low), high=percent(high))]

        interval = words("verdict.interval")
        money_head = [words("verdict.mrr"), interval] if has_money else []
        head = [words("verdict.cause"), words("verdict.customers"), interval, *money_head, words("verdict.strength")]
        rows = []
        for part in causes.parts:
            money = shown(part.mrr, part.mrr_low, part.mrr_high) if has_money else []
            strength = words("verdict.withheld") if part.withheld else ""
            if part.strength and not part.withheld:
                strength = words(f"verdict.strengths.{part.strength.replace(' ', '_')}")
            rows.append(
                [self.cause_of_leaving(part.cause), *shown(part.customers, part.low, part.high), *money, strength]
            )
        return head, rows

    def leaves_next(self, told: LeavesNext) -> list[Sentence]:
        """How many of those who are scored are expected to leave, and what the list shows."""
        expected = self.language.number(Decimal(str(told.expected)), 0)
        sentence = self._say(
            "next.expected",
            scored=self.count(told.scored),
            expected=Told(expected),
            days=self.language.number(told.days),
            day=self.language.day(told.day),
        )
        return [sentence, self._say("next.at_stake" if told.ranked == "at_stake" else "next.likeliest")]

    def leaves_next_rows(self, told: LeavesNext) -> tuple[list[str], list[list[str]]]:
        """The head and rows of those who leave next."""
        words, percent = self.language.words, self.language.percent
        head = ["customer.name", "next.chance", "next.by_payment", "next.worth", "next.stake"]

        def money(value: Decimal | None, currency: str) -> str:
            return "" if value is None else self.language.money(value, currency)

        rows = [
            [
                name_of(row.name, row.id),
                percent(row.chance),
                "" if row.by_payment is None else percent(row.by_payment),
                money(row.worth, row.currency),
                money(row.at_stake, row.currency),
            ]
            for row in told.rows
        ]
        return [words(key) for key in head], rows

    def costs(self, costs: Costs) -> list[Sentence]:
        """What churn cost, what is at risk and what was kept."""

        def money(value: Decimal | int) -> Told:
            return Told(self.language.money(Decimal(value), costs.currency))

        lines = {name: value for name, value in costs.lines.items() if value is not None}
        lost = lines.get("arr_lost", Decimal(0))
        if lost:
            told = [self._say("costs.lost", arr=money(lost))]
            known: dict[str, Told] = {
                name: money(lines[name]) for name in ("forgone_value", "replacement_cost") if name in lines
            }
            if known:
                told.append(Sentence(self.language.template("costs." + "_and_".join(known)), known))
        else:
            told = [self._say("costs.none", period=self.period(costs.period))]
        if lines.get("arr_at_risk"):
            told.append(self._say("costs.at_risk", arr=money(lines["arr_at_risk"])))
        kept = [lines[name] for name in ("arr_saved", "arr_recovered", "arr_won_back") if name in lines]
        if any(kept):
            told.append(self._say("costs.kept", arr=money(sum(kept, Decimal(0)))))
        return told

    def cost_rows(self, costs: Costs) -> list[tuple[str, str]]:
        """Each line that is known: its name and value."""
        return [
            (
                self.language.words(f"costs.lines.{name}"),
                self.language.number(value) if isinstance(value, int) else self.language.money(value, costs.currency),
            )
            for name in COST_LINES
            if (value := costs.lines.get(name)) is not None
        ]

    def due_rows(self, due: ComingDue) -> tuple[list[str], list[list[str]]]:
        """The head and rows of what came due month by month, the latest first."""
        outcomes = ("renewed", "late", "undecided", "lost")
        head = ["picture.period", "due.column", *(f"renewals.{name}" for name in outcomes), "due.arr_column"]
        rows = [
            [
                self.period(month.period),
                self.language.number(month.due),
                *(self.language.number(month.counts[name]) for name in outcomes),
                self.language.money(sum(month.arr.values(), Decimal(0)), due.currency),
            ]
            for month in reversed(due.months[-12:])
        ]
        return [self.language.words(name) for name in head], rows

    def renewed(self, due: ComingDue) -> Sentence:
        """Which share of the decided yearly terms renewed, over all months that are shown."""
        decided = sum(month.due - month.counts["undecided"] for month in due.months)
        months = len(due.months)
        span = f"{self.language.number(months)} {self.units(months, due.months[-1].period.grain)}"
        if due.low is None or due.high is None or due.rate is None:
            return self._say("due.undecided")
        between = self.language.words(
            "page.interval_short", low=self.language.percent(due.low), high=self.language.percent(due.high)
        )
        rate = Told(self.language.percent(due.rate), between)
        return self._say("due.rate", decided, rate=rate, decided=self.count(decided), span=span)

    def _arr(self, due: ComingDue, value: Decimal) -> Told:
        return Told(self.language.money(value, due.currency))

    def worse(self, worse: Worse) -> list[Sentence]:
        """Which segments lose more than the rest."""
        compared = self.count(worse.compared)
        if not worse.worst:
            return [self._say("worse.none", compared=compared), *self.counted(worse)]
        names = self.language.listed(self._worse_item(row) for row in worse.worst[:3])
        told = [self._say("worse.some", len(worse.worst), count=self.count(len(worse.worst)), names=names)]
        if worse.is_adjusted and worse.compared > 1:
            told.append(self._say("worse.adjusted", compared=compared))
        return [*told, *self.counted(worse)]

    def counted(self, worse: Worse) -> list[Sentence]:
        """Over which days the segments were counted, where these are not those of the report."""
        if worse.per:
            return [self._say("worse.counted_month", period=self.period(worse.period))]
        if worse.period == self.story.about.period:
            return []
        return [self._say("worse.counted", period=self.period(worse.period))]

    def segment(self, column: str, segment: str) -> str:
        """A segment with its column: plan “Starter”."""
        return f"{self.column(column)} “{quoted(self.band(column, segment), NAME_LENGTH)}”"

    def column(self, column: str) -> str:
        """A column's name as people say it."""
        return self.language.named("columns", quoted(column, NAME_LENGTH))

    def best(self, opened: Opened) -> list[Sentence]:
        """Which customer brought most."""
        row = opened.rows[0]
        amount = row.mrr if row.mrr is not None else row.change
        if amount is None:
            return [self._say("picture.best_many", opened.total, count=self.count(opened.total))]
        told = Told(self.language.money(amount, row.currency))
        return [self._say("picture.best", name=name_of(row.name, row.id), amount=told)]

    def trust(self) -> tuple[list[Sentence], list[Sentence]]:
        """How far to trust it: the answer, and every caveat."""
        trust, words = self.story.trust, self.language
        loaded = [fact for fact in trust.facts if fact.rows]
        since = min((fact.since for fact in loaded if fact.since), default=None)
        until = max((fact.until for fact in loaded if fact.until), default=None)
        if since and until:
            told = [self._say("trust.facts", since=Told(words.day(since)), until=Told(words.day(until)))]
        elif loaded:
            told = []
        else:
            told = [self._say("trust.facts_none")]
        notes = self.caveats()
        if trust.matches:
            worst = min(trust.matches, key=lambda match: match.matched / match.total if match.total else 1.0)
            if worst.matched < worst.total:
                share = Told(words.percent(worst.matched / worst.total))
                told.append(self._say("trust.worst_match", system=self.system(worst.system), share=share))
            else:
                told.append(self._say("trust.all_matched"))
        if notes:
            told.append(self._say("trust.caveats", len(notes), count=self.count(len(notes))))
        elif loaded:
            told.append(self._say("trust.clean"))
        return told, notes

    def system(self, system: str) -> str:
        """The name of another system, or of a table that names customers."""
        return self.language.named("tables", system) if self.language.has(f"tables.{system}") else quoted(system, 40)

    def caveats(self) -> list[Sentence]:
        """Every caveat: those of the story and of trust, and those that follow from the facts themselves."""
        trust, about = self.story.trust, self.story.about
        given = [*self.story.notes, *trust.notes, *(note for orders in self.story.orders for note in orders.notes)]
        codes = {note.code for note in given}
        implied: list[Note] = []
        rows = sum(fact.rows for fact in trust.facts)
        if about.is_provisional:
            implied.append(Note("provisional", {"until": about.period.end}))
        if about.is_reconstructed:
            implied.append(Note("reconstructed"))
        if trust.survivors_until:
            implied.append(Note("survivors_only", {"until": trust.survivors_until}))
        implied.extend(
            Note("open_window", {"days": orders.silent_days}) for orders in self.story.orders if orders.silent_days
        )
        for kind in ("derived", "assumed", "quarantined"):
            count = sum(getattr(fact, kind) for fact in trust.facts)
            if count:
                share = count / rows if rows else 0.0
                implied.append(Note(f"{kind}_rows", {"rows": count, "share": share}))
        if trust.test_customers:
            implied.append(Note("test_customers", {"customers": trust.test_customers}))
        notes = [*given, *(note for note in implied if note.code not in codes)]
        return [told for told in (self.note(note) for note in notes) if told is not None]

    # --- within -------------------------------------------------------------------------------------------------------

    def _say(self, template: str, how_many: int | None = None, **values: Told | str) -> Sentence:
        return Sentence(self.language.template(template, how_many), values)

    def _rates(self) -> list[Headline]:
        return [*self.story.rates, *(one.repeat_rate for one in self.story.orders if one.repeat_rate)]

    def _part(self, value: Decimal | float | int, currency: str) -> str:
        if isinstance(value, Decimal):
            return self.language.money(value, currency) if currency else self.language.number(value, 2)
        return self.language.number(value, 0 if float(value).is_integer() else 2)

    def _difference(self, value: Decimal | float | int, now: Figure) -> str:
        if now.unit == "rate":
            return self.language.points(value)
        return self.value(value, now.unit, now.currency, signed=True)

    def _noted(self, value: object, key: str) -> Told | str:
        if key == "table":
            return self.system(str(value))
        if isinstance(value, datetime):
            return Told(self.language.instant(value))
        if isinstance(value, date):
            return Told(self.language.day(value))
        if isinstance(value, float) and key == "share":
            return Told(self.language.percent(value))
        if isinstance(value, int | float | Decimal):
            return Told(self.language.number(value, 0 if value == int(value) else 2))
        if isinstance(value, list | tuple | set | frozenset):
            return ", ".join(quoted(str(one), NAME_LENGTH) for one in value)
        return quoted(str(value), NAME_LENGTH)

    def _before(self, comparison: Comparison) -> str:
        if comparison.against == "previous":
            return self.language.words(f"compare.previous_{self.story.about.period.grain}")
        return self.language.words(f"compare.{comparison.against}")

    def _level(self, name: Literal["mrr", "revenue"], headline: Headline) -> Sentence:
        figure = headline.figure
        period = self.period(figure.period)
        if figure.value is None:
            reason = quoted(self.missing(figure.reason), 200)
            return self._say(f"lead.{name}_unknown", period=period, reason=reason)
        values: dict[str, Told | str] = {name: self.figure(figure), "period": period}
        before = next((one for one in headline.comparisons if one.against == "previous"), None)
        if before is None or before.difference is None:
            return Sentence(self.language.template(f"lead.{name}_first"), values)
        values["before"] = self._before(before)
        difference = Decimal(str(before.difference))
        if not difference:
            return Sentence(self.language.template(f"lead.{name}_same"), values)
        tone: Tone = "good" if difference > 0 else "bad"
        is_whole = abs(Decimal(str(figure.value))) >= 10_000 or None
        values["difference"] = Told(self.language.money(abs(difference), figure.currency, whole=is_whole), tone=tone)
        then = before.then.value
        if then:
            values["percent"] = Told(self.language.percent(abs(difference) / abs(Decimal(str(then)))))
        else:
            values["percent"] = Told("∞")
        return Sentence(self.language.template(f"lead.{name}_{'up' if difference > 0 else 'down'}"), values)

    def _churn(self, churn: Headline) -> Sentence:
        figure = churn.figure
        if figure.value is None:
            return self._say("lead.churn_unknown", reason=quoted(self.missing(figure.reason), 200))
        if figure.numerator is None or figure.denominator is None:
            return self._say("lead.churn_rate", rate=self.figure(figure))
        lost, base = int(figure.numerator), int(figure.denominator)
        return self._say("lead.churn", base, lost=self.count(lost), base=self.count(base), rate=self.figure(figure))

    def stopped(self, activity: Activity) -> Sentence:
        """How many buyers have stopped, or why nobody knows."""
        figure = activity.churn.figure
        period = self.period(figure.period)
        if figure.value is None or figure.numerator is None or figure.denominator is None:
            return self._say("picture.activity_unknown", period=period, reason=quoted(self.missing(figure.reason), 200))
        lost, base = int(figure.numerator), int(figure.denominator)
        parts: dict[str, Told | str] = {
            "lost": self.count(lost),
            "base": self.count(base),
            "rate": self.figure(figure),
            "period": period,
        }
        return self._say("picture.activity", base, **parts)

    def _orders(self, orders: Orders) -> list[Sentence]:
        told = []
        if orders.customers and orders.customers.figure.value is not None:
            figure = orders.customers.figure
            told.append(self._say("lead.active", int(figure.value or 0), count=self.figure(figure)))
        if orders.repeat_rate and orders.repeat_rate.figure.value is not None:
            told.append(self._say("lead.repeat", rate=self.figure(orders.repeat_rate.figure)))
        if orders.activity and orders.activity.churn.figure.value is not None:
            told.append(self.stopped(orders.activity))
        return told

    def _tested(self, headline: Headline, comparison: Comparison, is_first: bool) -> Tested:
        now, shown = headline.figure, self.compared(headline, comparison)
        several = len({one.figure.currency for one in self.story.rates if one.figure.currency}) > 1
        if comparison.against == "target":
            interval = ""
            against = self.language.words("compare.target")
        else:
            against = self.period(comparison.then.period, short=True)
            interval = self._interval_of_difference(comparison, now)
        return Tested(
            self.title(now.metric) + (f" ({now.currency})" if now.currency and several else ""),
            against,
            self.value(comparison.then.value, now.unit, now.currency),
            self.value(now.value, now.unit, now.currency),
            "" if comparison.difference is None else self._difference(comparison.difference, now),
            interval,
            shown.verdict,
            shown.tone,
            is_first,
        )

    def _interval_of_difference(self, comparison: Comparison, now: Figure) -> str:
        if comparison.low is None or comparison.high is None:
            return ""
        low, high = self._difference(comparison.low, now), self._difference(comparison.high, now)
        return self.language.words("page.interval_short", low=low, high=high)

    def _share_tip(self, chosen: Chosen, how: str) -> str:
        line = next((one for one in chosen.lines if one.how == how), None)
        if line is None or line.low is None or line.high is None:
            return self.period(chosen.period)
        low, high = self.language.percent(line.low), self.language.percent(line.high)
        level = self.language.percent(0.95, 0)
        interval = self.language.words("page.interval", level=level, low=low, high=high)
        return f"{self.period(chosen.period)} · {interval}"

    def _worse_item(self, row: SegmentRate) -> str:
        rest = self.value(row.rest.value, "rate") if row.rest else self.language.words("page.unknown")
        rate = self.value(row.rate.value, "rate")
        return self.language.words("worse.item", segment=self.segment(row.column, row.segment), rate=rate, rest=rest)


def tone_of(headline: Headline, comparison: Comparison) -> Tone:
    """Is the difference good or bad news?"""
    if comparison.difference is None or comparison.difference == 0 or headline.better == "neither":
        return ""
    return "good" if (comparison.difference > 0) == (headline.better == "higher") else "bad"


def target_state(headline: Headline, comparison: Comparison) -> Literal["met", "missed", "open", ""]:
    """Is the target met? Open while it lies within the figure's own interval; "" while the figure is unknown."""
    now, goal = headline.figure, comparison.then.value
    if now.value is None or goal is None:
        return ""
    if now.low is not None and now.high is not None and now.low < goal < now.high:
        return "open"
    is_met = now.value <= goal if headline.better == "lower" else now.value >= goal
    return "met" if is_met else "missed"
