"""``alexnet cost``: where the parameters, the arithmetic and the memory traffic of a net sit."""
