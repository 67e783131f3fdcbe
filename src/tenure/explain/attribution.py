"""Which share of the leaving does each cause get, with what evidence? The parts of the verdict, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.explain.changes import Studied
from tenure.explain.evidence import CHANGED, EVIDENCE, Counted
from tenure.explain.excess import FLOOR, Cells, Excess
from tenure.explain.findings import Strength
from tenure.explain.leavers import Left, money
from tenure.explain.saying import Heard, heard
from tenure.explain.stated import Stated, causes_of
from tenure.kernel.stats import NO_ESTIMATE, Estimate, normal_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

LEVEL = 0.90
CAUSES = (
    "experience", "contact", "price", "quality", "support", "fit", "competition", "change", "circumstance", "involuntary",
    "unknown",
)  # fmt: skip
SETTLES = {
    "experience": "an experiment that helps some, chosen by chance, of those whose use falls",
    "contact": "an experiment that leaves some, chosen by chance, without the mail, or calls some of those nobody writes to",
    "price": "a price test, or the next rise announced to a part first",
    "quality": "credits or a call for some, chosen by chance, after the next incident",
    "support": "answering some tickets first, chosen by chance",
    "fit": "asking those of the segment who left; a trial of what they miss for some of those who stay",
    "competition": "exit interviews; an offer for some, chosen by chance",
    "change": "announcing the next change to a part first",
    "circumstance": "interviews with those who left (`tenure why follow-up`)",
    "involuntary": "the payments themselves: nothing is open",
    "unknown": "interviews with those who left, and more facts of what happened to them",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for or against a cause: how it was asked, what was found, among how many."""

    method: str
    finding: str
    n: int

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"method": self.method, "finding": self.finding, "n": self.n}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause's part in the leaving.

    customers, mrr: shares with a 90 % interval; mrr is None in all parts where money cannot be summed. avoidable: of the
    customers lost, the share who would have stayed without it; None where nothing can tell. strength: of its strongest
    evidence, None without any. withheld: why no share is given although something was found.
    """

    cause: str
    customers: Estimate
    mrr: Estimate
    avoidable: float | None
    strength: Strength | None
    evidence: tuple[Evidence, ...]
    settles: str
    withheld: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "cause": self.cause,
            "customers_share": self.customers.value, "low": self.customers.low, "high": self.customers.high,
            "mrr_share": self.mrr.value, "mrr_low": self.mrr.low, "mrr_high": self.mrr.high,
            "avoidable": self.avoidable, "strength": None if self.strength is None else self.strength.words,
            "evidence": [one.as_json() for one in self.evidence], "settles": self.settles, "withheld": self.withheld,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Verdict:
    """Why they left; see the module.

    causes: in the order of their shares, unknown last; says: what leavers name, by cause, as it was said and corrected by
    nothing; reported: whether anything at all was found beyond chance; fit: the hazard it rests on.
    """

    first: date
    after: date
    left: Left
    causes: tuple[Cause, ...]
    says: Mapping[str, int]
    speaking: Heard | None
    notes: tuple[str, ...]
    each: tuple[dict[str, Any], ...] = field(repr=False, default=())
    fit: Fitted | None = field(repr=False, default=None)
    sql: str = field(repr=False, default="")

    @property
    def studied(self) -> Studied | None:
        """The event studies it rests on."""
        return None if self.fit is None else self.fit.studied

    @property
    def reported(self) -> bool:
        """Whether any cause beside failed payments was found."""
        return any((one.customers.value or 0) > 0 for one in self.causes if one.cause not in ("involuntary", "unknown"))

    def __getitem__(self, cause: str) -> Cause:
        """One cause's part."""
        return next(one for one in self.causes if one.cause == cause)

    def as_json(self) -> dict[str, Any]:
        """As plain values, money in major units."""
        lost = money(self.left.total, self.left.currency)
        return {
            "period_start": self.first.isoformat(), "period_end": self.after.isoformat(),
            "customers_lost": len(self.left.people), "mrr_lost": None if lost is None else str(lost),
            "currency": self.left.currency, "interval": LEVEL, "causes": [one.as_json() for one in self.causes],
            "says": dict(self.says), "notes": list(self.notes),
        }  # fmt: skip

    def customers(self) -> list[dict[str, Any]]:
        """Who was lost: customer_id, left_at, mrr, and the probable causes of each with the facts for them."""
        return [dict(row) for row in self.each]

    def chart(self, language: str = "en") -> Any:
        """A picture: each cause's share of the customers lost, with its interval, the unknown as large as it is."""
        from tenure.charts.explaining import shares
        from tenure.text import Taxonomy

        names = Taxonomy.load()
        rows = [
            {"label": names[one.cause].name(language), "share": one.customers.value, "low": one.customers.low,
             "high": one.customers.high, "unknown": one.cause == "unknown"}
            for one in self.causes
        ]  # fmt: skip
        return shares(rows, language)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learned of the hazard, and what must not be said although it stands.

    withheld: cause -> why; segments: those that stand, of what a customer is; agrees: whether those who left while a
    rival was cheaper speak of rivals more often, None where nobody can be compared; studied: the event studies.
    """

    counted: Counted
    excess: Excess
    withheld: Mapping[str, str]
    segments: tuple[str, ...]
    studied: Studied


@dataclass(frozen=True, eq=False)
class _Matched:
    """The leavers who chose to go, with the row of their decision: place among the people, row of the leavers' cells."""

    person: NDArray[np.int64]
    row: NDArray[np.int64]


