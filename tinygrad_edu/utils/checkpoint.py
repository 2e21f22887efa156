"""Parameters on disk as safetensors: plain numbers with names, nothing that could run code when loaded."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.visualize.files import write_whole

__all__ = ["CheckpointError", "load_checkpoint", "save_checkpoint"]


class CheckpointError(ValueError):
    """A file that is not a whole, valid checkpoint."""


def save_checkpoint(
    state: dict[str, Tensor], path: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> Path:
    """Write a ``state_dict`` to a safetensors file, whole or not at all.

    Parameters
    ----------
    state : dict of str to Tensor
        As ``model.state_dict()`` gives it.
    path : path
    metadata : dict of str to str, optional
        Notes stored in the file's header.

    Raises
    ------
    TypeError
        If a value is not a Tensor or a note is not a string.
    OSError
        If the file cannot be written; what was there before is unchanged.
    """
    from safetensors.numpy import save

    arrays = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"save_checkpoint: {name!r} is a {type(tensor).__name__}, not a Tensor. Fix: save model.state_dict()."
            )
        arrays[name] = np.ascontiguousarray(tensor.detach().numpy())
    for key, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise TypeError(f"save_checkpoint: metadata {key!r} must be a string, got {type(value).__name__}.")
    return write_whole(path, save(arrays, metadata))


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors by name, and the notes in its header.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is truncated, hostile or no safetensors file at all (E504); nothing in it is executed.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load_checkpoint: there is no file {str(path)!r}.")
    state: dict[str, Tensor] = {}
    try:
        with safe_open(str(path), framework="np") as file:
            notes: dict[str, Any] = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 - the file is not a dict
                array = file.get_tensor(name)
                dtypes.from_numpy_dtype(array.dtype)
                state[name] = wrap(np.array(array))
    except (SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"E504 in load_checkpoint: {str(path)!r} is not a valid safetensors checkpoint ({error}). "
            "Fix: use a file written by save_checkpoint or by safetensors; pickled checkpoints are not read."
        ) from error
    return state, notes
