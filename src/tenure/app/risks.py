"""Who leaves next, what is at stake, why, and until when can one act? What `tenure risk` answers.

Every live customer has a probability within the horizon from the model in service (or, where none is, everybody's base
rate by tenure, said so); who has a scheduled cancellation is listed as leaving and not scored. The whole answer is
written to the table `scores`, once however often one asks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.app.fitting import days_of, looked_at, name_of
from tenure.app.model_files import ModelFiles, StoredModel
from tenure.errors import BadInput, CannotFit, Failed
from tenure.kernel.money import exponent, is_currency

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts
    from tenure.predict.contract_value import ContractValue
    from tenure.predict.features import Told
    from tenure.predict.reasons import Reason

    Real = NDArray[np.float64]

ORDERS = ("probability", "loss")
WEEK = 7
KEYS = (
    "customer_id", "name", "state", "as_of", "horizon", "probability", "voluntary", "involuntary", "unknown",
    "change_7d", "mrr", "currency", "value", "expected_loss", "act_by", "ends_on", "held_out", "reasons",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Risks:
    """The answer; everything about customers is in order of their rank.

    table: customer_id, probability and its causes, change_7d, mrr and value (minor units), currency, expected_loss,
    act_by, held_out, one row per scored customer; leaving: customer_id, ends_at, mrr, currency; model: the version in
    service, None where everybody has the base rate; says: what a reader must know.
    """

    as_of: date
    horizon: str
    model: str
    version: str
    in_service: bool
    table: pa.Table
    leaving: pa.Table
    says: tuple[str, ...]
    names: Mapping[str, str]
    facts_of: Callable[[Sequence[int], str], list[list[tuple[str, Any, float]]]] = field(repr=False)

    def rows(self, top: int | None = None, language: str = "en") -> list[dict[str, Any]]:
        """Who is scored, the first `top` of them, and then who is leaving already; see KEYS.

        Money as Decimals in major units; reasons: a list of {reason, value, contribution}, strongest first.
        """
        count = self.table.num_rows if top is None else min(top, self.table.num_rows)
        part = self.table.slice(0, count)
        told = self.facts_of(range(count), language)
        found = []
        for row, reasons in zip(part.to_pylist(), told, strict=True):
            digits = exponent(row["currency"]) if row["currency"] and is_currency(row["currency"]) else 2
            money = {
                name: None if row[name] is None else _major(row[name], digits)
                for name in ("mrr", "value", "expected_loss")
            }
            found.append(
                {
                    **dict.fromkeys(KEYS),
                    **row,
                    **money,
                    "name": self.names.get(row["customer_id"]),
                    "state": "scored",
                    "as_of": self.as_of,
                    "horizon": self.horizon,
                    "reasons": [
                        {"reason": text, "value": value, "contribution": round(part, 6)}
                        for text, value, part in reasons
                    ],
                }
            )
        return [{key: row[key] for key in KEYS} for row in found] + self._leaving()

    def _leaving(self) -> list[dict[str, Any]]:
        found = []
        for row in self.leaving.to_pylist():
            digits = exponent(row["currency"]) if row["currency"] and is_currency(row["currency"]) else 2
            found.append(
                {
                    **dict.fromkeys(KEYS),
                    "customer_id": row["customer_id"],
                    "name": self.names.get(row["customer_id"]),
                    "state": "leaving",
                    "as_of": self.as_of,
                    "horizon": self.horizon,
                    "mrr": None if row["mrr"] is None else _major(row["mrr"], digits),
                    "currency": row["currency"],
                    "ends_on": row["ends_on"],
                    "reasons": [],
                }
            )
        return found

    def chart(self, language: str = "en", top: int = 15) -> Any:
        """The first customers' chances as a picture, with what moves each most; see charts.risks."""
        from tenure.charts.risks import risk_list

        return risk_list([row for row in self.rows(top, language) if row["state"] == "scored"], language)

    def expected(self) -> float:
        """How many of the scored customers are expected to leave within the horizon."""
        return float(np.asarray(self.table.column("probability")).sum())


