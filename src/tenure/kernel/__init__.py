"""Nouns without I/O: money, time, names, statistics."""
