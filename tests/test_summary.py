"""The table of layers: counts against formulas worked out by hand, against torch, and a model left as it was."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.models import MLP, CourseCNN, LeNet5
from tinygrad_edu.utils.summary import Summary, summary


def row(table: Summary, name: str):
    return next(r for r in table.rows if r.name == name)


class Twins(nn.Module):
    """A layer called twice, tied weights, a parameter of its own, a layer never called, two inputs and two outputs."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 8)
        self.twice = nn.Linear(8, 8)
        self.out = nn.Linear(8, 100)
        self.out.weight = self.words.weight
        self.unused = nn.Linear(3, 3)
        self.shift = nn.Parameter(tg.zeros(8))
        self.side = nn.Linear(7, 4)

    def forward(self, words, side, scale=1.0):
        x = F.relu(self.twice(self.words(words) + self.shift))
        return self.out(self.twice(x)) * scale, self.side(side)


@pytest.fixture
def twins() -> Summary:
    return summary(Twins(), [(2, 5), (2, 7)], dtypes=[tg.int64, tg.float32])


class TestTheCourseNetwork:
    def test_the_whole_table(self):
        assert str(summary(CourseCNN(), (1, 1, 28, 28), channels_last=True)).splitlines()[2:9] == [
            "conv (Conv2d)      (24, 24, 20)       1*20*5*5 + 20 = 520        288,000  45.0 KiB",
            "relu (ReLU)        (24, 24, 20)                         0                 45.0 KiB",
            "pool (MaxPool2d)   (12, 12, 20)                         0                 11.2 KiB",
            "flatten (Flatten)  (2880,)                              0",
            "fc1 (Linear)       (100,)        2880*100 + 100 = 288,100        288,000     400 B",
            "tanh (Tanh)        (100,)                               0                    400 B",
            "fc2 (Linear)       (10,)              100*10 + 10 = 1,010          1,000      40 B",
        ]

    def test_totals(self):
        table = summary(CourseCNN(), (1, 1, 28, 28))
        assert (table.total, table.trainable, table.multiply_adds) == (289_630, 289_630, 577_000)
        assert table.input_bytes == 28 * 28 * 4
        assert table.output_bytes == 4 * (2 * 24 * 24 * 20 + 12 * 12 * 20 + 100 + 100 + 10)  # flatten is a view
        assert table.parameter_bytes == 289_630 * 4
        assert table.training_bytes == table.input_bytes + 2 * (table.output_bytes + table.parameter_bytes)

    def test_channels_first_by_default(self):
        assert row(summary(CourseCNN(), (1, 1, 28, 28)), "conv").output_shape == (20, 24, 24)


