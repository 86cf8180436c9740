"""Curves, images and tables of plain data, for a terminal, a notebook or a file."""
