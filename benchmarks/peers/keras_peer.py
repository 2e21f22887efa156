"""Keras on JAX, with its own training loop `fit`, as its users write it."""

import os
from collections.abc import Sequence

import numpy as np

from benchmarks.peers.base import Feed, Peer, Run, repeat
from benchmarks.peers.jax_jit import channels_last_weights
from benchmarks.workloads import Activation, Conv, Dense, Dropout, Flatten, Layer, MaxPool, Training


class KerasJax(Peer):
    name = "keras"
    title = "Keras on JAX, fit"
    requires = "keras"
    rank = 22
    steps_per_call = 20  # every call of `fit` costs something of its own, which an epoch would not notice

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        os.environ["KERAS_BACKEND"] = "jax"  # read by Keras at import; this process holds no other peer
        import keras

        self.keras = keras

    def facts(self) -> dict[str, str]:
        return {"version": self.keras.__version__, "backend": self.keras.backend.backend()}

    def layer(self, layer: Layer):
        layers = self.keras.layers
        match layer:
            case Dense(_, outputs):
                return layers.Dense(outputs)
            case Conv(_, outputs, kernel, padding):
                return layers.Conv2D(outputs, kernel, padding="same" if padding else "valid")
            case Activation(kind):
                return layers.Activation(kind)
            case MaxPool(size):
                return layers.MaxPooling2D(size)
            case Flatten():
                return layers.Flatten()
            case Dropout(p):
                return layers.Dropout(p)

    def model(self, workload: Training, shape: tuple[int, ...]):
        keras = self.keras
        model = keras.Sequential([keras.Input(shape), *[self.layer(layer) for layer in workload.network]])
        # The dropout layer's seed is no weight: `set_weights` would want it too.
        for variable, array in zip(model.trainable_variables, channels_last_weights(workload), strict=True):
            variable.assign(array)
        loss = {
            "mse": keras.losses.MeanSquaredError,
            "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "bce_with_logits": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
        }[workload.loss]()
        optimizer = (
            keras.optimizers.SGD(workload.rate)
            if workload.optimizer == "sgd"
            else keras.optimizers.Adam(workload.rate, epsilon=1e-8)
        )
        model.compile(optimizer=optimizer, loss=loss)
        return model

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        """`fit` reports the mean loss of an epoch; the last batch's loss, which is compared, comes from `train_on_batch`."""
        if workload.on_images:
            inputs = np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
        model = self.model(workload, inputs.shape[1:])
        feed = Feed(workload, len(inputs))
        if workload.compared:

            def step():
                chosen = feed() if workload.batch else slice(None)
                return model.train_on_batch(inputs[chosen], targets[chosen])

            return repeat(step, lambda loss: [float(loss)])
        return self.epochs(model, inputs, targets, workload.batch or len(inputs))

    def epochs(self, model, inputs: np.ndarray, targets: np.ndarray, batch: int) -> Run:
        """n steps as whole epochs and a part of one; `fit` shuffles by itself."""
        whole = len(inputs) // batch

        def fit(steps: int, epochs: int) -> float:
            x, y = inputs[: steps * batch], targets[: steps * batch]
            return model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0).history["loss"][-1]

        def run(n: int) -> Sequence[float]:
            epochs, rest = divmod(n, whole)
            loss = fit(whole, epochs) if epochs else 0.0
            return [fit(rest, 1) if rest else loss]

        return run
