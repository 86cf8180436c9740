"""Short runs that several processes take together, and that one process takes alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from loops import Silent

import alexnet
from alexnet import backends
from alexnet.backends.nets import render
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.backends.world import World
from alexnet.errors import AlexNetError
from alexnet.spec import BatchNorm, Conv, Dense, Dropout, Flatten, Net, ReLU, zoo
from alexnet.spec.weights import initial_weights
from alexnet.workers.member import FOLDER

NARROW = zoo.ZOO["alexnet"].replace(width=1 / 16)
DROPPING = Net(
    "dropping",
    (1, 28, 28),
    (
        Conv(4, 5, stride=2),
        ReLU(),
        Flatten(),
        Dropout(0.4),
        Dense(20),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)
NORMED = Net(
    "normed",
    (1, 28, 28),
    (Conv(4, 5, stride=2), Dropout(0.3), BatchNorm(), ReLU(), Flatten(), Dense(10)),
)
SYNCHRONISING = ("tensorflow",)  # frameworks with synchronised batch normalisation on CPUs


BEFORE = "before.safetensors"  # the checkpoint of a run on one process fewer


def images(batch_size, examples, resize=None):
    subset = (examples, 41)
    return alexnet.load_fashion_mnist(batch_size, resize, source="sample", subset=subset)


def train(backend, net, data, epochs=1, lr=0.05, **settings):
    settings = {"shared_dropout": True, "callback": Silent()} | settings
    return alexnet.train_ch6(net, *data, epochs, lr, "cpu", backend=backend, **settings)


def resumable(backend, epochs, file, **options):
    """Train with a checkpoint, 6 steps in each epoch. The last batch of an epoch has 5 images."""
    data, settings = images(11, 60), {"momentum": 0.9} | options
    return train(backend, DROPPING, data, epochs, checkpoint=file, **settings)


# Each has 20 steps. The last batch is smaller: of 1, 3, 5 and 7 images.
RUNS = {
    "lenet": lambda b: train(b, "lenet", images(16, 305), lr=0.5),
    "alexnet": lambda b: train(b, NARROW, images(6, 117, 65), momentum=0.9, lr=0.02),
    "dropping": lambda b: train(b, DROPPING, images(11, 214), momentum=0.9, nesterov=True),
    "one-cycle": lambda b: train(
        b, DROPPING, own_batches(b, images(10, 97)), 2, momentum=0.9, schedule="one-cycle"
    ),
}

FULL = zoo.ZOO["alexnet"]  # 46.8 million parameters
FULL_DATA = 4, 77, 224  # 20 steps; the last batch has 1 image


def at_full_width(backend, factor=1.0):
    """Train AlexNet on images that are multiplied by ``factor``."""
    loaders = own_batches(backend, images(*FULL_DATA), factor)
    return train(backend, FULL, loaders, momentum=0.9, lr=0.01)


def own_batches(backend, loaders, factor=1.0):
    """Batches that are not this library's loaders: arrays in the framework's layout."""
    last = backends.framework(backend).channels_last
    axes = (0, 2, 3, 1) if last else (0, 1, 2, 3)
    loaders, factor = (replace(loader, shuffle=False) for loader in loaders), np.float32(factor)
    return [
        [(factor * X.transpose(axes), y.astype(np.int32)) for X, y in loader] for loader in loaders
    ]


def in_double_precision(
    backend, net=zoo.ZOO["lenet"], data=(16, 305), epochs=1, lr=0.3, **settings
):
    """Return the weights after 20 steps in float64. ``data``: arguments of `images`."""
    module = backends.load(backend)
    table = net.resolve()
    net = render(table, module, module.cpu(), "float64")
    weights = initial_weights(table.parameters, 3)
    module.set_weights(net.native, {key: w.astype(np.float64) for key, w in weights.items()})
    world = World.of(net)
    steps = Steps(net, Schedule("constant", lr, 1, None), 0.9, 3, world=world, **settings)
    for X, y in [*images(*data)[0]] * epochs:
        own = X[world.rows(len(y))[0]].astype(np.float64)
        steps.step(net.to_tensor(own), module.to_tensor(y, net.device))
    return module.get_weights(net.native)


def synchronised(backend):
    """Return weights like these, with batch normalisation. The last batch of an epoch has 1 image."""
    return in_double_precision(backend, NORMED, (13, 118), epochs=2, sync_batch_norm=True)


def full_in_double_precision(backend):
    return in_double_precision(backend, FULL, FULL_DATA, lr=0.01)


def main():
    """Take part in all runs, or in those at full width. Write what they give into the run's folder."""
    folder, backend = Path(os.environ[FOLDER]), sys.argv[1]
    place = backends.framework(backend).place()
    found = {}

    def keep(name, weights, history=None):
        np.savez(folder / f"{name}.{place.rank}.npz", **weights)
        if history is not None:
            history.save(folder / f"{name}.{place.rank}.json")

    if "full" in sys.argv:
        keep("full", alexnet.get_weights(at_full_width(backend).net))
        keep("full double", full_in_double_precision(backend))
        return
    for name, run in RUNS.items():
        history = run(backend)
        keep(name, alexnet.get_weights(history.net), history)
    resumed = resumable(backend, 3, folder / BEFORE, resume=True)
    keep("resumed", alexnet.get_weights(resumed.net), resumed)
    keep("double", in_double_precision(backend))
    normed = train(backend, NORMED, images(16, 160), epochs=2)
    keep("normed", alexnet.get_weights(normed.net), normed)
    if backend in SYNCHRONISING:
        keep("synced double", synchronised(backend))
        synced = train(backend, NORMED, images(13, 87), sync_batch_norm=True)
        keep("synced", alexnet.get_weights(synced.net), synced)
    own = train(backend, DROPPING, images(16, 160), shared_dropout=False)
    keep("own dropout", alexnet.get_weights(own.net), own)
    resumable(backend, 2, folder / "run.safetensors")
    for name, refused in {
        "seed": lambda: train(backend, "lenet", images(16, 64), seed=place.rank),
        "images": lambda: train(backend, "lenet", images(16, 64 + place.rank)),
        "weights": lambda: train(
            backend, alexnet.build("lenet", backend, place.rank), images(16, 64), reinit=False
        ),
        "norms": lambda: train(backend, NORMED, images(16, 16), sync_batch_norm=True),
        "norm": lambda: train(backend, NORMED, images(16, 16), sync_batch_norm=place.rank == 1),
        "resumed norm": lambda: resumable(
            backend, 3, folder / "run.safetensors", resume=True, sync_batch_norm=True
        ),
        "batch": lambda: train(backend, "lenet", images(place.size - 1, 64)),
    }.items():
        try:
            refused()
        except AlexNetError as error:
            found[name] = str(error)
    (folder / f"refused.{place.rank}.txt").write_text(repr(found))


def launch(backend, processes, folder, *options):
    """Run `main` in several processes, with the framework's own launcher."""
    started = backends.framework(backend).launch(processes, folder, False)
    here = Path(__file__).parent
    variables = {
        **os.environ,
        **started.environment,
        FOLDER: str(folder),
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *started.command, __file__, backend, *options]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


if __name__ == "__main__":
    main()
