"""Floating-point operations of a model, counted from its graph: what a percentage of the machine's peak is a percentage of.

Counted are the operators that multiply and add (a multiply-add is two operations): convolutions, matrix products, recurrent layers,
attention. The rest is left out, as it is where the arithmetic of networks is compared. A convolution counts as the direct algorithm, so
an engine that uses Winograd's can pass 100 %. Bodies of If, Loop and Scan are not counted.
"""
import math

from onnx import helper


def attribute(node, name, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def convolution(node, dims):
    return 2 * math.prod(dims[node.output[0]]) * math.prod(dims[node.input[1]][1:])


def transposed_convolution(node, dims):
    return 2 * math.prod(dims[node.input[0]]) * math.prod(dims[node.input[1]][1:])


def matrix_product(node, dims):
    return 2 * math.prod(dims[node.output[0]]) * dims[node.input[0]][-1]


def gemm(node, dims):
    inner = dims[node.input[0]][0 if attribute(node, "transA", 0) else 1]
    return 2 * math.prod(dims[node.output[0]]) * inner


def recurrent(node, dims):
    """At each step, the products of all gates with the input and with the state."""
    x = dims[node.input[0]]
    return 2 * x[0] * x[1] * (math.prod(dims[node.input[1]]) + math.prod(dims[node.input[2]]))


COUNTED = {"Conv": convolution, "ConvTranspose": transposed_convolution, "MatMul": matrix_product, "Gemm": gemm,
           "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent}


def counted(model):
    return [n for n in model.graph.node if n.op_type in COUNTED and n.domain in ("", "ai.onnx")]


def wanted(model):
    """The names of the values whose dims count() needs."""
    names = (name for node in counted(model) for name in (*node.input[:3], node.output[0]))
    return list(dict.fromkeys(name for name in names if name))


def count(model, dims):
    """Operations of one run of an onnx.ModelProto; dims: name -> sizes of the values wanted() names."""
    return sum(COUNTED[node.op_type](node, dims) for node in counted(model))
