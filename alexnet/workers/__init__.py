"""Worker processes: each does one job with one framework, and sends events."""
