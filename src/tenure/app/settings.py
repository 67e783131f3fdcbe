"""What does this company want? The settings of a workspace, from its tenure.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from tenure.errors import BadConfiguration, NoWorkspace, TenureError, UnknownName
from tenure.kernel.money import is_currency
from tenure.kernel.time import zone

FILE = "tenure.toml"
TEMPLATE = """\
# The workspace's settings. Everything has a default; remove the # of a line to change it.
{company}
{timezone}
{currency}
# profile = "tenure"              # which definition of churn
# margin = 0.80                   # gross margin, for lifetime value
# discount_rate = 0.10            # a year, for lifetime value
# spend_lag_months = 0            # how long before customers come the money was spent that won them
# inactivity_window = "90d"       # days (d) or weeks (w) without a purchase; else chosen from the gaps
# grace_days = 30                 # until when after its day a renewal may still come
# committed_months = 12           # how far ahead committed MRR looks at what is signed and what is leaving
# hold_out = 0.10                 # share of customers, drawn by lot, whom nobody treats: what predictions learn from
# treating_plays = []             # plays whose touches treat, though they carry no arm ("check-in")
# tickets_per_agent = 40          # tickets that one agent answers a month; else as seen
# lead_days = 7                   # how long before it matters one must act
# contact_cost = 4.00             # of one contact, in the reporting currency [default: 0.5 % of a customer's value]
# offer_cost = 40.00              # of an offer that is taken [default: 5 % of a customer's value]
# contacts_a_month = 50           # how many customers can be contacted in a month
# static_columns = []             # columns of customers that never change: country, language, channel
# engine = "duckdb"               # or "spark"
# memory_limit = "4GB"            # of DuckDB

# [definition]                    # changes to the profile; docs/explanation/movements.md
# pause_months = 6
# past_due_days = 0
# gap_days = 0
# grouping_minutes = 60
# limited_discount = "ignored"

# [targets]                       # by metric, of a month; `tenure metrics` and the report show the distance
# customer_churn_rate = 0.02
# nrr_12m = 1.05
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """A workspace's settings; see TEMPLATE for what each means."""

    company: str = ""
    timezone: str = "UTC"
    currency: str | None = None
    profile: str = "tenure"
    margin: float = 0.8
    discount_rate: float = 0.1
    spend_lag_months: int = 0
    grace_days: int = 30
    committed_months: int = 12
    hold_out: float = 0.1
    treating_plays: list[str] = field(default_factory=list)
    tickets_per_agent: float | None = None
    lead_days: int = 7
    contact_cost: float | None = None
    offer_cost: float | None = None
    contacts_a_month: int | None = None
    static_columns: list[str] = field(default_factory=list)
    inactivity_window: str | int | None = None
    engine: str = "duckdb"
    memory_limit: str | None = None
    made_up: bool = False
    definition: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    told: tuple[str, ...] = ()  # the settings that the file makes; all others are the defaults


_TYPES: dict[str, type | tuple[type, ...]] = {
    "company": str,
    "timezone": str,
    "currency": str,
    "profile": str,
    "margin": (int, float),
    "discount_rate": (int, float),
    "spend_lag_months": int,
    "grace_days": int,
    "committed_months": int,
    "hold_out": (int, float),
    "treating_plays": list,
    "tickets_per_agent": (int, float),
    "lead_days": int,
    "contact_cost": (int, float),
    "offer_cost": (int, float),
    "contacts_a_month": int,
    "static_columns": list,
    "inactivity_window": (str, int),
    "engine": str,
    "memory_limit": str,
    "made_up": bool,
    "definition": dict,
    "targets": dict,
}


def write(folder: Path, company: str = "", timezone: str = "UTC", currency: str | None = None, extra: str = "") -> Path:
    """Writes a new tenure.toml with a comment for everything that can be set; an existing one is left alone."""
    path = folder / FILE
    if not path.exists():

        def line(key: str, value: str | None, default: str) -> str:
            return f'{key} = "{value}"' if value else f'# {key} = "{default}"'

        company = company.replace("\\", "\\\\").replace('"', '\\"')
        text = TEMPLATE.format(
            company=line("company", company, "Your name"),
            timezone=line("timezone", timezone, "Asia/Bangkok"),
            currency=line("currency", currency, "USD"),
        )
        path.write_text(extra + text, encoding="utf-8")
    return path


