"""The pages: their code runs, their commands are valid, their links lead somewhere.

The code of a page runs from top to bottom, as a reader would run it: in one namespace and in one folder,
but on few images. `NOT_RUN` lists the commands that do not run, and why. Their arguments are checked.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from io import StringIO
from urllib.parse import unquote, urlsplit

import pytest
from commands import PLACEHOLDER, options_of_commands, problem_of, split, unknown_extras
from documents import (
    CHINESE,
    OTHERS,
    PAGES,
    ROOT,
    Piece,
    anchors,
    blocks,
    commands,
    links,
    name_of,
    partner,
    spans,
)
from helpers import alexnet_here
from matplotlib import pyplot

from alexnet import backends

ALL = [*PAGES, *CHINESE, *OTHERS]
LANGUAGES = {"python", "bash", "text", ""}  # of blocks; text is what a command printed

# The commands in blocks that do not run here, and why. A * stands for any text.
NOT_RUN = {
    "pip install *": "needs a package index",
    "sudo apt-get install *": "changes the machine",
    "python3 -m venv *": "makes an environment for the next lines",
    ". *": "uses the environment of the line before",
    "pre-commit install": "changes the clone",
    "dask *": "runs on other machines, without an end",
    "python benchmarks/*": "measures for minutes",
    "python3.11 -m venv *": "makes an environment",
    "~/envs/*": "needs a package index",
    "alexnet doctor": "a process for each framework; tests/test_doctor.py runs it",
    "alexnet compare --data sample": "minutes at 224×224; tests/test_compare.py runs it on small images",
    "alexnet compare --python *": "needs other environments",
    "alexnet compare alexnet-28 * --seeds 3 *": "six processes",
    "alexnet parity alexnet*": "minutes",
    "alexnet sweep * --scheduler *": "needs other machines",
    "alexnet bench *": "measures for minutes; tests/test_bench_run.py runs a short one",
}
SLOW = ()  # pages that start many processes
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


def pages_with_code():
    """Return a parameter for each page that has code to run, marked with the backends that it names."""
    found = []
    for page in PAGES:
        code = " ".join(b.text for b in blocks(page) if b.language in ("python", "bash"))
        named = [n for n in backends.FRAMEWORKS if n in code.replace("keras", "tensorflow")]
        marks = [pytest.mark.needs(*named)] + [pytest.mark.slow] * (name_of(page) in SLOW)
        if code:
            found.append(pytest.param(page, marks=marks, id=name_of(page)))
    return found


@pytest.mark.parametrize("page", pages_with_code())
def test_the_code_of_a_page_runs_from_top_to_bottom(page, empty_folder, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "32:16")
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
    if any(fnmatchcase(command, pattern) for pattern in NOT_RUN) or PLACEHOLDER.search(command):
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


@pytest.mark.parametrize("page", [*PAGES, *CHINESE] if CHINESE else [], ids=name_of)
def test_both_languages_show_the_same_code(page):
    assert partner(page).exists()
    own, other = ([(b.language, b.text) for b in blocks(p)] for p in (page, partner(page)))
    assert own == other


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


def test_no_entry_of_the_table_is_left_over():
    shown = [
        c for page in ALL for b in blocks(page) if b.language == "bash" for c in commands(b.text)
    ]
    assert [p for p in NOT_RUN if not any(fnmatchcase(c, p) for c in shown)] == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("alexnet compare --epoch 3", "No such option"),
        ("alexnet train … --checkpoints x", "No such option"),
        ("alexnet bench --sweep batches", "unknown sweep 'batches'"),
        ("alexnet summary vgg", "unknown model 'vgg'"),
        ("alexnet plot", "there is no command plot"),
        ("alexnet report --seed", "alexnet report has no option --seed"),
        ("python benchmarks/dropout.py --round 6", "no option --round"),
        ("python benchmarks/mask.py", "there is no benchmarks/mask.py"),
        ("pytest tests/test_dropout.py -m quick", "unknown: tests/test_dropout.py, quick"),
    ],
)
def test_a_wrong_command_is_found(command, problem):
    assert problem in problem_of(Piece(PAGES[0], 1, command), ["slow"])


# --- names, files and links -----------------------------------------------------------------------


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_what_the_text_names_exists(page):
    options = options_of_commands() | set(OTHER_OPTIONS)
    unknown = []
    for span in spans(page):
        for name in re.findall(r"\balexnet(?:\.[A-Za-z_]\w*)+", span.text):
            if not name.endswith(FILES) and not is_known(name):
                unknown.append(str(span))
        if re.fullmatch(
            r"(alexnet|benchmarks|docs|notebooks|tests|tools|\.ci)/[\w./-]*", span.text
        ):
            unknown += [str(span)] * (not (ROOT / span.text).exists())
        if span.text.startswith("--") and span.text.split()[0] not in options:
            unknown.append(str(span))
    for piece in (*spans(page), *commands_of(page)):
        unknown += [str(piece)] * bool(unknown_extras(piece.text))
    assert unknown == []


def is_known(name):
    """Return whether a name such as ``alexnet.spec.zoo`` exists."""
    if (
        name.split(".")[1] in backends.FRAMEWORKS
    ):  # a column of the book; it would load its framework
        return (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


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
