#!/usr/bin/env python3
"""Writes the small models that the tests of the C, C++, Go and Python interfaces share. They are checked in; run it to change them.

    tests/data/make_models.py [DIRECTORY]
"""
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

F, I64, B, S = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(name, nodes, inputs, outputs, initializers=(), opset=17, domains=(), metadata=None):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains],
                             producer_name="make_models", producer_version="1.0", ir_version=9)
    for key, text in (metadata or {}).items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, text
    if not domains:
        checker.check_model(made)
    return made


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def add():
    """sum = a + b, twice = 2 * sum; both [batch, 3]."""
    return model("add", [helper.make_node("Add", ["a", "b"], ["sum"], name="plus"), helper.make_node("Mul", ["sum", "two"], ["twice"], name="times")],
                 [value("a", F, ["batch", 3]), value("b", F, ["batch", 3])], [value("sum", F, ["batch", 3]), value("twice", F, ["batch", 3])],
                 [constant("two", np.float32(2))], metadata={"author": "Tenon", "task": "addition"})


def mlp():
    """y = relu(x w1 + b1) w2 + b2 with small integers as weights, so that results are exact. 'hidden' is inside."""
    w1 = (np.arange(8 * 16) % 5 - 2).reshape(8, 16).astype(np.float32)
    w2 = (np.arange(16 * 4) % 7 - 3).reshape(16, 4).astype(np.float32)
    b1, b2 = np.arange(16, dtype=np.float32) - 8, np.arange(4, dtype=np.float32)
    return model("mlp", [helper.make_node("MatMul", ["x", "w1"], ["m1"], name="m1"), helper.make_node("Add", ["m1", "b1"], ["a1"], name="a1"),
                         helper.make_node("Relu", ["a1"], ["hidden"], name="relu"),
                         helper.make_node("MatMul", ["hidden", "w2"], ["m2"], name="m2"), helper.make_node("Add", ["m2", "b2"], ["y"], name="a2")],
                 [value("x", F, ["batch", 8])], [value("y", F, ["batch", 4])],
                 [constant("w1", w1), constant("b1", b1), constant("w2", w2), constant("b2", b2)])


def gather():
    """y = data[indices]: an index out of range is a run error."""
    return model("gather", [helper.make_node("Gather", ["data", "indices"], ["y"], name="pick", axis=0)],
                 [value("data", F, [2, 3]), value("indices", I64, ["n"])], [value("y", F, ["n", 3])])


def forever():
    """A loop that never ends by itself: what cancel and deadline are tested with."""
    body = helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["v", "one"], ["v_out"])], "body",
                             [value("i", I64, []), value("go", B, []), value("v", F, [4])], [value("go_on", B, []), value("v_out", F, [4])],
                             [constant("one", np.ones(4, np.float32))])
    return model("forever", [helper.make_node("Loop", ["trips", "true", "x"], ["y"], name="spin", body=body)],
                 [value("x", F, [4])], [value("y", F, [4])],
                 [constant("trips", np.int64(2**63 - 1)), constant("true", np.bool_(True))])


def nonzero():
    """The output's shape depends on the input's values."""
    return model("nonzero", [helper.make_node("NonZero", ["x"], ["y"], name="find")], [value("x", F, ["n"])], [value("y", I64, [1, "found"])])


def strings():
    return model("strings", [helper.make_node("Identity", ["x"], ["y"], name="same")], [value("x", S, ["n"])], [value("y", S, ["n"])])


def default():
    """y = x + bias, where bias is an input with a default."""
    return model("default", [helper.make_node("Add", ["x", "bias"], ["y"], name="plus")],
                 [value("x", F, [2]), value("bias", F, [2])], [value("y", F, [2])], [constant("bias", np.float32([10, 20]))])


def sequence():
    """chosen = cond ? a : b, sequences of vectors; same = maybe, an optional vector of two elements."""
    def branch(name):
        vectors = helper.make_tensor_sequence_value_info(f"{name}_out", F, ["n"])
        return helper.make_graph([helper.make_node("Identity", [name], [f"{name}_out"])], name, [], [vectors])

    sequences = [helper.make_tensor_sequence_value_info(name, F, ["n"]) for name in ("a", "b", "chosen")]
    optionals = [helper.make_value_info(name, helper.make_optional_type_proto(helper.make_tensor_type_proto(F, [2]))) for name in ("maybe", "same")]
    return model("sequence", [helper.make_node("If", ["cond"], ["chosen"], name="choose", then_branch=branch("a"), else_branch=branch("b")),
                              helper.make_node("Identity", ["maybe"], ["same"], name="pass")],
                 [value("cond", B, []), *sequences[:2], optionals[0]], [sequences[2], optionals[1]])


def custom():
    """y = Scale(x) of a domain of the application."""
    return model("custom", [helper.make_node("Scale", ["x"], ["y"], name="mine", domain="com.example", factor=3.0, tags=[1, 2, 3], mode="fast")],
                 [value("x", F, ["n"])], [value("y", F, ["n"])], domains=["com.example"])


def first_layer():
    """A convolution so large that kernels of oneDNN do it where they are there; with ones everywhere, y counts the inputs under the window."""
    return model("first_layer", [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", strides=[2, 2], pads=[1, 1, 1, 1])],
                 [value("x", F, [1, 3, 512, 512])], [value("y", F, [1, 64, 256, 256])], [constant("w", np.ones((64, 3, 3, 3), np.float32))])


def unknown():
    """An operator nobody has."""
    return model("unknown", [helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="com.example")],
                 [value("x", F, [1])], [value("y", F, [1])], domains=["com.example"])


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for make in (add, mlp, gather, forever, nonzero, strings, default, sequence, custom, first_layer, unknown):
        (directory / f"{make.__name__}.onnx").write_bytes(make().SerializeToString())
    vectors = [np.float32([1, 2, 3]), np.float32([4])]
    (directory / "sequence.pb").write_bytes(numpy_helper.from_list(vectors, "s").SerializeToString())
    (directory / "optional.pb").write_bytes(numpy_helper.from_optional(vectors, "o").SerializeToString())
    (directory / "tensor.pb").write_bytes(constant("t", np.float32([[1, 2], [3, 4]])).SerializeToString())


if __name__ == "__main__":
    main()
