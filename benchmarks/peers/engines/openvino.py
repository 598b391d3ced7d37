"""OpenVINO: static sizes where they are fixed, float32 throughout, one stream a caller."""
import os

import numpy as np

from .base import Caller, Engine


class OpenVino(Engine):
    name = "openvino"
    module = package = "openvino"

    @classmethod
    def trials(cls):
        return [{"ENABLE_CPU_PINNING": True}, {"ENABLE_CPU_PINNING": False}]

    def settings(self):
        streams = min(self.setup.callers, len(os.sched_getaffinity(0)))
        own = {"PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT", "NUM_STREAMS": streams,
               "INFERENCE_NUM_THREADS": self.setup.threads * streams, "INFERENCE_PRECISION_HINT": "f32"}
        return own | self.setup.options

    def load(self):
        core = self.open().Core()
        model = core.read_model(self.setup.source)
        if not self.setup.dynamic:
            model.reshape(self.setup.dims())
        self.model = core.compile_model(model, "CPU", self.settings())

    def caller(self, arrays):
        return OpenVinoCaller(self.open(), self.model, arrays)


class OpenVinoCaller(Caller):
    def __init__(self, openvino, model, arrays):
        self.openvino, self.model = openvino, model
        self.request = model.create_infer_request()
        self.feed(arrays)

    def feed(self, arrays):
        self.held = {name: self.openvino.Tensor(array, shared_memory=True) for name, array in arrays.items()}
        self.request.set_tensors(self.held)

    def run(self):
        self.request.infer()

    def outputs(self):
        self.run()
        return [np.array(self.request.get_tensor(o).data) for o in self.model.outputs]
