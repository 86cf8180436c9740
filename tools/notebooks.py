"""Build the notebooks: one code, two languages.

    python tools/notebooks.py              # builds all notebooks
    python tools/notebooks.py exercises    # builds one
    python tools/notebooks.py --texts      # puts changed texts into the notebooks, without running them

`notebooks/sources/NAME.py` has the cells of a notebook (jupytext, percent format). A Markdown cell there
holds only a key. The text of the key stands in `NAME.en.md` and in `NAME.zh.md`, below a line
`<!-- key -->`. A key that several notebooks use stands in `shared.en.md` and `shared.zh.md`.

The first code cell of a source holds only `# extras: torch,mxnet`. It becomes the cell that installs the
library with these extras on Colab and Kaggle.

A text can hold figures of the run: `{{ accuracy:.3f }}` has the same form as in an f-string. It is computed
where the text stands, after the code cells above it. `{{ run_time }}` is the time of the whole run.

The code runs once. Both notebooks get its outputs: `notebooks/NAME.ipynb` and `notebooks/zh/NAME.ipynb`. A
run with an error, or with output on stderr, writes neither. The notebooks keep the figures of their run, so
texts can change without another run.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SOURCES = NOTEBOOKS / "sources"
FOLDERS = {"en": NOTEBOOKS, "zh": NOTEBOOKS / "zh"}  # language: its folder
SHARED = "shared"

FIGURE = re.compile(r"\{\{ *(.+?) *\}\}")
RUN_TIME = "run_time"
MINUTES = {"en": "{} min {} s", "zh": "{} 分 {} 秒"}

EXTRAS = "# extras: "
INSTALL = """\
# On Colab and Kaggle, this cell installs the library. Elsewhere it does nothing.
import importlib.util
import os
import subprocess
import sys

