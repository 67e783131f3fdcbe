"""What counts? A definition profile: a small data file that says which facts make a number, and why.

A profile is a base and its choices. Every choice there is stands in CHOICES with the values it may take and the line of
a bridge that it belongs to; profiles/*.toml tell for each choice they make the vendor's words, the page and the date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from tenure.errors import BadConfiguration, BadInput, UnknownName

BASE = "tenure"
INTERVALS = ("day", "week", "four_weeks", "month", "quarter", "year")


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing on which definitions differ.

    allowed: the words it may take, or "days", "months", "minutes" (a number that is not negative) or "factor" (months
    per interval as a fraction). line: what a bridge calls the difference. engine: whether it changes movements, or only
    what is computed from their sums.
    """

    name: str
    allowed: tuple[str, ...] | str
    line: str
    asks: str
    engine: bool = True
    says: Mapping[str, str] = field(default_factory=dict)


def _words(name: str, line: str, asks: str, engine: bool = True, **says: str) -> Choice:
    return Choice(name, tuple(says), line, asks, engine, says)


CHOICES: dict[str, Choice] = {
    choice.name: choice
    for choice in (
        *(
            Choice(interval, "factor", "normalisation", f"How many months of an amount per {words} are one month's?")
            for interval, words in zip(
                INTERVALS, ("day", "week", "four weeks", "month", "quarter", "year"), strict=True
            )
        ),
        _words(
            "forever_discount",
            "discounts",
            "Does a discount without an end lower MRR?",
            lowers="it lowers MRR",
            ignored="the list price counts",
        ),
        _words(
            "limited_discount",
            "discounts",
            "Does a discount for some time lower MRR while it lasts?",
            ignored="it does not lower MRR",
            lowers="it lowers MRR while it lasts",
            lowers_monthly="it lowers MRR of plans shorter than a year",
        ),
        _words(
            "first_payment",
            "trials",
            "Must the first invoice be paid before a subscription counts?",
            not_needed="it counts from the day it is active",
            needed="it counts from the first payment, where invoices and payments are known",
        ),
        Choice(
            "past_due_days",
            "days",
            "past-due",
            "After how many days past due is a subscription lost? 0: not before it ends",
        ),
        _words(
            "pause",
            "pause",
            "What does a pause do?",
            zero="MRR is 0 while it lasts, the customer stays",
            keeps="nothing: MRR goes on",
            churn="it is a loss, and resuming a return",
        ),
        Choice("pause_months", "months", "pause", "After how many months has a pause become a loss? 0: never"),
        _words(
            "churn_at",
            "churn date",
            "When has somebody left?",
            end="when the subscription ends",
            request="when the cancellation is asked for",
            paid_until="at the end of the period that is paid for",
        ),
        _words(
            "customer",
            "free",
            "Who is a customer?",
            live="who has ever paid and has something live, free and paused too",
            paying="who pays: no MRR, no customer",
        ),
        _words(
            "grouping",
            "grouping",
            "Which changes of one customer are one movement?",
            minutes="those of one day within grouping_minutes of each other, and gone and back on one day",
            month="all of a calendar month: only its start and end are compared",
        ),
        Choice("grouping_minutes", "minutes", "grouping", "How close must changes be to be one movement?"),
        Choice(
            "gap_days", "days", "reactivation", "Who returns within how many days did not leave? 0: on the same day"
        ),
        Choice(
            "reactivation_days",
            "days",
            "reactivation",
            "Who returns after how many days is a new customer? 0: nobody, ever",
        ),
        _words(
            "net_churn",
            "reactivation",
            "Do those who come back lower net MRR churn?",
            engine=False,
            less_reactivation="they do",
            expansion_only="they do not; only expansion does",
        ),
        _words(
            "quick_ratio",
            "reactivation",
            "Do those who come back count in the quick ratio?",
            engine=False,
            with_reactivation="they do",
            without_reactivation="they do not",
        ),
        _words(
            "churn_base",
            "denominator",
            "By what are lost customers divided?",
            engine=False,
            start="customers at the start",
            start_and_new="customers at the start, and those who came",
            mean="the mean of the customers at the start and at the end",
            customer_days="customer-days, times 30",
            daily="each day's losses by that day's customers, summed",
            end="customers at the end",
        ),
        _words(
            "joiners",
            "same-period joiners",
            "Do customers who come and leave in one period count as lost?",
            engine=False,
            left_out="they do not",
            counted="they do",
        ),
        _words(
            "returners",
            "same-period returns",
            "Do customers who leave and return in one period count as lost?",
            engine=False,
            left_out="they do not",
            counted="they do",
        ),
        Choice(
            "window_days",
            "days",
            "denominator",
            "Over how many days before a period's end do churn rates look? 0: over the period",
            engine=False,
        ),
        _words(
            "retention",
            "retention",
            "How is net revenue retention made?",
            engine=False,
            cohort="those who paid at the start, at the start and at the end",
            movements="1 less net MRR churn",
        ),
        _words(
            "retention_of",
            "retention",
            "Whose revenue is compared in retention?",
            engine=False,
            customer="each customer's",
            subscription="each subscription's",
        ),
        _words(
            "unknown_actor",
            "cancellation reason",
            "How has somebody left of whom nobody says who ended it?",
            engine=False,
            unknown="unknown",
            voluntary="by choice",
        ),
        _words(
            "fx",
            "currency",
            "At which exchange rates does money count?",
            dated="each day's; what the rates do is the FX effect",
            current="the newest known, for all of history",
            purchase="that of the day when the price began",
        ),
        _words(
            "source",
            "source",
            "What is MRR made from?",
            states="subscriptions and what they cost",
            invoice_lines="what was invoiced for a period of service",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Said:
    """Why a profile chooses: the vendor's words, the page and the day it was read (or the page's own date)."""

    value: Any
    says: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One way of counting. The fields after `reasons` are the choices; see CHOICES and profiles/*.toml."""

    name: str
    title: str
    base: str | None = None
    reasons: tuple[tuple[str, Said], ...] = field(default=(), compare=False)
    cannot: tuple[str, ...] = field(default=(), compare=False)
    day: tuple[int, int] = (365, 12)
    week: tuple[int, int] = (365, 84)
    four_weeks: tuple[int, int] = (13, 12)
    month: tuple[int, int] = (1, 1)
    quarter: tuple[int, int] = (1, 3)
    year: tuple[int, int] = (1, 12)
    forever_discount: str = "lowers"
    limited_discount: str = "ignored"
    first_payment: str = "not_needed"
    past_due_days: int = 0
    pause: str = "zero"
    pause_months: int = 6
    churn_at: str = "end"
    customer: str = "live"
    grouping: str = "minutes"
    grouping_minutes: int = 60
    gap_days: int = 0
    reactivation_days: int = 0
    net_churn: str = "less_reactivation"
    quick_ratio: str = "with_reactivation"
    churn_base: str = "start"
    joiners: str = "left_out"
    returners: str = "left_out"
    window_days: int = 0
    retention: str = "cohort"
    retention_of: str = "customer"
    unknown_actor: str = "unknown"
    fx: str = "dated"
    source: str = "states"
    follows: str = "customer"  # not a choice: whom one run of the movements follows (see retention_of)

    @property
    def factors(self) -> tuple[tuple[str, tuple[int, int]], ...]:
        """Months per interval as fractions, without `four_weeks`."""
        return tuple((name, getattr(self, name)) for name in INTERVALS if name != "four_weeks")

    @property
    def choices(self) -> dict[str, Any]:
        """Every choice and its value."""
        return {name: getattr(self, name) for name in CHOICES}

    def differs(self, other: Definition, *, engine: bool | None = None) -> list[str]:
        """The choices in which two definitions differ; only those of the engine, or only the others, if asked."""
        return [
            name
            for name, choice in CHOICES.items()
            if getattr(self, name) != getattr(other, name) and engine in (None, choice.engine)
        ]


def profiles() -> list[str]:
    """The names of the profiles that exist, the default first."""
    folder = files("tenure.measure") / "profiles"
    found = sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    return [BASE, *(name for name in found if name != BASE)]


@cache
def profile(name: str) -> Definition:
    """The definition called `name`; UnknownName for any other."""
    if name not in profiles():
        raise UnknownName.of("profile", name, profiles())
    raw = tomllib.loads((files("tenure.measure") / "profiles" / f"{name}.toml").read_text("utf-8"))
    base = profile(raw["base"]) if raw.get("base") else None
    said = {
        key: Said(_read(key, told["value"]), told["says"], told["source"], told["date"])
        for key, told in raw["choices"].items()
    }
    changes: dict[str, Any] = {key: told.value for key, told in said.items()}
    start = base or Definition(name, raw["title"])
    found = replace(
        start,
        name=raw["name"],
        title=raw["title"],
        base=raw.get("base"),
        reasons=tuple(said.items()),
        cannot=tuple(raw.get("cannot", ())),
        **changes,
    )
    check(found)
    return found


def with_choices(base: Definition, choices: Mapping[str, object]) -> Definition:
    """The definition with a company's own choices in place of the base's; BadConfiguration for what cannot be.

    A definition that differs from its base says so in its name: `stripe, past_due_days=14`.
    """
    changed: dict[str, Any] = {}
    for key, value in choices.items():
        if key not in CHOICES:
            raise BadConfiguration(str(UnknownName.of("choice in [definition]", key, CHOICES)))
        value = _read(key, value)
        if value != getattr(base, key):
            changed[key] = value
    if not changed:
        return base
    differences = ", ".join(f"{key}={_shown(value)}" for key, value in changed.items())
    found = replace(base, name=f"{base.name}, {differences}", base=base.name, **changed)
    check(found)
    return found


def named(text: str, company: Mapping[str, object] | None = None, base: str | None = None) -> Definition:
    """The definition called `text`: a profile's name, then choices of one's own, as in `stripe, past_due_days=14`.

    company: the company's own choices, made where the profile is `base` (the company's). UnknownName and BadInput say
    what is wrong with the text.
    """
    first, *rest = (part.strip() for part in text.split(","))
    choices: dict[str, object] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"profile '{text}': write choices as name=value, such as {first},past_due_days=30")
        choices[key.strip()] = value.strip()
    found = profile(first)
    own = dict(company or {}) if first == (base or BASE) else {}
    try:
        return with_choices(found, {**own, **choices})
    except BadConfiguration as error:
        raise BadInput(f"profile '{text}': {error}") from None if choices else error


def _shown(value: Any) -> str:
    return f"{value[0]}/{value[1]}" if isinstance(value, tuple) else str(value)


def _read(key: str, value: object) -> Any:
    """A choice's value from a file or the command line; BadConfiguration with what may stand there."""
    choice = CHOICES[key]
    told = f"[definition] {key} = {value!r}"
    if isinstance(choice.allowed, tuple):
        if value in choice.allowed:
            return value
        near = UnknownName.of(f"value of {key}", str(value), choice.allowed)
        raise BadConfiguration(f"{told}: {near} It is one of {', '.join(choice.allowed)}.")
    if choice.allowed == "factor":
        parts: list[Any] = list(value) if isinstance(value, list | tuple) else str(value).split("/")
        parts = [*parts, 1] if len(parts) == 1 else parts
        try:
            top, bottom = (int(part) for part in parts)
        except ValueError:
            top, bottom = 0, 0
        if not (0 < top < 100_000 and 0 < bottom < 100_000):
            raise BadConfiguration(f"{told}: give months as a fraction, such as [365, 12] in a file or 365/12")
        return top, bottom
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if type(value) is not int or not 0 <= value <= 10_000:
        raise BadConfiguration(f"{told}: give a number of {choice.allowed} from 0 to 10000")
    return value


# What contradicts itself, with the reason.
_IMPOSSIBLE = (
    (
        lambda d: d.customer == "paying" and d.pause == "zero",
        "with customer = paying, who pauses pays nothing and is lost: choose pause = churn, or pause = keeps",
    ),
    (
        lambda d: d.pause != "zero" and d.pause_months not in (0, 6),
        "pause_months tells when a pause without MRR becomes a loss: it needs pause = zero",
    ),
    (
        lambda d: d.grouping == "month" and d.gap_days > 0,
        "with grouping = month only the ends of months are compared, so gap_days has nothing to bridge; leave it 0",
    ),
    (
        lambda d: d.churn_base == "start_and_new" and d.joiners == "left_out",
        "churn_base = start_and_new counts those who came below the line: with joiners = left_out they are never above",
    ),
    (
        lambda d: d.churn_base == "daily" and d.returners == "left_out",
        "churn_base = daily looks at one day at a time and cannot know who returns later: it needs returners = counted",
    ),
    (
        lambda d: d.churn_base == "daily" and d.joiners == "left_out",
        "churn_base = daily counts who came the day before as a customer: it needs joiners = counted",
    ),
    (
        lambda d: d.reactivation_days and d.reactivation_days <= d.gap_days,
        "who returns within gap_days never left, so reactivation_days must be longer than that, or 0",
    ),
    (
        lambda d: d.window_days > 366,
        "window_days looks at most a year back",
    ),
)


def check(definition: Definition) -> None:
    """BadConfiguration where choices contradict each other, with the reason."""
    for claim, reason in _IMPOSSIBLE:
        if claim(definition):
            raise BadConfiguration(f"this definition is impossible: {reason}")