def attributed(
    left: Left,
    says: Sequence[Stated],
    speakers: Mapping[int, str],
    fit: Fitted | None,
    past_due: frozenset[int],
    notes: Sequence[str],
) -> Verdict:
    """The verdict from its parts. past_due: places among the people who went without a word while a payment was open."""
    n = len(left.people)
    weights = {"customers": np.ones(n), "mrr": _mrr(left)}
    hows = np.array(["involuntary" if i in past_due else one.how for i, one in enumerate(left.people)])
    shares = np.zeros((n, len(CAUSES)))
    involuntary = hows == "involuntary"
    shares[involuntary, CAUSES.index("involuntary")] = 1
    matched = _matched(left, hows, fit)
    names: list[str] = []
    speaking: Heard | None = None
    hidden_error: dict[str, float] = {}
    if fit is not None and len(matched.row):
        cells = _taken(fit.counted.leavers, matched.row)
        names, parts = _parts(fit, cells)
        shares[matched.person[:, None], [CAUSES.index(_cause(name)) for name in names]] = 0
        for name, part in parts.items():
            shares[matched.person, CAUSES.index(_cause(name))] += part
        speaking, hidden_error = _words(shares, matched, speakers, [_cause(name) for name in names], fit)
    shares[:, CAUSES.index("unknown")] += 1 - shares.sum(axis=1)
    told: list[Cause] = []
    estimates: dict[str, dict[str, Estimate]] = {}
    for unit, weight in weights.items():
        estimates[unit] = _estimates(shares, weight, matched, fit, names, speaking, hidden_error, involuntary, hows)
    for cause in CAUSES:
        told.append(
            _told(
                cause,
                estimates["customers"][cause],
                estimates["mrr"][cause],
                left,
                says,
                speakers,
                fit,
                speaking,
                names,
            )
        )
    order = sorted(told, key=lambda one: (one.cause == "unknown", -(one.customers.value or 0)))
    each = tuple(_each(left, says, shares, fit, matched, i) for i in range(n))
    return Verdict(
        left.first, left.after, left, tuple(order), causes_of(says), speaking, tuple(dict.fromkeys(notes)), each,
        fit, fit.counted.sql if fit is not None else "",
    )  # fmt: skip


def _cause(name: str) -> str:
    """The cause that a part of the hazard speaks for: a segment of what customers are speaks of fit."""
    return name if name in CAUSES else "fit"


def _mrr(left: Left) -> Real | None:
    if left.currency is None or any(one.mrr is None for one in left.people):
        return None
    found = np.array([float(one.mrr or 0) for one in left.people])
    return found if found.sum() > 0 else None


def _taken(cells: Cells, rows: NDArray[np.int64]) -> Cells:
    return Cells(
        cells.base[rows], cells.evidence[rows], cells.term[rows], cells.weeks[rows], cells.left[rows], cells.nearness
    )


