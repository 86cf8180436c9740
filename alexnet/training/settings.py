"""The settings that a training run takes."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from alexnet.backends.rendering import check_seed
from alexnet.errors import RunError


def check_settings(num_epochs: object, lr: object, momentum: object, seed: object) -> None:
    """Raise RunError unless these are values that `train_ch6` takes."""
    check_num_epochs(num_epochs)
    if not isinstance(lr, Real) or not math.isfinite(lr) or lr <= 0:
        raise RunError(f"lr must be a finite number above 0, not {lr!r}")
    if not isinstance(momentum, Real) or not 0 <= float(momentum) < 1:
        raise RunError(f"momentum must be a number of at least 0 and below 1, not {momentum!r}")
    check_seed(seed)


def check_num_epochs(num_epochs: object) -> None:
    """Raise RunError unless it is a whole number of at least 1."""
    if (
        not isinstance(num_epochs, int | np.integer)
        or isinstance(num_epochs, bool)
        or num_epochs < 1
    ):
        raise RunError(f"num_epochs must be a whole number of at least 1, not {num_epochs!r}")
