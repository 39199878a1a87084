"""`cnnbench compare`, on reports as they are written."""

import csv

import pytest
from factories import data_set, measurement, processes, run_of, training_run

from cnnbench.cli import main
from cnnbench.records.records import Environment
from cnnbench.report.folder import pack
from cnnbench.report.frames import report_of, write_report

NAMES = tuple(f"val/{kind}/{number}.jpg" for kind in ("cats", "dogs") for number in range(20))
DATA = data_set(validation_names=NAMES, validation_labels=(0,) * 20 + (1,) * 20)
OTHER_PICTURES = data_set(validation_names=NAMES[::-1], validation_labels=DATA.validation_labels)


def run_with(wrong, variant="documented", **changes):
    """Returns a run that is wrong on these pictures."""
    return run_of(wrong, DATA.validation_labels, variant=variant, **changes)


STEADY = processes(1.0, 1.01, 0.99)
BOTH = [data_set(), training_run(), training_run(seed=1), measurement()]
REPORTS = {
    # Dropout is better than documented, and wide is no better.
    "before": [
        Environment({"data": {"classes": list(DATA.classes)}}),
        DATA,
        *(run_with(range(seed, 14 + seed), seed=seed) for seed in range(3)),
        *(run_with(range(seed), "dropout", seed=seed, fingerprint="d0") for seed in range(3)),
        *(run_with(range(seed, 13 + 2 * seed), "wide", seed=seed) for seed in range(3)),
    ],
    "after": [
        DATA,
        *(run_with(range(20 - n), "documented", seed=4 + n, backend="jax") for n in range(3)),
        *(run_with(range(20 - n), "wide", seed=4 + n, backend="jax") for n in range(3)),
        run_with((), "own", seed=4),
    ],
    "lone": [DATA, run_with((), seed=8)],
    "own": [DATA, run_with((), "mine")],
    "others": [OTHER_PICTURES, run_with((), data_hash="beef")],
    "steady": STEADY,
    "slow": processes(2.0, 2.01, 1.99),
    "two": [*STEADY, *processes(1.0, 1.01, 0.99, batch_size=64)],
    "other": [measurement(device="gpu"), measurement(variant="wide")],
    "a": BOTH,
    "b": BOTH,
    "more/steady": [measurement()],
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for name, records in REPORTS.items():
        (folder / name).mkdir(parents=True)
        write_report(report_of(records), folder / name)
    pack(folder / "steady", folder / "x.zip")
    return folder


@pytest.fixture
def compared(reports, monkeypatch, capsys):
    """Returns what the command prints; nothing but a message where it fails."""
    monkeypatch.chdir(reports)

    def run(arguments, code=0):
        assert main(["compare", *arguments.split()]) == code
        found = capsys.readouterr()
        assert not (found.out and found.err)
        return found.err if code == 2 else found.out

    return run


# Answers


def test_each_answer_is_under_its_question(compared):
    text = compared("before --variants documented,dropout")
    head, networks = text.split("1. Do these trained networks answer these pictures differently?")
    networks, parts = networks.split("2. Is the recipe better, on these pictures, under new seeds?")
    seeds, everywhere = parts.split("3. Is it also better on new pictures of this kind?")
    assert "A documented: held-out accuracy 0.6500 ± 0.0000 (mean ± sd, n=3 seeds)" in head
    assert "B dropout: held-out accuracy 0.9750 ± 0.0250 (mean ± sd, n=3 seeds)" in head
    assert "on pets, 40 held-out pictures" in head
    assert "differs, A and B: fingerprint: f00d and d0" in head
    assert "0              0      14  +0.3500          0.00012          0.00037" in networks
    assert "yes, in 3 of 3 seeds: 0, 1, 2" in networks
    assert "votes over seeds differ on 15 of 40 pictures: A right on 1 of them, B on 14" in networks
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.2849 to +0.3651" in seeds
    assert "Student's pooled t, 3 and 3 seeds: they find a difference of" in seeds
    assert "yes, B is better: B - A is +0.3250, 95 % interval +0.1" in everywhere


def test_a_worse_recipe_is_called_worse_and_an_undecided_one_undecided(compared):
    text = compared("before --variants dropout,documented,wide")
    assert text.count("no, B is worse: B - A is -0.3") == 4
    text = compared("before --variants documented,wide")
    assert "   no difference was found" in text
    assert text.count("   undecided: B - A") == 2


@pytest.mark.parametrize(("count", "named", "more"), [(0, 0, 0), (3, 2, 1), (99, 14, 0)])
def test_changed_pictures_are_named_as_far_as_asked(compared, count, named, more):
    text = compared(f"before --variants documented,dropout --pictures {count}")
    assert ("val/cats/0.jpg: A right" in text) == (count > 0)
    assert text.count(".jpg: B right") == named
    assert text.count("... and 12 more") == more


def test_two_reports_share_all_their_variants_or_those_asked_for(compared):
    text = compared("before after")
    heads = [line.split(":")[0] for line in text.splitlines() if line.startswith(("A ", "B "))]
    assert heads[:2] == ["A documented of before", "B documented of after"]
    assert heads[2:] == ["A wide of before", "B wide of after"]
    assert "no seed in common" in text
    assert "; one answer to all pictures: seeds 4\n" in text
    assert "differs, A and B: backend: tensorflow and jax" in text
    assert "documented" not in compared("before after --variants wide")


def test_a_table_has_a_row_per_question(tmp_path, compared):
    path = tmp_path / "out.csv"
    text = compared(f"before --variants documented,dropout,wide --csv {path}")
    assert text.endswith(f"table: {path}\n")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["question"] for row in rows] == ["networks", "seeds", "everywhere"] * 2
    assert [row["second"] for row in rows] == ["dropout"] * 3 + ["wide"] * 3
    networks, seeds, everywhere = rows[:3]
    assert float(networks["difference"]) == pytest.approx(0.325)
    assert (networks["low"], networks["high"]) == ("", "")
    assert float(networks["p_value"]) == pytest.approx(3 * 2 / 2**14)
    assert float(seeds["low"]) == pytest.approx(0.2849, abs=1e-4)
    assert float(everywhere["low"]) < float(seeds["low"]) < float(seeds["high"])
    assert (seeds["first"], seeds["votes_differ"]) == ("documented", "15")
    compared(f"before lone --csv {path}")
    row = next(csv.DictReader(path.read_text().splitlines()))
    assert (row["difference"], row["p_value"], row["common_seeds"]) == ("", "", "0")


