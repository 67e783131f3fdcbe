"""Customers whose chance to leave in every month is known, because we chose it: for judging what learns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Known:
    """Rows of one customer and one month: what was known at its start, and the true chance of each cause within it."""

    X: dict[str, np.ndarray[Any, Any]]
    age: np.ndarray[Any, Any]
    month: np.ndarray[Any, Any]
    customer: np.ndarray[Any, Any]
    outcome: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]  # (rows, 2): voluntary, involuntary

    def where(self, rows: np.ndarray[Any, Any]) -> Known:
        """Only these rows."""
        told = {name: column[rows] for name, column in self.X.items()}
        return Known(told, self.age[rows], self.month[rows], self.customer[rows], self.outcome[rows], self.truth[rows])

    @property
    def left(self) -> np.ndarray[Any, Any]:
        """Who left in the row's month."""
        return self.outcome != ""


def simulate(customers: int, months: int, seed: int, strength: float = 1.0) -> Known:
    """Customers who sign up all along and are watched month by month until they leave or the months end.

    Leaving depends on tenure, on usage that moves slowly, on tickets, plan, price against usage, and on failed payments
    (involuntary); `strength` 0 makes everybody alike. Some usage is unknown, for no reason that matters.
    """
    rng = np.random.default_rng(seed)
    joined = rng.integers(-12, months, customers)
    plan = rng.choice(["basic", "team", "pro"], customers, p=[0.5, 0.3, 0.2])
    seats = rng.integers(1, 30, customers).astype(float)
    region = np.array([f"r{i}" for i in rng.integers(0, 40, customers)])
    lean = np.where(plan == "basic", 0.5, np.where(plan == "pro", -0.5, 0.0))
    usage = rng.normal(0.0, 1.0, customers)
    here = np.ones(customers, dtype=bool)
    rows: list[tuple[Any, ...]] = []
    for month in range(-12, months):
        usage = 0.8 * usage + 0.6 * rng.normal(0.0, 1.0, customers)
        tickets = rng.poisson(0.4, customers).astype(float)
        failed = (rng.random(customers) < 0.06).astype(float)
        age = (month - joined).astype(float)
        score = -1.0 * usage + 0.6 * np.minimum(tickets, 3) + lean + 0.5 * np.where(age < 3, 1.0, 0.0)
        score = score + 0.8 * ((usage < -0.5) & (seats > 15))
        by_choice = 1 / (1 + np.exp(-(-3.6 + strength * score)))
        by_card = 0.004 + strength * 0.15 * failed
        total = 1 - (1 - by_choice) * (1 - by_card)
        now = here & (joined <= month)
        gone = now & (rng.random(customers) < total)
        chosen = rng.random(customers) < by_choice / (by_choice + by_card)
        outcome = np.where(gone, np.where(chosen, "voluntary", "involuntary"), "")
        if month >= 0:
            seen = np.flatnonzero(now)
            shown = np.where(rng.random(customers) < 0.03, np.nan, usage)
            truth = np.column_stack([total * by_choice, total * by_card]) / (by_choice + by_card)[:, None]
            each = (shown, tickets, failed, seats, plan, region, age, np.full(customers, month), outcome)
            rows.append((*(column[seen] for column in each), seen, truth[seen]))
        here &= ~gone
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    names = ("usage", "tickets", "failed", "seats", "plan", "region")
    X = dict(zip(names, columns[:6], strict=True))
    return Known(X, columns[6], columns[7], columns[9], columns[8], columns[10])
