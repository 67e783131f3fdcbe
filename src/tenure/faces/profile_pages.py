"""How does each tool count, in its own words? The reference pages of the definition profiles, made from their files.

`tenure.faces.reference_pages` writes them to docs/reference/profiles. What a page says of a vendor stands in the
profile's file with its source and its date; what it says of a choice stands in CHOICES; every number was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tenure.errors import TenureError
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.definition import BASE, CHOICES, Choice, Definition, Said, profile, profiles

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace

MADE = "<!-- Made by tenure.faces.reference_pages; change the profile's file, not this page. -->"
SETUP = "<!-- setup: python -m tenure.faces.reference_pages --example shop -->"
PERIOD = "2026-06"

# What each page asks the example company, and what the index compares.
ASKED = ("mrr", "customers", "customer_churn_rate", "net_mrr_churn_rate", "nrr", "quick_ratio")

# A change of each profile that a company may well want, as an example of how to write one.
CHANGES: Mapping[str, tuple[str, str]] = {
    "tenure": ("past_due_days", "30"),
    "stripe": ("churn_at", '"end"'),
    "chartmogul": ("past_due_days", "30"),
    "baremetrics": ("past_due_days", "14"),
    "profitwell": ("past_due_days", "15"),
    "recurly": ("forever_discount", '"ignored"'),
    "chargebee": ("limited_discount", '"ignored"'),
    "maxio": ("churn_at", '"end"'),
    "paddle": ("fx", '"dated"'),
}


def pages(shop: Workspace, where: Sequence[str], said: Callable[[Sequence[str]], str]) -> Iterator[tuple[str, str]]:
    """Every page of the profiles: its path below docs/reference, and its text.

    shop: the example company; where: the arguments that name it on the command line; said: what a command prints.
    """
    yield "profiles/index.md", index_page(shop)
    for name in profiles():
        output = said([*where, "metrics", *ASKED[:3], "--from", PERIOD, "--profile", name])
        yield f"profiles/{name}.md", page(profile(name), output)


# ------------------------------------------------------------------------------------------------------------ page


def page(found: Definition, output: str) -> str:
    """The page of one profile; `output` is what the example company's numbers are under it."""
    base = profile(found.base) if found.base else None
    reasons = dict(found.reasons)
    other = found.differs(base) if base else []
    same = [name for name in CHOICES if name in reasons and name not in other]
    untold = [name for name in CHOICES if name not in reasons and name not in _idle(found)]
    refused = output.startswith("Error")
    lines = [MADE, SETUP, f"# The profile `{found.name}`", "", f"*{_question(found, base)}*", ""]
    lines += _opening(found, base, other)
    lines += ["```console", f"$ {_command(found)}", output, "```", ""]
    if refused:
        lines[-5:-5] = ["<!-- exits: 2 -->"]
    if base:
        lines += ["## Where it differs from the default", ""]
        lines += _table(other, found, reasons, base) if other else ["In none of the choices.", ""]
        lines += ["## Where its pages agree with the default", "", *_table(same, found, reasons, None)]
    else:
        lines += ["## Every choice and its reason", "", *_table(same, found, reasons, None)]
    if untold:
        lines += [
            "## What its pages do not tell",
            "",
            "No page that was read says it, so the default's choice stands:",
            "",
            *(f"- {CHOICES[name].asks} {_value(CHOICES[name], found)}" for name in untold),
            "",
        ]
    if found.cannot:
        lines += [
            "## What the profile cannot do",
            "",
            "Neither the facts nor the choices hold it, so that the vendor's number may still be another:",
            "",
            *(f"- {sentence}" for sentence in found.cannot),
            "",
        ]
    lines += _use(found)
    lines += [f"*Read next: {_next(found)}.*", ""]
    return "\n".join(lines)


def _idle(found: Definition) -> set[str]:
    """Choices that another choice leaves without effect."""
    idle = set() if found.pause == "zero" else {"pause_months"}
    return idle | ({"grouping_minutes", "gap_days"} if found.grouping == "month" else set())


def _question(found: Definition, base: Definition | None) -> str:
    if base is None:
        return "What counts, if one chooses nothing?"
    return f"What would {found.title} show for the same facts, and where does it say so?"


def _opening(found: Definition, base: Definition | None, other: Sequence[str]) -> list[str]:
    if base is None:
        return [
            f"All of the {len(CHOICES)} choices on which definitions differ, as Tenure makes them. Every other profile",
            "tells only what it knows to be otherwise, or what its pages say in so many words.",
            "",
        ]
    count = {0: "none", 1: "one"}.get(len(other), str(len(other)))
    return [
        f"It differs from [the default]({base.name}.md) in {count} of {len(CHOICES)} choices.",
        "Words in “ ” are those of the page linked, with its own date or the day it was read. Help pages age: where",
        "one contradicts what stands here, the help page is right, and it is one line of the profile's file to change.",
        "",
    ]


def _command(found: Definition) -> str:
    return f"tenure -w shop metrics {' '.join(ASKED[:3])} --from {PERIOD} --profile {found.name}"


