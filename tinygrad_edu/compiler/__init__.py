"""Recorded steps: run a training step once, write down what it did, and run that again without the tape."""

from tinygrad_edu.compiler.step import RecordedStep, compile

__all__ = ["RecordedStep", "compile"]
