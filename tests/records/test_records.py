from dataclasses import FrozenInstanceError

import pytest
from factories import data_set, measurement, peak, sanity_run, training_run


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (training_run(), "held-out accuracy 0.750, gap +0.125, 4.0 s"),
        (sanity_run(), "accuracy 1.000, loss 0.010, 2.0 s"),
        (measurement(), "64 images/s"),
        (measurement(out_of_memory=True), "the batch does not fit into memory"),
        (peak(), "100 GFLOP/s and 50 GFLOP/s (matrix product, convolution)"),
        (
            peak(matmul_flops_per_second=None, convolution_flops_per_second=None),
            "not available (matrix product, convolution)",
        ),
    ],
)
def test_a_record_is_one_line(record, text):
    assert str(record) == text


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        training_run().seed = 1


def test_images_per_second_are_of_the_median_round():
    # Rounds of 2 steps of 32 pictures: 1, 2 and 9 s.
    assert measurement(round_seconds=(1.0, 9.0, 2.0)).images_per_second == 32.0
    assert measurement(round_seconds=()).images_per_second == 0.0


def test_the_summary_of_the_pictures_has_counts_and_no_names():
    assert data_set().summary() == {
        "name": "pets",
        "content_hash": "c0ffee",
        "classes": ["cats", "dogs"],
        "input_shape": [64, 64, 3],
        "train_pictures": 8,
        "train_labels_per_class": [4, 4],
        "validation_pictures": 4,
    }
