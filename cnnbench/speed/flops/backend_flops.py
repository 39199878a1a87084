"""Each backend's own count of the floating point operations of a model: what ours is compared with.

Nothing is trained: JAX and TensorFlow are asked about a program that does not run, PyTorch counts
a step of two pictures whose gradients and statistics are thrown away.
"""

from __future__ import annotations

from typing import Any

import keras

from cnnbench.records.measurements import Workload

COUNTED_PICTURES = 2  # a batch normalization of one value would fail


def backend_flops(
    backend: str, model: keras.Model, batch_size: int, workload: Workload = "inference"
) -> float | None:
    """Returns what the backend counts for one step, without the optimizer.

    XLA counts every operation and leaves out what padding multiplies; TensorFlow's profiler counts
    most operations; PyTorch counts convolutions and matrix products only.
    OpenVINO and ONNX Runtime count nothing. Neither does TensorFlow in training: its formulas for
    the gradients of a convolution hold for one whose output is as large as its input, and give up
    to twice the textbook's number for one without padding.

    Args:
        backend: the one that Keras runs on in this process.
        model: built, with fixed input shape; compiled, for training.
        batch_size: pictures a step.
        workload: `train` counts forward pass, loss and gradients.

    Returns:
        Floating point operations, or `None` where the backend has no count.
    """
    if backend == "jax":
        return _jax(model, batch_size, workload)
    if backend == "tensorflow" and workload == "inference":
        return _tensorflow(model, batch_size)
    if backend == "torch":
        # All that is counted is proportional to the batch, which may not fit into memory.
        return _torch(model, workload) / COUNTED_PICTURES * batch_size
    return None


def _loss(model: keras.Model, targets: Any, outputs: Any) -> Any:
    loss = keras.losses.get(model.loss)
    return keras.ops.mean(loss(targets, outputs))


def _target_shape(model: keras.Model, pictures: int) -> tuple[tuple[int, ...], str]:
    """Returns what the model's loss takes: classes as numbers, or a value for each output."""
    loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    if "sparse" in loss.lower():
        return (pictures,), "int32"
    return (pictures, *model.output_shape[1:]), "float32"


def _jax(model: keras.Model, batch_size: int, workload: Workload) -> float | None:
    import jax

    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    pictures = jax.ShapeDtypeStruct((batch_size, *model.input_shape[1:]), "uint8")
    shape, dtype = _target_shape(model, batch_size)
    targets = jax.ShapeDtypeStruct(shape, dtype)

    def infer(trained: Any, others: Any, pictures: Any) -> Any:
        return model.stateless_call(trained, others, pictures, training=False)[0]

    def loss(trained: Any, others: Any, pictures: Any, targets: Any) -> Any:
        outputs, others = model.stateless_call(trained, others, pictures, training=True)
        return _loss(model, targets, outputs), others

    # As lowered, before XLA rewrites it: on a GPU, convolutions end as calls into cuDNN, which
    # the count of the compiled program leaves out.
    if workload == "train":
        gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
        lowered = gradient.lower(trained, others, pictures, targets)
    else:
        lowered = jax.jit(infer).lower(trained, others, pictures)
    flops = (lowered.cost_analysis() or {}).get("flops")
    return None if flops is None else float(flops)


def _tensorflow(model: keras.Model, batch_size: int) -> float | None:
    import tensorflow as tf
    from tensorflow.python.framework import ops
    from tensorflow.python.profiler.internal import flops_registry  # noqa: F401  # fills the table
    from tensorflow.python.util import deprecation

    function = tf.function(lambda pictures: model(pictures, training=False))
    pictures = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.uint8)
    graph = function.get_concrete_function(pictures).graph
    # What tf.compat.v1.profiler sums up, without its printing and its warning.
    with deprecation.silence():
        counts = [
            ops.get_stats_for_node_def(graph, operation.node_def, "flops").value
            for operation in graph.get_operations()
        ]
    return float(sum(count for count in counts if count))


def _torch(model: keras.Model, workload: Workload) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = model.weights[0].value.device if model.weights else "cpu"
    pictures = torch.zeros(
        (COUNTED_PICTURES, *model.input_shape[1:]), dtype=torch.uint8, device=device
    )
    with FlopCounterMode(display=False) as counter:
        if workload == "inference":
            with torch.no_grad():
                model(pictures, training=False)
        else:
            _torch_step(model, pictures)
    return float(counter.get_total_flops())


def _torch_step(model: keras.Model, pictures: Any) -> None:
    import torch

    shape, dtype = _target_shape(model, len(pictures))
    targets = torch.zeros(shape, dtype=getattr(torch, dtype), device=pictures.device)
    # Statistics of batch normalization and states of random layers are written by a call.
    kept = [(variable, variable.value.clone()) for variable in model.non_trainable_variables]
    parameters = [variable.value for variable in model.trainable_variables]
    loss = _loss(model, targets, model(pictures, training=True))
    torch.autograd.grad(loss, parameters)  # leaves no gradient behind in the weights
    for variable, value in kept:
        variable.assign(value)
