"""ncnn, on files that pnnx converted for fixed sizes."""
import importlib.metadata
import importlib.util
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx

from .base import Caller, Engine, converted


class Ncnn(Engine):
    name = "ncnn"
    module = package = "ncnn"

    @classmethod
    def refusal(cls, setup):
        return "pnnx converts for fixed sizes" if setup.dynamic else None

    @classmethod
    def stem(cls, setup):
        sizes = "".join(f"-{name}{size}" for name, size in setup.symbols().items())
        return Path(setup.folder) / "ncnn" / f"{Path(setup.source).stem}{sizes}" / "model"

    @classmethod
    def files(cls, setup):
        return [cls.stem(setup).with_suffix(suffix) for suffix in (".ncnn.param", ".ncnn.bin")]

    @classmethod
    def prepare(cls, setup):
        """pnnx writes beside the model a Python file that says which axis of each input and output ncnn takes for the batch."""
        if (package := importlib.util.find_spec("pnnx")) is None:
            raise RuntimeError("pnnx, which converts its models, is not installed")
        stem, kinds = cls.stem(setup), {"float32": "f32", "int64": "i64", "int32": "i32", "float16": "f16", "bool": "i8"}
        shapes = [f"[{','.join(map(str, dims))}]{kinds[dtype]}" for dims, (_, dtype, _) in zip(setup.dims().values(), setup.inputs)]
        command = [str(Path(package.submodule_search_locations[0]) / "pnnx"), "model.onnx", "fp16=0", f"inputshape={','.join(shapes)}"]
        target = stem.with_suffix(".ncnn.param")

        def convert():
            onnx.save(onnx.load(setup.source), stem.with_suffix(".onnx"))  # with the weights inside
            result = subprocess.run(command, cwd=stem.parent, capture_output=True, text=True, timeout=300)
            for file in {*stem.parent.glob("model*.onnx*"), *stem.parent.glob("model.pnnx.*")}:
                file.unlink()
            if result.returncode != 0:
                target.unlink(missing_ok=True)

        converted(target, setup.source, f"{importlib.metadata.version('pnnx')} {command}", convert)
        if not target.is_file():
            raise RuntimeError("pnnx does not take the model")

    def settings(self):
        halves = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed")
        return {"num_threads": self.setup.threads, "lightmode": True, "use_packing_layout": True, "use_winograd_convolution": True,
                "use_sgemm_convolution": True} | dict.fromkeys(halves, False)

    def load(self):
        ncnn, stem = self.open(), self.stem(self.setup)
        self.net = ncnn.Net()
        for name, value in self.settings().items():
            setattr(self.net.opt, name, value)
        if self.net.load_param(str(stem.with_suffix(".ncnn.param"))) != 0 or self.net.load_model(str(stem.with_suffix(".ncnn.bin"))) != 0:
            layers = dict.fromkeys(line.split()[0] for line in stem.with_suffix(".ncnn.param").read_text().splitlines()[2:])
            missing = [name for name in layers if ncnn.layer_to_index(name) < 0]
            raise RuntimeError(f"the converted model has layers that ncnn does not know: {', '.join(missing)}")
        text = stem.parent.joinpath("model_ncnn.py").read_text()
        self.batch_in = {int(k): int(axis) for k, axis in re.findall(r"\bin(\d+)\.numpy\(\), batch_index=(\d+)", text)}
        self.batch_out = {int(k): int(axis) for k, axis in re.findall(r"\bout(\d+)\.numpy\(batch_index=(\d+)", text)}

    def caller(self, arrays):
        return NcnnCaller(self.open(), self.net, self.batch_in, self.batch_out, [arrays[name] for name, _, _ in self.setup.inputs])


class NcnnCaller(Caller):
    def __init__(self, ncnn, net, batch_in, batch_out, arrays):
        self.net, self.batch_out = net, batch_out
        arrays = [a.astype(np.int32) if a.dtype == np.int64 else a for a in arrays]
        self.mats = [(f"in{k}", ncnn.Mat(a, batch_index=batch_in[k]).clone()) for k, a in enumerate(arrays)]

    def run(self):
        with self.net.create_extractor() as extractor:
            for name, mat in self.mats:
                extractor.input(name, mat)
            self.results = []
            for k in self.batch_out:
                status, mat = extractor.extract(f"out{k}")
                if status != 0:
                    raise RuntimeError(f"the run failed ({status})")
                self.results.append(mat)

    def outputs(self):
        self.run()
        return [np.array(mat.numpy(batch_index=axis)) for mat, axis in zip(self.results, self.batch_out.values())]
