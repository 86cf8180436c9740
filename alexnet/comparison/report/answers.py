"""What the trained nets of a report say of the test images, the most disputed first."""

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

from alexnet.data import checksum
from alexnet.datasets.files import ENVIRONMENT, find, missing, read, sample_folder
from alexnet.datasets.known import FASHION_MNIST, SAMPLE
from alexnet.errors import DataError

if TYPE_CHECKING:
    from alexnet.comparison.report.entries import Entry
    from alexnet.comparison.rows import Answers

SHOWN = 24  # images


@dataclass(frozen=True)
class Answer:
    """One net's answer for one image."""

    who: str
    says: str
    probability: float | None
    right: bool


@dataclass(frozen=True)
class Question:
    """A test image, what it shows, and what every net says."""

    number: int
    image: str  # a data URI
    label: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Quiz:
    """The answers of one net's frameworks that were asked the same test images.

    ``who`` are their names; ``different[a][b]`` counts the images on which two of them differ.
    """

    net: str
    asked: int
    agreed: int  # images on which all but the partial gave the same answer
    who: tuple[str, ...]
    partial: tuple[str, ...]  # that saw fewer training images
    different: tuple[tuple[int, ...], ...]
    questions: tuple[Question, ...]  # the most disputed first; empty where the images are not found


def quizzes(entries: Sequence[Entry]) -> list[Quiz]:
    """A quiz for each net and set of test images of which there are answers."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for e in entries:
        if e.row.history is not None and e.row.answers is not None:
            groups.setdefault((e.net, e.row.history.settings["test_crc32"]), []).append(e)
    several = len({e.run for e in entries}) > 1
    return [_quiz(group, crc, several) for (_, crc), group in groups.items()]


def _quiz(entries: Sequence[Entry], crc: str, several_runs: bool) -> Quiz:
    who = tuple(f"{e.title}, {e.run}" if several_runs else e.title for e in entries)
    answers = [e.row.answers for e in entries if e.row.answers is not None]
    asked = min(len(a.classes) for a in answers)
    said = np.array([a.classes[:asked] for a in answers])  # (nets, images)
    full = _fully_trained(entries)
    different = (said[:, None] != said[None]).sum(axis=2)  # (nets, nets)
    images = _test_images(entries, asked, crc)
    return Quiz(
        net=entries[0].net,
        asked=asked,
        agreed=int((said[full] == said[full][0]).all(axis=0).sum()),
        who=who,
        partial=tuple(name for name, whole in zip(who, full, strict=True) if not whole),
        different=tuple(map(tuple, different.tolist())),
        questions=() if images is None else _questions(who, said, full, answers, images),
    )


def _fully_trained(entries: Sequence[Entry]) -> np.ndarray:
    """Which of them have seen as many training images as any: bool (nets,)."""
    seen = [sum(s["examples"] for s in e.row.history.steps) for e in entries if e.row.history]
    return np.array(seen) == max(seen)


def _test_images(
    entries: Sequence[Entry], asked: int, crc: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """The test images of a run, uint8 (N, 28, 28), and their labels; None if they are not found here."""
    roots = dict.fromkeys(e.comparison.plan.root for e in entries)
    folders = [Path(root) for root in roots if root is not None]
    named = os.environ.get(ENVIRONMENT)
    folders += [Path(named).expanduser()] if named else []
    places = [(FASHION_MNIST, f) for f in (*folders, find(FASHION_MNIST)) if f and not missing(f)]
    for dataset, folder in [*places, (SAMPLE, sample_folder())]:
        with suppress(DataError):  # another place may have them
            _, _, images, labels = read(dataset, folder)
            images, labels = images[:asked], labels[:asked]
            if checksum(images, labels) == crc:
                return images, labels
    return None


def _questions(
    who: Sequence[str],
    said: np.ndarray,
    full: np.ndarray,
    answers: Sequence[Answers],
    images: tuple[np.ndarray, np.ndarray],
) -> tuple[Question, ...]:
    pixels, labels = images
    found = []
    for number in most_disputed(said[full], labels)[:SHOWN]:
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
    """The numbers of the images: first those with the most different answers, then the most wrong ones."""
    distinct = 1 + (np.diff(np.sort(said, axis=0), axis=0) != 0).sum(axis=0)  # (images,)
    wrong = (said != labels).sum(axis=0)
    return np.lexsort((-wrong, -distinct))


def _label(number: int) -> str:
    """A class by its name; nets made for other images have more classes than these."""
    names = FASHION_MNIST.labels
    return names[number] if number < len(names) else f"class {number}"


def _png(pixels: np.ndarray) -> str:
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, np.stack([pixels] * 3, axis=-1), format="png")  # (28, 28, 3)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
