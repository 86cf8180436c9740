"""The pages: their code runs, their commands are valid, their links lead somewhere.

The code of a page runs from top to bottom, as a reader would run it: in one namespace and in one folder,
but on few images. `NOT_RUN` lists the commands that do not run, and why. Their arguments are checked.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import re
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from io import StringIO
from urllib.parse import unquote, urlsplit

import pytest
from commands import command_names, options_of_commands, problem_of, split, unknown_extras
from documents import (
    CHINESE,
    OTHERS,
    PAGES,
    ROOT,
    Piece,
    anchors,
    blocks,
    commands,
    english_of,
    links,
    name_of,
    spans,
)
from helpers import alexnet_here, python
from matplotlib import pyplot

from alexnet import backends
from alexnet.backends.source import source
from alexnet.spec import zoo

ALL = [*PAGES, *CHINESE, *OTHERS]
LANGUAGES = {"python", "bash", "text"}  # of blocks; text is what a command printed

# The commands in blocks that do not run here, and why. A * stands for any text.
NOT_RUN = {
    "python3* -m venv *": "makes an environment",
    ". .venv/bin/activate": "uses that environment",
    "pip install *": "needs a package index",
    "~/envs/*/bin/pip install *": "needs a package index",
    "sudo apt-get install *": "changes the machine",
    "pre-commit install": "changes the clone",
    "mkdocs serve": "serves until Ctrl-C; tests/test_site.py builds the site",
    "dask *": "runs on other machines",
    "torchrun *": "starts the reader's script; tests/test_parallel.py starts one",
    "python3 -m paddle.distributed.launch *": "the same",
    "python3 launch.py *": "the same, with a program from MXNet's source",
    "TF_CONFIG=* python3 train.py": "the same",
    "*<name>*": "needs a backend that the reader writes",
    "python benchmarks/*": "measures for minutes",
    "alexnet bench *": "measures for minutes; tests/test_bench_run.py runs a short one",
    "alexnet cost lenet * --backend torch": "measures; the Python block of the page does the same",
    "alexnet compare --data sample": "minutes at 224×224; tests/test_compare.py has smaller images",
    "alexnet compare alexnet-28 * --seeds 3 *": "six processes",
    "alexnet compare --python *": "needs other environments",
    "alexnet doctor": "a process for each framework; tests/test_doctor.py runs it",
    "alexnet parity alexnet": "more than a minute",
    "alexnet parity alexnet --device gpu": "needs a GPU",
    "alexnet sweep * --scheduler *": "needs other machines",
}
SLOW = {
    "README.md": "trains in every framework",
    "docs/comparing.md": "eight worker processes",
    "docs/cost.md": "measures the limits of this machine",
    "docs/sweeps.md": "ten worker processes",
}
OTHER_OPTIONS = {"--nthreads": "dask"}  # options in the text that belong to other programs
FILES = (".safetensors", ".svg", ".png", ".json")


@pytest.fixture
def empty_folder(monkeypatch, tmp_path):
    """Run in an empty folder, on the sample."""
    monkeypatch.setenv("ALEXNET_DATA", "sample")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    pyplot.close("all")


# --- blocks ---------------------------------------------------------------------------------------


def frameworks_of(page, *languages):
    """Return the frameworks that the code of a page names."""
    code = " ".join(block.text for block in blocks(page) if block.language in languages)
    code = code.replace("keras", "tensorflow")
    return [name for name in backends.FRAMEWORKS if name != "numpy" and name in code]


def pages(own_process):
    """Return parameters: the pages whose Python blocks use several frameworks, or the other pages."""
    found = []
    for page in (*PAGES, *OTHERS):
        if own_process == (len(frameworks_of(page, "python")) > 1):
            marks = [pytest.mark.needs(*frameworks_of(page, "python", "bash"))]
            marks += [pytest.mark.slow] * (own_process or name_of(page) in SLOW)
            found.append(pytest.param(page, marks=marks, id=name_of(page)))
    return found


@pytest.mark.parametrize("page", pages(own_process=False))
def test_the_code_of_a_page_runs_from_top_to_bottom(page, empty_folder, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "16:16")
    run_page(page)


@pytest.mark.parametrize("page", pages(own_process=True))
def test_a_page_that_uses_several_frameworks_runs_in_one_process(page, empty_folder):
    """In the process of these tests, the frameworks are loaded already, in an order that works."""
    code = f"import pathlib, test_documents; test_documents.run_page(pathlib.Path({str(page)!r}))"
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = python(code, PYTHONPATH=path, MPLBACKEND="Agg", ALEXNET_SUBSET="16:16")
    assert done.returncode == 0, done.stdout + done.stderr


def run_page(page):
    namespace = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, namespace)
        elif block.language == "bash":
            for command in filter(is_run, commands(block.text)):
                variables, words = split(command)
                done = alexnet_here(*words[1:], **variables)
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def run_python(block, namespace):
    """Run a block. A value in a comment, such as ``# (4, 10)``, must be what its line shows."""
    source = "\n" * (block.line - 1) + block.text  # so that an error names the line in the page
    lines, page = source.splitlines(), name_of(block.page)
    for node in ast.parse(source).body:
        shown = StringIO()
        try:
            with redirect_stdout(shown):
                if isinstance(node, ast.Expr):
                    value = eval(compile(ast.Expression(node.value), page, "eval"), namespace)
                    print("" if value is None else repr(value))
                else:
                    exec(compile(ast.Module([node], []), page, "exec"), namespace)
        except Exception as error:
            error.add_note(f"{page}:{node.lineno}: {lines[node.lineno - 1]}")
            raise
        comment = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip(" #")
        if is_value(comment):
            assert shown.getvalue().strip() == comment, f"{page}:{node.lineno}"


