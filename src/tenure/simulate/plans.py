"""What does an item cost? Plans, add-ons, price lists per currency, taxes, and the MRR that an amount is worth.

Amounts are integer minor units. A price list holds the monthly price per seat (or per item); a quarter costs 2.8
months and a year 10. List 1 applies from the price change on, list 0 before it. THB prices contain the tax, all
others do not.
"""

from __future__ import annotations

import numpy as np

from tenure.simulate.chance import Numbers

CURRENCIES = ("USD", "EUR", "THB", "JPY")
PLANS = ("free", "starter", "team", "business")
FREE, STARTER, TEAM, BUSINESS = range(4)
INTERVALS = ("month", "quarter", "year")
MONTH, QUARTER, YEAR = range(3)
MONTHS_OF = np.array([1, 3, 12])
# Tenths of a month's price that an interval costs.
_TENTHS_OF = np.array([10, 28, 100])

# The items a customer can hold, in this order everywhere: base plan, add-on, metered use, a second subscription.
BASE, ADD_ON, METERED, SECOND = range(4)
ITEM_SUFFIX = ("base", "reports", "api-calls", "base")
PRODUCTS = ("made-up-suite", "made-up-reports", "made-up-api", "made-up-lab")

# [plan, currency], minor units per seat and month.
_BEFORE = np.array(
    [
        [0, 0, 0, 0],
        [1_200, 1_100, 39_000, 1_700],
        [1_800, 1_700, 59_000, 2_600],
        [3_000, 2_800, 99_000, 4_300],
    ]
)
_ADD_ON = np.array([2_900, 2_700, 95_000, 4_200])
_SECOND = np.array([1_500, 1_400, 49_000, 2_200])
_COMMIT = np.array([20_000, 18_500, 650_000, 29_000])
# Minor units for a thousand calls.
_CALLS = np.array([40, 37, 1_300, 60])

# Price of list 1 over list 0 in thousandths, when the price change hits a plan.
RISE = 1_140


def tax_inclusive(currency: Numbers) -> Numbers:
    """Whether prices in a currency contain the tax: in THB only."""
    return np.asarray(currency) == CURRENCIES.index("THB")


def list_price(plan: Numbers, currency: Numbers, price_list: Numbers) -> Numbers:
    """Minor units per seat and month."""
    before = _BEFORE[plan, currency]
    # Whole hundreds of minor units for two-decimal currencies, whole tens for yen, as a price tag would have it.
    step = np.where(np.asarray(currency) == CURRENCIES.index("JPY"), 10, 50)
    risen = (before * RISE // 1_000 + step // 2) // step * step
    return np.where((np.asarray(price_list) == 1) & (np.asarray(plan) == TEAM), risen, before)


def per_interval(monthly: Numbers, interval: Numbers) -> Numbers:
    """What an interval costs at a monthly price, rounded half up to the minor unit."""
    return (monthly * _TENTHS_OF[interval] + 5) // 10


def add_on_price(currency: Numbers) -> Numbers:
    """Minor units per month of the reports add-on."""
    return _ADD_ON[currency]


def second_price(currency: Numbers) -> Numbers:
    """Minor units per seat and month of a second subscription."""
    return _SECOND[currency]


def commitment(currency: Numbers) -> Numbers:
    """Minor units per month that a committed customer pays for calls at least, net of tax."""
    return _COMMIT[currency]


def calls_price(currency: Numbers) -> Numbers:
    """Minor units for a thousand calls, net of tax."""
    return _CALLS[currency]


def share(amount: Numbers, basis_points: Numbers) -> Numbers:
    """So many hundredths of a percent of an amount, rounded half up."""
    return (amount * basis_points + 5_000) // 10_000


def tax_of(amount: Numbers, basis_points: Numbers, inclusive: Numbers) -> Numbers:
    """The tax in an amount, or on top of it, rounded half up to the minor unit."""
    divisor = np.where(inclusive, 10_000 + basis_points, 10_000)
    return (amount * basis_points + divisor // 2) // divisor


def micro_mrr(base: Numbers, interval: Numbers) -> Numbers:
    """What a month of a net amount per interval is worth, in millionths of a minor unit, rounded half-even."""
    months = MONTHS_OF[interval]
    whole, rest = np.divmod(base * 1_000_000, months)
    up = (2 * rest > months) | ((2 * rest == months) & (whole % 2 == 1))
    return whole + up
