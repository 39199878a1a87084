"""By hand: pure functions under `jax.jit`, with the state handed from step to step."""

from __future__ import annotations

import time

import jax
import keras
import numpy as np


def inference(model, pictures, threads):
    pictures = jax.device_put(pictures)
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    @jax.jit
    def predict(trained, others, x):
        return model.stateless_call(trained, others, x, training=False)[0]

    def loop(steps):
        start = time.perf_counter()
        answers = [predict(trained, others, pictures) for _ in range(steps)]
        # No step needs another's answer, so that the last may be done before the rest are.
        jax.block_until_ready(answers)
        seconds = time.perf_counter() - start
        return seconds, np.asarray(answers[-1])

    return loop


def training(model, pictures, targets, threads):
    pictures, targets = jax.device_put(pictures), jax.device_put(targets)
    optimizer, loss_of = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state = tuple([variable.value for variable in variables] for variables in groups)

    def forward(trained, others, x, y):
        answers, others = model.stateless_call(trained, others, x, training=True)
        return loss_of(y, answers), others

    def train(state, x, y):
        trained, others, moments = state
        (loss, others), gradients = jax.value_and_grad(forward, has_aux=True)(trained, others, x, y)
        trained, moments = optimizer.stateless_apply(moments, gradients, trained)
        return loss, (trained, others, moments)

    train = jax.jit(train, donate_argnums=0)

    def loop(steps):
        nonlocal state
        start = time.perf_counter()
        for _ in range(steps):
            loss, state = train(state, pictures, targets)
        jax.block_until_ready((loss, state))
        seconds = time.perf_counter() - start
        return seconds, np.asarray(loss)

    return loop
