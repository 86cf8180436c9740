"""The numbers that tables, texts and pictures of a net's cost show."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.costs.layers import LayerCost
from alexnet.spec import ResolvedNet


@dataclass(frozen=True, repr=False)
class Numbers:
    """The costs of all layers of a net for a mini-batch, and their totals."""

    net: ResolvedNet
    batch_size: int
    layers: tuple[LayerCost, ...]
    input_bytes: int  # of the mini-batch itself, if training keeps it for the backward pass

    @property
    def title(self) -> str:
        """The net, its input and the batch size in a few words."""
        return f"{self.net.title}, batches of {self.batch_size:,}, float32"

    @property
    def parameters(self) -> int:
        """The number of learned values."""
        return self.net.parameter_count

    @property
    def macs(self) -> int:
        """The multiply-accumulates of the forward pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def output_bytes(self) -> int:
        """The bytes of all layers' outputs."""
        return sum(layer.output_bytes for layer in self.layers)

    @property
    def kept_bytes(self) -> int:
        """The bytes that training keeps for the backward pass: of the layers, and of the input."""
        return sum(layer.kept_bytes for layer in self.layers) + self.input_bytes
