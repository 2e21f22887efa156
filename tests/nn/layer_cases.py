"""One record for each layer and set of options: how to make it, and what to feed it. Both libraries are given the same."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LayerCase:
    """A layer, its options, and the shapes of its inputs.

    Attributes
    ----------
    name, args, kwargs
        ``getattr(nn, name)(*args, **kwargs)``.
    shapes : list of shapes
        One for each floating-point input.
    extra : callable, optional
        ``extra(rng)`` returns further inputs: targets, class numbers, indices.
    random : bool
        Whether training mode draws random numbers, so that only evaluation mode can be compared.
    positive : bool
        Whether inputs are drawn from (0.05, 0.95): probabilities.
    rtol
        How exactly PyTorch's float64 numbers are met.
    """

    name: str
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    shapes: tuple = ((4, 6),)
    extra: Any = None
    random: bool = False
    positive: bool = False
    rtol: float = 1e-9

    def __str__(self) -> str:
        options = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"{self.name}({', '.join(options)})-{'-'.join(map(str, self.shapes))}"

    def inputs(self, dtype: Any = np.float64) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the floating-point inputs and the further ones."""
        rng = np.random.default_rng(11)
        draw = (lambda s: rng.uniform(0.05, 0.95, size=s)) if self.positive else (lambda s: rng.normal(size=s) * 1.5)
        floats = [np.asarray(draw(shape)).astype(dtype) for shape in self.shapes]
        extra = [] if self.extra is None else [x.astype(dtype) if x.dtype.kind == "f" else x for x in self.extra(rng)]
        return floats, extra


def case(name, *args, shapes=((4, 6),), extra=None, random=False, positive=False, rtol=1e-9, **kwargs):
    return LayerCase(name, args, kwargs, tuple(shapes), extra, random, positive, rtol)


def images(*lengths):
    return ((2, 4, *lengths),)


LINEAR = [
    case("Linear", 6, 3),
    case("Linear", 6, 3, bias=False, shapes=((2, 5, 6),)),
    case("Linear", 6, 3, shapes=((6,),)),
    case("Bilinear", 6, 5, 3, shapes=((4, 6), (4, 5))),
    case("Bilinear", 6, 5, 3, bias=False, shapes=((4, 6), (4, 5))),
    case("Identity", 54, unused=True),
]

CONVOLUTION = [
    case("Conv1d", 4, 6, 3, shapes=images(9)),
    case("Conv1d", 4, 6, 2, stride=2, padding=1, dilation=2, groups=2, bias=False, shapes=images(9)),
    case("Conv1d", 4, 6, 4, padding="same", shapes=images(9)),
    case("Conv2d", 4, 6, 3, shapes=images(7, 8)),
    case("Conv2d", 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, shapes=images(7, 8)),
    case("Conv2d", 4, 6, 3, padding="valid", bias=False, shapes=images(7, 8)),
    case("Conv2d", 4, 6, 4, padding="same", dilation=(1, 2), shapes=images(9, 8)),
    case("Conv2d", 4, 6, 3, padding=1, padding_mode="reflect", shapes=images(7, 8)),
    case("Conv2d", 4, 6, 4, padding="same", padding_mode="replicate", shapes=images(7, 8)),
    case("Conv2d", 4, 6, 3, padding=(1, 2), padding_mode="circular", shapes=images(7, 8)),
    case("Conv2d", 4, 6, 3, shapes=((4, 7, 8),)),
    case("Conv3d", 4, 2, 2, padding=1, shapes=images(4, 5, 4)),
    case("ConvTranspose1d", 4, 6, 3, stride=2, output_padding=1, shapes=images(5)),
    case("ConvTranspose2d", 4, 6, 3, shapes=images(5, 6)),
    case(
        "ConvTranspose2d",
        4,
        6,
        (2, 3),
        stride=2,
        padding=1,
        output_padding=1,
        groups=2,
        dilation=2,
        shapes=images(5, 6),
    ),
    case("ConvTranspose2d", 4, 6, 4, 2, 1, bias=False, shapes=images(5, 6)),
    case("ConvTranspose3d", 4, 2, 2, stride=2, shapes=images(3, 3, 3)),
]

