"""tract: sizes fixed where they can be; one thread."""
from .base import Caller, Engine


class Tract(Engine):
    name = "tract"
    module = package = "tract"

    @classmethod
    def refusal(cls, setup):
        return "runs on one thread only" if setup.threads > 1 else None

    def settings(self):
        return {"symbols": self.setup.symbols()}

    def load(self):
        tract = self.open()
        model = tract.onnx().load(self.setup.source)
        kinds = {"float32": "f32", "int64": "i64", "int32": "i32", "bool": "bool", "float16": "f16"}
        if not self.setup.dynamic:
            dtypes = {name: kinds[dtype] for name, dtype, _ in self.setup.inputs}
            for k in range(model.input_count()):
                name = model.input_name(k)
                model.set_input_fact(k, ",".join(map(str, [*self.setup.dims()[name], dtypes[name]])))
        self.names = [model.input_name(k) for k in range(model.input_count())]
        self.model = model.into_model().into_runnable()

    def caller(self, arrays):
        return TractCaller(self.open(), self.model, self.names, arrays)


class TractCaller(Caller):
    def __init__(self, tract, model, names, arrays):
        self.tract, self.names, self.model = tract, names, model
        self.feed(arrays)

    def feed(self, arrays):
        self.held = [self.tract.Tensor.from_numpy(arrays[name]) for name in self.names]

    def run(self):
        self.results = self.model.run(self.held)  # each run in a state of its own: recurrent layers would go on from the last

    def outputs(self):
        self.run()
        return [tensor.to_numpy() for tensor in self.results]
