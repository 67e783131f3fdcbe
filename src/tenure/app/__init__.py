"""Wiring: a folder becomes a workspace, its facts become answers and a report."""
