"""What the outputs of a model must be, and how much arithmetic it holds: one run of onnxruntime with every optimisation off."""
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from . import flops

LIMIT = 1e-3  # of difference(): engines beyond it compute something else


def run(source, arrays):
    """({output: array} in the model's order, floating-point operations) of a model, a path or bytes, on arrays by input."""
    model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source, load_external_data=False)
    outputs = [o.name for o in model.graph.output]
    dims = {i.name: tuple(i.dims) for i in model.graph.initializer}
    given = {i.name for i in model.graph.input}
    inside = [n for n in flops.wanted(model) if n not in dims and n not in given and n not in outputs]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inside)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    if not isinstance(source, bytes):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(Path(source).resolve().parent))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result = dict(zip(outputs + inside, session.run(outputs + inside, arrays)))
    dims.update((name, array.shape) for name, array in (arrays | result).items())
    return {name: result[name] for name in outputs}, flops.count(model, dims)


def difference(got, want):
    """The largest difference of arrays from a reference, as a part of the largest number in that output; both are lists in one order."""
    if [a.shape for a in got] != [w.shape for w in want]:
        return math.inf
    worst = 0.0
    for a, w in zip(got, want):
        a, w = a.astype(np.float64), w.astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart = np.where((a == w) | (np.isnan(a) & np.isnan(w)), 0, np.abs(a - w))  # equal infinities are no difference
        scale = np.max(np.abs(w), initial=0, where=np.isfinite(w))
        worst = max(worst, float(np.max(np.nan_to_num(apart, nan=math.inf, posinf=math.inf), initial=0)) / max(scale, 1e-30))
    return worst
