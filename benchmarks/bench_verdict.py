"""Is the verdict right? Made-up companies whose causes are known, the verdict on each, and what it missed.

    python benchmarks/bench_verdict.py                                       10 companies, about 3 minutes
    python benchmarks/bench_verdict.py --companies 200 --out rows.csv        the full table; goes on where it stopped
    python benchmarks/bench_verdict.py --companies 0 --out rows.csv          the table of what is there already

Worlds: `mixed` (each cause absent in one company of four, else half to twice as strong as the simulator's default),
`planted` (nothing but one segment that the product does not suit, four to eight times as badly as by default), `null` (no effect of any kind), `confounded` (unhappy
customers leave more and are sent more mail, which does nothing). Asked are the last 18 of 30 months. The truth of a share
is the mean of each leaver's own shares in the hazard as it was drawn; the truth of a change's effect is the sum of its
part in all chances to decide within the study's months. The survey's shares are the stated reasons as counted, of those
lost by choice; failed payments are taken from billing, as for the verdict. Seeds are fixed: company n is the same in
every run.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

WORLDS = ("mixed", "planted", "null", "confounded")
KEYS = ("world", "seed", "kind", "name", "truth", "value", "low", "high", "survey")
TABLES = (
    "customers", "traits", "changes", "change_exposures", "rates", "subscription_states", "usage", "tickets", "answers",
    "touches", "competitor_offers", "exposures",
)  # fmt: skip
SINCE, UNTIL, KNOWN = "2025-01", "2026-06", "2026-06-30"
# Causes of which the facts hold something; circumstance and unknown leave none.
LEAVE_EVIDENCE = ("experience", "contact", "price", "quality", "support", "fit", "competition", "change")
HUNTERS = ("segments", "journey", "behaviour", "support", "surveys")
STUDIED = {"price": "chg_price", "quality": "chg_incident", "change": "chg_removal"}
PLANTED = "trait industry=events"
Row = dict[str, Any]


def company(world: str, seed: int, customers: int) -> Any:
    """The company of a world and seed."""
    from tenure.simulate import Company
    from tenure.simulate.hazards import Causes

    settings: dict[str, Any] = {"customers": customers, "seed": seed, "causes_first": True}
    if world == "null":
        return Company.null(**settings)
    if world == "confounded":
        return Company.confounded(**settings)
    chance = np.random.default_rng([seed, WORLDS.index(world)])
    if world == "planted":
        return Company(causes=replace(Causes.none(), fit=float(chance.uniform(4.0, 8.0))), unevenness=0.0, **settings)
    names = list(Causes.__dataclass_fields__)
    strengths = np.where(chance.random(len(names)) < 0.25, 0.0, chance.uniform(0.5, 2.0, len(names)))
    return Company(causes=Causes(**dict(zip(names, strengths.tolist(), strict=True))), **settings)


class Effects:
    """What each change did, written down while the company is simulated: expected decisions within the study's months."""

    def __init__(self) -> None:
        self.expected: dict[str, float] = {}

    def __enter__(self) -> Effects:
        from tenure.explain.changes import AFTER, AS_MONTH, WEEK_US
        from tenure.simulate import hazards
        from tenure.simulate.decisions import Decisions

        self._original = original = Decisions._truth_of_leaving
        expected = self.expected

        def recorded(
            self: Any, w: Any, m: int, t0: Any, rows: Any, at_end: Any, now: Any, ended: Any, decides: Any
        ) -> None:
            original(self, w, m, t0, rows, at_end, now, ended, decides)
            if m < 0:
                return
            told = {
                "price": self.events.price_announced, "quality": self.events.incident_told, "change": self.events.removal_announced,
            }  # fmt: skip
            start = t0[w]
            length = np.maximum(self.anchor(m + 1, w) - start, 1)
            chances = (at_end + now) * (1 - self.may_fail[w]) + self.may_give_up[w]
            share = rows / rows.sum(axis=0) * ~self.p.is_test[w]
            for cause, begins in told.items():
                inside = np.clip((begins + AFTER * AS_MONTH * WEEK_US - start) / length, 0, 1)
                number = hazards.CAUSES.index(cause)
                expected[cause] = expected.get(cause, 0.0) + float((share[number] * chances * inside).sum())

        Decisions._truth_of_leaving = recorded  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        from tenure.simulate.decisions import Decisions

        Decisions._truth_of_leaving = self._original  # type: ignore[method-assign]


