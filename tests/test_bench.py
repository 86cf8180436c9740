"""The plan of a bench, its refusals, its results and its table."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import pytest
from bench_results import LENET, shared, small, written
from helpers import alexnet_here

from alexnet import backends, build
from alexnet.bench import hand
from alexnet.bench.cases import STEPS, Case, training_flop
from alexnet.bench.job import Job
from alexnet.bench.picture import picture
from alexnet.bench.plan import plan
from alexnet.bench.results import Bench, Row
from alexnet.bench.table import failed, summary
from alexnet.errors import AlexNetError, RunError
from alexnet.spec import STATISTICS, zoo
from alexnet.views.tables import as_text

# --- the plan ---------------------------------------------------------------------------------------


def test_the_default_is_alexnet_and_lenet_at_their_sizes():
    found = plan(names=["numpy"])
    sizes = [(c.model, c.size, c.batch_size, c.precision) for c in found.cases]
    assert sizes == [("alexnet", 224, 128, "float32"), ("lenet", 28, 256, "float32")]
    assert found.seconds is None


def test_a_whole_bench_measures_the_loops_of_a_light_net_several_times_in_a_round():
    alexnet, lenet = plan(names=["numpy"]).cases
    assert (alexnet.turns, lenet.turns) == (1, 3)
    assert {case.turns for case in plan(names=["numpy"], quick=True).cases} == {1}


def test_a_quick_bench_has_smaller_batches_and_a_time_limit():
    found = plan(names=["numpy"], precisions=["float32", "auto"], quick=True)
    assert [c.batch_size for c in found.cases] == [32, 256, 32, 256]
    assert [c.precision for c in found.cases] == ["float32", "float32", "auto", "auto"]
    assert found.seconds is not None
    assert found.seconds < 360


def test_on_a_gpu_every_case_is_an_epoch_of_alexnet():
    found = plan(precisions=["float32", "tf32"], device="gpu")
    assert [(c.batch_size, c.precision) for c in found.cases] == [
        (128, "float32"), (512, "float32"), (128, "tf32"), (512, "tf32"),
    ]  # fmt: skip
    assert [c.steps for c in found.cases[:2]] == [5000 // 128 - 1, 5000 // 512 - 1]
    assert "numpy" not in found.names


@pytest.mark.parametrize(
    ("sweep", "variable", "values"),
    [
        ("batch", "batch_size", [8, 16, 32, 64, 128, 256]),
        ("size", "size", [96, 128, 160, 192, 224]),
        ("examples", "examples", [500, 1250, 2500, 5000]),
    ],
)
def test_a_sweep_has_a_case_for_each_value(sweep, variable, values):
    found = plan(names=["numpy"], sweep=sweep)
    assert [getattr(case, variable) for case in found.cases] == values
    assert found.parts == ("memory",)
    assert len(plan(names=["numpy"], sweep=sweep, quick=True).cases) < len(values)


def test_on_a_gpu_every_point_of_a_sweep_is_an_epoch():
    for case in plan(["alexnet"], ["torch"], sweep="batch", device="gpu").cases:
        assert case.steps == 5000 // case.batch_size - 1


def test_a_sweep_of_threads_ends_with_all_cores(monkeypatch):
    monkeypatch.setattr("alexnet.backends.usable_cores", lambda: 6)
    assert [case.threads for case in plan(names=["numpy"], sweep="threads").cases] == [1, 2, 4, 6]


def test_a_sweep_of_the_number_of_images_takes_whole_epochs():
    for case in plan(names=["numpy"], sweep="examples").cases:
        assert case.model == "lenet"
        assert case.steps == case.examples // case.batch_size - 1


@pytest.mark.parametrize("quick", [True, False])
def test_the_processes_of_each_number_share_the_same_batches(quick):
    found = plan(workers=[1, 2, 4], quick=quick)
    assert found.names == tuple(n for n, f in backends.FRAMEWORKS.items() if f.launch is not None)
    assert [case.processes for case in found.cases] == [1, 2, 4] * 2
    for model in ("alexnet", "lenet"):
        (same,) = {replace(c, processes=None) for c in found.cases if c.model == model}
        assert same.batch_size == plan([model], ["torch"], quick=quick).cases[0].batch_size
        assert same.turns > 1
    assert found.parts == STEPS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg"], "unknown net 'vgg'; known nets: alexnet, .*, lenet"),
        (["--backends", "jax"], "unknown backend 'jax'; known backends: numpy, "),
        (["--backends", "numpy,numpy"], "backends must be distinct, got numpy more than once"),
        (["lenet", "lenet"], "models must be distinct, got lenet more than once"),
        (
            ["--precision", "float16"],
            "unknown precision 'float16'; known: float32, bfloat16, tf32, auto",
        ),
        (["--sweep", "lr"], "unknown sweep 'lr'; known: batch, size, threads, examples"),
        (["--device", "tpu"], "unknown device 'tpu'; known: cpu, gpu"),
        (["--batch-size", "0"], "batch_size must be at least 1, got 0"),
        (["--batch-size", "-1"], "batch_size must be at least 1, got -1"),
        (
            ["lenet", "--batch-size", "4000"],
            "lenet: batches of 4,000 images need at least 8,000 training images, got 5,000",
        ),
        (["--sweep", "batch", "--batch-size", "8"], "--batch-size cannot be used with it"),
        (["--workers", "2;4"], "--workers must be numbers with commas, such as 1,2; got '2;4'"),
        (["--workers", "1,2,1"], "workers must be distinct numbers of at least 1, .* got 1,2,1"),
        (["--workers", "0,2"], "workers must be distinct numbers of at least 1, .* got 0,2"),
        (["--workers", "1,2", "--sweep", "size"], "so --sweep size cannot be used with it"),
        (
            ["--workers", "1,2", "--backends", "torch,numpy"],
            "NumPy cannot train in several processes; --workers can measure torch, mxnet, ",
        ),
        (
            ["--workers", "1,2", "--python", f"mxnet={sys.executable}"],
            "frameworks of the Python that runs alexnet, so --python cannot be used with it, got mxnet",
        ),
        (
            ["lenet", "--workers", "3", "--batch-size", "2"],
            "lenet: 3 processes need batches of at least 3 images, got 2",
        ),
        (["--timeout", "0"], "timeout must be above 0"),
        (["--data", "/nonexistent"], "/nonexistent: the folder does not exist"),
        (["--out", "/dev/null/run"], "cannot create the run's folder"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_input_gives_one_sentence_before_anything_runs(arguments, message, tmp_path):
    data = [] if "--data" in arguments else ["--data", "sample"]
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "run")]
    found = alexnet_here("bench", *arguments, *data, *out)
    assert found.returncode == 1, found.stdout
    (line,) = found.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_bench_is_not_used_again(tmp_path):
    written(tmp_path).save()
    found = alexnet_here("bench", "--data", "sample", "--out", str(tmp_path))
    assert "already holds a bench; choose another folder with --out" in found.stderr


# --- the arithmetic ---------------------------------------------------------------------------------


def test_a_training_example_costs_three_passes_less_the_first_gradient():
    net = zoo.get("lenet").resolve()
    first = net.rows[0].macs
    assert training_flop(net) == 2 * (first + first + 3 * (net.macs - first))


def test_medians_spreads_and_ratios(tmp_path):
    bench = written(tmp_path)
    numpy, torch = bench.rows[:2]
    assert torch.median("train") == 31.5
    assert torch.spread("train") == (30.0, 33.0)
    assert torch.ratio("train", "hand") == pytest.approx((30 / 30 + 33 / 30) / 2)
    assert numpy.ratio("train", "hand") is None
    assert bench.limit(torch) == pytest.approx(40.0)
    assert bench.share_of_limit(torch) == pytest.approx(31.5 / 40)
    tensors, pil = "torchvision per core", "torchvision PIL per core"
    assert bench.loader_ratio(torch, tensors) == pytest.approx(20)
    assert bench.loader_ratio(numpy, tensors) == pytest.approx(15)
    assert bench.loader_ratio(torch, pil) == pytest.approx(40)
    assert bench.loader_ratio(bench.rows[3], pil) is None


def test_the_ratio_is_that_of_the_medians_if_a_part_failed_in_a_round():
    row = Row(0, "torch", figures={"train": [10.0, 20.0, 30.0], "hand": [10.0]})
    assert row.ratio("train", "hand") == 2


def test_the_time_of_a_step_splits_into_computing_and_communication(tmp_path):
    bench = shared(tmp_path)
    one, two = bench.rows
    assert (one.step, two.step) == ("plain step", "reduced step")
    assert one.communication == []
    assert one.share_of_communication is None
    # Turn by turn: 20, 30 and 100 ms of 80, 120 and 200 ms.
    assert two.communication == pytest.approx([0.020, 0.030, 0.100])
    assert two.share_of_communication == pytest.approx(0.25)
    assert bench.speed_up(one) == 1
    assert bench.speed_up(two) == pytest.approx(0.150 / 0.120)
    bench.rows[0].figures = {}
    assert bench.speed_up(two) is None


def test_without_one_process_there_is_no_speed_up(tmp_path):
    bench = shared(tmp_path)
    bench.plan = replace(bench.plan, cases=bench.plan.cases[1:])
    bench.rows = [replace(bench.rows[1], case=0)]
    assert bench.speed_up(bench.rows[0]) is None


def test_gradients_have_four_bytes_for_each_learned_value():
    assert replace(LENET, processes=2).gradient_bytes == 4 * 61_706
    normed = Case("alexnet-28", 28, 8, "float32", 1, 32)  # whose statistics are not learned
    net = backends.load("numpy").get_weights(build("alexnet-28", "numpy"))
    learned = [w for key, w in net.items() if not key.endswith(STATISTICS)]
    assert (
        normed.gradient_bytes
        == 4 * sum(w.size for w in learned)
        < 4 * sum(w.size for w in net.values())
    )


@pytest.mark.parametrize("figures", [{"speed": 1.0}, {"train": 0}, {"train": "1"}, {"train": None}])
def test_a_wrong_figure_is_refused(figures):
    row = Row(0, "torch")
    with pytest.raises(ValueError, match=r"unknown figure|must be above 0"):
        row.add({"step": 1.0} | figures)
    assert row.figures == {}


# --- files ------------------------------------------------------------------------------------------


def test_a_saved_bench_is_read_back(tmp_path):
    bench = written(tmp_path)
    bench.save()
    assert Bench.load(tmp_path) == bench


def test_a_bench_of_several_processes_is_read_back(tmp_path):
    bench = shared(tmp_path)
    bench.save()
    assert Bench.load(tmp_path) == bench


def test_a_file_from_before_the_number_of_processes_is_read(tmp_path):
    bench = written(tmp_path)
    bench.save()
    file = tmp_path / "bench.json"

    def older(saved):
        saved["format"] = 2
        for case in saved["plan"]["cases"]:
            del case["processes"]

    file.write_text(damaged(json.loads(file.read_text()), older))
    assert Bench.load(tmp_path) == bench


def test_a_job_is_read_back():
    job = Job("torch", (LENET,), ("step", "hand"), "/data", "gpu", "/loops")
    assert Job.from_json(job.to_json()) == job


def damaged(saved, change):
    saved = {k: v for k, v in saved.items() if k != "sha256"}
    change(saved)
    return json.dumps(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(format=9), "has format 9; this version reads formats 2 and 3"),
        (lambda s: s.pop("rows"), "wrong or missing: rows"),
        (lambda s: s["rows"][0].update(case=7), "there is no case 7"),
        (lambda s: s["rows"][0].update(backend="jax"), "unknown backend 'jax'"),
        (lambda s: s["rows"][0]["figures"].update(train=["fast"]), "cannot be 'fast'"),
        (lambda s: s["rows"][0]["figures"].update(train=[-1.0]), "train must be above 0"),
        (lambda s: s.update(limits=[]), "limits cannot be"),
        (lambda s: s["limits"].update(peaks=[]), "peaks cannot be"),
    ],
)
def test_a_damaged_file_is_refused(change, message, tmp_path):
    written(tmp_path).save()
    file = tmp_path / "bench.json"
    file.write_text(damaged(json.loads(file.read_text()), change))
    with pytest.raises(RunError, match=message):
        Bench.load(tmp_path)


def test_a_flipped_digit_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        Bench.load(tmp_path)
    written(tmp_path).save()
    file = tmp_path / "bench.json"
    file.write_text(file.read_text().replace("9000.0", "9001.0"))
    with pytest.raises(RunError, match="checksum"):
        Bench.load(tmp_path)


# --- the table and the picture ----------------------------------------------------------------------


def test_the_table_shows_medians_spreads_ratios_limits_and_failures(tmp_path):
    bench = written(tmp_path)
    text = as_text(summary(bench), 80)
    lines = text.splitlines()
    assert lines[0] == "alexnet at 224×224, batches of 32, float32"
    (torch,) = (line for line in lines[:6] if line.startswith("torch"))
    assert torch.split() == [
        "torch",
        "55.0",
        "33.0",
        "±3%",
        "31.5",
        "±5%",
        "30.0",
        "±0%",
        "1.05",
        "0.79",
    ]
    (numpy,) = (line for line in lines[:6] if line.startswith("numpy"))
    assert numpy.split() == ["numpy", "–", "21.0", "±5%", "20.0", "±10%", "–", "–", "0.50"]
    assert max(len(line) for line in lines if line.startswith(("torch", "numpy", "backend"))) <= 80
    assert "Peak of this machine in float32, GFLOP/s: matmul 160, convolution 222." in text
    assert "Memory bandwidth, GB/s read and written: copy 21.0, triad 24.0." in text
    assert "Resize of tensors in a DataLoader (2,000 images/s): numpy 15.0×, torch 20.0×." in text
    assert (
        "Resize of PIL images in a DataLoader (1,000 images/s): numpy 30.0×, torch 40.0×." in text
    )
    assert "NumPy, lenet at 28×28, batches of 8, float32: killed by SIGKILL" in text
    assert "PyTorch, lenet at 28×28, batches of 8, float32, hand: no such kernel" in text
    assert "a machine; rounds: 2, 61 s" in text
    assert failed(bench) == ["NumPy", "PyTorch"]


def test_a_precision_that_was_chosen_stands_beside_its_backend(tmp_path):
    bench = written(tmp_path)
    bench.rows[1].precision = "bfloat16"
    text = as_text(summary(bench), 80)
    assert "torch (bf16)" in text
    assert "No peak was measured in bfloat16; peaks.log gives the reason." in text
    assert bench.limit(bench.rows[1]) is None  # no peak in this precision


def test_on_a_gpu_the_table_has_its_share_of_work_and_the_recipe(tmp_path):
    bench = written(tmp_path)
    bench.rows[1].add({"train busy": 0.97, "hand busy": 0.95})
    bench.rows[1].add({"recipe seconds": 120.4, "recipe accuracy": 0.8995})
    text = as_text(summary(bench), 120)
    assert "97%" in text
    assert "95%" in text
    assert "PyTorch, alexnet in float32, the book's recipe: 120 s, test accuracy 0.899" in text


def test_without_a_checkout_one_sentence_says_that_the_loops_are_missing(tmp_path):
    bench = written(tmp_path)
    assert hand.NO_LOOPS not in summary(bench)
    bench.hand_loops = False
    assert hand.NO_LOOPS in summary(bench)


def test_a_missing_framework_fails_only_a_run_that_names_it(tmp_path):
    bench = written(tmp_path)
    for row in bench.rows:
        row.problem, row.problems, row.missing = "not installed", {}, True
    assert failed(bench) == ["NumPy", "PyTorch"]
    bench.plan = small("numpy", "torch", cases=bench.plan.cases, named=False)
    assert failed(bench) == []


def test_the_picture_has_bars_for_each_case(tmp_path):
    figure = picture(written(tmp_path))
    assert [axes.get_title() for axes in figure.axes] == [
        "alexnet at 224×224, batches of 32, float32",
        "lenet at 28×28, batches of 8, float32",
    ]
    assert len(figure.axes[0].patches) == 5  # step, train and hand; NumPy has no hand-written loop


def test_a_sweep_has_a_curve_for_each_backend_and_a_line_for_each_value(tmp_path):
    planned = plan(["lenet"], ["numpy", "torch"], sweep="examples", quick=True)
    bench = written(tmp_path)
    bench.plan = planned
    bench.rows = [
        Row(case, name, figures={"train": [100.0 * (case + 1)], "memory": [2e8]})
        for case in range(2)
        for name in planned.names
    ]
    lines = as_text(summary(bench), 80).splitlines()
    assert lines[0].split() == ["examples", "numpy/s", "peak", "MB", "torch/s", "peak", "MB"]
    assert lines[3].split() == ["500", "100", "±0%", "200", "100", "±0%", "200"]
    assert lines[4].split() == ["5,000", "200", "±0%", "200", "200", "±0%", "200"]
    speed, memory = picture(bench).axes
    assert [text.get_text() for text in speed.get_legend().get_texts()] == ["NumPy", "PyTorch"]
    assert memory.get_ylabel() == "peak memory, MB"


def test_several_processes_have_a_line_each_with_their_communication(tmp_path):
    lines = as_text(summary(shared(tmp_path)), 80).splitlines()
    assert lines[0] == ("lenet at 28×28, batches of 8, float32; 0.247 MB of gradients in each step")
    assert lines[3].split() == ["torch", "1", "150", "±13%", "53.3", "1.00", "–", "–"]
    assert lines[4].split() == ["torch", "2", "120", "±50%", "66.7", "1.25", "30.0", "±133%", "25%"]
    assert max(map(len, lines[1:5])) <= 80


def test_the_picture_of_several_processes_has_the_communication_on_top(tmp_path):
    (axes,) = picture(shared(tmp_path)).axes
    assert axes.get_title() == "lenet at 28×28, batches of 8, float32"
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx([150, 0, 90, 30])
    assert [text.get_text() for text in axes.texts] == ["25%"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]


def test_every_refusal_is_an_error_of_this_library():
    with pytest.raises(AlexNetError):
        plan(["lenet"], ["numpy"], ["half"])
