"""tinygrad_edu with the training step recorded once and replayed: the same program, its step wrapped in `tg.compile`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.base import NotSupported, Run
from benchmarks.peers.torch_style import TorchStyle
from benchmarks.workloads import Chain, Scalar, Training


class OursRecorded(TorchStyle):
    name = "tinygrad_edu_recorded"
    title = "tinygrad_edu, recorded step"
    requires = "tinygrad_edu"
    rank = 1
    uses_openblas = True

    def scalar(self, workload: Scalar) -> Run:
        x = self.lib.tensor(workload.x, requires_grad=True)
        y = self.lib.tensor(workload.y, requires_grad=True)

        def step() -> Any:
            x.grad = None
            y.grad = None
            z = x * x + x * y + (x + y) ** 2
            z.backward()
            return z

        recorded = self.wrap(step)

        def run(n: int) -> list[float]:
            for _ in range(n):
                z = recorded()
            return [z.item(), x.grad.item(), y.grad.item()]

        return run

    def chain(self, workload: Chain) -> Run:
        raise NotSupported("only training steps are recorded")

    def kernel(self, workload: Any) -> Run:
        raise NotSupported("only training steps are recorded")

    def wrap(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return self.lib.compile(step)

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        """A refusal, when the step is wrapped or when it is first called, is a note in the report, not a failure."""
        refused = "tg.compile refuses this step: {}: {}"
        try:
            run = super().training(workload, inputs, targets)
        except Exception as error:
            raise NotSupported(refused.format(type(error).__name__, error)) from error

        def guarded(n: int) -> Any:
            try:
                return run(n)
            except Exception as error:
                raise NotSupported(refused.format(type(error).__name__, error)) from error

        return guarded
