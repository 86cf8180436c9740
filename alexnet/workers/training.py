"""The training of a `Job` in several processes, which `alexnet.workers.parallel` starts."""

from __future__ import annotations

from typing import Any

from alexnet.training.callbacks import ProgressBar, Silent
from alexnet.training.history import History
from alexnet.workers import parallel
from alexnet.workers.job import Job
from alexnet.workers.member import Member


def train_in_processes(job: Job, processes: int) -> History:
    """Train on several processes of this machine, and return the history, without a net.

    Raises what `alexnet.workers.parallel.run` raises.
    """
    return History.from_dict(parallel.run(job, processes, __name__))


def take_part(text: str, member: Member) -> dict[str, Any]:
    """Do the job in one process of the run. Process 0 shows it. Returns the history."""
    job = Job.from_json(text)
    train_iter, test_iter = job.load_data()
    callback = Silent() if member.rank else ProgressBar(member.in_terminal)
    return job.train(train_iter, test_iter, callback).to_dict()
