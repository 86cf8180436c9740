"""Curves, images and tables from plain data: for a terminal, a notebook or a file."""
