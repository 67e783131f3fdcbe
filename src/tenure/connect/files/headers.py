"""Which of their columns is which of ours? Names are compared trimmed and in snake case; --map settles the rest."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tenure.connect.files.shapes import Shape
from tenure.connect.files.sources import Source
from tenure.errors import BadFile, BadInput, UnknownName
from tenure.kernel.money import exponent


@dataclass(frozen=True, slots=True)
class Cell:
    """Where an input comes from: a column of the file (place from 1, its name there), or one value for all rows."""

    place: int
    theirs: str
    constant: str | None = None


@dataclass
class Binding:
    """The inputs found, the columns that become traits, the months of a wide sheet, and remarks for the report."""

    inputs: dict[str, Cell]
    traits: dict[str, Cell] = field(default_factory=dict)
    months: dict[date, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    exponent: int = 2  # digits of the minor unit where rows have no currency of their own

    def cell(self, name: str) -> Cell | None:
        """Where the input, trait or month (m202601) of that name comes from."""
        months = {f"m{month:%Y%m}": cell for month, cell in self.months.items()}
        return self.inputs.get(name) or self.traits.get(name) or months.get(name)

    def theirs(self, name: str) -> str:
        """Its name in the file, else ours."""
        cell = self.cell(name)
        return cell.theirs if cell else name


def snake(name: str) -> str:
    """A header as we would write it: `Customer ID`, `customerID` and ` customer-id ` are customer_id.

    >>> snake("Customer ID"), snake("customerID"), snake("ลูกค้า")
    ('customer_id', 'customer_id', 'ลูกค้า')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip().lstrip("\ufeff"))
    return re.sub(r"[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\s]+", "_", parted).strip("_").lower()


def bind(source: Source, shape: Shape, mapping: Mapping[str, str], currency: str | None, path: Path) -> Binding:
    """Find the inputs of `shape` among the file's columns.

    Raises BadFile for a required column that is missing (with the nearest name), UnknownName for a --map that names
    nothing; nothing has been loaded then.
    """
    known = {**{name: name for name in shape.inputs}, **shape.aliases}
    taken: dict[int, str] = {}
    inputs: dict[str, Cell] = {}
    renamed: dict[int, str] = {}
    by_name: dict[str, int] = {}
    by_snake: dict[str, int] = {}
    for place, name in enumerate(source.names, start=1):
        by_name.setdefault(name, place)
        by_snake.setdefault(snake(name), place)
    for theirs, ours in mapping.items():
        if theirs == "" and "=" in ours:  # `--map =USD=currency`, cut at its first sign
            constant, _, ours = ours.rpartition("=")
            theirs = "=" + constant
        target = known.get(ours) or known.get(snake(ours))
        if theirs.startswith("="):
            if target is None:
                raise UnknownName.of(f"column of '{shape.name}'", ours, shape.inputs)
            _once(inputs, target, theirs)
            inputs[target] = Cell(0, target, theirs[1:])
            continue
        place = by_name.get(theirs) or by_snake.get(snake(theirs)) or 0
        if not place and theirs.isdigit() and 1 <= int(theirs) <= len(source.names):
            place = int(theirs)
        if not place:
            raise _missing(path, theirs, source.names, "named by --map")
        if target is None:
            near = difflib.get_close_matches(snake(ours), list(known), n=1, cutoff=0.75)
            if near or not shape.has_customer:
                raise UnknownName.of(f"column of '{shape.name}'", ours, known)
            renamed[place] = snake(ours)
            continue
        if place in taken:
            raise BadInput(f"--map names column '{theirs}' of {path.name} twice; name it once")
        _once(inputs, target, theirs)
        inputs[target] = Cell(place, source.names[place - 1])
        taken[place] = target

    notes: list[str] = []
    called: list[str] = []
    for exact in (True, False):  # a column that has our very name goes before one that is merely called alike
        for place, name in enumerate(source.names, start=1):
            if place in taken or place in renamed or (not source.has_header):
                continue
            own = snake(name)
            target = own if exact and own in shape.inputs else None if exact else known.get(own)
            if target is not None and target not in inputs:
                inputs[target] = Cell(place, name)
                taken[place] = target
                if not exact and target != own:
                    called.append(f"'{name}' as {target}")
    for place in range(1, len(source.names) + 1 if source.has_header else 1):
        own = snake(source.names[place - 1])
        first = inputs.get(own)
        # One that --map has chosen is chosen; else nobody can say which of two is meant.
        if place not in taken and place not in renamed and first and first.place and own not in mapping.values():
            raise BadFile(
                f"{path.name} has two columns '{own}', the {_ordinal(first.place)} and the {_ordinal(place)}; name the "
                f"one that counts: --map {first.place}={own}. Nothing was loaded."
            )
    if called:
        notes.append(f"columns read under our name: {', '.join(called)}")
    left_over = [place for place in range(1, len(source.names) + 1) if place not in taken]
    found = Binding(inputs, notes=notes)
    if shape.name == "mrr":
        _months(source, found, left_over)
    _complete(source, shape, found, currency, path, left_over)
    _traits(source, shape, found, left_over, renamed, known)
    return found


