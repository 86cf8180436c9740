"""Short trainings on the sample of Fashion-MNIST."""

from __future__ import annotations

from loops import Silent

from alexnet import load_fashion_mnist, train_ch6
from alexnet.spec import Conv, Dense, Flatten, MaxPool, Net, ReLU

TINY = Net(
    "tiny", (1, 28, 28), (Conv(6, 5, stride=2), ReLU(), MaxPool(3, stride=2), Flatten(), Dense(10))
)


def load(train=96, test=40, batch_size=32, **options):
    return load_fashion_mnist(
        batch_size, resize=None, source="sample", subset=(train, test), **options
    )


def fit(net, loaders=None, num_epochs=1, lr=0.1, **options):
    options.setdefault("callback", Silent())
    options.setdefault("device", "cpu")
    return train_ch6(net, *(loaders or load()), num_epochs, lr, **options)