def read(folder: Path) -> Settings:
    """The settings in a workspace's folder.

    Raises NoWorkspace without a tenure.toml, BadConfiguration with the line or name that is wrong.
    """
    path = folder / FILE
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise NoWorkspace(
            f"{folder} is not a workspace: it has no {FILE}. Make one with `tenure init {folder}`, "
            "or name another with -w or TENURE_WORKSPACE"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: {error}; correct that line") from error
    for key, value in raw.items():
        if key not in _TYPES:
            raise BadConfiguration(f"{path}: {UnknownName.of('setting', key, _TYPES)}")
        if not isinstance(value, _TYPES[key]) or (isinstance(value, bool) and key != "made_up"):
            raise BadConfiguration(f"{path}: {key} = {value!r} is of the wrong type")
    settings = Settings(**raw, told=tuple(raw))
    try:
        zone(settings.timezone)
    except TenureError as error:
        raise BadConfiguration(f"{path}: {error}") from error
    if settings.currency is not None and not is_currency(settings.currency):
        raise BadConfiguration(f"{path}: currency = '{settings.currency}' is not an ISO 4217 code such as USD or THB")
    if not 0 < settings.margin <= 1:
        raise BadConfiguration(
            f"{path}: margin = {settings.margin} is no gross margin: write it as a share above 0 and at most 1, "
            "such as 0.80 for 80 %"
        )
    if not 0 <= settings.discount_rate <= 1:
        raise BadConfiguration(
            f"{path}: discount_rate = {settings.discount_rate} is no yearly rate: write it as a share from 0 to 1, "
            "such as 0.10 for 10 % a year"
        )
    if not 0 <= settings.spend_lag_months <= 24:
        raise BadConfiguration(
            f"{path}: spend_lag_months = {settings.spend_lag_months}: give whole months from 0 to 24"
        )
    if not 0 <= settings.hold_out <= 0.5:
        raise BadConfiguration(
            f"{path}: hold_out = {settings.hold_out}: give the share of customers whom nobody treats, from 0 to 0.5"
        )
    if not 0 <= settings.lead_days <= 90:
        raise BadConfiguration(f"{path}: lead_days = {settings.lead_days}: give whole days from 0 to 90")
    if settings.tickets_per_agent is not None and not (
        isfinite(settings.tickets_per_agent) and settings.tickets_per_agent > 0
    ):
        raise BadConfiguration(
            f"{path}: tickets_per_agent = {settings.tickets_per_agent}: give the tickets that one agent answers a month"
        )
    for key in ("contact_cost", "offer_cost", "contacts_a_month"):
        amount = getattr(settings, key)
        if amount is not None and not (isfinite(amount) and amount >= (1 if key == "contacts_a_month" else 0)):
            raise BadConfiguration(f"{path}: {key} = {amount}: give an amount, such as {key} = 50")
    for key in ("treating_plays", "static_columns"):
        if not all(isinstance(name, str) for name in getattr(settings, key)):
            raise BadConfiguration(f'{path}: {key} is a list of names, such as ["check-in"]')
    if settings.inactivity_window is not None:
        from tenure.measure.purchase_gaps import window_days

        try:
            window_days(settings.inactivity_window)
        except TenureError as error:
            raise BadConfiguration(f"{path}: inactivity_window: {error}") from error
    if not 0 <= settings.grace_days <= 365:
        raise BadConfiguration(f"{path}: grace_days = {settings.grace_days}: give whole days from 0 to 365")
    if not 1 <= settings.committed_months <= 60:
        raise BadConfiguration(
            f"{path}: committed_months = {settings.committed_months}: give whole months from 1 to 60"
        )
    for name, target in settings.targets.items():
        from tenure.measure.catalogue import metric  # only who has targets waits for the catalogue

        try:
            metric(name)
        except UnknownName as error:
            raise BadConfiguration(f"{path}: [targets]: {error}") from error
        if isinstance(target, bool) or not isinstance(target, int | float) or not isfinite(target):
            raise BadConfiguration(f"{path}: the target of {name} must be a number, not {target!r}")
    return settings
