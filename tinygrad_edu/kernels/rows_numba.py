"""Adding values into rows, without the list of flat positions that NumPy needs."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import rows_numpy as twin
from tinygrad_edu.kernels.compiler import compiled


def add_rows(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    out = np.zeros((count, values.shape[1]), values.dtype)
    if len(rows) == len(values) and _add_rows(np.ascontiguousarray(values), np.ascontiguousarray(rows, np.int64), out):
        return out
    return twin.add_rows(values, rows, count)  # which names what does not fit


@compiled()
def _add_rows(values, rows, out):
    """Whether all the rows were there."""
    for k in range(rows.size):
        if rows[k] < 0 or rows[k] >= out.shape[0]:
            return False
        row, more = out[rows[k]], values[k]
        for j in range(more.size):
            row[j] += more[j]
    return True
