"""Cases of conversions, copies and random draws from given probabilities."""

import numpy as np

import tinygrad_edu as tg
from tests.op_cases import Arg, OpCase, elementwise
from tinygrad_edu.ops import conversion, overwriting

CHANCES = Arg(shapes=((20,), (3, 4), ()), low=0.0, high=1.0, grad=False)


def seeded(name: str, arg: Arg, **params) -> OpCase:
    """A random op, drawing from a generator of its own."""
    return OpCase(
        name,
        (arg,),
        order=0,
        call=lambda lib, x: getattr(lib, name)(x, generator=lib.Generator().manual_seed(3), **params),
    )


CASES = [
    elementwise("cast", call=lambda lib, x: conversion.cast(x, tg.float64), torch=False, reference=lambda x: x),
    elementwise("cast", call=lambda lib, x: x.float().double(), tolerance=1e-2),  # differences see float32's steps
    elementwise("cast_away", order=0, call=lambda lib, x: x.to(lib.int32)),
    elementwise("cast_away", order=0, call=lambda lib, x: x.bool()),
    elementwise("clone"),
    elementwise("contiguous", call=lambda lib, x: x.contiguous()),
    elementwise("to", call=lambda lib, x: x.to("cpu", copy=True)),
    elementwise("to", order=0, call=lambda lib, x: x.to(lib.long)),
    OpCase("type_", (Arg(shapes=((3,),)),), call=lambda lib, x: x.type(lib.float64)),
    OpCase("type_", (Arg(shapes=((3,),)),), order=0, call=lambda lib, x: x.type(f"{lib.__name__.split('.')[0]}.LongTensor")),
    OpCase("type_as", (Arg(shapes=((3,),)), Arg(shapes=((2,),), kind="int", low=0, high=3)), order=0, call=lambda lib, x, y: y.type_as(x)),
    elementwise("replace", args=(Arg(shapes=((2, 3),)), Arg(shapes=((2, 3),))), call=lambda lib, x, y: overwriting.replace(x + y * 0, y + x * 0),
                torch=False, reference=lambda x, y: y + np.zeros_like(x)),
    OpCase("replace", (Arg(shapes=((2, 3),)), Arg(shapes=((3,),))), call=lambda lib, x, y: (x * 1).copy_(y) + x),
    seeded("bernoulli", CHANCES),
    seeded("multinomial", Arg(shapes=((5,), (3, 4)), low=0.1, high=1.0, grad=False), num_samples=7, replacement=True),
    seeded("poisson", Arg(shapes=((10,), (2, 3)), low=0.0, high=30.0, grad=False)),
]  # fmt: skip
