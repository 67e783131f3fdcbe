"""Every picture Tenure draws, defined once: plain rows and a language in, an Altair chart out.

    waterfall, movements            why MRR moved; every movement over time
    layer_cake, cohort_heatmap      which cohorts carry the revenue; how much of each is still there
    survival, hazard                how long customers stay; when they leave
    churn_by_segment                which plan, channel or country loses more
    coverage_timeline               which facts there are, since when, with what gaps
    cost_of_churn                   what churn cost: lost, at risk, kept
    renewals_by_period              what came due, and what became of it
    movements_by_cause              why MRR grew or shrank
    change_by_cause                 why those who stayed pay more or less
    churn_by_tenth, differences, shares   what goes with leaving; of all that was lost, how much by which cause
    signs                           who showed a sign before leaving, and who showed it and stayed
    called                          whom to call among those who left
    hazard_with_spikes, around_a_change   when in their life they leave; what followed a change
    fan                             what lies ahead, after what was, with a what-if
    value_beside_cost               what a newcomer is worth, beside what winning one costs
    rate_over_time                  one rate with its interval and its target
    left_its_range                  numbers on their usual range
    revenue_by_period, customers_by_period   a business that sells orders
    seen_and_expected, retention_curve       whether a model of purchases or renewals fits
    purchase_gaps, rfm_map          how long customers wait between purchases; who buys how often, how lately
    risk_list                       who leaves next, by cause, and what moves it most
    calibration, leavers_reached, backtest   what was said and what happened; whom contacts would have reached

    svg(chart), png(chart), save(chart, path)   to a file or a string, without a browser

Rows are a list of dicts or an Arrow table; each function documents its columns. Rates are fractions, money is in major
units, periods are dates (the first day). The same chart serves the report, the notebook and `tenure metrics`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_WHERE = {
    "waterfall": "roll_forward",
    "movements": "roll_forward",
    "layer_cake": "cohorts",
    "cohort_heatmap": "cohorts",
    "survival": "lifetimes",
    "hazard": "lifetimes",
    "churn_by_segment": "segments",
    "churn_by_tenth": "explaining",
    "differences": "explaining",
    "hazard_with_spikes": "journeys",
    "around_a_change": "journeys",
    "shares": "explaining",
    "signs": "rhythms",
    "called": "calls",
    "cost_of_churn": "costs",
    "coverage_timeline": "coverage",
    "rate_over_time": "revenue",
    "fan": "forecasts",
    "value_beside_cost": "value",
    "left_its_range": "watching",
    "revenue_by_period": "revenue",
    "customers_by_period": "revenue",
    "purchase_gaps": "buyers",
    "rfm_map": "buyers",
    "seen_and_expected": "purchases",
    "retention_curve": "purchases",
    "renewals_by_period": "renewals",
    "risk_list": "risks",
    "calibration": "risks",
    "leavers_reached": "risks",
    "backtest": "risks",
    "change_by_cause": "renewals",
    "movements_by_cause": "renewals",
    "svg": "picture",
    "png": "picture",
    "save": "picture",
}

__all__ = [
    "around_a_change",
    "backtest",
    "calibration",
    "called",
    "change_by_cause",
    "churn_by_segment",
    "churn_by_tenth",
    "cohort_heatmap",
    "cost_of_churn",
    "coverage_timeline",
    "customers_by_period",
    "differences",
    "fan",
    "hazard",
    "hazard_with_spikes",
    "layer_cake",
    "leavers_reached",
    "left_its_range",
    "movements",
    "movements_by_cause",
    "png",
    "purchase_gaps",
    "rate_over_time",
    "renewals_by_period",
    "retention_curve",
    "revenue_by_period",
    "rfm_map",
    "risk_list",
    "save",
    "seen_and_expected",
    "shares",
    "signs",
    "survival",
    "svg",
    "value_beside_cost",
    "waterfall",
]

if TYPE_CHECKING:
    from tenure.charts.buyers import purchase_gaps, rfm_map
    from tenure.charts.calls import called
    from tenure.charts.cohorts import cohort_heatmap, layer_cake
    from tenure.charts.costs import cost_of_churn
    from tenure.charts.coverage import coverage_timeline
    from tenure.charts.explaining import churn_by_tenth, differences, shares
    from tenure.charts.forecasts import fan
    from tenure.charts.journeys import around_a_change, hazard_with_spikes
    from tenure.charts.lifetimes import hazard, survival
    from tenure.charts.picture import png, save, svg
    from tenure.charts.purchases import retention_curve, seen_and_expected
    from tenure.charts.renewals import change_by_cause, movements_by_cause, renewals_by_period
    from tenure.charts.revenue import customers_by_period, rate_over_time, revenue_by_period
    from tenure.charts.rhythms import signs
    from tenure.charts.risks import backtest, calibration, leavers_reached, risk_list
    from tenure.charts.roll_forward import movements, waterfall
    from tenure.charts.segments import churn_by_segment
    from tenure.charts.value import value_beside_cost
    from tenure.charts.watching import left_its_range


def __getattr__(name: str) -> Any:
    # Altair takes half a second to import: only who draws pays for it.
    if name not in _WHERE:
        raise AttributeError(f"module 'tenure.charts' has no attribute '{name}'")
    found = getattr(import_module(f"tenure.charts.{_WHERE[name]}"), name)
    globals()[name] = found
    return found