POOLING = [
    case("MaxPool1d", 3, 2, 1, shapes=images(9)),
    case("MaxPool2d", 2, shapes=images(6, 8)),
    case("MaxPool2d", (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), shapes=images(7, 8)),
    case("MaxPool2d", 3, 2, ceil_mode=True, return_indices=True, shapes=images(6, 8)),
    case("MaxPool3d", 2, shapes=images(4, 4, 4)),
    case("AvgPool1d", 3, 2, 1, shapes=images(9)),
    case("AvgPool2d", 2, shapes=images(6, 8)),
    case("AvgPool2d", (3, 2), stride=2, padding=1, count_include_pad=False, ceil_mode=True, shapes=images(6, 8)),
    case("AvgPool2d", 2, divisor_override=3, shapes=images(6, 8)),
    case("AvgPool3d", 2, shapes=images(4, 4, 4)),
    case("LPPool1d", 2, 3, shapes=images(9), positive=True),
    case("LPPool2d", 2, 3, 2, shapes=images(6, 8), positive=True),
    case("LPPool3d", 2, 2, shapes=images(4, 6, 4), positive=True),
    case("FractionalMaxPool2d", 2, output_size=(4, 5), shapes=images(7, 8)),
    case("FractionalMaxPool2d", (2, 3), output_ratio=(0.5, 0.7), return_indices=True, shapes=images(7, 9)),
    case("FractionalMaxPool2d", 3, output_size=2, shapes=((4, 7, 8),)),
    case("FractionalMaxPool3d", 2, output_ratio=0.5, shapes=images(5, 6, 4)),
    case("FractionalMaxPool3d", (2, 1, 3), output_size=(2, 3, 1), return_indices=True, shapes=images(5, 6, 4)),
    case("AdaptiveAvgPool1d", 4, shapes=images(9)),
    case("AdaptiveAvgPool2d", (3, None), shapes=images(7, 8)),
    case("AdaptiveAvgPool2d", 1, shapes=images(7, 8)),
    case("AdaptiveAvgPool3d", 2, shapes=images(4, 5, 4)),
    case("AdaptiveMaxPool1d", 4, shapes=images(9)),
    case("AdaptiveMaxPool2d", (3, 2), return_indices=True, shapes=images(7, 8)),
    case("AdaptiveMaxPool3d", 2, shapes=images(4, 5, 4)),
]

NORMALIZATION = [
    case("BatchNorm1d", 6),
    case("BatchNorm1d", 4, momentum=None, shapes=images(5)),
    case("BatchNorm1d", 6, affine=False, track_running_stats=False),
    case("BatchNorm2d", 4, shapes=images(5, 3)),
    case("BatchNorm2d", 4, eps=1e-3, momentum=0.5, bias=False, shapes=images(5, 3)),
    case("BatchNorm3d", 4, shapes=images(2, 3, 2)),
    case("LayerNorm", 6),
    case("LayerNorm", (4, 6), eps=1e-3, bias=False, shapes=((2, 4, 6),)),
    case("LayerNorm", [6], elementwise_affine=False),
    case("RMSNorm", 6),
    case("RMSNorm", (4, 6), eps=1e-3, elementwise_affine=False, shapes=((2, 4, 6),)),
    case("GroupNorm", 2, 4, shapes=images(5, 3)),
    case("GroupNorm", 4, 4, affine=False, shapes=images(5)),
    case("InstanceNorm1d", 4, shapes=images(5)),
    case("InstanceNorm2d", 4, affine=True, track_running_stats=True, shapes=images(5, 3)),
    case("InstanceNorm2d", 4, shapes=((4, 5, 3),)),
    case("InstanceNorm3d", 4, shapes=images(2, 3, 2)),
    case("LocalResponseNorm", 3, shapes=images(5, 3)),
]

