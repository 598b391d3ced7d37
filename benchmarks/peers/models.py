"""The models that are measured: those of the zoo by name, or ONNX files by path."""
import dataclasses
import math
import sys
from pathlib import Path

import onnx
import zoo


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    files: dict   # form -> path; the forms of zoo models are "external" and "inline": where the weights are
    inputs: list  # [(name, dtype name, dims)], symbols by name, without initializers
    outputs: list
    sizes: dict   # symbol -> its usual size
    options: dict = dataclasses.field(default_factory=dict)  # engine -> settings of its own for this model

    @property
    def path(self):
        return str(next(iter(self.files.values())))

    @property
    def symbols(self):
        return {d for _, _, dims in self.inputs for d in dims if isinstance(d, str)}


def find(word, forms=("external",)):
    """The model of a zoo name or a path; the zoo's weights are drawn the first time. Ends the program when there is none."""
    if word in zoo.SIZES:
        files = {form: zoo.path(word, form == "inline") for form in forms}
        name, sizes = word, zoo.SIZES[word][0]
    elif not Path(word).is_file():
        sys.exit(f"{word} is neither a file nor a model of the zoo ({', '.join(zoo.SIZES)})")
    else:
        files, name, sizes = {"": Path(word)}, Path(word).stem, {}
    inputs, outputs = interface(next(iter(files.values())))
    return Model(name, files, inputs, outputs, sizes)


def chain(path, count):
    """A model that adds a vector of 16 to another, `count` times in a row, each time in a node of its own, which Tenon would fuse. It is
    written to `path`."""
    names = [f"t{i}" for i in range(count + 1)]
    nodes = [onnx.helper.make_node("Add", [a, "y"], [b]) for a, b in zip(names, names[1:])]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [16]) for name in (names[0], "y", names[-1])]
    graph = onnx.helper.make_graph(nodes, "chain", values[:2], values[2:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    inputs, outputs = interface(path)
    return Model(f"chain of {count:,} Adds", {"": path}, inputs, outputs, {}, {"tenon": {"disabled_passes": ["fuse_elementwise"]}})


def weights(path):
    """Bytes of the initializers that a run needs whole: not of tables from which Gather alone takes rows, nor of what nothing reads."""
    graphs = [onnx.load(path, load_external_data=False).graph]
    for graph in graphs:  # grows
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    needed = {name for g in graphs for n in g.node for k, name in enumerate(n.input) if (n.op_type, k) != ("Gather", 0)}
    held = [t for g in graphs for t in g.initializer if t.name in needed]
    return sum(math.prod(t.dims) * onnx.helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in held)


def interface(path):
    """(inputs, outputs) of a file, as in Model."""
    graph = onnx.load(path, load_external_data=False).graph
    held = {i.name for i in graph.initializer}
    inputs = []
    for value in graph.input:
        if value.name not in held:
            tensor = value.type.tensor_type
            dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]
            inputs.append((value.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, dims))
    return inputs, [o.name for o in graph.output]
