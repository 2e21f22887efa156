"""From a model and a dummy input to a checked ONNX file: run, run again, translate, check, write."""

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tinygrad_edu import random
from tinygrad_edu.errors import message
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.nn.module import Module
from tinygrad_edu.onnx import UnsupportedOperatorError
from tinygrad_edu.onnx.comparison import Varying, compare
from tinygrad_edu.onnx.graph import Axis, Graph, element_type
from tinygrad_edu.onnx.op_map import OPS
from tinygrad_edu.onnx.trace import Step, Trace, Value
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.visualize.files import write_whole
from tinygrad_edu.visualize.network_picture import evaluating

__all__ = ["Options", "write"]


@dataclass(frozen=True)
class Options:
    """What the caller of ``export`` asked for."""

    input_names: Sequence[str] | None
    output_names: Sequence[str] | None
    opset: int
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]]
    with_values: bool
    initializers_as_inputs: bool


def write(model: Module, args: Any, kwargs: Mapping[str, Any] | None, options: Options, f: Any) -> onnx.ModelProto:
    """Carry out ``export``."""
    if not isinstance(model, Module):
        raise TypeError(
            message("", "onnx.export", f"the model must be a Module, got {type(model).__name__}.", "wrap it in one.")
        )
    for parameter in model.parameters():
        parameter.numel()  # a lazy layer refuses: it has no size before the first batch
    call = _Call(model, args, dict(kwargs or {}), options)
    axes = call.axes()
    trace, outs = _two_runs(model, call, axes)
    proto = _translated(trace, outs, axes, call, options)
    _check(proto)
    if f is not None:
        write_whole(os.fspath(f), proto.SerializeToString())
    return proto


def _check(proto: onnx.ModelProto) -> None:
    """Let ONNX look for what it does not allow, such as types that an operation is not defined for."""
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        facts = f"ONNX does not accept the graph: {error}."
        raise RuntimeError(message("", "onnx.export", facts, "for integers and bools, .float() before it.")) from error


# ---- the inputs -------------------------------------------------------------------------------------------------------------
class _Call:
    """How the model is called: its tensors have names, the other arguments stay as they are."""

    def __init__(self, model: Module, args: Any, kwargs: dict[str, Any], options: Options):
        given = args if isinstance(args, tuple) else (args,)
        if given and isinstance(given[-1], dict):
            given, kwargs = given[:-1], {**given[-1], **kwargs}
        self.model, self.args, self.kwargs, self.options = model, given, kwargs, options
        own = list(inspect.signature(model.forward).parameters.values())
        names = [p.name if p.kind is not p.VAR_POSITIONAL else "input" for p in own]
        names += [f"input_{i}" for i in range(len(names), len(given))]
        places = [*zip(names, given, strict=False), *kwargs.items()]
        self.places = [name for name, value in places if isinstance(value, Tensor)]
        tensors = [value for _, value in places if isinstance(value, Tensor)]
        if not tensors:
            raise ValueError(
                message("", "onnx.export", "args hold no Tensor.", "export(model, tg.zeros(1, 1, 28, 28), f).")
            )
        wanted = options.input_names if options.input_names is not None else self.places
        if len(wanted) != len(tensors) or len(set(wanted)) != len(wanted):
            facts = f"{len(tensors)} tensors are put in, input_names are {list(wanted)}."
            raise ValueError(message("", "onnx.export", facts, "one name for each, all different."))
        self.tensors = dict(zip(wanted, tensors, strict=True))

    def run(self, tensors: Iterable[Tensor]) -> Any:
        """Call the model with other tensors in the place of those given."""
        fresh = iter(tensors)
        args = [next(fresh) if isinstance(a, Tensor) else a for a in self.args]
        kwargs = {name: next(fresh) if isinstance(a, Tensor) else a for name, a in self.kwargs.items()}
        return self.model(*args, **kwargs)

    def axes(self) -> list[Axis]:
        """Read `dynamic_axes`: one axis for every name, which gets another length in the second run."""
        found: dict[str, Axis] = {}
        for name, dim, label in self.dynamic():
            length = self.tensors[name].shape[dim]
            if label in found and found[label].first != length:
                facts = f"the axes named {label!r} have the lengths {found[label].first} and {length}."
                raise ValueError(message("", "onnx.export", facts, "another name, or equal lengths."))
            found.setdefault(label, Axis(name, dim, label, length, length))
        return list(found.values())

    def dynamic(self) -> list[tuple[str, int, str]]:
        """Return (input, dimension, name) of every dynamic axis of an input."""
        known = [*self.tensors, *(self.options.output_names or ("output",))]
        for name in self.options.dynamic_axes:
            if name not in known and not name.startswith("output"):
                facts = f"dynamic_axes names {name!r}, the inputs and outputs are {known}."
                raise ValueError(message("", "onnx.export", facts, "input_names=[...] gives them names."))
        found = []
        for name in self.tensors:
            ndim = self.tensors[name].ndim
            for dim, label in _labels(name, self.options.dynamic_axes.get(name, {})).items():
                if not -ndim <= dim < ndim:
                    facts = f"dynamic_axes names dimension {dim} of {name!r}, whose shape is {tuple(self.tensors[name].shape)}."
                    raise ValueError(message("", "onnx.export", facts, "a dimension that it has."))
                found.append((name, dim % ndim, label))
        return found


