"""`cnnbench compare`, on reports as they are written."""

import csv
import sys

import pytest
from factories import data_set, measurement, training_run

from cnnbench.cli import main
from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of, write_report
from cnnbench.report.pack import pack

NAMES = tuple(f"val/{kind}/{number}.jpg" for kind in ("cats", "dogs") for number in range(20))
DATA = data_set(validation_names=NAMES, validation_labels=(0,) * 20 + (1,) * 20)


def run_with(wrong, variant="documented", **changes):
    """Return a run that is wrong on these pictures."""
    sure = [0.125 if at < 20 else 0.875 for at in range(40)]
    given = tuple((1 - p if at in wrong else p,) for at, p in enumerate(sure))
    return training_run(variant=variant, val_probabilities=given, **changes)


def report(folder, *runs, data=DATA):
    """Write a report of these runs and return its folder."""
    folder.mkdir()
    environment = Environment({"data": {"classes": list(data.classes)}})
    write_report(report_of([environment, data, *runs]), folder)
    return folder


@pytest.fixture
def before(tmp_path):
    """A report in which dropout is better than documented, and wide is no better."""
    bad = [run_with(range(seed, 14 + seed), seed=seed) for seed in range(3)]
    good = [run_with(range(seed), "dropout", seed=seed, fingerprint="d0") for seed in range(3)]
    like = [run_with(range(seed, 13 + 2 * seed), "wide", seed=seed) for seed in range(3)]
    return report(tmp_path / "before", *bad, *good, *like)


@pytest.fixture
def compared(capsys):
    """Returns what the command prints."""

    def run(*arguments, code=0):
        assert main(["compare", *map(str, arguments)]) == code
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys):
    """Returns the message of the command, which must be one of bad input."""

    def run(*arguments):
        assert main(["compare", *map(str, arguments)]) == 2
        found = capsys.readouterr()
        assert found.out == ""
        return found.err

    return run


def test_two_variants_of_a_report(before, compared):
    text = compared(before, "--variants", "documented,dropout")
    assert "A documented: held-out accuracy 0.6500 ± 0.0000 (mean ± sd, n=3 seeds)" in text
    assert "B dropout: held-out accuracy 0.9750 ± 0.0250 (mean ± sd, n=3 seeds)" in text
    assert "on pets, 40 held-out pictures" in text
    assert "differs, A and B: fingerprint: f00d and d0" in text


def test_each_answer_stands_under_its_question(before, compared):
    text = compared(before, "--variants", "documented,dropout")
    parts = text.split("1. Do these trained networks answer these pictures differently?")[1]
    first, parts = parts.split("2. Is the recipe better, on these pictures, under new seeds?")
    second, third = parts.split("3. Is it also better on new pictures of this kind?")
    assert "0              0      14  +0.3500          0.00012          0.00037" in first
    assert "yes, in 3 of 3 seeds: 0, 1, 2" in first
    assert "votes over seeds differ on 15 of 40 pictures: A right on 1 of them, B on 14" in first
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.2849 to +0.3651" in second
    assert "Student's pooled t, 3 and 3 seeds: they find a difference of" in second
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.1" in third


def test_a_worse_recipe_is_called_worse(before, compared):
    text = compared(before, "--variants", "dropout,documented")
    assert "no, B is worse: B - A is -0.3250" in text


def test_an_undecided_question_gets_no_answer(before, compared):
    text = compared(before, "--variants", "documented,wide")
    assert "   no difference was found" in text
    assert text.count("   undecided: B - A") == 2
    assert "better:" not in text


def test_the_first_variant_is_compared_with_each_other_one(before, compared):
    text = compared(before, "--variants", "documented, dropout,wide")
    assert [line for line in text.splitlines() if line.startswith("A documented")] != []
    assert (text.count("\nB dropout"), text.count("\nB wide")) == (1, 1)


@pytest.mark.parametrize(("count", "named", "more"), [(0, 0, 0), (3, 2, 1), (99, 14, 0)])
def test_changed_pictures_are_named_as_far_as_asked(before, compared, count, named, more):
    options = "--variants", "documented,dropout", "--pictures", count
    text = compared(before, *options)
    assert ("val/cats/0.jpg: A cats, B dogs" in text) == (count > 0)
    assert text.count(".jpg: A dogs, B cats") == named
    assert text.count("... and 12 more") == more


def test_two_reports_share_all_their_variants(before, tmp_path, compared):
    runs = [run_with(range(seed), name, seed=seed) for name in ("documented", "wide", "own")
            for seed in range(4, 7)]  # fmt: skip
    text = compared(before, report(tmp_path / "after", *runs))
    heads = [line.split(":")[0] for line in text.splitlines() if line.startswith(("A ", "B "))]
    assert heads == [
        *("A documented of before", "B documented of after"),
        *("A wide of before", "B wide of after"),
    ]
    assert "no seed in common" in text


