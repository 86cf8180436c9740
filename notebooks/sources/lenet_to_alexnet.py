# %% [markdown]
# opening

# %%
# extras: torch

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import alexnet
from alexnet import backends
from alexnet.spec import Dropout
from alexnet.training.callbacks import Callback

FULL = bool(backends.load("torch").gpus())  # a GPU uses all images; set True to do it on a CPU
SOURCE = None if FULL else "sample"

# %% [markdown]
# drawings

# %%
alexnet.draw("lenet", "alexnet")

# %% [markdown]
# numbers

# %%
lenet, big = alexnet.ZOO["lenet"], alexnet.ZOO["alexnet"]


def print_sizes(*nets):
    """Print the size of nets: parameters, multiply-adds and memory of one image's forward pass."""
    print(f"{'':34}{'parameters':>12}{'multiply-adds':>16}{'activations':>14}")
    for net in nets:
        row = net.resolve()
        print(
            f"{row.title:34}{row.parameter_count:12,}{row.macs:16,}"
            f"{row.activation_bytes / 1000:11,.0f} kB"
        )


print_sizes(lenet, big)

# %% [markdown]
# where

# %%
alexnet.cost("alexnet", batch_size=128).plot()