def risks(
    shop: Workspace,
    *,
    horizon: str = "30d",
    as_of: str | None = None,
    order: str = "probability",
    engine: str | None = None,
    save: bool = True,
    threads: int = 0,
) -> Risks:
    """Everybody's probability of leaving within the horizon as of a day, as known then; see the module.

    order: `probability`, or `loss` (probability x lifetime value at stake, in one currency). save: write to `scores`.
    Raises CannotFit where no model was ever made.
    """
    if order not in ORDERS:
        raise BadInput(f"customers are in order of {' or '.join(ORDERS)}, not of '{order}'")
    days_of(horizon)
    facts, day = looked_at(shop, as_of, engine)
    stored, in_service = _model(shop, horizon, threads)
    model = stored.model if in_service else stored.simplest
    from tenure.predict.at_stake import act_by, of_each
    from tenure.predict.features import features
    from tenure.predict.features_training import scored
    from tenure.predict.left_alone import is_held_out

    refused = dict(stored.facts["refused"])
    static = tuple(stored.facts["static"])
    told = features(facts, facts.known_before, shop.definition(), static=static, refused=refused)
    scores = scored(model, told.table, stored.features, stored.horizon)
    said = (
        []
        if in_service
        else [f"No model is in service, so everybody has the base rate by tenure: {stored.facts['reason']}."]
    )
    if in_service and stored.as_of > facts.known_before:
        said.append(
            f"The model has learned from what came after {day} too; for a fair look back use `tenure backtest`."
        )
    before = _week_before(facts, shop, stored, model, static, refused)
    ids = scores.column("customer_id").to_pylist()
    probability = np.asarray(scores.column("probability"), dtype=np.float64)
    change = np.array([probability[i] - before.get(name, np.nan) for i, name in enumerate(ids)])
    mrr = _numbers(told.table, "mrr")
    currencies = (
        told.table.column("currency").to_pylist() if "currency" in told.table.column_names else [None] * len(ids)
    )
    contract, doubt = contract_at_stake(shop, facts, day)
    said += [doubt] if doubt else []
    value = np.full(len(ids), np.nan)
    if contract is not None:
        value = of_each(contract, ids, currencies, float(shop.assumptions.margin))
    # Who pays nothing is worth nothing that is known.
    value = np.where(np.isnan(value) & (mrr == 0), 0.0, value)
    loss = probability * value
    place = _order(order, probability, loss, currencies, shop, facts, day)
    ahead = _days_ahead(told, stored.horizon)
    renewal = _numbers(told.table, "renewal_days")
    lead = shop.settings.lead_days
    due = [
        act_by(day, None if np.isnan(renewal[i]) else float(renewal[i]), int(ahead[i]), lead) for i in range(len(ids))
    ]
    import pyarrow as pa

    def number(values: Real) -> pa.Array:
        return pa.array(values, mask=~np.isfinite(values))

    table = pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            **{name: scores.column(name) for name in ("probability", "voluntary", "involuntary", "unknown")},
            "change_7d": number(change),
            "mrr": number(mrr),
            "currency": pa.array(currencies, pa.string()),
            "value": number(value),
            "expected_loss": number(loss),
            "act_by": pa.array(due, pa.date32()),
            "held_out": pa.array(is_held_out(ids, float(shop.settings.hold_out)).tolist(), pa.bool_()),
        }
    ).take(pa.array(place))
    name, version = stored.name, stored.version if in_service else f"{stored.version}-base-rate"
    found = Risks(
        day,
        horizon,
        name,
        version,
        in_service,
        table,
        _leaving(told, facts),
        tuple(said),
        _names(facts),
        _speaker(stored, model, told, place),
    )
    if save and table.num_rows:
        _save(shop, found, facts.known_before)
    return found


