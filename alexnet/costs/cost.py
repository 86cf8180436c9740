"""`cost`: what a net costs, layer by layer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.backends import table_of
from alexnet.costs.layers import PASSES, LayerCost, kept_input_bytes, layer_costs
from alexnet.costs.measure import Measurement, check, measure
from alexnet.costs.numbers import Numbers
from alexnet.costs.words import measured_sentences, table_sentences
from alexnet.errors import RunError, SpecError
from alexnet.json_values import sealed
from alexnet.spec import Net, ResolvedNet, Shape, zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

FORMAT = 1  # version of the layout of cost.json
FILE = "cost.json"  # in the folder of the results


@dataclass(frozen=True, repr=False)
class Cost(Numbers):
    """What a net costs for a mini-batch in float32, layer by layer; a notebook shows it.

    `alexnet.costs.layers` states what is counted. ``measured``: what was measured on this machine.
    """

    measured: Measurement | None = None

    def sentences(self) -> list[str]:
        """Return what the numbers say about memory, arithmetic and memory bandwidth."""
        measured = measured_sentences(self, self.measured) if self.measured else []
        return [*table_sentences(self), *measured]

    def summary(self) -> list[str | Table]:
        """Return what to print: the tables, each with what it says."""
        from alexnet.costs.table import cost_table, speed_table

        parts: list[str | Table] = [cost_table(self), *table_sentences(self)]
        if self.measured is not None:
            parts += [speed_table(self, self.measured), *measured_sentences(self, self.measured)]
        return parts

    def __repr__(self) -> str:
        """Return the summary as text."""
        from alexnet.views.tables import as_text

        return as_text(self.summary())

    def _repr_html_(self) -> str:
        """Return the summary and the pictures as HTML for a notebook."""
        from alexnet.drawing.svg import as_img
        from alexnet.views.tables import as_html

        pictures = [as_img(*picture) for picture in self.pictures().values()]
        return as_html(self.summary()) + "".join(pictures)

    def plot(self) -> Figure:
        """Return bars for each layer: parameters, multiply-adds, activations and bytes moved."""
        from alexnet.costs.bars import bars

        return bars(self)

    def roofline(self) -> Figure:
        """Return each layer's speed over its arithmetic intensity, below the limits of the machine.

        Raises RunError if the limits were not measured.
        """
        from alexnet.costs.roofline import roofline

        if self.measured is None or self.measured.ridge is None:
            raise RunError("a roofline needs the limits of the machine: measure with backend=…")
        return roofline(self, self.measured)

    def pictures(self) -> dict[str, tuple[str, str]]:
        """Return each picture by its name: as SVG, light or dark like the page around it, and in words."""
        from alexnet.costs.paint import DARK
        from alexnet.views.svg import svg

        drawn = {"bars": (self.plot(), f"{self.title}. {' '.join(table_sentences(self))}")}
        if self.measured is not None and self.measured.ridge is not None:
            said = " ".join(measured_sentences(self, self.measured))
            drawn["roofline"] = self.roofline(), f"{self.title}. {said}"
        return {name: (svg(figure, text, DARK), text) for name, (figure, text) in drawn.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers and sentences as plain values for JSON."""
        return {
            "format": FORMAT,
            "alexnet": __version__,
            "net": self.net.name,
            "input_shape": list(self.net.input_shape),
            "batch_size": self.batch_size,
            "parameters": self.parameters,
            "macs": self.macs,
            "output_bytes": self.output_bytes,
            "kept_bytes": self.kept_bytes,
            "input_bytes": self.input_bytes,
            "layers": [_plain(layer) for layer in self.layers],
            "measured": asdict(self.measured) if self.measured else None,
            "text": self.sentences(),
        }

    def save(self, folder: Path) -> list[str]:
        """Write cost.json, table.txt and the pictures to a folder. Return the names of the files."""
        texts = {
            FILE: json.dumps(sealed(self.to_dict()), indent=1, allow_nan=False) + "\n",
            "table.txt": repr(self),
            **{f"{name}.svg": picture for name, (picture, _) in self.pictures().items()},
        }
        for name, text in texts.items():
            with replacing(folder / name) as new:
                new.write_text(text, encoding="utf-8")
        return list(texts)


def _plain(layer: LayerCost) -> dict[str, Any]:
    """Return the cost of a layer as plain values."""
    row = layer.row
    passes = {name: layer.of(name) for name in PASSES}
    return {
        "index": row.index,
        "layer": repr(row.layer),
        "input_shape": list(row.input_shape),
        "output_shape": list(row.output_shape),
        "parameters": layer.parameters,
        "macs": layer.macs,
        "output_bytes": layer.output_bytes,
        "kept_bytes": layer.kept_bytes,
        **{
            n: {"flop": p.flop, "bytes": p.bytes, "intensity": p.intensity}
            for n, p in passes.items()
        },
    }


def cost(
    net: Any,
    batch_size: int = 128,
    *,
    input_shape: Shape | None = None,
    backend: str | None = None,
    device: str = "cpu",
) -> Cost:
    """Return what a net costs for a mini-batch in float32, layer by layer.

    The numbers come from the table of layers alone. With ``backend``, worker processes also measure the
    limits of this machine and the time of each layer in this framework, within about a minute.

    Parameters
    ----------
    net : a name in `alexnet.spec.zoo`, a `Net` (also resolved), or a net that `build` returned.
    batch_size : the number of images in the mini-batch.
    input_shape : (channels, height, width); default: the input shape of the table.
    backend : numpy, torch, mxnet, tensorflow or paddle; default: nothing is measured.
    device : ``"cpu"`` or ``"gpu"``, for the measurement.

    Raises SpecError for an unknown net, for an input shape that does not fit and for a layer class outside
    `alexnet.spec`; RunError for a wrong batch size or device; BackendError for a backend that is unknown,
    not installed, or does not support a layer.

    >>> found = cost("lenet", batch_size=2)
    >>> found.parameters, found.macs, found.layers[0].forward.intensity > 10
    (61706, 833040, True)
    """
    table = _table(net).resolve(input_shape)
    if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
        raise RunError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    size = int(batch_size)
    try:
        layers = layer_costs(table, size)
    except SpecError as error:
        raise SpecError(f"{table.name}, {error}") from None
    found = None
    if backend is not None:
        check(table, backend, device)
        found = measure(table, size, backend, device)
    return Cost(table, size, layers, kept_input_bytes(table, size), found)


def _table(net: Any) -> Net:
    """Return the table of what a user names. Raises SpecError if it has none."""
    resolved = net if isinstance(net, ResolvedNet) else table_of(net)
    if resolved is not None:
        return resolved.net
    if not isinstance(net, str | Net):
        raise SpecError(
            "the cost is known for a name of the zoo, a Net, or a net that alexnet.build returned; "
            f"got {type(net).__name__}"
        )
    return zoo.get(net)