def _ordinal(place: int) -> str:
    """A column's place in words: 1st, 2nd, 11th, 22nd."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def _once(inputs: Mapping[str, Cell], target: str, theirs: str) -> None:
    if target in inputs:
        raise BadInput(f"--map gives '{target}' twice, the second time from '{theirs}'; name it once")


def _missing(path: Path, wanted: str, names: Sequence[str], why: str) -> BadFile:
    text = f"{path.name} has no column '{wanted}', {why}."
    by_snake = {snake(name): name for name in names if name}
    near = difflib.get_close_matches(snake(wanted), list(by_snake), n=1, cutoff=0.5)
    if near:
        theirs = by_snake[near[0]]
        text += f" Did you mean '{theirs}'? Then add --map '{theirs}={wanted}'."
    else:
        shown = ", ".join(f"'{name}'" for name in list(names)[:15]) + (", ..." if len(names) > 15 else "")
        text += f" It has: {shown}. Use --map THEIRS={wanted} to say which one it is."
    return BadFile(text + " Nothing was loaded.")


def _complete(
    source: Source, shape: Shape, found: Binding, currency: str | None, path: Path, left_over: list[int]
) -> None:
    """Refuse a file without a required input; fill in what has a default."""
    money = [name for name in found.inputs if shape.inputs[name].type in ("major", "unit", "money_minor")]
    if "currency" in shape.inputs and "currency" not in found.inputs:
        if currency:
            found.inputs["currency"] = Cell(0, "currency", currency)
        elif money or found.months or shape.inputs["currency"].required:
            near = difflib.get_close_matches("currency", [snake(name) for name in source.names], n=1, cutoff=0.75)
            theirs = next((name for name in source.names if near and snake(name) == near[0]), None)
            meant = f". Did you mean '{theirs}'? Then add --map '{theirs}=currency'; else" if theirs else ";"
            raise BadFile(
                f"{path.name} has no column 'currency'{meant} say which one it is: --currency USD. Nothing was loaded."
            )
    for wanted in shape.required:
        options = wanted.split("|")
        if any(option in found.inputs for option in options):
            continue
        if found.months and wanted in ("month", "amount|amount_minor"):
            continue
        why = f"which '{shape.name}' needs" if len(options) == 1 else f"one of {', '.join(options)} is needed"
        free = [source.names[place - 1] for place in left_over if place not in {c.place for c in found.months.values()}]
        if wanted == "customer_id" and found.months and len([name for name in free if name]) == 1:
            name = next(name for name in free if name)
            found.inputs["customer_id"] = Cell(source.names.index(name) + 1, name)
            left_over.remove(source.names.index(name) + 1)
            continue
        raise _missing(path, _nearest_option(options, free), free or source.names, why)
    inputs = found.inputs
    for major in [name for name in inputs if f"{name}_minor" in inputs and f"{name}_minor" in shape.inputs]:
        raise BadFile(f"{path.name} has both '{major}' and '{major}_minor'; load it with only one of them")
    if "unit_amount" in inputs and ("amount" in inputs or "amount_minor" in inputs):
        # The line's own amount counts; a unit price beside it is only told.
        found.notes.append(f"'{inputs.pop('unit_amount').theirs}' is not needed beside the amount and was left out")
    if "unit_amount" in inputs and "quantity" not in inputs:
        raise _missing(path, "quantity", source.names, "which 'unit_amount' is multiplied by")
    majors = [name for name in inputs if shape.inputs[name].type == "major"]
    if "currency" not in shape.inputs and majors:
        if not currency:
            raise BadFile(f"'{majors[0]}' of {path.name} needs a currency; say which one it is: --currency USD")
        found.exponent = exponent(currency)
    for name, value in shape.defaults.items():
        if name not in inputs and (money or name == "observed_on"):
            found.notes.append(f"there is no column '{name}': {value} is taken")


def _nearest_option(options: Sequence[str], names: Sequence[str]) -> str:
    """Of several columns that would do, the one that looks most like a column that is there."""
    shown = [snake(name) for name in names]

    def likeness(option: str) -> float:
        return max((difflib.SequenceMatcher(None, option, name).ratio() for name in shown), default=0.0)

    return max(options, key=likeness)


def _months(source: Source, found: Binding, left_over: list[int]) -> None:
    """The columns of a wide sheet whose header is a month."""
    if "month" in found.inputs:
        return
    for place in list(left_over):
        first = month_of(source.names[place - 1])
        if first is None:
            continue
        if first in found.months:
            other = found.months[first].theirs
            raise BadFile(f"columns '{other}' and '{source.names[place - 1]}' are the same month; keep one of them")
        found.months[first] = Cell(place, source.names[place - 1])
        left_over.remove(place)


def _traits(
    source: Source,
    shape: Shape,
    found: Binding,
    left_over: Sequence[int],
    renamed: Mapping[int, str],
    known: Mapping[str, str],
) -> None:
    """What is left becomes traits where there is a customer, else it is left out; the report says which."""
    named = [place for place in left_over if source.names[place - 1].strip()]
    if not source.has_header:
        named = [place for place in named if place in renamed]
    if not named:
        return
    shown = ", ".join(source.names[place - 1] for place in named)
    for place in named:
        near = difflib.get_close_matches(snake(source.names[place - 1]), list(known), n=1, cutoff=0.8)
        if near and known[near[0]] not in found.inputs and place not in renamed:
            found.notes.append(f"column '{source.names[place - 1]}' is unknown; did you mean '{near[0]}'?")
    if not shape.has_customer or "customer_id" not in found.inputs:
        found.notes.append(f"columns left out, for '{shape.name}' does not know them: {shown}")
        return
    for place in named:
        trait = renamed.get(place) or snake(source.names[place - 1]) or source.names[place - 1].strip()
        while trait in found.traits:
            trait += "_2"
        found.traits[trait] = Cell(place, source.names[place - 1])
    when = f"dated by {found.theirs(shape.dated)}" if shape.dated else "undated: as they are now"
    found.notes.append(f"columns that became traits of the customer ({when}): {shown}")


# ------------------------------------------------------------------------------------------------- months in headers

_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_THAI = ("มค", "กพ", "มีค", "เมย", "พค", "มิย", "กค", "สค", "กย", "ตค", "พย", "ธค")
_THAI_LONG = (
    *("มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน"),
    *("กรกฎาคม", "สิงหาคม", "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม"),
)
_BUDDHIST = 543


def month_of(text: str) -> date | None:
    """The first day of the month a header or cell names, or None.

    Read are 2026-01, 2026-01-31, 2026/01, 01/2026, 202601, Jan 2026, January-26, ม.ค. 2569; years of the Buddhist
    era (above 2400) are turned into common ones.

    >>> month_of("Jan 2026"), month_of("01/2026"), month_of("ม.ค. 2569"), month_of("Janet")
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 1), datetime.date(2026, 1, 1), None)
    """
    plain = text.strip().lower()
    if match := re.fullmatch(r"(\d{4})[-/.]?(\d{1,2})(?:[-/.]?(\d{2})(?:[ t]00:00(:00(\.0+)?)?)?)?", plain):
        day = match.group(3)
        return _first(int(match.group(1)), int(match.group(2))) if day is None or 1 <= int(day) <= 31 else None
    if match := re.fullmatch(r"(\d{1,2})[-/.](\d{4})", plain):
        return _first(int(match.group(2)), int(match.group(1)))
    if match := re.fullmatch(r"(\D+?)[\s,'’/-]*(\d{4}|\d{2})", plain) or re.fullmatch(r"(\d{4})[\s-]*(\D+)", plain):
        word, number = match.groups() if not match.group(1).isdigit() else (match.group(2), match.group(1))
        letters = re.sub(r"[\s.]", "", word)
        year = int(number) + (2000 if len(number) == 2 else 0)
        for names in (_THAI, _THAI_LONG):
            if letters in names:
                if len(number) == 2:
                    year += 500  # 69 is 2569 of the Buddhist era
                return _first(year, names.index(letters) + 1)
        if letters[:3] in _ENGLISH:
            place = _ENGLISH.index(letters[:3])
            full = ("january", "february", "march", "april", "may", "june", "july", "august", "september")
            names_of = (*full, "october", "november", "december")[place]
            if names_of.startswith(letters) or letters == "sept":
                return _first(year, place + 1)
    return None


def _first(year: int, month: int) -> date | None:
    year -= _BUDDHIST if year >= 2400 else 0
    return date(year, month, 1) if 1900 <= year < 2200 and 1 <= month <= 12 else None
