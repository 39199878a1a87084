import json
import re
from pathlib import Path

import pytest

from cnnbench.machine.backends import BACKENDS
from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, Variant
from cnnbench.session.options import MARKER_FIELDS, OPTIONS, Options, options_from
from cnnbench.verdicts.targets import PROPERTIES


def value(name: str, text: str):
    return getattr(options_from({name: text}), name)


def refused(name: str, text: str, problem: str) -> None:
    message = rf"^{OPTIONS[name].flag}: {re.escape(problem)}.*Received: '{text}'$"
    with pytest.raises(ValueError, match=message):
        value(name, text)


def test_one_stem_everywhere():
    option = OPTIONS["report_dir"]
    assert (option.flag, option.ini) == ("--cnnbench-report-dir", "cnnbench_report_dir")


def test_help_states_the_default_unless_it_says_it_in_words():
    assert OPTIONS["seeds"].help == "a list (0,1,2) or a range (0-4); default: 0,1,2"
    assert OPTIONS["variants"].help.endswith(f"; default: {','.join(DEFAULT_VARIANTS)}")
    assert OPTIONS["threads"].help.endswith("; default: all CPUs")
    assert OPTIONS["devices"].help.count("default") == 1
    assert "None" not in " ".join(option.help for option in OPTIONS.values())


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(OPTIONS), dict.fromkeys(OPTIONS, "")])
def test_nothing_given_is_the_defaults(nothing):
    assert options_from(nothing) == Options()


LEAST = {"image_size": 8, "warmup_rounds": 0, "split_seed": 0}
COUNTS = ("epochs", "steps_per_epoch", "validation_steps", "rounds", "processes", "threads")


@pytest.mark.parametrize("name", [*LEAST, *COUNTS, "workers", "max_seeds"])
def test_whole_numbers_have_a_least_one(name):
    least = LEAST.get(name, 1)
    assert value(name, str(least)) == least
    for text in (str(least - 1), "many", "1.5"):
        refused(name, text, f"expected a whole number of at least {least}")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("variants", "wide, dropout,", (VARIANTS["wide"], VARIANTS["dropout"])),
        ("variants", "all", tuple(VARIANTS.values())),
        ("variants", "wide,a.b:c", (VARIANTS["wide"], Variant("a.b:c", builder="a.b:c"))),
        ("seeds", "0", (0,)),
        ("seeds", "7, 0-2, 5-5", (7, 0, 1, 2, 5)),
        ("backends", "torch, openvino,tensorflow", ("torch", "openvino", "tensorflow")),
        ("backends", "auto", ("auto",)),
        ("devices", "auto", ("auto",)),
        ("devices", "gpu,cpu,gpu:1", ("gpu", "cpu", "gpu:1")),
        ("dtypes", "float32,bfloat16,float16,int8", ("float32", "bfloat16", "float16", "int8")),
        ("batch_sizes", "1,32,256", (1, 32, 256)),
        ("batch_sizes", " sweep ", ("sweep",)),
        ("validation_fraction", "0.25", 0.25),
        ("alpha", "5 %", 0.05),
        ("budget", "0.5", 0.5),
        ("baseline", "baselines/drawn.json", Path("baselines/drawn.json")),
        ("inconclusive", "allow", "allow"),
    ],
)
def test_values(name, text, expected):
    assert value(name, text) == expected


@pytest.mark.parametrize(
    ("name", "texts", "problem"),
    [
        ("variants", ["documented,dokumented"], "Unknown variant. Expected one of documented, "),
        ("variants", ["wide,wide"], "each variant once"),
        ("variants", [","], "expected at least one variant"),
        ("seeds", ["-1", "1.5"], "expected a whole number of at least 0"),
        ("seeds", ["4-2", "4-"], "expected a whole number of at least 4"),
        ("seeds", ["0-2,1"], "each seed once"),
        ("seeds", ["3"], "a lone number is ambiguous; write 0-2 for a count of 3, or 3-3 for seed"),
        ("seeds", [" "], "expected at least one seed"),
        ("protocol", ["two-pass"], "Unknown protocol. Expected one of one-pass, documented"),
        ("backends", ["theano", "auto,jax"], "expected one of tensorflow, jax, torch, openvino"),
        ("devices", ["tpu", "cpu:0", "cpu,auto"], "expected cpu, gpu, or gpu:0, gpu:1 and so on"),
        ("dtypes", ["float64"], "expected one of float32, bfloat16, float16, int8"),
        ("batch_sizes", ["0", "8,sweep"], "expected a whole number of at least 1, or sweep"),
        ("batch_sizes", ["8,8"], "each batch size once, or sweep"),
        ("validation_fraction", ["0", "1", "half", "100%"], "expected a number between 0 and 1, "),
        ("alpha", ["0", "1", "nan"], "expected a number between 0 and 1"),
        ("beta", ["0", "1"], "expected a number between 0 and 1"),
        ("budget", ["0", "inf", "soon"], "expected seconds, more than 0"),
        ("inconclusive", ["skip"], "expected one of fail, allow"),
    ],
)
def test_bad_values(name, texts, problem):
    for text in texts:
        refused(name, text, problem)