class TestCounting:
    @pytest.mark.parametrize("batch", [1, 3])
    def test_multiply_adds_grow_with_the_batch(self, batch: int):
        assert summary(MLP((784, 30, 10)), (batch, 784)).multiply_adds == batch * (784 * 30 + 30 * 10)

    def test_every_kind_of_convolution(self):
        for layer, size, expected in [
            (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 10), 2 * 6 * 8 * 2 * 3),
            (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 9, 9), 8 * 5 * 5 * 27),
            (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 3 * 27 * 2 * 8),
            (nn.ConvTranspose2d(3, 5, 4, stride=2), (2, 3, 6, 6), 2 * 3 * 36 * 5 * 16),
        ]:
            assert summary(layer, size).multiply_adds == expected, layer

    def test_formulas_give_the_counts(self, twins: Summary):
        tables = [
            twins,
            summary(LeNet5(), (1, 1, 28, 28)),
            summary(nn.LSTM(10, 20, num_layers=2, bidirectional=True), (5, 3, 10)),
            summary(nn.TransformerEncoderLayer(16, 4, 32), (5, 2, 16)),
            summary(nn.Sequential(nn.ConvTranspose2d(3, 5, 4), nn.BatchNorm2d(5), nn.PReLU(5)), (2, 3, 6, 6)),
        ]
        for table in tables:
            for r in table.rows:
                assert (eval(r.formula) if r.formula else 0) == r.parameters, r
            assert sum(r.parameters for r in table.rows) == table.total

    def test_recurrent_layers(self):
        table = summary(nn.LSTM(10, 20, batch_first=True), (5, 3, 10))
        assert table.rows[0].output_shape == (3, 20)
        assert table.multiply_adds == 15 * (10 * 80 + 20 * 80)

    def test_attention_counts_its_own_products_and_the_layer_inside(self):
        table = summary(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2), (2, 5, 16))
        one = 2 * 5 * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * (2 * 5 * 5 * 16)  # projections, then scores and mixing
        assert table.multiply_adds == 2 * one
        assert [
            r.depth for r in table.rows if r.name in ("layers.0", "layers.0.self_attn", "layers.0.self_attn.out_proj")
        ] == [0, 1, 2]

    def test_einsum(self):
        class Bilinear(nn.Module):
            def forward(self, x):
                return tg.einsum("bij,bjk->bik", x, x)

        assert summary(Bilinear(), (2, 4, 4)).multiply_adds == 2 * 4 * 4 * 4

    def test_a_layer_called_twice_is_counted_once(self, twins: Summary):
        first, again = (r for r in twins.rows if r.name == "twice")
        assert (first.parameters, first.note) == (72, "")
        assert (again.parameters, again.note) == (0, "again")
        assert first.multiply_adds == again.multiply_adds == 2 * 5 * 8 * 8

    def test_tied_weights_are_counted_once(self, twins: Summary):
        assert row(twins, "out").parameters == 100
        assert row(twins, "out").note == "shared"
        assert twins.total == 800 + 72 + 100 + 12 + 8 + 32

    def test_a_layer_that_is_never_called_is_named(self, twins: Summary):
        assert row(twins, "unused").note == "not called"
        assert "3*3 + 3 = 12 (not called)" in str(twins)

    def test_what_the_model_itself_holds_and_calculates(self, twins: Summary):
        own = twins.rows[0]
        assert (own.kind, own.parameters, own.output_shape) == ("Twins", 8, (5, 100))
        assert own.output_bytes == 4 * (2 * 2 * 5 * 8 + 2 * 5 * 100)  # the sum, the relu and the scaled result

    def test_frozen_parameters(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        model[0].requires_grad_(False)
        table = summary(model, (1, 3))
        assert (table.total, table.trainable) == (26, 10)
        assert "Trainable: 10, frozen: 16" in str(table)
        assert table.rows[0].note == "frozen"

    def test_against_torch(self):
        torch = pytest.importorskip("torch")
        for name, given in (("LSTM", (4, 6)), ("MultiheadAttention", (8, 2)), ("Conv2d", (3, 8, 5))):
            theirs = sum(p.numel() for p in getattr(torch.nn, name)(*given).parameters())
            assert summary(getattr(nn, name)(*given)).total == theirs


class TestInputs:
    def test_data_instead_of_a_size(self):
        model = nn.Linear(3, 4)
        for data in (tg.zeros(2, 3), (tg.zeros(2, 3),), [tg.zeros(2, 3)], {"input": tg.zeros(2, 3)}):
            assert summary(model, input_data=data).rows[0].output_shape == (4,)

    def test_further_arguments(self):
        assert summary(Twins(), [(2, 5), (2, 7)], dtypes=[tg.int64, tg.float32], scale=2.0).total == 1024

    def test_without_an_input_the_parameters_are_counted(self):
        table = summary(Twins())
        assert table.total == 1024
        assert "Output shape" not in str(table) and "Multiply-adds" not in str(table)

    def test_the_type_of_the_model(self):
        assert summary(nn.Linear(3, 4).double(), (2, 3)).output_bytes == 2 * 4 * 8

    def test_lazy_layers_learn_their_size(self):
        model = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
        table = summary(model, (1, 1, 5, 5))
        assert [r.kind for r in table.rows] == ["Conv2d", "Flatten", "Linear"]
        assert table.total == 1 * 4 * 9 + 4 + 36 * 2 + 2

    def test_depth(self):
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32), 2)
        whole, folded = summary(encoder, (5, 2, 16)), summary(encoder, (5, 2, 16), depth=1)
        assert [r.name for r in folded.rows] == ["layers.0", "layers.1"]
        assert sum(r.parameters for r in folded.rows) == folded.total == whole.total
        assert sum(r.output_bytes for r in folded.rows) == whole.output_bytes

    @pytest.mark.parametrize("size", [(0, 3), ("a",), (2, -1), (), 0])
    def test_a_size_that_is_none(self, size):
        with pytest.raises(ValueError, match=r"summary .*: input_size .*\(1, 1, 28, 28\)"):
            summary(nn.Linear(3, 4), size)

    def test_dtypes_of_another_number(self):
        with pytest.raises(ValueError, match="2 inputs and 1 dtypes"):
            summary(Twins(), [(2, 5), (2, 7)], dtypes=[tg.int64])

    def test_no_module(self):
        with pytest.raises(TypeError, match="must be a Module, got function"):
            summary(lambda x: x, (1, 3))

    def test_a_wrong_size_names_the_layer(self):
        with pytest.raises(RuntimeError, match="fc1"):
            summary(CourseCNN(), (1, 1, 20, 20))


class TestTheModelStaysAsItWas:
    def test_modes_hooks_gradients_buffers_and_random_numbers(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1)).train()
        model[1].eval()
        calls = []
        model[0].register_forward_hook(lambda *_: calls.append(1))
        model(tg.randn(4, 3)).sum().backward()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        gradients = [p.grad.clone() for p in model.parameters()]
        tg.manual_seed(7)
        expected = tg.rand(3)
        tg.manual_seed(7)
        calls.clear()
        summary(model, (2, 3))
        assert (tg.rand(3) == expected).all()
        assert [m.training for m in model.modules()] == [True, True, False, True, True]
        assert all((value == before[name]).all() for name, value in model.state_dict().items())
        assert all((p.grad == g).all() for p, g in zip(model.parameters(), gradients, strict=True))
        assert [m._hooks is None for m in model] == [False, True, True, True]
        assert calls == [1]  # the user's own hook is called like in any run
        model(tg.randn(4, 3))
        assert calls == [1, 1]

    def test_after_an_error_too(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 1)).train()
        with pytest.raises(RuntimeError):
            summary(model, (2, 3))
        assert model.training
        assert all(m._hooks is None for m in model.modules())
        from tinygrad_edu.registry import observers

        assert observers == []


class TestHtml:
    def test_it_shows_the_same_cells(self):
        html = summary(CourseCNN(), (1, 1, 28, 28))._repr_html_()
        assert html.count("<tr>") == 8
        for text in ("conv (Conv2d)", "1*20*5*5 + 20 = 520", "577,000", "289,630"):
            assert text in html

    def test_names_cannot_inject_markup(self):
        model = nn.Sequential()
        model.add_module("<b>", nn.Linear(1, 1))
        assert "<b>" not in summary(model, (1, 1))._repr_html_()


def test_numbers_in_words():
    from tinygrad_edu.utils.summary_table import bytes_in_words

    assert [bytes_in_words(n) for n in (0, 999, 1024, 2**20, 3 * 2**29)] == [
        "0 B",
        "999 B",
        "1.0 KiB",
        "1.00 MiB",
        "1.50 GiB",
    ]
    assert np.isclose(float(bytes_in_words(12_345_678).split()[0]), 12_345_678 / 2**20, atol=0.005)
