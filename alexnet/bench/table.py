"""A bench as lines of text and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from rich.table import Table

from alexnet.backends import framework
from alexnet.bench.hand import NO_LOOPS
from alexnet.bench.plan import WORKERS
from alexnet.bench.results import TORCHVISION, Bench, Row
from alexnet.views.tables import LAYOUT

EMPTY = "–"
COMMUNICATION = (
    "Processes share each batch. Communication: a step that adds up the gradients of all processes, less a "
    "step without that. Waiting for each other counts too."
)
SHORT = {"float32": "fp32", "bfloat16": "bf16"}


def summary(bench: Bench) -> list[str | Table]:
    """Return what to print: the tables, the limits, torchvision's loader, versions and problems."""
    tables: list[str | Table]
    if bench.plan.sweep == WORKERS:
        tables = workers_tables(bench)
    elif bench.plan.sweep:
        tables = [sweep_table(bench)]
    else:
        numbers = range(len(bench.plan.cases))
        tables = [
            part for n in numbers for part in (bench.plan.cases[n].title, case_table(bench, n))
        ]
    return [*tables, *_recipes(bench), *_facts(bench), *problems(bench)]


def case_table(bench: Bench, number: int) -> Table:
    """Return the medians of all rounds for one case, a line for each backend.

    Columns: thousands of images/s of the loader; examples/s of the step alone, of `train_ch6` and of the
    hand-written loop; the ratio of `train_ch6` to the hand-written loop and to the machine's limit; on a
    GPU, the share of the time in which it works during `train_ch6` and during the hand-written loop.
    ``±`` is half the distance from the smallest to the largest value, over the median.
    """
    gpu = any("train busy" in row.figures or "hand busy" in row.figures for row in bench.rows)
    table = Table(**LAYOUT)
    table.add_column("backend", no_wrap=True, min_width=10)
    widths = {"loader k/s": 10, "step/s": 11, "train_ch6/s": 11, "by hand/s": 11, "÷ hand": 6}
    widths |= {"÷ limit": 7} | ({"GPU busy": 8, "by hand": 7} if gpu else {})
    for title, width in widths.items():
        table.add_column(title, justify="right", no_wrap=True, min_width=width)
    for row in (r for r in bench.rows if r.case == number):
        busy = [_percent(row.median(name)) for name in ("train busy", "hand busy")] if gpu else []
        loader = row.median("loader")
        differs = row.precision not in ("", bench.plan.cases[number].precision)
        table.add_row(
            f"{row.backend} ({SHORT.get(row.precision, row.precision)})"
            if differs
            else row.backend,
            _number(loader / 1000) if loader else EMPTY,
            *[_speed(row, name) for name in ("step", "train", "hand")],
            _ratio(row.ratio("train", "hand")),
            _ratio(bench.share_of_limit(row)),
            *busy,
        )
    return table


def workers_tables(bench: Bench) -> list[str | Table]:
    """Return a title and a table for each net and precision.

    A table has a line for each backend and number of processes. Columns: milliseconds of a step;
    examples/s; the speed over the speed of one process; milliseconds of communication, and their share of
    the step.
    """
    parts: list[str | Table] = []
    for shared in dict.fromkeys(replace(case, processes=None) for case in bench.plan.cases):
        table = Table(**LAYOUT)
        table.add_column("backend", no_wrap=True, min_width=10)
        widths = {"processes": 9, "step ms": 12, "examples/s": 10, "speed-up": 8}
        for title, width in (widths | {"communication ms": 16, "share": 5}).items():
            table.add_column(title, justify="right", no_wrap=True, min_width=width)
        rows = [r for r in bench.rows if replace(bench.case(r), processes=None) == shared]
        for row in sorted(rows, key=lambda r: bench.plan.names.index(r.backend)):
            seconds = row.median(row.step)
            table.add_row(
                row.backend,
                f"{bench.case(row).processes}",
                _with_spread(row.figures.get(row.step), 1000),
                _number(shared.batch_size / seconds) if seconds else EMPTY,
                _ratio(bench.speed_up(row)),
                _with_spread(row.communication, 1000),
                _percent(row.share_of_communication),
            )
        size = f"{shared.gradient_bytes / 1e6:,.3g} MB of gradients in each step"
        parts += [f"{shared.title}; {size}", table]
    return [*parts, COMMUNICATION]


def sweep_table(bench: Bench) -> Table:
    """Return examples/s (and MB of peak memory) of `train_ch6`: a line per point, a column per backend."""
    table = Table(**LAYOUT)
    table.add_column(bench.plan.sweep or "", no_wrap=True)
    for name in bench.plan.names:
        table.add_column(f"{name}/s", justify="right", no_wrap=True)
        if bench.plan.sweep == "examples":
            table.add_column("peak MB", justify="right", no_wrap=True)
    shown = None
    for number, case in enumerate(bench.plan.cases):
        if shown != (case.model, case.precision):
            shown = (case.model, case.precision)
            table.add_row(f"{case.model}, {case.precision}", style="bold")
        cells = []
        for row in (r for r in bench.rows if r.case == number):
            cells.append(_speed(row, "train"))
            if bench.plan.sweep == "examples":
                memory = row.median("memory")
                cells.append(f"{memory / 1e6:,.0f}" if memory else EMPTY)
        table.add_row(f"{swept(bench, number):,}", *cells)
    return table


