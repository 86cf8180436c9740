"""Recipes of the command line: the book's settings, quick settings for a CPU, settings of fast nets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.spec import Net, ResolvedNet, zoo


@dataclass(frozen=True)
class Recipe:
    """All settings of a run except the net, the framework, the seed and the data folder."""

    train_examples: int
    test_examples: int
    num_epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"  # of the learning rate: see `alexnet.backends.schedules`
    precision: str = "float32"  # see `alexnet.backends.precision`
    normalize: bool = False
    flip: bool = False  # these two augment the training images: see `alexnet.load_fashion_mnist`
    crop: int = 0  # pixels
    resize: int | None = None  # height and width in pixels; None keeps 28
    numpy_batches: int | None = None  # batches per epoch on NumPy, the slowest; None: all


FULL = {
    "alexnet": Recipe(60_000, 10_000, 10, 128, 0.01, resize=224),
    "lenet": Recipe(60_000, 10_000, 10, 256, 0.9),
}
"""The book's settings: section 7.1 (AlexNet) and section 6.6 (LeNet)."""

QUICK = {
    "alexnet": Recipe(
        1_536,
        512,
        1,
        16,
        0.01,
        momentum=0.9,
        nesterov=True,
        schedule="one-cycle",
        normalize=True,
        resize=224,
        numpy_batches=8,
    ),
    "lenet": Recipe(4_096, 1_000, 5, 16, 0.5, normalize=True),
}
"""Settings that show learning within minutes on two CPU cores."""

_FAST = Recipe(
    60_000,
    10_000,
    2,
    128,
    0.1,
    momentum=0.9,
    nesterov=True,
    schedule="one-cycle",
    normalize=True,
    numpy_batches=50,
)

FAST = {
    "alexnet-28": _FAST,
    "alexnet-28-medium": replace(
        _FAST, num_epochs=11, precision="auto", flip=True, numpy_batches=8
    ),
    "alexnet-28-wide": replace(
        _FAST, num_epochs=8, precision="auto", flip=True, crop=1, numpy_batches=8
    ),
}
"""The highest accuracy in the least time, on all images and two CPU cores; also for a full run."""


def net_for(model: str | Net, recipe: Recipe) -> ResolvedNet:
    """Return a net, or a net of the zoo by name, at the size of the recipe's images (1, S, S).

    Raises SpecError for an unknown name, and if the images are too small for the net.
    """
    size = recipe.resize or 28
    return zoo.get(model).resolve((1, size, size))


def recipe_for(model: str | Net, full: bool) -> Recipe:
    """Return the recipe of a net, found by its name. A net without one gets AlexNet's, at its own size.

    >>> recipe_for("alexnet-28", full=False) == recipe_for("alexnet-28", full=True) == FAST["alexnet-28"]
    True
    """
    table, net = (FULL if full else QUICK) | FAST, zoo.get(model)
    return table.get(net.name) or replace(table["alexnet"], resize=net.input_shape[-1])
