"""Models of a dtype, and what the engines of Keras' backends share."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence

import keras
import numpy as np
import numpy.typing as npt

from cnnbench.models.network import seeded_model, targets_for
from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures
from cnnbench.records.records import Placement, Workload
from cnnbench.speed.engines.engine import Array, Engine, Program, Tensor, placed

# Keras' names: weights stay float32, layers compute in the lower precision.
POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
KERNELS = ("kernel", "embeddings")  # Keras' names of what layers multiply with


class KerasEngine(Engine):
    """A backend of Keras."""

    @abstractmethod
    def program(self, model: keras.Model, workload: Workload) -> Program:
        """Compiles a built model."""

    @abstractmethod
    def where(self, tensor: Tensor) -> tuple[str, str]:
        """Returns the kind of device and the dtype of a tensor."""

    @abstractmethod
    def compiled(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Returns a function of tensors as fast as the backend runs it in inference."""


class KerasProgram(Program):
    """Keras' own `train_step`, or the model in inference mode."""

    engine: KerasEngine
    train: Callable[[Tensor, Tensor], Tensor]  # queues a step on pictures and targets
    infer: Callable[[Tensor], Tensor]

    def __init__(self, engine: KerasEngine, model: keras.Model, workload: Workload) -> None:
        self.engine, self.model, self.workload = engine, model, workload

    def black(self, count: int) -> Pictures:
        """Returns pictures for a look at the model, all of the first class."""
        shape = (count, *self.model.input_shape[1:])
        return Pictures(np.zeros(shape, np.uint8), np.zeros(count, np.int64))

    def inputs(self, batch: Pictures) -> tuple[Tensor, ...]:
        pictures = super().inputs(batch)
        if self.workload == "inference":
            return pictures
        return (*pictures, self.engine.put(targets_for(self.model, batch.labels)))

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        return self.infer(pictures) if targets is None else self.train(pictures, targets)

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(self.engine.get(self.infer(self.engine.send(pictures))), np.float32)

    def placement(self) -> Placement:
        """Reads the weights and the layers' outputs, or of a subclassed model, its own output."""
        weights = [self.engine.where(weight.value) for weight in self.model.weights]
        picture = self.black(1).pictures
        try:
            layers = [layer.output for layer, _ in _kernels(self.model)]
            outputs = keras.Model(self.model.inputs, layers)([picture], training=False)
        except (AttributeError, ValueError):
            outputs = self.model(picture, training=False)
        seen = [self.engine.where(tensor) for tensor in keras.tree.flatten(outputs)]
        weight_dtypes = {dtype for _, dtype in weights}
        return placed(
            devices=(device for device, _ in (*weights, *seen)),
            weight_dtypes=weight_dtypes,
            # int8 layers return float32
            compute_dtypes=compute_dtypes(self.model)
            if "int8" in weight_dtypes
            else {dtype for _, dtype in seen},
        )


def model_of(
    variant: Variant,
    seed: int,
    input_shape: tuple[int, int, int],
    classes: int,
    dtype: str = "float32",
    weights: Sequence[Array] | None = None,
) -> keras.Model:
    """Builds a variant's model that computes in a dtype, with given weights or the seed's.

    It is compiled without metrics: steps are timed, not judged.
    """
    model = seeded_model(variant, seed, input_shape, classes, POLICIES.get(dtype, "float32"))
    if weights is not None:
        model.set_weights(list(weights))
    # An empty list, since `None` would keep those that the model was compiled with before.
    model.compile(model.optimizer, model.loss, metrics=[], jit_compile=model.jit_compile)
    if dtype == "int8":
        quantize_int8(model)
    return model


def quantize_int8(model: keras.Model) -> None:
    """Quantizes what Keras can of a built model, in place, for inference.

    Weights have one scale per output unit. The activations of each picture are scaled anew in each
    call, so that no calibration is needed. Keras has no int8 convolution: convolutions compute in
    float32, while OpenVINO and ONNX Runtime compute in int8 throughout.
    """
    with warnings.catch_warnings():
        # One for each kind of layer that stays as it is.
        warnings.filterwarnings("ignore", message=".*does not have a `quantize` method")
        # Keras' scales on their way from a tensor to NumPy 2
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy")
        model.quantize("int8")
    if "int8" not in compute_dtypes(model):
        kinds = sorted({type(layer).__name__ for layer, _ in _kernels(model)})
        raise ValueError(
            "Keras can't quantize any layer of this model. Expected a Dense, EinsumDense or "
            f"Embedding layer. Received: model={model.name!r}, layers={', '.join(kinds) or 'none'}"
        )


def compute_dtypes(model: keras.Model) -> set[str]:
    """Returns the dtypes in which a model's dense and convolutional layers multiply.

    An int8 kernel is multiplied in int8, any other in the layer's own dtype.
    """
    return {
        "int8" if kernel.dtype == "int8" else layer.compute_dtype
        for layer, kernel in _kernels(model)
    }


def has_random_layers(model: keras.Model) -> bool:
    """Returns whether training draws numbers (dropout, augmentation), which backends draw apart."""
    return any(
        isinstance(value, keras.random.SeedGenerator)
        for layer in model._flatten_layers()
        for value in vars(layer).values()
    )


def _kernels(model: keras.Model) -> list[tuple[keras.Layer, keras.Variable]]:
    """Returns each layer that multiplies with a variable of its own, and that variable."""
    # Not `layer.kernel`, which may be a float32 copy of an int8 variable.
    return [
        (layer, variable)
        for layer in model._flatten_layers(include_self=False)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables)
        if variable.name in KERNELS
    ]
