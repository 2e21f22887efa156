"""The stream of random words behind every draw: PyTorch's CPU generator, bit for bit.

It is the Mersenne Twister MT19937 [1]_ seeded in its authors' way. NumPy owns the Twister; this file adds the seeds,
the saved states (in PyTorch's layout, so a state may travel between the libraries) and words as fractions of one.

References
----------
.. [1] M. Matsumoto and T. Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudorandom number
   generator", ACM Transactions on Modeling and Computer Simulation 8(1), 1998.
"""

import operator
import os
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_edu import kernels
from tinygrad_edu.errors import ValueRangeError

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["Generator"]

_FIRST_SEED = 67280421310721  # what a fresh torch.Generator() starts from
_TWISTER_WORDS = 624

# The bytes of PyTorch's own CPU state, so that states can be exchanged between the two libraries.
_STATE = np.dtype([
    ("seed", "u8"), ("left", "i4"), ("seeded", "i4"), ("next", "u8"), ("words", "u8", _TWISTER_WORDS),
    ("normal_x", "f8"), ("normal_y", "f8"), ("normal_rho", "f8"), ("has_normal", "i4"), ("padding", "i4"),
    ("float_normal", "f4"), ("has_float_normal", "i4"),
])  # fmt: skip


class Generator:
    """A stream of random numbers with its own seed.

    Parameters
    ----------
    device : str
        ``"cpu"``, the only device.

    Notes
    -----
    Draws hold a lock, so threads may share a generator: each draw is whole, but which thread comes first is up to them.

    Examples
    --------
    >>> from tinygrad_edu.random import Generator, uniform
    >>> g = Generator().manual_seed(0)
    >>> uniform((3,), generator=g)
    array([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
    """

    __slots__ = ("_bits", "_initial_seed", "lock", "spare_normal")

    def __init__(self, device: str = "cpu"):
        if str(device) != "cpu":
            raise RuntimeError(f"Generator: there is no device {device!r} here. Fix: Generator() or Generator('cpu').")
        self.lock = Lock()
        self._bits: Any
        self.spare_normal: float | None
        self._restart(_FIRST_SEED)

    def __repr__(self) -> str:
        return f"Generator(initial_seed={self._initial_seed})"

    def __reduce__(self) -> tuple:
        return _from_state, (self.state_array(),)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream that belongs to `seed`, and return the generator.

        Parameters
        ----------
        seed : int
            From -2**63 to 2**64 - 1; a negative one counts down from 2**64. The Twister sees the lowest 32 bits.

        Raises
        ------
        TypeError
            If `seed` is no integer.
        ValueRangeError
            If it is out of range (a ``ValueError``).
        """
        number = _as_seed(seed)
        with self.lock:
            self._restart(number)
        return self

    def initial_seed(self) -> int:
        """Return the seed that the stream started from."""
        return self._initial_seed

    def seed(self) -> int:
        """Start from a seed drawn by the operating system, and return it."""
        number = int.from_bytes(os.urandom(8))
        self.manual_seed(number)
        return number

    def state_array(self) -> np.ndarray:
        """Return everything that decides the numbers to come: 5,056 bytes, in PyTorch's layout."""
        with self.lock:
            twister = self._twister().state["state"]
            state = np.zeros((), _STATE)
            state["seed"], state["seeded"], state["words"] = self._initial_seed, 1, twister["key"]
            state["left"] = _TWISTER_WORDS + 1 - twister["pos"]
            state["next"] = twister["pos"] % _TWISTER_WORDS
            if self.spare_normal is not None:
                state["normal_y"], state["has_normal"] = self.spare_normal, 1
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def get_state(self) -> "Tensor":
        """Return the state, a Tensor of bytes, for a later `set_state`."""
        from tinygrad_edu.tensor import wrap

        return wrap(self.state_array())

    def set_state(self, new_state: "Tensor | ArrayLike") -> None:
        """Go on from a state that `get_state` (here or in PyTorch) returned.

        Raises
        ------
        RuntimeError
            If `new_state` is not 5,056 bytes of such a state.
        """
        data = np.ascontiguousarray(new_state)
        if data.dtype != np.uint8 or data.size != _STATE.itemsize:
            raise RuntimeError(
                f"set_state: a state is {_STATE.itemsize} bytes (uint8), got {data.size} values of {data.dtype}. "
                "Fix: pass what get_state() returned."
            )
        state = np.frombuffer(data.tobytes(), _STATE)[0]
        left, position = int(state["left"]), int(state["next"])
        if state["seeded"] != 1 or not 1 <= left <= _TWISTER_WORDS or position > _TWISTER_WORDS:
            raise RuntimeError("set_state: these bytes are no generator state. Fix: pass what get_state() returned.")
        position = _TWISTER_WORDS if left == 1 else position
        with self.lock:
            self._initial_seed = int(state["seed"])
            self._bits = np.random.MT19937()
            self._bits.state = {"bit_generator": "MT19937", "state": {"key": state["words"], "pos": position}}
            self.spare_normal = float(state["normal_y"]) if state["has_normal"] else None

    def _restart(self, seed: int) -> None:
        self._initial_seed = seed
        self._bits = None  # until the first draw
        self.spare_normal = None  # Box-Muller makes normals in pairs; the second waits here

    def _twister(self) -> "np.random.MT19937":
        """Return the Twister, seeding it at the first draw: importing ``numpy.random`` takes 10 ms."""
        if self._bits is None:
            self._bits = np.random.MT19937()
            # NumPy's older interface seeds in place exactly as the Twister's authors did, which is PyTorch's way too.
            np.random.RandomState(self._bits).seed(self._initial_seed & 0xFFFFFFFF)
        return self._bits

    # The draws of random.py are made of the next four; the caller holds `lock`, so one draw's words stay together.

    def words32(self, n: int) -> np.ndarray:
        """Return the next `n` 32-bit words (as uint64)."""
        return self._twister().random_raw(n)

    def words64(self, n: int) -> np.ndarray:
        """Return `n` 64-bit words; each takes two of the Twister's, the high half first."""
        halves = self._twister().random_raw(2 * n)
        return (halves[0::2] << np.uint64(32)) | halves[1::2]

    def units(self, n: int, dtype: np.dtype) -> np.ndarray:
        """Return `n` numbers in [0, 1): as many low bits as the type's significand holds, scaled by a power of two."""
        if dtype == np.float64:
            return (self.words64(n) & np.uint64(2**53 - 1)).view(np.int64) * 2.0**-53
        bits = self.words32(n).astype(np.uint32)
        bits &= np.uint32(2**24 - 1)
        units = bits.view(np.int32).astype(np.float32)  # from signed integers: the faster conversion, the same value
        units *= np.float32(2.0**-24)
        return units

    def choose(self, out: np.ndarray, p: float, value: float) -> None:
        """Write `value` where one of the next float64 `units` is below `p`, and 0 elsewhere."""
        kernels.bernoulli_into(out, self._twister(), p, value)


def _from_state(state: np.ndarray) -> Generator:
    generator = Generator()
    generator.set_state(state)
    return generator


def _as_seed(seed: int | float) -> int:
    if isinstance(seed, float) and seed.is_integer():  # PyTorch takes 42.0 for 42
        seed = int(seed)
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"manual_seed: expected an integer, got {seed!r}. Fix: manual_seed(0).") from None
    if not -(2**63) <= number < 2**64:
        raise ValueRangeError(f"manual_seed: {number} is outside -2**63 .. 2**64 - 1. Fix: a smaller seed.")
    return number % 2**64
