"""Around training: data loading, the table of layers, checkpoints."""

from tinygrad_edu.utils import data
from tinygrad_edu.utils.checkpoint import load_checkpoint, save_checkpoint
from tinygrad_edu.utils.summary import summary

__all__ = ["data", "load_checkpoint", "save_checkpoint", "summary"]
