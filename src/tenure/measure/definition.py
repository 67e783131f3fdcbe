"""What counts? A definition profile: a small data file that says which facts make a number, and why."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tenure.errors import BadConfiguration, UnknownName


@dataclass(frozen=True, slots=True)
class Definition:
    """One way of counting. See profiles/*.toml, where every choice carries its reason."""

    name: str
    title: str
    factors: tuple[tuple[str, tuple[int, int]], ...]
    four_weeks: tuple[int, int] | None = (13, 12)
    limited_discount: bool = False
    past_due_days: int = 0
    pause_months: int = 6
    grouping_minutes: int = 60
    gap_days: int = 0


def profiles() -> list[str]:
    """The names of the profiles that exist."""
    folder = files("tenure.measure") / "profiles"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


@cache
def profile(name: str) -> Definition:
    """The definition called `name`; UnknownName for any other."""
    if name not in profiles():
        raise UnknownName.of("profile", name, profiles())
    raw = tomllib.loads((files("tenure.measure") / "profiles" / f"{name}.toml").read_text())
    return Definition(
        name=raw["name"],
        title=raw["title"],
        factors=tuple((interval, (a, b)) for interval, (a, b) in raw["factors"].items() if interval != "four_weeks"),
        four_weeks=tuple(raw["factors"]["four_weeks"]) if "four_weeks" in raw["factors"] else None,
        **raw["counts"],
    )


def with_choices(base: Definition, choices: dict[str, object]) -> Definition:
    """The definition with a company's own choices (from `[definition]` in tenure.toml) in place of the base's."""
    fields = {
        "limited_discount": bool,
        "past_due_days": int,
        "pause_months": int,
        "grouping_minutes": int,
        "gap_days": int,
    }
    changed: dict[str, object] = {}
    for key, value in choices.items():
        if key not in fields:
            raise BadConfiguration(str(UnknownName.of("choice in [definition]", key, fields)))
        if type(value) is not fields[key] or (isinstance(value, int) and value < 0):
            raise BadConfiguration(
                f"[definition] {key} = {value!r}: give a {fields[key].__name__} that is not negative"
            )
        changed[key] = value
    if not changed:
        return base
    values = {name: getattr(base, name) for name in Definition.__slots__} | changed
    return Definition(**values)
