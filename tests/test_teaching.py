"""Warnings about mistakes that PyTorch lets pass: given where they are certain, and never to programs that know what they do."""

import re

import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.mistakes import suspicions
from tinygrad_edu.registry import observers

X, LABELS = tg.randn(8, 3), tg.tensor([0, 1, 0, 1, 1, 0, 1, 0])


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))


def loss_of(model: nn.Module) -> tg.Tensor:
    return F.cross_entropy(model(X), LABELS)


def train(model: nn.Module, optimizer: optim.Optimizer, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()


def trained() -> tuple[nn.Module, optim.Optimizer]:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer)
    return model, optimizer


class TestCutGraph:
    """E203 goes back over the lines of this very file."""

    @pytest.fixture
    def model(self):
        return nn.Linear(3, 2)

    def expect(self, function, pattern: str) -> None:
        with pytest.raises(RuntimeError) as caught:
            function()
        assert re.search(pattern, str(caught.value)), caught.value

    def test_detach(self, model):
        def program():
            out = model(X).detach()
            loss = F.cross_entropy(out, LABELS)
            loss.backward()

        self.expect(
            program, r"\.detach\(\) in line \d+ of test_teaching\.py, `out = model\(X\)\.detach\(\)`, cut the graph"
        )

    def test_argmax_of_a_variable_that_is_overwritten(self, model):
        def program():
            out = model(X)
            out = out.argmax(1)
            accuracy = (out == LABELS).float().mean()
            accuracy.backward()

        self.expect(program, r"\.argmax\(\) in line \d+ .*has no derivative")

    def test_no_grad(self, model):
        def program():
            with tg.no_grad():
                out = model(X)
            loss = F.cross_entropy(out, LABELS.long())
            loss.backward()

        self.expect(program, r"Line \d+ of test_teaching\.py computes `out` inside `with tg\.no_grad\(\)`")

    def test_item(self, model):
        def program():
            loss = tg.tensor(loss_of(model).item())
            loss.backward()

        self.expect(program, r"\.item\(\) in line \d+")

    def test_data_in_the_line_itself(self, model):
        self.expect(lambda: F.cross_entropy(model(X).data, LABELS).backward(), "E203")

    def test_inside_a_function(self, model):
        def helper(out):
            return out.detach().mean()

        def program():
            loss = helper(model(X))
            loss.backward()

        self.expect(
            program, r"`loss = helper\(model\(X\)\)`, takes model, which requires grad, but its result does not"
        )

    def test_nothing_requires_grad(self):
        def program():
            w = tg.ones(3)
            loss = (w * w).sum()
            loss.backward()

        self.expect(program, r"computed from w, which does not require grad.*requires_grad=True")

    def test_backward_inside_no_grad(self, model):
        def program():
            with tg.no_grad():
                loss = loss_of(model)
                loss.backward()

        self.expect(program, "runs inside no_grad")

    def test_a_harmless_conversion_is_not_blamed(self, model):
        def program():
            out = model(X)
            target = LABELS.float().long()
            loss = F.cross_entropy(out.detach(), target)
            loss.backward()

        self.expect(program, r"\.detach\(\) in line \d+ .*out\.detach\(\)")

    def test_without_source(self):
        with pytest.raises(RuntimeError, match=r"E203.*on the way cut the graph"):
            exec("import tinygrad_edu as tg\n(tg.ones(2) * 2).sum().backward()", {})


class TestSummedLosses:
    def total(self, add, batches: int = 20, free: bool = True):
        model, total = nn.Linear(3, 2), 0.0
        for _ in range(batches):
            loss = loss_of(model)
            if free:
                loss.backward()
            total = add(total, loss)
        return total

    def test_in_place(self):
        def add(total, loss):
            total += loss
            return total

        with pytest.warns(tg.TeachingWarning, match=r"E207.*loss\.item\(\)"):
            self.total(add).item()

    def test_times_the_batch_size_and_divided(self):
        with pytest.warns(tg.TeachingWarning, match="E207"):
            float(self.total(lambda total, loss: total + loss * 8) / 160)

    def test_numbers_are_fine(self):
        self.total(lambda total, loss: total + loss.item())

    def test_few_losses_are_fine(self):
        self.total(lambda total, loss: total + loss, batches=5).item()

    def test_a_sum_that_is_still_to_be_used_is_fine(self):
        total = self.total(lambda total, loss: total + loss, free=False)
        total.item()
        total.backward()
        total.item()


class TestReplacedParameter:
    def test_a_rebound_name(self):
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        (w * w).sum().backward()
        w = w - 0.1 * w.grad
        with pytest.warns(tg.TeachingWarning, match=r"E209.*no_grad"):
            assert w.grad is None

    def test_an_intermediate_result_is_something_else(self):
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        h = w + 1
        h.sum().backward()
        with pytest.warns(tg.TeachingWarning, match="E202"):
            assert h.grad is None


