"""Sequences and optionals in model files: what they may be made of, and where they may go."""
from cases import BOOL, F, I64, M, N, case, edit, field, header, init, intfield, vi
import numpy as np
from onnx import helper

T = helper.make_tensor_type_proto


def seq(elem):
    return helper.make_sequence_type_proto(elem)


def opt(elem):
    return helper.make_optional_type_proto(elem)


def vit(name, type_proto):
    return helper.make_value_info(name, type_proto)


SEQ, OPT = seq(T(F, ["n"])), opt(T(F, [2]))


def same(type_proto, output=None):
    return M([N("Identity", ["x"], ["y"], name="n")], [vit("x", type_proto)], [vit("y", output or type_proto)])


def into(op_type, type_proto=SEQ, **attrs):
    """The value as the only input of an operator of tensors."""
    return M([N(op_type, ["x"], ["y"], name="bad_node", **attrs)], [vit("x", type_proto)], [vi("y", None)])


def graph(nodes, inputs, outputs):
    return helper.make_graph(nodes, "body", inputs, outputs)


def conditional(then_name, else_name, output):
    branch = lambda name: graph([N("Identity", [name], ["o"])], [], [helper.make_empty_tensor_value_info("o")])
    return M([N("If", ["c"], ["y"], name="bad_node", then_branch=branch(then_name), else_branch=branch(else_name))],
             [vi("c", (), BOOL), vit("s", SEQ), vit("z", seq(T(I64, None))), vit("o1", OPT), vit("os", opt(SEQ)), vi("t", (2,))], [output])


def loop(body_type, given_type, body_output, scan=False, y_type=None):
    """A loop that carries x; the body passes on what it reads as `body_output`."""
    body = graph([N("Identity", ["c"], ["c2"]), N("Identity", ["a"], ["p"]), N("Identity", [body_output], ["q"])],
                 [vi("i", (), I64), vi("c", (), BOOL), vit("a", body_type)],
                 [vi("c2", (), BOOL), helper.make_empty_tensor_value_info("p" if scan else "q")] + ([helper.make_empty_tensor_value_info("q")] if scan else []))
    return M([N("Loop", ["n", "", "x"], ["y", "z"] if scan else ["y"], name="bad_node", body=body)],
             [vi("n", (), I64), vit("x", given_type), vi("t", (2,)), vit("z0", seq(T(I64, None)))], [vit("y", y_type or given_type)])


case("V01", "sequence (legal)", same(SEQ), "accept")
case("V02", "optional tensor (legal)", same(OPT), "accept")
case("V03", "optional sequence (legal)", same(opt(SEQ)), "accept")
case("V04", "sequence of strings, unranked (legal)", same(seq(T(8, None))), "accept")
case("V05", "sequence of sequences", same(seq(SEQ)), "load", "x", "sequence of sequence of tensor", "expected a tensor")
case("V06", "sequence of optionals", same(seq(OPT)), "load", "x", "sequence of optional")
case("V07", "optional of optional", same(opt(OPT)), "load", "x", "optional of optional")
case("V08", "optional of a sequence of sequences", same(opt(seq(SEQ))), "load", "x", "optional of sequence of sequence")
case("V09", "map", same(helper.make_map_type_proto(I64, T(F, None))), "load", "x", "map")
case("V10", "sequence of maps", same(seq(helper.make_map_type_proto(I64, T(F, None)))), "load", "x", "sequence of map")
case("V11", "optional of a sparse tensor", same(opt(helper.make_sparse_tensor_type_proto(F, [2]))), "load", "x", "optional of sparse tensor")
case("V12", "sequence of element type 77", same(seq(T(77, None))), "load", "x", "77")
case("V13", "sequence of element type 0", same(seq(T(0, None))), "load", "x", "element type 0")
case("V14", "sequence without an element type", same(edit(seq(T(F, None)), lambda t: t.sequence_type.ClearField("elem_type"))), "load", "x", "sequence of no type")
case("V15", "optional of nothing", same(edit(opt(T(F, None)), lambda t: t.optional_type.ClearField("elem_type"))), "load", "x", "optional of no type")
case("V16", "sequence of tensors of rank 100", same(seq(T(F, [1] * 100))), "limit", "x", "rank", "100")
case("V17", "sequence of tensors with dim -7", same(seq(T(F, [-7]))), "load", "x", "-7")
TENSOR_FIELD = field(1, intfield(1, 1))
case("V18", "a type that is a tensor and a sequence at once",
     header(field(1, field(1, b"x") + field(2, b"y") + field(4, b"Identity")) + field(11, field(1, b"x") + field(2, TENSOR_FIELD + field(4, field(1, TENSOR_FIELD))))
            + field(12, field(1, b"y"))), "load", "x", "several types")
case("V19", "sequence that becomes a map as an output", same(SEQ, helper.make_map_type_proto(I64, T(F, None))), "load", "y", "map")
case("V20", "sequence declared a tensor as an output", same(SEQ, T(F, ["n"])), "shape", "y", "sequence(float32[n])", "declared as float32[n]")
case("V21", "optional declared a sequence as an output", same(OPT, SEQ), "shape", "y", "optional(float32[2])")
case("V22", "sequence declared of another element type as an output", same(SEQ, seq(T(I64, ["n"]))), "shape", "y", "sequence(int64[n])")
case("V23", "sequence of unknown element type as a declared output (left to inference)", same(SEQ, T(0, None)), "accept")
case("V24", "initializer of a sequence input", edit(same(SEQ), lambda m: m.graph.initializer.append(init("x", np.ones(2, np.float32)))), "shape", "x", "sequence")

