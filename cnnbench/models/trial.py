"""A model tried on a few pictures, so that what is wrong with it shows before any training."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt

from cnnbench.models.network import seeded_model, targets_for
from cnnbench.models.own_models import PROBE_PICTURES, require_shape, shape_of, where_defined
from cnnbench.models.user_errors import BadModel, blaming
from cnnbench.models.variants import Variant
from cnnbench.pictures.data_set import Splits

PROBE_FACTOR = 100  # sigmoids and softmaxes of values that much larger are still probabilities
TOLERANCE = 1e-4


def try_model(variant: Variant, splits: Splits) -> None:
    """Builds a model; a user's own also answers a few pictures and learns from them once.

    Raises:
        ValueError: if it can't be built, if a call or the training step fails, or if answers are
            not probabilities. The message of a `BadModel` is for the author of the model.
    """
    classes = len(splits.classes)
    model = seeded_model(variant, 0, splits.input_shape, classes)
    if variant.builder is None:
        return
    pictures = splits.train_pictures()[:PROBE_PICTURES]
    begins = where_defined(variant.builder)
    blamed = f"{variant.builder} ({begins})"
    with blaming(variant.builder, begins):
        # A functional model's output shape does not show that its answers have names.
        require_shape(shape_of(model(pictures, training=False)), classes, blamed)
        _require_probabilities(model, pictures, blamed)
        labels = splits.train.labels[:PROBE_PICTURES]
        model.train_on_batch(pictures, targets_for(model, labels, classes))
        kernels = [weight for weight in model.trainable_weights if len(weight.shape) > 1]
        # An untrained network without a sigmoid may answer from 0 to 1 by chance; not any more
        # when its last layer multiplies with large numbers of either sign.
        for factor in (PROBE_FACTOR, -1):
            for kernel in kernels[-1:]:
                kernel.assign(kernel * factor)
                _require_probabilities(model, pictures, blamed)


def _require_probabilities(
    model: keras.Model, pictures: npt.NDArray[np.uint8], blamed: str
) -> None:
    answers = keras.ops.convert_to_numpy(model(pictures, training=False)).astype(np.float64)
    finite = answers[np.isfinite(answers).all(axis=1)]
    if not finite.size:
        return  # what is not a number is a finding of the checks
    if finite.min() < -TOLERANCE or finite.max() > 1 + TOLERANCE:
        raise BadModel(
            f"{blamed} must answer with probabilities: end it with a sigmoid or a softmax. "
            f"Received: answers from {finite.min():.3g} to {finite.max():.3g}"
        )
    sums = finite.sum(axis=1)
    if answers.shape[1] > 1 and np.abs(sums - 1).max() > TOLERANCE:
        raise BadModel(
            f"{blamed} must answer with probabilities that add up to 1 for each picture: "
            f"end it with a softmax. Received: sums from {sums.min():.3g} to {sums.max():.3g}"
        )