class TestOldGradients:
    @pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad], ids=lambda m: m.__name__)
    def test_never_forgotten(self, make):
        model = nn.Linear(3, 2)
        optimizer = make(model.parameters(), lr=0.1)
        loss_of(model).backward()
        optimizer.step()
        loss_of(model).backward()
        with pytest.warns(tg.TeachingWarning, match=rf"E301 in {make.__name__}\.step"):
            optimizer.step()

    @pytest.mark.parametrize(
        "forget",
        [
            lambda model, optimizer: optimizer.zero_grad(),
            lambda model, optimizer: optimizer.zero_grad(set_to_none=False),
            lambda model, optimizer: model.zero_grad(),
            lambda model, optimizer: model.zero_grad(set_to_none=False),
            lambda model, optimizer: [setattr(p, "grad", None) for p in model.parameters()],
            lambda model, optimizer: [p.grad.zero_() for p in model.parameters()],
            lambda model, optimizer: [p.grad.data.fill_(0) for p in model.parameters()],
            lambda model, optimizer: [p.grad.numpy().fill(0) for p in model.parameters()],
        ],
    )
    def test_every_way_of_forgetting(self, forget):
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            loss_of(model).backward()
            optimizer.step()
            forget(model, optimizer)

    def test_gathering_several_batches_before_a_step(self):
        model = nn.Linear(3, 2)
        optimizer = optim.Adam(model.parameters())
        for number in range(8):
            (loss_of(model) / 4).backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()

    def test_two_steps_along_one_gradient(self):
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        loss_of(model).backward()
        optimizer.step()
        optimizer.step()

    def test_two_optimizers_in_turn(self):
        generator, critic = nn.Linear(3, 3), nn.Linear(3, 2)
        first, second = optim.Adam(generator.parameters()), optim.Adam(critic.parameters())
        for _ in range(3):
            critic.zero_grad()
            F.cross_entropy(critic(generator(X).detach()), LABELS).backward()
            F.cross_entropy(critic(X), LABELS).backward()
            second.step()
            generator.zero_grad()
            F.cross_entropy(critic(generator(X)), LABELS).backward()
            first.step()


class TestEvaluationInTrainingMode:
    def test_loss(self):
        model, _ = trained()
        with (
            tg.no_grad(),
            pytest.warns(tg.TeachingWarning, match=r"E305 in cross_entropy.*Sequential.*model\.eval\(\)"),
        ):
            loss_of(model)

    def test_accuracy(self):
        model, _ = trained()
        with tg.no_grad(), pytest.warns(tg.TeachingWarning, match="E305 in the accuracy"):
            (model(X).argmax(1) == LABELS).sum()

    def test_accuracy_by_max(self):
        model = network()
        with tg.no_grad():
            _, predicted = tg.max(model(X), 1)
            with pytest.warns(tg.TeachingWarning, match="E305"):
                predicted.eq(LABELS).sum()

    def test_said_once(self):
        model = network()
        with tg.no_grad():
            with pytest.warns(tg.TeachingWarning, match="E305"):
                loss_of(model)
            loss_of(model)
        assert not observers

    def test_in_evaluation_mode(self):
        model, optimizer = trained()
        model.eval()
        with tg.no_grad():
            loss_of(model)
            assert (model(X).argmax(1) == LABELS).shape == (8,)
        model.train()
        train(model, optimizer)

    def test_samples_of_dropout_are_wanted(self):
        model = network()
        with tg.no_grad():
            mean = tg.stack([model(X).softmax(1) for _ in range(5)]).mean(0)
            (mean.argmax(1) == LABELS).sum()

    def test_only_dropout_switched_on(self):
        model = network().eval()
        model[3].train()
        with tg.no_grad():
            loss_of(model)

    def test_fake_images_of_a_generator(self):
        generator, (critic, optimizer) = network(), trained()
        with tg.no_grad():
            fake = generator(X)
        optimizer.zero_grad()
        F.cross_entropy(nn.Linear(2, 2)(fake), LABELS).backward()
        critic.eval()
        with tg.no_grad():
            generator(X)
        with tg.no_grad():
            loss_of(critic)

    def test_statistics_collected_anew(self):
        model = network()
        with tg.no_grad():
            for _ in range(3):
                model(X)

    def test_targets_of_a_teacher(self):
        teacher, (student, optimizer) = network(), trained()
        with tg.no_grad():
            target = teacher(X).softmax(1)
        optimizer.zero_grad()
        F.cross_entropy(student(X), target).backward()
        optimizer.step()
        assert not observers


class TestTrainingInEvaluationMode:
    def test_no_train_after_eval(self):
        model, optimizer = trained()
        model.eval()
        with pytest.warns(tg.TeachingWarning, match=r"E306 in SGD\.step.*Sequential.*model\.train\(\)"):
            train(model, optimizer, steps=1)

    def test_a_frozen_layer(self):
        model, optimizer = trained()
        model[1].eval()
        train(model, optimizer)

    def test_an_evaluated_network_from_the_start(self):
        model = network().eval()
        train(model, optim.SGD(model.parameters(), lr=0.1))

    def test_an_attack_between_two_steps(self):
        model, optimizer = trained()
        for _ in range(2):
            model.eval()
            attacked = X.clone().requires_grad_()
            F.cross_entropy(model(attacked), LABELS).backward()
            assert attacked.grad is not None
            model.train()
            train(model, optimizer, steps=1)

    def test_many_gradients_and_no_step(self):
        model, _ = trained()
        model.eval()
        for _ in range(50):
            loss_of(model).backward()
        assert len(suspicions) <= 16
        suspicions.clear()

    def test_optimizing_the_input(self):
        model, _ = trained()
        model.eval()
        image = X.clone().requires_grad_()
        optimizer = optim.SGD([image], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(image), LABELS).backward()
            optimizer.step()


