"""``alexnet bench``: how fast every framework trains, beside hand-written loops and the machine's limit."""
