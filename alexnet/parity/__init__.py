"""Parity: checks that every backend computes the same numbers as the NumPy reference."""
