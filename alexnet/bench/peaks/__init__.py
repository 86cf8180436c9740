"""What this machine can do at most: a file for each library that can measure it.

Each file has two functions. ``peaks(device, precision)`` returns the best FLOP/s of each kind of work.
``bandwidth(device)`` returns the best bytes/s, read and written, of each kind of work on large arrays.
"""
