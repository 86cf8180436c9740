"""Compares nets across frameworks: makes the plan, runs the workers, and shows the results."""
