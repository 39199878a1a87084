"""By hand: eager steps on PyTorch's tensors; on CPUs each call returns when it is done."""

from __future__ import annotations

import time

import keras
import torch


def inference(model, pictures, threads):
    pictures = torch.as_tensor(pictures)

    def loop(steps):
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(steps):
                answers = model(pictures, training=False)
            seconds = time.perf_counter() - start
        return seconds, answers.numpy()

    return loop


def training(model, pictures, targets, threads):
    pictures, targets = torch.as_tensor(pictures), torch.as_tensor(targets)
    optimizer, loss_of = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    optimizer.build(model.trainable_variables)
    variables = model.trainable_variables

    def loop(steps):
        start = time.perf_counter()
        for _ in range(steps):
            loss = loss_of(targets, model(pictures, training=True))
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                optimizer.apply([variable.value.grad for variable in variables], variables)
        seconds = time.perf_counter() - start
        return seconds, loss.detach().numpy()

    return loop
