"""Measured rates as the scripts in `calibration/` print and write them."""

import csv

import pytest
from calibration.rates import Rate, write_rates


def written(path, *rates):
    write_rates(path, [({"variant": "wide"}, rate) for rate in rates])
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_rate_has_clopper_and_pearsons_bounds(tmp_path):
    # Clopper & Pearson (1934): 0 of 10 is at most 1 - 0.025 ** (1 / 10).
    rate = Rate("clean", "fail", 0, 10, "of all")
    assert str(rate) == "clean: fail 0 of 10 = 0.00% (0.00% to 30.85%) of all"
    (row,) = written(tmp_path / "made" / "rates.csv", rate)
    assert (row["count"], row["of"], row["rate"], row["low"]) == ("0", "10", "0.0", "0.0")
    assert float(row["high"]) == pytest.approx(1 - 0.025**0.1)
    assert row["variant"] == "wide"


def test_a_rate_of_nothing_is_empty(tmp_path):
    rate = Rate("clean", "fail", 0, 0, "none")
    assert str(rate) == "clean: fail 0 of 0 none"
    (row, other) = written(tmp_path / "rates.csv", rate, Rate("clean", "pass", 3, 4))
    assert (row["count"], row["of"], row["detail"]) == ("0", "0", "none")
    assert (row["rate"], row["low"], row["high"]) == ("", "", "")
    assert other["rate"] == "0.75"
