"""What a bench measures: cases, the figures of a case, and the arithmetic of one training example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.spec import ResolvedNet, zoo

LOOPS = ("train", "hand")
"""The two loops that are compared: all of `train_ch6`; the hand-written loop."""

PARTS = ("loader", "step", *LOOPS)
"""The loader alone; the step alone on a fixed batch; then the two loops."""

STEPS = ("plain step", "reduced step")
"""The two steps that are compared in several processes: each alone; with the gradients of all."""

FIGURES = {
    "loader": "images per second of the loader alone",
    "loader per core": "images per second of one core's time",
    "torchvision per core": "the same of torchvision's Resize in a DataLoader, on tensors",
    "torchvision PIL per core": "the same on PIL images, as in the book",
    "step": "examples per second of the step alone",
    "train": "examples per second of train_ch6",
    "hand": "examples per second of the hand-written loop",
    "train busy": "share of the time of train_ch6 in which the GPU works, from 0 to 1",
    "hand busy": "the same of the hand-written loop",
    "memory": "peak memory in bytes",
    "plain step": "seconds of a step without communication, in the slowest process",
    "reduced step": "seconds of a step that adds up the gradients of all processes",
    "recipe seconds": "seconds of the book's recipe, from the start to the end of train_ch6",
    "recipe accuracy": "test accuracy after the book's recipe, from 0 to 1",
}
"""The figures of a case, with their meanings."""


@dataclass(frozen=True)
class Case:
    """One net at one size with one batch size and one precision. Every backend measures the same cases."""

    model: str
    size: int  # height and width of the images in pixels
    batch_size: int
    precision: str  # float32, bfloat16, tf32 or auto
    steps: int  # timed training steps (at most); one more comes before
    examples: int  # training images in the loader
    threads: int | None = None  # None: all cores, or what the user has set
    turns: int = 1  # times that the two loops or steps are measured in a process, in turn
    processes: int | None = None  # that share the batch; None: one, which measures `PARTS`

    @property
    def net(self) -> ResolvedNet:
        """The net at this size."""
        return zoo.get(self.model).resolve((1, self.size, self.size))

    @property
    def title(self) -> str:
        """The case in a few words."""
        batches = f"batches of {self.batch_size}, {self.precision}"
        number = self.processes
        shared = f", {number} process{'es' * (number > 1)}" if number else ""
        return f"{self.model} at {self.size}×{self.size}, {batches}{shared}"

    @property
    def gradient_bytes(self) -> int:
        """The bytes of the gradients of one step, in float32.

        >>> Case("alexnet", 224, 128, "float32", 1, 256).gradient_bytes
        187058984
        """
        return 4 * self.net.parameter_count


def in_turns(parts: Sequence[str], turns: int) -> tuple[str, ...]:
    """Return the parts with the two loops ``turns`` times, each time in the opposite order.

    So both loops are measured early and late. The speed of a shared machine changes within seconds, and a
    ratio of two short measurements says little.

    >>> in_turns(("step", "train", "hand"), 3)
    ('step', 'train', 'hand', 'hand', 'train', 'train', 'hand')
    """
    loops = tuple(part for part in parts if part in LOOPS)
    more = [part for n in range(1, turns) for part in (loops[::-1] if n % 2 else loops)]
    last = max((n for n, part in enumerate(parts) if part in LOOPS), default=-1) + 1
    return (*parts[:last], *more, *parts[last:])


def training_flop(net: ResolvedNet) -> int:
    """Return the floating-point operations of one training example: forward and backward.

    A multiply-accumulate is two operations. The backward pass takes twice those of the forward pass: the
    gradients of the weights and of the inputs. The first layer needs no gradient of its input.

    >>> training_flop(zoo.get("alexnet").resolve())
    5561132544
    """
    first = next((row.macs for row in net.rows if row.macs), 0)
    return 2 * (3 * net.macs - first)
