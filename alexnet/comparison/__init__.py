"""Nets in every framework, side by side: the plan, the runs, the results and how they are shown."""
