"""What imports load, and the traps between frameworks, each in a new Python."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from helpers import python, run

from alexnet import backends

FRAMEWORK_MODULES = "('torch', 'mxnet', 'tensorflow', 'keras', 'paddle')"


def test_importing_the_package_loads_no_framework():
    found = python(
        f"import sys, alexnet, alexnet.cli\nprint([m for m in {FRAMEWORK_MODULES} if m in sys.modules])"
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_importing_the_package_loads_nothing_heavy():
    heavy = "('matplotlib', 'rich', 'typer', 'requests', 'pooch', 'IPython', 'jinja2', 'pygments')"
    found = python(f"import sys, alexnet\nprint([m for m in {heavy} if m in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.slow
def test_a_backend_loads_its_own_framework_only(framework):
    others = {"torch", "mxnet", "tensorflow", "paddle"} - {framework}
    found = python(
        f"import sys; from alexnet import backends; backends.load({framework!r})\n"
        f"print([m for m in {sorted(others)} if m in sys.modules])"
    )
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.needs("mxnet")
def test_mxnet_may_be_imported_before_this_library():
    """The book's cells do so; np.bool is still restored and the threads are still set."""
    found = python(
        "import os; os.environ.pop('OMP_NUM_THREADS', None)\n"
        "from mxnet import np\n"
        "print(np.ones(2).sum(), 'OMP_NUM_THREADS' in os.environ)"
    )
    assert found.stdout.strip() == "2.0 True", found.stderr


@pytest.mark.needs("mxnet")
def test_a_program_named_alexnet_that_imports_mxnet_runs_once(tmp_path):
    """A reader of the chapter may choose this name; the program must not be taken for this library."""
    program = tmp_path / "alexnet.py"
    program.write_text("print('begins')\nfrom mxnet import np\nprint(np.ones(2).sum())\n")
    found = run(sys.executable, str(program))
    assert found.stdout.splitlines() == ["begins", "2.0"], found.stderr


