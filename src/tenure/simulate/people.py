"""Who are the customers? Country, language, channel, first plan and seats, cards, contacts: all known at sign-up.

Numbers are given in order of sign-up, so customer 0000001 is the oldest. A quarter of them were there before the
window began, imported from an older system that kept survivors only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tenure.simulate import plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.months import DAY, HOUR, MINUTE, SECOND, Months

if TYPE_CHECKING:
    from tenure.simulate.company import Company


class Country(NamedTuple):
    """A country the company sells to: weight, billing currency, zone, usual offset from UTC in hours, tax, language."""

    code: str
    weight: float
    currency: str
    timezone: str
    offset: int
    tax_basis_points: int
    language: str
    name: str  # how a company is called there


COUNTRIES = (
    Country("TH", 0.30, "THB", "Asia/Bangkok", 7, 700, "th", "บริษัท สมมติ {} จำกัด"),
    Country("US", 0.27, "USD", "America/New_York", -5, 0, "en", "Made-up Co. {}"),
    Country("DE", 0.12, "EUR", "Europe/Berlin", 1, 1900, "de", "Made-up GmbH {}"),
    Country("JP", 0.11, "JPY", "Asia/Tokyo", 9, 1000, "ja", "Made-up K.K. {}"),
    Country("GB", 0.08, "USD", "Europe/London", 0, 2000, "en", "Made-up Ltd {}"),
    Country("FR", 0.05, "EUR", "Europe/Paris", 1, 2000, "en", "Made-up SARL {}"),
    Country("SG", 0.04, "USD", "Asia/Singapore", 8, 900, "en", "Made-up Pte Ltd {}"),
    Country("AU", 0.03, "USD", "Australia/Sydney", 10, 1000, "en", "Made-up Pty Ltd {}"),
)
CHANNELS = ("organic", "ads", "partner", "outbound")
ORGANIC, ADS, PARTNER, OUTBOUND = range(4)
INDUSTRIES = ("retail", "software", "agency", "hospitality", "education", "manufacturing", "events")
EVENTS = INDUSTRIES.index("events")
OWNERS = ("Anan", "Ploy", "Marie", "Kenji", "Grace", "Lukas", "Nok", "Daniel")
SIZES = ("1-9", "10-49", "50-199", "200+")
NETWORKS = ("visa", "mastercard", "amex", "jcb")
FUNDING = ("credit", "debit", "prepaid")

# How a customer begins: on the free plan, paying at once, or with a trial that is or is not converted.
FREE_START, DIRECT, TRIAL = range(3)

SHARE_BEFORE = 0.25
TRIAL_DAYS = 14
YEARS_BEFORE = 4


@dataclass(frozen=True)
class People:
    """A chunk of customers at sign-up, one array element each; `who` is the customer's number, 0 for the first."""

    who: Numbers
    before: Numbers  # was there before the window
    signed_up: Numbers
    country: Numbers
    currency: Numbers
    offset: Numbers
    tax: Numbers
    language: Numbers  # index into ("en", "th", "de", "ja")
    channel: Numbers
    industry: Numbers
    owner: Numbers  # -1: nobody
    is_test: Numbers
    begins: Numbers  # FREE_START, DIRECT, TRIAL
    converts: Numbers
    start: Numbers  # first instant on a plan that is no trial (also where the trial will not be converted)
    plan: Numbers
    interval: Numbers
    seats: Numbers
    discount_forever: Numbers  # basis points
    discount_limited: Numbers
    discount_months: Numbers
    add_on: Numbers
    metered: Numbers
    committed: Numbers
    by_card: Numbers
    network: Numbers
    funding: Numbers
    card_month: Numbers  # month in which the first card expires
    engagement: Numbers  # the customer's own level, standard normal
    contacts: Numbers  # 1 to 4
    checklist: Numbers  # arm of the onboarding experiment: 0 none, 1 control, 2 treated


LANGUAGES = ("en", "th", "de", "ja")


