"""Trains one net with every combination of the given settings, and shows which settings matter."""
