"""The installed command, as a person types it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu.cli import main


def command(*arguments: str, cwd: Path | None = None, env: dict | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_edu.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=cwd,
        env=env,
    )


class TestGraph:
    def test_the_course_function(self, tmp_path, capsys):
        assert main(["graph", "-o", str(tmp_path / "f.svg")]) == 0
        printed = capsys.readouterr().out
        assert "f = 40\ndf/dx = 18\ndf/dy = 13\n" in printed
        picture = (tmp_path / "f.svg").read_text()
        for text in ("40", "18", "13"):
            assert text in picture

    def test_a_file_of_formulas_with_lists(self, tmp_path, capsys):
        (tmp_path / "neuron.txt").write_text(
            "h = tanh(w @ x)\nloss = (h ** 2).sum()\n".replace("(h ** 2).sum()", "sum(h ** 2)")
        )
        values = ["--at", "w=[[1,2],[3,4]]", "x=[0.1,0.2]"]
        assert main(["graph", str(tmp_path / "neuron.txt"), *values, "-o", str(tmp_path / "g.dot")]) == 0
        assert "digraph" in (tmp_path / "g.dot").read_text()
        assert "dloss/dw" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["-e", "f = x +"], "line 1"),
            (["-e", "f = __import__('os')"], "line 1"),
            (["-e", "f = x * z", "--at", "x=1"], "z"),
            (["-e", "f = x", "--at", "x"], "NAME=VALUE"),
            (["-o", "picture.gif"], ".svg"),
            (["-o", "no/such/folder/f.svg"], "no/such/folder"),
            (["missing.txt"], "missing.txt"),
        ],
    )
    def test_bad_input_is_one_clear_message(self, arguments, says, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["graph", *arguments]) == 1
        error = capsys.readouterr().err
        assert says in error
        assert "Traceback" not in error
        assert list(tmp_path.iterdir()) == []


class TestTrain:
    @pytest.mark.slow
    def test_train_and_evaluate_on_digits(self, tmp_path):
        trained = command("train", "--data", "digits", "--model", "cnn", "--epochs", "30", "--out", str(tmp_path))
        assert trained.returncode == 0, trained.stderr
        accuracy = trained.stdout.split("test accuracy: ")[1].split("%")[0]
        assert float(accuracy) >= 96.0
        assert (tmp_path / "training-curve.png").read_bytes().startswith(b"\x89PNG")
        again = command("evaluate", str(tmp_path / "model.safetensors"))
        assert again.returncode == 0, again.stderr
        assert f"test accuracy: {accuracy}%" in again.stdout

    @pytest.mark.parametrize("model", ["mlp", "cnn"])
    def test_every_model_and_optimizer_runs(self, model, tmp_path, capsys):
        for optimizer in ("sgd", "momentum", "adam", "adamw", "rmsprop"):
            arguments = [
                "--data",
                "digits",
                "--model",
                model,
                "--optimizer",
                optimizer,
                "--epochs",
                "1",
                "--batch-size",
                "200",
            ]
            assert main(["train", *arguments, "--out", str(tmp_path / optimizer)]) == 0
        assert "test accuracy" in capsys.readouterr().out

    def test_an_unwritable_folder_is_refused_before_training(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert main(["train", "--data", "digits", "--out", str(tmp_path / "file" / "out")]) == 1
        error = capsys.readouterr().err
        assert "cannot write into the folder" in error
        assert "--out" in error

    def test_missing_mnist_names_the_files(self, tmp_path, capsys, monkeypatch):
        monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
        arguments = ["--data", "mnist", "--root", str(tmp_path), "--no-download", "--out", str(tmp_path / "out")]
        assert main(["train", *arguments]) == 1
        error = capsys.readouterr().err
        assert "train-images-idx3-ubyte" in error
        assert "Traceback" not in error

    def test_lenet_wants_28x28(self, tmp_path, capsys):
        assert main(["train", "--data", "digits", "--model", "lenet", "--out", str(tmp_path)]) == 1
        assert "28x28" in capsys.readouterr().err

    @pytest.mark.parametrize("bad", [["--epochs", "0"], ["--batch-size", "-1"], ["--lr", "nan"], ["--model", "vgg"]])
    def test_bad_numbers_are_usage_errors(self, bad, capsys):
        with pytest.raises(SystemExit) as stop:
            main(["train", *bad])
        assert stop.value.code == 2


class TestEvaluate:
    @pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04K\x01.", b"\xff" * 64])
    def test_a_broken_checkpoint(self, content, tmp_path, capsys):
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        assert main(["evaluate", str(path)]) == 1
        assert "E504" in capsys.readouterr().err

    def test_a_missing_checkpoint(self, tmp_path, capsys):
        assert main(["evaluate", str(tmp_path / "nothing.safetensors")]) == 1
        assert "no file" in capsys.readouterr().err


@pytest.mark.slow
class TestDemo:
    def test_offline_without_mnist_it_uses_the_digits(self, tmp_path):
        import os

        env = {k: v for k, v in os.environ.items() if k != "TINYGRAD_EDU_DATA"} | {
            "XDG_CACHE_HOME": str(tmp_path / "cache")
        }
        done = command("demo", "--no-download", "--epochs", "3", "--out", str(tmp_path / "out"), env=env)
        assert done.returncode == 0, done.stderr
        assert "scikit-learn" in done.stdout
        assert "df/dx = 18" in done.stdout
        written = {p.name for p in (tmp_path / "out").iterdir()}
        assert written == {
            "graph-of-f.svg", "graph-of-f.png", "network.svg", "network.png", "training-curve.png", "model.safetensors",
        }  # fmt: skip

    def test_on_mnist_two_epochs_reach_98_percent(self, tmp_path, mnist_root):
        done = command("demo", "--root", str(mnist_root), "--epochs", "2", "--out", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert float(done.stdout.split("test accuracy: ")[1].split("%")[0]) >= 98.0
