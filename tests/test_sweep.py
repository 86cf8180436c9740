"""The plan of a sweep: its settings, combinations, names and refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sweeps import planned

from alexnet import AlexNetError, Net
from alexnet.json_values import from_json
from alexnet.spec import Dense, Flatten, ReLU, transform
from alexnet.sweeps.plan import Plan, plan
from alexnet.sweeps.results import LONGEST_NAME, Sweep, stem
from alexnet.sweeps.settings import SETTINGS, parse, values_of
from alexnet.training.recipes import QUICK, Recipe
from alexnet.workers.job import Job


def test_every_setting_of_a_net_and_of_a_recipe_can_be_swept():
    of_net = [name for name, setting in SETTINGS.items() if setting.of_net]
    assert of_net == list(transform.SETTINGS)
    others = SETTINGS.keys() - set(of_net)
    assert others == Recipe.__dataclass_fields__.keys() - {"numpy_batches"}


def test_a_plan_has_every_combination_with_every_backend_and_seed():
    found = planned(
        {"lr": [0.1, 0.5], "activation": ["relu", "tanh", "sigmoid"]},
        ["numpy", "torch"],
        seed=4,
        seeds=2,
    )
    runs = [(row.model, row.backend, row.seed) for row in found.rows()]
    assert len(set(runs)) == len(runs) == 3 * 2 * 2 * 2
    assert runs[0] == ("activation=relu, lr=0.1", "numpy", 4)
    assert {seed for _, _, seed in runs[:12]} == {4}  # the first seed of all comes first
    assert {row.model for row in found.rows()} == {
        f"activation={a}, lr={lr}" for a in ("relu", "tanh", "sigmoid") for lr in (0.1, 0.5)
    }


def test_a_combination_has_its_net_and_its_recipe():
    found = planned({"width": [0.5, 1], "batch_size": 8, "pool_window": (3, 2), "resize": 56})
    narrow, wide = found.combinations()
    assert narrow.recipe.batch_size == 8
    assert narrow.recipe.lr == QUICK["lenet"].lr  # of the base net, though its name has changed
    assert narrow.net.name == "lenet, pool_window=3-2, width=0.5"
    assert wide.table.input_shape == (1, 56, 56)
    assert narrow.table.parameter_count < wide.table.parameter_count
    assert [c.label for c in found.combinations()] == [
        f"pool_window=3/2, width={width}, batch_size=8, resize=56" for width in ("0.5", "1")
    ]


def test_a_setting_that_changes_nothing_still_names_its_run():
    relu, sigmoid = planned({"activation": ["relu", "sigmoid"]}).combinations()
    assert sigmoid.net.name == "lenet"
    assert sigmoid.label == "activation=sigmoid"
    assert relu.label == "activation=relu"


def test_a_net_of_ones_own_is_swept_and_reaches_the_workers():
    mine = Net("mine", (1, 28, 28), (Flatten(), Dense(8), ReLU(), Dense(10)))
    (found,) = plan(mine, {"width": 2}, ["numpy"], data="sample").combinations()
    job = Job(found.net, "numpy", found.recipe, 3, None)
    assert Job.from_json(job.to_json()) == job
    assert job.model.layers[1] == Dense(16)


def test_values_may_be_lists_ranges_arrays_and_numbers_of_numpy():
    assert values_of("lr", np.array([0.5, 0.25])) == (0.5, 0.25)
    assert values_of("num_epochs", range(1, 4)) == (1, 2, 3)
    assert values_of("batch_size", [np.int64(8)]) == (8,)
    assert values_of("pool_window", [[3, 2], (2, 2)]) == ((3, 2), (2, 2))
    assert values_of("dropout", 0) == (0.0,)
    assert [type(v) for v in values_of("lr", [np.float32(0.5), 1])] == [float, float]


def test_a_plan_is_read_back_from_json():
    found = planned({"pool_window": [(3, 2), (2, 2)], "flip": [True, False]}, seeds=3)
    plain = found.to_dict()
    settings = {name: values_of(name, values) for name, values in plain["settings"].items()}
    again = from_json(Plan, plain, "plan")
    assert Plan(**{**vars(again), "settings": settings}) == found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "a sweep needs at least one setting, such as --lr 0.01,0.1"),
        ({"learning_rate": 0.1}, "unknown setting 'learning_rate'; known settings: activation"),
        ({"lr": [0.1, 0]}, "lr=0.0: must be a finite number above 0"),
        ({"lr": float("nan")}, "lr=nan: must be a finite number above 0"),
        ({"lr": []}, "lr must have at least one value"),
        ({"lr": [0.1, 0.10]}, "lr must have distinct values, got 0.1 twice"),
        ({"batch_size": [16, 2.5]}, "batch_size=2.5: must be a whole number of at least 1"),
        ({"batch_size": True}, "batch_size=True: must be a whole number of at least 1"),
        ({"num_epochs": 0}, "num_epochs=0: must be a whole number of at least 1"),
        ({"momentum": 1.0}, "momentum=1.0: momentum must be a number of at least 0 and below 1"),
        ({"nesterov": 1}, "nesterov=1: must be True or False"),
        ({"schedule": "cosine"}, "schedule='cosine': schedule must be constant or one-cycle"),
        ({"precision": "half"}, "precision='half': precision must be one of float32"),
        ({"lr": (0.1, 0.5)}, "lr must be one value or a list of values, got "),
        ({"crop": 28}, "crop=28: must be a whole number of at least 0 and below 28"),
        ({"train_examples": 5001}, "train_examples=5001: there are only 5,000 training images"),
        ({"activation": ["relu", "gelu"]}, "lenet: activation='gelu': unknown"),
        ({"dropout": 0.5}, "lenet: dropout=0.5: the net has no dropout layer"),
        ({"width": 0}, "lenet: width=0.0: a factor must be a finite number above 0"),
        (
            {"momentum": [0.9, 0], "nesterov": True},
            "momentum=0, nesterov=yes: nesterov=True needs a momentum above 0",
        ),
        (
            {"resize": [28, 8], "pool_window": (3, 2)},
            "pool_window=3/2, resize=8: lenet, pool_window=3-2, layer 3 .*smaller than the window; "
            "the smallest image that fits is",
        ),
        (
            {"width": list(range(1, 102)), "lr": [0.001 * n for n in range(1, 101)]},
            "a sweep can have at most 10,000 runs, got 10,100",
        ),
    ],
)
def test_impossible_settings_are_refused_before_a_run(settings, message):
    with pytest.raises(AlexNetError) as refused:
        planned(settings)
    assert re.match(re.sub(r"[(]", r"\\(", message), str(refused.value)), refused.value


def test_other_arguments_are_refused_as_compare_refuses_them():
    for options, message in (
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"seeds": "2"}, "seeds must be a whole number, got '2'"),
        ({"seeds": 1.5}, "seeds must be a whole number, got 1.5"),
        ({"parallel": True}, "parallel must be a whole number, got True"),
        ({"timeout": "60"}, "timeout must be a number of seconds, got '60'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": 3}, "unknown device 3"),
        ({"names": ["numpy", "numpy"]}, "backends must be distinct, got numpy"),
        ({"names": ["jax"]}, "unknown backend 'jax'"),
    ):
        with pytest.raises(AlexNetError, match=message):
            planned({"lr": 0.1}, **options)
    with pytest.raises(AlexNetError, match="backends must be a list of names, got 'numpy'"):
        plan("lenet", {"lr": 0.1}, "numpy", data="sample")


def test_numbers_of_numpy_are_written_and_read_back(tmp_path):
    numbers = {"seed": np.int64(1), "seeds": np.int64(2), "timeout": np.float32(60)}
    found = Sweep(planned({"lr": 0.1}, **numbers), tmp_path, "2026-11-22T08:00:00+00:00")
    found.save_plan()
    assert Sweep.load(tmp_path).plan == found.plan


@pytest.mark.parametrize(
    ("setting", "text", "message"),
    [
        ("lr", "0.1,fast", "--lr 0.1,fast: 'fast' is not a number"),
        ("num_epochs", "1.5", "--epochs 1.5: '1.5' is not a whole number"),
        ("flip", "yes,maybe", "--flip yes,maybe: 'maybe' is neither yes nor no"),
        ("pool_window", "3", "--pool-window 3: '3' is not a window; write kernel size and stride"),
        ("batch_size", "16,", "--batch-size '16,': a value is missing"),
    ],
)
def test_text_that_is_no_value_names_the_option(setting, text, message):
    with pytest.raises(AlexNetError, match=re.escape(message)):
        parse(setting, text)


def test_names_of_files_fit_every_system_and_differ():
    assert stem("pool_window=3/2, lr=1e-05-torch-seed0") == "pool_window=3-2,lr=1e-05-torch-seed0"
    long = [f"{'batch_size=16, ' * 12}lr={lr}-torch-seed0" for lr in (0.1, 0.2)]
    assert len({stem(name) for name in long}) == 2
    assert all(len(stem(name)) <= LONGEST_NAME for name in long)
    assert stem("lr=1e+30") != stem("lr=1e-30")
