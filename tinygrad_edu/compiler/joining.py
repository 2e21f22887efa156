"""Joining a convolution, its relu and its max-pooling in a recorded program: one call forward and one back.

A graph that is built step by step shows each of them to whoever asks. A recorded program knows that nobody does: what lies between
them is read by their own derivative rules only, so it need not leave the processor's cache.
"""

from tinygrad_edu.compiler.program import Call, Program, Value, values_in
from tinygrad_edu.ops.convolution_relu import convolution_relu
from tinygrad_edu.ops.workspace import Workspace

__all__ = ["join_layers"]


def join_layers(program: Program) -> None:
    """Replace every convolution that is followed by a relu (and a max-pooling), with their rules, by the joined op."""
    for conv in [call for call in program.calls if _is(call, "op", "convolution")]:
        layer = _Layer(program, conv)
        if layer.fits():
            layer.replace()


def _is(call: Call, kind: str, name: str) -> bool:
    return call.kind == kind and call.op is not None and call.op.name == name


class _Layer:
    """A convolution, what follows it, and their rules."""

    def __init__(self, program: Program, conv: Call):
        self.program, self.conv = program, conv
        self.backward = program.calls if program.gradient is None else program.gradient.calls
        self.everything = program.calls if program.gradient is None else [*program.calls, *program.gradient.calls]
        self.relu = self._only_reader(conv.results[0], "op", "relu")
        rectified = None if self.relu is None else self.relu.results[0]
        self.pool = next(
            (c for c in self._readers(rectified) if _is(c, "op", "window_max") and _is_plain_pool(c)), None
        )
        self.back_relu = next((c for c in self._readers(rectified) if _is(c, "rule", "relu")), None)
        self.back_pool = None
        if self.pool is not None:
            work = self.pool.arguments[-1]
            rules = (c for c in self.everything if _is(c, "rule", "window_max") and c.arguments[-1] is work)
            self.back_pool = next(rules, None)
        if not self._pool_alone():
            self.pool = self.back_pool = None
        slope = None if self.back_relu is None else self.back_relu.results[0]
        self.back_conv = [c for c in self._readers(slope) if _is(c, "rule", "convolution") and c.arguments[0] is slope]

    def _readers(self, value: Value | None) -> list[Call]:
        return [] if value is None else [c for c in self.everything if any(v is value for v in c.values())]

    def _only_reader(self, value: Value | None, kind: str, name: str) -> Call | None:
        readers = self._readers(value)
        return readers[0] if len(readers) == 1 and _is(readers[0], kind, name) else None

    def fits(self) -> bool:
        """Whether the layer's calls are all there, and nobody else reads what lies between them."""
        if self.relu is None or len(self.conv.results[0].shape) != 4:  # type: ignore[union-attr]
            return False
        if self._is_returned(self.conv.results[0]):
            return False
        return self._rules_fit()

    def _is_returned(self, value: Value | None) -> bool:
        return any(v is value for v in values_in(self.program.result))

    def _pool_alone(self) -> bool:
        """Whether only the pooling, and its rule, come between the relu and the rest."""
        if self.pool is None:
            return False
        rectified = self.relu.results[0]  # type: ignore[union-attr]
        known = [c for c in (self.pool, self.back_relu) if c is not None]
        if self._is_returned(rectified) or any(all(c is not k for k in known) for c in self._readers(rectified)):
            return False
        if self.back_relu is None or self.back_pool is None:
            return self.back_relu is self.back_pool
        readers = self._readers(self.back_pool.results[0])
        return len(readers) == 1 and readers[0] is self.back_relu

    def _rules_fit(self) -> bool:
        """Whether the way back goes through all of the layer, or there is none."""
        if self.back_relu is None:
            return True
        return bool(self.back_conv) and len(self._readers(self.back_relu.results[0])) == len(self.back_conv)

    def replace(self) -> None:
        """Put the joined calls in the place of the single ones."""
        op, work, last = convolution_relu.op, Workspace(), self.pool or self.relu
        x, w, bias, *sizes = self.conv.arguments
        size = 1 if self.pool is None else self.pool.arguments[1][0]
        out = last.results[0]  # type: ignore[union-attr]
        options = (*sizes, size, work)
        name = "convolution + relu" + (" + max_pool" if self.pool is not None else "")
        ahead = Call("op", name, op.forward, (x, w, bias, *options), {}, (out,), place=self.conv.place, op=op)
        _swap(self.program.calls, self.conv, ahead, [c for c in (self.relu, self.pool) if c is not None])
        if self.back_relu is None:
            return
        first = self.back_pool or self.back_relu
        made = {c.name.rpartition(" ")[2]: c.results[0] for c in self.back_conv}
        results = tuple(made.get(argument) for argument in ("x", "w", "bias"))
        needs = tuple(result is not None for result in results)
        arguments = (first.arguments[0], needs, x, w, out, *options)
        back = Call("rule", f"d {name}", op.together, arguments, {}, results, True, first.place, op)
        gone = [c for c in (self.back_relu, *self.back_conv) if c is not first]
        _swap(self.backward, first, back, gone)


def _is_plain_pool(call: Call) -> bool:
    """Whether windows are squares side by side, without a border."""
    size, stride, padding, dilation, ceil = call.arguments[1:6]
    return size == stride and size[0] == size[1] and not any(padding) and set(dilation) == {1} and not ceil


def _swap(calls: list[Call], old: Call, new: Call, gone: list[Call]) -> None:
    at = next(i for i, call in enumerate(calls) if call is old)
    calls[at] = new
    calls[:] = [call for call in calls if all(call is not each for each in gone)]
