"""Sums of products over named dimensions: einsum and tensordot, made of one primitive that is its own derivative."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.diagonal import diagonal
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.matmul import mixed_dtypes
from tinygrad_edu.ops.reduction import sum_along
from tinygrad_edu.ops.shape import permute_dims, squeeze
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__ = ["bilinear", "einsum", "tensordot"]

Labels = tuple[Hashable, ...]


@primitive(method=False, node_name="BmmBackward0")
def contract(x, y, /, xs, ys, out_labels):
    """Sum over the labels that are not in `out_labels` of x * y, dimensions named by the labels `xs` and `ys`.

    No label repeats within an operand, and one that only one operand has is in the result. It runs as a batch of matrix
    products: the labels that all three have are the batch, those of one operand and the result its rows or columns.
    """
    batch = [a for a in xs if a in ys and a in out_labels]
    inner = [a for a in xs if a in ys and a not in out_labels]
    rows, columns = [a for a in xs if a not in ys], [a for a in ys if a not in xs]
    size = {**dict(zip(xs, x.shape, strict=True)), **dict(zip(ys, y.shape, strict=True))}
    count = {
        name: math.prod(size[a] for a in part)
        for name, part in (("b", batch), ("k", inner), ("m", rows), ("n", columns))
    }
    left = np.transpose(x, [xs.index(a) for a in batch + rows + inner]).reshape(count["b"], count["m"], count["k"])
    right = np.transpose(y, [ys.index(a) for a in batch + inner + columns]).reshape(count["b"], count["k"], count["n"])
    order = batch + rows + columns
    out = np.matmul(left, right).reshape([size[a] for a in order])
    return out.transpose([order.index(a) for a in out_labels])


contract.derivative(
    x=lambda g, y, xs, ys, out_labels: contract(g, y, out_labels, ys, xs),
    y=lambda g, x, xs, ys, out_labels: contract(x, g, xs, out_labels, ys),
)


# ---- einsum -----------------------------------------------------------------------------------------------------------------
@composite(method=False)
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sum of products after Einstein's convention: letters name dimensions, those missing on the right are summed over.

    Parameters
    ----------
    equation : str
        Such as ``"ij,jk->ik"``. A letter twice in an operand takes the diagonal, ``...`` stands for any leading
        dimensions, which broadcast; without ``->`` the letters that occur once, in alphabetical order, are the result.
    *operands : Tensor
        One per term, or one sequence of them; they are joined from left to right.

    Raises
    ------
    RuntimeError
        If a term does not fit its operand or two lengths of a letter differ.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([[1., 2.], [3., 4.]])
    >>> tg.einsum("ii", x).item(), tg.einsum("ij->j", x).tolist()
    (5.0, [4.0, 6.0])
    """
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    terms, result = _parse(equation, [tuple(t.shape) for t in operands])
    kinds = {t.dtype for t in operands}
    if len(kinds) > 1:
        raise mixed_dtypes("einsum", **{f"operand{i}": t for i, t in enumerate(operands)})
    parts = [_take_diagonals(t, term) for t, term in zip(operands, terms, strict=True)]
    parts = _drop_ones(parts, equation)
    x, xs = parts[0]
    for position, (y, ys) in enumerate(parts[1:], 1):
        later = {a for _, labels in parts[position + 1 :] for a in labels} | set(result)
        x, xs = _sum_out(x, xs, later | set(ys))
        y, ys = _sum_out(y, ys, later | set(xs))
        together = tuple(a for a in (*xs, *(b for b in ys if b not in xs)) if a in later)
        x, xs = contract(x, y, xs, ys, together), together
    x, xs = _sum_out(x, xs, set(result))
    order = tuple(xs.index(a) for a in result)
    return x if order == tuple(range(len(order))) else permute_dims(x, order)


