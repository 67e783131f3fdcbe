"""What would a company's facts look like if we knew the truth behind them? A seeded, made-up company, and its truth.

from tenure.simulate import Company, simulate, write
"""

from __future__ import annotations

from tenure.simulate.company import Company, simulate, write

__all__ = ["Company", "simulate", "write"]
