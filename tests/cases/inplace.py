"""The ops that in-place writes through views are recorded with."""

import numpy as np

from tests.op_cases import Arg, OpCase

CELLS = np.array([[5, 0], [2, 3]])


def _read(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1)[CELLS]


def _write(x: np.ndarray, value: np.ndarray) -> np.ndarray:
    out = np.array(x, order="C")
    out.reshape(-1)[CELLS] = value
    return out


def _add(x: np.ndarray) -> np.ndarray:
    out = np.zeros((2, 3))
    np.add.at(out.reshape(-1), CELLS, x)
    return out


def _op(name: str):
    from tinygrad_edu.registry import registry

    return registry[name].function


WHOLE, PART = Arg(shapes=((2, 3),)), Arg(shapes=((2, 2),))

CASES = [
    OpCase("read_region", (WHOLE,), call=lambda lib, x: _op("read_region")(x, CELLS), reference=_read, torch=False),
    OpCase(
        "write_region",
        (WHOLE, PART),
        call=lambda lib, x, v: _op("write_region")(x, v, CELLS),
        reference=_write,
        torch=False,
    ),
    OpCase("add_region", (PART,), call=lambda lib, x: _op("add_region")(x, CELLS, (2, 3)), reference=_add, torch=False),
]
