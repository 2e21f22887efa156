"""Benchmarks: the same networks, weights and batches for every library, side by side.

Run them from the root of the repository with ``python -m benchmarks``; ``--help`` lists the choices.
"""
