"""Collating: a list of samples becomes one batch, by PyTorch's rules."""

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.dtypes import get_default_dtype
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch whose first dimension counts the samples.

    =====================  ==================================================
    samples                batch
    =====================  ==================================================
    Tensor, ndarray        their stack
    bool, int              a bool or int64 Tensor
    float                  a float64 Tensor
    str, bytes             the list as it is
    dict                   a dict of batches
    namedtuple             a namedtuple of batches
    tuple, list            a list of batches, one for each position
    =====================  ==================================================

    Raises
    ------
    RuntimeError
        If the samples' shapes, or the lengths of their sequences, differ.
    TypeError
        For samples of any other kind.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import default_collate
    >>> x, y = default_collate([(tg.tensor([1., 2.]), 0), (tg.tensor([3., 4.]), 1)])
    >>> x.tolist(), y.tolist()
    ([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    """
    first = batch[0]
    for kinds, collate in _COLLATE:
        if isinstance(first, kinds):
            return collate(batch)
    if type(first).__module__.startswith("PIL."):
        hint = "transform=transforms.ToTensor() turns images into tensors."
    else:
        hint = "pass a collate_fn of your own."
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}. Fix: {hint}"
    )


def default_convert(data: Any) -> Any:
    """Turn the arrays inside a sample into Tensors and leave everything else as it is."""
    if isinstance(data, np.ndarray | np.generic):
        return data if data.dtype.kind not in "biuf" else wrap(np.asarray(data))
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(entry) for entry in data))
    if isinstance(data, tuple):
        return [default_convert(entry) for entry in data]
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _rebuilt_sequence(data, [default_convert(entry) for entry in data])
    return data


def _tensors(batch: Sequence[Tensor]) -> Tensor:
    shapes = [tensor._data.shape for tensor in batch]
    if shapes.count(shapes[0]) != len(shapes):
        _refuse_shapes(shapes)
    kind = batch[0]._data.dtype
    if any(tensor.node is not None or tensor._data.dtype != kind for tensor in batch):
        from tinygrad_edu import stack

        return stack(list(batch), 0)
    return wrap(np.stack([tensor._data for tensor in batch]))


def _arrays(batch: Sequence[np.ndarray]) -> Tensor:
    if batch[0].dtype.kind not in "biuf":
        raise TypeError(
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
            f"found {batch[0].dtype} in an array. Fix: arrays of numbers."
        )
    shapes = [array.shape for array in batch]
    if shapes.count(shapes[0]) != len(shapes):
        _refuse_shapes(shapes)
    return wrap(np.stack(batch))


def _integers(batch: Sequence[int]) -> Tensor:
    numbers = np.array(batch)  # bool or int64; float64 when floats come after the first
    return wrap(numbers.astype(get_default_dtype().numpy) if numbers.dtype.kind == "f" else numbers)


def _refuse_shapes(shapes: list[tuple[int, ...]]) -> None:
    position = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
    raise RuntimeError(
        f"default_collate: stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 and "
        f"{list(shapes[position])} at entry {position}. Fix: resize or pad the samples, or pass your own collate_fn."
    )


def _mappings(batch: Sequence[Mapping]) -> Any:
    return _rebuilt_mapping(batch[0], {key: default_collate([sample[key] for sample in batch]) for key in batch[0]})


def _sequences(batch: Sequence[Sequence]) -> Any:
    first = batch[0]
    if any(len(sample) != len(first) for sample in batch):
        lengths = sorted({len(sample) for sample in batch})
        raise RuntimeError(
            f"default_collate: each element in list of batch should be of equal size, got lengths {lengths}. "
            "Fix: pad the samples, or pass a collate_fn of your own."
        )
    batches = [default_collate(entries) for entries in zip(*batch, strict=True)]
    if isinstance(first, tuple):
        return type(first)(*batches) if hasattr(first, "_fields") else batches
    return _rebuilt_sequence(first, batches)


def _rebuilt_mapping(like: Mapping, entries: dict) -> Any:
    """Return `entries` as the same kind of mapping as `like`, or as a dict where that kind cannot be made so."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(entries)
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _rebuilt_sequence(like: Sequence, entries: list) -> Any:
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for position, entry in enumerate(entries):
                clone[position] = entry
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


# In this order: a NumPy float64 is a float too, and a str is a sequence.
_COLLATE: list[tuple[Any, Callable[[Any], Any]]] = [
    (Tensor, _tensors),
    (np.ndarray, _arrays),
    ((np.number, np.bool_), lambda batch: wrap(np.array(batch))),
    (float, lambda batch: wrap(np.array(batch, np.float64))),
    (int, _integers),
    ((str, bytes), lambda batch: batch),
    (Mapping, _mappings),
    (Sequence, _sequences),
]
