"""The tables: nets of the AlexNet chapter, each written once.

>>> sorted(ZOO)
['alexnet', 'lenet']
>>> get("alexnet") is ALEXNET
True
"""

from __future__ import annotations

import difflib

from alexnet.errors import SpecError
from alexnet.spec import AvgPool, Conv, Dense, Dropout, Flatten, MaxPool, Net, ReLU, Sigmoid

ALEXNET = Net(
    "alexnet",
    (1, 224, 224),
    (
        Conv(96, 11, stride=4, padding=1),  # 96×54×54
        ReLU(),
        MaxPool(3, stride=2),  # 96×26×26
        Conv(256, 5, padding=2),  # 256×26×26
        ReLU(),
        MaxPool(3, stride=2),  # 256×12×12
        Conv(384, 3, padding=1),  # 384×12×12
        ReLU(),
        Conv(384, 3, padding=1),  # 384×12×12
        ReLU(),
        Conv(256, 3, padding=1),  # 256×12×12
        ReLU(),
        MaxPool(3, stride=2),  # 256×5×5
        Flatten(),  # 6400
        Dense(4096),
        ReLU(),
        Dropout(0.5),
        Dense(4096),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)
"""AlexNet as *Dive into Deep Learning* has it (section 7.1, the PyTorch and Paddle columns)."""

LENET = Net(
    "lenet",
    (1, 28, 28),
    (
        Conv(6, 5, padding=2),  # 6×28×28
        Sigmoid(),
        AvgPool(2, stride=2),  # 6×14×14
        Conv(16, 5),  # 16×10×10
        Sigmoid(),
        AvgPool(2, stride=2),  # 16×5×5
        Flatten(),  # 400
        Dense(120),
        Sigmoid(),
        Dense(84),
        Sigmoid(),
        Dense(10),
    ),
)
"""LeNet as *Dive into Deep Learning* has it (section 6.6): sigmoids and average pooling."""

ZOO: dict[str, Net] = {net.name: net for net in (ALEXNET, LENET)}
"""Every net that can be asked for by name."""


def get(model: str | Net) -> Net:
    """The net of that name; a `Net` is handed back as it is. Raises SpecError, listing the names."""
    if isinstance(model, Net):
        return model
    if not isinstance(model, str) or model not in ZOO:
        close = difflib.get_close_matches(str(model), ZOO, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise SpecError(f"unknown model {model!r}{hint}; the models are {', '.join(ZOO)}")
    return ZOO[model]
