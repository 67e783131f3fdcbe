"""What they say and why they left are two things: how often does one tell of the other, and what follows for the rest?

    model = heard(prior, named, causes, hidden)
    model.honest        of those who say something of why: how many name what made them leave
    model.hidden        of the leaving that no evidence explains: the share of each cause that only words tell of

Each leaver's chances of the causes with evidence come from the hazard, before a word was read. Whoever says something
names his cause with the chance `honest`, else any cause with the chances `loose`, which are the same for all: so causes
with evidence teach how much words are worth, and that is applied to causes of which only words tell. Who says nothing
tells nothing: whether people answer must not depend on why they left (`answered` shows whether it seems to). Fitted by
expectation and maximisation; errors by the bootstrap over those who spoke.

Sources: Dawid & Skene 1979 (latent truth and its confusion); Little & Rubin 2002, chapter 1 (who does not answer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

ENOUGH = 25.0  # expected speakers whose cause has evidence: fewer teach nothing of what words are worth
_ROUNDS = 200
_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Heard:
    """What words are worth; see the module.

    honest: a share, with its error; loose: chance of each of `labels` from who does not name his cause; hidden: share of
    each hidden cause in what no evidence explains (they sum to one, `unknown` among them), with the covariance of the
    draws; p: that the hidden cause is none; speakers: how many said something of why.
    """

    labels: tuple[str, ...]
    honest: float
    honest_error: float
    loose: Real
    hidden: dict[str, float]
    draws: Real
    p: dict[str, float]
    speakers: int
    posterior: Real  # [speaker, cause with evidence + hidden cause]
    spoken: dict[str, int]  # how many name each label

    def least_error(self, cause: str) -> float:
        """The error that the share of a hidden cause has at least: those who name it are a count, and 0 is a boundary."""
        known = self.posterior.shape[1] - len(self.hidden)
        rest = float(self.posterior[:, known:].sum())
        return max(1.0, self.spoken.get(cause, 0)) ** 0.5 / max(self.honest * rest, 1.0)


def heard(
    prior: Real, named: Whole, causes: Sequence[str], hidden: Sequence[str], labels: Sequence[str], seed: int = 0
) -> Heard | None:
    """Fits the model; None where fewer than ENOUGH speakers have a cause with evidence, or fewer than two causes have any.

    prior: [speaker, cause with evidence], summing to at most one, the rest being what no evidence explains; named: which
    of `labels` each speaker names; hidden: the causes that the rest is shared out to, `unknown` last.
    """
    prior = np.clip(prior, 0.0, 1.0)
    if len(causes) < 2 or prior.sum() < ENOUGH:
        return None
    rest = np.clip(1 - prior.sum(axis=1), 0.01, 1.0)
    truth = [labels.index(name) if name in labels else -1 for name in (*causes, *hidden)]
    hits = named[:, None] == np.array(truth)[None, :]
    theta, honest, loose, value = _em(prior, rest, named, hits, len(labels), np.ones(len(hidden), bool))
    chance = np.random.default_rng(seed)
    draws = np.empty((_DRAWS, len(hidden) + 1))
    for number in range(_DRAWS):
        pick = chance.integers(0, len(named), len(named))
        one = _em(
            prior[pick],
            rest[pick],
            named[pick],
            hits[pick],
            len(labels),
            np.ones(len(hidden), bool),
            theta,
            honest,
            loose,
        )
        draws[number] = [*one[0], one[1]]
    p = {}
    for number, name in enumerate(hidden[:-1]):
        allowed = np.ones(len(hidden), bool)
        allowed[number] = False
        without = _em(prior, rest, named, hits, len(labels), allowed)[3]
        from scipy.stats import chi2

        p[name] = 0.5 * float(chi2.sf(max(0.0, 2 * (value - without)), 1))
    posterior = _expected(prior, rest, named, hits, theta, honest, loose)[0]
    return Heard(
        tuple(labels), honest, float(draws[:, -1].std()), loose, dict(zip(hidden, theta.tolist(), strict=True)),
        draws[:, :-1], p, len(named), posterior,
        {label: int((named == i).sum()) for i, label in enumerate(labels)},
    )  # fmt: skip


def _expected(
    prior: Real, rest: Real, named: Whole, hits: NDArray[np.bool_], theta: Real, honest: float, loose: Real
) -> tuple[Real, Real, float]:
    """The chance of each truth for each speaker, the part of it that named its cause, and the log-likelihood."""
    weight = np.hstack([prior, rest[:, None] * theta[None, :]])
    plain = honest * hits
    random = (1 - honest) * loose[named][:, None]
    joint = weight * (plain + random)
    total = np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
    posterior = joint / total
    return posterior, posterior * plain / np.maximum(plain + random, 1e-300), float(np.log(total).sum())


def _em(
    prior: Real,
    rest: Real,
    named: Whole,
    hits: NDArray[np.bool_],
    labels: int,
    allowed: NDArray[np.bool_],
    theta: Real | None = None,
    honest: float = 0.6,
    loose: Real | None = None,
) -> tuple[Real, float, Real, float]:
    """(shares of the hidden causes, honesty, chances of a loose label, log-likelihood); `allowed`: hidden causes in it."""
    theta = np.where(allowed, 1.0, 0.0) if theta is None else theta * allowed
    theta = theta / theta.sum()
    loose = np.full(labels, 1 / labels) if loose is None else loose
    known, before = prior.shape[1], -np.inf
    value = before
    for _ in range(_ROUNDS):
        posterior, told, value = _expected(prior, rest, named, hits, theta, honest, loose)
        honest = float(np.clip(told.sum() / len(named), 0.01, 0.99))
        # Half an answer for each label: what nobody said yet is not impossible.
        others = np.bincount(named, weights=1 - told.sum(axis=1), minlength=labels) + 0.5 / labels
        loose = np.asarray(others / others.sum(), dtype=np.float64)
        theta = posterior[:, known:].sum(axis=0) * allowed
        theta = theta / max(theta.sum(), 1e-300)
        if value - before < 1e-6 * abs(value):
            break
        before = value
    return theta, honest, loose, value
