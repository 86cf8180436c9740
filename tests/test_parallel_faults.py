"""Real processes of a run are killed, hang, or never come: one sentence names them, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import psutil
import pytest
from test_parallel import ENGINES

from alexnet import backends
from alexnet.backends import dmlc_roles
from alexnet.backends.registry import mxnet as mxnet_registry

pytestmark = pytest.mark.slow

LONG = ["--examples", "2000", "--epochs", "1000", "--data", "sample"]
LIMIT = 12  # seconds until a process that hangs is lost; the processes also start within it
EVERY_ENGINE = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ENGINES]
)

A_FAULT = pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"]
)
A_FAULT_OF_A_HELPER = pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.release)],
    ids=["killed", "hanging"],
)


def start(engine, *options):
    command = [sys.executable, "-m", "alexnet", "train", "lenet", "--backend", engine]
    return subprocess.Popen(
        [*command, "--workers", "2", *LONG, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ALEXNET_TIMEOUT": str(LIMIT)},
    )


def family_in_training(run, checkpoint):
    """Wait for the checkpoint of the first steps; return the processes by rank, and all descendants."""
    while not checkpoint.exists():
        with suppress(subprocess.TimeoutExpired):  # leaves the core to the run
            run.wait(timeout=0.1)
            raise AssertionError(run.communicate())
    everyone = psutil.Process(run.pid).children(recursive=True)
    members = [p for p in everyone if p.cmdline()[-1].endswith("member.py")]
    members = [p for p in members if not p.children()]  # without the launcher
    return everyone, sorted(members, key=lambda p: p.pid)


def after(fault, run, everyone):
    """Send a signal to the process that ``fault`` gives. Return the last line that the run then prints."""
    process, number = fault
    process.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert psutil.wait_procs(everyone, timeout=20)[1] == []
    return said.splitlines()[-1]


@EVERY_ENGINE
@A_FAULT
def test_a_process_that_is_killed_or_hangs_ends_the_run_and_is_named(engine, number, tmp_path):
    file = tmp_path / "run.safetensors"
    with start(engine, "--checkpoint", str(file)) as run:
        everyone, members = family_in_training(run, file)
        assert len(members) == 2
        last = after((members[1], number), run, everyone)
    assert re.match(r"error: process 1 of ", last)


@pytest.mark.needs("mxnet")
@A_FAULT_OF_A_HELPER
@pytest.mark.parametrize("role", dmlc_roles.HELPERS)
def test_a_helper_of_mxnet_that_is_killed_or_hangs_ends_the_run_and_is_named(
    role, number, tmp_path
):
    file = tmp_path / "run.safetensors"
    with start("mxnet", "--checkpoint", str(file)) as run:
        everyone, _ = family_in_training(run, file)
        (helper,) = (p for p in everyone if p.environ().get(dmlc_roles.ROLE) == role)
        last = after((helper, number), run, everyone)
    assert last.startswith(f"error: MXNet's {role} ")


@EVERY_ENGINE
def test_nothing_is_left_of_a_run_whose_command_is_killed(engine, tmp_path):
    file = tmp_path / "run.safetensors"
    with start(engine, "--checkpoint", str(file)) as run:
        everyone, _ = family_in_training(run, file)
        run.kill()
    assert psutil.wait_procs(everyone, timeout=30)[1] == []


def alone(engine, port, before="", **variables):
    """Process 0 of two that should meet at a port; the other one never comes. Return its last line."""
    code = (
        f"{before}import alexnet; from loops import Silent; data = alexnet.load_fashion_mnist("
        "16, None, source='sample', subset=(64, 16)); alexnet.train_ch6("
        f"'lenet', *data, 1, 0.1, 'cpu', backend={engine!r}, callback=Silent())"
    )
    variables |= {"ALEXNET_TIMEOUT": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **PLACES[engine](port), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


PLACES = {
    "torch": lambda port: {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    },
    "tensorflow": lambda port: {
        "TF_CONFIG": json.dumps(
            {
                "cluster": {"worker": [f"127.0.0.1:{port}", "127.0.0.1:9"]},
                "task": {"type": "worker", "index": 0},
            }
        )
    },
    "paddle": lambda port: {
        "PADDLE_TRAINER_ID": "0",
        "PADDLE_TRAINERS_NUM": "2",
        "PADDLE_TRAINER_ENDPOINTS": f"127.0.0.1:{port},127.0.0.1:9",
        "PADDLE_CURRENT_ENDPOINT": f"127.0.0.1:{port}",
    },
    "mxnet": lambda port: {
        **dmlc_roles.on_this_machine(2, port),
        **dmlc_roles.worker(0),
    },
}
AT_PORT = {"mxnet": {"DMLC_ROLE": "scheduler"}}  # the process that listens at the port: process 0


@EVERY_ENGINE
def test_a_process_that_never_comes_is_named(engine):
    port = dmlc_roles.free_port()
    with ExitStack() as stack:
        if engine in AT_PORT:
            common = os.environ | dmlc_roles.on_this_machine(2, port)
            for role in dmlc_roles.HELPERS:
                command = [sys.executable, "-c", mxnet_registry.HELPER]
                helper = subprocess.Popen(command, env=common | {dmlc_roles.ROLE: role})
                stack.callback(helper.wait, 60)  # it ends by itself
        message = alone(engine, port)
    assert message.endswith("RunError: process 1 of the 2 of this run did not join within 2 s")


@EVERY_ENGINE
def test_a_port_that_is_taken_is_named(engine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in alone(engine, port, **AT_PORT.get(engine, {}))


@pytest.mark.needs("mxnet")
def test_without_its_scheduler_a_process_of_mxnet_ends():
    port = dmlc_roles.free_port()
    message = alone("mxnet", port)
    assert f"MXNet's scheduler is missing: nothing answers at 127.0.0.1:{port + 1}" in message


@pytest.mark.needs("tensorflow")
def test_a_framework_that_must_join_first_says_so():
    before = "import tensorflow as tf; tf.zeros(1); "
    assert "has already computed in this process, so it cannot join" in alone(
        "tensorflow", 9, before
    )


def test_a_backend_without_an_engine_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "alexnet", "train", "lenet", "--backend", "numpy", "--workers", "2"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    able = ", ".join(n for n, f in backends.FRAMEWORKS.items() if f.launch is not None)
    assert done.stderr == (
        f"error: alexnet cannot start several processes of NumPy; it can with {able}\n"
    )
