"""Wiring: a workspace in, answers out; the composition of the report."""
