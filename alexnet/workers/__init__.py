"""Worker processes. Each worker does one job with one framework, and sends events."""
