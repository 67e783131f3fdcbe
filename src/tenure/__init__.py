"""Tenure: what is our churn, why do they leave, who is next, what shall we do, did it work.

    import tenure
    shop = tenure.open("shop")
    shop.metrics("nrr", since="2026-01", until="2026-06", by="plan_id").rows()

Importing the package is quick; engines and file formats are imported when they are first used.
"""

from __future__ import annotations

from tenure.app.workspace import Workspace, open
from tenure.errors import BadInput, TenureError

__version__ = "0.1.0"
__all__ = ["BadInput", "TenureError", "Workspace", "__version__", "open"]
