"""onnxruntime: every optimisation, arrays bound on both sides."""
from .base import Caller, Engine


class OnnxRuntime(Engine):
    name = "onnxruntime"
    module = package = "onnxruntime"

    def settings(self):
        dynamic = self.setup.dynamic
        options = {"intra_op_num_threads": self.setup.threads, "inter_op_num_threads": 1, "enable_mem_pattern": not dynamic,
                   "log_severity_level": 3}
        return {"options": options, "graph_optimization_level": "ORT_ENABLE_ALL", "execution_mode": "ORT_SEQUENTIAL",
                "config": {"session.set_denormal_as_zero": "1"}, "free_dimensions": self.setup.symbols(),
                "binding": "inputs" if dynamic else "inputs and preallocated outputs"}

    def load(self):
        ort, settings = self.open(), self.settings()
        options = ort.SessionOptions()
        for name, value in settings["options"].items():
            setattr(options, name, value)
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, settings["graph_optimization_level"])
        options.execution_mode = getattr(ort.ExecutionMode, settings["execution_mode"])
        for name, value in settings["config"].items():
            options.add_session_config_entry(name, value)
        for name, size in settings["free_dimensions"].items():
            options.add_free_dimension_override_by_name(name, size)
        self.session = ort.InferenceSession(self.setup.source, options, providers=["CPUExecutionProvider"])

    def caller(self, arrays):
        return OnnxRuntimeCaller(self.open(), self.session, arrays)


class OnnxRuntimeCaller(Caller):
    def __init__(self, ort, session, arrays):
        self.value = ort.OrtValue.ortvalue_from_numpy
        self.session, self.binding = session, session.io_binding()
        self.feed(arrays)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def keep_outputs(self):
        self.results = [self.value(array) for array in self.binding.copy_outputs_to_cpu()]
        for output, value in zip(self.session.get_outputs(), self.results):
            self.binding.bind_ortvalue_output(output.name, value)

    def feed(self, arrays):
        self.held = {name: self.value(array) for name, array in arrays.items()}  # views: the binding does not keep them alive
        for name, value in self.held.items():
            self.binding.bind_ortvalue_input(name, value)
        self.binding.clear_binding_outputs()  # they keep the sizes of the last run
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)

    def outputs(self):
        self.run()
        return self.binding.copy_outputs_to_cpu()
