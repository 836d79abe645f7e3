"""Measurements and trials of the whole, against the sandbox."""
