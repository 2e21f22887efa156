"""Cases of the ops of networks: convolution, pooling, normalization, losses, dropout, embedding, attention."""

import itertools

import numpy as np

from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops import (
    adaptive_pooling,
    convolution,
    convolution_relu,
    embedding,
    loss_binary,
    loss_classes,
    loss_regression,
    normalization,
    patches,
    pooling,
)
from tinygrad_edu.ops.workspace import Workspace


def one(*shapes, **options) -> Arg:
    """An argument with its shapes to choose from."""
    return Arg(shapes=shapes, **options)


def whole(high: int, *shapes) -> Arg:
    """An argument of whole numbers from 0 to high - 1."""
    return Arg(shapes=shapes, kind="int", low=0, high=high)


def functional(name: str, args: tuple[Arg, ...], *given, options: dict | None = None, **keyword) -> OpCase:
    """A case of ``nn.functional``: call(*tensors, *given, **keyword)."""
    return OpCase(
        name, args, call=lambda lib, *tensors: getattr(lib.nn.functional, name)(*tensors, *given, **keyword), **(options or {})
    )  # fmt: skip


def ours(name: str, args: tuple[Arg, ...], call, **options) -> OpCase:
    """A case of a primitive that torch has no name for."""
    return OpCase(name, args, call=lambda lib, *tensors: call(*tensors), torch=False, **options)


def signs(rng: np.random.Generator, shape) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape)


PROBABILITY = {"low": 0.1, "high": 0.9}

# ---- convolution ------------------------------------------------------------------------------------------------------------
IMAGE = one((2, 4, 6, 5), (4, 6, 5))
CONVOLUTION = [
    ours("convolution", (one((2, 4, 5, 6)), one((4, 2, 3, 2)), one((4,))),
         lambda x, w, b: convolution.convolution(x, w, b, (2, 1), (1, 0), (1, 2), 2)),
    ours("convolution_input", (one((2, 3, 3, 4)), one((3, 2, 3, 2))),
         lambda y, w: convolution.convolution_input(y, w, (5, 5), (2, 1), (1, 0), (1, 1), 1)),
    ours("channel_sums", (one((2, 3, 4, 5), (0, 2, 3, 3), (1, 1, 1, 1)),), convolution.channel_sums),
    ours("convolution_weight", (one((2, 2, 5, 5)), one((2, 3, 3, 4))),
         lambda x, y: convolution.convolution_weight(x, y, (3, 2), (2, 1), (1, 0), (1, 1), 1)),
    ours("convolution_relu", (one((2, 4, 5, 6)), one((4, 2, 3, 2)), one((4,))),
         lambda x, w, b: convolution_relu.convolution_relu(x, w, b, (2, 1), (1, 0), (1, 2), 2, 1, Workspace())),
    ours("convolution_relu", (one((2, 2, 6, 7)), one((3, 2, 3, 2)), one((3,))),
         lambda x, w, b: convolution_relu.convolution_relu(x, w, b, (1, 1), (1, 1), (1, 1), 1, 2, Workspace())),
    functional("conv2d", (IMAGE, one((3, 4, 3, 2)), one((3,)))),
    functional("conv2d", (IMAGE, one((3, 4, 3, 2))), None, 2, (1, 2)),
    functional("conv2d", (IMAGE, one((4, 1, 3, 2)), one((4,))), 1, 1, (2, 1), 4),
    functional("conv2d", (IMAGE, one((2, 4, 2, 3))), None, 1, "same", 2),
    functional("conv1d", (one((2, 4, 7), (4, 7)), one((2, 4, 3)), one((2,))), 2, 1),
    functional("conv1d", (one((2, 4, 7)), one((4, 2, 2))), None, 1, "valid", 1, 2),
    functional("conv3d", (one((1, 2, 3, 4, 4)), one((2, 1, 2, 3, 2)), one((2,))), (1, 2, 1), (1, 0, 1), 1, 2),
    functional("conv_transpose2d", (IMAGE, one((4, 3, 3, 2)), one((3,))), 2, 1, 1),
    functional("conv_transpose2d", (IMAGE, one((4, 1, 2, 2))), None, 1, 0, 0, 2, (1, 2)),
    functional("conv_transpose2d", (one((1, 2, 3, 3)), one((2, 2, 2, 2))), None, 1, 1, 1, 1, 2),
    functional("conv_transpose1d", (one((2, 4, 5), (4, 5)), one((4, 2, 3)), one((2,))), 2, 1, 1),
    functional("conv_transpose3d", (one((1, 2, 2, 3, 3)), one((2, 2, 2, 2, 2)), one((2,))), 2, 1, (1, 0, 1)),
]  # fmt: skip

