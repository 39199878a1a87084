"""The loops by hand of `tests/benchmarks` compute what cnnbench's programs compute."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    pytest.importorskip("tensorflow")
    import handwritten_pairs

    monkeypatch.setattr(handwritten_pairs, "SHAPE", (16, 16, 3))
    monkeypatch.setattr(handwritten_pairs, "BATCH_SIZE", 4)
    return handwritten_pairs


@pytest.fixture
def loops(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import handwritten_loops

    return handwritten_loops


@pytest.mark.parametrize("workload", ["train", "inference"])
def test_tensorflow_computes_the_same_by_hand(pairs, workload, tmp_path):
    own, loop = pairs.both("tensorflow", workload, 1, tmp_path / "none")
    assert pairs.difference(own, loop) <= 1e-5


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_the_exported_network_computes_the_same_by_hand(pairs, backend, tmp_path):
    for package in ("tf2onnx", "onnxruntime", backend):
        pytest.importorskip(package)
    from cnnbench.exporting import export_onnx

    export_onnx(pairs.network(), tmp_path / "network.onnx", pairs.SHAPE)
    own, loop = pairs.both(backend, "inference", 1, tmp_path / "network.onnx")
    assert pairs.difference(own, loop) <= 1e-5


def test_losses_are_read_out_of_their_running_mean(pairs):
    losses = iter([3.0, 2.0, 4.0])
    seen = []

    class Averaging:
        def run(self, pictures, targets):
            seen.append(next(losses))
            return np.mean(seen)

        def get(self, tensor):
            return np.asarray(tensor)

    own = pairs.Ours(Averaging(), Averaging(), "pictures", "targets")
    assert [float(loss) for loss in own.outputs(3)] == pytest.approx([3.0, 2.0, 4.0])


def test_other_answers_are_refused(pairs):
    class Half:
        def run(self, pictures, targets):
            return 0.5

        def get(self, tensor):
            return np.asarray(tensor)

    own = pairs.Ours(Half(), Half(), "pictures", None)
    with pytest.raises(ValueError, match=r"do not compute the same.*Received: difference=\d"):
        pairs.difference(own, lambda steps: (1.0, np.asarray(0.5001)))


@pytest.mark.parametrize(
    ("ratios", "within"),
    [([1.0, 1.001, 0.999], "yes"), ([1.1, 1.101, 1.099], "no"), ([1.0, 1.018, 1.0], "undecided")],
)
def test_the_verdict_is_that_of_the_processes(loops, ratios, within):
    processes = [
        {
            **{"cnnbench": [1.0] * 8, "hand": [ratio] * 8},
            **{"cpu_cnnbench": [1.0] * 8, "cpu_hand": [1.0] * 8},
            **{"steps": 2, "batch_size": 32, "difference": 0.0},
        }
        for ratio in ratios
    ]
    wanted = argparse.Namespace(tolerance=0.02, threads=1)
    row = loops.row_of("tensorflow", "train", processes, wanted)
    assert row["within"] == within
    assert row["interval_over"] == "processes"
    assert row["cnnbench_images_per_second"] == "64"


def test_what_does_not_train_is_refused(loops, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--backend", "openvino", "--workload", "train"])
    with pytest.raises(SystemExit):
        loops.main()
    assert "openvino does not train" in capsys.readouterr().err