# Speed


def test_speed_is_compared_where_reports_have_it(compared):
    text = compared("steady slow")
    assert "Speed of slow relative to steady" in text
    assert "Answers are not compared. The reports have no trained variant in common" in text
    assert "steady: none; slow: none" in text


def test_both_parts_are_printed(tmp_path, compared):
    text = compared(f"a b --csv {tmp_path / 'x.csv'}")
    assert text.index("Speed of b relative to a") < text.index("2. Is the recipe better")
    assert "ratio" in (tmp_path / "x.csv").read_text()
    assert "question" in (tmp_path / "x-answers.csv").read_text()


def test_a_pack_is_a_report_and_reports_of_one_name_are_told_apart(compared):
    text = compared("steady x.zip more/steady")
    assert "Speed of x relative to steady (1)" in text
    assert "Speed of steady (3) relative to steady (1)" in text


def test_columns_may_differ_and_variants_be_chosen(compared):
    assert "no row in common" in compared("steady other")
    text = compared("steady other --across device,dtype --variants documented")
    assert "cpu → gpu" in text
    assert "wide" not in text
    within = compared("other --across device,variant")
    assert "Speed within other" in within
    assert "Answers" not in within


def test_files_are_written(tmp_path, compared):
    pytest.importorskip("matplotlib")
    table, picture = tmp_path / "x.csv", tmp_path / "x.svg"
    text = compared(f"steady slow --csv {table} --picture {picture}")
    assert f"\npicture: {picture}\ntable: {table}\n" in text
    (row, *_) = csv.DictReader(table.read_text().splitlines())
    assert float(row["ratio"]) == pytest.approx(0.5, rel=0.01)
    assert picture.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ("steady slow", 1, "FAIL: 0 of 1 compared"),
        ("steady steady", 0, "PASS: 1 of 1 compared"),
        ("steady slow --alpha 0.0000001", 10, "alpha 1e-07"),
        ("two steady", 10, "can't pass without --allow-missing"),
        ("two steady --allow-missing", 0, "PASS"),
    ],
)
def test_the_gate_has_an_exit_code(compared, arguments, code, word):
    assert word in compared(f"{arguments} --fail-on 5%", code=code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("steady slow --alpha 0.5", "--alpha: expected a number between 0 and 0.5, such as"),
        ("steady slow --fail-on 5", "--fail-on: expected a number between 0 and 1, such as"),
        ("steady slow --pictures -1", "--pictures: expected a whole number of at least 0"),
        ("steady before --alpha 0.1", "No throughput was measured. Received: reports=before"),
        ("steady slow --variants x --allow-missing", "No throughput was measured"),
        ("steady slow --across threads", "Expected columns among variant, backend"),
        ("before", "--variants names at least two of its variants: documented, dropout, wide"),
        ("before --variants documented", "--variants names at least two of its variants"),
        ("before --variants documented,x", "documented, dropout, wide. Received: variant='x'"),
        ("before own", "Received: before: documented, dropout, wide; own: mine"),
        ("before others", "Not comparable: the pictures differ: pets c0ffee and pets beef. "),
    ],
)
def test_bad_input_is_one_message(compared, arguments, message):
    assert message in compared(arguments, code=2)