def _matched(left: Left, hows: NDArray[Any], fit: Fitted | None) -> _Matched:
    """Each leaver by choice with the latest decision of his that was counted before he left."""
    if fit is None:
        return _Matched(np.empty(0, np.int64), np.empty(0, np.int64))
    table, cuts = fit.counted.table, fit.counted.months.cuts
    rows: dict[str, list[tuple[datetime, int]]] = {}
    for i, (customer, cut) in enumerate(
        zip(table.column("customer_id").to_pylist(), table.column("cut").to_pylist(), strict=True)
    ):
        rows.setdefault(customer, []).append((cuts[cut].start, i))
    person, row = [], []
    for i, one in enumerate(left.people):
        before = [place for start, place in rows.get(one.customer_id, ()) if start <= one.left_at]
        if before and hows[i] in ("voluntary", "unknown"):
            person.append(i)
            row.append(
                before[-1]
                if len(before) == 1
                else max(before, key=lambda place: cuts[table.column("cut")[place].as_py()].start)
            )
    return _Matched(np.array(person, dtype=np.int64), np.array(row, dtype=np.int64))


def _parts(fit: Fitted, cells: Cells) -> tuple[list[str], dict[str, Real]]:
    """The parts of the hazard that may be said, of each cell."""
    every = fit.excess.parts(cells)
    names = [name for name in every if _cause(name) not in fit.withheld]
    return names, {name: every[name] for name in names}


def _words(
    shares: Real, matched: _Matched, speakers: Mapping[int, str], causes: Sequence[str], fit: Fitted
) -> tuple[Heard | None, dict[str, float]]:
    """Shares out what no evidence explains by what is said, as far as words can be trusted; in place.

    Answers the model and the error of each hidden cause's share in the rest.
    """
    causes = list(dict.fromkeys(causes))
    labels = [cause for cause in CAUSES if cause != "involuntary"]
    rows = [i for i in matched.person.tolist() if speakers.get(i) in labels]
    if not rows:
        return None, {}
    hidden = [cause for cause in labels if cause not in causes and cause not in fit.withheld and cause != "unknown"]
    prior = shares[np.array(rows)][:, [CAUSES.index(cause) for cause in causes]] if causes else np.zeros((len(rows), 0))
    named = np.array([labels.index(speakers[i]) for i in rows])
    model = heard(prior, named, causes, [*hidden, "unknown"], labels)
    if model is None:
        return None, {}
    stands = [cause for cause in hidden if model.p[cause] * len(hidden) < HEARD_BELOW]
    rest = np.clip(1 - shares[matched.person].sum(axis=1), 0, 1)
    errors = {}
    for cause in stands:
        shares[matched.person, CAUSES.index(cause)] += model.hidden[cause] * rest
        errors[cause] = float(model.draws[:, list(model.hidden).index(cause)].std())
    return model, errors


HEARD_BELOW = 0.05
# What evidence that is measured roughly adds to a share's error, of the share itself (a ticket's wait, use seen by weeks):
# so large that intervals hold on simulated companies other than those of the benchmark's table.
ROUGH = 0.2
EVENT_BELOW = 0.05  # p of an event study that confirms what the association says


def _estimates(
    shares: Real,
    weight: Real | None,
    matched: _Matched,
    fit: Fitted | None,
    names: Sequence[str],
    speaking: Heard | None,
    hidden_error: Mapping[str, float],
    involuntary: NDArray[np.bool_],
    hows: NDArray[Any],
) -> dict[str, Estimate]:
    """Each cause's share with its interval, leavers weighing `weight`; all None without a weight."""
    if weight is None:
        return dict.fromkeys(CAUSES, NO_ESTIMATE)
    total = float(weight.sum())
    z = normal_quantile(LEVEL)
    value = {cause: float((shares[:, i] * weight).sum() / total) for i, cause in enumerate(CAUSES)}
    variance = dict.fromkeys(CAUSES, 0.0)
    could: dict[str, float] = {}
    all_variance = 0.0
    if fit is not None and len(matched.row) and weight[matched.person].sum() > 0:
        cells = _taken(fit.counted.leavers, matched.row)
        here = weight[matched.person]
        part = float(here.sum()) / total
        _, covariance = fit.excess.shares(cells, here)
        order = list(fit.excess.columns)
        kept = [order.index(name) for name in names]
        owners = [_cause(name) for name in names]
        for cause in set(owners):
            mine = [kept[i] for i, owner in enumerate(owners) if owner == cause]
            rough = (ROUGH * value[cause]) ** 2
            variance[cause] += part**2 * float(covariance[np.ix_(mine, mine)].sum()) + rough
            all_variance += rough
        all_variance += part**2 * float(covariance[np.ix_(kept, kept)].sum())
        rest = sum(value[cause] for cause in hidden_error) + _rest(shares, matched, here) / total
        for cause, error in hidden_error.items():
            variance[cause] += (error * rest) ** 2
            all_variance += (error * rest) ** 2
        could = _could(fit, cells, here, z, total)
        if speaking is not None:
            for i, cause in enumerate(speaking.hidden):
                if cause not in TESTED:
                    upper = float(np.quantile(speaking.draws[:, i], 0.5 + LEVEL / 2))
                    could[cause] = max(upper, z * speaking.least_error(cause)) * rest
    found = {}
    for cause in CAUSES:
        reach = z * variance[cause] ** 0.5
        low, high = value[cause] - reach, value[cause] + reach
        if cause == "involuntary":
            silent = (hows == "unknown") & ~involuntary
            high = value[cause] + float((weight * silent).sum()) / total
        elif cause == "unknown":
            # What causes without a share could be is not known to be unknown.
            reach = z * all_variance**0.5
            hidden = sum(most for name, most in could.items() if value[name] <= 0)
            low, high = value[cause] - reach - hidden, value[cause] + reach
        elif value[cause] <= 0:
            # What could have been missed; where nothing was looked at, all that is unknown.
            low, high = 0.0, could.get(cause, value["unknown"])
        found[cause] = Estimate(max(0.0, value[cause]), max(0.0, low), min(1.0, max(0.0, high)))
    return found


