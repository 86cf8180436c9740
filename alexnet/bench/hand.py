"""The hand-written loops in ``benchmarks/hand_loops``: finds them and runs them."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from alexnet.bench.cases import Case
from alexnet.data import ImageLoader

NO_LOOPS = (
    "The hand-written loops are not part of an installed package; run alexnet bench from a checkout of the "
    "project to compare with them."
)


def folder() -> Path | None:
    """Return the folder of the hand-written loops, or None if this is not a checkout of the project."""
    found = Path(__file__).parents[2] / "benchmarks" / "hand_loops"
    return found if found.is_dir() else None


def load(folder: str | None, name: str) -> ModuleType | None:
    """Return a module of the folder, such as ``paddle_loop``; None if the folder does not have it."""
    file = Path(folder or "") / f"{name}.py"
    if folder is None or not file.exists():
        return None
    spec = spec_from_file_location(f"alexnet_hand_{name}", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def speed(
    loop: ModuleType, case: Case, loader: ImageLoader, precision: str, device: str
) -> float | None:
    """Return the examples per second of a hand-written loop; None if it does not have this net.

    ``precision``: float32, bfloat16 or tf32. ``device``: ``"cpu"`` or ``"gpu"``.
    """
    sizes: dict[str, Any] = loop.SIZES
    if sizes.get(case.model) != case.size:
        return None
    return float(
        loop.train(
            loader.pixels.copy(),  # writable
            loader.labels.copy(),
            case.model,
            case.batch_size,
            case.steps,
            precision,
            device,
        )
    )