def test_all_bad_values_are_named_at_once():
    with pytest.raises(ValueError, match="--cnnbench-seeds") as caught:
        options_from({"seeds": "x", "rounds": "3", "epochs": "0", "devices": "tpu"})
    flags = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert flags == ["--cnnbench-seeds", "--cnnbench-epochs", "--cnnbench-devices"]


def test_the_protocol_is_scaled_by_the_options_that_say_so():
    protocol = options_from({"protocol": "documented", "epochs": "2"}).training_protocol()
    assert (protocol.name, protocol.epochs) == ("documented", 2)
    assert (protocol.steps_per_epoch, protocol.validation_steps) == (8000, 2000)


def test_auto_is_each_device_that_there_may_be(monkeypatch):
    monkeypatch.setattr("cnnbench.session.options.auto_devices", lambda: ("cpu", "gpu"))
    assert Options().device_names() == ("cpu", "gpu")
    assert options_from({"devices": "gpu"}).device_names() == ("gpu",)


@pytest.mark.parametrize(
    ("backends", "installed", "measured", "trained"),
    [
        ("tensorflow", BACKENDS, ("tensorflow",), "tensorflow"),
        ("torch,jax", BACKENDS, ("torch", "jax"), "torch"),
        ("torch,jax", ("jax",), ("torch", "jax"), "jax"),
        ("auto", ("torch", "jax"), ("jax", "torch"), "jax"),
        ("openvino,torch", BACKENDS, ("openvino", "torch"), "torch"),
        ("openvino", ("jax", "openvino"), ("openvino",), "jax"),
        ("torch", (), ("torch",), "torch"),
        ("openvino", (), ("openvino",), "tensorflow"),
    ],
)
def test_trainings_run_on_the_first_backend_that_trains(
    monkeypatch, backends, installed, measured, trained
):
    monkeypatch.setattr(
        "cnnbench.session.options.missing", lambda name: None if name in installed else "absent"
    )
    options = options_from({"backends": backends})
    assert (options.backend_names(), options.training_backend()) == (measured, trained)


def test_plain_data_has_every_value_and_no_path():
    paths = {"data": "d", "cache_dir": "c", "targets": "t", "baseline": "b"}
    options = options_from({**paths, "seeds": "0-1"})
    plain = json.loads(json.dumps(options.to_dict()))
    assert set(OPTIONS) - set(plain) == {*paths, "report_dir"}
    assert (plain["seeds"], plain["image_size"]) == ([0, 1], 64)
    assert plain["variants"] == list(DEFAULT_VARIANTS)


@pytest.mark.parametrize(
    ("given", "expected"), [([0, 1], (0, 1)), ((2,), (2,)), (0, (0,)), ("0-2", (0, 1, 2))]
)
def test_a_marker_takes_values_and_texts_in_the_place_of_options(given, expected):
    options = Options(seeds=(5,), epochs=3).overridden({"seeds": given})
    assert options == Options(seeds=expected, epochs=3)


def test_marker_arguments_are_options():
    plain = {"rounds": 3, "warmup_rounds": 0, "processes": 2}
    lists = {"seeds": (7,), "backends": ("jax", "torch"), "dtypes": ("int8",)}
    lists |= {"devices": ("cpu",), "batch_sizes": (8, 16), "variants": (VARIANTS["wide"],)}
    assert {*plain, *lists} == set(MARKER_FIELDS)
    given = {**plain, **lists, "variants": "wide"}
    assert Options().overridden(given) == Options(**plain, **lists)


def test_unknown_marker_arguments_list_the_valid_ones_and_thresholds_are_left_aside():
    thresholds = dict.fromkeys(PROPERTIES, 0.5)
    assert Options().overridden(thresholds) == Options()
    message = (
        f"mark.cnnbench takes {', '.join(MARKER_FIELDS)} and thresholds "
        f"({', '.join(PROPERTIES)}). Received: backend, accuray"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Options().overridden({**thresholds, "backend": "jax", "accuray": 0.9})


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("seeds", [], "expected at least one seed"),
        ("seeds", 3, "a lone number is ambiguous; write 0-2 for a count of 3, or 3-3 for seed 3"),
        ("rounds", True, "expected a whole number of at least 1"),
        ("devices", None, "expected cpu, gpu, or gpu:0"),
    ],
)
def test_bad_marker_values(name, given, problem):
    with pytest.raises(ValueError, match=f"{OPTIONS[name].flag}: {problem}"):
        Options().overridden({name: given})
