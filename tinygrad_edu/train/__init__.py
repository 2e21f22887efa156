"""Training with comforts, for programs whose subject is not the loop: bars, validation, callbacks, measures, exact resumption."""

from tinygrad_edu.train.callbacks import Callback, CSVLog, EarlyStopping, ModelCheckpoint, Training
from tinygrad_edu.train.history import Epoch, History
from tinygrad_edu.train.loop import evaluate, fit
from tinygrad_edu.train.metrics import accuracy, confusion_matrix, predict, top_k_accuracy
from tinygrad_edu.train.tensorboard import TensorBoard

__all__ = [
    "CSVLog", "Callback", "EarlyStopping", "Epoch", "History", "ModelCheckpoint", "TensorBoard", "Training", "accuracy",
    "confusion_matrix", "evaluate", "fit", "predict", "top_k_accuracy",
]  # fmt: skip
