"""Recurrent layers and cells: against PyTorch, against one another, and what they refuse."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.utils import rnn as ours_of_rnn

LAYERS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("RNN", {"bias": False, "bidirectional": True}),
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", {"bias": False, "num_layers": 3}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 3, "num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"num_layers": 2, "dropout": 0.5}),
    ("GRU", {}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "batch_first": True}),
    ("GRU", {"bias": False}),
]
CELLS = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu", "bias": False}),
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
    ("GRUCell", {}),
]
LENGTHS = [3, 7, 5]
SIZES = (4, 5)  # input, hidden


def name_of(case) -> str:
    return f"{case[0]}({', '.join(f'{k}={v}' for k, v in case[1].items())})" if isinstance(case, tuple) else str(case)


def array(t) -> np.ndarray:
    return np.asarray(t.detach().numpy())


def as_tuple(state) -> tuple:
    return state if isinstance(state, tuple) else (state,)


def torch_pair(case, dtype="float64"):
    """The layer in both libraries, from the same seed."""
    torch = pytest.importorskip("torch")
    tg.manual_seed(3)
    torch.manual_seed(3)
    ours, theirs = (getattr(lib.nn, case[0])(*SIZES, **case[1]) for lib in (tg, torch))
    return ours.to(dtype=getattr(tg, dtype)), theirs.to(dtype=getattr(torch, dtype)), torch


def draw(case, kind: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """An input and starting states."""
    rng, options = np.random.default_rng(0), case[1]
    lines = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    widths = [options.get("proj_size") or 5] + ([5] if case[0] == "LSTM" else [])
    batch = () if kind == "single" else (3,)
    x = rng.normal(size=(7, *batch, 4))
    if options.get("batch_first") and batch:
        x = x.swapaxes(0, 1)
    return x, [rng.normal(size=(lines, *batch, width)) for width in widths]


def run(lib, utils, layer, case, kind: str, with_state: bool, dtype="float64") -> list[np.ndarray]:
    """Outputs, last states and all gradients."""
    x, states = draw(case, kind)
    inputs = [lib.tensor(a.astype(dtype), requires_grad=True) for a in (x, *states)]
    given = (inputs[1] if len(states) == 1 else tuple(inputs[1:])) if with_state else None
    lib.manual_seed(1)
    fed, first = inputs[0], case[1].get("batch_first", False)
    if kind == "packed":
        fed = utils.pack_padded_sequence(fed, LENGTHS, batch_first=first, enforce_sorted=False)
    out, last = layer(fed, given)
    if kind == "packed":
        out, lengths = utils.pad_packed_sequence(out, batch_first=first, padding_value=0.5)
        assert lengths.tolist() == LENGTHS
    results = [out, *as_tuple(last)]
    for p in layer.parameters():
        p.grad = None
    sum(
        (r * r * lib.tensor(np.cos(np.arange(r.numel())).reshape(tuple(r.shape)).astype(dtype))).sum() for r in results
    ).backward()
    used = [*inputs[: 1 + len(states) * with_state], *layer.parameters()]
    return [array(r) for r in results] + [array(t.grad) for t in used]


# ---- against PyTorch --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", LAYERS + CELLS, ids=name_of)
def test_weights_keys_and_printed_form(case):
    ours, theirs, _ = torch_pair(case, "float32")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(array(value), array(theirs.state_dict()[name]))


@pytest.mark.parametrize("with_state", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("kind", ["batch", "single", "packed"])
@pytest.mark.parametrize("case", LAYERS, ids=name_of)
def test_values_and_gradients(case, kind, with_state):
    ours, theirs, torch = torch_pair(case)
    mine = run(tg, ours_of_rnn, ours, case, kind, with_state)
    yours = run(torch, torch.nn.utils.rnn, theirs, case, kind, with_state)
    for a, b in zip(mine, yours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", [c for c in LAYERS if not c[1].get("dropout")], ids=name_of)
def test_float32(case):
    ours, theirs, torch = torch_pair(case, "float32")
    mine = run(tg, ours_of_rnn, ours, case, "batch", True, "float32")
    yours = run(torch, torch.nn.utils.rnn, theirs, case, "batch", True, "float32")
    for a, b in zip(mine, yours, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6 * np.abs(b).max())


@pytest.mark.parametrize("batch", [(3,), ()], ids=["batch", "single"])
@pytest.mark.parametrize("case", CELLS, ids=name_of)
def test_cells(case, batch):
    ours, theirs, torch = torch_pair(case)
    rng = np.random.default_rng(0)
    x, states = (
        rng.normal(size=(2, *batch, 4)),
        [rng.normal(size=(*batch, 5)) for _ in range(1 + (case[0] == "LSTMCell"))],
    )
    results = []
    for lib, cell in ((tg, ours), (torch, theirs)):
        tensors = [lib.tensor(a, requires_grad=True) for a in (x, *states)]
        state = tensors[1] if len(states) == 1 else tuple(tensors[1:])
        for step in range(2):
            state = cell(tensors[0][step], state)
        from_zeros = as_tuple(cell(tensors[0][0]))
        sum((s**3).sum() for s in (*as_tuple(state), *from_zeros)).backward()
        results.append([*map(array, as_tuple(state)), *map(array, from_zeros)])
        results[-1] += [array(t.grad) for t in (*tensors, *cell.parameters())]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell", "RNNBase", "RNNCellBase"])
def test_signatures(name):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        [(p.name, p.default) for p in inspect.signature(getattr(lib, name)).parameters.values()]
        for lib in (nn, torch.nn)
    )
    assert ours == theirs


# ---- among ourselves --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_layer_is_its_cell_repeated(name):
    tg.manual_seed(0)
    layer, cell = getattr(nn, name)(4, 5).double(), getattr(nn, name + "Cell")(4, 5).double()
    cell.load_state_dict({key: layer.state_dict()[f"{key}_l0"] for key in cell.state_dict()})
    x, state, outs = tg.randn(6, 3, 4, dtype=tg.float64), None, []
    for step in x:
        state = cell(step, state)
        outs.append(as_tuple(state)[0])
    out, last = layer(x)
    np.testing.assert_allclose(array(out), array(tg.stack(outs)), rtol=1e-12)
    for a, b in zip(as_tuple(last), as_tuple(state), strict=True):
        np.testing.assert_allclose(array(a)[0], array(b), rtol=1e-12)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_packed_sequence_is_run_as_if_it_were_alone(name):
    tg.manual_seed(0)
    layer = getattr(nn, name)(4, 5, bidirectional=True).double()
    sequences = [tg.randn(n, 4, dtype=tg.float64) for n in LENGTHS]
    out, last = layer(ours_of_rnn.pack_sequence(sequences, enforce_sorted=False))
    for i, (sequence, together) in enumerate(zip(sequences, ours_of_rnn.unpack_sequence(out), strict=True)):
        alone, state = layer(sequence)
        np.testing.assert_allclose(array(together), array(alone), rtol=1e-12)
        for a, b in zip(as_tuple(last), as_tuple(state), strict=True):
            np.testing.assert_allclose(array(a)[:, i], array(b), rtol=1e-12)


def test_second_derivative_of_a_layer():
    tg.manual_seed(0)
    layer = nn.LSTM(2, 3).double()
    x = tg.randn(3, 2, 2, dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradgradcheck(lambda x: layer(x)[0].tanh(), (x,))


def test_the_graph_may_be_used_twice_and_the_state_cut():
    layer = nn.GRU(2, 3)
    x = tg.randn(4, 1, 2, requires_grad=True)
    out, h = layer(x)
    (first,) = tg.autograd.grad(out.sum(), x, retain_graph=True)
    (again,) = tg.autograd.grad(out.sum(), x)
    np.testing.assert_array_equal(array(first), array(again))
    out, _ = layer(x, h.detach())
    out.sum().backward()  # the first graph is gone, and not needed
    assert x.grad is not None


def test_nan_stays_where_it_is():
    for name in ("RNN", "LSTM", "GRU"):
        x = tg.randn(3, 4, 2)
        x[1, 2, 0] = float("nan")
        out, _ = getattr(nn, name)(2, 3)(x)
        bad = np.isnan(array(out)).any(-1)
        assert bad.tolist() == [[False] * 4, [False, False, True, False], [False, False, True, False]]


# ---- packing ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("tail", [(), (2,), (2, 3)])
def test_padding_and_packing(tail, batch_first):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(n, *tail)) for n in LENGTHS]
    results = []
    for lib, u in ((tg, ours_of_rnn), (torch, torch.nn.utils.rnn)):
        sequences = [lib.tensor(v, requires_grad=True) for v in values]
        padded = u.pad_sequence(sequences, batch_first, -1.0)
        left = u.pad_sequence(sequences, batch_first, 2.0, padding_side="left")
        packed = u.pack_padded_sequence(padded, lib.tensor(LENGTHS), batch_first, enforce_sorted=False)
        back, lengths = u.pad_packed_sequence(packed, batch_first, 0.5, total_length=9)
        whole = u.pack_sequence(sequences, enforce_sorted=False)
        ((back * back).sum() + (left * left).sum() + whole.data.sum()).backward()
        found = [padded, left, *packed, back, lengths, *whole, *u.unpack_sequence(whole), *(s.grad for s in sequences)]
        results.append([array(t) for t in found])
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_sorted_sequences_need_no_order():
    packed = ours_of_rnn.pack_sequence([tg.tensor([1.0, 2.0, 3.0]), tg.tensor([4.0])])
    assert packed.data.tolist() == [1, 4, 2, 3]
    assert packed.batch_sizes.tolist() == [2, 1, 1]
    assert packed.sorted_indices is None
    assert packed.unsorted_indices is None
    assert packed.double().data.dtype == tg.float64
    assert ours_of_rnn.invert_permutation(tg.tensor([2, 0, 1])).tolist() == [1, 2, 0]


def test_packing_refuses():
    x = tg.zeros(4, 3, 2)
    for lengths, error, text in [
        ([4, 2], RuntimeError, r"Expected `len\(lengths\)` to be equal to batch_size, but got 2 \(batch_size=3\)"),
        ([4, 2, 0], RuntimeError, "Length of all samples has to be greater than 0.*leave empty sequences out"),
        ([5, 2, 1], RuntimeError, "beyond the end of the input, which has 4 steps"),
        ([2, 4, 1], RuntimeError, "must be sorted in decreasing order.*Fix: enforce_sorted=False"),
    ]:
        with pytest.raises(error, match=text):
            ours_of_rnn.pack_padded_sequence(x, lengths)
    with pytest.raises(ValueError, match="at least the length of the longest sequence"):
        ours_of_rnn.pad_packed_sequence(ours_of_rnn.pack_padded_sequence(x, [4, 2, 1]), total_length=3)
    with pytest.raises(RuntimeError, match="empty list of sequences"):
        ours_of_rnn.pad_sequence([])
    with pytest.raises(ValueError, match="padding_side should be either 'left' or 'right', got 'top'"):
        ours_of_rnn.pad_sequence([x], padding_side="top")


# ---- errors -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.LSTM(4, 5)(tg.zeros(7, 3, 6)), RuntimeError,
         r"Expected 4, got 6 .*Fix: input_size=6 in LSTM\(\.\.\.\), or an input of shape \(time, batch, 4\)"),
        (lambda: nn.RNN(4, 5)(tg.zeros(4)), ValueError, "Expected input to be 2D or 3D, got 1D"),
        (lambda: nn.GRU(4, 5)(tg.zeros(7, 3, 4, dtype=tg.float64)), ValueError, "does not match weight dtype"),
        (lambda: nn.GRU(4, 5)(tg.zeros(7, 3, 4), tg.zeros(1, 2, 5)), RuntimeError, r"Expected hidden size \(1, 3, 5\) for h_0"),
        (lambda: nn.GRU(4, 5)(tg.zeros(7, 4), tg.zeros(1, 1, 5)), RuntimeError, r"Expected hidden size \(1, 5\) for h_0"),
        (lambda: nn.LSTM(4, 5)(tg.zeros(7, 3, 4), tg.zeros(1, 3, 5)), TypeError, r"hx must be a pair \(h_0, c_0\)"),
        (lambda: nn.RNN(4, 5)(tg.zeros(0, 3, 4)), RuntimeError, "sequence length to be larger than 0"),
        (lambda: nn.RNN(4, 5, nonlinearity="sin"), ValueError, "Unknown nonlinearity 'sin'"),
        (lambda: nn.LSTM(4, 5, dropout=1.5), ValueError, r"dropout should be a number in range \[0, 1\]"),
        (lambda: nn.LSTM(4, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(4.0, 5), TypeError, "input_size should be of type int, got: float"),
        (lambda: nn.LSTM(4, 5, bias=2), TypeError, "bias should be of type bool"),
        (lambda: nn.LSTM(4, 5, proj_size=5), ValueError, "proj_size has to be smaller than hidden_size"),
        (lambda: nn.RNNBase("SRU", 4, 5), ValueError, "Unrecognized RNN mode: SRU"),
        (lambda: nn.LSTMCell(4, 5)(tg.zeros(2, 3, 4)), ValueError, "Expected input to be 1D or 2D, got 3D.*one time step"),
        (lambda: nn.GRUCell(4, 5)(tg.zeros(3, 6)), RuntimeError, "inconsistent input_size: got 6, expected 4"),
        (lambda: nn.RNNCell(4, 5)(tg.zeros(3, 4), tg.zeros(2, 5)), RuntimeError, r"Input batch size \(3,\) doesn't match hidden"),
        (lambda: nn.LSTMCell(4, 5)(tg.zeros(3, 4), tg.zeros(3, 5)), TypeError, r"must be a pair \(h, c\)"),
    ],
)  # fmt: skip
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_dropout_of_a_single_layer_is_noticed():
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        nn.GRU(4, 5, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l1_reverse"])
def test_a_parametrized_weight_is_used(kind, name):
    """The layer computes with the parametrized weight, and the gradient reaches what it is made of."""
    torch = pytest.importorskip("torch")
    x, results = np.random.default_rng(0).normal(size=(4, 2, 3)), []
    for lib in (tg, torch):
        lib.manual_seed(0)
        layer = getattr(lib.nn, kind)(3, 4, num_layers=2, bidirectional=True).to(lib.float64)
        lib.nn.utils.parametrizations.weight_norm(layer, name)
        with lib.no_grad():
            layer.parametrizations[name].original0 *= 1.5
        out, _ = layer(lib.tensor(x))
        (out * out).sum().backward()
        parts = layer.parametrizations[name]
        results.append([np.array(t.detach().numpy()) for t in (out, parts.original0.grad, parts.original1.grad)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