# ---- pooling ----------------------------------------------------------------------------------------------------------------
SEQUENCE, PLANE, VOLUME = ((2, 3, 8), (3, 8)), ((2, 3, 7, 6), (3, 7, 6)), ((2, 2, 4, 5, 4), (2, 4, 5, 4))
INDEX = np.array([[[[0, 5], [5, 3]]]])


def window_max(x):
    return pooling.window_max(x, (2, 2), (2, 2), (0, 0), (1, 1), False, Workspace())


def pool_and_back(name: str, spatial: int, shape) -> OpCase:
    def call(lib, x):
        f = lib.nn.functional
        values, indices = getattr(f, f"max_pool{spatial}d")(x, 2, return_indices=True)
        return getattr(f, name)(values * values, indices, 2)

    return OpCase(name, (one(shape, distinct=True),), call=call)


def fractional(spatial: int, *given):
    """A call with the same random numbers every time."""

    def call(lib, x):
        shape = (x.shape[0] if x.ndim == spatial + 2 else 1, x.shape[-spatial - 1], spatial)
        samples = lib.from_numpy(np.random.default_rng(1).uniform(size=shape).astype(str(x.dtype).split(".")[1]))
        return getattr(lib.nn.functional, f"fractional_max_pool{spatial}d")(x, *given, _random_samples=samples)

    return call


POOLING = [
    ours("window_max", (one((2, 3, 4, 6), distinct=True),), window_max),
    ours("plane_gather", (one((1, 1, 2, 3)),), lambda x: pooling.plane_gather(x, INDEX.astype(np.int32)),
         reference=lambda x: x.reshape(6)[INDEX]),
    ours("plane_scatter", (one((1, 1, 2, 2)),), lambda y: pooling.plane_scatter(y, INDEX.astype(np.int32), (2, 3))),
    ours("window_mean", (one((2, 3, 5, 6)),), lambda x: pooling.window_mean(x, (3, 2), (2, 1), (1, 0), False, False, None)),
    ours("window_share", (one((2, 3, 3, 5)),),
         lambda y: pooling.window_share(y, (5, 6), (3, 2), (2, 1), (1, 0), False, False, None)),
    *(functional("max_pool2d", (one(*PLANE, distinct=True),), *given, ceil_mode=ceil)
      for given in ((2,), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (2, 1, 1, 2)) for ceil in (False, True)),
    *(functional("avg_pool2d", (one(*PLANE),), *given, ceil_mode=ceil, count_include_pad=pad)
      for given in ((2,), (3, 2, 1), ((2, 3), (1, 2))) for ceil in (False, True) for pad in (False, True)),
    functional("avg_pool2d", (one(*PLANE),), 2, divisor_override=3),
    functional("max_pool1d", (one(*SEQUENCE, distinct=True),), 3, 2, 1),
    functional("avg_pool1d", (one(*SEQUENCE),), 3, 2, 1, True, False),
    *(functional("max_pool3d", (one(*VOLUME, distinct=True),), *given) for given in ((2,), (3, 2, 1), (2, 1, 1, 2, True))),
    *(functional("avg_pool3d", (one(*VOLUME),), *given) for given in ((2,), (3, 2, 1, True, False), (2, 1, 0, False, True, 5))),
    functional("lp_pool1d", (one(*SEQUENCE, low=0.5),), 2, 2),
    functional("lp_pool2d", (one(*PLANE, low=0.5),), 3.0, 2),
    functional("lp_pool3d", (one(*VOLUME, low=0.5),), 2, 2),
    pool_and_back("max_unpool1d", 1, (2, 3, 8)),
    pool_and_back("max_unpool2d", 2, (2, 3, 4, 6)),
    pool_and_back("max_unpool3d", 3, (2, 2, 4, 4, 2)),
    ours("adaptive_mean", (one((2, 7, 3)),), lambda x: adaptive_pooling.adaptive_mean(x, 1, 3)),
    ours("adaptive_share", (one((2, 3, 3)),), lambda y: adaptive_pooling.adaptive_share(y, 1, 7)),
    functional("adaptive_avg_pool1d", (one(*SEQUENCE),), 3),
    *(functional("adaptive_avg_pool2d", (one(*PLANE),), size) for size in (1, 3, (5, 4), (None, 2), 8)),
    functional("adaptive_avg_pool3d", (one(*VOLUME),), (3, 2, None)),
    functional("adaptive_max_pool1d", (one(*SEQUENCE, distinct=True),), 3),
    *(functional("adaptive_max_pool2d", (one(*PLANE, distinct=True),), size) for size in (1, (5, 4), (None, 2))),
    functional("adaptive_max_pool3d", (one(*VOLUME, distinct=True),), (3, 2, 1)),
    *(OpCase("fractional_max_pool2d", (one(*PLANE, distinct=True),), call=fractional(2, *given))
      for given in ((2, 3), ((2, 1), None, (0.5, 0.8)))),
    OpCase("fractional_max_pool3d", (one(*VOLUME, distinct=True),), call=fractional(3, 2, None, 0.5)),
]  # fmt: skip