class TestSchedule:
    def test_an_optimizer_of_the_users_own(self):
        class Mine(optim.Optimizer):
            def step(self, closure=None):
                for p in self.param_groups[0]["params"]:
                    p.data -= 0.1

        optimizer = Mine([tg.ones(2, requires_grad=True)], {"lr": 0.1})
        scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
        optimizer.step()
        scheduler.step()


class TestCheck:
    def test_nothing_wrong(self):
        model, optimizer = trained()
        report = tg.check(model, optimizer, loss_of(model))
        assert not report
        assert len(report) == 0
        assert str(report) == "nothing wrong was found"

    def test_a_layer_replaced(self):
        model, optimizer = trained()
        model[4] = nn.Linear(4, 2)
        (finding,) = tg.check(model, optimizer)
        assert re.match(r"E304 in SGD .*4\.weight, 4\.bias.*replaced", finding)

    def test_a_part_not_given(self):
        model = network()
        (finding,) = tg.check(model, optim.SGD(model[4].parameters()))
        assert re.match(r"E304.*does not hold 0\.weight.*requires_grad_\(False\)", finding)

    def test_a_frozen_part_not_given(self):
        model = network()
        for layer in model[:4]:
            layer.requires_grad_(False)
        assert not tg.check(model, optim.SGD(model[4].parameters()))

    def test_hidden_layers(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(2, 2)]

        (finding,) = tg.check(Net())
        assert finding.startswith("E120 in Net.layers")

    def test_a_loss_without_a_graph(self):
        model = network()
        (finding,) = tg.check(model, loss=loss_of(model).detach())
        assert finding.startswith("E203")

    def test_a_used_loss(self):
        model = network()
        loss = loss_of(model)
        loss.backward()
        assert any(f.startswith("E204") for f in tg.check(model, loss=loss))

    def test_unreached_parameters(self):
        model = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
        (finding,) = tg.check(model, loss=loss_of(model[0]))
        assert re.match(r"E203.*1\.weight, 1\.bias", finding)

    def test_values_that_are_no_numbers(self):
        model = nn.Linear(3, 2)
        model.bias.data[1] = float("nan")
        findings = list(tg.check(model, loss=loss_of(model)))
        assert [f[:4] for f in findings] == ["E401", "E401"]
        assert "bias" in findings[0]

    def test_evaluation_mode(self):
        model = network().eval()
        (finding,) = tg.check(model, loss=loss_of(model))
        assert re.match(r"E306.*1, 3.*model\.train\(\)", finding)

    def test_leaves_no_trace(self):
        model = network()
        loss = loss_of(model)
        tg.check(model, None, loss)
        assert loss.grad_fn.mark is None
        loss.backward()

    def test_other_arguments(self):
        with pytest.raises(TypeError, match=r"nn\.Module, got list"):
            tg.check([])
        with pytest.raises(TypeError, match=r"pass loss, not loss\.item"):
            tg.check(nn.Linear(1, 1), loss=1.0)


class TestNamesOfVariables:
    def test_the_shared_part_of_two_losses(self):
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        shared = w * w
        shared.sum().backward()
        with pytest.raises(
            RuntimeError, match=r"E204.*`shared` of line \d+ in test_teaching\.py is a result that the first"
        ):
            (shared * 2).sum().backward()

    def test_where_the_softmax_was_taken(self):
        probabilities = nn.Linear(3, 2)(X).softmax(1)
        with pytest.warns(tg.TeachingWarning, match=r"E105.*`probabilities` of line \d+ in test_teaching"):
            F.cross_entropy(probabilities, LABELS)

    def test_where_float64_came_from(self):
        data = tg.ones(2, 3, dtype=tg.float64)
        with pytest.raises(RuntimeError, match=r"E109.*`data` of line \d+ in test_teaching.*\.float\(\)"):
            nn.Linear(3, 2)(data)

    def test_values_that_answer_strangely(self):
        class Strange:
            def __getattr__(self, name):
                raise ZeroDivisionError

        strange = Strange()
        assert strange is not None
        with pytest.raises(RuntimeError, match="E203"):
            tg.ones(1).backward()


class TestNoLogarithms:
    def test_scores(self):
        scores = nn.Linear(3, 2)(X) + 5.0
        with pytest.warns(tg.TeachingWarning, match=r"E106 in nll_loss.*a result of add, goes up to"):
            F.nll_loss(scores, LABELS)

    def test_logarithms_made_by_hand(self):
        probabilities = nn.Linear(3, 2)(X).softmax(1)
        F.nll_loss((probabilities + 1e-9).log(), LABELS)

    def test_a_leaf(self):
        F.nll_loss(tg.rand(8, 2, requires_grad=True), LABELS)
