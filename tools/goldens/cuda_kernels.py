"""Writes which types the kernels of onnxruntime's CUDA provider take: test/unit/graph/goldens/cuda-kernels.json.

    pip install onnxruntime-gpu==1.30.0
    python tools/goldens/cuda_kernels.py > test/unit/graph/goldens/cuda-kernels.json

It asks the library for what it registers, so it takes the libraries of CUDA, cuDNN and TensorRT, and no GPU: empty ones
that only have the names will do. Kept are the kernels of operator set 20, which graphs here are written in.
"""

import json

from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

OPSET = {"": 20, "com.microsoft": 1}
OPS = """Abs Add And Cast Clip Concat Conv ConvTranspose DepthToSpace Div Equal Erf Exp Expand Floor Gather Gelu Gemm Greater
Identity LayerNormalization Less Log MatMul Max Min Mul Neg Not Pad Pow Reciprocal ReduceMean ReduceSum ReduceSumSquare Relu Reshape
Resize Shape Sigmoid Slice Softmax Split Sqrt Sub Tanh Transpose Where com.microsoft:FusedMatMul com.microsoft:QuickGelu"""
TYPES = ["float", "float16", "bfloat16", "int64", "int32", "bool", "int8", "uint8"]

found = {}
for kernel in get_all_opkernel_def():
    domain = "" if kernel.domain == "ai.onnx" else kernel.domain
    first, last = kernel.version_range
    name = f"{domain}:{kernel.op_name}" if domain else kernel.op_name
    if kernel.provider != "CUDAExecutionProvider" or name not in OPS.split() or not first <= OPSET[domain] <= last:
        continue
    constraints = kernel.type_constraints
    types = next(constraints[key] for key in ("T", "T1", "V") if key in constraints)
    found.setdefault(name, set()).update(types)
print(json.dumps({name: [t for t in TYPES if f"tensor({t})" in found[name]] for name in sorted(found)}, indent=2))
