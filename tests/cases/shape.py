"""Cases of the ops that change shapes, put tensors together and take them apart."""

import numpy as np

from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops import joining, padding, rearranging, shape

MATRIX = (Arg(shapes=((3, 4), (0, 4), (2, 1))),)
CUBE = (Arg(shapes=((2, 3, 4), (2, 0, 3), (1, 3, 1))),)
ANY = (Arg(shapes=((2, 3, 4), (5,), (), (0, 3))),)
VECTOR = (Arg(shapes=((5,), (1,), (0,))),)
THREE = tuple(Arg(shapes=((2, 3),)) for _ in range(3))


def method(name: str, args: tuple[Arg, ...], *given, **keyword) -> OpCase:
    """A case that calls a method, so that it reads the same in both libraries."""
    reference = keyword.pop("reference", None)
    torch = keyword.pop("torch", True)
    return OpCase(
        name,
        args,
        call=lambda lib, x, *more: getattr(x, name)(*more, *given, **keyword),
        reference=reference,
        torch=torch,
    )


RESHAPES = [
    OpCase(
        "reshape_to", MATRIX, call=lambda lib, x: shape.reshape_to(x, (x.shape[1], x.shape[0])), torch=False,
        reference=lambda x: x.reshape(x.shape[::-1]),
    ),
    method("reshape", (Arg(shapes=((2, 6), (3, 4))),), 4, -1),
    OpCase("reshape", (Arg(shapes=((2, 6), (0, 3))),), call=lambda lib, x: lib.reshape(x, (-1, 3))),
    method("reshape", (Arg(shapes=((), (1, 1))),), 1),
    method("view", (Arg(shapes=((4,),)),), (4, 1)),
    OpCase("view_as", (Arg(shapes=((4,), (0,))), Arg(shapes=((2, 2), (3, 0)))), call=lambda lib, x, y: x.contiguous().view_as(y)),
    OpCase("reshape_as", (Arg(shapes=((2, 6),)), Arg(shapes=((3, 4),))), call=lambda lib, x, y: x.reshape_as(y) * y),
    OpCase("flatten", ANY),
    OpCase("flatten", CUBE, {"start_dim": 1}),
    OpCase("flatten", CUBE, {"start_dim": 0, "end_dim": -2}),
    OpCase("ravel", ANY),
    OpCase("unflatten", (Arg(shapes=((2, 6), (0, 6))),), {"dim": 1, "sizes": (2, -1)}),
    OpCase("squeeze", (Arg(shapes=((1, 3, 1), (1,), (), (2, 1, 0))),)),
    OpCase("squeeze", (Arg(shapes=((1, 3, 1), (2, 3, 1))),), {"dim": -1}),
    OpCase("squeeze", (Arg(shapes=((1, 3, 1), (2, 3, 1))),), {"dim": (0, 2)}),
    OpCase("unsqueeze", ANY, {"dim": 0}),
    OpCase("unsqueeze", ANY, {"dim": -1}),
    OpCase("reinterpret", (Arg(shapes=((3, 4), (2,)), kind="int", low=0, high=9),), order=0,
           call=lambda lib, x: x.contiguous().view(lib.int32)),
]  # fmt: skip

