"""Files of pytest-benchmark as reports: made by pytest-benchmark, as a user makes them."""

import json
import math
import subprocess
import sys

import pytest

from cnnbench.ratios import compare_sources
from cnnbench.report.pytest_benchmark import read_pytest_benchmark

SOURCE = """
def test_plain(benchmark):
    benchmark.pedantic(sum, (range(100),), rounds=5)

def test_throughput(benchmark):
    benchmark.pedantic(sum, (range(100),), rounds=4)
    benchmark.extra_info.update(
        variant="documented", workload="train", backend="jax", device="cpu", dtype="float32",
        batch_size=32, images_per_second=64.0, threads=2, fingerprint="f00d", process=1)

def test_training(benchmark):
    benchmark.pedantic(sum, (range(100),), rounds=1)
    benchmark.extra_info.update(variant="documented", seed=0, accuracy=0.9, images_per_second=9.0)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The JSON that pytest-benchmark wrote of three benchmarks."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "test_it.py").write_text(SOURCE)
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "test_it.py", "--benchmark-json=first.json"),
            *("-p", "no:cacheprovider", "-p", "no:cnnbench", "-p", "pytest_benchmark.plugin"),
        ],
        cwd=folder,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(folder)},
        check=True,
        capture_output=True,
    )
    return folder / "first.json"


def changed(written, folder, change):
    """Return a copy of the file with each benchmark changed."""
    content = json.loads(written.read_text())
    for one in content["benchmarks"]:
        change(one)
    path = folder / "later.json"
    path.write_text(json.dumps(content))
    return path


def rows_of(path):
    return {row.workload: row for row in read_pytest_benchmark(path).speeds}


def test_a_benchmark_is_a_row_by_its_name(written):
    row = rows_of(written)["benchmark"]
    assert (row.variant, row.unit) == ("test_it.py::test_plain", "operations/s")
    assert (row.backend, row.device, row.dtype, row.batch_size) == ("", "", "", None)
    median = json.loads(written.read_text())["benchmarks"][0]["stats"]["median"]
    (process,) = row.processes
    assert (row.per_second, process.rounds) == (pytest.approx(1 / median), 5)
    assert process.round_sd > 0


def test_a_throughput_of_cnnbench_has_its_key(written):
    row = rows_of(written)["train"]
    assert (row.variant, row.backend, row.batch_size) == ("documented", "jax", 32)
    assert (row.unit, row.fingerprint) == ("images/s", "f00d")
    assert row.per_second == pytest.approx(64)
    assert (row.processes[0].number, row.processes[0].rounds) == (1, 4)
    assert row.conditions == {"threads": "2"}


def test_a_training_is_no_row(written):
    assert set(rows_of(written)) == {"benchmark", "train"}


def test_the_label_is_the_file_and_no_machine(written):
    found = read_pytest_benchmark(written)
    node = json.loads(written.read_text())["machine_info"]["node"]
    assert found.label == "first"
    assert "machine cpu" in found.conditions
    assert node not in found.conditions.values()


def test_without_its_rounds_the_stats_do(written, tmp_path):
    path = changed(written, tmp_path, lambda one: one["stats"].pop("data"))
    whole, left = rows_of(written)["benchmark"], rows_of(path)["benchmark"]
    stats = json.loads(written.read_text())["benchmarks"][0]["stats"]
    assert left.per_second == pytest.approx(whole.per_second)
    assert left.processes[0].rounds == 5
    assert left.processes[0].round_sd == pytest.approx(stats["stddev"] / stats["mean"])


def test_one_round_without_data_has_no_spread(written, tmp_path):
    def change(one):
        one["stats"].pop("data")
        one["stats"].update(rounds=1, stddev=0)

    row = rows_of(changed(written, tmp_path, change))["benchmark"]
    assert math.isnan(row.processes[0].round_sd)


def test_two_files_are_compared(written, tmp_path):
    def change(one):
        one["extra_info"].update({"images_per_second": 128.0} if "workload" in one["extra_info"]
                                 else {})  # fmt: skip

    later = read_pytest_benchmark(changed(written, tmp_path, change))
    one = compare_sources(read_pytest_benchmark(written), later)
    assert [ratio.basis for ratio in one.ratios] == ["rounds", "rounds"]
    assert [ratio.value for ratio in one.ratios] == pytest.approx([1, 2])


def test_processes_of_a_key_are_one_row(written, tmp_path):
    content = json.loads(written.read_text())
    again = json.loads(json.dumps(content["benchmarks"][1]))
    again["extra_info"].update(process=2, threads=4)
    content["benchmarks"].append(again)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    row = rows_of(path)["train"]
    assert [each.number for each in row.processes] == [1, 2]
    assert row.conditions == {"threads": "2, 4"}


def test_problems_are_those_of_cnnbench(written, tmp_path):
    path = changed(written, tmp_path, lambda one: one["extra_info"].update(equal_share=0.5))
    assert rows_of(path)["train"].problems == ("wrong answers",)
    path = changed(written, tmp_path, lambda one: one["extra_info"].update(out_of_memory="yes"))
    assert rows_of(path)["train"].problems == ("out of memory",)
    assert rows_of(path)["train"].processes == ()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"benchmarks": [{}]}', '{"benchmarks": [1]}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"pytest-benchmark wrote|No benchmark with a time"):
        read_pytest_benchmark(path)


def test_a_file_without_benchmarks_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"benchmarks": []}')
    with pytest.raises(ValueError, match=r"No benchmark with a time is in it. Received: file="):
        read_pytest_benchmark(path)