def test_python_starts_without_numpy_and_this_library():
    found = python("import sys; print([m for m in ('numpy', 'alexnet') if m in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


def test_find_spec_of_mxnet_changes_nothing():
    found = python(
        "import importlib.util, os, sys; os.environ.pop('OMP_NUM_THREADS', None)\n"
        "importlib.util.find_spec('mxnet')\n"
        "print('OMP_NUM_THREADS' in os.environ, 'alexnet' in sys.modules)"
    )
    assert found.stdout.strip() == "False False", found.stderr


@pytest.mark.slow
@pytest.mark.needs("tensorflow", "paddle")
def test_paddle_after_tensorflow_is_an_error_not_a_crash():
    found = python(
        "from alexnet import AlexNetError, backends\n"
        "backends.load('tensorflow')\n"
        "try: backends.load('paddle')\n"
        "except AlexNetError as error: print(error)"
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("Paddle cannot be loaded after TensorFlow in one process")


@pytest.mark.slow
@pytest.mark.needs("torch", "tensorflow")
@pytest.mark.parametrize(
    "imports",
    [
        "backends.load('tensorflow'); backends.load('torch')",
        "import tensorflow; backends.load('torch')",
        # conftest.py loads torch before tensorflow in every run
        *(
            pytest.param(imports, marks=pytest.mark.release)
            for imports in (
                "backends.load('torch'); import tensorflow",
                "import torch, tensorflow; backends.load('torch')",
            )
        ),
    ],
)
def test_torch_and_tensorflow_live_in_one_process_in_any_order(imports):
    """PyTorch's first optimizer imports Triton, which dies if TensorFlow came before it."""
    found = python(
        f"from alexnet import backends; {imports}\n"
        "import torch; torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), 0.1); print('alive')"
    )
    assert found.stdout.strip().endswith("alive"), (found.returncode, found.stderr[-500:])


@pytest.mark.slow
@pytest.mark.needs("torch")
@pytest.mark.parametrize(("given", "expected"), [(None, "all"), ("1", "1")])
def test_threads_are_all_the_cores_unless_the_user_says_otherwise(given, expected):
    code = (
        "import os\n"
        f"os.environ.pop('OMP_NUM_THREADS', None); given = {given!r}\n"
        "if given: os.environ['OMP_NUM_THREADS'] = given\n"
        "from alexnet import backends; backends.load('torch'); import torch\n"
        "print(os.environ['OMP_NUM_THREADS'], torch.get_num_threads(), backends.usable_cores())"
    )
    found = python(code)
    setting, threads, cores = found.stdout.split()
    assert setting == threads == (cores if expected == "all" else expected), found.stderr


def test_a_missing_framework_names_the_command_that_adds_it():
    found = python(
        "import sys\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'torch' else real(n, *a)\n"
        "from alexnet import AlexNetError, build\n"
        "try: build('lenet', backend='torch')\n"
        "except AlexNetError as error: print(error)"
    )
    assert found.stdout.strip() == (
        'PyTorch is not installed; run pip install "torch>=2.5" "torchvision>=0.20"'
    ), found.stderr


def test_the_command_that_adds_a_framework_installs_the_packages_of_its_extra():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    others = [entry for name, entry in backends.FRAMEWORKS.items() if name != "numpy"]
    assert {entry.name: list(entry.requirements) for entry in others} == {
        entry.name: extras[entry.name] for entry in others
    }


@pytest.mark.needs("tensorflow")
def test_keras_on_another_framework_is_refused():
    found = python(
        "from alexnet import AlexNetError, build\n"
        "try: build('lenet', backend='tensorflow')\n"
        "except AlexNetError as error: print(error)",
        KERAS_BACKEND="jax",
    )
    assert found.stdout.startswith(
        "KERAS_BACKEND must be unset or tensorflow for the tensorflow backend, got jax"
    ), found.stderr


def test_a_framework_that_cannot_be_imported_is_one_sentence(tmp_path):
    """Whatever is raised: here a missing library, as MXNet's CUDA builds have it."""
    (tmp_path / "mxnet.py").write_text("raise OSError('libcudart.so.11.0: cannot open')")
    found = python(
        "from alexnet import AlexNetError, build\n"
        "try: build('lenet', backend='mxnet')\n"
        "except AlexNetError as error: print(error)",
        PYTHONPATH=str(tmp_path),
    )
    assert found.stdout == (
        "MXNet is installed but cannot be imported: libcudart.so.11.0: cannot open\n"
    ), found.stderr


def test_log_handlers_made_during_an_import_still_speak_afterwards(tmp_path):
    (tmp_path / "mxnet.py").write_text(
        "import logging, sys\n"
        "logging.getLogger('m').addHandler(logging.StreamHandler())\n"
        "print('chatter', file=sys.stderr)\n"
        "raise ImportError('no')"
    )
    found = python(
        "import logging\n"
        "from alexnet import AlexNetError, backends\n"
        "try: backends.load('mxnet')\n"
        "except AlexNetError: logging.getLogger('m').warning('heard')",
        PYTHONPATH=str(tmp_path),
    )
    assert found.stderr == "heard\n"


def test_a_process_without_a_standard_error_loads_backends():
    """A windowed program has none, or a program whose terminal is gone."""
    found = run(sys.executable, "-c", "import sys, os; os.close(2); sys.stderr = None\n" + LOADING)
    assert (found.returncode, found.stdout) == (0, "True\n")


LOADING = """
from alexnet import backends
print(backends.load("numpy").gpus() == [])
"""


def test_threads_that_load_at_once_leave_standard_error_as_it_was():
    found = run(
        sys.executable,
        "-c",
        "import os, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from alexnet import backends\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    list(pool.map(backends.load, ['numpy'] * 64))\n"
        "os.write(2, b'heard')\n",
    )
    assert (found.returncode, found.stderr) == (0, "heard")
