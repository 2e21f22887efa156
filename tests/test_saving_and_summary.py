"""Checkpoints and the layer table."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.models import MLP, CourseCNN, LeNet5
from tinygrad_edu.utils.serialization import CheckpointError, load, notes_of, save
from tinygrad_edu.utils.summary import summary


class TestTheCourseNetwork:
    def test_289_630_parameters(self):
        assert sum(p.numel() for p in CourseCNN().parameters()) == 289_630

    def test_its_table_is_the_courses(self):
        table = summary(CourseCNN(), (1, 1, 28, 28), channels_last=True)
        shapes = [
            (row.kind, table._shape(row), row.parameters) for row in table.rows if row.kind not in ("ReLU", "Tanh")
        ]
        assert shapes == [
            ("Conv2d", (24, 24, 20), 520),
            ("MaxPool2d", (12, 12, 20), 0),
            ("Flatten", (2880,), 0),
            ("Linear", (100,), 288_100),
            ("Linear", (10,), 1_010),
        ]
        assert "289,630" in str(table)

    def test_other_counts_of_the_course(self):
        assert sum(p.numel() for p in MLP((784, 15, 10)).parameters()) == 11_935
        assert sum(p.numel() for p in MLP((10, 100, 100, 100, 100, 100, 1)).parameters()) == 41_601
        assert sum(p.numel() for p in LeNet5().parameters()) == 61_706

    def test_the_table_leaves_the_model_as_it_was(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)).train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        summary(model, (2, 3))
        assert model.training and model[1].training
        assert all((v == before[k]).all() for k, v in model.state_dict().items())


class TestCheckpoint:
    def test_round_trip_with_torch_users_files(self, tmp_path):
        from safetensors.numpy import load_file

        model = CourseCNN()
        path = save(model.state_dict(), tmp_path / "m.safetensors", {"note": "five"})
        state = load(path)
        other = CourseCNN()
        other.load_state_dict(state)
        x = tg.randn(2, 1, 28, 28)
        assert (model(x) == other(x)).all()
        assert notes_of(path) == {"note": "five"}
        assert set(load_file(path)) == set(model.state_dict())

    def test_every_dtype(self, tmp_path):
        kinds = (tg.float32, tg.float64, tg.float16, tg.int64, tg.int32, tg.uint8, tg.bool)
        state = {str(i): tg.ones(2, 3, dtype=kind) for i, kind in enumerate(kinds)} | {
            "scalar": tg.tensor(3),
            "empty": tg.zeros(0, 2),
        }
        loaded = load(save(state, tmp_path / "m.safetensors"))
        for key, tensor in state.items():
            assert loaded[key].dtype == tensor.dtype
            assert loaded[key].shape == tensor.shape
            np.testing.assert_array_equal(loaded[key].numpy(), tensor.numpy())

    def test_a_truncated_file_is_refused(self, tmp_path):
        path = save({"w": tg.ones(100)}, tmp_path / "m.safetensors")
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(CheckpointError, match="E504"):
            load(path)

    def test_a_failed_save_leaves_the_old_file(self, tmp_path):
        path = save({"w": tg.ones(3)}, tmp_path / "m.safetensors")
        before = path.read_bytes()
        with pytest.raises(TypeError, match="not plain data"):
            save({"w": print}, path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]

    def test_nested_plain_data(self, tmp_path):
        w = tg.randn(3, requires_grad=True)
        run = {
            "epoch": 3,
            "best": 0.5,
            "name": "cnn",
            "none": None,
            "state": {"a.b": w, "a": {"b": tg.arange(3)}},
            "l": [w, (1, True)],
        }
        loaded = load(save(run, tmp_path / "run.safetensors"))
        assert loaded["state"]["a"]["b"].tolist() == [0, 1, 2]
        assert (loaded["state"]["a.b"] == w.detach()).all()
        assert loaded["l"][1] == (1, True)
        assert [loaded[k] for k in ("epoch", "best", "name", "none")] == [3, 0.5, "cnn", None]

    def test_a_hostile_structure_is_refused(self, tmp_path):
        from safetensors.numpy import save_file

        for structure in ("{", '{"dict": 3}', '{"tensor": "missing"}', '{"exec": "1"}', "[" * 100_000):
            save_file({"w": np.ones(1)}, tmp_path / "x.safetensors", {"tinygrad_edu.structure": structure})
            with pytest.raises(CheckpointError, match="E504"):
                load(tmp_path / "x.safetensors")
