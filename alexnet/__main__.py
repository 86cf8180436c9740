"""``python -m alexnet``."""

from alexnet.cli import main

main()