ACTIVATION = [
    *(case(name) for name in (
        "ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Sigmoid", "Tanh", "LogSigmoid", "Softsign",
        "Tanhshrink", "ELU", "CELU", "GELU", "GLU", "LeakyReLU", "PReLU", "Hardtanh", "Softplus", "Hardshrink", "Softshrink",
    )),
    case("Hardsigmoid", rtol=1e-7),  # PyTorch's slope is 1/6 rounded to float32
    case("ELU", 0.5),
    case("ELU", inplace=True, random=False),
    case("CELU", alpha=2.0),
    case("GELU", approximate="tanh"),
    case("GLU", dim=0),
    case("LeakyReLU", 0.2),
    case("RReLU", random=True),
    case("PReLU", 4, init=0.1, shapes=images(3)),
    case("Hardtanh", -2.0, 0.5),
    case("Threshold", 0.3, -1.0),
    case("Softplus", beta=2.0, threshold=1.0),
    case("Hardshrink", 1.0),
    case("Softshrink", 0.2),
    case("Softmax", dim=1),
    case("LogSoftmax", dim=-1),
    case("Softmin", dim=0),
    case("Softmax2d", shapes=images(3, 2)),
]  # fmt: skip

DROPOUT = [
    case("Dropout", random=True),
    case("Dropout", p=0.0),
    case("Dropout1d", 0.3, shapes=images(3), random=True),
    case("Dropout2d", 0.3, shapes=images(3, 2), random=True),
    case("Dropout3d", 0.3, shapes=images(3, 2, 2), random=True),
    case("AlphaDropout", random=True),
    case("FeatureAlphaDropout", random=True),
]

REARRANGING = [
    case("Flatten", shapes=images(3, 2)),
    case("Flatten", 0, 2, shapes=images(3, 2)),
    case("Unflatten", 1, (2, 3)),
    case("PixelShuffle", 2, shapes=images(3, 2)),
    case("PixelUnshuffle", 2, shapes=images(4, 2)),
    case("ChannelShuffle", 2, shapes=images(3, 2)),
    case("Unfold", 2, shapes=images(3, 4)),
    case("Unfold", (2, 3), dilation=1, padding=1, stride=2, shapes=images(5, 6)),
    case("Fold", (3, 4), 2, shapes=((2, 16, 6),)),
    case("Upsample", scale_factor=2, shapes=images(3, 2)),
    case("Upsample", size=(5, 7), mode="bilinear", align_corners=False, shapes=images(3, 2)),
    case("UpsamplingNearest2d", scale_factor=2, shapes=images(3, 2)),
    case("UpsamplingBilinear2d", scale_factor=2, shapes=images(3, 2)),
    case("ZeroPad1d", 2, shapes=images(4)),
    case("ZeroPad2d", (1, 2, 0, 3), shapes=images(4, 3)),
    case("ZeroPad3d", 1, shapes=images(2, 2, 2)),
    case("ConstantPad1d", (1, 2), 0.5, shapes=images(4)),
    case("ConstantPad2d", 1, -1.0, shapes=images(4, 3)),
    case("ConstantPad3d", 1, 2.0, shapes=images(2, 2, 2)),
    case("ReflectionPad1d", 2, shapes=images(4)),
    case("ReflectionPad2d", (1, 2, 2, 1), shapes=images(4, 3)),
    case("ReflectionPad3d", 1, shapes=images(2, 2, 2)),
    case("ReplicationPad1d", 2, shapes=images(4)),
    case("ReplicationPad2d", 1, shapes=images(4, 3)),
    case("ReplicationPad3d", 1, shapes=images(2, 2, 2)),
    case("CircularPad1d", 2, shapes=images(4)),
    case("CircularPad2d", 1, shapes=images(4, 3)),
    case("CircularPad3d", 1, shapes=images(2, 2, 2)),
]

EMBEDDING = [
    case("Embedding", 7, 3, shapes=(), extra=lambda rng: [rng.integers(7, size=(2, 5))]),
    case("Embedding", 7, 3, padding_idx=-2, shapes=(), extra=lambda rng: [np.array([5, 1, 5, 0])]),
    case("Embedding", 7, 3, max_norm=1.0, norm_type=1.0, shapes=(), extra=lambda rng: [np.array([5, 1, 5, 0])]),
    case("Embedding", 7, 3, scale_grad_by_freq=True, shapes=(), extra=lambda rng: [np.array([5, 1, 5, 0])]),
    case("EmbeddingBag", 7, 3, shapes=(), extra=lambda rng: [rng.integers(7, size=(2, 5))]),
    case("EmbeddingBag", 7, 3, mode="sum", shapes=(), extra=lambda rng: [rng.integers(7, size=9), np.array([0, 4, 6])]),
    case("EmbeddingBag", 7, 3, mode="max", padding_idx=1, shapes=(), extra=lambda rng: [rng.integers(7, size=(2, 5))]),
]


