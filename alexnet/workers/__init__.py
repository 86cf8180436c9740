"""Processes that each do a job with one framework, and what they say."""
