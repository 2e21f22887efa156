"""JAX on the CPU: one jitted call per step with donated buffers, and twenty steps in one jitted scan."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.base import Feed, NotSupported, Run, read_loss, repeat, targets_for
from benchmarks.peers.function_style import FunctionStyle
from benchmarks.workloads import Chain, Conv, Dense, Flatten, Scalar, Training, initial_weights

CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")  # the layout in which XLA's CPU convolutions are fastest


def channels_last_weights(workload: Training) -> list[np.ndarray]:
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
    return result


class JaxJit(FunctionStyle):
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
        f = self.jax.jit(self.jax.value_and_grad(workload.apply, (0, 1)))
        return repeat(lambda: f(workload.x, workload.y), lambda result: [float(result[0]), *map(float, result[1])])

    def chain(self, workload: Chain) -> Run:
        f = self.jax.value_and_grad(workload.apply)  # not jitted: a graph is met once, and compiling takes far longer
        return repeat(lambda: f(workload.start), lambda result: [float(value) for value in result])

    def conv(self, x: Any, kernels: Any, bias: Any, padding: int) -> Any:
        around = [(padding, padding)] * 2
        convolve = self.jax.lax.conv_general_dilated
        return convolve(x, kernels, (1, 1), around, dimension_numbers=CHANNELS_LAST) + bias

    def max_pool(self, x: Any, size: int) -> Any:
        window = (1, size, size, 1)
        return self.jax.lax.reduce_window(x, -self.jax.numpy.inf, self.jax.lax.max, window, window, "VALID")

    def activation(self, kind: str, x: Any) -> Any:
        jax = self.jax
        return {"sigmoid": jax.nn.sigmoid, "tanh": jax.numpy.tanh, "relu": jax.nn.relu}[kind](x)

    def dropout(self, x: Any, p: float) -> Any:
        return self.jax.numpy.where(self.jax.random.bernoulli(self.key, 1 - p, x.shape), x / (1 - p), 0)

    def loss(self, workload: Training, output: Any, y: Any) -> Any:
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
            if workload.has_dropout:
                key, self.key = jax.random.split(key)  # read by `dropout` while this function is traced
            loss, gradients = jax.value_and_grad(lambda w: self.loss(workload, self.predict(workload, w, x), y))(
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
        targets = targets_for(workload, targets)
        weights = [jnp.array(array) for array in channels_last_weights(workload)]
        zeros = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
        moments = None if workload.optimizer == "sgd" else (*zeros, jnp.float32(0))
        return jnp.asarray(inputs), jnp.asarray(targets), (weights, moments, self.jax.random.key(0))

    def feed(self, workload: Training, count: int) -> Feed:
        return Feed(workload, count, lambda indices: self.jax.numpy.array(indices.astype(np.int32)))

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        x, y, state = self.prepare(workload, inputs, targets)
        update = self.update(workload)
        if workload.batch:
            feed = self.feed(workload, len(inputs))
            jitted = self.jax.jit(lambda state, x, y, chosen: update(state, x[chosen], y[chosen]), donate_argnums=0)

            def advance(state):
                return jitted(state, x, y, feed())
        else:
            advance = self.jax.jit(lambda state: update(state, x, y), donate_argnums=0)

        def step():
            nonlocal state
            state, loss = advance(state)
            return loss

        return repeat(step, read_loss)


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
        jax, count = self.jax, self.steps_per_call
        x, y, state = self.prepare(workload, inputs, targets)
        update = self.update(workload)
        if workload.batch:
            feed = self.feed(workload, len(inputs))

            @jax.jit
            def jitted(state, x, y, chosen):
                return jax.lax.scan(lambda s, i: update(s, x[i], y[i]), state, chosen)

            def advance(state):
                return jitted(state, x, y, jax.numpy.stack([feed() for _ in range(count)]))
        else:

            @jax.jit
            def advance(state):
                return jax.lax.scan(lambda s, _: update(s, x, y), state, None, length=count)

        def step():
            nonlocal state
            state, losses = advance(state)
            return losses

        run = repeat(step, lambda losses: [float(losses[-1])])
        return lambda n: run(n // count)
