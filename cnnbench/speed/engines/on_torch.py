"""PyTorch: Keras' own steps, eagerly, on tensors of one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch

from cnnbench.records.measurements import Placement, Workload
from cnnbench.speed.engines.engine import Tensor
from cnnbench.speed.engines.keras_model import placement_of
from cnnbench.speed.flops.backend_flops import backend_flops


def where(tensor: Tensor) -> tuple[str, str]:
    """Returns kind of device and dtype of a tensor."""
    kind = "cpu" if tensor.device.type == "cpu" else "gpu"
    return kind, str(tensor.dtype).removeprefix("torch.")


class TorchEngine:
    """One device, `cpu` or `gpu`, of this process."""

    def __init__(self, kind: str) -> None:
        self.device = torch.device("cpu" if kind == "cpu" else "cuda:0")

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.as_tensor(array, device=self.device)
        self.synchronize([tensor])
        return tensor

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = tensor.detach().float().cpu().numpy()
        return array

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def tf32(self) -> str:
        if self.device.type == "cpu":
            return ""
        products = torch.backends.cuda.matmul.allow_tf32
        convolutions = torch.backends.cudnn.allow_tf32
        if products == convolutions:
            return "on" if products else "off"
        return f"matmul {'on' if products else 'off'}, conv {'on' if convolutions else 'off'}"

    def is_out_of_memory(self, error: BaseException) -> bool:
        # On a CPU it is a RuntimeError like any other but for its text.
        kinds = (MemoryError, torch.OutOfMemoryError)
        return isinstance(error, kinds) or "can't allocate memory" in str(error)

    def program(self, model: keras.Model, workload: Workload) -> TorchProgram:
        return TorchProgram(self, model, workload)


class TorchProgram:
    """`train_step`, or the model in inference mode without a graph of gradients."""

    def __init__(self, engine: TorchEngine, model: keras.Model, workload: Workload) -> None:
        self.engine, self.model, self.workload = engine, model, workload

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        if self.workload == "train":
            return self.model.train_step((pictures, targets))["loss"]
        with torch.inference_mode():
            return self.model(pictures, training=False)

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            given = self.model(torch.as_tensor(pictures, device=self.engine.device), training=False)
        answers: npt.NDArray[np.float32] = self.engine.get(given).astype(np.float32)
        return answers

    def placement(self) -> Placement:
        return placement_of(self.model, where)

    def backend_flops(self, batch_size: int) -> float | None:
        return backend_flops("torch", self.model, batch_size, self.workload)
