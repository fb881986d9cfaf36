"""Write the encoder as ONNX and refuse it when it does not compute what the trained network computes."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.contracts.errors import AttuneError
from training.models.autoencoder import Autoencoder

FloatArray = npt.NDArray[np.float32]
NUM_THREADS = 2
BATCH_SIZE = 8192


def export_encoder(model: Autoencoder, path: Path, sample_BF: FloatArray, tolerance: float) -> float:
    """Write `model.encoder` to `path` and return the largest absolute difference to torch on the sample.

    Args:
        model: Trained, in eval mode.
        path: The ONNX file; input `x` float32 [users, F], output `z` float32 [users, Z].
        sample_BF: Rows to compare on.
        tolerance: Largest difference allowed.

    Raises:
        AttuneError: The two differ by more than `tolerance`.
    """
    example = torch.zeros(2, sample_BF.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.encoder.eval(),
            (example,),
            str(path),
            input_names=["x"],
            output_names=["z"],
            dynamic_shapes=({0: torch.export.Dim("users")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(sample_BF)).numpy()
    difference = float(np.abs(run_encoder(open_encoder(path), sample_BF) - expected).max(initial=0.0))
    if not difference <= tolerance:
        raise AttuneError(
            f"expected the ONNX encoder within {tolerance:g} of torch, found {difference:g} at {path}; "
            "compare the onnx and torch versions with requirements.lock"
        )
    logging.getLogger(__name__).info("encoder parity: largest difference %.2g", difference)
    return difference


def open_encoder(path: Path) -> Any:
    """Return an onnxruntime session with a fixed number of threads, so that equal batches give equal bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = NUM_THREADS
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_encoder(session: Any, x_UF: FloatArray) -> FloatArray:
    """Return z, float32 [U, Z], in batches; no users give zero rows."""
    starts = range(0, max(len(x_UF), 1), BATCH_SIZE)
    return np.vstack([session.run(["z"], {"x": x_UF[start : start + BATCH_SIZE]})[0] for start in starts])
