"""What distributions that choose with given probabilities share: `probs` or `logits`, each computed from the other."""

from typing import Any

from tinygrad_edu.dtypes import finfo
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.ops.activation import sigmoid
from tinygrad_edu.ops.exponential import log, log1p
from tinygrad_edu.ops.rounding import clamp
from tinygrad_edu.tensor import Tensor

__all__ = ["clamped", "logits_of", "one_of_two"]


def one_of_two(name: str, probs: Any, logits: Any) -> None:
    """Refuse both and neither."""
    if (probs is None) == (logits is None):
        raise ValueRangeError(f"{name}: exactly one of `probs` and `logits` must be given.")


def clamped(probs: Tensor) -> Tensor:
    """Keep probabilities a rounding error away from 0 and 1, so that their logarithms are finite."""
    eps = finfo(probs.dtype).eps
    return clamp(probs, eps, 1 - eps)


def logits_of(probs: Tensor) -> Tensor:
    """Return log(p / (1 - p))."""
    safe = clamped(probs)
    return log(safe) - log1p(-safe)


class YesOrNo:
    """The properties of a probability of a yes; one of `probs` and `logits` is an attribute of the instance."""

    def __getattr__(self, name: str) -> Any:
        # Only reached for the one of the two that was not given.
        if name == "probs" and "logits" in self.__dict__:
            return sigmoid(self.__dict__["logits"])
        if name == "logits" and "probs" in self.__dict__:
            return logits_of(self.__dict__["probs"])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
