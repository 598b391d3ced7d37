"""MNN, on files of its own converter."""
import importlib
from pathlib import Path

import numpy as np

from .base import Caller, Engine, converted


class Mnn(Engine):
    name = "mnn"
    module, package = "MNN", "MNN"
    # Level 1, the default, fuses BERT's attention to something else. Without the other, recurrent layers become loops that sessions refuse.
    conversion = ["--optimizeLevel", "2", "--useOriginRNNImpl"]

    @classmethod
    def file(cls, setup):
        return Path(setup.folder) / "mnn" / f"{Path(setup.source).stem}.mnn"

    @classmethod
    def files(cls, setup):
        return [cls.file(setup)]

    @classmethod
    def prepare(cls, setup):
        cls.open()
        file, converter = cls.file(setup), importlib.import_module("_tools")
        command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(setup.source), "--MNNModel", str(file), "--bizCode", "none",
                   *cls.conversion]
        converted(file, setup.source, f"{cls.version()} {command}", lambda: converter.mnnconvert(command))
        if not file.is_file():
            raise RuntimeError("MNN's converter does not take the model")

    def settings(self):
        # Of precision and power, 1 is high; of memory, 0 is normal.
        session = {"backend": "CPU", "numThread": self.setup.threads, "precision": 1, "power": 1, "memory": 0}
        return {"session": session, "conversion": self.conversion}

    def load(self):
        self.interpreter = self.open().Interpreter(str(self.file(self.setup)))

    def caller(self, arrays):
        return MnnCaller(self.open(), self.interpreter, self.settings()["session"], self.setup.outputs, arrays)


class MnnCaller(Caller):
    """Inputs and outputs are copied in every run: a session reuses the memory of its inputs, and lays its outputs out in its own way."""

    def __init__(self, mnn, interpreter, settings, names, arrays):
        self.mnn, self.interpreter, self.names = mnn, interpreter, names
        self.session = interpreter.createSession(settings)
        self.shapes = None
        self.feed(arrays)

    def host(self, array):
        kind = {"float32": self.mnn.Halide_Type_Float, "int32": self.mnn.Halide_Type_Int}.get(array.dtype.name)
        if kind is None:
            raise RuntimeError(f"no tensors of {array.dtype.name}")
        return self.mnn.Tensor(array.shape, kind, array, self.mnn.Tensor_DimensionType_Caffe)

    def feed(self, arrays):
        self.arrays = arrays = {name: array.astype(np.int32) if array.dtype == np.int64 else array for name, array in arrays.items()}
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != self.shapes:
            for name, tensor in self.interpreter.getSessionInputAll(self.session).items():
                self.interpreter.resizeTensor(tensor, shapes[name])
            self.interpreter.resizeSession(self.session)
            self.shapes, self.results = shapes, None
        inputs = self.interpreter.getSessionInputAll(self.session)
        self.copies = [(inputs[name], self.host(array)) for name, array in arrays.items()]

    def run(self):
        for tensor, host in self.copies:
            tensor.copyFrom(host)
        if self.interpreter.runSession(self.session) != 0:
            raise RuntimeError("the run failed")
        if self.results is None:  # the first run of these shapes
            outputs = self.interpreter.getSessionOutputAll(self.session)
            self.results = [(outputs[name], self.mnn.Tensor(outputs[name], self.mnn.Tensor_DimensionType_Caffe)) for name in self.names]
        for tensor, host in self.results:
            tensor.copyToHostTensor(host)

    def outputs(self):
        self.run()
        return [np.array(host.getNumpyData()) for _, host in self.results]