# Causes whose evidence sets customers beside others of the same time: what it could have missed has a bound.
TESTED = ("experience", "contact", "price", "quality", "support", "change")


def _rest(shares: Real, matched: _Matched, weight: Real) -> float:
    """How much of the leaving by choice nothing explains."""
    return float((np.clip(shares[matched.person][:, CAUSES.index("unknown")], 0, None) * weight).sum())


def _could(fit: Fitted, cells: Cells, weight: Real, z: float, total: float) -> dict[str, float]:
    """Of each cause that is not said although its evidence was looked at: how much it could be at most."""
    base, scale, slopes = fit.excess.hazards(cells)
    inside = [column for held in fit.excess.columns.values() for column in held]
    h = np.maximum(base + scale * (cells.evidence[:, inside] @ slopes), FLOOR * base)
    found: dict[str, float] = {}
    for one in fit.excess.tried:
        cause = _cause(one.cause)
        columns = fit.counted.columns.get(one.cause) or fit.counted.segments.get(one.cause) or []
        if cause == "competition" or not columns or (one.stands and cause not in fit.withheld):
            continue
        exposure = float((weight * scale * cells.evidence[:, columns].sum(axis=1) / h).sum()) / total
        # Of many segments the one that could hide most.
        found[cause] = max(found.get(cause, 0.0), max(0.0, one.slope) * exposure + z * one.error * exposure)
    return found


