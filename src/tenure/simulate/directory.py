"""Who is who? Customers, their names in other systems, their people and their traits, with corrections and merges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenure.simulate import people, plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.lives import Lives
from tenure.simulate.months import DAY, HOUR, NEVER, SECOND
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words

ROLES = ("champion", "admin", "billing", "user")
SYSTEMS = ("billing", "product", "helpdesk")
_PREFIX = ("acct", "ws", "org")


def directory(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance, mistakes: float
) -> Iterator[tuple[str, pa.Table]]:
    """The tables `customers`, `identities`, `contacts` and `traits` of a chunk."""
    yield "customers", _customers(lives, names, clerk, chance, mistakes)
    yield from _identities(lives, names, clerk, chance)
    yield "contacts", _contacts(lives, names, clerk, chance)
    yield from _traits(lives, names, clerk, chance)


def _customers(lives: Lives, names: Names, clerk: Clerk, chance: Chance, mistakes: float) -> pa.Table:
    """Two versions where something was put right: an owner found, a language corrected, a double entry merged.

    Only customers who never paid are merged into another: somebody signed up twice.
    """
    p = lives.people
    n = len(p.who)
    recorded = clerk.recorded("customer", p.who, 0, p.signed_up)
    lot = chance.uniform("customer put right", p.who)
    unpaid = ~lives.alive.any(axis=1) & (p.begins == people.TRIAL) & (p.who > 0)
    merged = unpaid & (lot < 0.02 * mistakes)
    wrong_language = ~merged & (lot < 0.03 * mistakes) & (p.language > 0)
    no_owner = ~merged & (lot > 1 - 0.05 * mistakes) & (p.owner >= 0)
    fixed = clerk.later("customer put right at", p.who, 0, recorded, 3, 60)
    again = np.flatnonzero((merged | wrong_language | no_owner) & (fixed < clerk.end))
    is_first = np.zeros(n, bool)
    is_first[again] = True
    # Into somebody who was there before: numbers are given in order of sign-up.
    target = np.minimum((chance.uniform("merged into", p.who) * p.who).astype(np.int64), p.who - 1)
    rows = np.concatenate([np.arange(n), again])
    second = np.arange(len(rows)) >= n
    is_old = is_first[rows] & ~second
    take = pa.array(rows)
    numbers = [f"{number + 1:04d}" for number in p.who.tolist()]
    templates = [country.name for country in people.COUNTRIES]
    called = pa.array([templates[c].format(number) for c, number in zip(p.country.tolist(), numbers, strict=True)])
    into = pa.array([f"cus_{number + 1:07d}" for number in target[rows].tolist()])
    return sheet(
        "customers",
        len(rows),
        customer_id=names.customer(rows),
        name=called.take(take),
        email=joined("billing.", names.numbers, "@made-up.example", between="").take(take),
        country=words([c.code for c in people.COUNTRIES], p.country[rows]),
        language=words(people.LANGUAGES, np.where(is_old & wrong_language[rows], 0, p.language[rows])),
        timezone=words([c.timezone for c in people.COUNTRIES], p.country[rows]),
        currency=words(plans.CURRENCIES, p.currency[rows]),
        signed_up_at=p.signed_up[rows],
        channel=words(people.CHANNELS, p.channel[rows]),
        owner=words(people.OWNERS, np.where(is_old & no_owner[rows], -1, p.owner[rows])),
        merged_into=pc.if_else(pa.array(second & merged[rows]), into, pa.nulls(len(rows), pa.string())),
        is_test=p.is_test[rows],
        recorded_at=np.where(second, fixed[rows], recorded[rows]),
        version=1 + second.astype(np.int64),
    )


def _identities(lives: Lives, names: Names, clerk: Clerk, chance: Chance) -> Iterator[tuple[str, pa.Table]]:
    p = lives.people
    for system, (name, prefix) in enumerate(zip(SYSTEMS, _PREFIX, strict=True)):
        # The help desk knows nine in ten.
        known = np.flatnonzero((system != 2) | (chance.uniform("known to help desk", p.who) < 0.91))
        since = p.signed_up[known]
        yield (
            "identities",
            sheet(
                "identities",
                len(known),
                system=name,
                external_id=joined(prefix, names.number(known)),
                customer_id=names.customer(known),
                valid_from=since,
                recorded_at=clerk.recorded("identity", p.who[known], system, since, late=0.01),
            ),
        )


def _contacts(lives: Lives, names: Names, clerk: Clerk, chance: Chance) -> pa.Table:
    p = lives.people
    who = np.repeat(np.arange(len(p.who)), p.contacts)
    person = np.arange(len(who)) - np.repeat(np.cumsum(p.contacts) - p.contacts, p.contacts)
    joined_at = p.signed_up[who] + person * (
        5 * DAY + (25 * DAY * chance.uniform("joins", p.who[who], person)).astype(np.int64)
    )
    joined_at = joined_at // SECOND * SECOND
    keep = np.flatnonzero(joined_at < clerk.end)
    who, person, joined_at = who[keep], person[keep], joined_at[keep]
    left = np.where(person == 0, lives.contact_left[who], NEVER)
    left = np.where(left < clerk.end, left, NEVER)
    return sheet(
        "contacts",
        len(who),
        contact_id=joined("con", names.number(who), person + 1),
        customer_id=names.customer(who),
        role=words(ROLES, person),
        joined_at=joined_at,
        left_at=left,
        recorded_at=clerk.recorded("contact", p.who[who], person, joined_at, late=0.01),
    )


def _traits(lives: Lives, names: Names, clerk: Clerk, chance: Chance) -> Iterator[tuple[str, pa.Table]]:
    """industry (undated), employees (dated at sign-up, sometimes again later) and cluster (undated)."""
    p = lives.people
    n = len(p.who)
    everyone = np.arange(n)
    cluster = (chance.uniform("cluster", p.who) < 0.4).astype(np.int64)
    for trait, value, draw in (
        ("industry", words(people.INDUSTRIES, p.industry), 1),
        ("cluster", words(("A", "B"), cluster), 2),
    ):
        recorded = clerk.recorded("trait", p.who, draw, np.maximum(p.signed_up + 2 * HOUR, clerk.start))
        yield (
            "traits",
            sheet(
                "traits",
                n,
                customer_id=names.customers,
                trait=trait,
                value=value,
                is_dated=np.zeros(n, bool),
                recorded_at=recorded,
            ),
        )
    spread = np.exp(0.9 * chance.normal("employees", p.who))
    employees: Numbers = np.floor(2 + 3.0 * np.maximum(p.seats, 2) * spread)
    later = (
        p.signed_up
        + 200 * DAY
        + (300 * DAY * chance.uniform("counted again", p.who)).astype(np.int64) // SECOND * SECOND
    )
    again = np.flatnonzero((chance.uniform("counts again", p.who) < 0.2) & (later < clerk.end))
    growth = np.exp(0.25 * chance.normal("grows", p.who))
    for rows, at, number in (
        (everyone, p.signed_up, employees),
        (again, later[again], np.floor(employees * growth + 1)[again]),
    ):
        band = np.searchsorted([10, 50, 200], number, side="right")
        yield (
            "traits",
            sheet(
                "traits",
                len(rows),
                customer_id=names.customer(rows),
                trait="employees",
                effective_at=at,
                value=words(people.SIZES, band),
                number=number,
                is_dated=np.ones(len(rows), bool),
                recorded_at=clerk.recorded("trait", p.who[rows], 3, at),
            ),
        )
