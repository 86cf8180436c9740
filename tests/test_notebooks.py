"""The notebooks, run on few images, their builder, and comparisons in a notebook."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbformat.v4 import new_output
from PIL import Image

import alexnet
import notebooks
from alexnet import History
from alexnet.comparison.notebook import NotebookWatcher
from alexnet.comparison.rows import Row
from alexnet.errors import RunError

LANGUAGES = list(notebooks.FOLDERS)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", notebooks.names())
def test_a_notebook_runs_from_top_to_bottom(notebook, monkeypatch):
    """Without an error, a warning or anything else on stderr. The code runs once for both languages."""
    monkeypatch.setenv("ALEXNET_SUBSET", "32:16")
    run = notebooks.execute(notebook)
    data = [output.get("data", {}) for outputs in run.outputs for output in outputs]
    assert any("image/png" in found or "<svg" in str(found.get("text/html")) for found in data)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notebook", notebooks.names())
def test_a_committed_notebook_is_what_its_source_says(notebook, language):
    assert notebooks.differences(notebook, language) == []


@pytest.mark.parametrize("notebook", notebooks.names())
def test_both_languages_have_the_outputs_of_one_whole_run(notebook):
    english, chinese = (
        [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        for path in (notebooks.path_of(notebook, language) for language in LANGUAGES)
    )
    assert english == chinese
    assert [cell.execution_count for cell in english] == list(range(1, len(english) + 1))
    outputs = [output for cell in english for output in cell.outputs]
    assert not any(o.output_type == "error" or o.get("name") == "stderr" for o in outputs)


# --- the builder ----------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A function that writes a source with its texts to a folder, which the builder then uses."""
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(notebooks, "SOURCES", tmp_path)
    monkeypatch.setattr(notebooks, "FOLDERS", {"en": tmp_path, "zh": tmp_path / "zh"})

    def write(code, shared="", **texts):
        (tmp_path / "one.py").write_text(code)
        for language in notebooks.FOLDERS:
            (tmp_path / f"one.{language}.md").write_text(texts.get(language, ""))
            (tmp_path / f"shared.{language}.md").write_text(shared)

    return write


FIGURES = """\
# %% [markdown]
# before

# %%
n = 1234

# %% [markdown]
# after
"""


@pytest.mark.slow
def test_figures_come_out_of_the_run(source):
    before = "<!-- before -->\nIn {{ run_time }}."
    after = "<!-- after -->\n{{ n:,}} and {{ n / 2:.1f }}."
    source(FIGURES, en=f"{before}\n{after}", zh=f"{before}\n{after.replace('and', '与')}")
    run = notebooks.execute("one")
    notebooks.write("one", replace(run, seconds=62.4))
    english, chinese = (
        [cell.source for cell in nbformat.read(notebooks.path_of("one", language), 4).cells]
        for language in LANGUAGES
    )
    assert english == ["In 1 min 2 s.", "n = 1234", "1,234 and 617.0."]
    assert chinese == ["In 1 分 2 秒.", "n = 1234", "1,234 与 617.0."]
    assert notebooks.differences("one", "en") == []
    source(FIGURES, en=f"{before}\n{after}!", zh=f"{before}\n{after}")
    (found,) = notebooks.differences("one", "en")
    assert "'1,234 and 617.0.' is not what its source says" in found

    notebooks.write("one", notebooks.last_run("one"))  # a text changes without another run
    assert notebooks.differences("one", "en") == []
    assert "617.0.!" in notebooks.path_of("one", "en").read_text()
    source(FIGURES, en=f"{before}\n{after}", zh=f"{before}\n{after} {{{{ n + 1 }}}}")
    with pytest.raises(notebooks.NotebookError, match=r"one: the last run has no n \+ 1; run it"):
        notebooks.write("one", notebooks.last_run("one"))
    source(FIGURES.replace("1234", "12"), en=f"{before}\n{after}", zh=f"{before}\n{after}")
    with pytest.raises(notebooks.NotebookError, match="its code has changed since its last run"):
        notebooks.last_run("one")


def test_a_picture_takes_less_space_and_looks_the_same(source):
    source("# %%\n1")
    figure = Figure()
    figure.subplots(1, 2)[0].plot([0, 1], [0, 1], label="line")
    figure.axes[1].imshow(np.arange(256).reshape(16, 16), cmap="gray")
    file = BytesIO()
    figure.savefig(file, format="png")
    output = new_output("display_data", data={"image/png": b64encode(file.getvalue()).decode()})
    notebooks.write("one", notebooks.Run([[output]], {}, 1.0))
    (cell,) = nbformat.read(notebooks.path_of("one", "zh"), 4).cells
    stored = b64decode(cell.outputs[0].data["image/png"])
    assert len(stored) < 0.6 * len(file.getvalue())
    old, new = (
        np.asarray(Image.open(BytesIO(b)).convert("RGB"), int) for b in (file.getvalue(), stored)
    )
    assert np.abs(old - new).mean() < 0.5  # of 255


@pytest.mark.slow
def test_a_notebook_that_writes_to_stderr_is_refused(source):
    source("# %%\nimport warnings\nwarnings.warn('old')\n")
    with pytest.raises(notebooks.NotebookError, match=r"a cell writes to stderr: .*old"):
        notebooks.execute("one")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"en": "<!-- before -->\nA"}, "one.en.md: no text for after"),
        ({"en": "<!-- before -->\nA\n<!-- after -->\nB\n<!-- c -->"}, "one.en.md: no cell uses c"),
        ({"en": "<!-- a -->\n<!-- a -->"}, "one.en.md: keys that occur twice: a"),
        ({"en": "A\n<!-- a -->"}, "one.en.md: the text before the first key has no key"),
    ],
)
def test_texts_and_cells_must_match(source, texts, message):
    source(FIGURES, **texts)
    with pytest.raises(notebooks.NotebookError, match=message):
        notebooks.compose("one", "en")


def test_a_text_may_be_shared(source):
    source(FIGURES, shared="<!-- after -->\nB\n<!-- other -->\nC", en="<!-- before -->\nA")
    assert [cell.source for cell in notebooks.compose("one", "en").cells] == ["A", "n = 1234", "B"]


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
