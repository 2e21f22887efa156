"""micrograd: scalars only, in Python floats (float64)."""

from benchmarks.peers.base import Peer, Run, package_version, repeat
from benchmarks.workloads import Chain, Scalar


class Micrograd(Peer):
    name = "micrograd"
    title = "micrograd"
    requires = "micrograd"
    rank = 60

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        from micrograd.engine import Value

        self.value = Value

    def facts(self) -> dict[str, str]:
        return package_version("micrograd")

    def scalar(self, workload: Scalar) -> Run:
        def step():
            x, y = self.value(workload.x), self.value(workload.y)
            z = workload.apply(x, y)
            z.backward()
            return [z.data, x.grad, y.grad]

        return repeat(step, list)

    def chain(self, workload: Chain) -> Run:
        def step():
            x = self.value(workload.start)
            y = workload.apply(x)
            y.backward()
            return [y.data, x.grad]

        return repeat(step, list)
