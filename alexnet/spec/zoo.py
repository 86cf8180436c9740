"""The named nets: LeNet, the versions of AlexNet in the paper, the book and elsewhere, and three fast nets.

>>> get("alexnet") is ALEXNET
True
>>> for name, net in ZOO.items():
...     print(f"{name:22} {str(net.input_shape):14} {net.resolve().parameter_count:>10,}")
alexnet                (1, 224, 224)  46,764,746
alexnet-unpadded       (1, 224, 224)  46,764,746
alexnet-2012           (3, 224, 224)  62,378,344
alexnet-2012-two-gpus  (3, 224, 224)  60,965,224
alexnet-2012-plain     (3, 224, 224)  62,378,344
alexnet-torchvision    (3, 224, 224)  61,100,840
alexnet-mnist          (1, 96, 96)     1,578,442
lenet                  (1, 28, 28)        61,706
alexnet-28             (1, 28, 28)        20,842
alexnet-28-medium      (1, 28, 28)       104,650
alexnet-28-wide        (1, 28, 28)       252,490
"""

from __future__ import annotations

import difflib

from alexnet.errors import SpecError
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    Sigmoid,
)


def _book_layers(padding: int) -> tuple[Layer, ...]:
    """Return the layers of the book's AlexNet. Two of its four frameworks pad the first convolution."""
    return (
        Conv(96, 11, stride=4, padding=padding),  # 96×54×54
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
    )


ALEXNET = Net("alexnet", (1, 224, 224), _book_layers(padding=1))
"""AlexNet from *Dive into Deep Learning*, section 7.1, as in its PyTorch and Paddle code."""

ALEXNET_UNPADDED = Net("alexnet-unpadded", (1, 224, 224), _book_layers(padding=0))
"""AlexNet as in the book's MXNet and TensorFlow code, without padding in the first convolution.

Its output shapes equal ALEXNET's for 224×224 images, but not for 225×225.
"""


def _paper_layers(
    groups: int, norm: tuple[Layer, ...], dropout: tuple[Layer, ...]
) -> tuple[Layer, ...]:
    """Return the layers of the paper's AlexNet. With two groups, three convolutions see one GPU only."""
    return (
        Conv(96, 11, stride=4, padding=3),  # 96×55×55
        ReLU(),
        *norm,
        MaxPool(3, stride=2),  # 96×27×27
        Conv(256, 5, padding=2, groups=groups),  # 256×27×27
        ReLU(),
        *norm,
        MaxPool(3, stride=2),  # 256×13×13
        Conv(384, 3, padding=1),  # 384×13×13
        ReLU(),
        Conv(384, 3, padding=1, groups=groups),  # 384×13×13
        ReLU(),
        Conv(256, 3, padding=1, groups=groups),  # 256×13×13
        ReLU(),
        MaxPool(3, stride=2),  # 256×6×6
        Flatten(),  # 9216
        Dense(4096),
        ReLU(),
        *dropout,
        Dense(4096),
        ReLU(),
        *dropout,
        Dense(1000),
    )


ALEXNET_2012 = Net(
    "alexnet-2012", (3, 224, 224), _paper_layers(1, (LocalResponseNorm(),), (Dropout(0.5),))
)
"""The paper's AlexNet on one GPU: Krizhevsky, Sutskever & Hinton (2012), section 3.

Normalisation comes before pooling, as in the paper. Padding 3 maps 224×224 to the paper's 55×55.
"""

ALEXNET_2012_TWO_GPUS = Net(
    "alexnet-2012-two-gpus",
    (3, 224, 224),
    _paper_layers(2, (LocalResponseNorm(),), (Dropout(0.5),)),
)
"""The paper's AlexNet as trained on two GPUs: the second, fourth and fifth convolution have two groups."""

ALEXNET_2012_PLAIN = Net("alexnet-2012-plain", (3, 224, 224), _paper_layers(1, (), ()))
"""The paper's window sizes and widths without normalisation and dropout, common in PyTorch code."""

ALEXNET_TORCHVISION = Net(
    "alexnet-torchvision",
    (3, 224, 224),
    (
        Conv(64, 11, stride=4, padding=2),  # 64×55×55
        ReLU(),
        MaxPool(3, stride=2),  # 64×27×27
        Conv(192, 5, padding=2),  # 192×27×27
        ReLU(),
        MaxPool(3, stride=2),  # 192×13×13
        Conv(384, 3, padding=1),  # 384×13×13
        ReLU(),
        Conv(256, 3, padding=1),  # 256×13×13
        ReLU(),
        Conv(256, 3, padding=1),  # 256×13×13
        ReLU(),
        MaxPool(3, stride=2),  # 256×6×6
        Flatten(),  # 9216
        Dropout(0.5),
        Dense(4096),
        ReLU(),
        Dropout(0.5),
        Dense(4096),
        ReLU(),
        Dense(1000),
    ),
)
"""``torchvision.models.alexnet``: Krizhevsky (2014), One weird trick, https://arxiv.org/abs/1404.5997.

The table leaves out torchvision's adaptive pooling to 6×6, which is a no-op for 224×224 images.
"""