def swept(bench: Bench, number: int) -> int:
    """Return the value of a sweep's variable in a case."""
    case = bench.plan.cases[number]
    values = {
        "batch": case.batch_size,
        "size": case.size,
        "threads": case.threads or 0,
        "examples": case.examples,
    }
    return values[bench.plan.sweep or "batch"]


def problems(bench: Bench) -> list[str]:
    """Return a line for each backend, case and part that failed."""
    lines = []
    for row in bench.rows:
        place = f"{framework(row.backend).title}, {bench.case(row).title}"
        lines += [f"{place}: {row.problem}"] if row.problem else []
        lines += [f"{place}, {part}: {why}" for part, why in row.problems.items()]
    return lines


def _facts(bench: Bench) -> list[str]:
    lines = []
    for precision, kinds in bench.limits.peaks.items():
        found = {kind: max(values) / 1e9 for kind, values in kinds.items() if values}
        if found:
            best = ", ".join(f"{kind} {gflops:,.0f}" for kind, gflops in found.items())
            lines.append(f"Peak of this machine in {precision}, GFLOP/s: {best}.")
    if copies := {kind: max(values) / 1e9 for kind, values in bench.limits.bandwidth.items()}:
        best = ", ".join(f"{kind} {rate:,.1f}" for kind, rate in copies.items())
        lines.append(f"Memory bandwidth, GB/s read and written: {best}.")
    used = {row.precision for row in bench.rows if row.figures and not bench.plan.sweep}
    if missing := sorted(p for p in used if bench.limits.peak(p) is None):
        lines.append(f"No peak was measured in {', '.join(missing)}; peaks.log gives the reason.")
    lines.append("±: half the distance from the smallest to the largest measurement.")
    lines += _loader_lines(bench)
    versions = dict.fromkeys(
        f"{framework(row.backend).title} {row.version}" for row in bench.rows if row.version
    )
    if not bench.hand_loops and not bench.plan.sweep:
        lines.append(NO_LOOPS)
    if versions:
        lines.append(f"alexnet {bench.version}, {', '.join(versions)}")
    time = f"rounds: {bench.rounds}, {bench.seconds:,.0f} s"
    lines.append("; ".join(filter(None, [bench.machine, time])))  # no worker has sent the machine
    return lines


def _loader_lines(bench: Bench) -> list[str]:
    """Return a line for each size and each way of torchvision: the loaders' speed over torchvision's."""
    lines = {}
    for row in bench.rows:
        case = bench.case(row)
        for way, what in TORCHVISION.items():
            theirs = row.median(way)
            if theirs is None:
                continue
            ratios = [
                f"{other.backend} {ratio:,.1f}×"
                for other in bench.rows
                if other.case == row.case and (ratio := bench.loader_ratio(other, way)) is not None
            ]
            lines[case.size, case.batch_size, way] = (
                f"Loader at {case.size}×{case.size} per core, over torchvision's Resize of {what} in a "
                f"DataLoader ({theirs:,.0f} images/s): {', '.join(ratios)}."
            )
    return list(lines.values())


def _recipes(bench: Bench) -> list[str]:
    """Return a line for each row that trained with the book's recipe."""
    lines = []
    for row in bench.rows:
        seconds, accuracy = row.median("recipe seconds"), row.median("recipe accuracy")
        if seconds and accuracy:
            lines.append(
                f"{framework(row.backend).title}, {bench.case(row).model} in {row.precision}, the book's "
                f"recipe: {seconds:,.0f} s, test accuracy {accuracy:.3f}"
            )
    return lines


def _speed(row: Row, name: str) -> str:
    return _with_spread(row.figures.get(name))


def _with_spread(values: Sequence[float] | None, unit: float = 1) -> str:
    """Return the median of values, times ``unit``, with their spread, such as ``31.2 ±2%``."""
    if not values:
        return EMPTY
    middle, half = median(values), (max(values) - min(values)) / 2
    return f"{_number(unit * middle)} ±{half / abs(middle):.0%}" if middle else "0"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.0%}"


def failed(bench: Bench) -> Sequence[str]:
    """Return the titles of the backends that failed, without those that are missing but not named."""
    rows = [row for row in bench.rows if row.problem or row.problems]
    counted = [row for row in rows if bench.plan.named or not row.missing]
    return list(dict.fromkeys(framework(row.backend).title for row in counted))