def _table(names: Sequence[str], found: Definition, reasons: Mapping[str, Said], base: Definition | None) -> list[str]:
    head = ("question", "here", "by default", "why") if base else ("question", "here", "why")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name in names:
        choice = CHOICES[name]
        cells = [choice.asks, _value(choice, found)]
        if base:
            cells.append(_value(choice, base))
        cells.append(_why(reasons[name]))
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return [*lines, ""]


def _value(choice: Choice, found: Definition) -> str:
    value = getattr(found, choice.name)
    told = f"{value[0]}/{value[1]}" if isinstance(value, tuple) else str(value)
    meaning = choice.says.get(told, "")
    return f"`{choice.name} = {told}`" + (f": {meaning}" if meaning else "")


def _why(told: Said) -> str:
    """The vendor's words with a link to the page and its date, or where else the choice comes from."""
    if told.source.startswith("https://"):
        return f"{told.says} ([{urlsplit(told.source).netloc}]({told.source}), {told.date})"
    if told.source.startswith("docs/"):
        return f"{told.says} ([rules](../../{told.source.removeprefix('docs/')}))"
    gathered = re.fullmatch(r"definitions [\d.]+ \((.*)\)", told.source)
    return f"{told.says} ({gathered[1] if gathered else told.source}; gathered {told.date[:4]})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _use(found: Definition) -> list[str]:
    choice, value = CHANGES.get(found.name, ("past_due_days", "30"))
    plain = value.strip('"')
    lines = ["## Use it", ""]
    lines += [
        "For one question, as above. For every question, and with a choice of your own, in `tenure.toml`:",
        "",
        "```toml",
        f'profile = "{found.name}"',
        "",
        "[definition]",
        f"{choice} = {value}",
        "```",
        "",
        f"On the command line the same is `--profile {found.name},{choice}={plain}`. The numbers then say that they",
        f"were counted by `{found.name}, {choice}={plain}`. Choices that contradict each other are refused with the",
        "reason.",
        "",
    ]
    return lines


def _next(found: Definition) -> str:
    near = [name for name in profiles() if name != found.name]
    place = profiles().index(found.name)
    links = [f"[`{name}`]({name}.md)" for name in (near[place % len(near)],)]
    links.append("[all profiles](index.md)")
    links.append("[why every tool shows another churn](../../explanation/why-every-tool-shows-another-churn.md)")
    return ", ".join(links)


# ----------------------------------------------------------------------------------------------------------- index


def index_page(shop: Workspace) -> str:
    """Which profiles there are, one company's month under each, and all choices with the words they may take."""
    lines = [
        MADE,
        "# Definition profiles",
        "",
        "*What would another tool show for the same facts?*",
        "",
        "A profile is a small data file: for every choice on which definitions differ, what one vendor does, in the",
        'words of its help page, with a link and a date. `--profile NAME` counts by it; `profile = "NAME"` in',
        "`tenure.toml` makes it the workspace's own. A profile tells how a vendor counts, not what data the vendor",
        "has: where its facts differ from yours, so does its number.",
        "",
        f"The [example company](../metrics/index.md#the-example-company) in {PERIOD}, by each of them:",
        "",
        f"| profile | {' | '.join(f'[{CATALOGUE[name].title}](../metrics/{name}.md)' for name in ASKED)} |",
        "|---|" + "---:|" * len(ASKED),
    ]
    notes = []
    for name in profiles():
        try:
            shown = _figures(shop, name)
        except TenureError as error:
            shown = ["[^" + name + "]", *[""] * (len(ASKED) - 1)]
            notes.append(f"[^{name}]: {_cell(str(error))}.")
        lines.append(f"| [`{name}`]({name}.md) | {' | '.join(shown)} |")
    lines += ["", *notes, ""] if notes else [""]
    lines += ["## What may be chosen", "", "| choice | question | it may be | line of a bridge |", "|---|---|---|---|"]
    for choice in CHOICES.values():
        lines.append(f"| `{choice.name}` | {_cell(choice.asks)} | {_cell(_allowed(choice))} | {choice.line} |")
    lines += [
        "",
        "*Read next: [why every tool shows another churn](../../explanation/why-every-tool-shows-another-churn.md),",
        f"[`{BASE}`, the default]({BASE}.md), [how states become movements](../../explanation/movements.md).*",
        "",
    ]
    return "\n".join(lines)


def _figures(shop: Workspace, name: str) -> list[str]:
    rows = shop.metrics(*ASKED, since=PERIOD, profile=name).rows()
    values: dict[str, Any] = {row["metric"]: row for row in rows}
    return [_figure(values[metric]) for metric in ASKED]


def _figure(row: Mapping[str, Any]) -> str:
    value, unit = row["value"], row["unit"]
    if value is None:
        return "none"
    if unit == "rate":
        return f"{100 * float(value):.2f} %"
    if unit == "count":
        return str(value)
    return f"{float(value):,.2f}"


def _allowed(choice: Choice) -> str:
    if isinstance(choice.allowed, tuple):
        return "; ".join(f"`{word}`: {choice.says[word]}" for word in choice.allowed)
    if choice.allowed == "factor":
        return "a fraction, such as `[365, 12]` in a file or `365/12`"
    return f"a number of {choice.allowed}"
