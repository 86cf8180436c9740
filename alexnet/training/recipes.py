"""How a net is trained from the command line: the book's recipe, and a quick one for a CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.spec import ResolvedNet, zoo


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run but the net, the framework, the seed and the data's place."""

    train_examples: int
    test_examples: int
    num_epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.0
    normalize: bool = False
    resize: int | None = None  # pixels a side; None keeps 28
    numpy_batches: int | None = None  # NumPy, the slowest, stops there in every epoch


FULL = {
    "alexnet": Recipe(60_000, 10_000, 10, 128, 0.01, resize=224),
    "lenet": Recipe(60_000, 10_000, 10, 256, 0.9),
}
"""The book's recipes, sections 7.1 and 6.6."""

QUICK = {
    "alexnet": Recipe(
        1_344, 256, 1, 16, 0.006, momentum=0.9, normalize=True, resize=224, numpy_batches=12
    ),
    "lenet": Recipe(4_096, 1_000, 5, 16, 0.5, normalize=True),
}
"""Recipes that visibly learn within minutes on two cores."""


def net_for(model: str, recipe: Recipe) -> ResolvedNet:
    """A net of the zoo for its recipe's images, which are grey. Raises SpecError if they do not fit."""
    size = recipe.resize or 28
    return zoo.get(model).resolve((1, size, size))


def recipe_for(model: str, full: bool) -> Recipe:
    """The recipe of a net of the zoo; for one that has none of its own, AlexNet's at the net's size."""
    table = FULL if full else QUICK
    return table.get(model) or replace(table["alexnet"], resize=zoo.get(model).input_shape[1])
