"""Exports modules as ONNX, with weights of one byte.

Large weights are stored as int8 with a scale for each row and become float32 again by two plain operations, Cast and Mul,
which every runtime folds when it loads the file. The computation itself is float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 18
SMALL = 1024  # weights of fewer numbers stay as they are


def export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], axes: dict[str, dict[int, str]], path: Path) -> None:
    """`axes` names the dimensions that may vary, by input and output name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(module.eval(), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=outputs,
                      dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    model = onnx.load(str(path))
    store_weights_as_bytes(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def store_weights_as_bytes(model: onnx.ModelProto) -> None:
    graph = model.graph
    nodes = []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < SMALL or values.ndim < 2:
            continue
        # MatMul weights are [in, out]: a scale for each column; convolutions and embeddings: for each row.
        users = [node.op_type for node in graph.node if weight.name in node.input]
        axes = tuple(range(values.ndim - 1)) if "MatMul" in users else tuple(range(1, values.ndim))
        scale = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-8) / 127
        quantized = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(quantized, weight.name + "_bytes"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), weight.name + "_scale"))
        nodes.append(helper.make_node("Cast", [weight.name + "_bytes"], [weight.name + "_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [weight.name + "_float", weight.name + "_scale"], [weight.name]))
    for node in reversed(nodes):
        graph.node.insert(0, node)