# ---- patches and resolution -------------------------------------------------------------------------------------------------
PATCHES = [
    ours("image_to_columns", (one((2, 3, 5, 6)),), lambda x: patches.image_to_columns(x, (2, 3), (2, 1), (1, 0), (1, 2))),
    ours("columns_to_image", (one((2, 18, 6)),), lambda y: patches.columns_to_image(y, (5, 6), (2, 3), (2, 1), (1, 0), (1, 2))),
    functional("fold", (one((2, 12, 12), (12, 12)),), (5, 4), (2, 2), 1, 0, 1),
    functional("fold", (one((2, 6, 9)),), (5, 6), (2, 3), 1, 1, 2),
    *(functional("interpolate", (one((2, 3, 7)),), mode=mode, **size)
      for mode in ("nearest", "nearest-exact", "linear", "area") for size in ({"size": 5}, {"scale_factor": 1.7})),
    *(functional("interpolate", (one((2, 3, 5, 4)),), mode=mode, align_corners=corners, size=(8, 3))
      for mode in ("bilinear", "bicubic") for corners in (False, True)),
    functional("interpolate", (one((1, 2, 3, 4, 2)),), size=(4, 2, 3), mode="trilinear"),
    functional("interpolate", (one((2, 3, 5, 4)),), scale_factor=(0.6, 2.0), mode="nearest", recompute_scale_factor=True),
    functional("pixel_shuffle", (one((2, 8, 2, 3), (4, 2, 3)),), 2),
    functional("pixel_unshuffle", (one((2, 2, 4, 6), (2, 4, 6)),), 2),
    OpCase("channel_shuffle", (one((2, 6, 3), (2, 4, 2, 2)),), call=lambda lib, x: lib.channel_shuffle(x, 2)),
]  # fmt: skip

# ---- normalization ----------------------------------------------------------------------------------------------------------
CHANNELS = one((4, 3), (4, 3, 5), (2, 3, 4, 2))
AFFINE = one((3,), (3,), (3,))
# Second derivatives divide by a standard deviation three times, too much for float32 against another order of operations.
EXACT = {"dtypes": ("float64",), "tolerance": 1e-5}


