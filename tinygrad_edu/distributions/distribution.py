"""What all distributions have in common."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.creation import tensor
from tinygrad_edu.ops.expanding import broadcast_tensors
from tinygrad_edu.tensor import Size, Tensor

__all__ = ["Distribution", "as_parameters"]

# A domain: what it is called, and a function that tells element by element whether a tensor lies in it.
Domain = tuple[str, Callable[[Tensor], Tensor]]
REAL: Domain = ("a real number", lambda x: x == x)
POSITIVE: Domain = ("greater than 0", lambda x: x > 0)
NONNEGATIVE: Domain = ("0 or greater", lambda x: x >= 0)
UNIT: Domain = ("between 0 and 1", lambda x: (x >= 0) & (x <= 1))
BOOLEAN: Domain = ("0 or 1", lambda x: (x == 0) | (x == 1))
COUNT: Domain = (
    "a whole number, 0 or greater",
    lambda x: (x >= 0) & (x.floor() == x) if x.is_floating_point() else x >= 0,
)


def as_parameters(*values: Any) -> tuple[Tensor, ...]:
    """Return numbers and tensors as tensors of one shape."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    kind = None if like is None else like.dtype
    return broadcast_tensors(*[v if isinstance(v, Tensor) else tensor(float(v), dtype=kind) for v in values])


class Distribution:
    """Base class: a batch of independent distributions of one kind.

    Attributes
    ----------
    batch_shape : Size
        How many distributions there are: the shape of the parameters.
    event_shape : Size
        The shape of one draw.
    has_rsample : bool
        Whether :meth:`rsample` gives draws that carry gradients to the parameters.
    """

    has_rsample = False
    domains: ClassVar[dict[str, Domain]] = {}
    support: ClassVar[Domain | None] = None

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (), validate_args: bool | None = None
    ):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = validate_args is not False
        if self._validate_args:
            for name, domain in self.domains.items():
                if name in self.__dict__:
                    self._require(name, self.__dict__[name], domain)

    def _require(self, name: str, value: Tensor, domain: Domain) -> None:
        words, inside = domain
        good = inside(value.detach())
        if not bool(good.all()):
            wrong = value.detach()[~good].flatten()[:3].tolist()
            raise ValueRangeError(
                f"{type(self).__name__}: every element of {name} must be {words}, but there is {', '.join(map(str, wrong))} "
                f"(shape {tuple(value.shape)}). Fix: check how {name} was computed."
            )

    def _validate_sample(self, value: Tensor) -> None:
        """Refuse a value that cannot be drawn."""
        if not isinstance(value, Tensor):
            raise ValueRangeError(f"{type(self).__name__}: the value must be a Tensor, got {type(value).__name__}")
        if self._validate_args and self.support is not None:
            self._require("the value", value, self.support)

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    # ---- drawing ----------------------------------------------------------------------------------------------------------
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw, outside the graph, with shape ``sample_shape + batch_shape + event_shape``."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw by a formula of the parameters, through which gradients flow (the reparametrization trick)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample: its draws are not smooth in the parameters. "
            "Fix: sample(), and log_prob() of it in the loss."
        )

    # ---- describing -------------------------------------------------------------------------------------------------------
    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the probability (density) of `value`, one number per draw."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of a draw of at most `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile: where :meth:`cdf` reaches `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Tensor:
        """Return the mean of ``-log_prob``, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy in closed form")

    def perplexity(self) -> Tensor:
        """Return the exponential of the entropy."""
        return self.entropy().exp()

    @property
    def mean(self) -> Tensor:
        """The expected draw."""
        raise NotImplementedError(f"{type(self).__name__} has no mean in closed form")

    @property
    def variance(self) -> Tensor:
        """The expected squared distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no variance in closed form")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation, the square root of the variance."""
        return self.variance.sqrt()

    def __repr__(self) -> str:
        shown = [(n, self.__dict__[n]) for n in self.domains if n in self.__dict__]
        parts = ", ".join(f"{n}: {v.item() if v.numel() == 1 else tuple(v.shape)}" for n, v in shown)
        return f"{type(self).__name__}({parts})"
