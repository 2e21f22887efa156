"""The sizes of convolutions, of any number of dimensions: arguments as one number per dimension, and errors that name the fix."""

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.matmul import mixed_dtypes
from tinygrad_edu.ops.padding import pad
from tinygrad_edu.ops.windows import as_image, as_sizes, too_large
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []

Sizes = tuple[int, ...]


def convolution_sizes(
    input, weight, bias, stride, padding, dilation, groups, spatial: int, op: str, like=None
) -> tuple[Tensor, bool, Sizes, Sizes, Sizes]:
    """Check a convolution's arguments; errors about the input's shape tell that of `like`, which the user knows.

    Returns
    -------
    image : Tensor with a batch dimension, and padded where "same" cannot be said in numbers
    batched : bool
        Whether the input had the batch dimension.
    stride, padding, dilation : tuples of `spatial` int
    """
    stride, dilation = as_sizes(stride, spatial, op, "stride", 1), as_sizes(dilation, spatial, op, "dilation", 1)
    image, batched = as_image(input, spatial, op)
    check_weight(weight, spatial, op)
    _check_same_dtype(op, input=input, weight=weight, bias=bias)
    _check_channels(input if like is None else like, image.shape[1], weight.shape, groups, bias, op)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    if isinstance(padding, str):
        image, padding = _named_padding(image, padding, reach, stride, op)
    else:
        padding = as_sizes(padding, spatial, op, "padding")
    padded = tuple(size + 2 * p for size, p in zip(image.shape[2:], padding, strict=True))
    if any(size < r for size, r in zip(padded, reach, strict=True)):
        raise too_large(input, padded, reach, op)
    return image, batched, stride, padding, dilation


def transposed_sizes(
    input, weight, bias, stride, padding, output_padding, dilation, groups, spatial: int, op: str, like=None
) -> tuple[Tensor, bool, Sizes, Sizes, Sizes, Sizes, Sizes]:
    """Check a transposed convolution's arguments, likewise.

    Returns
    -------
    image, batched, stride, padding, extra (the output padding), dilation
    inner : tuple of `spatial` int
        The output's size before `padding` is cut off and `extra` added.
    """
    stride, dilation = as_sizes(stride, spatial, op, "stride", 1), as_sizes(dilation, spatial, op, "dilation", 1)
    padding, extra = as_sizes(padding, spatial, op, "padding"), as_sizes(output_padding, spatial, op, "output_padding")
    image, batched = as_image(input, spatial, op)
    check_weight(weight, spatial, op)
    _check_same_dtype(op, input=input, weight=weight, bias=bias)
    known = input if like is None else like
    _check_transposed(known, image.shape[1], weight.shape, groups, bias, extra, stride, dilation, op)
    inner = tuple(
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(image.shape[2:], stride, dilation, weight.shape[2:], strict=True)
    )
    size = tuple(n - 2 * p + more for n, p, more in zip(inner, padding, extra, strict=True))
    if min(size) < 1:
        raise RuntimeError(f"{op}: the output would have size {size}; it needs less padding than {padding}.")
    return image, batched, stride, padding, extra, dilation, inner


def _named_padding(image, padding: str, reach, stride, op: str):
    """Turn "valid" and "same" into numbers; "same" needs one more at the end of a dimension when the kernel is even."""
    if padding == "valid":
        return image, (0,) * len(reach)
    if padding != "same":
        raise RuntimeError(f"{op}: Invalid padding string {padding!r}. Fix: 'valid', 'same' or numbers.")
    if any(s != 1 for s in stride):
        raise RuntimeError(f"{op}: padding='same' is not supported for strided convolutions. Fix: padding as numbers.")
    if any((r - 1) % 2 for r in reach):
        image = pad(image, [n for r in reversed(reach) for n in (0, (r - 1) % 2)])
    return image, tuple((r - 1) // 2 for r in reach)


def check_weight(weight, spatial: int, op: str) -> None:
    """Refuse a weight of a wrong number of dimensions."""
    if weight.ndim != spatial + 2:
        raise ShapeError(
            message(
                "E113",
                op,
                f"expected a weight of {spatial + 2} dimensions, got shape {tuple(weight.shape)}.",
                f"a weight of shape (out_channels, in_channels // groups, {', '.join(['kernel'] * spatial)}).",
            )
        )


def _check_same_dtype(op: str, **tensors: Tensor | None) -> None:
    """Raise E109 unless all tensors have one dtype."""
    given = {name: t for name, t in tensors.items() if t is not None}
    if len({t.dtype for t in given.values()}) > 1:
        raise mixed_dtypes(op, **given)


def _check_channels(input, channels: int, weight_shape, groups: int, bias, op: str) -> None:
    """Refuse channels, groups and bias that do not fit the weight (E113)."""
    out_channels, wanted = weight_shape[0], weight_shape[1] * groups
    if groups < 1 or out_channels % groups:
        raise RuntimeError(
            f"{op}: expected weight to be divisible by groups: {out_channels} output channels in {groups} groups. "
            f"Fix: out_channels a multiple of groups, groups at least 1."
        )
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise RuntimeError(
            f"{op}: given weight of size {list(weight_shape)}, expected bias to be 1-dimensional with {out_channels} "
            f"elements, but got bias of size {list(bias.shape)} instead. Fix: a bias of shape ({out_channels},)."
        )
    if channels == wanted:
        return
    shape = tuple(input.shape)
    facts = (
        f"Given groups={groups}, weight of size {list(weight_shape)}, expected input{list(shape)} to have {wanted} "
        f"channels, but got {channels} channels instead; images are (N, C, H, W)."
    )
    raise ShapeError(message("E113", op, facts, _channel_fix(shape, wanted)))


def _channel_fix(shape: tuple[int, ...], wanted: int) -> str:
    if len(shape) == 4 and shape[-1] == wanted:
        return "the channels are last, x.permute(0, 3, 1, 2) puts them second."
    if len(shape) == 3 and shape[-1] == wanted:
        return "the channels are last, x.permute(2, 0, 1) puts them first."
    if len(shape) == 3 and wanted == 1:
        return f"a channel dimension is missing, x.unsqueeze(1) makes ({shape[0]}, 1, {shape[1]}, {shape[2]})."
    return f"make the layer's in_channels {shape[1] if len(shape) > 3 else shape[0]}, or give it {wanted} channels."


def _check_transposed(input, channels: int, weight_shape, groups: int, bias, extra, stride, dilation, op: str) -> None:
    """Refuse channels, groups, bias and output padding that a transposed convolution cannot have."""
    if groups < 1 or weight_shape[0] % groups:
        raise RuntimeError(
            f"{op}: expected weight to be divisible by groups: {weight_shape[0]} input channels in {groups} groups."
        )
    out_channels = weight_shape[1] * groups
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise RuntimeError(
            f"{op}: given transposed=1, weight of size {list(weight_shape)}, expected bias to be 1-dimensional with "
            f"{out_channels} elements, but got bias of size {list(bias.shape)} instead."
        )
    for more, s, d in zip(extra, stride, dilation, strict=True):
        if more >= max(s, d):
            raise RuntimeError(
                f"{op}: output padding must be smaller than either stride or dilation, but got output_padding={more}, "
                f"stride={s}, dilation={d}."
            )
    if channels != weight_shape[0]:
        facts = (
            f"Given transposed=1, weight of size {list(weight_shape)}, expected input{list(input.shape)} to have "
            f"{weight_shape[0]} channels, but got {channels} channels instead; images are (N, C, H, W)."
        )
        raise ShapeError(message("E113", op, facts, _channel_fix(tuple(input.shape), weight_shape[0])))
