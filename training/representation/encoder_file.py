"""Write the encoder as ONNX and refuse it when it does not compute what the trained network computes.

The graph is laid out node by node: an MLP needs no tracing, and equal weights give equal bytes.

Shape legend: U users, B users of a batch, F input columns.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.arrays import Floats
from training.contracts.errors import AttuneError
from training.representation.autoencoder import Autoencoder

NUM_THREADS = 2
BATCH_SIZE = 8192
_OPSET = 17
_IR_VERSION = 9
logger = logging.getLogger(__name__)


def export_encoder(model: Autoencoder, path: Path, sample_BF: Floats, tolerance: float) -> float:
    """Write `model.encoder` to `path` and return the largest absolute difference to torch on the sample.

    Args:
        model: Trained.
        path: The ONNX file; input `x` float32 [users, F], output `z` float32 [users, Z].
        sample_BF: Rows to compare on.
        tolerance: Largest difference allowed.

    Raises:
        AttuneError: The two differ by more than `tolerance`.
    """
    import onnx

    onnx.save(_graph(model), str(path))
    with torch.no_grad():
        expected = model.eval().encode(torch.from_numpy(sample_BF)).numpy()
    difference = float(np.abs(run_encoder(open_encoder(path), sample_BF) - expected).max(initial=0.0))
    if not difference <= tolerance:
        raise AttuneError(
            f"expected the ONNX encoder within {tolerance:g} of torch, found {difference:g} at {path}; "
            "compare the onnx and torch versions with requirements.lock"
        )
    logger.info("encoder parity: largest difference %.2g", difference)
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


def run_encoder(session: Any, x_UF: Floats) -> Floats:
    """Return z, float32 [U, Z], in batches; no users give zero rows."""
    starts = range(0, max(len(x_UF), 1), BATCH_SIZE)
    return np.vstack([session.run(["z"], {"x": x_UF[start : start + BATCH_SIZE]})[0] for start in starts])


def _graph(model: Autoencoder) -> Any:
    """Return the ONNX model of the encoder: layers, linear path, their sum; dropout is nothing at inference."""
    from onnx import TensorProto, helper

    layers = [layer for layer in model.encoder.layers if isinstance(layer, nn.Linear | nn.SELU)]
    nodes, weights, flowing = [], [], "x"
    for index, layer in enumerate(layers):
        nodes.append(_node(layer, flowing, f"h{index}"))
        weights += _weights(layer, f"h{index}")
        flowing = f"h{index}"
    linear = model.encoder.linear
    nodes += [_node(linear, "x", "linear"), helper.make_node("Add", ["linear", flowing], ["z"])]
    graph = helper.make_graph(
        nodes,
        "user_encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["users", linear.in_features])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["users", linear.out_features])],
        [*weights, *_weights(linear, "linear")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _node(layer: nn.Module, flowing: str, result: str) -> Any:
    from onnx import helper

    if isinstance(layer, nn.SELU):
        return helper.make_node("Selu", [flowing], [result])
    return helper.make_node("Gemm", [flowing, f"{result}.weight", f"{result}.bias"], [result], transB=1)


def _weights(layer: nn.Module, result: str) -> list[Any]:
    from onnx import numpy_helper

    named = {f"{result}.{name}": value.detach().numpy() for name, value in layer.named_parameters()}
    return [numpy_helper.from_array(value, name) for name, value in named.items()]
