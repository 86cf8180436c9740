"""The job of a worker: what to train or examine, and with which framework."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alexnet.backends import BoundNet
from alexnet.data import load_fashion_mnist
from alexnet.spec import Net
from alexnet.train import train_ch6
from alexnet.training.callbacks import Callback
from alexnet.training.history import History
from alexnet.training.recipes import Recipe

PROBED_IMAGES = 32  # test images (at most) whose logits are compared before training


@dataclass(frozen=True)
class Job:
    """The job of one worker, in types that JSON can hold; a net is stored as its table of layers."""

    model: str | Net
    backend: str
    recipe: Recipe
    seed: int
    root: str | None  # folder of the four data files; None: the sample
    device: str | None = None
    shared_dropout: bool = True
    sync_batch_norm: bool = False
    row: str = ""  # the name of the comparison's row
    kind: str = "train"  # or "report" (only the device) or "examine" (the framework)
    checkpoint: str | None = None  # the run's checkpoint file
    resume: bool = False  # resume from the checkpoint, if it exists
    processes: int = 1  # that train the net together

    def to_json(self) -> str:
        model = self.model.to_dict() if isinstance(self.model, Net) else self.model
        return json.dumps({**vars(self), "model": model, "recipe": asdict(self.recipe)})

    @classmethod
    def from_json(cls, text: str) -> Job:
        fields = json.loads(text)
        model = fields["model"]
        fields["model"] = model if isinstance(model, str) else Net.from_dict(model)
        return cls(**{**fields, "recipe": Recipe(**fields["recipe"])})

    def load_data(self, **options: Any) -> Any:
        """Return the training and test loaders. They are the same for every backend of a comparison."""
        r = self.recipe
        return load_fashion_mnist(
            r.batch_size,
            r.resize,
            root=self.root,
            source=None if self.root else "sample",
            normalize=r.normalize,
            flip=r.flip,
            crop=r.crop,
            seed=self.seed,
            subset=(r.train_examples, r.test_examples),
            **options,
        )

    def train(self, train_iter: Any, test_iter: Any, callback: Callback | None = None) -> History:
        """Train the net by the recipe with `train_ch6`, whose ``callback`` is the one given here."""
        return train_ch6(
            self.model,
            train_iter,
            test_iter,
            self.recipe.num_epochs,
            self.recipe.lr,
            self.device,
            backend=self.backend,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            schedule=self.recipe.schedule,
            precision=self.recipe.precision,
            shared_dropout=self.shared_dropout,
            sync_batch_norm=self.sync_batch_norm,
            seed=self.seed,
            callback=callback,
            checkpoint=self.checkpoint,
            resume=self.resume,
        )


def initial_logits(job: Job, net: BoundNet) -> np.ndarray:
    """Return the logits of the first `PROBED_IMAGES` test images, or of all if there are fewer."""
    _, test_iter = job.load_data()
    pixels = test_iter.pixels[:PROBED_IMAGES].copy()  # writable, or PyTorch warns
    X = net.backend.images(pixels, test_iter.transform, net.device)
    return net.backend.to_numpy(net.backend.predict(net.native, X))  # (B, classes)
