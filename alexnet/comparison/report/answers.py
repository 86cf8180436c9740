"""The trained nets' predictions for the test images, with the most disputed images first."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet.comparison.agreement import is_short
from alexnet.data import checksum
from alexnet.datasets.files import ENVIRONMENT, find, missing, read, sample_folder
from alexnet.datasets.known import FASHION_MNIST, SAMPLE
from alexnet.errors import DataError

if TYPE_CHECKING:
    from alexnet.comparison.report.entries import Entry
    from alexnet.comparison.rows import Answers

SHOWN = 24  # images at most


@dataclass(frozen=True)
class Answer:
    """One net's prediction for one image."""

    who: str  # the framework, and the run if there are several
    says: str  # the name of the predicted class
    probability: float | None  # of that class, in [0, 1]; None: the net has diverged
    right: bool


@dataclass(frozen=True)
class Question:
    """A test image, its label, and every net's prediction."""

    number: int  # its place in the test set, from 0
    image: str  # as a data URI
    label: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Quiz:
    """The predictions of one net in several frameworks for the same test images.

    ``who`` names the frameworks. ``different[a][b]`` is the number of images on which a and b differ. Nets
    that took only a part of the steps are left out.
    """

    net: str  # with the seed if there are several
    asked: int  # the number of test images
    agreed: int  # images on which all give the same answer
    who: tuple[str, ...]
    different: tuple[tuple[int, ...], ...]
    with_images: bool  # whether its images are to be shown: only those of a net's first seed
    questions: tuple[Question, ...]  # the most disputed first; empty if the images are not found


def quizzes(entries: Sequence[Entry]) -> list[Quiz]:
    """Return a quiz for each net and each set of test images that has predictions."""
    groups: dict[tuple[str, str, int | None], list[Entry]] = {}
    for e in entries:
        if e.row.history is not None and e.row.answers is not None and not is_short(e.row):
            key = (e.net, e.row.history.settings["test_crc32"], e.row.seed)
            groups.setdefault(key, []).append(e)
    several = len({e.run for e in entries}) > 1
    found, shown = [], set()
    for (net, crc, _), group in groups.items():
        found.append(_quiz(group, crc, several, with_images=(net, crc) not in shown))
        shown.add((net, crc))
    return found


def _quiz(entries: Sequence[Entry], crc: str, several_runs: bool, with_images: bool) -> Quiz:
    who = tuple(f"{e.title}, {e.run}" if several_runs else e.title for e in entries)
    answers = [e.row.answers for e in entries if e.row.answers is not None]
    asked = min(len(a.classes) for a in answers)
    said = np.array([a.classes[:asked] for a in answers])  # (nets, images)
    different = (said[:, None] != said[None]).sum(axis=2)  # (nets, nets)
    images = _test_images(entries, asked, crc) if with_images else None
    seed = entries[0].row.seed
    return Quiz(
        net=entries[0].net if seed is None else f"{entries[0].net}, seed {seed}",
        asked=asked,
        agreed=int((said == said[0]).all(axis=0).sum()),
        who=who,
        different=tuple(map(tuple, different.tolist())),
        with_images=with_images,
        questions=() if images is None else _questions(who, said, answers, images),
    )


def _test_images(
    entries: Sequence[Entry], asked: int, crc: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the test images with checksum ``crc``, uint8 (N, 28, 28), and their labels (N,).

    Return None if no data set on this machine has them.
    """
    roots = dict.fromkeys(e.comparison.plan.root for e in entries)
    folders = [Path(root) for root in roots if root is not None]
    named = os.environ.get(ENVIRONMENT)
    folders += [Path(named).expanduser()] if named else []
    places = [(FASHION_MNIST, f) for f in (*folders, find(FASHION_MNIST)) if f and not missing(f)]
    for dataset, folder in [*places, (SAMPLE, sample_folder())]:
        with suppress(DataError):  # try the next place
            _, _, images, labels = read(dataset, folder)
            images, labels = images[:asked], labels[:asked]
            if checksum(images, labels) == crc:
                return images, labels
    return None


def _questions(
    who: Sequence[str],
    said: np.ndarray,
    answers: Sequence[Answers],
    images: tuple[np.ndarray, np.ndarray],
) -> tuple[Question, ...]:
    """Return the most disputed images with all predictions for them."""
    pixels, labels = images
    found = []
    for number in most_disputed(said, labels)[:SHOWN]:
        given = [
            Answer(
                name,
                _label(a.classes[number]),
                a.probabilities[number],
                bool(says == labels[number]),
            )
            for name, a, says in zip(who, answers, said[:, number], strict=True)
        ]
        image = _png(pixels[number])
        found.append(Question(int(number), image, _label(labels[number]), tuple(given)))
    return tuple(found)


def most_disputed(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices of the images, the most disputed first: int64 (images,).

    Sorts by the number of different answers, then by the number of wrong answers, largest first.
    ``said``: int (nets, images), the predicted labels; ``labels``: int (images,).
    """
    distinct = 1 + (np.diff(np.sort(said, axis=0), axis=0) != 0).sum(axis=0)  # (images,)
    wrong = (said != labels).sum(axis=0)
    return np.lexsort((-wrong, -distinct))


def _label(number: int) -> str:
    """Return the name of a class. Nets for other images may have more classes than Fashion-MNIST."""
    names = FASHION_MNIST.labels
    return names[number] if number < len(names) else f"class {number}"


def _png(pixels: np.ndarray) -> str:
    """Return an image, uint8 (28, 28), as a data URI."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, np.stack([pixels] * 3, axis=-1), format="png")  # (28, 28, 3)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