def newcomers(company: Company, months: Months, chance: Chance, who: Numbers) -> People:
    """The customers numbered `who`, as they were on the day they signed up."""
    quantile = (who + chance.uniform("sign-up", who)) / company.customers
    before = quantile < SHARE_BEFORE
    early = months.start_of_window - YEARS_BEFORE * 365 * DAY * np.clip(1 - quantile / SHARE_BEFORE, 0, 1) ** 1.3
    # Sign-ups grow over the window: density 1 + 0.7 x, inverted.
    x = np.clip((quantile - SHARE_BEFORE) / (1 - SHARE_BEFORE), 0, 1)
    x = (np.sqrt(1 + 1.4 * 1.35 * x) - 1) / 0.7
    late = months.start_of_window + (months.end_of_window - months.start_of_window) * x
    country = chance.pick("country", [c.weight for c in COUNTRIES], who)
    offset = np.array([c.offset for c in COUNTRIES])[country]
    local = 8 + 10 * chance.uniform("sign-up hour", who)
    time_of_day = (((local - offset) % 24) * 3600).astype(np.int64) * SECOND
    signed_up = np.where(before, early, late).astype(np.int64) // DAY * DAY + time_of_day
    signed_up = np.where(
        before,
        np.minimum(signed_up, months.start_of_window - HOUR),
        np.clip(signed_up, months.start_of_window + HOUR, months.end_of_window - MINUTE),
    )

    channel = np.where(
        before,
        chance.pick("channel", [0.45, 0.2, 0.2, 0.15], who),
        chance.pick("channel", [0.34, 0.34, 0.2, 0.12], who),
    )
    plan = 1 + np.where(
        before,
        chance.pick("plan", [0.46, 0.41, 0.13], who),
        np.where(
            channel == OUTBOUND,
            chance.pick("plan", [0.18, 0.52, 0.30], who),
            np.where(
                channel == ADS,
                chance.pick("plan", [0.70, 0.27, 0.03], who),
                chance.pick("plan", [0.54, 0.37, 0.09], who),
            ),
        ),
    )
    # How many seats: small for Starter, long-tailed for Business.
    spread = np.exp(chance.normal("seats", who) * np.array([0, 0.6, 0.65, 0.7])[plan])
    seats = np.clip(
        np.floor(np.array([0, 2.1, 6.4, 22.0])[plan] * spread + 0.5),
        np.array([1, 1, 3, 10])[plan],
        np.array([1, 8, 60, 400])[plan],
    ).astype(np.int64)

    begins = np.where(
        before, chance.pick("begins", [0.10, 0.90, 0], who), chance.pick("begins", [0.14, 0.12, 0.74], who)
    )
    plan = np.where(begins == FREE_START, plans.FREE, plan)
    seats = np.where(begins == FREE_START, 1, seats)
    yearly = np.array([0, 0.16, 0.28, 0.42])[plan]
    quarterly = np.array([0, 0.03, 0.06, 0.08])[plan]
    u = chance.uniform("interval", who)
    interval = np.where(u < yearly, plans.YEAR, np.where(u < yearly + quarterly, plans.QUARTER, plans.MONTH))

    # The onboarding experiment: half of the trials of its months see the checklist, which helps them to convert.
    month = months.of(signed_up)
    enrolled = ~before & (begins == TRIAL) & (month >= company.at(0.45)) & (month < company.at(0.75))
    treated = chance.uniform("checklist arm", who) < 0.5
    checklist = np.where(enrolled, np.where(treated, 2, 1), 0)
    engagement = chance.normal("engagement", who)
    odds = 0.1 + 0.35 * engagement + np.array([0.15, -0.35, 0.2, 0.45])[channel] + 0.1 * (plan == plans.TEAM)
    odds = odds + np.where(checklist == 2, company.checklist_effect, 0.0)
    converts = (begins == TRIAL) & (chance.uniform("converts", who) < 1 / (1 + np.exp(-odds)))
    start = signed_up + np.where(begins == TRIAL, TRIAL_DAYS * DAY, 0)

    paid = plan > plans.FREE
    monthly = interval == plans.MONTH
    u = chance.uniform("discount", who)
    forever = np.where(
        paid & (u < 0.06), np.array([1000, 1500, 2000, 2500])[chance.pick("depth", [3, 3, 3, 1], who)], 0
    )
    limited = np.where(paid & (u > 0.87) & monthly, np.where(u > 0.95, 5000, 2500), 0)
    metered = monthly & (plan >= plans.TEAM) & (chance.uniform("metered", who) < 0.10)
    return People(
        who=who,
        before=before,
        signed_up=signed_up,
        country=country,
        currency=np.array([plans.CURRENCIES.index(c.currency) for c in COUNTRIES])[country],
        offset=offset,
        tax=np.array([c.tax_basis_points for c in COUNTRIES])[country],
        language=np.where(
            chance.uniform("language", who) < 0.12,
            0,
            np.array([LANGUAGES.index(c.language) for c in COUNTRIES])[country],
        ),
        channel=channel,
        industry=chance.pick("industry", [0.2, 0.22, 0.16, 0.12, 0.1, 0.13, 0.07], who),
        owner=np.where(plan >= plans.TEAM, chance.pick("owner", np.ones(len(OWNERS)), who), -1),
        is_test=chance.uniform("test", who) < 0.004,
        begins=begins,
        converts=converts,
        start=start,
        plan=plan,
        interval=interval,
        seats=seats,
        discount_forever=forever,
        discount_limited=limited,
        discount_months=np.array([3, 6, 12])[chance.pick("discount months", [5, 3, 2], who)],
        add_on=paid & (chance.uniform("add-on", who) < np.array([0, 0.05, 0.14, 0.30])[plan]),
        metered=metered,
        committed=metered & (chance.uniform("committed", who) < 0.3),
        by_card=chance.uniform("by card", who) < np.array([1, 0.97, 0.88, 0.45])[plan],
        network=chance.pick("network", [0.52, 0.33, 0.08, 0.07], who),
        funding=chance.pick("funding", [0.52, 0.42, 0.06], who),
        card_month=np.maximum(month, -2) + 2 + np.floor(44 * chance.uniform("card expiry", who)).astype(np.int64),
        engagement=engagement,
        contacts=1 + np.minimum(seats - 1, chance.pick("contacts", [0.4, 0.3, 0.2, 0.1], who)),
        checklist=checklist,
    )
