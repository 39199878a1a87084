"""`cnnbench ab` with real processes, on tiny pictures."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from checkouts import commit

from cnnbench.ab.sides import OWN_HARNESS, Folder, Side
from cnnbench.ab.steps import TimeSteps, cpus_for, pin
from cnnbench.ab.template import Template, can_fork
from cnnbench.cli import main
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.records.records import Row
from cnnbench.session.workers.jobs import FindGpus
from cnnbench.session.workers.process import JobError, WorkerDied

MODEL = """
import os
import keras

def build(input_shape):
    os.stat("mymodel.py")  # beside which it works
    inputs = keras.Input(input_shape)
    outputs = keras.layers.Rescaling(1 / 255)(inputs)
    for _ in range({layers}):
        outputs = keras.layers.Conv2D({filters}, 3, padding="same")(outputs)
    outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.Flatten()(outputs))
    return keras.Model(inputs, outputs)

def dying(input_shape):
    print("the model's last words", flush=True)
    os._exit(3)

def broken(input_shape):
    raise RuntimeError("no such layer")
"""
PLACE = Place("tensorflow", "cpu", 2)


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A user's model that becomes many times slower: `fast`, then `slow`."""
    top = tmp_path_factory.mktemp("repository")
    for tag, layers, filters in (("fast", 1, 2), ("slow", 6, 32)):
        commit(top, {"mymodel.py": MODEL.format(layers=layers, filters=filters)}, tag)
    return top


def test_two_pairs_of_two_revisions_are_measured(checkout, tiny_folder, monkeypatch, capsys):
    before, handler = children(), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(checkout)
    sides = ("fast", "rev=slow,batch_size=16", "--variant=mymodel:build", "--image-size=24")
    quick = (f"--data={tiny_folder}", "--workload=inference", "--budget=0.1", "--clock=cpu")
    code = main(["ab", *sides, *quick])
    signal.signal(signal.SIGTERM, handler)
    output = capsys.readouterr().out
    assert (code, children()) == (10, before)
    assert "A: mymodel:build at fast (" in output
    assert "inference on cpu: 5 to 30 pairs of fresh processes" in output
    assert "\nINCONCLUSIVE: " in output
    (report,) = Path("reports").glob("ab-*")
    with (report / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    a, b = ([float(row["cpu_seconds"]) for row in rows if row["side"] == side] for side in "AB")
    assert len(a) == len(b) == 24
    assert sum(b) > 3 * sum(a)
    assert {row["order"] for row in rows if row["side"] == "A"} == {"0", "1"}
    assert {(row["side"], row["batch_size"]) for row in rows} == {("A", "32"), ("B", "16")}
    content = json.loads((report / "ab.json").read_text())
    assert [side["revision"] for side in content["sides"]] == ["fast", "slow"]
    assert len({side["commit"] for side in content["sides"]}) == 2
    assert content["result"]["verdict"] == "inconclusive"
    assert str(checkout) not in json.dumps(content)
    assert main(["show", str(report)]) == 0
    assert content["text"] in capsys.readouterr().out


@pytest.fixture(scope="module")
def template():
    before = children()
    with Template(PLACE, OWN_HARNESS) as template:
        template.ready()
        assert template.can_fork  # no import has started a thread
        yield template
    assert children() == before


@pytest.fixture
def job(checkout, tiny_manifest):
    side = Side("B", variant_named("mymodel:build"), PLACE, folder=Folder(checkout))
    return TimeSteps(side, Row(side.variant.name, "train", "float32", 8, 0), tiny_manifest)


def test_a_killed_worker_is_told_and_leaves_nothing(template, job):
    before, folder = children(), job.side.folder
    with template.worker(folder) as worker, template.worker(folder):
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match=r"B: .* ended by signal 9 \(tensorflow on cpu\)"):
            worker.do(job)
    assert children() == before  # not even zombies


def test_a_model_that_cant_be_built_is_told(template, job):
    folder, side = job.side.folder, job.side
    dying, broken = (
        replace(job, side=replace(side, variant=variant_named(f"mymodel:{name}")))
        for name in ("dying", "broken")
    )
    with template.worker(folder) as worker:
        with pytest.raises(
            JobError, match=r"B: mymodel:broken failed in mymodel.py:\d+: .*no such"
        ):
            worker.do(broken)
        with pytest.raises(WorkerDied, match=r"B: .* ended with exit code 3 ") as caught:
            worker.do(dying)
    assert "the model's last words" in caught.value.details


def test_a_built_model_stays_on_its_cpus_and_is_not_the_working_copys(template, job):
    cpu = max(os.sched_getaffinity(0))
    strayed = replace(job.side.folder, working_copy=job.side.folder.root.resolve())
    with template.worker(job.side.folder) as worker:
        with pytest.raises(JobError, match=r"come from the working copy.* modules=mymodel$"):
            worker.do(replace(job, side=replace(job.side, folder=strayed), cpus=(cpu,)))
        assert psutil.Process(worker.pid).cpu_affinity() == [cpu]


def test_where_a_fork_is_not_safe_a_process_is_started(tmp_path):
    (tmp_path / "onnxruntime.py").touch()  # the quickest backend to import
    template = Template(Place("onnxruntime", "cpu", 1), OWN_HARNESS)
    with template.worker(Folder(tmp_path)) as worker:
        template.stop()
        assert worker.do(FindGpus()) == ()


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("raise SystemExit(3)", WorkerDied, "importing Keras: .* ended with exit code 3"),
        ("print('{\"protocol\": 1}')", ValueError, r"Expected protocol \d. Received: protocol=1"),
    ],
)
def test_a_template_that_cant_be_used_is_told(program, error, message, tmp_path):
    folder = tmp_path / "cnnbench" / "ab"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "template.py").write_text(program)
    with Template(PLACE, tmp_path) as template, pytest.raises(error, match=message):
        template.ready()


def test_a_process_stays_on_the_cpus_of_its_pair(monkeypatch):
    allowed = sorted(os.sched_getaffinity(0))
    assert {cpus_for(pair, 1) for pair in range(len(allowed))} == {(cpu,) for cpu in allowed}
    assert set(cpus_for(1, len(allowed))) == set(allowed)
    pin(allowed[-1:])
    found = os.sched_getaffinity(0)
    pin(allowed)
    assert found == {allowed[-1]}
    monkeypatch.delattr(os, "sched_getaffinity")  # a system that does not say
    pin(cpus_for(1, 1))
    assert cpus_for(1, 1) == ()


def test_a_fork_is_safe_from_one_thread_only(tmp_path):
    tasks = tmp_path / "task"
    assert not can_fork(tasks)  # a system that does not say
    tasks.mkdir()
    (tasks / "1").touch()
    assert can_fork(tasks)
    (tasks / "2").touch()
    assert not can_fork(tasks)
