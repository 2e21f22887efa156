"""Changing the element type of a whole module: ``to``, ``float``, ``double``, ``half``."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import device, require_cpu
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Conversions"]


class Conversions:
    """The conversion methods of a Module."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Put ``fn(tensor)`` in the place of every parameter's data, its gradient, and every buffer."""
        done = set()
        modules: Any = self.modules() if recurse else (self,)  # type: ignore[attr-defined]
        for module in modules:
            for _, parameter in module._own("parameter"):
                if parameter not in done:
                    done.add(parameter)
                    gradient = parameter.grad
                    parameter.grad = None
                    parameter.data = fn(parameter.data)
                    parameter.grad = None if gradient is None else fn(gradient.detach())
            for name, buffer in module._own("buffer"):
                module.__dict__[name] = fn(buffer)
        return self

    def _to_dtype(self, kind: dtypes.dtype) -> Self:
        """Give every floating-point tensor another element type; integers, such as counters, stay."""

        def convert(tensor: Tensor) -> Tensor:
            array = tensor.array()
            if array.dtype.kind != "f" or array.dtype == kind.numpy:
                return tensor
            with np.errstate(over="ignore"):
                return wrap(array.astype(kind.numpy))

        return self._apply(convert)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert the floating-point parameters and buffers in place: ``to(dtype)``, ``to(device)``, ``to(tensor)``.

        Raises
        ------
        TypeError
            If the dtype is not floating-point.
        RuntimeError
            If the device is not the CPU.
        """
        kind, where = kwargs.pop("dtype", None), kwargs.pop("device", None)
        kwargs.pop("non_blocking", None), kwargs.pop("memory_format", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__}.to() got an unexpected keyword argument {next(iter(kwargs))!r}")
        for argument in args:
            if isinstance(argument, Tensor):
                kind = argument.dtype
            elif isinstance(argument, str | int | device) and not isinstance(argument, bool):
                where = argument
            elif argument is not None and not isinstance(argument, bool):  # a bool is non_blocking
                kind = argument
        require_cpu(where)
        if kind is None:
            return self
        kind = dtypes.as_dtype(kind)
        if not kind.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={kind}")
        return self._to_dtype(kind)

    def float(self) -> Self:
        """Convert all floating-point parameters and buffers to float32."""
        return self._to_dtype(dtypes.float32)

    def double(self) -> Self:
        """Convert all floating-point parameters and buffers to float64."""
        return self._to_dtype(dtypes.float64)

    def half(self) -> Self:
        """Convert all floating-point parameters and buffers to float16."""
        return self._to_dtype(dtypes.float16)

    def type(self, dst_type: Any) -> Self:
        """Convert all floating-point parameters and buffers to `dst_type`."""
        return self._to_dtype(dtypes.as_dtype(dst_type))

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Give every parameter and buffer fresh memory with arbitrary values, to be filled by a state dict or ``nn.init``."""
        require_cpu(device)
        return self._apply(lambda tensor: wrap(np.empty_like(tensor.array())), recurse)

    def cpu(self) -> Self:
        """Return the module: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refuse: there is no other device than the CPU."""
        require_cpu("cuda" if device is None else device)
        return self

    def share_memory(self) -> Self:
        """Return the module: threads share its memory anyway."""
        return self
