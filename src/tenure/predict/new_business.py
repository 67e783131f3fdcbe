"""How many will come next month? The level of a monthly count that wanders, and how far it may go.

A count of each month (new customers; tickets, per customer) is taken as a level plus chance, and the level itself as a
walk: the forecast is an average of past months, the recent ones weighing more the more the level has wandered. It may
have grown as well, by so much a month, which goes on and fades (`DAMPED` of it is left each month). How much it wanders
and grows is not known: each of `WALKS` with each of `GROWTHS` is weighed by how likely it makes the months that were
seen, and draws are made from all of them. Chance is at least that of a Poisson count. There is no season in it.
Sources: Muth 1960; Harvey 1989, the local level model; Gardner & McKenzie 1985, the damped trend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]

# Variance of a month's step of the level, over that of a month's chance.
WALKS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 4.0)
# Growth a month, and how likely it is before any month was seen: half of all say that there is none.
GROWTHS = {-0.04: 0.03, -0.02: 0.07, -0.01: 0.15, 0.0: 0.5, 0.01: 0.15, 0.02: 0.07, 0.04: 0.03}
DAMPED = 0.95
_WIDEST_STEP = 0.25  # of the level, in a month


@dataclass(frozen=True, eq=False)
class MonthlyLevel:
    """Where a monthly count stands, per unit of exposure, and what is not known of it.

    level: the mean over all ways to see it; levels, errors, weights, walks, growths: of each way, its mean, standard
    error and probability, and what it is; noise: variance of a month's rate at mean exposure by chance; exposure: the
    mean one; months: how many were seen.
    """

    level: float
    levels: Real
    errors: Real
    weights: Real
    walks: Real
    growths: Real
    noise: float
    exposure: float
    months: int

    @classmethod
    def of(cls, counts: ArrayLike, exposures: ArrayLike | None = None, may_grow: bool = True) -> MonthlyLevel:
        """What these months tell, the oldest first. exposures: what each count grows with, such as customers.

        may_grow: whether growth is looked for. Months without exposure tell nothing. Of no month at all the level is 0,
        and nothing is known.
        """
        count = np.asarray(counts, dtype=np.float64)
        e = np.ones(len(count)) if exposures is None else np.asarray(exposures, dtype=np.float64)
        count, e = count[e > 0], e[e > 0]
        prior = GROWTHS if may_grow else {0.0: 1.0}
        walks = np.tile(WALKS, len(prior))
        growths, before = (np.repeat(list(each), len(WALKS)) for each in (prior, prior.values()))
        if not len(count):
            nothing = np.zeros(len(walks))
            return cls(0.0, nothing, nothing, np.full(len(walks), 1 / len(walks)), walks, growths, 0.0, 1.0, 0)
        rate, mean_e = count / e, float(e.mean())
        # A count of nothing in so many months still allows for half a one.
        total = max(float(count.sum()), 0.5)
        back = np.arange(len(rate)) - (len(rate) - 1)
        told, log_likelihood = [], np.empty(len(walks))
        for i, (walk, growth) in enumerate(zip(walks, growths, strict=True)):
            # As if all months were the last one: what grew is scaled up, and its chance with it.
            scale = np.exp(-growth * back)
            poisson = total / float((e / scale).sum()) / mean_e
            told.append(_filtered(rate * scale, mean_e / e * scale, walk, poisson))
            log_likelihood[i] = told[-1][2] + float(np.log(scale[1:]).sum())
        weights = before * np.exp(log_likelihood - log_likelihood.max())
        weights /= weights.sum()
        levels = np.maximum([each[0] for each in told], 0.0)
        errors = np.sqrt([each[1] * each[3] for each in told])
        noise = float(weights @ [each[3] for each in told])
        return cls(float(weights @ levels), levels, errors, weights, walks, growths, noise, mean_e, len(count))

    def scaled(self, factor: float) -> MonthlyLevel:
        """The same, so many times as high, and as uncertain in proportion."""
        return MonthlyLevel(
            self.level * factor, self.levels * factor, self.errors * factor, self.weights, self.walks, self.growths,
            self.noise * factor**2, self.exposure, self.months,
        )  # fmt: skip

    @property
    def growth(self) -> float:
        """How much it grows a month now, the mean of what is likely."""
        return float(self.weights @ self.growths)

    def expected(self, ahead: int) -> Real:
        """The level of each of the next months."""
        return np.asarray((self.weights * self.levels) @ np.exp(self.growths[:, None] * _faded(ahead)))

    @property
    def excess(self) -> float:
        """Variance of a month's count by chance over its mean: 1 where it is Poisson."""
        return max(self.noise * self.exposure / self.level, 1.0) if self.level > 0 else 1.0

    def paths(self, rng: np.random.Generator, many: int, ahead: int) -> Real:
        """Levels of the next months in so many worlds: (world, month), each with the mean of its walk."""
        walk = rng.choice(len(self.walks), many, p=self.weights)
        mean, error = self.levels[walk], self.errors[walk]
        level = np.where(mean > 0, mean, self.level)
        spread = np.where(level > 0, error / np.maximum(level, 1e-300), 0.0)
        # Gamma: a level is never below nothing. The draw is made for all, so that no walk moves another's chance.
        shape = 1 / np.maximum(spread, 1e-6) ** 2
        start = level * rng.gamma(shape, 1 / shape)
        step = np.sqrt(self.walks[walk] * self.noise) / np.maximum(level, 1e-300)
        step = np.minimum(step, _WIDEST_STEP)[:, None]
        moved = np.cumsum(rng.normal(size=(many, ahead)) * step - step**2 / 2, axis=1)
        return np.asarray(start[:, None] * np.exp(moved + self.growths[walk][:, None] * _faded(ahead)))

    def counts(self, rng: np.random.Generator, expected: Real) -> Any:
        """Whole counts around what is expected, as much apart as months were: Poisson, or Gamma-Poisson."""
        more = self.excess - 1
        if more > 1e-9:
            shape = np.maximum(expected / more, 1e-12)
            expected = rng.gamma(shape, more)
        return rng.poisson(expected)


def _faded(ahead: int) -> Real:
    """So many months' growth has come together by each of the next months."""
    return np.cumsum(DAMPED ** np.arange(1, ahead + 1))


def _filtered(rate: Real, noise: Real, walk: float, poisson: float) -> tuple[float, float, float, float]:
    """Kalman's filter of a walk: the last level, its variance over that of chance, log-likelihood, and chance."""
    level, variance = float(rate[0]), float(noise[0])
    surprises, sizes = [], []
    for i in range(1, len(rate)):
        variance += walk
        size = variance + float(noise[i])
        surprise = float(rate[i]) - level
        gain = variance / size
        level += gain * surprise
        variance *= 1 - gain
        surprises.append(surprise)
        sizes.append(size)
    if not surprises:
        return level, variance, 0.0, poisson
    v, f = np.array(surprises), np.array(sizes)
    chance = max(float((v**2 / f).mean()), poisson)
    return level, variance, -0.5 * float((np.log(chance * f) + v**2 / (chance * f)).sum()), chance
