"""Malformed, oversized and odd models, each with the answer expected of a loader that trusts nothing.

A case is (id, what it is, model, class, words). `model` is a ModelProto, bytes, or a function of the case's own directory that writes the
files it needs and returns one of these. `class` is the class of the error expected, or "accept"; every one of `words` must be in
its message.
"""
import gzip
import os
import struct

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

F, I64, I32, BOOL, STR = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING
MAX, MIN = 2**63 - 1, -(2**63)
X4 = (1, 4, 8, 8)
W4 = np.ones((4, 4, 3, 3), np.float32)
CASES = []
OPTIONS = {}  # id -> "key=value ..." for the runner


def case(id, what, model, klass, *words, **options):
    assert id not in {c[0] for c in CASES}, id
    CASES.append((id, what, model, klass, words))
    if options:
        OPTIONS[id] = " ".join(f"{k}={v}" for k, v in options.items())


# --- building blocks -------------------------------------------------------------------------------------------------------------


def vi(name, shape=(2, 3), t=F):
    return helper.make_tensor_value_info(name, t, shape)


def N(op_type, inputs, outputs, name="", domain="", **attrs):
    return helper.make_node(op_type, inputs, outputs, name=name, domain=domain, **attrs)


def A(name, value):
    return helper.make_attribute(name, value)


def M(nodes, inputs, outputs, inits=(), opset=17, doms=(), funcs=(), ir=8, sparse=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(inits), sparse_initializer=list(sparse))
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(*(d if isinstance(d, tuple) else (d, 1))) for d in doms]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=list(funcs))


def init(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def op(op_type, inputs, attrs=None, domain="", doms=(), nout=1, otype=F, opset=17):
    """One node `bad_node`. A tuple is a graph input of that shape (float), an array an initializer, None an input left out."""
    names, gin, inits = [], [], []
    for i, x in enumerate(inputs):
        name = f"in{i}"
        if x is None:
            name = ""
        elif isinstance(x, tuple):
            gin.append(vi(name, x))
        else:
            inits.append(init(name, x))
        names.append(name)
    outs = ["y"] + [f"y{i}" for i in range(1, nout)]
    types = otype if isinstance(otype, list) else [otype] * nout
    node = N(op_type, names, outs, name="bad_node", domain=domain, **(attrs or {}))
    return M([node], gin, [vi(o, None, t) for o, t in zip(outs, types)], inits, opset, doms)


def i64(*v):
    return np.array(v, np.int64)


def f32(*v):
    return np.array(v, np.float32)


def conv(x=X4, w=W4, **attrs):
    return op("Conv", [x, w], attrs)


def pool(kind="MaxPool", **attrs):
    return op(kind, [X4], attrs)


def rawT(name, dims, raw, t=F):
    out = TensorProto(name=name, data_type=t, raw_data=raw)
    out.dims.extend(dims)
    return out


def useW(tensor, **kw):
    """A model that passes the initializer `w` on."""
    return M([N("Identity", ["w"], ["y"], name="n")], [], [vi("y", None, tensor.data_type or F)], [tensor], **kw)


def raw_useW(tensor):
    """As useW, for tensors that onnx's own helpers would not serialise."""
    m = M([N("Identity", ["w"], ["y"], name="n")], [], [vi("y", None)])
    m.graph.initializer.append(tensor)
    return m


def good():
    return M([N("Add", ["x", "w"], ["y"], name="add0")], [vi("x")], [vi("y")], [init("w", np.ones((2, 3), np.float32))])


def goodbytes():
    return good().SerializeToString()


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def intfield(number, v):
    return varint(number << 3) + varint(v)


def deepwire(levels):
    """A graph with an If in an If in ...: model.graph.node.attribute.g.node..."""
    g = b""
    for _ in range(levels):
        g = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + intfield(20, 5) + field(6, g)))
    return intfield(1, 8) + field(7, g)


def header(graph):
    """A model around the bytes of a graph."""
    return intfield(1, 8) + field(8, intfield(2, 17)) + field(7, graph)


