"""The command line."""

from alexnet.cli.app import main

__all__ = ["main"]
