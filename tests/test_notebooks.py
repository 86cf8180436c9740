"""The notebooks, executed on few images, and comparisons in a notebook."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

import alexnet
from alexnet import History
from alexnet.comparison.notebook import NotebookWatcher
from alexnet.comparison.rows import Row
from alexnet.errors import RunError

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_from_top_to_bottom(path, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "32:16")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert pictures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_committed_notebook_has_the_outputs_of_a_whole_run(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(o.output_type == "error" for cell in cells for o in cell.outputs)


# --- compare in a notebook ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_comparison_in_a_notebook_shows_its_table_and_curves(tmp_path):
    code = (
        "import alexnet\n"
        "alexnet.compare('lenet', ['numpy'], data='sample', train_examples=64, test_examples=32, "
        f"num_epochs=2, out={str(tmp_path / 'run')!r})"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    (result,) = (o for o in notebook.cells[0].outputs if o.output_type == "execute_result")
    assert not any(output.get("name") == "stderr" for output in notebook.cells[0].outputs)
    page = result["data"]["text/html"]
    assert "lenet at 28×28: 64 images" in page
    assert 'src="data:image/png;base64,' in page
    assert "numpy" in result["data"]["text/plain"]
    assert "numpy" in (tmp_path / "run" / "table.txt").read_text()
    live = [o for o in notebook.cells[0].outputs if o.output_type == "display_data"]
    assert [o["data"]["text/html"] for o in live] == [""]  # removed at the end


def test_the_notebook_view_follows_the_run(monkeypatch):
    pages = []
    handle = SimpleNamespace(update=lambda html: pages.append(html.data))
    monkeypatch.setattr("IPython.display.display", lambda html, display_id: handle)
    watcher = NotebookWatcher()
    watcher.INTERVAL, watcher.REST = -1.0, -1.0
    torch, mxnet = Row("lenet", "torch"), Row("lenet", "mxnet", problem="not installed")
    watcher.begin([torch, mxnet])
    watcher.event(torch, {"event": "start"})
    assert "starting" in pages[-1] and "waiting" in pages[-1] and "<img" not in pages[-1]
    history = History("lenet", "torch", "2", "cpu", {"train_examples": 64}, {})
    watcher.event(torch, {"event": "begin", "steps": 4, "history": history.to_dict()})
    steps = [{"examples": 16, "loss": 2.25, "accuracy": 0.5, "seconds": 0.5}] * 2
    step = {"event": "step", "done": 2, "loss": 2.25, "examples_per_sec": 31.5, "steps": steps}
    watcher.event(torch, step | {"seconds_left": 75.0})
    for text in ("2.250", "31.5", "1 min 15 s left", "<img", "waiting"):
        assert text in pages[-1]
    epoch = {"loss": 2.0, "train_accuracy": 0.5, "test_accuracy": 0.625, "seconds": 1.0}
    watcher.event(torch, {"event": "epoch", "done": 1, "epoch": epoch})
    assert "0.625" in pages[-1]
    watcher.finish(mxnet)
    assert "no result" in pages[-1]
    watcher.end()
    assert pages[-1] == ""


def test_compare_refuses_an_unknown_recipe_field():
    with pytest.raises(
        RunError, match="unknown recipe field epochs; known fields: train_examples, "
    ):
        alexnet.compare("lenet", ["numpy"], epochs=3)
