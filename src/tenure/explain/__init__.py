"""Why do customers leave? Ways of asking, each a pure function of facts, and findings that say how far they can be trusted.

findings    what a method found: an estimate with its interval, for how many customers, how strong, what would settle it

Each method answers findings of one shape; those that test many things at once share one family-wise 5 %.
"""

from __future__ import annotations

from tenure.explain.findings import Finding, Strength, adjusted, in_family

__all__ = ["Finding", "Strength", "adjusted", "in_family"]