ORDERS = [
    OpCase("transpose", CUBE, {"dim0": 0, "dim1": -1}),
    OpCase("transpose", (Arg(shapes=((),)),), {"dim0": 0, "dim1": -1}),
    OpCase(
        "permute_dims", CUBE, call=lambda lib, x: shape.permute_dims(x, (2, 0, 1)), torch=False,
        reference=lambda x: x.transpose(2, 0, 1),
    ),
    OpCase("permute", CUBE, call=lambda lib, x: lib.permute(x, (2, 0, 1))),
    method("permute", CUBE, -1, 1, 0),
    OpCase("movedim", CUBE, {"source": (0, 1), "destination": (-1, 0)}),
    OpCase("movedim", CUBE, {"source": 2, "destination": 0}),
    OpCase("moveaxis", CUBE, {"source": 0, "destination": 1}),
    OpCase("swapaxes", CUBE, {"axis0": 0, "axis1": 1}),
    OpCase("swapdims", CUBE, {"dim0": 0, "dim1": 1}),
    OpCase("t", (Arg(shapes=((3, 4), (5,), ())),)),
    OpCase("adjoint", CUBE),
    OpCase("permute", MATRIX, call=lambda lib, x: x.T),
    OpCase("adjoint", CUBE, call=lambda lib, x: x.mT),
    method("expand", (Arg(shapes=((3, 1), (1, 1))),), 2, -1, 4),
    method("expand", (Arg(shapes=((),)),), (2, 3)),
    OpCase("expand_as", (Arg(shapes=((3, 1), (1,))), Arg(shapes=((2, 3, 4), (2, 3)))), call=lambda lib, x, y: x.expand_as(y) * y),
]  # fmt: skip

REARRANGED = [
    method("repeat", (Arg(shapes=((2, 3), (3,), (), (0, 2))),), 2, 1, 3),
    method("repeat", (Arg(shapes=((2, 3),)),), (0, 2)),
    OpCase("tile", (Arg(shapes=((2, 3), (3,), (1, 2, 2))),), call=lambda lib, x: lib.tile(x, (2, 2))),
    OpCase(
        "reverse", CUBE, call=lambda lib, x: rearranging.reverse(x, (0, 2)), torch=False, reference=lambda x: np.flip(x, (0, 2))
    ),
    OpCase("flip", CUBE, call=lambda lib, x: lib.flip(x, (0, -1))),
    method("flip", CUBE, 1),
    OpCase("fliplr", MATRIX),
    OpCase("flipud", (Arg(shapes=((3, 4), (5,))),)),
    OpCase("roll", CUBE, {"shifts": 1}),
    OpCase("roll", CUBE, {"shifts": (1, -2), "dims": (0, 2)}),
    OpCase("roll", CUBE, {"shifts": -1, "dims": 1}),
    *(OpCase("rot90", CUBE, {"k": k, "dims": (0, 2)}) for k in (-1, 0, 1, 2)),
    method("unfold", (Arg(shapes=((7, 2), (3, 2))),), 0, 3, 2),
    method("unfold", (Arg(shapes=((2, 7),)),), -1, 2, 1),
    OpCase(
        "add_windows", (Arg(shapes=((3, 2, 3),)),), call=lambda lib, x: rearranging.add_windows(x, (7, 2), 0, 3, 2), torch=False,
        reference=lambda x: sum(np.pad(x[k].T, ((2 * k, 4 - 2 * k), (0, 0))) for k in range(3)),
    ),
    OpCase(
        "pad_constant", (Arg(shapes=((4, 3),)),), call=lambda lib, x: padding.pad_constant(x, ((1, -1), (-1, 2)), 0.5), torch=False,
        reference=lambda x: np.pad(x[:-1, 1:], ((1, 0), (0, 2)), constant_values=0.5),
    ),
]  # fmt: skip


IMAGES = (Arg(shapes=((2, 4, 5), (1, 3, 4))),)


def padded(*given, args=IMAGES, **keyword) -> OpCase:
    def call(lib, x):
        functional = padding if lib.__name__ == "tinygrad_edu" else lib.nn.functional
        return functional.pad(x, *given, **keyword)

    return OpCase("pad", args, call=call)


PADS = [
    padded((1, 2)),
    padded((1, 0, 0, 2), value=3.0),
    padded((-1, 2, 1, -1)),
    padded((0, 0, 1, 1, 2, 0), "constant", 0.5),
    *(padded((2, 1), mode=mode) for mode in ("reflect", "replicate", "circular")),
    *(
        padded((2, 1, 1, 2), mode=mode, args=(Arg(shapes=((1, 2, 4, 5),)),))
        for mode in ("reflect", "replicate", "circular")
    ),
]

