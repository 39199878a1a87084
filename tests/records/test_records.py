import pytest
from factories import measurement, peak, sanity_run, training_run


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