def _told(
    cause: str,
    customers: Estimate,
    mrr: Estimate,
    left: Left,
    says: Sequence[Stated],
    speakers: Mapping[int, str],
    fit: Fitted | None,
    speaking: Heard | None,
    names: Sequence[str],
) -> Cause:
    """One cause with its evidence by method."""
    evidence: list[Evidence] = []
    strength: Strength | None = None
    avoidable: float | None = None
    withheld = None if fit is None else fit.withheld.get(cause)
    if cause == "involuntary":
        n = sum(one.how == "involuntary" for one in left.people)
        evidence.append(Evidence("payments", "the subscription ended because a payment failed for good", n))
    if fit is not None:
        for one in fit.excess.tried:
            if _cause(one.cause) != cause:
                continue
            columns = fit.counted.columns.get(one.cause) or fit.counted.segments.get(one.cause) or []
            gone = int((fit.counted.leavers.evidence[:, columns].sum(axis=1) > 0).sum())
            what = EVIDENCE.get(one.cause, f"customers with {one.cause}")
            if one.stands:
                evidence.append(
                    Evidence(
                        "drivers" if one.cause in CAUSES else "segments",
                        f"left more {_when(what)} (p {_p(one.adjusted_p)}, all tries counted)",
                        gone,
                    )
                )
                strength = max(strength or Strength.association, Strength.association)
            elif one.cause in CAUSES:
                evidence.append(
                    Evidence(
                        "drivers",
                        f"did not leave more than chance explains {_when(what)} (p {_p(one.adjusted_p)})",
                        gone,
                    )
                )
        if cause in fit.counted.missing:
            evidence.append(Evidence("drivers", fit.counted.missing[cause], 0))
        extra, passes, owners = 0.0, False, [_cause(name) for name in names]
        for finding in fit.studied.findings:
            if finding.cause != cause:
                continue
            if finding.more["passed"] and finding.p is not None:
                word = "more" if (finding.estimate.value or 0) > 0 else "no more"
                evidence.append(
                    Evidence(
                        "journey",
                        f"{finding.en} {word} left than beside {finding.more['beside']} (p {_p(finding.p)}); checks passed",
                        finding.customers,
                    )
                )
                if cause in owners and word == "more" and finding.p < EVENT_BELOW:
                    strength, passes = Strength.event_study, True
                    at = date.fromisoformat(finding.more["announced_on"])
                    extra += max(0.0, finding.more["extra"]) if left.first <= at < left.after else 0.0
            else:
                evidence.append(
                    Evidence("journey", f"{finding.en}: {finding.reason or 'checks not passed'}", finding.customers)
                )
        if passes and extra:
            avoidable = min(1.0, extra / len(left.people))
    stated = sum(one.cause == cause for one in says)
    if stated and cause not in ("involuntary", "unknown"):
        evidence.append(
            Evidence(
                "surveys",
                f"{stated:,} of {sum(one.cause is not None for one in says):,} who say something name it",
                stated,
            )
        )
        if speaking is not None and cause in speaking.hidden and (customers.value or 0) > 0:
            strength = Strength.stated
            evidence.append(
                Evidence(
                    "surveys",
                    f"of those who say why, {speaking.honest:.0%} name what made them leave; by that measure it is more than loose talk",
                    speaking.speakers,
                )
            )
    return Cause(cause, customers, mrr, avoidable, strength, tuple(evidence), SETTLES[cause], withheld)


def _when(what: str) -> str:
    return what if what.startswith(("within", "among", "customers")) else f"with {what}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


_FACTS = {
    "price": "told of a change of the price", "quality": "touched by an incident", "change": "touched by a removal or a new policy",
    "slow": "a ticket waited more than a day, lately", "stale": "a ticket waited more than a day, some weeks before",
    "slowish": "a ticket waited half a day, lately", "bulk": "one play several times in two weeks",
    "silent": "no message for weeks and nobody in charge", "low": "little use, beside others like him", "rival": "a rival was cheaper",
}  # fmt: skip
_CAUSE_OF_FACT = {
    **{name: name for name in CHANGED}, "slow": "support", "stale": "support", "slowish": "support", "bulk": "contact",
    "silent": "contact", "low": "experience", "rival": "competition",
}  # fmt: skip


def _each(
    left: Left, says: Sequence[Stated], shares: Real, fit: Fitted | None, matched: _Matched, i: int
) -> dict[str, Any]:
    """One leaver: the probable causes, the likeliest first, with the facts for each."""
    one = left.people[i]
    facts: dict[str, list[str]] = {}
    place = np.flatnonzero(matched.person == i)
    if fit is not None and len(place):
        row = fit.counted.table.slice(int(matched.row[place[0]]), 1).to_pylist()[0]
        facts_ = {name: row[f"e_{name}"] for name in _FACTS}
        for name, value in facts_.items():
            if value:
                facts.setdefault(_CAUSE_OF_FACT[name], []).append(_FACTS[name])
    if says[i].cause is not None:
        facts.setdefault(str(says[i].cause), []).append(f"says: {says[i].said}" if says[i].said else "says so")
    if one.how == "involuntary":
        facts.setdefault("involuntary", []).append("the payment failed for good")
    likely = np.clip(shares[i], 0, None)
    likely = likely / likely.sum() if likely.sum() else likely
    causes = [
        {"cause": CAUSES[k], "chance": round(float(likely[k]), 4), "facts": facts.get(CAUSES[k], [])}
        for k in np.argsort(-likely, kind="stable").tolist()
        if likely[k] > 0.005 or CAUSES[k] in facts
    ]
    mrr = money(one.mrr, one.currency)
    return {
        "customer_id": one.customer_id, "left_at": one.left_at.isoformat(), "mrr": None if mrr is None else str(mrr),
        "currency": one.currency, "says": says[i].cause, "causes": causes, "texts": list(says[i].text_ids),
    }  # fmt: skip
