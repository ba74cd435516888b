"""Opens ONNX models as this package runs them; ``onnxruntime`` itself is untyped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Floats = npt.NDArray[np.float32]


class Session(Protocol):
    """The part of an ``onnxruntime.InferenceSession`` that is used."""

    def run(self, names: None, feeds: Mapping[str, npt.NDArray[Any]]) -> Sequence[Floats]:
        """Return the model's outputs."""
        ...


def open_model(path: Path) -> Session:
    """Open a model on one thread: with more, threads spin for each other and cost twice as much (measured)."""
    onnx = cast("Any", ort)
    options = onnx.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnx.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
