"""PyTorch: Keras' own steps, eagerly, on tensors of one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import torch

from cnnbench.machine.backends import Place
from cnnbench.records.records import Workload
from cnnbench.speed.engines.engine import Array, Tensor
from cnnbench.speed.engines.keras_model import KerasEngine, KerasProgram

COUNTED_PICTURES = 2  # a batch normalization of one value would fail


class TorchEngine(KerasEngine):
    def __init__(self, place: Place) -> None:
        self.device = torch.device("cpu" if place.device == "cpu" else "cuda:0")

    def send(self, array: Array) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    def get(self, tensor: Tensor) -> Array:
        array: Array = tensor.detach().float().cpu().numpy()
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

    def where(self, tensor: Tensor) -> tuple[str, str]:
        kind = "cpu" if tensor.device.type == "cpu" else "gpu"
        return kind, str(tensor.dtype).removeprefix("torch.")

    def compiled(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*tensors: Tensor) -> Tensor:
            with torch.inference_mode():
                return function(*tensors)

        return run

    def program(self, model: keras.Model, workload: Workload) -> TorchProgram:
        return TorchProgram(self, model, workload)


class TorchProgram(KerasProgram):
    """`train_step`, or the model in inference mode without a graph of gradients."""

    def train(self, pictures: Tensor, targets: Tensor) -> Tensor:
        return self.model.train_step((pictures, targets))["loss"]

    def infer(self, pictures: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.model(pictures, training=False)

    def backend_flops(self) -> float:
        """Counts convolutions and matrix products of one step, which is made."""
        from torch.utils.flop_counter import FlopCounterMode

        inputs = self.inputs(self.black(COUNTED_PICTURES))
        with FlopCounterMode(display=False) as counter:
            if self.workload == "train":
                self.train(*inputs)
            else:
                with torch.no_grad():  # in inference mode, products are not seen one by one
                    self.model(*inputs, training=False)
        return float(counter.get_total_flops()) / COUNTED_PICTURES
