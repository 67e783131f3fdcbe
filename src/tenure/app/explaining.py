"""Why do they leave? What `tenure why METHOD` asks of a workspace: the period, the currency, the facts as known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tenure.errors import BadPeriod, UnknownName
from tenure.kernel.time import whole_days

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.explain.rivals import Known
    from tenure.lake.facts import Facts
    from tenure.measure.definition import Definition
    from tenure.text import Taxonomy

# The ways of asking: the command behind `tenure why`, and the module and function of tenure.explain that answer. A
# function is called as function(facts, definition, first, after, **options); `money` says that it takes a currency,
# `reasons` the taxonomy, `rivals` how rivals are spelled, `assumptions` margin and discount rate.
METHODS: dict[str, tuple[str, str, frozenset[str]]] = {
    "behaviour": ("behaviour", "behaviour", frozenset()),
    "competition": ("competition", "competition", frozenset({"money", "reasons", "rivals"})),
    "engagement": ("engagement", "engagement", frozenset()),
    "experiments": ("experiments", "experiments", frozenset()),
    "journey": ("journey", "journey", frozenset()),
    "follow-up": ("follow_up", "follow_up", frozenset({"money", "reasons"})),
    "money": ("money", "money", frozenset({"money", "reasons", "assumptions"})),
    "segments": ("segments", "segments", frozenset()),
    "verdict": ("verdict", "verdict", frozenset({"money"})),
    "support": ("support", "support", frozenset({"reasons"})),
    "surveys": ("surveys", "surveys", frozenset({"money", "reasons"})),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question why: the whole days [first, after), and where money is summed (None: each currency by itself)."""

    first: date
    after: date
    currency: str | None
    profile: str | None
    known_on: str | datetime | None
    engine: str | None


def asked(
    shop: Workspace,
    since: str,
    until: str | None = None,
    *,
    currency: str | None = None,
    profile: str | None = None,
    known_on: str | datetime | None = None,
    engine: str | None = None,
) -> Asked:
    """The question from the whole of `since` to the whole of `until` (default: since).

    Raises BadPeriod where it ends before it begins.
    """
    first, after = whole_days(since)[0], whole_days(until or since)[1]
    if first >= after:
        raise BadPeriod(f"the period ends ({after}) before it begins ({first})")
    return Asked(first, after, shop._reporting(currency), profile, known_on, engine)


REASONS = "reasons.toml"


def taxonomy(shop: Workspace) -> Taxonomy | None:
    """The reasons with those of the workspace's own (reasons.toml in its folder); None where it has none."""
    path = shop.folder / REASONS
    if not path.exists():
        return None
    from tenure.text import Taxonomy

    return Taxonomy.load(path)


RIVALS = "rivals.toml"


def rivals(shop: Workspace) -> dict[str, Known]:
    """How rivals are spelled, as the workspace's own rivals.toml in its folder tells; empty without one."""
    from tenure.explain.rivals import load

    path = shop.folder / RIVALS
    return load(path) if path.exists() else {}


def why(shop: Workspace, method: str, question: Asked, **options: Any) -> Any:
    """What a method answers, on one look at the lake; see METHODS. Raises UnknownName for a method that is none."""
    if method not in METHODS:
        raise UnknownName.of("method", method, METHODS)
    module, name, takes = METHODS[method]
    function: Callable[..., Any] = getattr(import_module(f"tenure.explain.{module}"), name)
    if "money" in takes:
        options["currency"] = question.currency
    if "reasons" in takes:
        options.setdefault("taxonomy", taxonomy(shop))
    if "rivals" in takes:
        options.setdefault("rivals", rivals(shop))
    if "assumptions" in takes:
        options["assumed"] = shop.assumptions

    def attempt() -> Any:
        facts: Facts = shop.facts(question.known_on, question.engine)
        definition: Definition = shop.definition(question.profile)
        shop._recurring(facts, "why customers leave is asked of subscriptions", "`tenure metrics buyers_lapsed`")
        return function(facts, definition, question.first, question.after, **options)

    return shop._again(attempt)