def batch_norm_eval(lib, x, w, b):
    mean, var = (lib.from_numpy(np.array(v, str(x.dtype).split(".")[1])) for v in ([0.1, -0.2, 0.3], [0.5, 1.5, 2.0]))
    return lib.nn.functional.batch_norm(x, mean, var, w, b)


NORMALIZATION = [
    ours("batch_standardize", (CHANNELS, AFFINE, AFFINE), lambda x, w, b: normalization.batch_standardize(x, w, b, 1e-3, Workspace()),
         tolerance=1e-5),
    ours("row_standardize", (one((4, 3, 5)), one((3, 5)), one((3, 5))),
         lambda x, w, b: normalization.row_standardize(x, w, b, 2, 1e-3, Workspace()), tolerance=1e-5),
    ours("group_standardize", (one((2, 4, 3)), one((4,)), one((4,))),
         lambda x, w, b: normalization.group_standardize(x, w, b, 2, 1e-3, Workspace()), tolerance=1e-5),
    OpCase("batch_norm", (CHANNELS, AFFINE, AFFINE),
           call=lambda lib, x, w, b: lib.nn.functional.batch_norm(x, None, None, w, b, True), **EXACT),
    OpCase("batch_norm", (CHANNELS,), call=lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), **EXACT),
    OpCase("batch_norm", (CHANNELS, AFFINE, AFFINE), call=batch_norm_eval),
    OpCase("instance_norm", (one((2, 3, 4), (2, 3, 3, 2)), one((3,), (3,)), one((3,), (3,))),
           call=lambda lib, x, w, b: lib.nn.functional.instance_norm(x, weight=w, bias=b), **EXACT),
    OpCase("layer_norm", (one((4, 3, 5)), one((3, 5)), one((3, 5))),
           call=lambda lib, x, w, b: lib.nn.functional.layer_norm(x, (3, 5), w, b), **EXACT),
    OpCase("layer_norm", (one((4, 5), (5,)),), call=lambda lib, x: lib.nn.functional.layer_norm(x, (5,)), **EXACT),
    OpCase("rms_norm", (one((4, 5)), one((5,))), call=lambda lib, x, w: lib.nn.functional.rms_norm(x, (5,), w), **EXACT),
    OpCase("group_norm", (one((3, 4, 5)), one((4,)), one((4,))),
           call=lambda lib, x, w, b: lib.nn.functional.group_norm(x, 2, w, b), **EXACT),
    functional("normalize", (one((3, 4), (2, 3, 2)),), 3.0),
    functional("local_response_norm", (one((2, 5, 3), (2, 4, 2, 2)),), 3, 0.1),
    functional("local_response_norm", (one((2, 5, 3)),), 2),
]  # fmt: skip

# ---- losses -----------------------------------------------------------------------------------------------------------------
PREDICTION, TARGET = one((4, 3), (5,), ()), one((4, 3), (5,), ())
LOGITS, CLASSES = one((5, 4), (4,), (3, 4, 2)), whole(4, (5,), (), (3, 2))
FOUR = one((4,), (4,), (4,), low=0.2, high=2.0, grad=False)
REDUCTIONS = ("mean", "sum", "none")


def apart(rng: np.random.Generator, shape) -> np.ndarray:
    """Differences from 0 that stay clear of the kinks at 0, 0.5, 0.7 and 1."""
    return rng.choice([-1.6, -0.85, -0.3, 0.25, 0.8, 1.4], shape) + rng.uniform(-0.03, 0.03, shape)


def difference(name: str, order: int = 2, **keyword) -> list[OpCase]:
    """A loss of the difference of two tensors, away from its kinks."""
    return [
        OpCase(name, (one((4, 3), (5,), (), make=apart), TARGET), order=order,
               call=lambda lib, d, y, r=r: getattr(lib.nn.functional, name)(y + d, y * 1.0, reduction=r, **keyword))
        for r in REDUCTIONS
    ]  # fmt: skip


