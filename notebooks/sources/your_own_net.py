# %% [markdown]
# opening

# %%
# extras: all

# %%
import alexnet
from alexnet import backends
from alexnet.spec import Conv, Dense, Dropout, Flatten, GlobalAvgPool, MaxPool, ReLU

FRAMEWORKS = [
    name for name in ("torch", "mxnet", "tensorflow", "paddle") if backends.installed(name)
]
# A GPU uses all images; set True to do it on a CPU.
FULL = bool(backends.load(FRAMEWORKS[0]).gpus())
DATA = {"full": True} if FULL else {"full": False, "data": "sample"}

# %% [markdown]
# table

# %%
net = alexnet.Net(
    "mine",
    (1, 28, 28),
    (
        Conv(16, 3, padding=1),
        ReLU(),
        MaxPool(2),
        Conv(32, 3, padding=1),
        ReLU(),
        Conv(32, 3, padding=1),
        ReLU(),
        MaxPool(2),
        Flatten(),
        Dense(128),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)
net

# %% [markdown]
# costs

# %%
costs = alexnet.cost(net, batch_size=64)
costs.plot()

# %% [markdown]
# errors

# %%
attempts = [
    lambda: alexnet.Net("flat", (1, 28, 28), (Conv(16, 3), ReLU(), Dense(10))).resolve(),
    lambda: net.resolve((1, 3, 3)),
    lambda: Conv(16, kernel=3),
    lambda: net.replace(norm="layer"),
]
for attempt in attempts:
    try:
        attempt()
    except alexnet.SpecError as error:
        print(f"{error}\n")

# %% [markdown]
# source

# %%
alexnet.show(net, FRAMEWORKS)

# %% [markdown]
# one

# %%
recipe = {"momentum": 0.9, "nesterov": True, "schedule": "one-cycle"}
train_iter, test_iter = alexnet.load_fashion_mnist(
    64, resize=None, source=None if FULL else "sample", normalize=True
)
history = alexnet.train_ch6(net, train_iter, test_iter, 4, 0.05, backend=FRAMEWORKS[0], **recipe)

# %% [markdown]
# every

# %%
same = {"batch_size": 64, "lr": 0.05, "num_epochs": 4, "normalize": True, **recipe, **DATA}
size = {"train_examples": train_iter.num_examples, "test_examples": test_iter.num_examples}
found = alexnet.compare(net, FRAMEWORKS, **same, **size)
found

# %% [markdown]
# compared

# %% [markdown]
# parity

# %%
from alexnet.parity.check import Settings, backends_to_compare, parity
from alexnet.parity.table import parity_table

differences = list(parity(net, backends_to_compare(["numpy", *FRAMEWORKS]), Settings(steps=5)))
parity_table(differences, "float32")

# %% [markdown]
# replace

# %%
wide = net.replace(norm="batch", width=2)
print(wide.name)
print(wide.layers[:4])

# %% [markdown]
# sweep

# %%
swept = alexnet.sweep(net, FRAMEWORKS[:1], norm=["none", "batch"], width=[1, 2], **same, **size)
swept

# %% [markdown]
# swept

# %% [markdown]
# compose


# %%
def nin_block(channels, window, **options):
    """Return a convolution and two 1×1 convolutions, each with a ReLU (Lin, Chen & Yan, 2014)."""
    one_by_one = Conv(channels, 1), ReLU()
    return Conv(channels, window, **options), ReLU(), *one_by_one, *one_by_one


nin = alexnet.Net(
    "nin-28",
    (1, 28, 28),
    (
        *nin_block(32, 5, padding=2),
        MaxPool(3, stride=2),
        *nin_block(64, 3, padding=1),
        MaxPool(3, stride=2),
        Dropout(0.5),
        *nin_block(10, 3, padding=1),
        GlobalAvgPool(),
        Flatten(),
    ),
)
nin.draw()

# %% [markdown]
# new-layer
