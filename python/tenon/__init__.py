"""Tenon runs ONNX models.

    import tenon
    model = tenon.load("resnet50.onnx", threads=2)
    logits = model(image)["logits"]
"""
import os as _os

from . import _tenon
from ._errors import (ArgumentError, CancelledError, Code, Error, FileError, InternalError, LimitError, LoadError, OutOfMemoryError, RunError,
                      ShapeError)
from ._tenon import Cancel, Model, Profile, Session, build_info, supported_operators
from ._types import Event, Node, Operator, Pass, Stats, Value

__version__ = _tenon.version
__all__ = [
    "load", "Model", "Session", "Cancel", "Profile", "build_info", "supported_operators",
    "Error", "ArgumentError", "LoadError", "ShapeError", "RunError", "LimitError", "CancelledError", "OutOfMemoryError", "FileError",
    "InternalError", "Code", "Value", "Node", "Pass", "Stats", "Event", "Operator",
]


def load(source, *, threads=0, dims=None, outputs=(), optimize=True, map_weights=False, overridable_initializers=False, onednn=True,
         strict=False, openmp=False, memory_limit=0, timeout=None, cancel=None, progress=None, base_directory=None, disabled_passes=(),
         pass_step_limit=0, max_plans=0, verify_checksums=False, cache_directory=None):
    """Loads a model from a path, from bytes (or anything with the buffer protocol), from an object with read(), or from an
    onnx.ModelProto.

    threads: of a run, unless run() says otherwise; 0 takes every CPU the process may use.
    dims: {name: size} for symbolic dims of the inputs.
    outputs: values inside the model that become outputs after its own.
    map_weights: view the weights in the mapped file, for a file that nobody changes while the model lives.
    strict: only methods of convolution whose rounding error is that of the direct sum, so no Winograd.
    verify_checksums: compare files of external data with the SHA-1 the model gives, where it does; takes seconds a gigabyte.
    cache_directory: keep packed weights there, so that the next load of the same path maps them instead of packing again. Made when
        missing; whoever can write there decides about results. Model.cache_note says why nothing was kept, where nothing was.
    timeout: seconds, after which the load raises LimitError. cancel: a Cancel that stops it.
    progress: called with (stage, done, total) during the load; an exception it raises ends the load and comes out of load().
    """
    if isinstance(source, (str, _os.PathLike)):
        kind, source = "path", _os.fspath(source)
    elif hasattr(source, "read"):
        kind = "stream"
    else:
        kind = "memory"
        if hasattr(source, "SerializeToString"):
            source = source.SerializeToString()
    return _tenon._load(kind, source, dims or {}, outputs, disabled_passes, cancel, progress, threads=threads, optimize=optimize,
                        map_weights=map_weights, overridable_initializers=overridable_initializers, onednn=onednn, strict=strict,
                        openmp=openmp, memory_limit=memory_limit, timeout=timeout, base_directory=base_directory,
                        pass_step_limit=pass_step_limit, max_plans=max_plans, verify_checksums=verify_checksums,
                        cache_directory=cache_directory)
