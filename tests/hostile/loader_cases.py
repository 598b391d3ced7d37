"""Cases of the file, the graph, attributes, tensors and external data."""
from cases import *

# --- P: the bytes ----------------------------------------------------------------------------------------------------------------

case("P01", "empty file", b"", "load", "empty")
case("P02", "gzip of a valid model", gzip.compress(goodbytes(), mtime=0), "load", "gzip")
case("P03", "truncated at half", goodbytes()[: len(goodbytes()) // 2], "load", "truncated")
case("P04", "last byte missing", goodbytes()[:-1], "load", "truncated")
case("P05", "random bytes", np.random.default_rng(7).bytes(4096), "load")
case("P06", "a text file", b"hello, this is no model at all\n", "load")
case("P07", "one byte, 0xff", b"\xff", "load")
case("P08", "12-byte file whose graph field claims 2 GiB", intfield(1, 8) + b"\x3a" + varint(2**31 - 1) + b"\x0a\x00\x0a\x00", "load", "truncated")
case("P09", "a length of 2^64 - 1", intfield(1, 8) + b"\x3a" + b"\xff" * 9 + b"\x01", "load", "truncated")
case("P10", "subgraphs nested 2000 deep on the wire", deepwire(2000), "limit", "nesting")
case("P11", "no graph field", intfield(1, 8) + field(8, intfield(2, 17)), "load", "graph")
case("P12", "a number of eleven bytes", b"\x08" + b"\xff" * 11 + goodbytes(), "load", "malformed")
case("P13", "a group in the model", b"\xa3\x06\xa4\x06" + goodbytes(), "load", "group")
case("P14", "wire type 7", b"\x0f" + goodbytes(), "load")
case("P15", "field number 0", b"\x02\x00" + goodbytes(), "load")
case("P16", "the graph is a number", intfield(1, 8) + intfield(7, 5), "load", "graph", "wire type")
case("P17", "unknown fields are skipped", intfield(99, 12345) + field(1234, b"abc") + goodbytes(), "accept")
case("P18", "node name and value name not UTF-8", goodbytes().replace(b"add0", b"\xff\xfe\xfd\x80"), "load", "UTF-8")
case("P19", "overlong UTF-8 in a name", goodbytes().replace(b"add0", b"\xc0\xafdd"), "load", "UTF-8")
case("P20", "surrogate in a name", goodbytes().replace(b"add0", b"\xed\xa0\x80d"), "load", "UTF-8")
case("P21", "PyTorch checkpoint", b"PK\x03\x04" + bytes(60), "load", "zip")
case("P22", "Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "load", "LFS")
case("P23", "a web page", b"<!DOCTYPE html><html></html>", "load", "web page")
case("P24", "graph runs past the model's end", intfield(1, 8) + field(7, b"")[:-1] + b"\x7f\x0a", "load", "truncated")
case("P25", "inner message longer than the outer", intfield(1, 8) + field(7, b"\x0a\x20ab"), "load", "truncated")
case("P26", "two copies one after another: repeated fields merge, values are written twice", goodbytes() + goodbytes(), "load", "twice")
case("P27", "ir_version missing", field(8, intfield(2, 17)) + field(7, good().graph.SerializeToString()), "load", "ir_version")
case("P28", "ir_version negative", edit(good(), lambda m: setattr(m, "ir_version", -3)), "load", "ir_version", "-3")
case("P29", "ir_version 99", edit(good(), lambda m: setattr(m, "ir_version", 99)), "accept")
case("P30", "model of IR 3 without opset_import", edit(good(), lambda m: m.ClearField("opset_import")), "load", "opset_import")
case("P31", "opset 0", M([N("Relu", ["x"], ["y"])], [vi("x")], [vi("y")], opset=0), "load", "opset", "0")
case("P32", "opset 1000", M([N("Relu", ["x"], ["y"])], [vi("x")], [vi("y")], opset=1000), "accept")
case("P33", "domain imported twice with two versions", edit(good(), lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx", 12))), "load", "twice")
case("P34", "a node of the fields of a tensor (wrong wire types)", header(field(1, intfield(1, 5))), "load", "wire type")
case("P35", "packed ints cut in the middle of a number",
     header(field(1, field(4, b"Relu") + field(1, b"x") + field(2, b"y") + field(5, field(1, b"a") + field(8, b"\xff\xff") + intfield(20, 7)))), "load")
case("P36", "metadata with a key twice", edit(good(), lambda m: (helper.set_model_props(m, {"k": "1"}), m.metadata_props.add(key="k", value="2"))), "load", "k", "twice")
case("P37", "2 million empty nodes", header(b"\x0a\x00" * 2_000_000), "limit", "nodes")
case("P38", "1 million unknown fields", field(99, b"") * 1_000_000 + goodbytes(), "accept")
case("P39", "graph inputs by the hundred thousand, all of one name", header(field(11, field(1, b"x")) * 200_000), "load", "x", "twice")
case("P40", "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64), "load", "HDF5")
case("P41", "33 subgraphs nested", deepwire(33), "limit", "nesting")
case("P42", "attribute name not UTF-8", edit(op("Softmax", [(2, 3)], dict(axis=1)), lambda m: None).SerializeToString().replace(b"axis", b"a\x80is"), "load", "UTF-8")
case("P43", "types nested 200 deep", None, "limit", "nesting")


def deep_type(levels):
    t = field(1, intfield(1, 1))
    for _ in range(levels):
        t = field(4, field(1, t))
    return header(field(11, field(1, b"x") + field(2, t)))


CASES[-1] = ("P43", "types nested 200 deep", deep_type(200), "limit", ("nesting",))

# --- G: the graph ----------------------------------------------------------------------------------------------------------------

case("G01", "two nodes write the same value", M([N("Relu", ["x"], ["y"], name="n1"), N("Neg", ["x"], ["y"], name="n2")], [vi("x")], [vi("y")]), "load", "y", "twice")
case("G02", "cycle of two nodes", M([N("Add", ["x", "b"], ["a"], name="n1"), N("Relu", ["a"], ["b"], name="n2")], [vi("x")], [vi("b")]), "load", "cycle", "n1")
case("G03", "a node that reads its own output", M([N("Add", ["x", "y"], ["y"], name="n1")], [vi("x")], [vi("y")]), "load", "cycle", "n1")
case("G04", "input that nothing produces", M([N("Add", ["x", "ghost"], ["y"], name="bad_node")], [vi("x")], [vi("y")]), "load", "ghost", "bad_node")
case("G05", "graph output that nothing produces", M([N("Relu", ["x"], ["y"])], [vi("x")], [vi("y"), vi("ghost")]), "load", "ghost")
case("G06", "unknown domain", op("Thing", [(2, 3)], domain="com.nobody", doms=["com.nobody"]), "load", "bad_node", "com.nobody")
case("G07", "unknown op in ai.onnx", op("Frobnicate", [(2, 3)]), "load", "bad_node", "Frobnicate")
case("G08", "domain that opset_import does not name", op("Thing", [(2, 3)], domain="com.nobody"), "load", "bad_node", "com.nobody", "opset_import")
case("G09", "operator younger than the opset", op("Gelu", [(2, 3)], opset=17), "load", "bad_node", "Gelu", "20", "17")
case("G10", "too few inputs (Conv with 1)", op("Conv", [(1, 1, 4, 4)]), "load", "bad_node", "Conv")
case("G11", "too many inputs (Relu with 3)", op("Relu", [(2, 3), (2, 3), (2, 3)]), "load", "bad_node", "Relu", "3")
case("G12", "too many outputs (Relu with 2)", op("Relu", [(2, 3)], nout=2), "load", "bad_node", "Relu", "2")
case("G13", "a node without outputs", edit(op("Relu", [(2, 3)]), lambda m: m.graph.node[0].ClearField("output")), "load", "bad_node", "outputs")
case("G14", "a node without an operator", edit(op("Relu", [(2, 3)]), lambda m: m.graph.node[0].ClearField("op_type")), "load", "bad_node", "op_type")
case("G15", "graph input twice", M([N("Relu", ["x"], ["y"])], [vi("x"), vi("x")], [vi("y")]), "load", "x", "twice")
case("G16", "initializer name twice", edit(good(), lambda m: m.graph.initializer.append(init("w", np.ones((2, 3), np.float32)))), "load", "w", "twice")
case("G17", "a node writes the name of a graph input", M([N("Relu", ["x"], ["x"], name="n1")], [vi("x")], [vi("x")]), "load", "x", "twice")
case("G18", "a node writes the name of an initializer", M([N("Relu", ["x"], ["w"], name="n1")], [vi("x")], [vi("w")], [init("w", f32(1))]), "load", "w", "twice")
case("G19", "local function calls itself", fm([fn("f", [call("f")])]), "load", "recurs", "f")
case("G20", "two functions call each other", fm([fn("f", [call("h")]), fn("h", [call("f")])]), "load", "recurs", "f")
case("G21", "acyclic chain of 3000 local functions", fm([fn("f", [call("f1")])] + [fn(f"f{i}", [call(f"f{i + 1}")]) for i in range(1, 3000)] + [fn("f3000", [N("Relu", ["a"], ["b"])])]), "limit", "depth")
case("G22", "recursion through an If branch",
     fm([fn("f", [N("Constant", [], ["k"], value=init("k", np.array(True))),
                  N("If", ["k"], ["b"], then_branch=body([call("f", "a", "o")]), else_branch=body([N("Identity", ["a"], ["o"])]))])]), "load", "recurs", "f")
case("G23", "30 functions, each calls the next twice (2^30 nodes)",
     fm([fn("f" if i == 0 else f"f{i}", [call(f"f{i + 1}", "a", "m"), call(f"f{i + 1}", "m", "b")]) for i in range(30)] + [fn("f30", [N("Relu", ["a"], ["b"])])]), "limit", "nodes")
case("G24", "subgraph captures a name that does not exist", cap("ghost"), "load", "ghost")
case("G25", "graph input without a type", edit(good(), lambda m: m.graph.input[0].ClearField("type")), "load", "x", "type")
case("G26", "declared output type disagrees (int64 for Relu of float)", op("Relu", [(2, 3)], otype=I64), "shape", "y", "int64", "float")
case("G27", "declared output shape disagrees ([7] for [2,3])", M([N("Relu", ["x"], ["y"], name="bad_node")], [vi("x")], [vi("y", (7,))]), "shape", "y", "7")
case("G28", "declared shape of an intermediate disagrees", edit(M([N("Relu", ["x"], ["m"], name="bad_node"), N("Relu", ["m"], ["y"])], [vi("x")], [vi("y")]), lambda m: m.graph.value_info.append(vi("m", (2, 4)))), "shape", "m", "4", "3")
case("G29", "initializer that is also an input of another shape", edit(good(), lambda m: m.graph.input.append(vi("w", (5, 5)))), "shape", "w", "5", "3")
case("G30", "initializer that is also an input (legal)", edit(good(), lambda m: m.graph.input.append(vi("w"))), "accept")
case("G31", "unsorted but acyclic nodes", M([N("Neg", ["a"], ["y"], name="n2"), N("Relu", ["x"], ["a"], name="n1")], [vi("x")], [vi("y")]), "accept")
case("G32", "cycle through a subgraph's outer name",
     M([N("If", ["c"], ["a"], name="n1", then_branch=body([N("Relu", ["b"], ["o"])]), else_branch=body([N("Relu", ["x"], ["p"])], outputs=(("p", F),))),
        N("Neg", ["a"], ["b"], name="n2")], [vi("x"), vi("c", (), BOOL)], [vi("b")]), "load", "cycle", "n1")
case("G33", "the graph's output is its input", M([], [vi("x")], [vi("x")]), "accept")
case("G34", "an initializer is an output", M([], [], [vi("w")], [init("w", np.ones((2, 3), np.float32))]), "accept")
case("G35", "a graph input of rank 100", M([N("Relu", ["x"], ["y"])], [vi("x", (1,) * 100)], [vi("y", None)]), "limit", "x", "rank", "100")
case("G36", "a graph input with dim -5", M([N("Relu", ["x"], ["y"])], [vi("x", (2, -5))], [vi("y", None)]), "load", "x", "-5")
case("G37", "a graph input of element type 77", M([N("Relu", ["x"], ["y"])], [vi("x", (2, 3), 77)], [vi("y", None)]), "load", "x", "77")
case("G38", "a graph input that is a sequence", M([N("Relu", ["x"], ["y"])], [helper.make_tensor_sequence_value_info("x", F, (2,))], [vi("y", None)]), "shape", "x", "sequence(float32[2])", "expected a tensor")
case("G39", "function defined twice", fm([fn("f", [N("Relu", ["a"], ["b"])])] * 2), "load", "f", "twice")
case("G40", "function called with too many inputs", edit(fm([fn("f", [N("Relu", ["a"], ["b"])])]), lambda m: m.graph.node[0].input.append("x")), "load", "bad_node", "f", "2")
case("G41", "function called for too many outputs", edit(fm([fn("f", [N("Relu", ["a"], ["b"])])]), lambda m: m.graph.node[0].output.append("z")), "load", "bad_node", "f", "2")
case("G42", "function whose output nothing produces", fm([fn("f", [N("Relu", ["a"], ["c"])])]), "load", "bad_node", "b")
case("G43", "function body reads a name of the main graph", fm([fn("f", [N("Add", ["a", "x"], ["b"])])]), "load", "x")
case("G44", "function called with an attribute it does not have", edit(fm([fn("f", [N("Relu", ["a"], ["b"])])]), lambda m: m.graph.node[0].attribute.append(A("alpha", 1.0))), "load", "bad_node", "alpha")
case("G45", "function body refers to an attribute nobody declares", None, "load", "alpha")
case("G46", "reference to a function's attribute outside any function", None, "load", "bad_node", "alpha")
case("G47", "20 subgraphs nested (legal)", nest(20), "accept")
case("G48", "20 subgraphs nested around a call whose body nests 20 more", None, "limit", "subgraph", "32")
case("G49", "subgraph whose output nothing produces", branches(body([N("Relu", ["x"], ["q"])], outputs=(("nope", F),)), body([N("Relu", ["x"], ["o"])])), "load", "nope")
case("G50", "value written twice inside a subgraph", branches(body([N("Relu", ["x"], ["o"]), N("Neg", ["x"], ["o"])]), body([N("Relu", ["x"], ["o"])])), "load", "o", "twice")
case("G51", "function writes a value twice", fm([fn("f", [N("Relu", ["a"], ["b"]), N("Neg", ["a"], ["b"])])]), "load", "b", "twice")
case("G52", "a node reads an input that is left out", op("Add", [None, (2, 3)]), None, "bad_node")
case("G53", "optional outputs left out (legal)", op("Dropout", [(2, 3)], nout=1), "accept")
case("G54", "an empty graph", M([], [], []), "accept")
case("G55", "graph input without a name", M([], [vi("")], []), "load", "name")
case("G56", "graph output of sequence type", M([N("Relu", ["x"], ["y"])], [vi("x")], [helper.make_tensor_sequence_value_info("y", F, (2,))]), "shape", "y", "sequence")
case("G57", "cycle of 1000 nodes", M([N("Relu", [f"v{(i - 1) % 1000}"], [f"v{i}"], name=f"n{i}") for i in range(1000)], [vi("x")], [vi("v0")]), "load", "cycle")
case("G58", "subgraph reads what comes after its node (unsorted, legal)",
     M([N("If", ["c"], ["y"], name="n1", then_branch=body([N("Relu", ["late"], ["o"])]), else_branch=body([N("Relu", ["x"], ["p"])], outputs=(("p", F),))),
        N("Neg", ["x"], ["late"], name="n2")], [vi("x"), vi("c", (), BOOL)], [vi("y", None)]), "accept")
case("G59", "operators of Sequence, not here", op("SequenceEmpty", []), "load", "bad_node", "SequenceEmpty")
case("G60", "negative dim -1 in an input means unknown (legal)", M([N("Relu", ["x"], ["y"])], [vi("x", (-1, 3))], [vi("y", None)]), "accept")
case("G61", "chain of 20000 nodes (legal)", M([N("Relu", ["x" if i == 0 else f"v{i}"], [f"v{i + 1}"]) for i in range(20000)], [vi("x")], [vi("v20000")]), "accept")
case("G62", "reversed chain of 20000 nodes (legal)", M([N("Relu", ["x" if i == 0 else f"v{i}"], [f"v{i + 1}"]) for i in reversed(range(20000))], [vi("x")], [vi("v20000")]), "accept")
case("G63", "function called with attributes through references (legal)", None, "accept")
case("G64", "function with a default attribute (legal)", None, "accept")


def ref_node(op_type, i, o, name, ref, t):
    n = N(op_type, [i], [o], name="inner")
    a = n.attribute.add()
    a.name, a.ref_attr_name, a.type = name, ref, t
    return n


def put(id, model, klass=None):
    for k, c in enumerate(CASES):
        if c[0] == id:
            CASES[k] = (c[0], c[1], model, klass or c[3], c[4])


put("G45", fm([fn("f", [ref_node("LeakyRelu", "a", "b", "alpha", "alpha", AttributeProto.FLOAT)])]))
put("G46", edit(op("LeakyRelu", [(2, 3)]), lambda m: m.graph.node[0].attribute.append(ref_node("x", "a", "b", "alpha", "alpha", AttributeProto.FLOAT).attribute[0])))
put("G63", edit(fm([fn("f", [ref_node("LeakyRelu", "a", "b", "alpha", "slope", AttributeProto.FLOAT)], attrs=["slope"])]), lambda m: m.graph.node[0].attribute.append(A("slope", 0.5))))
put("G64", fm([fn("f", [ref_node("LeakyRelu", "a", "b", "alpha", "slope", AttributeProto.FLOAT)], attr_protos=[A("slope", 0.5)])]))


def nested_function(name, levels, inner):
    g = body([inner])
    for _ in range(levels):
        g = body([N("If", ["k"], ["o"], name="if", then_branch=g, else_branch=body([N("Identity", ["a"], ["o"])]))])
    return fn(name, [N("Constant", [], ["k"], value=init("k", np.array(True))), *g.node, N("Identity", ["o"], ["b"])])


put("G48", fm([nested_function("f", 20, call("h", "a", "o")), nested_function("h", 20, N("Relu", ["a"], ["o"]))]))
put("G52", op("Add", [None, (2, 3)]), "shape")

# --- A: attributes ---------------------------------------------------------------------------------------------------------------

case("A01", "strides given as floats", conv(strides=[1.5, 1.5]), "load", "bad_node", "strides")
case("A02", "attribute twice", edit(conv(strides=[1, 1]), lambda m: m.graph.node[0].attribute.append(A("strides", [1, 1]))), "load", "bad_node", "strides", "twice")
case("A03", "attribute that the operator does not have", op("Relu", [(2, 3)], dict(sharpness=3)), "load", "bad_node", "sharpness")
case("A04", "type says INTS, field holds i", with_attr("Softmax", [(2, 3)], attr_type("axis", AttributeProto.INTS, i=1)), "load", "bad_node", "axis")
case("A05", "required attribute missing", op("Concat", [(2, 3), (2, 3)]), "load", "bad_node", "axis")
case("A06", "Cast to=999", op("Cast", [(2, 3)], dict(to=999)), "load", "bad_node", "999")
case("A08", "attribute without a name", with_attr("Softmax", [(2, 3)], attr_type("", AttributeProto.INT, i=1)), "load", "bad_node", "name")
case("A09", "attribute with nothing in it", with_attr("Softmax", [(2, 3)], AttributeProto(name="axis")), "load", "bad_node", "axis")
case("A10", "attribute that holds two kinds of value", with_attr("Softmax", [(2, 3)], attr_type("axis", AttributeProto.INT, i=1, f=2.0)), "load", "bad_node", "axis")
case("A11", "attribute without a type (files of IR 1), legal", with_attr("Softmax", [(2, 3)], AttributeProto(name="axis", i=1)), "accept")
case("A12", "type INT and no value is 0 (legal)", with_attr("Softmax", [(2, 3)], attr_type("axis", AttributeProto.INT)), "accept")
case("A13", "If whose branch is a tensor", op("If", [np.array(True)], dict(then_branch=init("t", f32(1)), else_branch=init("t", f32(1)))), "load", "bad_node", "branch")
case("A14", "If without else_branch", edit(branches(body([N("Relu", ["x"], ["o"])]), body([N("Relu", ["x"], ["o"])])), lambda m: m.graph.node[0].attribute.pop()), "load", "bad_node", "branch")
case("A15", "TENSOR attribute without a tensor", with_attr("Constant", [], attr_type("value", AttributeProto.TENSOR)), "load", "bad_node", "value")
case("A16", "Constant without any value", op("Constant", []), "load", "bad_node")
case("A17", "Constant with two values", op("Constant", [], dict(value_float=1.0, value_int=3)), "load", "bad_node")
case("A18", "Constant whose tensor is short", op("Constant", [], dict(value=rawT("t", [2, 3], bytes(20)))), "load", "bad_node", "24", "20")
case("A19", "attribute both given and referred to", None, "load", "slope")
case("A20", "axis as a string", op("Softmax", [(2, 3)], dict(axis="one")), "load", "bad_node", "axis")
case("A21", "auto_pad of nobody", conv(auto_pad="SAME_MAYBE"), "load", "bad_node", "auto_pad")
case("A22", "AttributeProto.type 99", op("Softmax", [(2, 3)], dict(axis=1)).SerializeToString().replace(b"\x18\x01\xa0\x01\x02", b"\x18\x01\xa0\x01\x63"), "load", "bad_node", "axis", "99")
bad_ref = ref_node("LeakyRelu", "a", "b", "alpha", "slope", AttributeProto.FLOAT)
bad_ref.attribute[0].f = 2.0
put("A19", edit(fm([fn("f", [bad_ref], attrs=["slope"])]), lambda m: m.graph.node[0].attribute.append(A("slope", 0.5))))

# --- T: tensors ------------------------------------------------------------------------------------------------------------------

case("T01", "raw_data 4 bytes short of dims", useW(rawT("w", [2, 3], bytes(20))), "load", "w", "24", "20")
case("T02", "raw_data 4 bytes too long", useW(rawT("w", [2, 3], bytes(28))), "load", "w", "24", "28")
case("T03", "negative dim", useW(rawT("w", [2, -3], bytes(24))), "load", "w", "-3")
case("T04", "dims 2^32 x 2^32 (product wraps to 0)", useW(rawT("w", [2**32, 2**32], b"")), "load", "w", "overflow")
case("T05", "dims 2^33 x 2^31 + 24 bytes (bytes wrap)", useW(rawT("w", [2**33, 2**31, 1], bytes(24))), "load", "w", "overflow")
case("T06", "dims [2,3] and no data at all", useW(rawT("w", [2, 3], b"")), "load", "w", "24", "0")
case("T07", "float tensor with int64_data", None, "load", "w", "float")
case("T08", "raw_data and float_data", None, "load", "w", "twice")
case("T09", "data_type 0", edit(useW(rawT("w", [1], bytes(4))), lambda m: setattr(m.graph.initializer[0], "data_type", 0)), "load", "w", "0")
case("T10", "rank 100", useW(rawT("w", [1] * 100, bytes(4))), "limit", "w", "rank", "100")
case("T11", "data_type 1000", edit(useW(rawT("w", [1], bytes(4))), lambda m: setattr(m.graph.initializer[0], "data_type", 1000)), "load", "w", "1000")
case("T12", "float_data one short", None, "load", "w", "24", "20")
case("T13", "int4 tensor [7] with 2 bytes (needs 4)", useW(rawT("w", [7], bytes(2), TensorProto.INT4), opset=21, ir=10), "load", "w", "4", "2")
case("T14", "string tensor with raw_data", useW(rawT("w", [2], bytes(8), STR)), "load", "w", "string")
case("T15", "string tensor one short", None, "load", "w", "3", "2")
case("T16", "sparse index past the dense size", sp([1, 99], [2, 3]), "load", "w", "99", "6")
case("T17", "sparse indices not ascending", sp([4, 1], [2, 3]), "load", "w", "order")
case("T18", "sparse, 1 value, dense size 2^40", sp([1], [2**20, 2**20]), "limit", "w")
case("T19", "sparse, 1 value, dense 512 MiB from a 150-byte file", sp([1], [2**27]), "limit", "w")
case("T20", "sparse, more indices than values", sp([1, 2, 3], [2, 3], n=2), "load", "w")
case("T21", "sparse, negative index", sp([-1], [2, 3]), "load", "w", "-1")
case("T23", "sparse, legal", sp([1, 5], [2, 3]), "accept")
case("T24", "sparse, dense size wraps", sp([1], [2**32, 2**32]), "limit", "w")
case("T25", "sparse, zero dim", sp([0], [0, 3]), "load", "w")
case("T26", "int8 element outside its range in int32_data", None, "load", "w", "300")
case("T27", "zero elements and no data (legal)", useW(rawT("w", [0, 3], b"")), "accept")
case("T28", "zero elements and huge other dims", useW(rawT("w", [0, 2**40, 2**40], b"")), "accept")
case("T29", "segments", edit(useW(rawT("w", [1], bytes(4))), lambda m: setattr(m.graph.initializer[0].segment, "begin", 1)), "load", "w", "segment")
case("T31", "external_data though the contents are inside", edit(useW(rawT("w", [1], bytes(4))), lambda m: m.graph.initializer[0].external_data.add(key="location", value="w.bin")), "load", "w")
case("T32", "raw_data twice", header(field(5, field(8, b"w") + intfield(2, 1) + intfield(1, 1) + field(9, bytes(4)) + field(9, bytes(4)))), "load", "w", "twice")
case("T33", "float_data of 7 bytes", header(field(5, field(8, b"w") + intfield(2, 1) + intfield(1, 1) + field(4, bytes(7)))), "load", "w", "4", "7")
case("T34", "typed elements one by one, not packed (legal)", header(field(5, field(8, b"w") + intfield(2, 7) + intfield(1, 3) + intfield(7, 5) + intfield(7, 6) + intfield(7, 7)) + field(12, field(1, b"w") + field(2, field(1, intfield(1, 7))))), "accept")
case("T35", "int64_data cut in the middle of a number", header(field(5, field(8, b"w") + intfield(2, 7) + intfield(1, 2) + field(7, b"\x05\xff"))), "load", "w")
case("T36", "bool bytes other than 0 and 1 (legal: true)", useW(rawT("w", [4], b"\x00\x01\x02\xff", BOOL)), "accept")
case("T37", "dims 2^62 of int8 and no data", useW(rawT("w", [2**62], b"", TensorProto.INT8)), "load", "w")
case("T38", "string_data whose length runs past its end", header(field(5, field(8, b"w") + intfield(2, 8) + intfield(1, 1) + b"\x32\x7fab")), "load")
case("T39", "100 million strings of nothing", useW(rawT("w", [100_000_000], b"", STR)), "load", "w")
case("T40", "initializer without a name", useW(rawT("", [1], bytes(4))), "load", "name")
case("T42", "int4 packed (legal)", useW(rawT("w", [7], bytes(4), TensorProto.INT4), opset=21, ir=10), "accept")
case("T43", "float8 (legal)", useW(rawT("w", [7], bytes(7), TensorProto.FLOAT8E4M3FN), opset=19, ir=9), "accept")
case("T44", "many dims of 1 within the limit (legal)", useW(rawT("w", [1] * 16, bytes(4))), "accept")


def typed(t, dims, **fields):
    w = TensorProto(name="w", data_type=t)
    w.dims.extend(dims)
    for k, v in fields.items():
        if k == "raw_data":
            w.raw_data = v
        else:
            getattr(w, k).extend(v)
    return w


put("T07", raw_useW(typed(F, [2, 3], int64_data=range(6))))
put("T08", raw_useW(typed(F, [2, 3], float_data=range(6), raw_data=bytes(24))))
put("T12", raw_useW(typed(F, [2, 3], float_data=range(5))))
put("T15", raw_useW(typed(STR, [3], string_data=[b"a", b"b"])))
put("T26", raw_useW(typed(TensorProto.INT8, [2], int32_data=[1, 300])))
case("T22", "sparse, coordinates outside a dim", sp([0, 1, 1, 3], [2, 3], n=2, idims=(2, 2)), "load", "w", "3")
case("T30", "data_location 7", header(field(5, field(8, b"w") + intfield(2, 1) + intfield(1, 1) + field(9, bytes(4)) + intfield(14, 7))), "load", "w", "7")

# --- E: external data ------------------------------------------------------------------------------------------------------------


def linked(how, name, d):
    target = outside(d)
    m = ext(d, name)
    how(target, f"{d}/{name}")
    return m


def in_linked_directory(d):
    os.makedirs(f"{os.path.dirname(d)}/elsewhere", exist_ok=True)
    with open(f"{os.path.dirname(d)}/elsewhere/w2.bin", "wb") as f:
        f.write(bytes(256))
    os.symlink(f"{os.path.dirname(d)}/elsewhere", f"{d}/sub")
    return ext(d, "sub/w2.bin", 0, 24)


def in_directory(d):
    os.makedirs(f"{d}/sub", exist_ok=True)
    m = ext(d, "sub/w.bin", 0, 24)
    os.rename(f"{d}/w.bin", f"{d}/sub/w.bin")
    return m


def fifo(d):
    m = ext(d, "pipe")
    os.mkfifo(f"{d}/pipe")
    return m


def with_fields(d, **fields):
    w = ext(d, "w.bin", 0, 24, model=False)
    for k, v in fields.items():
        setattr(w, k, v)
    return useW(w)


case("E01", "location ../outside.bin", lambda d: (outside(d), ext(d, "../outside.bin"))[1], "load", "w", "../outside.bin")
case("E02", "absolute location", lambda d: ext(d, outside(d)), "load", "w", "absolute")
case("E03", "a/../../outside.bin", lambda d: (outside(d), ext(d, "a/../../outside.bin"))[1], "load", "w", "outside.bin")
case("E04", "symlink that leaves the directory", made(lambda d: linked(os.symlink, "link.bin", d)), "load", "w", "link.bin")
case("E05", "symlink that stays inside", lambda d: (ext(d, "w.bin"), os.symlink("w.bin", f"{d}/link.bin"), ext(d, "link.bin", 0, 24))[2], "load", "w", "link.bin")
case("E06", "hard link to a file outside", made(lambda d: linked(os.link, "hard.bin", d)), "load", "w", "hard.bin")
case("E07", "file that does not exist", made(ext, "nowhere.bin"), "load", "w", "nowhere.bin")
case("E08", "length past the end", made(ext, "w.bin", 0, 2**40, dims=(2**20, 2**18)), "load", "w", "256")
case("E09", "offset + length wraps 2^64", made(ext, "w.bin", 2**64 - 8, 24), "load", "w", "offset")
case("E10", "offset past the end", made(ext, "w.bin", 300, 24), "load", "w", "offset", "300")
case("E11", "offset 3 (misaligned: copy, do not fault)", made(ext, "w.bin", 3, 24), "accept")
case("E12", "offset -8", made(ext, "w.bin", -8, 24), "load", "w", "offset", "-8")
case("E13", "offset '12abc'", made(ext, "w.bin", "12abc", 24), "load", "w", "offset")
case("E14", "location is a directory", lambda d: (os.makedirs(f"{d}/dir"), ext(d, "dir"))[1], "load", "w", "regular file")
case("E15", "location is a FIFO (open blocks for ever)", fifo, "load", "w", "regular file")
case("E16", "length 20 for 24 bytes of dims", made(ext, "w.bin", 0, 20), "load", "w", "24", "20")
case("E17", "empty location", made(ext, ""), "load", "w", "location")
case("E18", "location is ORT's in-memory address tag + a raw pointer", made(ext, "*/_ORT_MEM_ADDR_/*", 4096, 24), "load", "w")
case("E19", "no location", made(ext, None, 0, 24), "load", "w", "location")
case("E20", "weight file truncated to 0 between load and run", made(ext, "w.bin", 0, 24), "accept", truncate="w.bin")
case("E21", "unknown key", made(ext, "w.bin", 0, 24, extra=[("command", "rm")]), "load", "w", "command")
case("E22", "key twice", made(ext, "w.bin", 0, 24, extra=[("offset", "8")]), "load", "w", "offset", "twice")
case("E23", "offset of 30 digits", made(ext, "w.bin", "9" * 30, 24), "load", "w", "offset")
case("E24", "length of 2^64 - 1", made(ext, "w.bin", 0, 2**64 - 1), "load", "w")
case("E25", "no length: the rest of the file is enough (legal)", made(ext, "w.bin", 0), "accept")
case("E26", "no length and too short a file", made(ext, "w.bin", 240), "load", "w", "256")
case("E27", "raw_data too", made(with_fields, raw_data=bytes(24)), "load", "w", "twice")
case("E28", "string tensor", made(with_fields, data_type=STR), "load", "w", "string")
case("E29", "symlinked directory in the path", in_linked_directory, "load", "w", "sub")
case("E30", "file in a subdirectory (legal)", in_directory, "accept")
case("E31", "location with a zero byte", made(ext, "w.bin\0.txt"), "load", "w", "zero")
case("E32", "./w.bin and // (legal)", made(ext, ".//w.bin", 0, 24), "accept")
case("E33", "/dev/zero through a symlink", lambda d: (os.symlink("/dev/zero", f"{d}/zero"), ext(d, "zero"))[1], "load", "w", "zero")
case("E34", "location of 5000 characters", made(ext, "a" * 5000), "load", "w", "5000")
case("E35", "dims that need more than the file, without length", made(ext, "w.bin", dims=(2**20, 2**20)), "load", "w", "256")
case("E36", "checksum key (legal)", made(ext, "w.bin", 0, 24, extra=[("checksum", "0" * 40)]), "accept")
case("E37", "model named like its own data (legal)", made(ext, "w.bin", 8, 24), "accept")
case("E38", "external tensor in a Constant", lambda d: op("Constant", [], dict(value=ext(d, "../outside.bin", 0, 24, model=False))), "load", "bad_node", "../outside.bin")
case("E39", "zero elements at offset past the end", made(ext, "w.bin", 300, 0, dims=(0, 3)), "load", "w", "300")
case("E40", "trailing slash", made(ext, "w.bin/"), "load", "w", "directory")
