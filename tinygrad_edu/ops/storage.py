"""What lies under a tensor: the one-dimensional memory that it and its views look at, each in its own way."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.dtypes import dtype, from_numpy_dtype
from tinygrad_edu.memory import _owner, note_write
from tinygrad_edu.ops.shape import reshape, sizes_of
from tinygrad_edu.primitive import install
from tinygrad_edu.tensor import Tensor

__all__ = ["Storage"]


class Storage:
    """The memory of a tensor as a sequence of elements; writing to it writes to every tensor that shares it.

    Examples
    --------
    A transposed tensor has the same storage, read with another stride:

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([[1, 2, 3], [4, 5, 6]])
    >>> x.t().storage().tolist(), x.stride(), x.t().stride()
    ([1, 2, 3, 4, 5, 6], (3, 1), (1, 3))
    >>> x.t().storage().data_ptr() == x.storage().data_ptr()
    True
    """

    def __init__(self, array: np.ndarray):
        self._array = array

    @property
    def dtype(self) -> dtype:
        return from_numpy_dtype(self._array.dtype)

    def __len__(self) -> int:
        return self._array.size

    size = __len__

    def __getitem__(self, index: Any) -> Any:
        picked = self._array[index]
        return Storage(picked) if isinstance(picked, np.ndarray) else picked.item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array[index] = value
        note_write(self._array, "storage")

    def __iter__(self) -> Iterator:
        return iter(self._array.tolist())

    def tolist(self) -> list:
        """Return the elements as a list of Python numbers."""
        return self._array.tolist()

    def element_size(self) -> int:
        """Return the bytes per element."""
        return self._array.itemsize

    def nbytes(self) -> int:
        """Return the bytes of all elements."""
        return self._array.nbytes

    def data_ptr(self) -> int:
        """Return the address of the first element; tensors that share memory have it in common."""
        return self._array.ctypes.data

    def __repr__(self) -> str:
        elements = "\n ".join(str(value) for value in self._array.tolist())
        return f" {elements}\n[{type(self).__name__}(dtype={self.dtype}, device=cpu) of size {len(self)}]"


def storage(self: Tensor) -> Storage:
    """Return the whole memory that this tensor looks at, element by element."""
    return Storage(_memory(self, self.array().dtype))


def untyped_storage(self: Tensor) -> Storage:
    """Return the whole memory that this tensor looks at, byte by byte."""
    return Storage(_memory(self, np.dtype(np.uint8)))


def _memory(tensor: Tensor, kind: np.dtype) -> np.ndarray:
    """Return the memory of the array that owns it, in the order in which it lies there."""
    whole = _owner(tensor.array())
    flat = whole.ravel(order="K")
    if not np.shares_memory(flat, whole) and whole.size:
        raise RuntimeError(
            f"storage: this memory has gaps: shape {whole.shape}, strides {whole.strides} bytes. Fix: x.clone().storage()."
        )
    return flat.view(kind)


def resize(self: Tensor, *sizes: Any) -> Tensor:
    """Return the tensor with another shape and as many elements: the old name of :func:`reshape`."""
    return reshape(self, sizes_of(sizes))


install(storage=storage, untyped_storage=untyped_storage, resize=resize, is_cpu=True, is_xpu=False)
