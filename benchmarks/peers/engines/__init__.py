"""The engines, one file each, at the settings that serve each best for float32 latency."""
from .base import Caller, Engine, Setup, files_of
from .mnn import Mnn
from .ncnn import Ncnn
from .onnxruntime import OnnxRuntime
from .openvino import OpenVino
from .tenon import Tenon, TenonCached, TenonMapped
from .tract import Tract

ENGINES = {engine.name: engine for engine in (Tenon, TenonMapped, TenonCached, OnnxRuntime, OpenVino, Mnn, Ncnn, Tract)}

__all__ = ["ENGINES", "Caller", "Engine", "Setup", "files_of"]
