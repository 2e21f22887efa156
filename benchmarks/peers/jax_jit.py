"""JAX on the CPU: one jitted call per step with donated buffers, and twenty steps in one jitted scan."""

from collections.abc import Callable

import numpy as np

from benchmarks.peers.base import Feed, NotSupported, Peer, Run, one_hot
from benchmarks.workloads import (
    Activation,
    Chain,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    Scalar,
    Training,
    initial_weights,
)

CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")  # the layout in which XLA's CPU convolutions are fastest


class JaxJit(Peer):
    name = "jax"
    title = "JAX, jit per step"
    requires = "jax"
    rank = 20

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import jax

        self.jax = jax

    def facts(self) -> dict[str, str]:
        return {"version": self.jax.__version__, "backend": self.jax.default_backend()}

    def scalar(self, workload: Scalar) -> Run:
        f = self.jax.jit(self.jax.value_and_grad(lambda x, y: x * x + x * y + (x + y) ** 2, (0, 1)))

        def run(n: int) -> list[float]:
            for _ in range(n):
                z, gradients = f(workload.x, workload.y)
            return [float(z), *map(float, gradients)]

        return run

    def chain(self, workload: Chain) -> Run:
        def f(x):
            y = x
            if workload.doubling:
                for _ in range(workload.length):
                    y = y + y
            else:
                for _ in range(workload.length):
                    y = y * 0.9999
            return y

        value_and_grad = self.jax.value_and_grad(f)  # not jitted: a graph is met once, and compiling takes far longer

        def run(n: int) -> list[float]:
            for _ in range(n):
                y, gradient = value_and_grad(workload.start)
            return [float(y), float(gradient)]

        return run

    def weights(self, workload: Training) -> list:
        """The common initial weights, with kernels as HWIO and the dense rows after flattening in the order HWC."""
        arrays = iter(initial_weights(workload))
        result, flattened = [], None
        for layer in workload.network:
            match layer:
                case Conv():
                    result += [next(arrays).transpose(2, 3, 1, 0), next(arrays)]
                case Flatten():
                    flattened = layer
                case Dense(inputs, outputs):
                    weight = next(arrays)
                    if flattened:
                        shape = (flattened.channels, flattened.height, flattened.width, outputs)
                        weight = weight.reshape(shape).transpose(1, 2, 0, 3).reshape(inputs, outputs)
                        flattened = None
                    result += [weight, next(arrays)]
        return [self.jax.numpy.array(array) for array in result]

    def predict(self, workload: Training, weights: list, x, key):
        jax, lax = self.jax, self.jax.lax
        activations = {"sigmoid": jax.nn.sigmoid, "tanh": jax.numpy.tanh, "relu": jax.nn.relu}
        remaining = iter(weights)
        for layer in workload.network:
            match layer:
                case Dense():
                    x = x @ next(remaining) + next(remaining)
                case Conv(padding=padding):
                    x = lax.conv_general_dilated(
                        x, next(remaining), (1, 1), [(padding, padding)] * 2, dimension_numbers=CHANNELS_LAST
                    ) + next(remaining)
                case Activation(kind):
                    x = activations[kind](x)
                case MaxPool(size):
                    window = (1, size, size, 1)
                    x = lax.reduce_window(x, -jax.numpy.inf, lax.max, window, window, "VALID")
                case Flatten():
                    x = x.reshape(len(x), -1)
                case Dropout(p):
                    x = jax.numpy.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)
        return x

    def loss(self, workload: Training, output, y):
        jax = self.jax
        if workload.loss == "mse":
            return ((output - y) ** 2).mean()
        if workload.loss == "cross_entropy":
            return -(y * jax.nn.log_softmax(output)).sum(1).mean()
        return (jax.numpy.logaddexp(0, output) - output * y).mean()

    def update(self, workload: Training) -> Callable:
        """(state, x, y) -> (state, loss), to be jitted; the state is the weights, Adam's moments and a random key."""
        jax, rate = self.jax, workload.rate
        each = jax.tree.map

        def update(state, x, y):
            weights, moments, key = state
            used = None
            if workload.has_dropout:
                key, used = jax.random.split(key)
            loss, gradients = jax.value_and_grad(lambda w: self.loss(workload, self.predict(workload, w, x, used), y))(
                weights
            )
            if workload.optimizer == "sgd":
                return (each(lambda w, g: w - rate * g, weights, gradients), moments, key), loss
            mean, square, t = moments
            t = t + 1
            mean = each(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
            square = each(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradients)

            def adam(w, m, s):
                return w - rate * (m / (1 - 0.9**t)) / (jax.numpy.sqrt(s / (1 - 0.999**t)) + 1e-8)

            return (each(adam, weights, mean, square), (mean, square, t), key), loss

        return update

    def prepare(self, workload: Training, inputs: np.ndarray, targets: np.ndarray):
        """The data on JAX's side and the first state."""
        jnp = self.jax.numpy
        if workload.on_images:
            inputs = inputs.transpose(0, 2, 3, 1)
        targets = one_hot(targets) if workload.loss == "cross_entropy" else targets
        weights = self.weights(workload)
        zeros = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
        moments = None if workload.optimizer == "sgd" else (*zeros, jnp.float32(0))
        return jnp.asarray(inputs), jnp.asarray(targets), (weights, moments, self.jax.random.key(0))

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        x, y, state = self.prepare(workload, inputs, targets)
        update = self.update(workload)
        if workload.batch:
            feed = Feed(workload, len(inputs), lambda indices: self.jax.numpy.array(indices.astype(np.int32)))
            jitted = self.jax.jit(lambda state, x, y, chosen: update(state, x[chosen], y[chosen]), donate_argnums=0)

            def step(state):
                return jitted(state, x, y, feed())
        else:
            step = self.jax.jit(lambda state: update(state, x, y), donate_argnums=0)

        def run(n: int) -> list[float]:
            nonlocal state
            for _ in range(n):
                state, loss = step(state)
            return [float(loss)]

        return run


class JaxScan(JaxJit):
    name = "jax_scan"
    title = "JAX, 20 steps in one jitted scan"
    rank = 21
    steps_per_call = 20

    def scalar(self, workload: Scalar) -> Run:
        raise NotSupported("nothing to scan over")

    def chain(self, workload: Chain) -> Run:
        raise NotSupported("nothing to scan over")

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        jax, lax = self.jax, self.jax.lax
        x, y, state = self.prepare(workload, inputs, targets)
        update, count = self.update(workload), self.steps_per_call
        if workload.batch:
            feed = Feed(workload, len(inputs), lambda indices: jax.numpy.array(indices.astype(np.int32)))

            @jax.jit
            def jitted(state, x, y, chosen):
                return lax.scan(lambda s, i: update(s, x[i], y[i]), state, chosen)

            def many(state):
                return jitted(state, x, y, jax.numpy.stack([feed() for _ in range(count)]))
        else:

            @jax.jit
            def many(state):
                return lax.scan(lambda s, _: update(s, x, y), state, None, length=count)

        def run(n: int) -> list[float]:
            nonlocal state
            for _ in range(n // count):
                state, losses = many(state)
            return [float(losses[-1])]

        return run