def _model(shop: Workspace, horizon: str, threads: int) -> tuple[StoredModel, bool]:
    """The model in service, or the newest one that is not, whose base rate stands instead."""
    files, name = ModelFiles(shop.folder), name_of(horizon)
    version = files.in_service().get(name)
    if version is not None:
        return files.read(name, version, threads), True
    known = files.versions(name)
    if not known:
        raise CannotFit(f"no model of {horizon} was made yet; `tenure fit` makes one from what is loaded")
    return files.read(name, known[-1], threads), False


def _week_before(
    facts: Facts, shop: Workspace, stored: StoredModel, model: Any, static: tuple[str, ...], refused: dict[str, str]
) -> dict[str, float]:
    """What the same model said a week before, of what was known then."""
    from tenure.predict.features import features, known_as_of
    from tenure.predict.features_training import scored

    earlier = facts.known_before - timedelta(days=WEEK)
    try:
        told = features(known_as_of(facts, earlier), earlier, shop.definition(), static=static, refused=refused)
    except BadInput:
        return {}
    scores = scored(model, told.table, stored.features, stored.horizon)
    return dict(zip(scores.column("customer_id").to_pylist(), scores.column("probability").to_pylist(), strict=True))


def contract_at_stake(shop: Workspace, facts: Facts, day: date) -> tuple[ContractValue | None, str]:
    """What contracts are worth as of a day, as `tenure value` has it; None, and why, where nothing tells how long."""
    from tenure.predict.at_stake import under_contract

    cut, yearly = day + timedelta(days=1), float(shop.assumptions.discount_rate)
    try:
        contract = under_contract(facts, shop.definition(), cut, yearly)
    except (BadInput, CannotFit) as error:
        return None, f"What customers are worth is not known: {error}."
    return contract, "".join(f"At stake: {note}." for note in contract.staying.notes[:1])


def in_one_currency(
    shop: Workspace, facts: Facts, day: date, amounts: Real, currencies: Sequence[str | None]
) -> tuple[Real, str | None]:
    """Minor units of several currencies as major units of the reporting one (or the only one), at a day's rates.

    Also the currency; None, and the amounts as NaN, where there are several and none is set, or a rate is missing.
    """
    from tenure.lake.portable import day_number
    from tenure.measure.currencies import SCALE, Conversion

    several = sorted({each for each in currencies if each})
    reporting = shop.settings.currency or (several[0] if len(several) == 1 else None)
    if reporting is None:
        return np.full(len(amounts), np.nan), None
    rates = Conversion.of(facts, reporting)
    units = {each: rates.unit(each, day_number(day)) for each in several}
    if any(unit is None for unit in units.values()):
        return np.full(len(amounts), np.nan), None
    factor = {each: int(unit or 0) / SCALE / 10 ** exponent(reporting) for each, unit in units.items()}
    return amounts * np.array([factor.get(each, np.nan) if each else np.nan for each in currencies]), reporting


def _order(
    order: str,
    probability: Real,
    loss: Real,
    currencies: Sequence[str | None],
    shop: Workspace,
    facts: Facts,
    day: date,
) -> NDArray[np.int64]:
    same, currency = in_one_currency(shop, facts, day, loss, currencies)
    if order == "loss":
        if currency is None and len(loss):
            told = ", ".join(sorted({each for each in currencies if each}))
            raise BadInput(
                f"customers pay in {told}, and what is at stake has no order across currencies: set `currency` in "
                "tenure.toml and load rates, or use --order probability"
            )
        return np.argsort(-np.nan_to_num(same, nan=-1.0), kind="stable").astype(np.int64)
    return np.lexsort((-np.nan_to_num(same, nan=-1.0), -probability)).astype(np.int64)


def _days_ahead(told: Told, horizon: int | str) -> NDArray[np.int64]:
    from tenure.predict.features_periods import days_ahead

    return days_ahead(told.table, horizon)


