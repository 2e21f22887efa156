"""Writing a model as an ONNX file, which other programs run: ONNX Runtime, browsers, phones, Netron's pictures.

``tg.onnx.export(model, dummy, "model.onnx")`` runs the model and writes down what it does; it needs ``pip install tinygrad_edu[onnx]``.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu.errors import message

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module

__all__ = ["UnsupportedOperatorError", "export"]

OPSETS = range(18, 22)  # LayerNormalization came with 17, Mish and reductions whose axes are an input with 18


class UnsupportedOperatorError(RuntimeError):
    """An operation that has no ONNX form here."""


def export(
    model: "Module",
    args: Any = (),
    f: str | os.PathLike[str] | None = None,
    export_params: bool = True,
    verbose: bool = False,
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    do_constant_folding: bool = True,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    keep_initializers_as_inputs: bool = False,
    dynamo: bool = False,
) -> Any:
    """Run a model in evaluation mode and write what it calculates as an ONNX graph.

    The model runs twice, with `args` and with other values (and other lengths of the dynamic axes), outside any gradient. What differs
    between the runs depends on the input: lengths are calculated in the graph, and anything that the file would freeze is an error.
    The model, its mode, its gradients and the state of the random numbers stay as they were.

    Parameters
    ----------
    model : Module
    args : Tensor or tuple
        What the model is called with; a dict at the end of a tuple holds keyword arguments.
    f : path, optional
        Where to write the file, whole or not at all. Without it the ``onnx.ModelProto`` is only returned.
    export_params : bool
        False leaves the values of the parameters out: they become inputs of the graph.
    verbose : bool
        Print the graph.
    kwargs : mapping, optional
        Keyword arguments of the model.
    input_names, output_names : sequence of str, optional
        Names in the graph; the arguments' own names, and "output", "output_1", ... by default.
    opset_version : int, optional
        Version of ONNX's operators, 18 (the default) to 21.
    do_constant_folding : bool
        Accepted; the programs that run the file fold constants themselves.
    dynamic_axes : mapping, optional
        Axes whose length may change from run to run, ``{"input": {0: "batch"}}`` or ``{"input": [0]}``. Axes of one name have one
        length. Those of the outputs are found out; naming them is allowed.
    keep_initializers_as_inputs : bool
        List the parameters among the graph's inputs too.
    dynamo : bool
        Accepted; there is one exporter.

    Returns
    -------
    onnx.ModelProto
        The checked model.

    Raises
    ------
    UnsupportedOperatorError
        The model uses an operation that has no ONNX form here; the error names it, its layer and its line.
    RuntimeError
        The graph would not do what the model does, because Python decided by the values of the input.
    ValueError
        Names or axes that do not fit the model.
    ImportError
        The library `onnx` is missing.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Sequential(tg.nn.Flatten(), tg.nn.Linear(784, 10), tg.nn.Softmax(1))
    >>> proto = tg.onnx.export(model, tg.zeros(1, 1, 28, 28), input_names=["image"], dynamic_axes={"image": {0: "batch"}})
    >>> [node.op_type for node in proto.graph.node]
    ['Flatten', 'Gemm', 'Softmax']
    >>> [initializer.name for initializer in proto.graph.initializer]
    ['1.weight', '1.bias']
    """
    try:
        from tinygrad_edu.onnx.exporter import Options, write
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "onnx":
            raise
        raise ImportError(
            message("", "onnx.export", "the library onnx is not installed.", "pip install 'tinygrad_edu[onnx]'.")
        ) from error
    options = Options(
        input_names, output_names, OPSETS[0] if opset_version is None else opset_version, dynamic_axes or {}, export_params,
        keep_initializers_as_inputs or not export_params,
    )  # fmt: skip
    if options.opset not in OPSETS:
        facts = f"opset_version is {opset_version!r}, known are {OPSETS[0]} to {OPSETS[-1]}."
        raise ValueError(message("", "onnx.export", facts, f"opset_version={OPSETS[0]}."))
    proto = write(model, args, kwargs, options, f)
    if verbose:
        import onnx

        print(onnx.printer.to_text(proto.graph))
    return proto