def test_two_reports_can_be_compared_by_one_variant(before, tmp_path, compared):
    runs = [
        run_with((seed,), name, seed=seed) for name in ("documented", "wide") for seed in (0, 1)
    ]
    after = report(tmp_path / "after", *runs)
    text = compared(before, after, "--variants", "wide")
    assert "B wide of after" in text
    assert "documented" not in text


def test_other_conditions_are_labelled(before, tmp_path, compared):
    runs = [run_with((), seed=seed, backend="jax", protocol="as-written") for seed in (0, 1)]
    text = compared(before, report(tmp_path / "after", *runs))
    assert "differs, A and B: protocol: one-pass and as-written" in text
    assert "differs, A and B: backend: tensorflow and jax" in text


def test_a_network_with_one_answer_is_named(before, tmp_path, compared):
    runs = [run_with(range(20), seed=0), run_with((), seed=1)]
    text = compared(before, report(tmp_path / "after", *runs))
    assert "; one answer to all pictures: seeds 0" in text


def test_a_table_has_a_row_a_question(before, tmp_path, compared):
    path = tmp_path / "out.csv"
    text = compared(before, "--variants", "documented,dropout,wide", "--csv", path)
    assert text.endswith(f"table: {path}\n")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["question"] for row in rows] == ["networks", "seeds", "everywhere"] * 2
    assert {row["first"] for row in rows} == {"documented"}
    assert [row["second"] for row in rows] == ["dropout"] * 3 + ["wide"] * 3
    networks, seeds, everywhere = rows[:3]
    assert float(networks["difference"]) == pytest.approx(0.325)
    assert (networks["low"], networks["high"]) == ("", "")
    assert float(networks["p_value"]) == pytest.approx(3 * 2 / 2**14)
    assert float(seeds["low"]) == pytest.approx(0.2849, abs=1e-4)
    assert float(everywhere["low"]) < float(seeds["low"]) < float(seeds["high"])
    assert seeds["votes_differ"] == "15"