REGRESSION = [
    ours("mse_mean", (one((4, 3)), one((4, 3))), lambda x, y: loss_regression.mse_mean(x, y, Workspace()),
         reference=lambda x, y: ((x - y) ** 2).mean()),
    *(functional("mse_loss", (PREDICTION, TARGET), reduction=r) for r in REDUCTIONS),
    *difference("l1_loss", order=1),  # torch keeps the second as a tensor without memory
    *difference("smooth_l1_loss", beta=0.5),
    *difference("huber_loss", delta=0.7),
    functional("kl_div", (one((4, 3)), one((4, 3), **PROBABILITY)), reduction="batchmean"),
    functional("kl_div", (one((4, 3)), one((4, 3))), reduction="sum", log_target=True),
    *(functional("poisson_nll_loss", (one((4, 3), low=0.5), one((4, 3), low=1.2, high=5.0)), *given)
      for given in ((True, False), (True, True), (False, False))),
    functional("gaussian_nll_loss", (one((4, 3)), one((4, 3)), one((4, 3), low=0.3)), full=True),
    functional("gaussian_nll_loss", (one((4, 3)), one((4, 3)), one((4, 1), low=0.3)), reduction="none"),
]  # fmt: skip

CLASSIFICATION = [
    ours("class_pick", (one((3, 4)),), lambda x: loss_classes.class_pick(x, np.array([1, 0, 3])),
         reference=lambda x: x[[0, 1, 2], [1, 0, 3]]),
    ours("class_mean", (one((3, 4)),), lambda x: loss_classes.class_mean(x, np.array([1, 0, 3])),
         reference=lambda x: -x[[0, 1, 2], [1, 0, 3]].mean()),
    ours("binary_entropy_mean", (one((4, 3), **PROBABILITY),) * 2, loss_binary.binary_entropy_mean),
    ours("class_put", (one((3,)),), lambda y: loss_classes.class_put(y, np.array([1, 0, 3]), (3, 4))),
    ours("cross_entropy_mean", (one((5, 4)), whole(4, (5,))), lambda x, t: loss_classes.cross_entropy_mean(x, t, Workspace())),
    *(functional("cross_entropy", (LOGITS, CLASSES), reduction=r, label_smoothing=s)
      for r, s in itertools.product(REDUCTIONS, (0.0, 0.2))),
    *(functional("cross_entropy", (LOGITS, CLASSES, FOUR), reduction=r, label_smoothing=s, ignore_index=2)
      for r, s in itertools.product(("sum", "none"), (0.0, 0.2))),
    *(functional("cross_entropy", (LOGITS, one((5, 4), (4,), (3, 4, 2), **PROBABILITY)), reduction=r, label_smoothing=s)
      for r, s in itertools.product(REDUCTIONS, (0.0, 0.2))),
    *(functional("nll_loss", (LOGITS, CLASSES), reduction=r) for r in REDUCTIONS),
    functional("nll_loss", (LOGITS, CLASSES, FOUR), reduction="mean"),
    functional("nll_loss", (LOGITS, CLASSES, FOUR), ignore_index=1, reduction="none"),
    ours("binary_entropy", (Arg(**PROBABILITY), Arg(**PROBABILITY)), loss_binary.binary_entropy, elementwise=True),
    # torch adds a small number to the denominators of its second derivative
    *(functional("binary_cross_entropy", (one((4, 3), **PROBABILITY),) * 2, reduction=r, options={"order": 1}) for r in REDUCTIONS),
    ours("logits_entropy_mean", (one((4, 3)), one((4, 3), **PROBABILITY)),
         lambda x, y: loss_binary.logits_entropy_mean(x, y, Workspace())),
    *(functional("binary_cross_entropy_with_logits", (one((4, 3)), one((4, 3), **PROBABILITY)), reduction=r) for r in REDUCTIONS),
    OpCase("binary_cross_entropy_with_logits", (one((4, 3)), one((4, 3), **PROBABILITY), one((3,), low=0.5, grad=False)),
           call=lambda lib, x, y, p: lib.nn.functional.binary_cross_entropy_with_logits(x, y, p, pos_weight=p)),
]  # fmt: skip

