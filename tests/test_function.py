"""Functions with a derivative of their own, against torch's meaning."""

import gc
import weakref

import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, gradcheck, gradgradcheck
from tinygrad_edu.autograd.function import once_differentiable


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return grad * out


class SumAndProduct(Function):
    @staticmethod
    def forward(x, y, scale):
        return (x + y) * scale, x * y

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y, ctx.scale = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx, grad_sum, grad_product):
        x, y = ctx.saved_tensors
        return grad_sum * ctx.scale + grad_product * y, grad_sum * ctx.scale + grad_product * x, None


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def test_first_and_second_derivatives_through_a_saved_output():
    assert gradcheck(Exp.apply, leaf(0.3, -1.0))
    assert gradgradcheck(Exp.apply, leaf(0.3, -1.0))


def test_several_outputs():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert gradcheck(lambda a, b: SumAndProduct.apply(a, b, 2.0), (x, y))
    assert gradgradcheck(lambda a, b: SumAndProduct.apply(a, b, 2.0), (x, y))
    total, product = SumAndProduct.apply(x, y, 2.0)
    product.sum().backward()  # the other output is not used: its gradient is zeros
    assert x.grad.tolist() == [3.0, 4.0]
    del total


def test_the_graph_dies_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        out = Exp.apply(leaf(1.0))
        node = weakref.ref(out.grad_fn)
        del out
        assert node() is None
    finally:
        gc.enable()


def test_a_wrong_number_or_shape_of_gradients_is_refused():
    class TooFew(Exp):
        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    class WrongShape(Exp):
        @staticmethod
        def backward(ctx, grad):
            return grad.sum()

    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        TooFew.apply(leaf(1.0, 2.0)).sum().backward()
    with pytest.raises(RuntimeError, match=r"invalid gradient at index 0.*\[\].*\[2\]"):
        WrongShape.apply(leaf(1.0, 2.0)).sum().backward()


def test_an_overwritten_saved_tensor_is_refused():
    x = leaf(1.0, 2.0) * 1
    out = Exp.apply(x)
    out.detach().add_(1)
    with pytest.raises(RuntimeError, match="E201"):
        out.sum().backward()


def test_once_differentiable():
    class Once(Exp):
        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            (out,) = ctx.saved_tensors
            return grad * out

    x = leaf(1.0)
    Once.apply(x).sum().backward()
    assert x.grad is not None
    (first,) = tg.autograd.grad((Once.apply(x * 2) * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_needs_input_grad_and_a_second_pass():
    seen = []

    class Note(Exp):
        @staticmethod
        def backward(ctx, grad):
            seen.append(ctx.needs_input_grad)
            return Exp.backward(ctx, grad)

    x = leaf(1.0)
    out = Note.apply(x).sum()
    out.backward(retain_graph=True)
    out.backward()
    assert seen == [(True,), (True,)]
    with pytest.raises(RuntimeError, match="E204"):
        out.backward()


def test_no_recording_inside_no_grad():
    with tg.no_grad():
        assert not Exp.apply(leaf(1.0)).requires_grad
