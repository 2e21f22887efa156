"""``tinygrad-edu graph``: draw the computational graph of a formula with its values, gradients and local derivatives."""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["COURSE_FUNCTION", "add_command", "draw", "run"]

COURSE_FUNCTION = "a = x**2\nb = x * y\nc = (x + y)**2\nf = a + b + c\n"


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser(
        "graph",
        help="draw the computational graph of f(x,y) = x^2 + xy + (x+y)^2 or of any formula",
        description="Formulas look like `h = tanh(w*x + b); f = h**2`; every value given is a leaf of the graph.",
    )
    command.add_argument("file", nargs="?", type=Path, help="text file with formulas (default: the course's f(x,y))")
    command.add_argument("-e", "--expression", help="formulas given here instead of in a file")
    command.add_argument(
        "--at",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="values of the inputs, e.g. x=3 y=2 or w=[[1,2],[3,4]]",
    )
    command.add_argument(
        "-o", "--output", type=Path, default=Path("graph.svg"), help="picture to write: .svg .png .pdf or .dot"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    text = COURSE_FUNCTION
    if options.file is not None and options.expression is not None:
        raise ValueError("give either a file or --expression, not both.")
    if options.expression is not None:
        text = options.expression
    elif options.file is not None:
        text = options.file.read_text(encoding="utf-8")
    values = dict(_value(item) for item in options.at)
    if text == COURSE_FUNCTION:
        values = {"x": 3, "y": 2, **values}
    drawing, facts = draw(text, values)
    print(facts)
    print(f"picture: {drawing.save(options.output)}")


def _value(item: str) -> tuple[str, Any]:
    from tinygrad_edu.visualize.expression import parse_value

    name, equals, value = item.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"--at takes NAME=VALUE, got {item!r}. Fix: --at x=3 y=2")
    return name.strip(), parse_value(value)


def _shown(gradient: Any) -> str:
    import numpy as np

    if gradient is None:
        return "0 (not used)"
    return (
        f"{gradient.item():g}"
        if gradient.numel() == 1
        else np.array2string(gradient.numpy(), precision=4, separator=", ")
    )


def draw(text: str, values: dict[str, Any]) -> tuple[Any, str]:
    """Return the drawing of the formulas, and the value and gradients in words."""
    from tinygrad_edu import autograd
    from tinygrad_edu.visualize.expression import evaluate
    from tinygrad_edu.visualize.graph_picture import draw_graph

    evaluated = evaluate(text, values)
    result = evaluated.result
    lines = []
    if result.requires_grad and result.numel() == 1:
        leaves = {name: t for name, t in evaluated.tensors.items() if t.is_leaf and t.requires_grad}
        name = next((n for n, t in evaluated.tensors.items() if t is result), "f")
        lines.append(f"{name} = {result.item():g}")
        gradients = autograd.grad(result, list(leaves.values()), retain_graph=True, allow_unused=True)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            lines.append(f"d{name}/d{leaf} = {_shown(gradient)}")
    return draw_graph(result, names=evaluated.tensors, recording=evaluated.recording), "\n".join(lines)