def _parse(equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[Labels], Labels]:
    """Return the labels of every operand and of the result; the dimensions of ``...`` are numbered from the right."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise _wrong(f"fewer or more operands ({len(shapes)}) than terms ({len(terms)}) in {equation!r}.")
    widest = 0
    labels: list[Labels] = []
    for term, shape in zip(terms, shapes, strict=True):
        named = term.replace("...", "", 1)
        if not all(a.isascii() and a.isalpha() for a in named):
            raise _wrong(f"the term {term!r} holds something else than letters and one '...'.")
        dots = len(shape) - len(named)
        if dots < 0 or (dots and "..." not in term):
            raise _wrong(f"the term {term!r} names {len(named)} dimensions, its operand has the shape {shape}.")
        widest = max(widest, dots)
        head, _, tail = term.partition("...")
        labels.append((*head, *range(-dots, 0), *tail) if "..." in term else tuple(term))
    if not arrow:
        once = sorted(a for a in set(left) if a.isalpha() and left.count(a) == 1)
        return labels, (*range(-widest, 0), *once)
    head, dots_, tail = right.partition("...")
    result = (*head, *(range(-widest, 0) if dots_ else ()), *tail)
    known = {a for term in labels for a in term}
    unknown = [a for a in result if a not in known]
    if unknown or len(set(result)) != len(result):
        raise _wrong(f"the result {right!r} repeats a letter or names one that no operand has.")
    return labels, result


def _wrong(facts: str) -> ShapeError:
    return ShapeError(
        message("E104", "einsum", facts, "one term per operand and one letter per dimension: 'ij,jk->ik'.")
    )


def _take_diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """Replace a label that occurs twice by the diagonal."""
    for a in dict.fromkeys(labels):
        while labels.count(a) > 1:
            first = labels.index(a)
            second = labels.index(a, first + 1)
            if x.shape[first] != x.shape[second]:
                raise _wrong(f"the letter {a!r} has the lengths {x.shape[first]} and {x.shape[second]} in one operand.")
            x = diagonal(x, 0, first, second)
            labels = (*(b for d, b in enumerate(labels) if d not in (first, second)), a)
    return x, labels


def _drop_ones(parts: list[tuple[Tensor, Labels]], equation: str) -> list[tuple[Tensor, Labels]]:
    """Let length 1 broadcast: drop such a dimension where another operand has the label at full length."""
    size: dict[Hashable, int] = {}
    for x, labels in parts:
        for a, n in zip(labels, x.shape, strict=True):
            if size.setdefault(a, n) != n:
                if 1 not in (size[a], n):
                    name = f"the letter {a!r}" if isinstance(a, str) else "a dimension of '...'"
                    raise _wrong(f"{name} of {equation!r} has the lengths {size[a]} and {n}.")
                size[a] = n if size[a] == 1 else size[a]
    dropped = []
    for x, labels in parts:
        ones = tuple(d for d, a in enumerate(labels) if x.shape[d] != size[a])
        dropped.append(
            (squeeze(x, ones), tuple(a for d, a in enumerate(labels) if d not in ones)) if ones else (x, labels)
        )
    return dropped


def _sum_out(x: Tensor, labels: Labels, wanted: set) -> tuple[Tensor, Labels]:
    """Sum over the dimensions that nobody wants any more."""
    dims = tuple(d for d, a in enumerate(labels) if a not in wanted)
    if not dims:
        return x, labels
    return sum_along(x, dims, False), tuple(a for a in labels if a in wanted)


# ---- its relatives ----------------------------------------------------------------------------------------------------------
@composite(method=False)
def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """Sum of products over pairs of dimensions.

    Parameters
    ----------
    dims : int or pair of sequences
        The last `dims` dimensions of `a` with the first of `b`; or the dimensions of `a` and those of `b`, in pairs.

    Raises
    ------
    RuntimeError
        If paired dimensions have different lengths.
    """
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot: expects dims between 0 and {min(a.ndim, b.ndim)}, but got dims={dims}")
        pairs = [(a.ndim - dims + i, i) for i in range(dims)]
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
        first = [normalize_dim(d, a.ndim, "tensordot") for d in first]
        second = [normalize_dim(d, b.ndim, "tensordot") for d in second]
        if len(first) != len(second):
            raise RuntimeError(f"tensordot: both dimension lists should have same length, got {first} and {second}")
        pairs = [(i % a.ndim, j % b.ndim) for i, j in zip(first, second, strict=True)]
    for i, j in pairs:
        if a.shape[i] != b.shape[j]:
            facts = f"contracted dimensions need to match, but dim {i} of the first is {a.shape[i]} and dim {j} of the second {b.shape[j]}."
            raise ShapeError(message("E101", "tensordot", facts, "pairs of equal length."))
    if a.dtype != b.dtype:
        raise mixed_dtypes("tensordot", a=a, b=b)
    left: list[Hashable] = [("a", d) for d in range(a.ndim)]
    right: list[Hashable] = [("b", d) for d in range(b.ndim)]
    for i, j in pairs:
        right[j] = left[i]
    free = (*(x for x in left if x not in right), *(y for y in right if y not in left))
    return contract(a, b, tuple(left), tuple(right), free)


@composite(method=False)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Bilinear map, out[..., o] = sum over i, j of input1[..., i] * weight[o, i, j] * input2[..., j] + bias[o]."""
    if weight.ndim != 3 or (input1.shape[-1], input2.shape[-1]) != tuple(weight.shape[1:]):
        facts = (
            f"inputs {tuple(input1.shape)} and {tuple(input2.shape)} do not fit the weight {tuple(weight.shape)}, which is "
            "(out, in1, in2)."
        )
        raise ShapeError(message("E101", "bilinear", facts, "last sizes in1 and in2."))
    out = einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias
