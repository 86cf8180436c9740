"""Checks commands that the pages show without doing their work."""

from __future__ import annotations

import re
import shlex
import tomllib
from contextlib import ExitStack
from itertools import pairwise
from unittest import mock

import typer
from documents import ROOT
from helpers import alexnet_here

from alexnet import backends
from alexnet.cli.app import app

PLACEHOLDER = re.compile(r"…|<|\b[A-Z]{3,}\b")  # stands for something that the reader chooses

# What the commands call when their arguments are checked and their work begins.
WORK = (
    "alexnet.bench.run.run_plan",
    "alexnet.cli.doctor.find",
    "alexnet.comparison.results.Comparison.load",
    "alexnet.comparison.run.resume",
    "alexnet.comparison.run.run_plan",
    "alexnet.parity.check.backends_to_compare",
    "alexnet.sweeps.results.Sweep.load",
    "alexnet.sweeps.run.resume",
    "alexnet.sweeps.run.run_plan",
    "alexnet.workers.job.train_ch6",
    "alexnet.training.checkpoint.convert",
    "alexnet.workers.folders.new_folder",
    "alexnet.workers.training.train_in_processes",
)


class WorkBegins(Exception):
    """The arguments of a command are valid."""


def split(command):
    """Return the variables before a command, and its words.

    >>> split("ALEXNET_SUBSET=64:16 alexnet train lenet")
    ({'ALEXNET_SUBSET': '64:16'}, ['alexnet', 'train', 'lenet'])
    """
    words, variables = shlex.split(command), {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    return variables, words


def problem_of(command, markers):
    """Return what is wrong with a command of a page, or "". ``markers``: those of pytest."""
    program, *words = split(command.text)[1]
    match program, words:
        case "alexnet", [name, *rest] if is_mention(command, rest):
            return problem_of_name(name, *rest)
        case "alexnet", _ if PLACEHOLDER.search(command.text):
            return problem_of_options(words)
        case "alexnet", _:
            return problem_of_arguments(words)
        case "python", _:
            return problem_of_script(*words)
        case "pytest", _:
            return problem_of_pytest(words, markers)
    return ""


def is_mention(command, rest):
    """Return whether the text only names a command, as in ``alexnet report``, or one of its options."""
    return not command.language and len(rest) <= 1 and all(word.startswith("--") for word in rest)


def problem_of_name(name, *options):
    command = typer.main.get_command(app).commands.get(name)
    if PLACEHOLDER.fullmatch(name):
        return ""
    if command is None:
        return f"there is no command {name}"
    unknown = [option for option in options if option not in options_of(command) | {"--help"}]
    return f"alexnet {name} has no option {', '.join(unknown)}" if unknown else ""


def problem_of_arguments(words):
    """Run a command up to where its work begins. A command without such a place runs to its end."""
    with ExitStack() as stack:
        for name in WORK:
            stack.enter_context(mock.patch(name, side_effect=WorkBegins))
        stack.enter_context(mock.patch("alexnet.backends.load"))
        stack.enter_context(mock.patch("alexnet.backends.installed", return_value=True))
        stack.enter_context(mock.patch("alexnet.backends.require_installed"))
        stack.enter_context(mock.patch("shutil.which", str))  # other interpreters "exist"
        try:
            done = alexnet_here(*words)
        except WorkBegins:
            return ""
    return done.stderr.strip() if done.returncode else ""


def problem_of_options(words):
    """Only parse the command line, because it has placeholders in place of values."""
    group = typer.main.get_command(app)
    for command in group.commands.values():
        command.callback = lambda **options: None
    with mock.patch("alexnet.cli.app.app", group):
        done = alexnet_here(*words)
    return done.stderr.strip() if done.returncode else ""


def problem_of_script(name, *words):
    """Look for the script, and for its options in its source."""
    script = ROOT / name
    if not script.is_file():
        return f"there is no {name}"
    source = script.read_text(encoding="utf-8")
    for module in script.parent.glob("*.py"):
        if f"from {module.stem} import" in source:
            source += module.read_text(encoding="utf-8")
    unknown = [w for w in words if w.startswith("--") and f'"{w}"' not in source]
    return f"{name} has no option {', '.join(unknown)}" if unknown else ""


def problem_of_pytest(words, markers):
    """Look for the files, the marks and the backends."""
    wrong = [w for w in words if w.startswith("tests/") and not (ROOT / w).is_file()]
    for option, value in pairwise(words):
        named = set(re.findall(r"[\w<>]+", value))
        if option == "-m":
            wrong += named - {"not", "and", "or"} - set(markers)
        if option == "--backends":
            wrong += [n for n in named - set(backends.FRAMEWORKS) if not PLACEHOLDER.search(n)]
    return f"unknown: {', '.join(wrong)}" if wrong else ""


def unknown_extras(text):
    """Return the extras in a text such as ``pip install -e '.[all]'`` that pyproject.toml does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {n for names in re.findall(r"\.\[([\w,]+)\]", text) for n in names.split(",")}
    return named - set(project["optional-dependencies"])


def command_names():
    return list(typer.main.get_command(app).commands)


def options_of(command):
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)}


def options_of_commands():
    """Return the options of all commands, and of the scripts in benchmarks/."""
    group = typer.main.get_command(app)
    scripts = (path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").rglob("*.py"))
    return set().union(
        *(options_of(command) for command in (group, *group.commands.values())),
        *(re.findall(r'"(--[\w-]+)"', source) for source in scripts),
    )