def _labels(name: str, given: Mapping[int, str] | Sequence[int]) -> dict[int, str]:
    return dict(given) if isinstance(given, Mapping) else {dim: f"{name}_dynamic_axes_{dim}" for dim in given}


# ---- the runs ---------------------------------------------------------------------------------------------------------------
def _two_runs(model: Module, call: _Call, axes: list[Axis]) -> tuple[Trace, list[Value]]:
    """Run with the given tensors and with others; return the first run, in which what varies is marked."""
    state = random.get_rng_state()
    try:
        with evaluating(model), no_grad():
            one, outs = _run(model, call, call.tensors)
            other, other_outs = _second_run(model, call, axes)
    finally:
        random.set_rng_state(state)
    compare(one, other, outs, other_outs, dynamic=bool(axes))
    return one, outs


def _run(model: Module, call: _Call, tensors: dict[str, Tensor]) -> tuple[Trace, list[Value]]:
    trace = Trace(model, OPS)
    plain = {name: wrap(np.array(tensor._data)) for name, tensor in tensors.items()}  # a layer may write over its input
    return trace, trace.run(lambda: call.run(plain.values()), plain)


# Another length of the i-th dynamic axis: longer; some times as long, which halves well; shorter, where there is a greatest length.
LENGTHS = (lambda n, i: n + i, lambda n, i: n * (i + 1), lambda n, i: max(1, n - i))


def _second_run(model: Module, call: _Call, axes: list[Axis]) -> tuple[Trace, list[Value]]:
    """Run with other values, of both signs if the model bears it, and with other lengths of the dynamic axes."""
    labels = {(name, dim): label for name, dim, label in call.dynamic()}
    for scale, another in product((-0.75, 0.75), LENGTHS if axes else LENGTHS[:1]):
        axes[:] = [replace(axis, second=another(axis.first, i)) for i, axis in enumerate(axes, 1)]
        lengths = {axis.name: axis.second for axis in axes}
        shapes = {
            name: tuple(lengths.get(labels.get((name, d), ""), n) for d, n in enumerate(tensor.shape))
            for name, tensor in call.tensors.items()
        }
        try:
            return _run(model, call, {name: _altered(call.tensors[name], shapes[name], scale) for name in shapes})
        except Exception as error:
            failure = error
    facts = f"the model runs with the given input, but not with another one of shape {shapes}: {failure}"
    raise RuntimeError(message("", "onnx.export", facts, "leave that axis out of dynamic_axes.")) from failure


def _altered(tensor: Tensor, shape: tuple[int, ...], scale: float) -> Tensor:
    """Return a tensor of another shape with other values of the same kind: those given, moved on by a place; floats changed too."""
    array = np.asarray(tensor._data)
    values = np.resize(np.roll(array.reshape(-1), 1), shape)
    if array.dtype.kind == "f":
        values = (values * scale + 0.05 * np.cos(np.arange(values.size)).reshape(shape)).astype(array.dtype)
    return wrap(values)


