"""The costs of a net as tables."""

from __future__ import annotations

from rich.table import Table

from alexnet.backends import framework
from alexnet.costs.layers import PASSES, LayerCost
from alexnet.costs.measure import Measurement
from alexnet.costs.numbers import Numbers
from alexnet.costs.text import amount, percent, ratio, total
from alexnet.views.tables import LAYOUT

EMPTY = "–"


def cost_table(cost: Numbers) -> Table:
    """Return the costs of each layer for the mini-batch, and the totals.

    Columns: parameters, multiply-adds of the forward pass, bytes of the output, bytes that training keeps
    for the backward pass; for each pass, bytes moved and FLOP for each byte.
    """
    table = Table(title=cost.title, show_footer=True, **LAYOUT)
    sums = {name: total(layer.of(name) for layer in cost.layers) for name in PASSES}
    columns = {
        "#": "",
        "layer": "total",
        "para-\nmeters": amount(cost.parameters),
        "mult-\nadds": amount(cost.macs),
        "output": amount(cost.output_bytes, "B"),
        "kept": amount(cost.kept_bytes, "B"),
        "forward\nmoves": amount(sums["forward"].bytes, "B"),
        "FLOP\n/byte": "",
        "backward\nmoves": amount(sums["backward"].bytes, "B"),
        "FLOP\n/byte ": "",
    }
    for name, footer in columns.items():
        left = name == "layer"
        table.add_column(name, footer, justify="left" if left else "right", no_wrap=True)
    if cost.input_bytes:
        table.add_row("", "input", *(EMPTY,) * 3, _cell(cost.input_bytes, "B"), *(EMPTY,) * 4)
    for layer in cost.layers:
        table.add_row(
            str(layer.row.index),
            layer.kind,
            _cell(layer.parameters),
            _cell(layer.macs),
            _cell(layer.output_bytes, "B"),
            _cell(layer.kept_bytes, "B"),
            *(cell for name in PASSES for cell in _moves(layer, name)),
        )
    return table


def _cell(value: float, unit: str = "") -> str:
    return amount(value, unit) if value else EMPTY


def _moves(layer: LayerCost, name: str) -> tuple[str, str]:
    work = layer.of(name)
    return _cell(work.bytes, "B"), ratio(work.intensity) if work.flop else EMPTY


def speed_table(cost: Numbers, found: Measurement) -> Table:
    """Return the measured time and speed of each layer, and the share of the machine's limit.

    The limit of a pass is the smaller of two speeds: the peak FLOP/s, and the memory bandwidth times the
    FLOP for each byte.
    """
    where = f"{framework(found.backend).title} {found.version} on {found.device or found.place}"
    table = Table(title=f"{where}: one batch, the fastest of several runs", **LAYOUT)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("layer", no_wrap=True)
    for name in PASSES:
        for column in (f"{name}\ntime", "\nFLOP/s", "of\nlimit", "limited\nby"):
            table.add_column(column, justify="right", no_wrap=True)
    for layer in cost.layers:
        cells = [cell for name in PASSES for cell in _speed(layer, name, found)]
        table.add_row(str(layer.row.index), layer.kind, *cells)
    return table


def _speed(layer: LayerCost, name: str, found: Measurement) -> tuple[str, str, str, str]:
    work = layer.of(name)
    taken = found.seconds.get(layer.row.index, {}).get(name)
    least = found.least_seconds(work)
    if not work.bytes:
        return (EMPTY,) * 4
    by = EMPTY
    if found.ridge is not None and work.flop:
        by = "memory" if work.intensity < found.ridge else "FLOP/s"
    return (
        amount(taken, "s") if taken else EMPTY,
        amount(work.flop / taken) if taken and work.flop else EMPTY,
        percent(least / taken) if taken and least else EMPTY,
        by,
    )