def _leaving(told: Told, facts: Facts) -> pa.Table:
    import pyarrow as pa

    leaving = told.leaving
    ends = [
        None if each is None else each.astimezone(facts.timezone).date()
        for each in leaving.column("ends_at").to_pylist()
    ]
    count = leaving.num_rows

    def of(name: str, kind: Any) -> Any:
        return leaving.column(name).cast(kind) if name in leaving.column_names else pa.nulls(count, kind)

    found = pa.table(
        {
            "customer_id": leaving.column("customer_id"),
            "ends_on": pa.array(ends, pa.date32()),
            "mrr": of("mrr", pa.float64()),
            "currency": of("currency", pa.string()),
        }
    )
    return found.sort_by([("ends_on", "ascending"), ("customer_id", "ascending")])


def _names(facts: Facts) -> dict[str, str]:
    """What customers are called, where that is told."""
    if facts.lacks("customers", "name"):
        return {}
    st = facts.statement()
    known = facts.latest(st, "customers", ("customer_id", "name"), step="names_of_customers")
    found = facts.engine.table(st.render(f"SELECT customer_id, name FROM {known} WHERE name IS NOT NULL"))
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))


def _speaker(
    stored: StoredModel, model: Any, told: Told, place: NDArray[np.int64]
) -> Callable[[Sequence[int], str], list[list[tuple[str, Any, float]]]]:
    """What answers the strongest facts of some customers, by rank: (sentence, value, contribution) each."""
    from tenure.predict.features_catalogue import BY_NAME
    from tenure.predict.reasons import sentence, spoken

    features = {feature.name: feature for feature in stored.features}
    features.setdefault("tenure_days", BY_NAME["tenure_days"])

    def facts_of(ranks: Sequence[int], language: str) -> list[list[tuple[str, Any, float]]]:
        rows = told.table.take(place[list(ranks)])
        reasons: list[tuple[Reason, ...]] = spoken(model, rows, stored.features, stored.horizon)
        found = []
        for row, each in zip(rows.to_pylist(), reasons, strict=True):
            currency = row.get("currency")
            found.append(
                [(sentence(one, features, row, language, currency), one.value, one.contribution) for one in each]
            )
        return found

    return facts_of


def _save(shop: Workspace, found: Risks, as_of: datetime) -> None:
    """The scores as facts, loaded as any file is: what is there already is not loaded again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenure.connect.files import load

    table, count = found.table, found.table.num_rows
    now = datetime.now(UTC)
    stamp = pa.timestamp("us", tz="UTC")
    minor = np.array(
        [10.0 ** (exponent(c) if c and is_currency(c) else 2) for c in table.column("currency").to_pylist()]
    )
    value = np.asarray(table.column("value").cast("double").fill_null(np.nan)) / minor
    columns = {
        "model": pa.array([found.model] * count),
        "customer_id": table.column("customer_id"),
        "as_of": pa.array([as_of] * count, stamp),
        "horizon": pa.array([found.horizon] * count),
        **{name: table.column(name) for name in ("probability", "voluntary", "involuntary")},
        "value": pa.array(np.round(value, 2), mask=~np.isfinite(value)),
        "model_version": pa.array([found.version] * count),
        "recorded_at": pa.array([now] * count, stamp),
    }
    with tempfile.TemporaryDirectory(prefix="tenure-scores-") as scratch:
        file = Path(scratch) / f"{found.model}.parquet"
        pq.write_table(pa.table(columns), file, compression="zstd")
        report = load(
            shop.lake,
            "scores",
            file,
            mapping={},
            timezone=shop.settings.timezone,
            currency=shop.settings.currency,
            now=now,
        )
    if report.quarantined:
        raise Failed(
            f"{report.quarantined} scores could not be stored: {report.reasons}; `tenure quarantine` shows them"
        )


def _numbers(table: pa.Table, name: str) -> Real:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).cast("double").fill_null(np.nan), dtype=np.float64)


def _major(minor: float, digits: int) -> Decimal:
    """Minor units as an amount in major units, to the currency's digits."""
    return Decimal(minor).scaleb(-digits).quantize(Decimal(1).scaleb(-digits))