ALEXNET_MNIST = Net(
    "alexnet-mnist",
    (1, 96, 96),
    (
        Conv(64, 11, stride=4, padding=2),  # 64×23×23
        ReLU(),
        MaxPool(3, stride=2),  # 64×11×11
        Conv(192, 5, padding=2),  # 192×11×11
        ReLU(),
        MaxPool(3, stride=2),  # 192×5×5
        Flatten(),  # 4800
        Dense(256),
        ReLU(),
        Dropout(0.5),
        Dense(128),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)
"""A small AlexNet for MNIST. Images of 95×95 to 110×110 give its first dense layer 192×5×5 values."""

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
"""LeNet from *Dive into Deep Learning*, section 6.6, with sigmoids and average pooling."""

ALEXNET_28 = Net(
    "alexnet-28",
    (1, 28, 28),
    (
        Conv(16, 5, stride=2, padding=2),  # 16×14×14
        BatchNorm(),
        ReLU(),
        Conv(32, 3, padding=1),  # 32×14×14
        MaxPool(2),  # 32×7×7
        BatchNorm(),
        ReLU(),
        Flatten(),  # 1568
        Dense(10),
    ),
)
"""A net for 28×28 images that trains within seconds on two CPU cores, in every framework.

As in AlexNet, the first convolution has a large window and a stride. So the later layers see a quarter of
the pixels. Pooling comes before normalisation and ReLU, which then also see a quarter of their
pixels. Batch normalisation (Ioffe & Szegedy, 2015) allows a large learning rate, so two epochs are enough.
There are no large dense layers: they take most of AlexNet's weights, and small images do not need them.
"""

ALEXNET_28_MEDIUM = Net(
    "alexnet-28-medium",
    (1, 28, 28),
    (
        Conv(32, 3, padding=1),  # 32×28×28
        MaxPool(2),  # 32×14×14
        BatchNorm(),
        ReLU(),
        Conv(64, 3, padding=1),  # 64×14×14
        MaxPool(2),  # 64×7×7
        BatchNorm(),
        ReLU(),
        Conv(128, 3, padding=1),  # 128×7×7
        MaxPool(2),  # 128×3×3
        BatchNorm(),
        ReLU(),
        Flatten(),  # 1152
        Dense(10),
    ),
)
"""A net between the other two: it trains within a few minutes on two CPU cores.

It has half of the arithmetic of `ALEXNET_28_WIDE`. So it sees the images twice as often in the same time,
which counts more within a few minutes. It has no dropout, which would make it learn more slowly.
"""

ALEXNET_28_WIDE = Net(
    "alexnet-28-wide",
    (1, 28, 28),
    (
        Conv(32, 3, padding=1),  # 32×28×28
        MaxPool(2),  # 32×14×14
        BatchNorm(),
        ReLU(),
        Conv(64, 3, padding=1),  # 64×14×14
        MaxPool(2),  # 64×7×7
        BatchNorm(),
        ReLU(),
        Conv(128, 3, padding=1),  # 128×7×7
        BatchNorm(),
        ReLU(),
        Conv(128, 3, padding=1),  # 128×7×7
        MaxPool(2),  # 128×3×3
        BatchNorm(),
        ReLU(),
        Flatten(),  # 1152
        Dropout(0.5),
        Dense(10),
    ),
)
"""A wider net for 28×28 images: it trains for minutes instead of seconds, and reaches a higher accuracy.

As in AlexNet, two convolutions follow each other without pooling. The first one keeps all pixels. Over many
epochs this net could learn the training images by heart. Dropout, flips and crops work against that.
"""

ZOO: dict[str, Net] = {
    net.name: net
    for net in (
        ALEXNET,
        ALEXNET_UNPADDED,
        ALEXNET_2012,
        ALEXNET_2012_TWO_GPUS,
        ALEXNET_2012_PLAIN,
        ALEXNET_TORCHVISION,
        ALEXNET_MNIST,
        LENET,
        ALEXNET_28,
        ALEXNET_28_MEDIUM,
        ALEXNET_28_WIDE,
    )
}
"""Every named net."""


def get(model: str | Net) -> Net:
    """Return the net named ``model``; return a `Net` unchanged. Raises SpecError for an unknown name."""
    if isinstance(model, Net):
        return model
    if not isinstance(model, str):
        raise SpecError(
            f"a net is a Net or one of these names: {', '.join(ZOO)}; got {type(model).__name__}"
        )
    if model not in ZOO:
        close = difflib.get_close_matches(model, ZOO, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise SpecError(f"unknown net {model!r}{hint}; known nets: {', '.join(ZOO)}")
    return ZOO[model]