def classes(rng):
    return [rng.integers(6, size=4)]


def same(rng):
    return [rng.normal(size=(4, 6))]


def share(rng):
    return [rng.uniform(0.1, 0.9, size=(4, 6))]


def signs(rng):
    return [rng.choice([-1.0, 1.0], size=4)]


def everywhere(name, *args, **kwargs):
    return [case(name, *args, reduction=reduction, **kwargs) for reduction in ("mean", "sum", "none")]


LOSSES = [
    *everywhere("L1Loss", extra=same),
    *everywhere("MSELoss", extra=same),
    *everywhere("SmoothL1Loss", extra=same, beta=0.5),
    *everywhere("HuberLoss", extra=same, delta=0.7),
    *everywhere("CrossEntropyLoss", extra=classes),
    *everywhere("CrossEntropyLoss", extra=classes, ignore_index=2, label_smoothing=0.1),
    *everywhere("CrossEntropyLoss", extra=lambda rng: [rng.dirichlet(np.ones(6), size=4)]),
    case("CrossEntropyLoss", extra=lambda rng: [rng.integers(4, size=(2, 3, 2))], shapes=images(3, 2)),
    *everywhere("NLLLoss", extra=classes),
    *everywhere("BCELoss", extra=share, positive=True),
    *everywhere("BCEWithLogitsLoss", extra=share),
    *everywhere("KLDivLoss", extra=share),
    case("KLDivLoss", reduction="batchmean", log_target=True, extra=same),
    *everywhere("PoissonNLLLoss", extra=share, full=True),
    case("PoissonNLLLoss", log_input=False, extra=share, positive=True),
    *everywhere("GaussianNLLLoss", extra=lambda rng: [rng.normal(size=(4, 6)), rng.uniform(0.5, 2, size=(4, 6))], full=True),
    *everywhere("HingeEmbeddingLoss", extra=lambda rng: [rng.choice([-1.0, 1.0], size=(4, 6))]),
    *everywhere("SoftMarginLoss", extra=lambda rng: [rng.choice([-1.0, 1.0], size=(4, 6))]),
    *everywhere("MarginRankingLoss", shapes=((4,), (4,)), extra=signs, margin=0.3),
    *everywhere("CosineEmbeddingLoss", shapes=((4, 6), (4, 6)), extra=signs, margin=0.2),
    *everywhere("MultiLabelMarginLoss", extra=lambda rng: [np.tile([3, 0, -1, 1, 2, 5], (4, 1))]),
    *everywhere("MultiLabelSoftMarginLoss", extra=lambda rng: [rng.integers(2, size=(4, 6)).astype(float)]),
    *everywhere("MultiMarginLoss", extra=classes, p=2, margin=0.7),
    *everywhere("TripletMarginLoss", shapes=((4, 6),) * 3, swap=True),
    *everywhere("TripletMarginWithDistanceLoss", shapes=((4, 6),) * 3, margin=2.0),
    case("AdaptiveLogSoftmaxWithLoss", 6, 20, [3, 8], div_value=2.0, extra=lambda rng: [np.array([1, 19, 4, 2])]),
    case("AdaptiveLogSoftmaxWithLoss", 6, 20, [5], head_bias=True, extra=lambda rng: [np.array([0, 2, 1, 4])]),
    case("AdaptiveLogSoftmaxWithLoss", 6, 20, [3, 8], div_value=2.0, shapes=((6,),), extra=lambda rng: [np.array(7)]),
    case("CosineSimilarity", shapes=((4, 6), (4, 6))),
    case("PairwiseDistance", p=1.0, keepdim=True, shapes=((4, 6), (4, 6))),
]  # fmt: skip

CASES = [*LINEAR, *CONVOLUTION, *POOLING, *NORMALIZATION, *ACTIVATION, *DROPOUT, *REARRANGING, *EMBEDDING, *LOSSES]
