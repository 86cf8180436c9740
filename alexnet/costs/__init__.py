"""``alexnet cost``: the parameters, the arithmetic and the memory traffic of each layer of a net."""