def asked(world: str, seed: int, customers: int) -> Iterator[Row]:
    """One company: simulated, loaded, asked, and what came of it beside the truth."""
    import pyarrow.parquet as pq

    import tenure
    from tenure.simulate import write

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        with Effects() as effects:
            files = write(company(world, seed, customers), Path(folder) / "facts")
        shop = tenure.open(Path(folder) / "shop", create=True, currency="USD")
        for table in TABLES:
            for file in files[table]:
                shop.load(table, file)
        made = time.perf_counter()
        period = {"since": SINCE, "until": UNTIL, "known_on": KNOWN}
        verdict = shop.why("verdict", **period)
        judged = time.perf_counter()
        row = {"world": world, "seed": seed}
        yield from ({**row, **one} for one in _shares(verdict, pq.read_table(files["truth_leavers"])))
        hunters = HUNTERS if world in ("null", "planted") else ("segments",)
        findings = {method: shop.why(method, **period).findings for method in hunters}
        yield from ({**row, **one} for one in _effects(verdict, effects.expected))
        for one in findings["segments"]:
            if one.stands:
                yield {
                    **row,
                    "kind": "segment",
                    "name": one.name,
                    "truth": float(one.name == PLANTED),
                    "value": one.estimate.value,
                }
        # That who pays yearly can leave once a year only is no effect, though it makes a spike.
        stands = [one for found in findings.values() for one in found if one.stands and not one.more.get("opportunity")]
        yield {**row, "kind": "reported", "name": "anything", "value": float(verdict.reported or bool(stands))}
        if world == "null":
            yield from ({**row, "kind": "stands", "name": f"{one.method}: {one.name}"} for one in stands)
        shop.close()
    yield {**row, "kind": "seconds", "name": "simulate and load", "value": made - began}
    yield {**row, "kind": "seconds", "name": "verdict", "value": judged - made}


def _shares(verdict: Any, truth: Any) -> Iterator[Row]:
    """Shares of the verdict beside those that are true and those that leavers state."""
    left = np.array([str(at)[:10] for at in truth.column("left_at").to_pylist()])
    inside = (left >= "2025-01-01") & (left < "2026-07-01")
    stated = {cause: count for cause, count in verdict.says.items() if cause != "involuntary"}
    spoke = sum(stated.values())
    involuntary = verdict["involuntary"].customers.value or 0.0
    for one in verdict.causes:
        held = np.asarray(truth.column(f"share_{one.cause}"), dtype=float)[inside]
        said = (
            involuntary if one.cause == "involuntary" else (1 - involuntary) * stated.get(one.cause, 0) / max(spoke, 1)
        )
        yield {
            "kind": "share", "name": one.cause, "truth": float(held.mean()), "value": one.customers.value,
            "low": one.customers.low, "high": one.customers.high, "survey": said,
        }  # fmt: skip


def _effects(verdict: Any, expected: dict[str, float]) -> Iterator[Row]:
    extra = {} if verdict.studied is None else verdict.studied.extra
    for cause, change in STUDIED.items():
        if change in extra:
            found = extra[change]
            yield {
                "kind": "effect", "name": change, "truth": expected.get(cause, 0.0), "value": found.value,
                "low": found.low, "high": found.high,
            }  # fmt: skip


def _number(text: Any) -> float | None:
    return None if text in (None, "") else float(text)