JOINED = [
    OpCase(
        "join",
        THREE,
        call=lambda lib, *xs: joining.join(xs, dim=1),
        torch=False,
        reference=lambda *xs: np.concatenate(xs, 1),
    ),
    OpCase(
        "pile", THREE, call=lambda lib, *xs: joining.pile(xs, dim=1), torch=False, reference=lambda *xs: np.stack(xs, 1)
    ),
    OpCase("cat", (Arg(shapes=((2, 3),)), Arg(shapes=((2, 1),))), call=lambda lib, *xs: lib.cat(xs, -1)),
    OpCase(
        "cat",
        (Arg(shapes=((0,),)), Arg(shapes=((2, 1),)), Arg(shapes=((0, 1),))),
        call=lambda lib, *xs: lib.cat(list(xs)),
    ),
    OpCase("cat", (Arg(shapes=((2, 3),)),), call=lambda lib, x: lib.cat([x, x * 2, x])),
    OpCase("concat", THREE, call=lambda lib, *xs: lib.concat(xs, dim=0)),
    OpCase("concatenate", THREE, call=lambda lib, *xs: lib.concatenate(xs, dim=0)),
    *(OpCase("stack", THREE, call=lambda lib, *xs, dim=dim: lib.stack(xs, dim)) for dim in (0, 1, -1)),
    OpCase("stack", (Arg(shapes=((),)), Arg(shapes=((),))), call=lambda lib, *xs: lib.stack(xs)),
    *(
        OpCase(n, THREE, call=lambda lib, *xs, n=n: getattr(lib, n)(xs))
        for n in ("hstack", "vstack", "dstack", "column_stack")
    ),
    *(
        OpCase(n, (Arg(shapes=((3,), ())), Arg(shapes=((3,), ()))), call=lambda lib, *xs, n=n: getattr(lib, n)(xs))
        for n in ("hstack", "vstack", "row_stack", "dstack", "column_stack")
    ),
]

APART = [
    OpCase("split", CUBE, call=lambda lib, x: lib.split(x, 2, 2)),
    OpCase("split", (Arg(shapes=((6, 2), (6, 0))),), call=lambda lib, x: x.split([1, 0, 5])),
    OpCase("split_with_sizes", (Arg(shapes=((6, 2),)),), call=lambda lib, x: x.split_with_sizes([1, 5])),
    OpCase("chunk", (Arg(shapes=((7, 2), (3, 2), (0, 2))),), {"chunks": 3}),
    OpCase("tensor_split", (Arg(shapes=((7, 2), (2, 2))),), call=lambda lib, x: lib.tensor_split(x, 3)),
    OpCase("tensor_split", (Arg(shapes=((7, 2),)),), call=lambda lib, x: lib.tensor_split(x, (1, 5, 9))),
    OpCase("hsplit", (Arg(shapes=((4,), (2, 4))),), call=lambda lib, x: lib.hsplit(x, 2)),
    OpCase("vsplit", (Arg(shapes=((4, 2),)),), call=lambda lib, x: lib.vsplit(x, [1])),
    OpCase("dsplit", (Arg(shapes=((2, 3, 4),)),), call=lambda lib, x: lib.dsplit(x, 2)),
    OpCase("unbind", (Arg(shapes=((3, 2), (3,))),)),
    OpCase("unbind", (Arg(shapes=((3, 2),)),), {"dim": -1}),
    OpCase(
        "meshgrid",
        (Arg(shapes=((3,), ())), Arg(shapes=((2,), (2,)))),
        call=lambda lib, *xs: lib.meshgrid(*xs, indexing="ij"),
    ),
    OpCase("meshgrid", (Arg(shapes=((3,),)),) * 3, call=lambda lib, *xs: lib.meshgrid(*xs, indexing="xy")),
    OpCase("cartesian_prod", (Arg(shapes=((3,),)), Arg(shapes=((2,),))), call=lambda lib, *xs: lib.cartesian_prod(*xs)),
    OpCase("combinations", VECTOR),
    OpCase("combinations", VECTOR, {"r": 3, "with_replacement": True}),
]

CASES = [*RESHAPES, *ORDERS, *REARRANGED, *PADS, *JOINED, *APART]
