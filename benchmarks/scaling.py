"""What the model of several processes says about AlexNet on 1 to 1,024 GPUs.

    python benchmarks/scaling.py [--picture docs/pictures/scaling.svg]

The time of one GPU was measured: an NVIDIA H200 in bfloat16 (docs/speed.md). The networks are assumptions,
from the numbers that their makers give; no run on several GPUs was measured. Prints, for each network, the
speed of n GPUs over n times the speed of one GPU.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet.costs.scaling import Link, buckets, step_time
from alexnet.spec import zoo
from alexnet.views.svg import drawing_style, svg

MEASURED = {128: 23_133, 512: 27_262}  # examples per second of one GPU, by batch
BATCH = 128
GPUS = (1, 2, 8, 16, 64, 256, 1024)
PER_MACHINE = 8
NVLINK = Link(rate=450e9, latency=5e-6)
# Eight rings share the network cards of a machine. So a ring has the rate of all cards together.
NETWORKS = {
    "one network card of 100 Gbit/s in each machine": Link(rate=12.5e9, latency=10e-6),
    "eight network cards of 400 Gbit/s in each machine": Link(rate=400e9, latency=10e-6),
}
NET = zoo.get("alexnet").resolve()


@dataclass(frozen=True)
class Way:
    """One way to train on n GPUs."""

    batch: int | None = BATCH  # examples for each GPU; None: `BATCH` for all of them together
    overlap: bool = True
    bytes_per_value: int = 4
    tree: bool = False


WAYS = {
    "128 in all": Way(batch=None),
    "128 each": Way(),
    "no overlap": Way(overlap=False),
    "bf16 sent": Way(bytes_per_value=2),
    "512 each": Way(batch=512, bytes_per_value=2),
    "512, trees": Way(batch=512, bytes_per_value=2, tree=True),
}
COLOURS = ("#5a5a5a", "#0072b2", "#56a9e0", "#00805e", "#c04a00", "#a8488e")
ON_DARK = ("#b4b4b4", "#56a9e0", "#9fd0f5", "#3cbf98", "#f08a4b", "#dd8fc6")


def compute(batch: float) -> float:
    """Return the seconds of one GPU for a step: the line through the two measured batches."""
    (small, fast), (large, faster) = MEASURED.items()
    each = (large / faster - small / fast) / (large - small)
    return small / fast + each * (batch - small)


def efficiency(way: Way, gpus: int, network: Link) -> float | None:
    """Return the speed of ``gpus`` over that many times the speed of one GPU; None if rows are missing."""
    rows = way.batch or BATCH / gpus
    if rows < 1:
        return None
    link = NVLINK if gpus <= PER_MACHINE else network
    time = step_time(
        NET,
        gpus,
        compute(rows),
        link,
        overlap=way.overlap,
        tree=way.tree,
        bytes_per_value=way.bytes_per_value,
    ).total
    return (rows / time) / (BATCH / compute(BATCH))


def show(*cells: object) -> None:
    print("".join(f"{cell:>12}" for cell in cells))


def draw() -> Figure:
    """Return the curves of all ways, a panel for each network."""
    figure, panels = plt.subplots(
        2, 1, figsize=(4.5, 5.6), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (title, network) in zip(panels, NETWORKS.items(), strict=True):
        for (name, way), colour in zip(WAYS.items(), COLOURS, strict=True):
            found = {n: efficiency(way, n, network) for n in GPUS}
            points = {n: value for n, value in found.items() if value is not None}
            axes.plot(list(points), list(points.values()), ".-", color=colour, label=name)
        axes.set_title(title, fontsize="medium")
        axes.set_xscale("log", base=2)
        axes.set_xticks(GPUS, [f"{n:,}" for n in GPUS])
        axes.set(ylim=(0, None), ylabel="speed over n times one GPU")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid()
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].set_xlabel("GPUs")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="file for the curves (.svg)")
    given = parser.parse_args()
    print(
        f"AlexNet: {sum(b.size for b in buckets(NET)) / 1e6:.0f} MB of gradients in float32. One H200: "
        f"{1000 * compute(128):.1f} ms for 128 examples, {1000 * compute(512):.1f} ms for 512."
    )
    for title, network in NETWORKS.items():
        print(f"\n{PER_MACHINE} GPUs and {title}")
        show("GPUs", *WAYS)
        for gpus in GPUS:
            found = (efficiency(way, gpus, network) for way in WAYS.values())
            show(f"{gpus:,}", *("–" if value is None else f"{value:.0%}" for value in found))
    if given.picture:
        with drawing_style():
            figure = draw()
        said = "The speed of n GPUs over n times the speed of one GPU, by the way of training."
        dark = dict(zip(COLOURS, ON_DARK, strict=True))
        given.picture.write_text(svg(figure, said, dark), encoding="utf-8")


if __name__ == "__main__":
    main()
