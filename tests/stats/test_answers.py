from math import nan

import numpy as np
import pytest

from cnnbench.stats.answers import classes_of


@pytest.mark.parametrize(
    ("rows", "answers"),
    [
        ([[0.25], [0.5], [0.51]], [0, 0, 1]),  # as Keras' binary accuracy does
        ([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]], [1, 2]),
        ([[0.6, 0.4], [0.4, 0.6]], [0, 1]),
        ([[nan], [0.25], [0.75]], [-1, 0, 1]),
        ([[0.5, nan], [0.25, 0.75]], [-1, 1]),
    ],
)
def test_the_class_of_a_sigmoid_and_of_a_softmax(rows, answers):
    assert classes_of(np.array(rows)).tolist() == answers
