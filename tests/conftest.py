"""Shared test settings: Hypothesis profiles and the folder of the real digits."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

try:
    import tinygrad_edu.nn  # noqa: F401
except (
    ModuleNotFoundError
) as error:  # a bare checkout: the source folders nn/ optim/ datasets/ are mapped by the install
    raise pytest.UsageError(
        "tinygrad_edu is not installed: run `pip install -e .[test]` (or `make test`) first"
    ) from error

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=30, **QUIET)
settings.register_profile("ci", max_examples=30, derandomize=True, **QUIET)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The folder that holds the four official MNIST files; tests that need them are skipped without it."""
    for folder in (os.environ.get("TINYGRAD_EDU_DATA"), REPOSITORY.parent / "shared" / "data"):
        if folder and any(Path(folder).glob("**/train-images-idx3-ubyte*")):
            return Path(folder)
    pytest.skip("the real MNIST files are not here (set TINYGRAD_EDU_DATA to their folder)")
