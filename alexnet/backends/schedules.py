"""Learning-rate schedules: the learning rate of every step, the same number in every framework."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.errors import RunError

SCHEDULES = ("constant", "one-cycle")

RISE = 10  # one cycle rises during the first tenth of the steps


@dataclass(frozen=True)
class Schedule:
    """The learning rates of a run.

    ``constant``: always ``lr``. ``one-cycle``: rises in a straight line to ``lr`` during the first tenth of
    the steps, then falls in a straight line towards zero. No step has learning rate zero. Smith and Topin,
    *Super-Convergence* (2018); here the momentum stays constant.

    ``steps_per_epoch`` may be None for ``constant``. Raises RunError for an unknown name, and for one-cycle
    without ``steps_per_epoch``.

    >>> schedule = Schedule("one-cycle", lr=1.0, num_epochs=4, steps_per_epoch=5)
    >>> [round(schedule.at(0, step), 3) for step in range(5)]
    [0.5, 1.0, 0.947, 0.895, 0.842]
    >>> [round(schedule.at(3, step), 3) for step in range(5)]
    [0.263, 0.211, 0.158, 0.105, 0.053]
    """

    name: str
    lr: float
    num_epochs: int = 1
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise RunError(f"schedule must be {' or '.join(SCHEDULES)}, got {self.name!r}")
        if self.name != "constant" and not self.steps_per_epoch:
            raise RunError(
                f"schedule {self.name} needs the number of steps in an epoch; train_iter must have "
                "a length, such as a list, a DataLoader or load_fashion_mnist's loader"
            )

    def at(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step of an epoch. Both numbers begin at 0."""
        if self.name == "constant":
            return self.lr
        assert self.steps_per_epoch
        steps = self.num_epochs * self.steps_per_epoch
        rise = max(1, round(steps / RISE))
        step = min(epoch * self.steps_per_epoch + step, steps - 1)
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * (steps - step) / (steps - rise + 1)
