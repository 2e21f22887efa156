"""Around training: data loading, the table of layers, checkpoints."""

from tinygrad_edu.utils import checkpoint, data
from tinygrad_edu.utils.serialization import load, save
from tinygrad_edu.utils.summary import summary

__all__ = ["checkpoint", "data", "load", "save", "summary"]
