"""Measurements: every figure a ratio within one run, printed with the machine's facts."""
