"""One record per op and way of calling it; the generic suites draw inputs from it and compare with every oracle.

The names of all cases together must equal the registry (tests/ops/test_table.py): an op without a case fails the suite.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Arg:
    """How to draw one tensor argument.

    Attributes
    ----------
    shapes : tuple of shapes
        Shapes to choose from, by position: the n-th entry of every argument goes together. Elementwise ops leave it empty and
        get shapes that broadcast (also 0-d, zero-size and non-contiguous ones).
    low, high : float
        The domain; values are drawn inside it. For integers `high` is exclusive.
    kind : {"float", "int", "bool"}
        Gradients are checked for float arguments only.
    away_from : tuple of float
        Kinks: values closer than 0.05 to one of these are moved away.
    distinct : bool
        No two values closer than 0.02 (sorting, max: ties are tested by name elsewhere).
    make : callable, optional
        ``make(rng, shape) -> ndarray`` for special structure (positive definite, sorted, one-hot).
    grad : bool
        False for a float argument that gets no gradient.
    """

    shapes: tuple[tuple[int, ...], ...] = ()
    low: float = -2.0
    high: float = 2.0
    kind: str = "float"
    away_from: tuple[float, ...] = ()
    distinct: bool = False
    make: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None
    grad: bool = True


@dataclass(frozen=True)
class OpCase:
    """One op called in one way.

    Attributes
    ----------
    name : str
        The key in the registry.
    args : tuple of Arg
        The tensor arguments, in the order of the call.
    params : dict
        Python parameters, passed by keyword.
    call : callable, optional
        ``call(lib, *tensors) -> tensor or tuple`` where `lib` is tinygrad_edu or torch; default
        ``lib.<name>(*tensors, **params)``. Write it so that it runs with both libraries.
    reference : callable, optional
        NumPy/SciPy oracle on float64 arrays, ``reference(*arrays, **params) -> array`` (or tuple).
    torch : bool
        Whether torch is an oracle (same `call` with ``lib=torch``).
    order : int
        Highest derivative to check: 0 (not differentiable), 1 or 2.
    elementwise : bool
        Draw shapes that broadcast.
    dtypes : tuple of str
        Floating dtypes in which forward and gradient are compared with torch.
    tolerance : float
        Relative to the largest value, for float64 gradients by differences; only raised with a reason.
    """

    name: str
    args: tuple[Arg, ...]
    params: dict[str, Any] = field(default_factory=dict)
    call: Callable | None = None
    reference: Callable | None = None
    torch: bool = True
    order: int = 2
    elementwise: bool = False
    dtypes: tuple[str, ...] = ("float32", "float64")
    tolerance: float = 1e-6

    def run(self, lib: Any, *tensors: Any) -> Any:
        """Call the op in `lib`."""
        if self.call is not None:
            return self.call(lib, *tensors)
        return getattr(lib, self.name)(*tensors, **self.params)

    def __str__(self) -> str:
        return self.name + "".join(f"-{k}={v}" for k, v in self.params.items())


def elementwise(name: str, *, args: tuple[Arg, ...] = (Arg(),), **options: Any) -> OpCase:
    """A case whose arguments broadcast."""
    return OpCase(name, args, elementwise=True, **options)
