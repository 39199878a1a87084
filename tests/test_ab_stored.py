import json
import math
from dataclasses import replace

import pytest

from cnnbench.ab.pairs import Alone
from cnnbench.ab.settings import FLAGS, Settings, settings_from
from cnnbench.ab.sides import Side
from cnnbench.ab.stored import (
    Stored,
    compare,
    differing,
    identity_of,
    in_words,
    load,
    save,
    verdict_of,
)
from cnnbench.ab.verdict import Rule
from cnnbench.variants import variant_named

RULE = Rule(looks=(5,))
ENVIRONMENT = {
    "machine": {"cpu": "Some CPU", "logical_cpus": 2},
    "python": "3.12.0",
    "packages": {"keras": "3.15.0", "numpy": "2.4.0", "tensorflow": "2.21.0", "jax": "0.10"},
    "flags": {},
}


def alone(number: int, seconds: float, reference: float = 0.01) -> Alone:
    return Alone(number, 2, 32, (seconds,) * 3, 4, (4 * reference,) * 3)


def drifting(seconds: float, machine: tuple[float, ...]) -> list[Alone]:
    """Processes on a machine whose speed drifts, as the reference sees it too."""
    return [
        alone(number, seconds * factor * (1 + 0.001 * (number % 3)), 0.01 * factor)
        for number, factor in enumerate(machine)
    ]


def stored(side: Side | None = None) -> Stored:
    side = side or Side("HEAD", variant_named("documented"))
    identity = identity_of(ENVIRONMENT, side, "train", "cpu", (64, 64, 3), 2)
    return Stored(identity, side.to_dict(), "2026-01-01T00:00:00", "abc", (alone(0, 0.1),))


def test_the_reference_takes_out_what_hits_both():
    then = drifting(0.1, (1.0, 1.1, 0.9, 1.05, 0.95))
    now = drifting(0.1, (1.3, 1.5, 1.2, 1.4, 1.3))
    change = compare(now, then)
    assert change.raw.value > 0.2
    assert abs(change.normalized.value) < 0.002
    assert change.sd_normalized < 0.01 < 0.05 < change.sd_raw
    assert (change.now, change.then) == (5, 5)
    assert verdict_of(change, RULE) == "pass"


def test_a_slower_head_is_seen_through_a_faster_machine():
    change = compare(drifting(0.12, (0.8,) * 5), drifting(0.1, (1.0,) * 5))
    assert change.raw.value < 0
    assert change.normalized.value == pytest.approx(math.log(1.2))
    assert verdict_of(change, RULE) == "fail"


def test_noise_decides_nothing():
    then = [alone(number, 0.1 * (1 + 0.3 * (number % 2))) for number in range(5)]
    assert verdict_of(compare(then[::-1], then), RULE) == "inconclusive"


def test_words_hold_both_ratios_and_what_the_reference_does_to_the_spread():
    change = compare(drifting(0.12, (0.8, 0.9, 1.0)), drifting(0.1, (1.0, 1.1, 0.9)))
    text = in_words(change, RULE, ["python: '3.11' then, '3.12' now"])
    for part in (" raw", "normalized by the reference", "3 processes now, 3 then", " times)"):
        assert part in text
    assert text.endswith("Not the same as then: python: '3.11' then, '3.12' now.")
    assert "interval unknown" in in_words(compare([alone(0, 0.1)], [alone(0, 0.1)]), RULE)


# Identity


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"batch_size": 64}, "batch size: 32 then, 64 now"),
        ({"threads": 2}, "threads: 1 then, 2 now"),
        ({"variant": variant_named("wide")}, "fingerprint: "),
        ({"backend": "jax"}, "backend: 'tensorflow' then, 'jax' now"),
    ],
)
def test_what_differs_is_named(changed, field):
    now = stored(replace(Side("HEAD", variant_named("documented")), **changed)).identity
    assert field in "\n".join(differing(now, stored().identity))


def test_another_backends_version_is_no_difference():
    other = {**ENVIRONMENT, "packages": {**ENVIRONMENT["packages"], "jax": "9"}}
    side = Side("HEAD", variant_named("documented"))
    now = identity_of(other, side, "train", "cpu", (64, 64, 3), 2)
    assert differing(now, stored().identity) == ()


# The file


def test_what_was_stored_is_loaded(tmp_path):
    save(tmp_path / "s.json", stored())
    loaded = load(tmp_path / "s.json")
    assert (loaded.alone, loaded.identity) == (stored().alone, stored().identity)
    assert loaded.side["variant"]["name"] == "documented"
    assert differing(loaded.identity, stored().identity) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(cnnbench_stored=0),
        lambda data: data.pop("cnnbench_stored"),
        lambda data: data.update(alone=[]),
        lambda data: data["alone"][0].update(seconds_reference=[]),
        lambda data: data["alone"][0].pop("steps"),
        lambda data: data.update(more=1),
    ],
)
def test_another_file_is_refused(tmp_path, change):
    path = tmp_path / "s.json"
    save(path, stored())
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"Not a file that `cnnbench ab --store`.*s\.json"):
        load(path)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ValueError, match="Not a file that"):
        load(tmp_path / "s.json")


# Settings


def test_without_flags_there_are_the_defaults():
    assert settings_from(dict.fromkeys(FLAGS)) == Settings()
    assert Settings().rule() == Rule(looks=(5, 8, 12, 18, 27, 30))


def test_flags_are_read():
    texts = {"workload": "inference", "pairs": "3", "max_pairs": "4", "alpha": "0.05"}
    settings = settings_from({**texts, "budget": "60", "clock": "cpu", "min_effect": "0.1"})
    assert settings == Settings(
        *("inference", "cpu", "cpu"), pairs=3, max_pairs=4, alpha=0.05, budget=60, min_effect=0.1
    )
    assert settings.rule() == Rule((3, 4), alpha=0.05, min_effect=0.1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("workload", "x", "--workload: expected train or inference. Received: 'x'"),
        ("device", "tpu", "--device: expected cpu or gpu. Received: 'tpu'"),
        ("clock", "x", "--clock: expected wall or cpu. Received: 'x'"),
        ("batch_size", "0", "--batch-size: expected a whole number of at least 1. Received: '0'"),
        ("threads", "x", "--threads: expected a whole number of at least 1. Received: 'x'"),
        ("pairs", "2", "--pairs: expected a whole number of at least 3. Received: '2'"),
        ("max_pairs", "4", "--max-pairs: expected at least as many as --pairs. Received: pairs=5"),
        ("seed", "-1", "--seed: expected a whole number of at least 0. Received: '-1'"),
        ("alpha", "0", "--alpha: expected a number above 0 and below 0.5. Received: '0'"),
        ("beta", "1", "--beta: expected a number above 0 and below 0.5. Received: '1'"),
        ("min_effect", "nan", "--min-effect: expected a number above 0 and below 1"),
        ("budget", "-1", "--budget: expected a number above 0. Received: '-1'"),
    ],
)
def test_a_bad_value_is_told(name, text, message):
    with pytest.raises(ValueError, match="--") as caught:
        settings_from({name: text})
    assert str(caught.value).startswith(message)


def test_all_bad_values_are_told_at_once():
    with pytest.raises(ValueError, match="--pairs") as caught:
        settings_from({"pairs": "x", "alpha": "x", "seed": "x"})
    assert len(str(caught.value).splitlines()) == 3


def test_a_gpu_is_not_judged_by_cpu_seconds():
    with pytest.raises(ValueError, match=r"--clock: expected wall for a GPU.*clock='cpu'"):
        settings_from({"clock": "cpu", "device": "gpu"})