def _held(rows: Iterable[Row]) -> tuple[int, int]:
    told = [row for row in rows if row["low"] is not None and row["truth"] is not None]
    return sum(row["low"] - 1e-9 <= row["truth"] <= row["high"] + 1e-9 for row in told), len(told)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def tell(rows: list[Row]) -> None:
    """Prints the tables."""
    by: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by[row["world"], row["kind"]].append(row)
    shares = by["mixed", "share"]
    companies = len({row["seed"] for row in shares})
    if shares:
        print(f"{companies} mixed companies. Errors in points, coverage of the 90 % intervals in %.\n")
        print(
            "| cause | mean share | mean absolute error | bias | of the survey | coverage | said although absent | missed |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        names = list(dict.fromkeys([*LEAVE_EVIDENCE, *(row["name"] for row in shares)]))
        groups = [(name, [row for row in shares if row["name"] == name]) for name in names]
        groups.append(("those that leave evidence", [row for row in shares if row["name"] in LEAVE_EVIDENCE]))
        groups.append(("all", shares))
        for name, mine in groups:
            truth, value, survey = (np.array([row[key] for row in mine]) for key in ("truth", "value", "survey"))
            absent = [row for row in mine if row["truth"] == 0]
            there = [row for row in mine if row["truth"] > 0.01]
            told = [
                f"{100 * truth.mean():.1f}", f"{100 * np.abs(value - truth).mean():.2f}", f"{100 * (value - truth).mean():+.2f}",
                f"{100 * np.abs(survey - truth).mean():.2f}", _percent(*_held(mine)),
                f"{sum(row['value'] > 0 for row in absent)} of {len(absent)}",
                f"{sum(row['value'] <= 0 for row in there)} of {len(there)}",
            ]  # fmt: skip
            print(f"| {name} | {' | '.join(told)} |")
        print()
    effects = [row for world in WORLDS for row in by[world, "effect"]]
    if effects:
        held, count = _held(effects)
        print(f"event studies: 95 % intervals hold the truth in {_percent(held, count)} % of {count} effects")
        for change in STUDIED.values():
            mine = [row for row in effects if row["name"] == change]
            off = np.array([row["value"] - row["truth"] for row in mine])
            held, count = _held(mine)
            print(
                f"  {change}: {_percent(held, count)} % of {count}; mean truth {np.mean([row['truth'] for row in mine]):.1f} decisions, mean error {off.mean():+.1f}"
            )
    planted = {row["seed"] for row in by["planted", "reported"]}
    if planted:
        found = by["planted", "segment"]
        hits = len({row["seed"] for row in found if row["truth"]})
        right = sum(row["truth"] == 1 for row in found)
        print(
            f"planted segment: found in {hits} of {len(planted)} companies; of {len(found)} segments that were named {right} are it"
        )
    for world in ("null", "confounded"):
        told = by[world, "reported"]
        if told:
            named = defaultdict(int)
            for row in by[world, "share"]:
                if row["value"] > 0 and row["name"] not in ("involuntary", "unknown"):
                    named[row["name"]] += 1
            says = ", ".join(f"{name} {count}" for name, count in sorted(named.items())) or "none"
            print(
                f"{world}: {sum(row['value'] > 0 for row in told)} of {len(told)} companies report anything; causes in the verdict: {says}"
            )
    seconds = [row for world in WORLDS for row in by[world, "seconds"] if row["name"] == "verdict"]
    if seconds:
        print(f"a verdict took {np.median([row['value'] for row in seconds]):.1f} s (median)")


def main() -> None:
    """Asks and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, default=10, help="of each world (10)")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS), help="which (all)")
    parser.add_argument("--customers", type=int, default=5_000, help="of each company (5000)")
    parser.add_argument("--first", type=int, default=1_000, help="the first seed (1000)")
    parser.add_argument("--out", type=Path, help="a CSV for the rows; what is in it is not asked again")
    arguments = parser.parse_args()
    rows: list[Row] = []
    if arguments.out is not None and arguments.out.exists():
        with arguments.out.open(newline="") as file:
            rows = [
                {**row, **{key: _number(row[key]) for key in KEYS[4:]}, "seed": int(row["seed"])}
                for row in csv.DictReader(file)
            ]
    done = {(row["world"], row["seed"]) for row in rows if row["kind"] == "seconds"}
    rows = [row for row in rows if (row["world"], row["seed"]) in done]
    for seed in range(arguments.first, arguments.first + arguments.companies):
        for world in arguments.worlds:
            if (world, seed) in done:
                continue
            told = [dict.fromkeys(KEYS) | row for row in asked(world, seed, arguments.customers)]
            rows += told
            if arguments.out is not None:
                is_new = not arguments.out.exists()
                with arguments.out.open("a", newline="") as file:
                    writer = csv.DictWriter(file, KEYS)
                    if is_new:
                        writer.writeheader()
                    writer.writerows(told)
            print(f"{world} {seed} done", flush=True)
    tell(rows)


if __name__ == "__main__":
    main()
