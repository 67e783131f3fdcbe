"""Tenure: what is our churn, why do they leave, who is next, what shall we do, did it work."""