SOURCE = "."  # a clone of the repository, or another address that pip understands
hosted = "COLAB_RELEASE_TAG" in os.environ or "KAGGLE_KERNEL_RUN_TYPE" in os.environ
if hosted and importlib.util.find_spec("alexnet") is None:
    install = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, f"{SOURCE}[%s]"], check=True)"""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(Exception):
    """A notebook whose source, text or run is wrong. The message says what."""


@dataclass(frozen=True)
class Cell:
    """A cell of a source: code, or the key of a text."""

    id: str
    is_code: bool
    content: str


@dataclass(frozen=True)
class Run:
    """What a run of a notebook gave."""

    outputs: list[list[NotebookNode]]  # of each code cell
    figures: dict[str, dict[str, str]]  # by the key of the text, and by the expression
    seconds: float


def names() -> list[str]:
    """Return the names of all notebooks."""
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def path_of(name: str, language: str) -> Path:
    return FOLDERS[language] / f"{name}.ipynb"


def cells_of(name: str) -> list[Cell]:
    """Return the cells of a source."""
    cells = []
    for number, cell in enumerate(jupytext.read(SOURCES / f"{name}.py", fmt="py:percent").cells):
        content = cell.source.strip()
        if content.startswith(EXTRAS):
            content = INSTALL % content.removeprefix(EXTRAS)
        is_code = cell.cell_type == "code"
        cells.append(Cell(f"{'code' if is_code else 'text'}-{number}", is_code, content))
    return cells


def _texts(file: Path) -> dict[str, str]:
    first, *rest = re.split(r"^<!-- *(.+?) *-->$", file.read_text(encoding="utf-8"), flags=re.M)
    keys, texts = rest[::2], rest[1::2]
    if first.strip():
        raise NotebookError(f"{file.name}: the text before the first key has no key")
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise NotebookError(f"{file.name}: keys that occur twice: {', '.join(twice)}")
    return {key: text.strip() for key, text in zip(keys, texts, strict=True)}


def texts_of(name: str, language: str) -> dict[str, str]:
    """Return the text of every key that a notebook uses, in one language.

    Raises NotebookError for a key that has no text, and for a text that no cell uses.
    """
    own, shared = (_texts(SOURCES / f"{stem}.{language}.md") for stem in (name, SHARED))
    keys = [cell.content for cell in cells_of(name) if not cell.is_code]
    if missing := [key for key in keys if key not in own | shared]:
        raise NotebookError(f"{name}.{language}.md: no text for {', '.join(missing)}")
    if unused := [key for key in own if key not in keys]:
        raise NotebookError(f"{name}.{language}.md: no cell uses {', '.join(unused)}")
    return {key: (shared | own)[key] for key in keys}


def compose(name: str, language: str) -> NotebookNode:
    """Return a notebook that has not run: its texts still have the placeholders of their figures."""
    texts = texts_of(name, language)
    cells = [
        new_code_cell(cell.content, id=cell.id)
        if cell.is_code
        else new_markdown_cell(texts[cell.content], id=cell.id)
        for cell in cells_of(name)
    ]
    return new_notebook(cells=cells, metadata=METADATA)


def execute(name: str) -> Run:
    """Run the code of a notebook once.

    Raises nbclient's CellExecutionError if a cell raises an error, and NotebookError for output on stderr.
    """
    begun = time.monotonic()
    texts = [texts_of(name, language) for language in FOLDERS]
    cells, asked = [], {}
    for cell in cells_of(name):
        if cell.is_code:
            cells.append(new_code_cell(cell.content, id=cell.id))
        elif wanted := [f for text in texts for f in FIGURE.findall(text[cell.content])]:
            asked[cell.id] = cell.content, [figure for figure in wanted if figure != RUN_TIME]
            code = ", ".join(f"f'''{{{figure}}}'''" for figure in asked[cell.id][1])
            cells.append(new_code_cell(f"[{code}]", id=cell.id))
    notebook = new_notebook(cells=cells, metadata=METADATA)
    folder = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, timeout=1800, resources=folder, record_timing=False).execute()
    figures: dict[str, dict[str, str]] = {}
    for cell in notebook.cells:
        if errors := [output.text for output in cell.outputs if output.get("name") == "stderr"]:
            raise NotebookError(
                f"{name}: a cell writes to stderr: {''.join(errors)}\n{cell.source}"
            )
        if cell.id in asked:
            key, wanted = asked[cell.id]
            values = ast.literal_eval(cell.outputs[0].data["text/plain"])
            figures[key] = dict(zip(wanted, values, strict=True))
    outputs = [cell.outputs for cell in notebook.cells if cell.id not in asked]
    return Run(outputs, figures, time.monotonic() - begun)


def last_run(name: str) -> Run:
    """Return what the last run gave, from the notebooks that it wrote.

    Raises NotebookError if there was no run, or if the code has changed since.
    """
    path = path_of(name, "en")
    notebook = nbformat.read(path, as_version=4) if path.exists() else new_notebook()
    if "run" not in notebook.metadata:
        raise NotebookError(f"{name}: there is no run of it; run it")
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in ran] != [c.content for c in cells_of(name) if c.is_code]:
        raise NotebookError(f"{name}: its code has changed since its last run; run it again")
    return Run([cell.outputs for cell in ran], **notebook.metadata["run"])


def write(name: str, run: Run) -> None:
    """Write the notebooks of a run, one for each language.

    Raises NotebookError for a figure that the run does not have, such as one of a text that changed during
    the run. The notebooks are written all the same, so that the run is not lost.
    """
    keys, missing = {cell.id: cell.content for cell in cells_of(name)}, []
    for language in FOLDERS:
        notebook = compose(name, language)
        notebook.metadata["run"] = {"figures": run.figures, "seconds": run.seconds}
        run_time = MINUTES[language].format(*divmod(round(run.seconds), 60))
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                known = {RUN_TIME: run_time, **run.figures.get(keys[cell.id], {})}
                missing += [f for f in FIGURE.findall(cell.source) if f not in known]
                cell.source = FIGURE.sub(
                    lambda found, known=known: known.get(found[1], found[0]), cell.source
                )
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, (cell, outputs) in enumerate(zip(code, run.outputs, strict=True), 1):
            cell.execution_count = count
            cell.outputs = [_stored(output, count) for output in outputs]
        nbformat.validate(notebook)
        text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        path_of(name, language).parent.mkdir(exist_ok=True)
        path_of(name, language).write_text(text, encoding="utf-8")
    if missing:
        raise NotebookError(f"{name}: the last run has no {', '.join(missing)}; run it again")


def _stored(output: NotebookNode, count: int) -> NotebookNode:
    """Return an output of cell number ``count`` as the notebook stores it."""
    changed = nbformat.from_dict(output)
    if "execution_count" in changed:
        changed.execution_count = count
    if "image/png" in changed.get("data", {}):
        changed.data["image/png"] = _smaller(changed.data["image/png"])
    return changed


def _smaller(png: str) -> str:
    """Return a PNG (in base64) with at most 256 colours, if that needs less space."""
    image = Image.open(BytesIO(b64decode(png)))
    if image.mode == "P":  # it has a palette already
        return png
    file = BytesIO()
    image.convert("RGB").quantize(dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return min(png, b64encode(file.getvalue()).decode(), key=len)


def differences(name: str, language: str) -> list[str]:
    """Return how a committed notebook differs from its source. Outputs and figures are left aside."""
    path = path_of(name, language)
    if not path.exists():
        return [f"{path} is missing"]
    committed, wanted = nbformat.read(path, as_version=4).cells, compose(name, language).cells
    if [cell.id for cell in committed] != [cell.id for cell in wanted]:
        return [f"{path} has other cells than its source"]
    found = []
    for old, new in zip(committed, wanted, strict=True):
        pieces = FIGURE.split(new.source)[::2] if new.cell_type == "markdown" else [new.source]
        if not re.fullmatch(".+?".join(map(re.escape, pieces)), old.source, flags=re.S):
            found.append(f"{path}, {new.id}: {old.source[:60]!r} is not what its source says")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="notebooks; default: all")
    parser.add_argument("--texts", action="store_true", help="change the texts only; run nothing")
    options = parser.parse_args()
    for name in options.names or names():
        run = last_run(name) if options.texts else execute(name)
        write(name, run)
        print(f"{name}: {run.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
