"""The measurements of one case in one backend. They run in a worker process."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from alexnet import backends
from alexnet.backends import BoundNet
from alexnet.backends.nets import build
from alexnet.backends.precision import choose_precision
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.backends.world import ALONE, World
from alexnet.bench import hand
from alexnet.bench.cases import Case
from alexnet.bench.gpu import GpuWatch
from alexnet.bench.job import Job
from alexnet.data import ImageLoader, load_fashion_mnist
from alexnet.datasets.resize import ImageTransform, resize_matrix
from alexnet.train import epochs_on, train_ch6
from alexnet.training.callbacks import Silent
from alexnet.training.history import History
from alexnet.training.recipes import recipe_for
from alexnet.workers.worker import EventCallback, peak_host_memory

LR = 0.01
TESTED = 16  # test images after training; their time does not count
LOADER_SECONDS = 0.5  # at least; a run of the loader alone

Figures = dict[str, float]


class Bench:
    """The measurements of one case. Each returns its figures by name (`alexnet.bench.cases.FIGURES`)."""

    def __init__(self, job: Job, case: Case, loaders: tuple[ImageLoader, ImageLoader]) -> None:
        self.job, self.case = job, case
        self.train_iter = replace(loaders[0], max_batches=case.steps + 1)
        self.test_iter = replace(loaders[1], max_batches=1)
        self.backend = backends.load(job.backend)
        self.device = backends.resolve_device(self.backend, job.device)
        # The precision in which the backend trains this case:
        self.used = choose_precision(self.backend, self.device, case.precision)

    def loader(self) -> Figures:
        """Measure the loader alone, and torchvision's beside it if this backend can run it."""
        loader = replace(self.train_iter, max_batches=None).on(self.job.backend, self.device)
        batches = _endless(loader)
        next(batches)  # the first batch loads libraries
        self.backend.synchronize(self.device)
        images, begun, used = 0, time.perf_counter(), time.process_time()
        while images == 0 or time.perf_counter() - begun < LOADER_SECONDS:
            images += len(next(batches)[1])
            self.backend.synchronize(self.device)
        seconds, used = time.perf_counter() - begun, time.process_time() - used
        found = {"loader": images / seconds, "loader per core": images / used}
        others = hand.load(self.job.hand_loops, "torchvision_loader")
        resizes = self.case.size != loader.pixels.shape[1]
        if others is not None and resizes and self.job.backend == backends.DEFAULT:
            arguments = loader.pixels.copy(), loader.labels, self.case.size, self.case.batch_size
            found["torchvision per core"] = others.per_core(*arguments, others.of_tensors)
            found["torchvision PIL per core"] = others.per_core(*arguments, others.of_pil)
        return found

    def step(self) -> Figures:
        """Measure the step alone, on one batch that is already on the device."""
        net = self.net()
        steps = self.steps(net)
        X, y = next(epochs_on(self.train_iter, net)(0))
        self.take(steps, X, y)
        return {"step": len(y) / self.seconds_per_step(steps, X, y)}

    def net(self) -> BoundNet:
        """Return a new net of this case."""
        shape = self.train_iter.image_shape
        return BoundNet.of(
            build(self.case.model, self.job.backend, input_shape=shape, device=self.device)
        )

    def steps(self, net: BoundNet, world: World = ALONE) -> Steps:
        """Return the steps of a net, in the processes of ``world``."""
        return Steps(net, Schedule("constant", LR, 1, None), precision=self.used, world=world)

    def seconds_per_step(self, steps: Steps, X: Any, y: Any) -> float:
        """Take the steps of this case on one batch. Return the seconds of one of them."""
        begun = time.perf_counter()
        for _ in range(self.case.steps - 1):
            steps.step(X, y)
        self.take(steps, X, y)
        return (time.perf_counter() - begun) / self.case.steps

    def take(self, steps: Steps, X: Any, y: Any) -> None:
        """Take one step and wait until it is done."""
        loss, _ = steps.step(X, y)
        steps.read([loss])
        self.backend.synchronize(self.device)

    def train(self) -> Figures:
        """Measure all of `train_ch6`, by its own definition of examples per second."""
        callback = _LastStep()
        with GpuWatch(self.job.device) as watch:
            history = self._train_ch6(self.train_iter, self.test_iter, callback)
            busy = watch.share(callback.at - history.timed_seconds, callback.at)
        return {"train": history.examples_per_sec} | ({"train busy": busy} if busy else {})

    def memory(self) -> Figures:
        """Measure `train_ch6` and the peak memory of this process, or of its GPU."""
        history = self._train_ch6(self.train_iter, self.test_iter, _LastStep())
        peak = self.backend.peak_gpu_memory(self.device) or peak_host_memory()
        return {"train": history.examples_per_sec} | ({"memory": peak} if peak else {})

    def _train_ch6(self, train_iter: ImageLoader, test_iter: ImageLoader, callback: Any) -> History:
        return train_ch6(
            self.case.model,
            train_iter,
            test_iter,
            1,
            LR,
            self.device,
            backend=self.job.backend,
            callback=callback,
            precision=self.used,
        )

    def hand(self) -> Figures:
        """Measure the hand-written loop, with its own loader. No figures if there is no such loop."""
        loop = hand.load(self.job.hand_loops, f"{self.job.backend}_loop")
        if loop is None:
            return {}
        place = "gpu" if (self.job.device or "cpu").startswith("gpu") else "cpu"
        with GpuWatch(self.job.device) as watch:
            speed = hand.speed(loop, self.case, self.train_iter, self.used, place)
            ended = time.perf_counter()
            if speed is None:
                return {}
            timed = (
                min(self.train_iter.num_examples, self._examples()) - self.case.batch_size
            ) / speed
            busy = watch.share(ended - timed, ended)
        return {"hand": speed} | ({"hand busy": busy} if busy else {})

    def _examples(self) -> int:
        """The number of images of all steps, the first included."""
        return (self.case.steps + 1) * self.case.batch_size

    def recipe(self, send: Any) -> Figures:
        """Train with the book's recipe to its end."""
        recipe = recipe_for(self.case.model, full=True)
        train_iter, test_iter = (
            replace(it, batch_size=recipe.batch_size, max_batches=None)
            for it in (self.train_iter, self.test_iter)
        )
        begun = time.perf_counter()
        history = train_ch6(
            self.case.model,
            train_iter,
            test_iter,
            recipe.num_epochs,
            recipe.lr,
            self.device,
            backend=self.job.backend,
            callback=EventCallback(send),
            precision=self.used,
        )
        seconds = time.perf_counter() - begun
        return {"recipe seconds": seconds, "recipe accuracy": history.last.test_accuracy}


class _LastStep(Silent):
    """Shows nothing, and keeps the time of the last step."""

    at = math.nan

    def step(self, history: History) -> None:
        self.at = time.perf_counter()


def load_data(job: Job) -> Iterator[tuple[ImageLoader, ImageLoader]]:
    """Yield the training and the test loader of each case. The files are read once."""
    known: tuple[ImageLoader, ImageLoader] | None = None
    for case in job.cases:
        if known is None:
            source = "sample" if job.root is None else None
            subset = max(c.examples for c in job.cases), 10_000
            known = load_fashion_mnist(1, None, root=job.root, source=source, subset=subset)
        matrix = resize_matrix(case.size, 28) if case.size != 28 else None
        train, test = (replace(it, transform=ImageTransform(matrix)) for it in known)
        train.pixels, train.labels = train.pixels[: case.examples], train.labels[: case.examples]
        yield replace(train, batch_size=case.batch_size), replace(test, batch_size=TESTED)


def _endless(loader: ImageLoader) -> Iterator[tuple[Any, Any]]:
    while True:
        yield from loader
