"""PyTorch programs run unchanged: the same program, with either library in the name ``torch``, arrives at the same numbers."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.programs import classification, derivatives, networks, regression

PROGRAMS = regression.PROGRAMS + classification.PROGRAMS + networks.PROGRAMS + derivatives.PROGRAMS


def plain(value):
    """Numbers, texts and arrays out of whatever a program returns."""
    if hasattr(value, "detach"):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def run(program, library, folder):
    """Run a program and leave the library's default type as it was."""
    before = library.get_default_dtype()
    try:
        return plain(program(library, folder))
    finally:
        library.set_default_dtype(before)


def compare(ours, theirs, place):
    """Everything must have the same structure, types and shapes, and the numbers must be equal to rounding."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), place
        for key in theirs:
            compare(ours[key], theirs[key], f"{place}[{key!r}]")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), place
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            compare(a, b, f"{place}[{number}]")
    elif isinstance(theirs, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), place
        scale = np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * scale, err_msg=place)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=2e-5, abs=2e-6), place
    else:
        assert ours == theirs, place


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_program_gives_the_same_numbers(program, tmp_path):
    torch = pytest.importorskip("torch")
    ours = run(program, tg, tmp_path)
    theirs = run(program, torch, tmp_path)
    compare(ours, theirs, program.__name__)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_program_repeats_itself(program, tmp_path):
    first, second = run(program, tg, tmp_path), run(program, tg, tmp_path)
    np.testing.assert_equal(second, first)
