"""Cases of tree ensembles: ids, links and sizes that make no trees."""
from cases import *

ML = "ai.onnx.ml"


def stump(op_type="TreeEnsembleRegressor", columns=3, **attrs):
    """A root and two leaves, with the attributes given in place of its own; those that are None left out."""
    prefix = "target_" if op_type == "TreeEnsembleRegressor" else "class_"
    made = dict(nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_featureids=[2, 0, 0],
                nodes_values=[0.5, 0.0, 0.0], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0])
    made |= {prefix + "treeids": [0, 0], prefix + "nodeids": [1, 2], prefix + "ids": [0, 0], prefix + "weights": [1.0, 2.0]}
    made |= dict(n_targets=1) if prefix == "target_" else dict(classlabels_int64s=[0, 1])
    made = {k: v for k, v in (made | attrs).items() if v is not None}
    nout = 1 if prefix == "target_" else 2
    return op(op_type, [(2, columns)], made, ML, [(ML, 3)], nout, F if nout == 1 else [I64, F])


def classifier(**attrs):
    return stump("TreeEnsembleClassifier", **attrs)


def u8(*v):
    return init("modes", np.array(v, np.uint8))


def ensemble(**attrs):
    """Two nodes and three leaves, of version 5."""
    made = dict(n_targets=1, tree_roots=[0], nodes_modes=u8(0, 0), nodes_featureids=[0, 1], nodes_splits=init("s", f32(1, 2)),
                nodes_truenodeids=[1, 0], nodes_trueleafs=[0, 1], nodes_falsenodeids=[2, 1], nodes_falseleafs=[1, 1],
                leaf_targetids=[0, 0, 0], leaf_weights=init("w", f32(1, 2, 3)))
    return op("TreeEnsemble", [(2, 3)], {k: v for k, v in (made | attrs).items() if v is not None}, ML, [(ML, 5)])


case("TE01", "TreeEnsembleRegressor (legal)", stump(), "accept")
case("TE02", "feature that the input does not have", stump(columns=2), "shape", "bad_node", "2 columns", "feature 2")
case("TE03", "feature -1", stump(nodes_featureids=[-1, 0, 0]), "load", "bad_node", "nodes_featureids", "-1")
case("TE04", "feature 2^40", stump(nodes_featureids=[2**40, 0, 0]), "load", "bad_node", "nodes_featureids", str(2**40))
case("TE05", "child that is not there", stump(nodes_truenodeids=[9, 0, 0]), "load", "bad_node", "nodes_truenodeids", "9", "node 0 of tree 0")
case("TE06", "child INT64_MIN", stump(nodes_falsenodeids=[MIN, 0, 0]), "load", "bad_node", "nodes_falsenodeids", str(MIN))
case("TE07", "node that is its own child", stump(nodes_truenodeids=[0, 0, 0]), "load", "bad_node", "lead back")
case("TE08", "cycle of two nodes", stump(nodes_modes=["BRANCH_LEQ", "BRANCH_GT", "LEAF"], nodes_falsenodeids=[2, 2, 0]), "load", "bad_node", "lead back")
case("TE09", "two children in one (legal)", stump(nodes_falsenodeids=[1, 0, 0]), "accept")
case("TE10", "node id twice", stump(nodes_nodeids=[0, 1, 1]), "load", "bad_node", "nodes_nodeids", "1", "twice")
case("TE11", "unknown mode", stump(nodes_modes=["BRANCH_LEQ", "LEAF", "TWIG"]), "load", "bad_node", "nodes_modes", "TWIG")
for i, (name, value) in enumerate([("nodes_treeids", [0]), ("nodes_modes", ["LEAF"]), ("nodes_featureids", [0]), ("nodes_values", [0.0] * 4), ("nodes_truenodeids", [0]),
                                   ("nodes_falsenodeids", [0]), ("nodes_missing_value_tracks_true", [1]), ("target_nodeids", [1]), ("target_ids", [0]), ("target_weights", [1.0])]):
    case(f"TE{12 + i}", f"{name} of another length", stump(**{name: value}), "load", "bad_node", name, str(len(value)))
