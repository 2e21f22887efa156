"""micrograd: scalars only, in Python floats (float64)."""

from benchmarks.peers.base import Peer, Run
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
        from importlib.metadata import version

        return {"version": version("micrograd")}

    def scalar(self, workload: Scalar) -> Run:
        value = self.value

        def run(n: int) -> list[float]:
            for _ in range(n):
                x, y = value(workload.x), value(workload.y)
                z = x * x + x * y + (x + y) ** 2
                z.backward()
            return [z.data, x.grad, y.grad]

        return run

    def chain(self, workload: Chain) -> Run:
        value = self.value

        def run(n: int) -> list[float]:
            for _ in range(n):
                x = value(workload.start)
                y = x
                if workload.doubling:
                    for _ in range(workload.length):
                        y = y + y
                else:
                    for _ in range(workload.length):
                        y = y * 0.9999
                y.backward()
            return [y.data, x.grad]

        return run
