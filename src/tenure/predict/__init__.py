"""Who leaves next, and what are they worth? Hazards, purchase models, and whether their figures can be believed.

The models are numpy in and numpy out, in scikit-learn's manner, and know nothing of workspaces. Each is imported when
it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenure.predict.beta_binomial import BetaGeoBetaBinomial
    from tenure.predict.beta_geo import BetaGeoNBD, ModifiedBetaGeoNBD
    from tenure.predict.cox import Cox
    from tenure.predict.gamma_gamma import GammaGamma
    from tenure.predict.hazards import DiscreteHazard
    from tenure.predict.pareto import ParetoNBD
    from tenure.predict.retention_curves import BetaDiscreteWeibull, ShiftedBetaGeometric

# Which file holds which public name.
_HOME = {
    "BetaDiscreteWeibull": "retention_curves",
    "BetaGeoBetaBinomial": "beta_binomial",
    "BetaGeoNBD": "beta_geo",
    "Cox": "cox",
    "DiscreteHazard": "hazards",
    "GammaGamma": "gamma_gamma",
    "ModifiedBetaGeoNBD": "beta_geo",
    "ParetoNBD": "pareto",
    "ShiftedBetaGeometric": "retention_curves",
}

__all__ = [
    "BetaDiscreteWeibull",
    "BetaGeoBetaBinomial",
    "BetaGeoNBD",
    "Cox",
    "DiscreteHazard",
    "GammaGamma",
    "ModifiedBetaGeoNBD",
    "ParetoNBD",
    "ShiftedBetaGeometric",
]


def __getattr__(name: str) -> Any:
    """The model of this name, imported now."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, without importing what they stand for."""
    return sorted(__all__)