case("TE22", "no nodes at all", stump(nodes_nodeids=None), "load", "bad_node", "nodes_nodeids", "missing")
case("TE23", "vote for a node that is not there", stump(target_nodeids=[1, 7]), "load", "bad_node", "target_nodeids", "7")
case("TE24", "vote for a tree that is not there", stump(target_treeids=[0, 7]), "load", "bad_node", "target_treeids", "7")
case("TE25", "vote for target 1 of 1", stump(target_ids=[0, 1]), "load", "bad_node", "target_ids", "1")
case("TE26", "n_targets 0", stump(n_targets=0), "load", "bad_node", "n_targets", "0")
case("TE27", "n_targets INT64_MAX", stump(n_targets=MAX), "load", "bad_node", "n_targets")
case("TE28", "base_values of 2 for 1 target", stump(base_values=[1.0, 2.0]), "load", "bad_node", "base_values", "2", "1")
case("TE29", "aggregate_function MEDIAN", stump(aggregate_function="MEDIAN"), "load", "bad_node", "aggregate_function", "MEDIAN")
case("TE30", "post_transform TANH", stump(post_transform="TANH"), "load", "bad_node", "post_transform", "TANH")
case("TE31", "values as floats and as a tensor", stump(nodes_values_as_tensor=init("t", np.zeros(3))), "load", "bad_node", "nodes_values", "both")
case("TE32", "values as a tensor of integers", stump(nodes_values=None, nodes_values_as_tensor=init("t", i64(0, 0, 0))), "load", "bad_node", "nodes_values_as_tensor", "int64")
case("TE33", "weights NaN, thresholds infinite (legal)", stump(nodes_values=[float("inf"), 0.0, 0.0], target_weights=[float("nan"), 1.0]), "accept")
case("TE34", "input of no columns", stump(columns=0, nodes_featureids=[0, 0, 0]), "shape", "bad_node", "0 columns")
case("TE35", "leaves alone (legal)", stump(nodes_modes=["LEAF"] * 3), "accept")
case("TE36", "TreeEnsembleClassifier (legal)", classifier(), "accept")
case("TE37", "classifier without labels", classifier(classlabels_int64s=None), "load", "bad_node", "classlabels_strings", "not")
case("TE38", "classifier with labels of both kinds", classifier(classlabels_strings=["a", "b"]), "load", "bad_node", "classlabels_strings", "both")
case("TE40", "classifier with a vote for class 2 of 2", classifier(class_ids=[0, 2]), "load", "bad_node", "class_ids", "2")
case("TE41", "classifier with 3 base values for 2 classes", classifier(base_values=[1.0, 2.0, 3.0]), "load", "bad_node", "base_values", "3", "2")
case("TE42", "TreeEnsemble (legal)", ensemble(), "accept")
case("TE43", "root that is not there", ensemble(tree_roots=[2]), "load", "bad_node", "tree_roots", "2")
case("TE44", "one root 1000 times (legal)", ensemble(tree_roots=[0] * 1000), "accept")
case("TE45", "cycle", ensemble(nodes_trueleafs=[0, 0]), "load", "bad_node", "lead back")
case("TE46", "leaf 3 of 3", ensemble(nodes_falsenodeids=[3, 1]), "load", "bad_node", "nodes_falsenodeids", "3")
case("TE47", "node 2 of 2", ensemble(nodes_truenodeids=[2, 0]), "load", "bad_node", "nodes_truenodeids", "2")
case("TE48", "mode 7", ensemble(nodes_modes=u8(0, 7)), "load", "bad_node", "nodes_modes", "7")
case("TE49", "modes of int64", ensemble(nodes_modes=init("m", i64(0, 0))), "load", "bad_node", "nodes_modes", "int64")
case("TE50", "membership without values", ensemble(nodes_modes=u8(0, 6)), "load", "bad_node", "membership_values", "0", "1")
case("TE51", "membership of more sets than nodes", ensemble(nodes_modes=u8(0, 6), membership_values=init("v", f32(1, np.nan, 2, np.nan))), "load", "bad_node", "membership_values", "2", "1")
case("TE52", "membership in the empty set (legal)", ensemble(nodes_modes=u8(0, 6), membership_values=init("v", f32(np.nan))), "accept")
case("TE54", "leaf target 5 of 1", ensemble(leaf_targetids=[0, 5, 0]), "load", "bad_node", "leaf_targetids", "5")
case("TE55", "aggregate_function 9", ensemble(aggregate_function=9), "load", "bad_node", "aggregate_function", "9")
