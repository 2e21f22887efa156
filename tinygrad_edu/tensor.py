"""The Tensor: an array, and the node of the graph it came from. No mathematics here; operations are installed by `primitive`."""

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import CPU, device
from tinygrad_edu.dtypes import dtype
from tinygrad_edu.engine import backpropagate
from tinygrad_edu.errors import DtypeError, GraphError, ShapeError, message
from tinygrad_edu.grad_mode import set_grad_enabled
from tinygrad_edu.graph import HookHandle, Leaf, Node, add_hook
from tinygrad_edu.memory import note_write, version
from tinygrad_edu.mistakes import no_graph, notice_summed_losses, warn_of_no_gradient
from tinygrad_edu.recorders import again, look, recorders

__all__ = ["Size", "Tensor", "is_tensor", "wrap"]

if TYPE_CHECKING:
    from tinygrad_edu.operations import Operations  # the methods that declaring an op installs
else:
    Operations = object

_new = object.__new__


class Size(tuple):
    """A shape: a tuple of lengths that can count its elements."""

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements, the product of the lengths."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"tinygrad_edu.Size({list(self)})"


class Tensor(Operations):
    """A multi-dimensional array that remembers how it was computed.

    Make one with :func:`tinygrad_edu.tensor`; calling the class itself follows PyTorch's old constructor, where numbers are a
    shape and a list is data in the default floating type.

    Attributes
    ----------
    grad : Tensor or None
        The gradient that ``backward()`` has accumulated.
    grad_fn : Node or None
        The recorded operation that made this tensor; None for tensors made by the user.
    """

    # `_data` is an ndarray, or a NumPy number where an operation gave a 0-d result (three times as fast as a 0-d array).
    # `node` is None where no gradient is wanted. The slots after `_base` are filled only when used, see __getattr__.
    __slots__ = ("__weakref__", "_base", "_data", "_grad", "_views", "name", "node")

    _data: Any
    node: Any  # Node, Leaf or None
    _base: "Tensor | None"
    _grad: "Tensor | None"

    __array_priority__ = 1000
    __array_ufunc__ = None  # ndarray * tensor asks the tensor

    def __init__(self, *data: Any):
        if len(data) == 1 and not isinstance(data[0], int):
            source = data[0].numpy() if isinstance(data[0], Tensor) else data[0]
            self._data = np.array(source, dtypes.get_default_dtype().numpy)
        else:
            self._data = np.zeros(data if data else (0,), dtypes.get_default_dtype().numpy)
        self.node = self._base = None

    def __getattr__(self, name: str) -> Any:
        # Only reached when a slot was never filled: the rarely used ones have these defaults.
        if name in ("_grad", "name"):
            return None
        if name == "_views":
            self._views: list = []
            return self._views
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    # ---- what it is -------------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The length along each dimension."""
        return Size(self._data.shape)

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return dtypes.from_numpy_dtype(self._data.dtype)

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    is_cuda = is_sparse = is_quantized = is_mps = is_meta = False
    layout = "strided"

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.nbytes

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self._data.ndim

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or its length along `dim`."""
        if dim is None:
            return self.shape
        try:
            return self._data.shape[dim]
        except IndexError:
            raise IndexError(
                f"size: Dimension out of range (expected to be in range of [{-max(self.ndim, 1)}, {max(self.ndim, 1) - 1}], but got {dim})"
            ) from None

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    nelement = numel

    def element_size(self) -> int:
        """Return the bytes per element."""
        return self._data.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements apart neighbours lie in memory along each dimension."""
        steps = tuple(step // self._data.itemsize for step in self._data.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Tell whether the elements lie in memory in row-major order without gaps."""
        return bool(self._data.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Tell whether the elements are floating-point numbers."""
        return self._data.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Always False: complex numbers are not supported."""
        return False

    def is_signed(self) -> bool:
        """Tell whether the elements can be negative."""
        return self.dtype.is_signed

    def data_ptr(self) -> int:
        """Return the address of the first element."""
        return self.array().ctypes.data

    # ---- values -----------------------------------------------------------------------------------------------------------
    def array(self) -> np.ndarray:
        """Return the ndarray that holds the values; writing to it writes to the tensor."""
        data = self._data
        if data.__class__ is not np.ndarray:  # a NumPy number becomes memory of its own when somebody wants to share it
            data = self._data = np.asarray(data)
        return data

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Return the values as an ndarray that shares this tensor's memory.

        Raises
        ------
        RuntimeError
            If the tensor requires grad and `force` is False (E210): writing to the array could not be recorded.
        """
        if recorders:
            look("numpy()")
        if self.node is not None and not force:
            raise GraphError(
                message(
                    "E210",
                    "numpy()",
                    "Can't call numpy() on Tensor that requires grad: what is done to the array would not be recorded.",
                    "tensor.detach().numpy().",
                )
            )
        return self.array()

    def item(self) -> Any:
        """Return the value of a one-element tensor as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(
                f"item: a Tensor with {self._data.size} elements cannot be converted to Scalar (shape {tuple(self._data.shape)}). "
                "Fix: reduce it first, e.g. x.mean().item(), or use x.tolist()."
            )
        if recorders:
            look("item()")
        node = self.node
        if node is not None and node.mark is None:  # no backward pass has been here
            notice_summed_losses(node)
        return self._data.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        if recorders:
            look("tolist()")
        return self._data.tolist()

    @property
    def data(self) -> "Tensor":
        """The same values outside the graph: writes through it are not recorded."""
        return wrap(self.array())

    @data.setter
    def data(self, value: "Tensor") -> None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"data: a Tensor must be assigned, got {type(value).__name__}. Fix: w.data = tg.tensor(...)."
            )
        if isinstance(self.node, Leaf) and value._data.dtype.kind != "f":
            raise DtypeError(f"data: a tensor that requires grad must be floating-point, got {value.dtype}.")
        self._data = value.array()

    def detach(self) -> "Tensor":
        """Return the same values cut off from the graph; the memory is shared."""
        return wrap(self.array())

    def detach_(self) -> "Tensor":
        """Cut this tensor off from the graph in place."""
        self.node = None
        return self

    # ---- gradient ---------------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor. Only leaves may be switched."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value == (self.node is not None):
            return
        if not value:
            if not self.node.is_leaf:  # type: ignore[union-attr]
                raise GraphError(
                    message(
                        "",
                        "requires_grad",
                        "you can only change requires_grad flags of leaf variables.",
                        "use x.detach().",
                    )
                )
            self._grad = self.grad
            self.node = None
            return
        if self._data.dtype.kind != "f":
            raise DtypeError(
                message(
                    "E110",
                    "requires_grad",
                    f"only Tensors of floating point dtype can require gradients, this one holds {self.dtype}.",
                    "write decimal points, tg.tensor([1., 2., 3.], requires_grad=True), or convert with .float().",
                )
            )
        self.node = leaf = Leaf(self)
        leaf.total = self._grad

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Switch :attr:`requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user rather than by a recorded operation."""
        return self.node is None or self.node.is_leaf

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor."""
        node = self.node
        return None if node is None or node.is_leaf else node

    @property
    def grad(self) -> "Tensor | None":
        """The accumulated gradient, d(what backward() was called on) / d(this tensor)."""
        leaf = self.node
        if leaf is None or not leaf.is_leaf:
            if leaf is not None and self._grad is None and not self.retains_grad:
                warn_of_no_gradient(leaf)
            return self._grad
        total = leaf.total  # type: ignore[attr-defined]
        if total is not None and total.__class__ is not Tensor:
            total = leaf.total = wrap(total)  # type: ignore[attr-defined]
        return total

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        node = self.node
        if value is None and not recorders and node is not None and node.is_leaf:  # x.grad = None, before every step
            node.total = None
        else:
            self._set_grad(value)

    @again
    def _set_grad(self, value: "Tensor | None") -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value._data.shape != self._data.shape:
                raise ShapeError(
                    f"grad: assigned grad has data of a different size, {tuple(value.shape)} for a tensor of shape {tuple(self.shape)}"
                )
        if self.node is not None and self.node.is_leaf:
            self.node.total = value  # type: ignore[attr-defined]
        else:
            self._grad = value

    @property
    def retains_grad(self) -> bool:
        """Whether :meth:`retain_grad` was called on this interior tensor."""
        node = self.node
        return node is not None and any(isinstance(hook, _Retain) for hook in node.hooks or ())

    def retain_grad(self) -> None:
        """Keep the gradient of an interior tensor in its ``.grad``."""
        if self.node is None:
            raise GraphError("retain_grad: can't retain_grad on Tensor that has requires_grad=False")
        if not self.node.is_leaf and not self.retains_grad:
            add_hook(self.node, _Retain(self))

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> HookHandle:
        """Call ``hook(grad)`` when this tensor's gradient is known; a returned Tensor replaces it.

        >>> import tinygrad_edu as tg
        >>> x = tg.tensor([1., 2.], requires_grad=True)
        >>> handle = x.register_hook(lambda grad: grad * 10)
        >>> x.sum().backward()
        >>> x.grad.tolist()
        [10.0, 10.0]
        """
        if self.node is None:
            raise GraphError("register_hook: cannot register a hook on a tensor that doesn't require gradient")
        if not callable(hook):
            raise TypeError(f"register_hook: a hook must be callable, got {type(hook).__name__}")

        def on_gradient(gradient: Any) -> Any:
            recorded = isinstance(gradient, Tensor)
            answer = hook(gradient if recorded else wrap(gradient))
            if answer is None or recorded:
                return answer
            return answer._data

        return add_hook(self.node, on_gradient)

    def register_post_accumulate_grad_hook(self, hook: Callable[["Tensor"], None]) -> HookHandle:
        """Call ``hook(tensor)`` when backward has added to this leaf's ``.grad``, for example to step and free it at once.

        >>> import tinygrad_edu as tg
        >>> w = tg.tensor([1., 2.], requires_grad=True)
        >>> handle = w.register_post_accumulate_grad_hook(lambda w: print(w.grad.tolist()))
        >>> w.sum().backward()
        [1.0, 1.0]
        """
        leaf = self.node
        if leaf is None:
            raise GraphError(
                "register_post_accumulate_grad_hook: cannot register a hook on a tensor that doesn't require gradient"
            )
        if not leaf.is_leaf:
            raise GraphError(
                "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        if not callable(hook):
            raise TypeError(f"register_post_accumulate_grad_hook: a hook must be callable, got {type(hook).__name__}")
        if leaf.after is None:
            leaf.after = []
        leaf.after.append(hook)
        return HookHandle(leaf.after, hook)

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Compute d(self)/d(leaf) for every leaf and add it to the leaf's ``.grad``.

        Parameters
        ----------
        gradient : Tensor, optional
            The vector v of the vector-Jacobian product, of this tensor's shape; needed unless the tensor has one element.
        retain_graph : bool, optional
            Keep the saved values so that backward can run again; defaults to `create_graph`.
        create_graph : bool
            Record the backward pass itself, for derivatives of derivatives.
        inputs : Tensor or sequence of Tensor, optional
            Accumulate only into these.

        Raises
        ------
        RuntimeError
            Without a graph (E203), a second time (E204), or on a non-scalar without `gradient` (E205).
        """
        seed = seed_of(self, gradient, create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        if inputs is None:
            backpropagate((seed,), None, keep, create_graph, deposit)
        else:
            backward_into([seed], inputs, keep, create_graph)

    @property
    def _version(self) -> int:
        """How many in-place writes this tensor's memory has seen."""
        return version(self._data) if isinstance(self._data, np.ndarray) else 0

    # ---- Python's protocols -----------------------------------------------------------------------------------------------
    def __repr__(self) -> str:
        from tinygrad_edu.printing import describe

        return describe(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self._data.ndim == 0 else format(str(self), spec)

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self._data.shape[0]))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise RuntimeError(
                f"bool: Boolean value of Tensor with {'no values' if not self._data.size else 'more than one value'} is ambiguous. "
                "Fix: (a == b).all() or .any()."
            )
        if recorders:
            look("a condition (if, while, and, or, not)")
        return bool(self._data.item())

    def __int__(self) -> int:
        return int(self._only_one("int"))

    def __float__(self) -> float:
        return float(self._only_one("float"))

    def _only_one(self, kind: str) -> Any:
        if self._data.size != 1:
            raise ValueError(
                f"{kind}: only one element tensors can be converted to Python scalars, this one has shape {tuple(self._data.shape)}. "
                "Fix: reduce it first, e.g. x.mean(), or use x.tolist()."
            )
        return self.item()

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iub" or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        if recorders:
            look("an index")
        return int(self._data.item())

    def __contains__(self, value: Any) -> bool:
        return bool((self._data == (value._data if isinstance(value, Tensor) else value)).any())

    __hash__ = object.__hash__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array().__dlpack_device__()

    def __copy__(self) -> "Tensor":
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict) -> "Tensor":
        if not self.is_leaf:
            raise GraphError(
                "deepcopy: only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                "Fix: copy.deepcopy(x.detach())."
            )
        out = _new(type(self))
        out._data, out._base, out.node = self.array().copy(), None, None
        memo[id(self)] = out
        if self.requires_grad:
            out.requires_grad = True
        if self.grad is not None:
            out.grad = self.grad.detach().__deepcopy__(memo)
        return out

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a Tensor is not pickled: unpickling can run code. Fix: tg.save(model.state_dict(), 'model.safetensors'), "
            "or pickle x.detach().numpy()."
        )


class _Retain:
    """A hook that stores an interior tensor's gradient; it holds the tensor weakly, so the graph can die with it."""

    def __init__(self, tensor: Tensor):
        self._tensor = weakref.ref(tensor)

    def __call__(self, gradient: Any) -> None:
        tensor = self._tensor()
        if tensor is not None:
            now = gradient if isinstance(gradient, Tensor) else wrap(np.array(gradient))
            tensor._grad = now if tensor._grad is None else tensor._grad + now


def wrap(data: Any, node: Node | None = None) -> Tensor:
    """Return a Tensor around an array (no copy, no checks): the internal constructor."""
    out = _new(Tensor)
    out._data = data
    out.node = node
    out._base = None
    return out


def is_tensor(obj: object) -> bool:
    """Tell whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


_ONE = {kind: kind(1) for kind in (np.float32, np.float64, np.float16)}


def seed_of(tensor: Tensor, gradient: Tensor | None, create_graph: bool) -> tuple[Node, Any]:
    """Return the node to start from and the gradient to start with; explain what is wrong otherwise."""
    data = tensor._data
    if gradient is None and not create_graph and tensor.node is not None and data.__class__ in _ONE:
        return tensor.node, _ONE[data.__class__]  # the usual loss: one number
    if tensor.node is None:
        raise no_graph(data)
    if gradient is None:
        if data.size != 1:
            raise GraphError(
                message(
                    "E205",
                    "backward",
                    f"grad can be implicitly created only for scalar outputs, this tensor has shape {tuple(data.shape)}.",
                    "reduce it first, loss.mean().backward() or loss.sum().backward(), or pass the vector v of v'J: "
                    "y.backward(gradient=v) with v.shape == y.shape.",
                )
            )
        ones: Any = data.dtype.type(1) if data.__class__ is not np.ndarray else np.ones(data.shape, data.dtype)
        return tensor.node, wrap(ones) if create_graph else ones
    if not isinstance(gradient, Tensor):
        raise TypeError(f"backward: gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient._data.shape != data.shape:
        raise ShapeError(
            message(
                "E205",
                "backward",
                f"Mismatch in shape: the gradient has shape {tuple(gradient._data.shape)} and the tensor {tuple(data.shape)}.",
                "pass a gradient of the tensor's own shape.",
            )
        )
    if gradient._data.dtype != data.dtype:
        gradient = wrap(gradient._data.astype(data.dtype))
    return tensor.node, gradient if create_graph else gradient._data


def backward_into(seeds: list, inputs: Any, retain_graph: bool, create_graph: bool) -> None:
    """Run backward and accumulate only into `inputs`."""
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not wanted:
        raise RuntimeError("backward: 'inputs' argument to backward() cannot be empty.")
    for tensor in wanted:
        if tensor.node is None:
            raise GraphError("backward: one of the inputs does not require grad.")
    found = backpropagate(
        seeds, {t.node for t in wanted}, retain_graph=retain_graph, create_graph=create_graph, deposit=deposit
    )
    for tensor in wanted:
        gradient = found.pop(tensor.node, None)
        if gradient is None:
            continue
        if tensor.node.is_leaf:
            deposit(tensor.node, gradient, False)
        else:
            _Retain(tensor)(gradient)


def deposit(leaf: Leaf, gradient: Any, owned: bool) -> None:
    """Add a finished gradient to what a leaf has: the first is taken over or copied, later ones are added in place."""
    total = leaf.total
    if total is None:
        if gradient.__class__ is np.ndarray and not (owned and gradient.flags.carray):
            gradient = gradient.copy()  # somebody else holds this memory, or it is spread or read-only
        leaf.total = gradient
    elif gradient.__class__ is Tensor:
        leaf.total = (total if total.__class__ is Tensor else wrap(total)) + gradient
    elif total.__class__ is np.ndarray:
        np.add(total, gradient, total)
    elif total.__class__ is Tensor:
        if total.node is None:
            np.add(total.array(), gradient, total.array())
            note_write(total.array(), "backward")
        else:
            leaf.total = total + wrap(gradient)
    else:
        leaf.total = total + gradient
    if leaf.after and (variable := leaf.variable) is not None:
        with set_grad_enabled(gradient.__class__ is Tensor):  # a recorded backward pass
            for hook in tuple(leaf.after):
                hook(variable)
