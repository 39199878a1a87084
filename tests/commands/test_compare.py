"""`cnnbench compare`, on reports as they are written."""

import csv

import pytest
from factories import data_set, training_run
from suite_runs import run_command

from cnnbench.cli import main
from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of, write_report

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


def compared(capsys, *arguments):
    """Return what the command prints."""
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_two_variants_of_a_report(before, capsys):
    text = compared(capsys, before, "--variants", "documented,dropout")
    assert "A documented: held-out accuracy 0.6500 ± 0.0000 (mean ± sd, n=3 seeds)" in text
    assert "B dropout: held-out accuracy 0.9750 ± 0.0250 (mean ± sd, n=3 seeds)" in text
    assert "on pets, 40 held-out pictures" in text
    assert "differs, A and B: fingerprint: f00d and d0" in text


def test_each_answer_stands_under_its_question(before, capsys):
    text = compared(capsys, before, "--variants", "documented,dropout")
    parts = text.split("1. Do these trained networks answer these pictures differently?")[1]
    first, parts = parts.split("2. Is the recipe better, on these pictures, under new seeds?")
    second, third = parts.split("3. Is it also better on new pictures of this kind?")
    assert "0              0      14  +0.3500          0.00012          0.00037" in first
    assert "yes, in 3 of 3 seeds: 0, 1, 2" in first
    assert "votes over seeds differ on 15 of 40 pictures: A right on 1 of them, B on 14" in first
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.2849 to +0.3651" in second
    assert "Student's pooled t, 3 and 3 seeds: they find a difference of" in second
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.1" in third


def test_a_worse_recipe_is_called_worse(before, capsys):
    text = compared(capsys, before, "--variants", "dropout,documented")
    assert "no, B is worse: B - A is -0.3250" in text


def test_an_undecided_question_gets_no_answer(before, capsys):
    text = compared(capsys, before, "--variants", "documented,wide")
    assert "   no difference was found" in text
    assert text.count("   undecided: B - A") == 2
    assert "better:" not in text


def test_the_first_variant_is_compared_with_each_other_one(before, capsys):
    text = compared(capsys, before, "--variants", "documented, dropout,wide")
    assert [line for line in text.splitlines() if line.startswith("A documented")] != []
    assert (text.count("\nB dropout"), text.count("\nB wide")) == (1, 1)


@pytest.mark.parametrize(("count", "named", "more"), [(0, 0, 0), (3, 2, 1), (99, 14, 0)])
def test_changed_pictures_are_named_as_far_as_asked(before, capsys, count, named, more):
    options = "--variants", "documented,dropout", "--pictures", count
    text = compared(capsys, before, *options)
    assert ("val/cats/0.jpg: A cats, B dogs" in text) == (count > 0)
    assert text.count(".jpg: A dogs, B cats") == named
    assert text.count("... and 12 more") == more


def test_two_reports_share_all_their_variants(before, tmp_path, capsys):
    runs = [run_with(range(seed), name, seed=seed) for name in ("documented", "wide", "own")
            for seed in range(4, 7)]  # fmt: skip
    text = compared(capsys, before, report(tmp_path / "after", *runs))
    heads = [line.split(":")[0] for line in text.splitlines() if line.startswith(("A ", "B "))]
    assert heads == [
        *("A documented of before", "B documented of after"),
        *("A wide of before", "B wide of after"),
    ]
    assert "no seed in common" in text


def test_two_reports_can_be_compared_by_one_variant(before, tmp_path, capsys):
    runs = [
        run_with((seed,), name, seed=seed) for name in ("documented", "wide") for seed in (0, 1)
    ]
    after = report(tmp_path / "after", *runs)
    text = compared(capsys, before, after, "--variants", "wide")
    assert "B wide of after" in text
    assert "documented" not in text


def test_other_conditions_are_labelled(before, tmp_path, capsys):
    runs = [run_with((), seed=seed, backend="jax", protocol="as-written") for seed in (0, 1)]
    text = compared(capsys, before, report(tmp_path / "after", *runs))
    assert "differs, A and B: protocol: one-pass and as-written" in text
    assert "differs, A and B: backend: tensorflow and jax" in text


def test_a_network_with_one_answer_is_named(before, tmp_path, capsys):
    runs = [run_with(range(20), seed=0), run_with((), seed=1)]
    text = compared(capsys, before, report(tmp_path / "after", *runs))
    assert "; one answer to all pictures: seeds 0" in text


def test_a_table_has_a_row_a_question(before, tmp_path, capsys):
    path = tmp_path / "out.csv"
    text = compared(capsys, before, "--variants", "documented,dropout,wide", "--csv", path)
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


def test_a_table_of_seeds_that_differ_has_no_networks(before, tmp_path, capsys):
    after = report(tmp_path / "after", *(run_with((seed,), seed=seed) for seed in (8, 9)))
    compared(capsys, before, after, "--csv", tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert (rows[0]["difference"], rows[0]["p_value"], rows[0]["common_seeds"]) == ("", "", "0")


def refused(capsys, *arguments):
    """Return the message of the command, which must be one of bad input."""
    assert main(["compare", *map(str, arguments)]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


@pytest.mark.parametrize("variants", [(), ("--variants", "documented")])
def test_one_report_needs_two_variants(before, capsys, variants):
    message = refused(capsys, before, *variants)
    assert "--variants names at least two of its variants: documented, dropout, wide" in message


def test_an_unknown_variant_is_bad_input(before, capsys):
    message = refused(capsys, before, "--variants", "documented,x")
    assert "it has those of documented, dropout, wide. Received: variant='x'" in message


def test_reports_without_a_common_variant_are_bad_input(before, tmp_path, capsys):
    after = report(tmp_path / "after", run_with((), "own"))
    assert "no variant in common. Received: before: documented, dropout, wide; after: own" in (
        refused(capsys, before, after)
    )


def test_other_pictures_are_bad_input(before, tmp_path, capsys):
    changed = data_set(
        validation_names=(*NAMES[:-1], "val/dogs/new.jpg"), validation_labels=(0,) * 20 + (1,) * 20
    )
    after = report(tmp_path / "after", run_with((), data_hash="beef"), data=changed)
    message = refused(capsys, before, after)
    assert "Not comparable: the pictures differ: pets c0ffee and pets beef; the names of" in message


def test_a_negative_number_of_pictures_is_bad_input(before, capsys):
    message = refused(capsys, before, "--variants", "documented,wide", "--pictures", "-1")
    assert "--pictures: expected a number of at least 0. Received: -1" in message


def test_no_report_is_one_line_and_exit_code_2(tmp_path):
    done = run_command("compare", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("cnnbench: error: No such report folder")
    assert "Traceback" not in done.stderr
