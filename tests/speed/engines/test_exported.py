import keras
import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("tf2onnx")

from cnnbench.machine.place import Place
from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures
from cnnbench.records.measurements import Placement
from cnnbench.speed.engines import on_openvino as openvino
from cnnbench.speed.engines.on_onnxruntime import OnnxRuntimeEngine
from cnnbench.speed.engines.on_openvino import OpenVinoEngine
from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx

SHAPE = (24, 24, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
PLACE = Place("openvino", "cpu", 1)
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


@pytest.fixture(scope="module", params=[OpenVinoEngine, OnnxRuntimeEngine])
def engine(request):
    return request.param(PLACE)


def program(engine, files, dtype="float32", file=None, batch_size=8):
    return engine.program(files[0] / f"{file or dtype}.onnx", dtype, batch_size)


def close(answers, expected):
    np.testing.assert_allclose(answers, expected, atol=1e-5, rtol=0)


def test_answers_are_those_of_keras(engine, files):
    ready = program(engine, files)
    for some in (PICTURES[:1], PICTURES[:8], PICTURES[::5]):  # the last are not contiguous
        assert ready.answer(some).dtype == np.float32
    close(ready.answer(PICTURES[::5]), files[1][::5])
    close(ready.answer(PICTURES[:1]), files[1][:1])


def test_int8_answers_nearly_as_float32(engine, files):
    ready = program(engine, files, "int8")
    assert 0 < np.abs(ready.answer(PICTURES[:8]) - files[1][:8]).max() < 0.02
    assert ready.placement() == INT8


def test_a_step_leaves_the_answers_of_the_one_before(engine, files):
    ready = program(engine, files)
    first = ready.run(*ready.inputs(Pictures(PICTURES[:8], np.zeros(8))))
    ready.answer(PICTURES[16:24])  # has an input of its own
    second = ready.run(engine.put(PICTURES[8:16]))
    engine.synchronize([first, second])
    close(engine.get(first), files[1][:8])
    close(engine.get(second), files[1][8:16])


def test_put_copies_and_get_gives_back(engine):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tensor = engine.put(array)
    array[:] = 0
    np.testing.assert_array_equal(engine.get(tensor), np.arange(12).reshape(3, 4))


def test_a_file_of_another_dtype_is_found_out(engine, files):
    assert program(engine, files).placement() == FLOAT32
    assert program(engine, files, "float32", file="int8").placement() == INT8
    assert program(engine, files, "int8", file="float32").placement() == FLOAT32


def test_operations_are_not_counted_and_tf32_is_none(engine, files):
    assert program(engine, files).backend_flops() is None
    assert engine.tf32() == ""


# OpenVINO


def needs_bfloat16(engine):
    if "bfloat16" not in engine.dtypes():
        pytest.skip("this CPU does not compute in bfloat16")


def test_openvino_in_bfloat16_says_so(files):
    engine = OpenVinoEngine(PLACE)
    needs_bfloat16(engine)
    assert program(engine, files, "bfloat16", "float32").placement().compute_dtypes == ("bfloat16",)


def test_a_precision_that_openvino_takes_by_itself_is_found_out(files, monkeypatch):
    engine = OpenVinoEngine(PLACE)
    needs_bfloat16(engine)
    monkeypatch.setitem(openvino.HINTS, "float32", "bf16")
    assert program(engine, files).placement().compute_dtypes == ("bfloat16",)


@pytest.mark.parametrize(("dtype", "capability"), [("bfloat16", "BF16"), ("float16", "FP16")])
def test_openvino_does_what_the_cpu_does(files, dtype, capability):
    class Core:
        def get_property(self, device, name):
            return {"FP32", "BF16", "FP16", "INT8"} - {capability}

    engine = OpenVinoEngine(PLACE)
    engine.core = Core()
    with pytest.raises(ValueError, match=f"on this CPU.*float32, .*Received: dtype='{dtype}'"):
        program(engine, files, dtype)


def test_openvino_has_the_threads_asked_for_and_a_program_for_single_pictures(files):
    ready = program(OpenVinoEngine(PLACE), files)
    ready.answer(PICTURES[:1])
    assert sorted(ready.requests) == [1, 8]
    for request in ready.requests.values():
        assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


# ONNX Runtime


def test_int8_weights_that_are_multiplied_in_float32_are_found_out(files):
    ready = program(OnnxRuntimeEngine(PLACE), files, "int8")
    ready.optimized = (files[0] / "int8.onnx").read_bytes()  # before it was optimized
    assert ready.placement() == Placement(("cpu",), ("int8",), ("float32",))


def test_onnxruntime_has_the_threads_that_were_asked_for(files):
    session = program(OnnxRuntimeEngine(PLACE), files).session
    assert session.get_session_options().intra_op_num_threads == 1