def is_value(text):
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return True


def is_run(command):
    """Return whether a command of a block runs here. If not, it must stand in NOT_RUN."""
    if any(fnmatchcase(command, pattern) for pattern in NOT_RUN):
        return False
    assert split(command)[1][0] == "alexnet", f"{command}: neither run nor listed in NOT_RUN"
    return True


def test_a_wrong_value_in_a_comment_is_found():
    with pytest.raises(AssertionError, match=r"README\.md:7"):
        run_python(Piece(PAGES[0], 6, "x = 3\nprint(x)  # 4\n", "python"), {})


def test_blocks_in_tabs_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        '=== "PyTorch"\n\n    !!! note\n        ```python\n        x = [\n            1]\n        ```\n'
        "\n    ```bash\n    ls\n    ```\n\n- point\n\n  ```text\n  end\n  ```\n"
    )
    assert blocks(page) == [
        Piece(page, 5, "x = [\n    1]\n", "python"),
        Piece(page, 10, "ls\n", "bash"),
        Piece(page, 16, "end\n", "text"),
    ]


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_block_says_what_it_is(page):
    assert [str(block) for block in blocks(page) if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", CHINESE, ids=name_of)
def test_both_languages_show_the_same_code(page):
    own, english = ([(b.language, b.text) for b in blocks(p)] for p in (page, english_of(page)))
    assert own == english


# --- commands -------------------------------------------------------------------------------------


def commands_of(page):
    """Yield the commands in the blocks and in the text of a page."""
    for block in blocks(page):
        for command in commands(block.text) if block.language == "bash" else ():
            yield Piece(page, block.line, command, "bash")
    for span in spans(page):
        for command in commands(span.text):
            if re.match("(alexnet|python|pytest) ", command):
                yield Piece(page, span.line, command)


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_command_is_valid(page, empty_folder, pytestconfig):
    (empty_folder / "pythons.toml").write_text('[python]\ntorch = "python"\n')
    markers = {re.match(r"\w+", line)[0] for line in pytestconfig.getini("markers")}
    problems = {found: problem_of(found, markers) for found in commands_of(page)}
    assert "\n".join(f"{found}: {problem}" for found, problem in problems.items() if problem) == ""


def test_no_entry_of_the_tables_is_left_over():
    shown = [found.text for page in ALL for found in commands_of(page) if found.language]
    assert [p for p in NOT_RUN if not any(fnmatchcase(c, p) for c in shown)] == []
    assert set(SLOW) <= {name_of(page) for page in PAGES}


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("alexnet compare --epoch 3", "No such option"),
        ("alexnet train … --checkpoints x", "No such option"),
        ("alexnet bench --sweep batches", "unknown sweep 'batches'"),
        ("alexnet summary vgg", "unknown net 'vgg'"),
        ("alexnet plot", "there is no command plot"),
        ("alexnet report --seed", "alexnet report has no option --seed"),
        ("python benchmarks/dropout.py --round 6", "no option --round"),
        ("python benchmarks/mask.py", "there is no benchmarks/mask.py"),
        ("pytest tests/test_dropout.py -m quick", "unknown: tests/test_dropout.py, quick"),
    ],
)
def test_a_wrong_command_is_found(command, problem):
    assert problem in problem_of(Piece(PAGES[0], 1, command), ["slow"])