def ext(d, location, offset=None, length=None, dims=(2, 3), t=F, extra=(), model=True, size=256):
    with open(f"{d}/w.bin", "wb") as f:
        f.write(np.arange(size // 4, dtype=np.float32).tobytes())
    w = TensorProto(name="w", data_type=t, data_location=TensorProto.EXTERNAL)
    w.dims.extend(dims)
    pairs = [("location", location)] if location is not None else []
    pairs += [("offset", str(offset))] if offset is not None else []
    pairs += [("length", str(length))] if length is not None else []
    for k, v in [*pairs, *extra]:
        e = w.external_data.add()
        e.key, e.value = k, v
    return useW(w) if model else w


def outside(d):
    path = f"{os.path.dirname(d)}/outside.bin"
    with open(path, "wb") as f:
        f.write(bytes(256))
    return path


def made(f, *args, **kw):
    """A case that needs its directory."""
    return lambda d: f(d, *args, **kw)


def sp(indices, dims, values=None, n=None, idims=None):
    values = np.ones(len(indices) if n is None else n, np.float32) if values is None else values
    s = SparseTensorProto()
    s.values.CopyFrom(init("w", values))
    s.indices.CopyFrom(init("w_indices", np.array(indices, np.int64) if idims is None else np.array(indices, np.int64).reshape(idims)))
    s.dims.extend(dims)
    m = M([N("Identity", ["w"], ["y"], name="n")], [], [vi("y", None)])
    m.graph.sparse_initializer.append(s)
    return m


def fn(name, nodes, inputs=("a",), outputs=("b",), attrs=(), attr_protos=(), overload=None):
    f = helper.make_function("local", name, list(inputs), list(outputs), nodes, [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)],
                             list(attrs), list(attr_protos))
    if overload:
        f.overload = overload
    return f


def call(name, i="a", o="b", node="call", **attrs):
    return N(name, [i], [o], name=node, domain="local", **attrs)


def fm(funcs, first="f", ir=8):
    return M([call(first, "x", "y", node="bad_node")], [vi("x")], [vi("y", None)], doms=["local"], funcs=funcs, ir=ir)


def body(nodes, inputs=(), outputs=(("o", F),), name="b", inits=()):
    return helper.make_graph(nodes, name, list(inputs), [vi(o, None, t) for o, t in outputs], list(inits))


def branches(then, other):
    return M([N("If", ["c"], ["y"], name="bad_node", then_branch=then, else_branch=other)], [vi("c", (), BOOL), vi("x")], [vi("y", None)])


def cap(name):
    """An If whose branch reads `name` from outside."""
    return branches(body([N("Relu", [name], ["o"], name="inner")]), body([N("Neg", ["x"], ["p"])], outputs=(("p", F),)))


def nest(levels):
    g = body([N("Identity", ["x"], ["o0"])], outputs=(("o0", F),))
    for i in range(1, levels):
        other = body([N("Identity", ["x"], [f"e{i}"])], outputs=((f"e{i}", F),))
        g = body([N("If", ["c"], [f"o{i}"], name=f"if{i}", then_branch=g, else_branch=other)], outputs=((f"o{i}", F),))
    return branches(g, body([N("Identity", ["x"], ["z"])], outputs=(("z", F),)))


def loop(trips, scan=0, body_inputs=None, body_outputs=None, cond=True):
    """A Loop whose condition stays true; with scan, each turn keeps that many floats."""
    nodes = [N("Identity", ["cond_in"], ["cond_out"]), N("Identity", ["v_in"], ["v_out"])]
    outs = [("cond_out", BOOL), ("v_out", F)]
    inits = [init("trips", np.array(trips, np.int64)), init("go", np.array(cond, bool))]
    if scan:
        nodes.append(N("ConstantOfShape", ["shape"], ["kept"]))
        outs.append(("kept", F))
        inits.append(init("shape", i64(scan)))
    g = body(nodes, body_inputs or [vi("i", (), I64), vi("cond_in", (), BOOL), vi("v_in", None)], body_outputs or outs)
    names = ["y"] + (["kept_all"] if scan else [])
    return M([N("Loop", ["trips", "go", "x"], names, name="bad_node", body=g)], [vi("x")], [vi(n, None) for n in names], inits)


def rs(shape, x=(2, 3), **attrs):
    return op("Reshape", [x, i64(*shape)], attrs)


def sl(starts, ends, axes=None, steps=None, x=(2, 3)):
    return op("Slice", [x, i64(*starts), i64(*ends), None if axes is None else i64(*axes), None if steps is None else i64(*steps)])


def rg(a, b, c, t=np.int64):
    return op("Range", [np.array(a, t), np.array(b, t), np.array(c, t)], otype=helper.np_dtype_to_tensor_dtype(np.dtype(t)))


def oh(depth, values=(0.0, 1.0), indices=(0, 1), axis=-1):
    return op("OneHot", [i64(*indices), np.array(depth, np.int64), f32(*values)], dict(axis=axis))


def ein(equation, *shapes):
    return op("Einsum", list(shapes or ((2, 3), (3, 4))), dict(equation=equation))


def rz(scales=None, sizes=None, x=(1, 4, 8, 8), **attrs):
    return op("Resize", [x, None, None if scales is None else f32(*scales), None if sizes is None else i64(*sizes)], attrs)


def pd(pads, mode="constant", x=(2, 3)):
    return op("Pad", [x, i64(*pads)], dict(mode=mode))


def idv(a, b, t=np.int64):
    return op("Div", [np.array([a], t), np.array([b], t)], otype=helper.np_dtype_to_tensor_dtype(np.dtype(t)))


def attr_type(name, number, **fields):
    """An attribute whose type field says `number`, whatever it holds."""
    a = AttributeProto(name=name)
    for k, v in fields.items():
        if isinstance(v, (list, tuple)):
            getattr(a, k).extend(v)
        else:
            setattr(a, k, v)
    a.type = number
    return a


def with_attr(op_type, inputs, *attributes, **kw):
    m = op(op_type, inputs, **kw)
    m.graph.node[0].attribute.extend(attributes)
    return m


def edit(model, f):
    f(model)
    return model