def test_a_table_of_seeds_that_differ_has_no_networks(before, tmp_path, compared):
    after = report(tmp_path / "after", *(run_with((seed,), seed=seed) for seed in (8, 9)))
    compared(before, after, "--csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert (rows[0]["difference"], rows[0]["p_value"], rows[0]["common_seeds"]) == ("", "", "0")


@pytest.mark.parametrize("variants", [(), ("--variants", "documented")])
def test_one_report_needs_two_variants(before, refused, variants):
    message = refused(before, *variants)
    assert "--variants names at least two of its variants: documented, dropout, wide" in message


def test_an_unknown_variant_is_bad_input(before, refused):
    message = refused(before, "--variants", "documented,x")
    assert "it has those of documented, dropout, wide. Received: variant='x'" in message


def test_reports_without_a_common_variant_are_bad_input(before, tmp_path, refused):
    after = report(tmp_path / "after", run_with((), "own"))
    message = refused(before, after)
    assert "no trained variant in common. Received: before: documented, dropout, wide; " in message
    assert message.endswith("after: own\n")


def test_other_pictures_are_bad_input(before, tmp_path, refused):
    changed = data_set(
        validation_names=(*NAMES[:-1], "val/dogs/new.jpg"), validation_labels=(0,) * 20 + (1,) * 20
    )
    after = report(tmp_path / "after", run_with((), data_hash="beef"), data=changed)
    message = refused(before, after)
    assert "Not comparable: the pictures differ: pets c0ffee and pets beef; the names of" in message


def test_a_negative_number_of_pictures_is_bad_input(before, refused):
    message = refused(before, "--variants", "documented,wide", "--pictures", "-1")
    assert "--pictures: expected a whole number of at least 0. Received: '-1'" in message


# Speed


def speed_report(folder, seconds=(1.0,), **changes):
    """Writes a report of processes whose rounds took these seconds."""
    folder.mkdir(parents=True)
    records = [
        measurement(process=number, round_seconds=(each,) * 3, **changes)
        for number, each in enumerate(seconds)
    ]
    write_report(report_of(records), folder)
    return folder


STEADY, SLOW = (1.0, 1.01, 0.99), (2.0, 2.01, 1.99)


@pytest.fixture
def steady(tmp_path):
    return speed_report(tmp_path / "steady", STEADY)


@pytest.fixture
def slow(tmp_path):
    return speed_report(tmp_path / "slow", SLOW)


def test_speed_is_compared_where_reports_have_it(steady, slow, compared):
    text = compared(steady, slow)
    assert "Speed of slow relative to steady" in text
    assert "0.500" in text
    assert "Answers are not compared. The reports have no trained variant in common" in text
    assert "steady: none; slow: none" in text


def test_both_parts_are_printed(tmp_path, compared):
    records = data_set(), training_run(), training_run(seed=1), measurement()
    both = [tmp_path / name for name in ("a", "b")]
    for folder in both:
        folder.mkdir()
        write_report(report_of(records), folder)
    text = compared(*both, "--csv", tmp_path / "x.csv")
    assert text.index("Speed of b relative to a") < text.index("2. Is the recipe better")
    assert "ratio" in (tmp_path / "x.csv").read_text()
    assert "question" in (tmp_path / "x-answers.csv").read_text()
    assert "recipe" not in compared(*both, "--only", "speed")
    assert "Speed" not in compared(*both, "--only", "answers")


def test_a_pack_is_a_report_and_reports_of_one_name_are_told_apart(tmp_path, steady, compared):
    pack(steady, tmp_path / "x.zip")
    again = speed_report(tmp_path / "more" / "steady")
    text = compared(steady, tmp_path / "x.zip", again)
    assert "Speed of x relative to steady (1)" in text
    assert "Speed of steady (3) relative to steady (1)" in text


def test_variants_choose_rows(tmp_path, steady, compared):
    wide = speed_report(tmp_path / "wide", variant="wide")
    assert "No throughput" not in compared(wide, wide, "--variants", "wide", "--only", "speed")
    assert main(["compare", str(wide), str(steady), "--variants", "wide", "--only", "speed"]) == 2


def test_columns_may_be_lifted(tmp_path, steady, compared):
    gpu = speed_report(tmp_path / "gpu", device="gpu")
    assert "no row in common" in compared(steady, gpu)
    assert "cpu → gpu" in compared(steady, gpu, "--across", "device, dtype")


def test_one_report_is_compared_within(tmp_path, compared):
    (tmp_path / "a").mkdir()
    write_report(report_of([measurement(), measurement(backend="jax")]), tmp_path / "a")
    text = compared(tmp_path / "a", "--across", "backend")
    assert "Speed within a" in text
    assert "jax → tensorflow" in text


def test_files_are_written(steady, slow, tmp_path, compared):
    pytest.importorskip("matplotlib")
    table, markdown, picture = (tmp_path / name for name in ("x.csv", "x.md", "x.svg"))
    files = "--csv", table, "--markdown", markdown, "--picture", picture
    text = compared(steady, slow, *files)
    assert text.endswith(f"picture: {picture}\ntable: {table}\nmarkdown: {markdown}\n")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["ratio"]) == pytest.approx(0.5, rel=0.01)
    assert markdown.read_text().startswith("### Speed of slow relative to steady")
    assert picture.exists()


@pytest.mark.parametrize(
    ("later", "options", "code", "word"),
    [
        ("slow", (), 1, "FAIL: 0 of 1 compared"),
        ("steady", (), 0, "PASS: 1 of 1 compared"),
        ("slow", ("--alpha", "0.0000001"), 10, "alpha 1e-07"),
    ],
)
def test_the_gate_has_an_exit_code(steady, slow, compared, later, options, code, word):
    later = {"steady": steady, "slow": slow}[later]
    assert word in compared(steady, later, "--fail-on", "5%", *options, code=code)


def test_missing_rows_may_be_allowed(tmp_path, steady, compared):
    both = tmp_path / "both"
    both.mkdir()
    records = [
        measurement(process=number, round_seconds=(each,) * 3, batch_size=size)
        for number, each in enumerate(STEADY)
        for size in (32, 64)
    ]
    write_report(report_of(records), both)
    options = "--fail-on", "5%"
    assert "can't pass without --allow-missing" in compared(both, steady, *options, code=10)
    assert "PASS" in compared(both, steady, *options, "--allow-missing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "answers", "--fail-on", "5%"), "need the speed part. Received: --fail-on"),
        (("--only", "answers", "--allow-missing"), "Received: --allow-missing"),
        (("--only", "x"), "--only: expected one of speed, answers. Received: 'x'"),
        (("--alpha", "0.5"), "--alpha: expected a number between 0 and 0.5"),
        (("--fail-on", "5"), "--fail-on: expected a number between 0 and 1, such as 0.05 or 5%"),
        (("--fail-on", "fast"), "--fail-on: expected a number"),
    ],
)
def test_a_bad_option_is_bad_input(steady, slow, refused, options, message):
    assert message in refused(steady, slow, *options)


def test_speed_that_was_asked_for_must_be_there(before, steady, refused):
    assert "No throughput was measured" in refused(steady, before, "--only", "speed")


def test_a_missing_extra_is_one_message(steady, slow, refused, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refused(steady, slow, "--picture", tmp_path / "x.png")
    assert "install '.[pictures]'" in message
