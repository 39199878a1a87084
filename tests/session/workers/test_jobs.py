"""Every job, done in the tests' own process."""

import json
from dataclasses import asdict, replace
from os import fspath
from pathlib import Path

import pytest

from cnnbench.machine.backends import Place, missing
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.pictures.data_set import Splits
from cnnbench.records.journal import from_data
from cnnbench.records.records import Row
from cnnbench.session.workers import jobs
from cnnbench.session.workers.jobs import Job, run
from cnnbench.speed.reference import Reference, load_weights
from cnnbench.training.protocols import Protocol

PLACE = Place("tensorflow", "cpu", 1)
SHORT = Protocol("one-pass", epochs=1)
OWN, DOCUMENTED = variant_named("a.b:c"), VARIANTS["documented"]
ROW = Row("documented", "train", "bfloat16", 32, 0, 1)
A, B = Path("a"), Path("b")
JOBS = [
    (jobs.FindGpus(), "looking for GPUs of tensorflow"),
    (jobs.CheckModels((DOCUMENTED, OWN), A), "building each model once"),
    (jobs.Train(OWN, A, 3, SHORT, B), "training a.b:c seed 3"),
    (jobs.Train(VARIANTS["early-stopping"], A, 3, SHORT), "training early-stopping seed 3"),
    (jobs.Sanity("memorization", OWN, A, 0, SHORT), "memorization a.b:c"),
    (jobs.MakeReference(OWN, A, "train", 32, 0, A, B), "reference answers of a.b:c"),
    (jobs.Export(OWN, A, 0, A, "int8", B), "exporting a.b:c in int8"),
    (
        jobs.Measure(DOCUMENTED, ROW, A, 10, 2, B),
        "timing train of documented, tensorflow on cpu, bfloat16, batch size 32, process 2",
    ),
    (jobs.MeasurePeak("int8"), "peak of tensorflow on cpu, int8"),
    (jobs.Predict(A, (A, B)), "classifying with a"),
]


def do(job):
    return run(job, PLACE, lambda values: None)


@pytest.mark.parametrize(("job", "title"), JOBS, ids=lambda value: type(value).__name__)
def test_a_job_has_words_and_travels_as_json(job, title):
    assert job.title(PLACE) == title
    line = json.dumps(asdict(job), default=fspath)
    assert from_data(type(job), json.loads(line)) == job


def test_every_job_is_among_them():
    own = {kind for kind in Job.__subclasses__() if kind.__module__ == jobs.__name__}
    assert own == {type(job) for job, _ in JOBS}


def test_jobs_that_come_to_records_are_recorded():
    recorded = {type(job) for job, _ in JOBS if job.is_recorded()}
    assert recorded == {jobs.Train, jobs.Sanity, jobs.Measure, jobs.MeasurePeak}


def test_only_a_measurement_can_be_killed_for_its_memory(tiny_manifest):
    job = jobs.Measure(DOCUMENTED, ROW, tiny_manifest, 10, 2)
    row = job.when_killed(PLACE)
    assert (row.row, row.place, row.out_of_memory, row.warmup_rounds) == (ROW, PLACE, True, 2)
    assert row.data_hash == Splits.open(tiny_manifest).content_hash
    assert row.fingerprint == DOCUMENTED.fingerprint()
    assert all(job.when_killed(PLACE) is None for job, _ in JOBS if type(job) is not jobs.Measure)


def test_problems_of_all_models_are_found_at_once(tiny_manifest):
    names = ("faults:subclassed", "faults:no_model", "faults:wrong_shape")
    unforeseen = replace(DOCUMENTED, blocks=("many",))
    *found, last = do(jobs.CheckModels((*map(variant_named, names), unforeseen), tiny_manifest))
    assert [problem.split()[0] for problem in found] == list(names[1:])
    assert last.startswith("documented can't be used: ")
    assert "Traceback" in last


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("faults:logits", "end it with a sigmoid or a softmax"),
        ("faults:raises_later", r"^faults:raises_later failed in \S*faults.py:\d+: "),
    ],
)
def test_a_users_model_is_blamed(name, problem, tiny_manifest):
    with pytest.raises(Exception, match=problem):
        do(jobs.Train(variant_named(name), tiny_manifest, 0, SHORT))


def test_a_training_reports_epochs_and_keeps_what_it_made(tiny_folder, tiny_manifest, tmp_path):
    told = []
    weights, classifier = tmp_path / "weights.npz", tmp_path / "classifier"
    job = jobs.Train(VARIANTS["single-block"], tiny_manifest, 0, SHORT, weights, classifier)
    record = run(job, PLACE, told.append)
    assert [(one["epoch"], one["epochs"]) for one in told] == [(1, 1)]
    assert sum(weight.size for weight in load_weights(weights)) == record.parameters
    # A classifier answers what it was trained to; a picture that is none is reported.
    picture = tmp_path / "none.png"
    picture.touch()
    answers = []
    pictures = (picture, tiny_folder / "train/cats/000.png")
    run(jobs.Predict(classifier, pictures), PLACE, answers.append)
    assert "none.png" in answers[0]["error"]
    assert (answers[1]["picture"], answers[1]["class"]) == (str(pictures[1]), "cats")


def test_a_subclassed_model_does_every_job(tiny_manifest, tmp_path):
    variant, reference = variant_named("faults:subclassed"), tmp_path / "reference.npz"
    assert do(jobs.Sanity("memorization", variant, tiny_manifest, 0, SHORT)).accuracy == 1.0
    assert do(jobs.Sanity("shuffled_labels", variant, tiny_manifest, 0, SHORT)).steps == 3
    weights = tmp_path / "none.npz"
    do(jobs.MakeReference(variant, tiny_manifest, "train", 8, 0, weights, reference))
    assert "train" in Reference.load(reference).answers
    row = Row(variant.name, "train", "float32", 8, 0)
    measured = do(jobs.Measure(variant, row, tiny_manifest, 2, 1, reference))
    assert (measured.row, measured.warmup_rounds, len(measured.round_seconds)) == (row, 1, 2)
    assert measured.agreement.equal_share == 1.0
    if missing("onnxruntime") is None:
        exported, quantized = tmp_path / "float32.onnx", tmp_path / "int8.onnx"
        for target in (exported, quantized):
            do(jobs.Export(variant, tiny_manifest, 0, reference, target.stem, target))
        assert 0 < quantized.stat().st_size < exported.stat().st_size


def test_gpus_and_peaks_are_those_of_the_place(monkeypatch):
    assert do(jobs.FindGpus()) == ()
    monkeypatch.setattr("cnnbench.speed.peaks.measure_peak", lambda *asked: asked)
    assert do(jobs.MeasurePeak("int8")) == (PLACE, "int8")
