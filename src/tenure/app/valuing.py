"""What are our customers worth, as a workspace knows it? Day, currency and assumptions of `tenure value`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tenure.errors import BadInput
from tenure.kernel.time import whole_days, zone

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts
    from tenure.predict.value import Value


def value(
    shop: Workspace,
    *,
    as_of: str | date | None = None,
    months: int = 36,
    by: str | Sequence[str] = (),
    currency: str | None = None,
    discount: float | None = None,
    margin: float | None = None,
    profile: str | None = None,
    known_on: str | datetime | None = None,
    engine: str | None = None,
    grain: str = "customer",
) -> Value:
    """What everybody who is a customer as of a day will still bring in; see predict.value.

    as_of: the whole of that day is known (default: the last day of which facts tell); known_on: default as_of.
    discount, margin: shares (default: the settings').
    by: plan, currency, channel, another column of customers, an undated trait.
    """
    from tenure.predict.value import value as ask

    names = (by,) if isinstance(by, str) else tuple(by)
    assumed = shop.assumptions
    if discount is not None:
        if not 0 <= discount <= 1:
            raise BadInput(f"discount {discount:g} is no yearly rate: write it as a share from 0 to 1, such as 0.10")
        assumed = replace(assumed, discount_rate=Fraction(str(discount)))
    if margin is not None:
        if not 0 < margin <= 1:
            raise BadInput(f"margin {margin:g} is no gross margin: write it as a share above 0 and at most 1")
        assumed = replace(assumed, margin=Fraction(str(margin)))

    def attempt() -> Value:
        facts, cut = as_known(shop, as_of, known_on, engine, grain)
        return ask(
            facts, shop.definition(profile), cut=cut, ahead=months, by=names, currency=shop._reporting(currency),
            assumed=assumed,
        )  # fmt: skip

    return shop._again(attempt)


def as_known(
    shop: Workspace, as_of: str | date | None, known_on: str | datetime | None, engine: str | None, grain: str
) -> tuple[Facts, date]:
    """The facts as known on a day, and the day after it: what `--as-of` means. Without one: the last day told of.

    Raises BadInput for a day that has not come.
    """
    if as_of is None:
        cut = last_day(shop.facts(known_on, engine, grain)) + timedelta(days=1)
    else:
        cut = as_of + timedelta(days=1) if isinstance(as_of, date) else whole_days(as_of)[1]
        today = datetime.now(UTC).astimezone(zone(shop.settings.timezone)).date()
        if cut > today + timedelta(days=1):
            raise BadInput(f"{cut - timedelta(days=1)} has not come; value as of {today} or an earlier day")
    known: Any = known_on if known_on is not None else (cut - timedelta(days=1)).isoformat()
    return shop.facts(known, engine, grain), cut


def last_day(facts: Facts) -> date:
    """The last day of which subscriptions or orders tell, today at the latest."""
    from tenure.measure import states
    from tenure.measure.cohorts import history, nothing_known
    from tenure.measure.orders import span

    spans = [history(facts) if states.tables(facts) else None, span(facts)]
    ends = [found[1] for found in spans if found is not None]
    if not ends:
        raise nothing_known(facts)
    return min(max(ends), (facts.known_before - timedelta(microseconds=1)).astimezone(facts.timezone).date())