SIGN = one((4, 3), make=signs, grad=False)
MARGINS = [
    functional("hinge_embedding_loss", (one((4, 3), away_from=(0.5,)), SIGN), 0.5),
    functional("margin_ranking_loss", (one((4, 3)), one((4, 3)), SIGN), 0.5),
    functional("soft_margin_loss", (one((4, 3)), SIGN)),
    functional("cosine_embedding_loss", (one((4, 3)), one((4, 3)), one((4,), make=signs, grad=False)), 0.1, reduction="sum"),
    functional("triplet_margin_loss", (one((4, 3)),) * 3, swap=True),
    functional("triplet_margin_with_distance_loss", (one((4, 3)),) * 3, margin=3.0),
    *(functional("multi_margin_loss", (one((4, 3)), whole(3, (4,))), p, 0.7, options={"order": 1}) for p in (1, 2)),
    OpCase("multilabel_margin_loss", (one((2, 3)),), order=1,
           call=lambda lib, x: lib.nn.functional.multilabel_margin_loss(x, lib.tensor([[2, 0, -1], [1, -1, 2]]))),
    functional("multilabel_soft_margin_loss", (one((4, 3)), one((4, 3), **PROBABILITY))),
    OpCase("ctc_loss", (one((6, 2, 4)),), order=1, tolerance=1e-5,
           call=lambda lib, x: lib.nn.functional.ctc_loss(
               lib.log_softmax(x, 2), lib.tensor([[1, 1, 2], [3, 1, 0]]), lib.tensor([6, 5]), lib.tensor([3, 2]))),
]  # fmt: skip


# ---- dropout, embedding, attention ------------------------------------------------------------------------------------------
def seeded(name: str, shape, *given) -> OpCase:
    """The same draw at every call, so that the op is a fixed linear map."""

    def call(lib, x):
        lib.manual_seed(3)
        return getattr(lib.nn.functional if hasattr(lib.nn.functional, name) else lib, name)(x, *given)

    return OpCase(name, (one(shape),), call=call, torch=False)


IDS = np.array([[0, 2, 2], [3, 0, 1]])
OTHERS = [
    seeded("dropout", (4, 3), 0.4),
    seeded("alpha_dropout", (4, 3), 0.4, True),
    seeded("feature_dropout", (4, 3, 2), 0.4, True),
    seeded("feature_alpha_dropout", (4, 3, 2), 0.4, True),
    seeded("dropout1d", (4, 3, 2), 0.4),
    seeded("dropout2d", (4, 3, 2, 2), 0.4),
    seeded("dropout3d", (4, 3, 2, 2, 1), 0.4),
    ours("rows_of", (one((4, 2)),), lambda w: embedding.rows_of(w, IDS), reference=lambda w: w[IDS]),
    ours("add_to_rows", (one((2, 3, 2)),), lambda y: embedding.add_to_rows(y, IDS, 4, 2)),
    ours("rows_but", (one((4, 2)),), lambda w: embedding.rows_but(w, IDS, 2)),
    functional("embedding", (whole(4, (3, 2), (5,), ()), one((4, 2), (4, 2), (4, 2)))),
    *(functional("embedding_bag", (whole(4, (3, 2)), one((4, 2), distinct=True)), mode=mode, options={"order": 1})
      for mode in ("sum", "mean", "max")),
    functional("scaled_dot_product_attention", (one((2, 4, 3)), one((2, 5, 3)), one((2, 5, 2)))),
    functional("scaled_dot_product_attention", (one((2, 4, 3)), one((2, 4, 3)), one((2, 4, 2))), is_causal=True),
    functional("scaled_dot_product_attention", (one((4, 3)), one((5, 3)), one((5, 2)), one((4, 5))), scale=0.3, options={"order": 1}),
]  # fmt: skip

CASES = CONVOLUTION + POOLING + PATCHES + NORMALIZATION + REGRESSION + CLASSIFICATION + MARGINS + OTHERS
