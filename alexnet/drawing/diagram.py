"""What a drawing shows of a net, as plain data, and the same in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alexnet.shapes import Shape, shape_text

Kind = Literal["convolution", "pooling", "dense", "reshape", "label"]
"""How a step is drawn.

A convolution and a pooling have a window. A dense step connects all values with all values. A "reshape"
gives another shape in any other way. A "label" keeps the shape; only its name is written beside its input.
"""


@dataclass(frozen=True)
class Step:
    """One layer: its name, the shape of its output, and how it is drawn.

    ``details`` go below the name: ``"stride 4, pad 1"``. ``window`` is a height and a width in pixels.
    ``groups`` is the number of separate parts of a convolution.
    """

    name: str
    shape: Shape
    kind: Kind
    details: str = ""
    window: tuple[int, int] | None = None
    groups: int = 1

    @property
    def title(self) -> str:
        """The name with the details: ``11×11 Conv (96), stride 4, pad 1``."""
        return f"{self.name}, {self.details}" if self.details else self.name


@dataclass(frozen=True)
class Diagram:
    """A net: its name, a note below the name, its input shape, and its steps in order.

    >>> steps = (Step("FC (3)", (3,), "dense"), Step("ReLU", (3,), "label"))
    >>> print(Diagram("tiny", "15 parameters", (4,), steps).description)
    tiny, 15 parameters. From the input to the output:
    The input has 4 values.
    Layer 0, FC (3), gives 3 values.
    Layer 1, ReLU, keeps 3 values.
    """

    name: str
    note: str
    input_shape: Shape
    steps: tuple[Step, ...]

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the input and of every step's output."""
        return [self.input_shape, *(step.shape for step in self.steps)]

    @property
    def description(self) -> str:
        """The net in sentences: a line for the net, one for the input, and one for each layer."""
        lines = [
            f"{self.name}, {self.note}. From the input to the output:",
            f"The input has {_in_words(self.input_shape)}.",
        ]
        for index, step in enumerate(self.steps):
            verb = "keeps" if step.kind == "label" else "gives"
            lines.append(f"Layer {index}, {step.title}, {verb} {_in_words(step.shape)}.")
        return "\n".join(lines)


def _in_words(shape: Shape) -> str:
    return "1 value" if shape == (1,) else f"{shape_text(shape)} values"