for id, (op_type, attrs) in enumerate([("Relu", {}), ("Shape", {}), ("Size", {}), ("Cast", dict(to=I64)), ("Sum", {}), ("Max", {}), ("Mean", {}),
                                       ("Concat", dict(axis=0)), ("Dropout", {}), ("Flatten", {}), ("ReduceSum", {}), ("NonZero", {}),
                                       ("Softmax", dict(axis=0)), ("Squeeze", {}), ("Transpose", {})], 30):
    case(f"V{id}", f"sequence into {op_type}", into(op_type, **attrs), "shape", "bad_node", op_type, "input 0 'x' is sequence(float32[n])", "expected a tensor")
case("V46", "optional into Relu", into("Relu", OPT), "shape", "bad_node", "optional(float32[2])")
case("V47", "sequence as the condition of If", M(
    [N("If", ["x"], ["y"], name="bad_node", then_branch=graph([N("Constant", [], ["o"], value_float=1.0)], [], [vi("o", ())]),
       else_branch=graph([N("Constant", [], ["o"], value_float=1.0)], [], [vi("o", ())]))], [vit("x", seq(T(BOOL, [])))], [vi("y", None)]), "shape", "bad_node", "sequence(bool[])")
case("V48", "sequence into an unknown operator", into("Frobnicate"), "load", "Frobnicate")

case("V50", "If of two sequences (legal)", conditional("s", "s", vit("y", SEQ)), "accept")
case("V51", "If of two optionals (legal)", conditional("os", "os", vit("y", opt(SEQ))), "accept")
case("V52", "If of a sequence and a tensor", conditional("s", "t", vit("y", SEQ)), "shape", "bad_node", "sequence(float32[n])", "float32[2]")
case("V53", "If of sequences of two types", conditional("s", "z", vit("y", SEQ)), "shape", "bad_node", "int64")
case("V54", "If of an optional and a tensor", conditional("o1", "t", vit("y", OPT)), "shape", "bad_node", "optional(float32[2])")

case("V60", "Loop that carries a sequence (legal)", loop(SEQ, SEQ, "a"), "accept")
case("V61", "Loop that carries an optional (legal)", loop(OPT, OPT, "a"), "accept")
case("V62", "Loop whose body is declared to take a tensor", loop(T(F, ["n"]), SEQ, "a"), "shape", "bad_node", "a", "sequence(float32[...])")
case("V63", "Loop that starts with a tensor and goes on with a sequence", loop(T(I64, None), T(I64, None), "z0"), "shape", "bad_node", "sequence(int64[...])")
case("V64", "Loop that would stack sequences", loop(SEQ, SEQ, "a", scan=True), "shape", "bad_node", "sequence", "stacked")
case("V65", "sequence as the trip count of Loop", M(
    [N("Loop", ["x", "", "t"], ["y"], name="bad_node", body=graph([N("Identity", ["c"], ["c2"]), N("Identity", ["a"], ["p"])],
       [vi("i", (), I64), vi("c", (), BOOL), vi("a", (2,))], [vi("c2", (), BOOL), vi("p", (2,))]))],
    [vit("x", seq(T(I64, []))), vi("t", (2,))], [vi("y", None)]), "shape", "bad_node", "sequence(int64[])")
case("V66", "Scan over a sequence", M(
    [N("Scan", ["x"], ["y"], name="bad_node", num_scan_inputs=1, body=graph([N("Identity", ["a"], ["b"])], [vi("a", ())], [vi("b", ())]))],
    [vit("x", SEQ)], [vi("y", None)]), "shape", "bad_node", "sequence(float32[n])")
case("V67", "Scan whose body gives a sequence", M(
    [N("Scan", ["t"], ["y"], name="bad_node", num_scan_inputs=1, body=graph([N("Identity", ["s"], ["b"])], [vi("a", ())], [helper.make_empty_tensor_value_info("b")]))],
    [vit("s", SEQ), vi("t", (3,))], [vi("y", None)]), "shape", "bad_node", "sequence(float32[n])")

case("V70", "sequence through a function (legal)", M(
    [N("f", ["x"], ["y"], name="call", domain="local")], [vit("x", SEQ)], [vit("y", SEQ)], doms=["local"],
    funcs=[helper.make_function("local", "f", ["a"], ["b"], [N("Identity", ["a"], ["b"])], [helper.make_opsetid("", 17)])]), "accept")
case("V71", "sequence into a function of tensors", M(
    [N("f", ["x"], ["y"], name="call", domain="local")], [vit("x", SEQ)], [vi("y", None)], doms=["local"],
    funcs=[helper.make_function("local", "f", ["a"], ["b"], [N("Relu", ["a"], ["b"], name="inner")], [helper.make_opsetid("", 17)])]), "shape", "inner", "sequence(float32[n])")
case("V72", "10000 optional inputs (legal)", M([], [vit(f"x{i}", OPT) for i in range(10000)], [vit("x0", OPT)]), "accept")
