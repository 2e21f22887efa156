"""Networks as functions of a list of weights, written once for the libraries that have no layers with a state."""

from typing import Any

import numpy as np

from benchmarks.peers.base import NotSupported, Peer
from benchmarks.workloads import Activation, Conv, Dense, Dropout, Flatten, MaxPool, Training


class FunctionStyle(Peer):
    """Walks a network; subclasses say how their library convolves, pools, activates and measures a loss."""

    def predict(self, workload: Training, weights: list, x: Any) -> Any:
        """The network's output for inputs x, the weights in the order of `initial_weights`."""
        remaining = iter(weights)
        for layer in workload.network:
            match layer:
                case Dense():
                    x = self.dense(x, next(remaining), next(remaining))
                case Conv(padding=padding):
                    x = self.conv(x, next(remaining), next(remaining), padding)
                case Activation(kind):
                    x = self.activation(kind, x)
                case MaxPool(size):
                    x = self.max_pool(x, size)
                case Flatten():
                    x = x.reshape(x.shape[0], -1)
                case Dropout(p):
                    x = self.dropout(x, p)
        return x

    def dense(self, x: Any, weight: Any, bias: Any) -> Any:
        return x @ weight + bias

    def conv(self, x: Any, kernels: Any, bias: Any, padding: int) -> Any:
        raise NotSupported("no convolution")

    def max_pool(self, x: Any, size: int) -> Any:
        raise NotSupported("no pooling")

    def activation(self, kind: str, x: Any) -> Any:
        raise NotImplementedError

    def loss(self, workload: Training, output: Any, y: Any) -> Any:
        raise NotImplementedError

    def dropout(self, x: Any, p: float) -> Any:
        """With a mask that NumPy draws, for libraries that have no dropout of their own."""
        kept = self.random.random(x.shape, dtype=np.float32) >= p
        return x * (kept * np.float32(1 / (1 - p)))

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.random = np.random.default_rng(0)
