"""Checkpoints and the layer table."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.models import MLP, CourseCNN, LeNet5
from tinygrad_edu.utils.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from tinygrad_edu.utils.summary import summary


class TestTheCourseNetwork:
    def test_289_630_parameters(self):
        assert sum(p.numel() for p in CourseCNN().parameters()) == 289_630

    def test_its_table_is_the_courses(self):
        table = summary(CourseCNN(), (1, 28, 28), channels_last=True)
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
        summary(model, (3,))
        assert model.training and model[1].training
        assert all((v == before[k]).all() for k, v in model.state_dict().items())
        assert not any(m._forward_hooks for m in model.modules())


class TestCheckpoint:
    def test_round_trip_with_torch_users_files(self, tmp_path):
        from safetensors.numpy import load_file

        model = CourseCNN()
        path = save_checkpoint(model.state_dict(), tmp_path / "m.safetensors", {"note": "five"})
        state, notes = load_checkpoint(path)
        other = CourseCNN()
        other.load_state_dict(state)
        x = tg.randn(2, 1, 28, 28)
        assert (model(x) == other(x)).all()
        assert notes == {"note": "five"}
        assert set(load_file(path)) == set(model.state_dict())

    def test_every_dtype(self, tmp_path):
        kinds = (tg.float32, tg.float64, tg.float16, tg.int64, tg.int32, tg.uint8, tg.bool)
        state = {str(i): tg.ones(2, 3, dtype=kind) for i, kind in enumerate(kinds)} | {
            "scalar": tg.tensor(3),
            "empty": tg.zeros(0, 2),
        }
        loaded, _ = load_checkpoint(save_checkpoint(state, tmp_path / "m.safetensors"))
        for key, tensor in state.items():
            assert loaded[key].dtype == tensor.dtype
            assert loaded[key].shape == tensor.shape
            np.testing.assert_array_equal(loaded[key].numpy(), tensor.numpy())

    def test_a_truncated_file_is_refused(self, tmp_path):
        path = save_checkpoint({"w": tg.ones(100)}, tmp_path / "m.safetensors")
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(CheckpointError, match="E504"):
            load_checkpoint(path)

    def test_a_failed_save_leaves_the_old_file(self, tmp_path):
        path = save_checkpoint({"w": tg.ones(3)}, tmp_path / "m.safetensors")
        before = path.read_bytes()
        with pytest.raises(TypeError, match="not a Tensor"):
            save_checkpoint({"w": 3}, path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
