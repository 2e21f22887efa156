"""`vmap`: a function of one sample becomes a function of a batch."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from tinygrad_edu.autograd.trees import flatten, leaf_places
from tinygrad_edu.ops.indexing import select
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.random import get_rng_state, set_rng_state
from tinygrad_edu.tensor import Tensor

__all__ = ["vmap"]

RANDOMNESS = ("error", "same", "different")


def vmap(
    func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable:
    """Return the function that applies `func` to every sample of a batch and stacks the results.

    It runs `func` once per sample, in a loop that can be stepped through; the numbers are those of PyTorch's `vmap`, the speed is
    that of the loop.

    Parameters
    ----------
    func : callable
        Takes and returns Tensors, or dicts, lists and tuples of them, of one sample.
    in_dims : int, None, or a structure of them
        Which dimension of each argument counts the samples; None hands the argument whole to every call. Keyword arguments are
        always mapped over dimension 0.
    out_dims : int or a structure of them
        Where the samples are stacked in each result.
    randomness : {"error", "same", "different"}
        Whether random draws inside `func` are refused, repeated for each sample, or fresh.
    chunk_size : int, optional
        Accepted, and changes nothing: samples are taken one at a time.

    Raises
    ------
    ValueError
        If the arguments do not have the same number of samples, or nothing is mapped over.
    RuntimeError
        If `func` draws random numbers and `randomness` is "error".

    Examples
    --------
    Gradients of every sample by itself:

    >>> import tinygrad_edu as tg
    >>> w, x = tg.tensor([1.0, 2.0]), tg.tensor([[1.0, 0.0], [3.0, 1.0]])
    >>> per_sample = tg.func.vmap(tg.func.grad(lambda w, x: (w @ x) ** 2), in_dims=(None, 0))
    >>> per_sample(w, x).tolist()
    [[2.0, 0.0], [30.0, 10.0]]
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"vmap: randomness must be one of {RANDOMNESS}, got {randomness!r}")

    @wraps(func)
    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten((args, kwargs))
        if isinstance(in_dims, tuple | list) and len(in_dims) != len(args):
            raise ValueError(f"vmap: in_dims has {len(in_dims)} entries for {len(args)} positional argument(s)")
        places = leaf_places(in_dims, args, "vmap: in_dims") + [0] * len(flatten(kwargs)[0])
        results, form = [], None
        for number, restart in _samples(_batch_size(leaves, places), randomness):
            restart()
            own = [leaf if d is None else select(leaf, d, number) for leaf, d in zip(leaves, places, strict=True)]
            sample_args, sample_kwargs = rebuild(own)
            outputs, form = flatten(func(*sample_args, **sample_kwargs))
            results.append(outputs)
        return _stack(results, form, out_dims)

    return batched


def _batch_size(leaves: list, places: list) -> int:
    """Return how many samples there are; complain about tensors that disagree."""
    sizes: dict[int, tuple] = {}
    for leaf, dim in zip(leaves, places, strict=True):
        if dim is None:
            continue
        if not isinstance(leaf, Tensor):
            raise ValueError(f"vmap: cannot map over a {type(leaf).__name__}. Fix: in_dims=None for that argument.")
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(f"vmap: in_dim {dim} is out of range for an argument of shape {tuple(leaf.shape)}")
        sizes.setdefault(leaf.shape[dim], tuple(leaf.shape))
    if not sizes:
        raise ValueError("vmap: nothing to map over, every in_dim is None. Fix: give at least one dimension.")
    if len(sizes) > 1:
        raise ValueError(
            f"vmap: expected all tensors to have the same size in the mapped dimension, got {list(sizes)} "
            f"for shapes {list(sizes.values())}"
        )
    (size,) = sizes
    if not size:
        raise ValueError("vmap: the mapped dimension is empty, so the shape of the results cannot be known.")
    return size


def _samples(count: int, randomness: str) -> Any:
    """Yield every sample's number with the function that prepares the random stream for it."""
    begin = get_rng_state()
    for number in range(count):
        yield number, (lambda: set_rng_state(begin)) if randomness == "same" else (lambda: None)
        if randomness == "error" and not bool((get_rng_state() == begin).all()):
            raise RuntimeError(
                "vmap: the function draws random numbers, and randomness='error' forbids that. "
                "Fix: randomness='different' or randomness='same'."
            )


def _stack(results: list, form: Any, out_dims: Any) -> Any:
    for leaf in results[0]:
        if not isinstance(leaf, Tensor):
            raise ValueError(f"vmap: the function must return Tensors, got {type(leaf).__name__}")
    places = leaf_places(out_dims, form(list(results[0])), "vmap: out_dims")
    if any(dim is None for dim in places):
        raise ValueError("vmap: out_dims must be numbers: every result is stacked over the samples.")
    return form([stack(parts, dim) for parts, dim in zip(zip(*results, strict=True), places, strict=True)])
