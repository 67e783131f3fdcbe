"""What lies ahead, as a workspace knows it? Day, currency and settings of `tenure forecast`, and its replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tenure.app.valuing import as_known
from tenure.kernel.time import add_months

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.predict.forecast import Forecast
    from tenure.predict.forecast_replay import ForecastReplay

MEASURED = "measured"
LOOK_BACK = 36  # months in which price changes are looked for


def forecast(
    shop: Workspace,
    *,
    as_of: str | date | None = None,
    months: int = 12,
    what_if: str | Sequence[str] = (),
    new: float | None = None,
    elasticity: float | str | None = None,
    currency: str | None = None,
    profile: str | None = None,
    known_on: str | datetime | None = None,
    engine: str | None = None,
    grain: str = "customer",
    seed: int = 7,
) -> Forecast:
    """Customers, MRR, tickets and agents of the months ahead, with intervals; see predict.forecast.

    as_of: the whole of that day is known (default: the last one told of); known_on: default as_of. what_if: words such
    as "price +10 % on plan B", see predict.what_if. new: newcomers a month (default: as in the past). elasticity: of
    customers to price, 0 or below, or MEASURED by an event study of past price changes (default: nobody leaves for it).
    """
    from tenure.explain.price_elasticity import price_elasticity
    from tenure.predict.forecast import forecast as ask
    from tenure.predict.what_if import elasticity_of, read_all

    asked = read_all((what_if,) if isinstance(what_if, str) else tuple(what_if))
    told = None if elasticity in (None, MEASURED) else elasticity_of(elasticity)

    def attempt() -> Forecast:
        facts, cut = as_known(shop, as_of, known_on, engine, grain)
        definition, chosen = shop.definition(profile), told
        said: tuple[str, ...] = ()
        if elasticity == MEASURED:
            study = price_elasticity(facts, definition, add_months(cut, -LOOK_BACK), cut)
            chosen, said = max(study.value, -20.0), (study.sentence(),)
        found = ask(
            facts, definition, cut=cut, ahead=months, currency=shop._reporting(currency), new=new, asked=asked,
            elasticity=chosen, per_agent=shop.settings.tickets_per_agent, seed=seed,
        )  # fmt: skip
        found.assumed = (*found.assumed, *said)
        return found

    return shop._again(attempt)


def forecast_replay(
    shop: Workspace,
    *,
    as_of: str | date | None = None,
    months: int = 12,
    step: int = 3,
    currency: str | None = None,
    profile: str | None = None,
    known_on: str | datetime | None = None,
    engine: str | None = None,
    grain: str = "customer",
    seed: int = 7,
    progress: Callable[..., Any] = lambda *told: None,
) -> ForecastReplay:
    """The forecasts that would have been made at earlier cut-offs, held against what came; see predict.forecast_replay.

    step: months between two cut-offs.
    """
    from tenure.predict.forecast_replay import known_at, replay

    def attempt() -> ForecastReplay:
        facts, cut = as_known(shop, as_of, known_on, engine, grain)
        return replay(
            facts, shop.definition(profile), cut=cut, known=known_at(facts), ahead=months, step=step,
            currency=shop._reporting(currency), seed=seed, progress=progress,
        )  # fmt: skip

    return shop._again(attempt)
