"""Cases of recurrent networks: all time steps as one op, over sequences of equal and different lengths, both ways."""

from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops.recurrent import KINDS, layer, time_steps

STEPS = {
    "equal": time_steps((2, 2, 2)),
    "packed": time_steps((3, 2, 2, 1)),
    "packed backwards": time_steps((3, 2, 2, 1), True),
}


def case(kind: str, lengths: str) -> OpCase:
    """One kind of network with H = 3 over one set of lengths; the result is every h, the last ones, and the last cells."""
    steps = STEPS[lengths]
    rows, batch, gates = sum(count for _, count in steps), max(count for _, count in steps), KINDS[kind].gates
    # the kink of relu is out of reach: inputs are larger than what the state can subtract
    away = {"low": 2.0, "high": 4.0} if kind == "RNN_RELU" else {}
    small = {"low": 0.0, "high": 0.3} if kind == "RNN_RELU" else {}

    def arg(*shape, **options):
        return Arg(shapes=(shape,), **options)

    states = [arg(batch, 3, **small)] * KINDS[kind].states
    return OpCase(
        "recurrence",
        (arg(rows, 3 * gates, **away), arg(3 * gates, 3, **small), arg(3 * gates, **small), *states),
        {"kind": kind, "lengths": lengths},
        call=lambda lib, x, w, b, *states: tuple(layer(x, w, b, states, kind, steps)),
        torch=False,
    )


CASES = [case(kind, lengths) for kind in KINDS for lengths in STEPS]