# ---- the translation --------------------------------------------------------------------------------------------------------
def _translated(trace: Trace, outs: list[Value], axes: list[Axis], call: _Call, options: Options) -> onnx.ModelProto:
    graph = Graph(axes)
    for value in trace.inputs:
        graph.names[value] = str(value.key)
    for step in _needed(trace.steps, outs):
        graph.step = step
        if step.name not in OPS:
            raise _unsupported(step)
        made = OPS[step.name](graph, **step.arguments)
        names = [made] if isinstance(made, str) else made
        graph.names.update(zip(step.results, names, strict=True))
    graph.step = None
    results = _name_outputs(graph, outs, options)
    labels = {(name, dim): label for name, dim, label in call.dynamic()}
    inputs = [
        _info(str(v.key), v, [labels.get((str(v.key), d), n) for d, n in enumerate(v.dims)]) for v in trace.inputs
    ]
    outputs = [_info(name, value, _output_dims(name, value, axes, options)) for name, value in results.items()]
    weights = [numpy_helper.from_array(array, name) for name, array in graph.initializers.items()]
    states = {name for name, _ in [*call.model.named_parameters(), *call.model.named_buffers()]}
    if options.initializers_as_inputs:
        inputs += [
            helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights if w.name in states
        ]
    if not options.with_values:
        weights = [w for w in weights if w.name not in states]
    whole = helper.make_graph(graph.nodes, type(call.model).__name__, inputs, outputs, weights)
    opsets = [helper.make_opsetid("", options.opset)]
    return helper.make_model(
        whole, producer_name="tinygrad_edu", opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets)
    )


def _needed(steps: list[Step], outs: list[Value]) -> list[Step]:
    """Leave out the steps that no output depends on."""
    wanted, kept = set(outs), []
    for step in reversed(steps):
        if not wanted.isdisjoint(step.results):
            wanted.update(_values_in(list(step.arguments.values())))
            kept.append(step)
    return kept[::-1]


def _values_in(given: Any) -> Iterable[Value]:
    if isinstance(given, Value):
        yield given
    elif isinstance(given, tuple | list):
        for part in given:
            yield from _values_in(part)


def _unsupported(step: Step) -> UnsupportedOperatorError:
    facts = f"the operation {step.name} ({step.where()}) has no ONNX form here."
    fix = f"write it with other operations, or add it to tinygrad_edu/onnx/op_map.py as a rule named {step.name}."
    return UnsupportedOperatorError(message("", "onnx.export", facts, fix))


# ---- the outputs ------------------------------------------------------------------------------------------------------------
def _name_outputs(graph: Graph, outs: list[Value], options: Options) -> dict[str, Value]:
    """Give the outputs their names: the nodes that make them are renamed, and what no node makes goes through an Identity."""
    if not outs:
        raise ValueError(message("", "onnx.export", "the model returns no Tensor.", "return what it calculates."))
    wanted = options.output_names or ["output", *(f"output_{i}" for i in range(1, len(outs)))]
    inner = {name for node in graph.nodes for name in node.output}
    if len(wanted) != len(outs) or len(set(wanted)) != len(wanted) or not set(wanted).isdisjoint(graph.names.values()):
        facts = f"the model returns {len(outs)} tensors, output_names are {list(wanted)}."
        raise ValueError(message("", "onnx.export", facts, "one new name for each, none of them an input's."))
    renamed: dict[str, str] = {}
    for value, name in zip(outs, wanted, strict=True):
        own = graph.name(value)
        if own in inner and own not in renamed:
            renamed[own] = name
        else:
            renamed[graph.node("Identity", own)] = name
    for node in graph.nodes:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    return dict(zip(wanted, outs, strict=True))


def _output_dims(name: str, value: Value, axes: list[Axis], options: Options) -> list[int | str]:
    """Return the lengths of an output, with names for those that vary."""
    asked = _labels(name, options.dynamic_axes.get(name, {}))
    named = {Varying(axis.first, axis.second): axis.name for axis in axes}
    dims: list[int | str] = []
    for dim, n in enumerate(value.dims):
        own = asked.get(dim, asked.get(dim - len(value.dims)))
        dims.append(named.get(n, own or f"{name}_{dim}") if isinstance(n, Varying) else own or n)
    return dims


def _info(name: str, value: Value, dims: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type(value.array.dtype), dims)
