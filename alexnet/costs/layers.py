"""The cost of each layer for a mini-batch, from the table of a net alone.

The model of the bytes: a layer reads each tensor once and writes each tensor once, in float32. This is the
least that any implementation can move if it computes one layer after another.

- Forward: reads the input, the weights and the biases; writes the output, and what else the backward pass
  needs (masks, positions, statistics).
- Backward: reads the gradient of the output, and what the layer kept; writes the gradients of the weights
  and biases. To compute the gradient of the input, it reads the weights, and writes the gradient.

The first layer that has weights computes no gradient of its input, and the layers before it have no
backward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alexnet.costs.arithmetic import Arithmetic, arithmetic
from alexnet.spec import STATISTICS, Flatten, ResolvedLayer, ResolvedNet, Shape

PASSES = ("forward", "backward")


@dataclass(frozen=True)
class Pass:
    """One pass of a layer over a mini-batch."""

    flop: int = 0  # floating-point operations
    bytes: int = 0  # read and written

    @property
    def intensity(self) -> float:
        """The arithmetic intensity in FLOP per byte; 0 if nothing is computed.

        >>> Pass(flop=100, bytes=8).intensity
        12.5
        """
        return self.flop / self.bytes if self.flop else 0.0


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer for a mini-batch."""

    row: ResolvedLayer
    macs: int  # multiply-accumulates of the forward pass
    output_bytes: int
    kept_bytes: int  # what training keeps of this layer until the backward pass has used it
    forward: Pass
    backward: Pass

    @property
    def kind(self) -> str:
        """The name of the layer's class, such as ``Conv``."""
        return type(self.row.layer).__name__

    @property
    def name(self) -> str:
        """The index of the layer in its net and its class, such as ``3 Conv``."""
        return f"{self.row.index} {self.kind}"

    @property
    def parameters(self) -> int:
        """The number of learned values."""
        return self.row.parameter_count

    def of(self, name: str) -> Pass:
        """Return one of `PASSES` by name."""
        return self.forward if name == "forward" else self.backward


def first_learned(net: ResolvedNet) -> int:
    """Return the index of the first layer with learned values, or the number of layers if there is none."""
    return next((row.index for row in net.rows if row.parameter_count), len(net.rows))


def layer_costs(net: ResolvedNet, batch_size: int) -> tuple[LayerCost, ...]:
    """Return the cost of each layer of a net for a mini-batch.

    Raises SpecError for a layer class outside `alexnet.spec`.

    >>> from alexnet.spec import zoo
    >>> conv = layer_costs(zoo.get("lenet").resolve(), batch_size=2)[0]
    >>> conv.macs, conv.forward.flop, conv.forward.bytes == 4 * (2 * 784 + 156 + 2 * 4704)
    (235200, 470400, True)
    """
    first = first_learned(net)
    found = [arithmetic(row) for row in net.rows]
    needed = _needed(net, found, first)
    return tuple(
        LayerCost(
            row,
            batch_size * row.macs,
            batch_size * row.activation_bytes,
            _kept(row, work, batch_size, row.index + 1 in needed, row.index >= first),
            _forward(row, work, batch_size, row.index >= first),
            _backward(row, work, batch_size, row.index - first),
        )
        for row, work in zip(net.rows, found, strict=True)
    )


def kept_input_bytes(net: ResolvedNet, batch_size: int) -> int:
    """Return the bytes of the net's input if training keeps it until the backward pass, else 0."""
    found = [arithmetic(row) for row in net.rows]
    return _size(net.input_shape, batch_size) * (0 in _needed(net, found, first_learned(net)))


def _size(shape: Shape, batch_size: int = 1) -> int:
    return 4 * batch_size * math.prod(shape)


def _needed(net: ResolvedNet, found: list[Arithmetic], first: int) -> set[int]:
    """Return which tensors the backward pass reads: 0 is the net's input, n + 1 the output of layer n.

    The output of a `Flatten` is the same memory as its input, so it counts as its input.
    """
    memory = [0]
    for row in net.rows:
        memory.append(memory[-1] if isinstance(row.layer, Flatten) else row.index + 1)
    needed = set()
    for index, work in enumerate(found[first:], first):
        needed |= {memory[index]} if work.keeps_input else set()
        needed |= {memory[index + 1]} if work.keeps_output else set()
    return needed


def _kept(
    row: ResolvedLayer, work: Arithmetic, batch_size: int, output_is_needed: bool, learns: bool
) -> int:
    output = _size(row.output_shape, batch_size) if output_is_needed else 0
    return output + (batch_size * work.keeps_bytes + work.keeps_statistics if learns else 0)


def _forward(row: ResolvedLayer, work: Arithmetic, batch_size: int, learns: bool) -> Pass:
    """``learns``: whether a backward pass follows, so that the forward pass must write what it needs."""
    if work.is_view:
        return Pass()
    statistics = sum(_size(s) for key, s in row.parameters.items() if key.endswith(STATISTICS))
    moved = _size(row.input_shape, batch_size) + _size(row.output_shape, batch_size)
    moved += 4 * row.parameter_count + 2 * statistics  # the running statistics are read and written
    moved += batch_size * work.keeps_bytes + work.keeps_statistics if learns else 0
    return Pass(batch_size * work.forward, moved)


def _backward(row: ResolvedLayer, work: Arithmetic, batch_size: int, after_first: int) -> Pass:
    """``after_first``: the number of layers after the first one with weights; below 0, before it."""
    if after_first < 0 or work.is_view:
        return Pass()
    moved = _size(row.output_shape, batch_size)  # its gradient
    moved += _size(row.input_shape, batch_size) if work.keeps_input else 0
    moved += _size(row.output_shape, batch_size) if work.keeps_output else 0
    moved += batch_size * work.keeps_bytes + work.keeps_statistics
    moved += 4 * row.parameter_count  # their gradients
    flop = work.weight_gradient
    if after_first > 0:
        weights = [s for key, s in row.parameters.items() if key.endswith(".weight")]
        moved += sum(map(_size, weights)) + _size(row.input_shape, batch_size)
        flop += work.input_gradient
    return Pass(batch_size * flop, moved)