def test_the_page_of_commands_has_every_command():
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [name for name in command_names() if f"`alexnet {name}" not in page] == []


# --- names, files and links -----------------------------------------------------------------------


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_what_the_text_names_exists(page):
    options = options_of_commands() | set(OTHER_OPTIONS)
    unknown = [piece for piece in (*spans(page), *commands_of(page)) if unknown_extras(piece.text)]
    for span in spans(page):
        names = re.findall(r"\balexnet(?:\.[A-Za-z_]\w*)+", span.text)
        path = re.fullmatch(r"(alexnet|benchmarks|docs|notebooks|tests|tools)/[\w./-]*", span.text)
        if (
            any(not name.endswith(FILES) and not is_known(name) for name in names)
            or (path and not (ROOT / span.text).exists())
            or (span.text.startswith("--") and span.text.split()[0] not in options)
        ):
            unknown.append(span)
    assert [str(piece) for piece in unknown] == []


def is_known(name):
    """Return whether a name such as ``alexnet.spec.zoo`` exists."""
    if name.split(".")[1] in backends.FRAMEWORKS:  # importing it would load its framework
        return (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_the_page_on_nets_has_the_zoo_and_the_code_of_its_nets():
    page = ROOT / "docs" / "nets.md"
    for name, net in zoo.ZOO.items():
        shape, count = "×".join(map(str, net.input_shape)), f"{net.resolve().parameter_count:,}"
        assert f"| `{name}` | {shape} | {count} |" in page.read_text(encoding="utf-8")
    printed = {source(zoo.LENET.resolve(), name) for name in backends.FRAMEWORKS if name != "numpy"}
    assert printed <= {block.text for block in blocks(page)}


@pytest.mark.parametrize("page", ["backend.md", "backend.zh.md"])
def test_the_page_on_backends_lists_the_tests_with_a_frameworks_own_code(page):
    """They call `by_backend`, or use the loops of loops.py, which test_train.py does."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `tests/(\w+\.py)` \|", text, re.MULTILINE))
    users = {
        p.name
        for p in (ROOT / "tests").glob("*.py")
        if "by_backend(" in p.read_text(encoding="utf-8")
    }
    users -= {"helpers.py", "test_documents.py", "test_sixth_backend.py"}
    assert listed == users - {"test_train.py"} | {"loops.py"}


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_link_within_the_project_leads_somewhere(page):
    broken = []
    for link in links(page):
        url = urlsplit(link.text)
        if url.scheme or url.netloc:
            continue
        target = (page.parent / unquote(url.path)).resolve() if url.path else page
        place = unquote(url.fragment) if target.suffix == ".md" else ""
        if not target.exists() or (place and place not in anchors(target)):
            broken.append(str(link))
    assert broken == []
