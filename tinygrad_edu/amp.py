"""Mixed precision: the names PyTorch programs use, and the scaling of losses that float16 gradients need."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from typing import Any

import numpy as np

from tinygrad_edu.memory import note_write
from tinygrad_edu.tensor import Tensor

__all__ = ["GradScaler", "autocast", "is_autocast_available"]

DEVICES = ("cpu", "cuda", "mps", "xpu")


def is_autocast_available(device_type: str) -> bool:
    """Always False: nothing is cast automatically here."""
    return False


class autocast(ContextDecorator):
    """A block, or a decorated function, in which PyTorch computes in a shorter floating type. Here it computes as outside of it.

    Shorter types are quicker on GPUs; NumPy has no bfloat16, and its float16 is slower than float32. So the block changes nothing and
    says so once: results are those of full precision.

    Parameters
    ----------
    device_type : {"cpu", "cuda", "mps", "xpu"}
    dtype : dtype, optional
    enabled : bool
    cache_enabled : bool
    """

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None):
        if device_type not in DEVICES:
            raise RuntimeError(f"autocast: device_type must be one of {DEVICES}, got {device_type!r}")
        self.device, self.dtype = device_type, dtype
        if enabled:
            warnings.warn(
                "autocast: nothing is cast here, the block computes in the tensors' own element types.", stacklevel=2
            )

    def __enter__(self) -> "autocast":
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class GradScaler:
    """Multiply the loss so that small float16 gradients do not vanish, and divide the gradients again before the step.

    A step is left out when a gradient is infinite or NaN, and the factor is made smaller; after `growth_interval` good steps it is
    made larger. With ``device="cuda"``, the default, it does nothing, as in PyTorch on a computer without a GPU.

    Parameters
    ----------
    device : str
    init_scale : float
        The factor to begin with.
    growth_factor, backoff_factor : float
        What the factor is multiplied by after good steps, and after a bad one.
    growth_interval : int
        How many good steps in a row make the factor grow.
    enabled : bool

    References
    ----------
    Micikevicius and others, "Mixed Precision Training", ICLR 2018.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.nn.Parameter(tg.tensor([1.0]))
    >>> optimizer, scaler = tg.optim.SGD([w], lr=0.1), tg.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((w * w).sum()).backward()
    >>> w.grad.item()
    8.0
    >>> result = scaler.step(optimizer)
    >>> w.grad.item()
    2.0
    >>> scaler.update()
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and growth_factor <= 1.0:
            raise ValueError(f"GradScaler: growth_factor must be > 1.0, got {growth_factor}")
        if enabled and backoff_factor >= 1.0:
            raise ValueError(f"GradScaler: backoff_factor must be < 1.0, got {backoff_factor}")
        if enabled and device != "cpu":
            warnings.warn(f"GradScaler is enabled, but {device} is not available: it does nothing.", stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._good_steps = growth_interval, 0
        self._seen: dict[int, bool] = {}  # optimizers whose gradients are divided already; whether one was not finite

    def scale(self, outputs: Any) -> Any:
        """Return a Tensor, or each Tensor of a list or tuple, multiplied by the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = [self.scale(output) for output in outputs]
            return scaled if isinstance(outputs, list) else tuple(scaled)
        raise ValueError(
            f"GradScaler: outputs must be a Tensor or an iterable of Tensors, got {type(outputs).__name__}"
        )

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the factor, e.g. before they are clipped.

        Raises
        ------
        RuntimeError
            If that was done already since the last :meth:`update`.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._seen:
            raise RuntimeError(
                "GradScaler: unscale_() has already been called on this optimizer since the last update(). "
                "Fix: call scaler.update() at the end of each step."
            )
        bad = False
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    array = parameter.grad.array()
                    np.divide(array, array.dtype.type(self._scale), out=array)
                    note_write(array, "unscale_")
                    bad = bad or not bool(np.isfinite(array).all())
        self._seen[id(optimizer)] = bad

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Run ``optimizer.step()``, unless a gradient is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or any(isinstance(a, Callable) for a in args):  # type: ignore[arg-type]
            raise RuntimeError("GradScaler: closure use is not supported, the gradients are checked before the step.")
        if id(optimizer) not in self._seen:
            self.unscale_(optimizer)
        return None if self._seen[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the factor to what the last step met, or set it to `new_scale`."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._seen:
            raise RuntimeError("GradScaler: no step() or unscale_() was called before update().")
        elif any(self._seen.values()):
            self._scale, self._good_steps = self._scale * self._backoff_factor, 0
        else:
            self._good_steps += 1
            if self._good_steps == self._growth_interval:
                self._scale, self._good_steps = self._scale * self._growth_factor, 0
        self._seen = {}

    def is_enabled(self) -> bool:
        """Tell whether losses are scaled."""
        return self._enabled

    def get_scale(self) -> float:
        """Return the factor; 1.0 if the scaler is disabled."""
        return self._scale if self._enabled else 1.0

    def state_dict(self) -> dict[str, Any]:
        """Return the factor and how it changes; empty if the scaler is disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("GradScaler: the state_dict is empty, perhaps it was saved from a disabled GradScaler.")
        self._scale, self._good_steps = state_dict["scale"], state_dict["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
