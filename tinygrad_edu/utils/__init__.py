"""Around training: data loading, the table of layers, checkpoints."""

from tinygrad_edu.utils import data
from tinygrad_edu.utils.serialization import load, save
from tinygrad_edu.utils.summary import summary

__all__ = ["data", "load", "save", "summary"]
