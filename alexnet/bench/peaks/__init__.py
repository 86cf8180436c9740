"""How many floating-point operations per second this machine can do: a file for each library that can tell.

Each file has a function ``peaks(device, precision)``. It returns the best FLOP/s of each kind of work.
"""
