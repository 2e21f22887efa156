"""Adding values into rows of zeros: the array function under the derivative of every lookup (indexing, gather, embedding)."""

import numpy as np

__all__ = ["add_rows"]


def add_rows(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``out`` (count, D) of zeros with ``out[rows[k]] += values[k]``, for `values` (K, D) and `rows` (K,).

    NumPy adds at flat positions several times faster than at rows, so the rows are spelt out element by element.
    """
    width = values.shape[1]
    out = np.zeros(count * width, values.dtype)
    if width == 1:
        places = rows
    else:
        places = (rows[:, None] * width + np.arange(width)).ravel()
    np.add.at(out, places, values.ravel())
    return out.reshape(count, width)
