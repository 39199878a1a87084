import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("tf2onnx")

import keras

from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
from cnnbench.records.measurements import Placement
from cnnbench.speed.engines import on_openvino as openvino
from cnnbench.speed.engines.on_onnxruntime import OnnxRuntimeEngine
from cnnbench.speed.engines.on_openvino import OpenVinoEngine
from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx

SHAPE = (24, 24, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
FLOAT32 = Placement(("cpu",), ("float32",), ("float32",))
INT8 = Placement(("cpu",), ("int8",), ("int8",))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same model in float32 and in int8, and what Keras answers."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    model = build_model(VARIANTS["documented"], SHAPE)
    export_onnx(model, folder / "float32.onnx", SHAPE)
    quantize_onnx(folder / "float32.onnx", folder / "int8.onnx", PICTURES)
    return folder, np.asarray(model.predict_on_batch(PICTURES))


@pytest.fixture(params=[OpenVinoEngine, OnnxRuntimeEngine])
def engine(request):
    return request.param(threads=1)


def program(engine, files, dtype="float32", file=None, batch_size=8):
    return engine.program(files[0] / f"{file or dtype}.onnx", dtype, batch_size)


def without(*capabilities):
    """A core of OpenVINO on a CPU that lacks something."""

    class Core:
        def get_property(self, device, name):
            return [one for one in ("FP32", "BF16", "FP16", "INT8") if one not in capabilities]

    return Core()


# Answers


@pytest.mark.parametrize("count", [1, 3, 8, 40])
def test_answers_are_those_of_keras(engine, files, count):
    found = program(engine, files).answer(PICTURES[:count])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, files[1][:count], atol=1e-5, rtol=0)


def test_int8_answers_nearly_as_float32(engine, files):
    difference = np.abs(program(engine, files, "int8").answer(PICTURES) - files[1]).max()
    assert 0 < difference < 0.02


def test_a_step_answers_a_batch_on_the_device(engine, files):
    tensor = program(engine, files).run(engine.put(PICTURES[:8]))
    engine.synchronize([tensor])
    np.testing.assert_allclose(engine.get(tensor), files[1][:8], atol=1e-5, rtol=0)


def test_a_step_leaves_the_answers_of_the_one_before(engine, files):
    ready = program(engine, files)
    first = ready.run(engine.put(PICTURES[:8]))
    ready.run(engine.put(PICTURES[8:16]))
    np.testing.assert_allclose(engine.get(first), files[1][:8], atol=1e-5, rtol=0)


def test_pictures_that_are_not_contiguous_are_taken(engine, files):
    found = program(engine, files).answer(PICTURES[::5])
    np.testing.assert_allclose(found, files[1][::5], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_put_copies_and_get_gives_back(engine, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    tensor = engine.put(array)
    array[:] = 0
    np.testing.assert_array_equal(engine.get(tensor), np.arange(12).reshape(3, 4))


# Placement


def test_float32_is_on_the_cpu_in_float32(engine, files):
    assert program(engine, files).placement() == FLOAT32


def test_int8_is_on_the_cpu_in_int8(engine, files):
    assert program(engine, files, "int8").placement() == INT8


def test_a_file_of_another_dtype_is_found_out(engine, files):
    assert program(engine, files, "float32", file="int8").placement() == INT8
    assert program(engine, files, "int8", file="float32").placement() == FLOAT32


def test_openvino_in_bfloat16_says_so(files):
    engine = OpenVinoEngine(threads=1)
    if "bfloat16" not in engine.dtypes():
        pytest.skip("this CPU does not compute in bfloat16")
    assert program(engine, files, "bfloat16", "float32").placement().compute_dtypes == ("bfloat16",)


def test_a_precision_that_openvino_takes_by_itself_is_found_out(files, monkeypatch):
    engine = OpenVinoEngine(threads=1)
    if "bfloat16" not in engine.dtypes():
        pytest.skip("this CPU does not compute in bfloat16")
    monkeypatch.setitem(openvino._HINTS, "float32", "bf16")
    assert program(engine, files).placement().compute_dtypes == ("bfloat16",)


def test_int8_weights_that_are_multiplied_in_float32_are_found_out(files):
    ready = program(OnnxRuntimeEngine(threads=1), files, "int8")
    ready.optimized = (files[0] / "int8.onnx").read_bytes()  # before it was optimized
    assert ready.placement() == Placement(("cpu",), ("int8",), ("float32",))


def test_threads_are_as_asked_for(files):
    request = program(OpenVinoEngine(threads=1), files)._compiled(8)
    assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1
    session = program(OnnxRuntimeEngine(threads=1), files).session
    assert session.get_session_options().intra_op_num_threads == 1


def test_a_single_picture_has_a_program_of_its_own(files):
    ready = program(OpenVinoEngine(threads=1), files)
    ready.answer(PICTURES[:1])
    assert sorted(ready._requests) == [1, 8]


# What an engine can't


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "complex64"])
def test_onnxruntime_does_float32_and_int8(files, dtype):
    with pytest.raises(ValueError, match=f"one of float32, int8. Received: dtype='{dtype}'"):
        program(OnnxRuntimeEngine(threads=1), files, dtype)


@pytest.mark.parametrize(("dtype", "capability"), [("bfloat16", "BF16"), ("float16", "FP16")])
def test_openvino_does_what_the_cpu_does(files, dtype, capability):
    engine = OpenVinoEngine(threads=1)
    engine.core = without(capability)
    assert dtype not in engine.dtypes()
    with pytest.raises(ValueError, match=f"on this CPU.*float32, .*Received: dtype='{dtype}'"):
        program(engine, files, dtype)


@pytest.mark.parametrize(
    ("engine", "package"), [(OpenVinoEngine, "openvino"), (OnnxRuntimeEngine, "onnxruntime")]
)
def test_an_absent_package_is_named_with_its_extra(monkeypatch, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"package {package} can't.*'cnnbench\[{package}\]'"):
        engine(threads=1)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("Out of memory")]
)
def test_full_memory_is_known(engine, error):
    assert engine.is_out_of_memory(error)


def test_other_errors_are_not_taken_for_full_memory(engine):
    assert not engine.is_out_of_memory(RuntimeError("Unexpected input data type"))


def test_nothing_is_said_of_tf32_and_of_operations(engine, files):
    assert engine.tf32() == ""
    assert program(engine, files).backend_flops(8) is None
