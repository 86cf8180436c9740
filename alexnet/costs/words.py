"""The costs of a net in words: what holds the memory, what does the arithmetic, what waits for the memory.

This is the fourth exercise of the chapter (*Dive into Deep Learning*, section 7.1.6): which part of AlexNet
takes most memory, which part needs most computation, and how does memory bandwidth matter?
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from alexnet.backends import framework
from alexnet.costs.layers import PASSES, LayerCost
from alexnet.costs.measure import Measurement
from alexnet.costs.numbers import Numbers
from alexnet.costs.text import GROUPS, HEAVY, amount, by_group, listed, percent, ratio, total

IN_CACHE = 1.1  # times the speed that the memory allows; less may be noise


def table_sentences(cost: Numbers) -> list[str]:
    """Return what the table alone says: parameters and multiply-adds, memory, bytes moved."""
    return [text for text in (_parts(cost), _memory(cost), _traffic(cost)) if text]


def measured_sentences(cost: Numbers, found: Measurement) -> list[str]:
    """Return what the measurement says: what limits each layer, and the times; then the problems."""
    problems = [f"{what}: {why}" for what, why in found.problems.items()]
    return [*_limits(cost, found), *_least(cost, found), *_taken(cost, found), *problems]


def _parts(cost: Numbers) -> str:
    """Return which group holds the parameters, and which does the multiply-adds."""
    if not cost.parameters:
        return "The net has no parameters."
    groups = {
        group: (sum(layer.parameters for layer in layers), sum(layer.macs for layer in layers))
        for group, layers in by_group(cost.layers).items()
    }
    holds = max(groups, key=lambda group: groups[group][0])
    works = max(groups, key=lambda group: groups[group][1])
    what = (
        f" of the {amount(cost.parameters)} parameters",
        f" of the {amount(cost.macs)} multiply-adds",
    )
    if not cost.macs:
        return f"The {holds} hold {percent(groups[holds][0] / cost.parameters)}{what[0]}."
    found = []
    for group in dict.fromkeys((holds, works)):
        held, done = groups[group][0] / cost.parameters, groups[group][1] / cost.macs
        word = " and" if holds == works else ", but"
        found.append(
            f"The {group} hold {percent(held)}{what[0]}{word} do {percent(done)}{what[1]}."
        )
        what = " of the parameters", " of the multiply-adds"
    return " ".join(found)


def _memory(cost: Numbers) -> str:
    """Return what training needs for the weights, and what it keeps for the backward pass."""
    if not cost.parameters:
        return ""
    weights, kept = 8 * cost.parameters, cost.kept_bytes
    largest = max(cost.layers, key=lambda layer: layer.kept_bytes)
    found = (
        f"Training needs {amount(weights, 'B')} for the weights and their gradients. For the backward "
        f"pass of a batch of {cost.batch_size:,}, it keeps {amount(kept, 'B')} of activations"
    )
    if largest.kept_bytes:
        found += f"; layer {largest.name} alone keeps {percent(largest.kept_bytes / kept)} of them"
    even = math.floor(weights * cost.batch_size / kept) + 1
    return f"{found}. In batches of {even:,} or more, the activations are the larger part."


def _traffic(cost: Numbers) -> str:
    """Return how many bytes are moved for how many operations, and by which layers."""
    everything = total(layer.of(name) for layer in cost.layers for name in PASSES)
    if not everything.flop:
        return ""
    found = (
        f"Forward and backward, a batch moves at least {amount(everything.bytes, 'B')} and takes "
        f"{amount(everything.flop, 'FLOP')}."
    )
    light = [layer for layer in cost.layers if GROUPS[layer.kind] not in HEAVY]
    rest = total(layer.of(name) for layer in light for name in PASSES)
    heavy = [group for group in by_group(cost.layers) if group in HEAVY]
    if heavy and rest.flop:
        found += (
            f" The layers other than {listed(heavy)} do {percent(rest.flop / everything.flop)} of the "
            f"arithmetic, but move {percent(rest.bytes / everything.bytes)} of the bytes."
        )
    ranges = [f"{group} {_range(by_group(cost.layers)[group])}" for group in heavy]
    ranges += [f"other layers {_range(light)}"] if rest.flop else []
    found += f" FLOP for each byte: {', '.join(ranges)}."
    if "dense layers" in heavy:
        found += (
            " Dense layers do more for each byte in larger batches, because a batch reads their weights "
            "once."
        )
    return found


def _range(layers: Iterable[LayerCost]) -> str:
    values = [layer.of(name).intensity for layer in layers for name in PASSES]
    low, high = (ratio(of(v for v in values if v)) for of in (min, max))
    return low if low == high else f"{low} to {high}"


def _limits(cost: Numbers, found: Measurement) -> list[str]:
    """Return the limits of the machine, and which layers wait for what."""
    if not found.peak or not found.bandwidth or not found.ridge:
        return []
    what = "The GPU" if found.place == "gpu" else "This machine"
    texts = [
        f"{what} does at most {amount(found.peak, 'FLOP/s')} and its memory moves at most "
        f"{amount(found.bandwidth, 'B/s')}. So a layer with fewer than {ratio(found.ridge)} FLOP for each "
        "byte is limited by memory bandwidth, a layer with more by arithmetic."
    ]
    sides = {name: _sides(cost, name, found.ridge) for name in PASSES}
    if sides["forward"] == sides["backward"]:
        return [*texts, _limited("Forward and backward", *sides["forward"])]
    return [*texts, *(_limited(name.capitalize(), *sides[name]) for name in PASSES)]


def _sides(cost: Numbers, name: str, ridge: float) -> tuple[str, str]:
    """Return the layers that memory bandwidth limits in a pass, and those that arithmetic limits."""
    working = [layer for layer in cost.layers if layer.of(name).flop]
    below = {layer.row.index for layer in working if layer.of(name).intensity < ridge}
    sides: tuple[list[str], list[str]] = [], []
    for group, layers in by_group(working).items():
        for side, wanted in zip(sides, (True, False), strict=True):
            mine = [layer for layer in layers if (layer.row.index in below) is wanted]
            side += [group] if len(mine) == len(layers) > 1 else [layer.name for layer in mine]
    memory, compute = (listed(side) if side else "" for side in sides)
    return memory, compute


def _limited(when: str, memory: str, compute: str) -> str:
    if not memory or not compute:
        what = "memory bandwidth limits" if memory else "arithmetic limits"
        return (
            f"{when}, {what} every layer." if memory or compute else f"{when}, nothing is computed."
        )
    return f"{when}, memory bandwidth limits {memory}; arithmetic limits {compute}."


def _least(cost: Numbers, found: Measurement) -> list[str]:
    """Return the least time of both passes at the limits of the machine."""
    if found.ridge is None:
        return []
    works = [layer.of(name) for layer in cost.layers for name in PASSES if layer.of(name).bytes]
    least = [found.least_seconds(work) or 0 for work in works]
    waiting = sum(s for work, s in zip(works, least, strict=True) if work.intensity < found.ridge)
    if not works:
        return []
    return [
        f"At these limits, a batch takes at least {amount(sum(least), 's')}, "
        f"{percent(waiting / sum(least))} of it in layers that memory bandwidth limits."
    ]


def _taken(cost: Numbers, found: Measurement) -> list[str]:
    """Return the measured time of both passes, if every layer was measured."""
    if len(found.seconds) < len(cost.layers):
        return []
    times = {
        name: [found.seconds[layer.row.index].get(name, 0.0) for layer in cost.layers]
        for name in PASSES
    }
    both = [sum(of_layer) for of_layer in zip(*times.values(), strict=True)]
    light = sum(
        seconds
        for layer, seconds in zip(cost.layers, both, strict=True)
        if GROUPS[layer.kind] not in HEAVY
    )
    ways = ", ".join(f"{amount(sum(of_pass), 's')} {name}" for name, of_pass in times.items())
    texts = [
        f"{framework(found.backend).title} {found.version} on {found.device} takes {ways}; layers other "
        f"than convolutions and dense layers take {percent(light / sum(both))} of the time."
    ]
    still = next((layer for layer in cost.layers if not layer.forward.bytes), None)  # a Flatten
    if still is not None:
        seconds = amount(times["forward"][still.row.index], "s")
        texts.append(
            f"{still.name}, which moves nothing, takes {seconds} forward: the time of a call."
        )
    if any(_is_in_cache(layer, name, found) for layer in cost.layers for name in PASSES):
        texts.append(
            "A layer can be faster than the memory bandwidth allows if its data lie in the cache."
        )
    return texts


def _is_in_cache(layer: LayerCost, name: str, found: Measurement) -> bool:
    """Return whether a pass was faster than the memory bandwidth allows."""
    seconds, bandwidth = found.seconds[layer.row.index].get(name), found.bandwidth
    if seconds is None or bandwidth is None:
        return False
    return layer.of(name).bytes > IN_CACHE * bandwidth * seconds
