"""Tree ensembles of ai.onnx.ml beside onnxruntime and the definition: random forests in every version."""
import time

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon

F, F16, F64, I32, I64, STR = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.STRING)
DTYPES = {F: np.float32, F16: np.float16, F64: np.float64, I32: np.int32, I64: np.int64}
COMPARISONS = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
FEATURES = 7


class Forest:
    """Random trees, grown leaf by leaf so that depths differ. Thresholds are small integers, so that values meet them."""

    def __init__(self, trees, leaves, modes=("BRANCH_LEQ",), votes=1, targets=1, missing=False, seed=1, shuffle=False):
        self.rng = rng = np.random.default_rng(seed)
        self.targets = targets
        self.nodes, self.votes = [], []  # (tree, id, mode, feature, threshold, true, false, missing); (tree, id, target, weight)
        for tree in range(trees):
            rows, open_ = [None], [0]
            while len(open_) < leaves:
                i = open_.pop(rng.integers(len(open_)))
                rows[i] = (str(rng.choice(modes)), int(rng.integers(FEATURES)), float(rng.integers(-3, 4)), len(rows), len(rows) + 1,
                           int(rng.integers(2)) if missing else 0)
                open_ += [len(rows), len(rows) + 1]
                rows += [None, None]
            for i, row in enumerate(rows):
                mode, feature, threshold, yes, no, nan = row or ("LEAF", 0, 0.0, 0, 0, 0)
                self.nodes.append((tree, i, mode, feature, threshold, yes, no, nan))
                if row is None:
                    for k in range(votes):
                        target = (tree + k) % targets
                        self.votes.append((tree, i, target, float(np.float32(rng.normal()))))
        if shuffle:  # of a tree only the first has its place
            order = sorted(range(len(self.nodes)), key=lambda i: (self.nodes[i][0], self.nodes[i][1] != 0, rng.random()))
            self.nodes = [self.nodes[i] for i in order]

    def attributes(self, prefix, weight="target_weights", tensors=False):
        columns = list(zip(*self.nodes))
        names = ["nodes_treeids", "nodes_nodeids", "nodes_modes", "nodes_featureids", "nodes_values", "nodes_truenodeids", "nodes_falsenodeids",
                 "nodes_missing_value_tracks_true"]
        made = {name: list(c) for name, c in zip(names, columns)}
        for name, c in zip(["treeids", "nodeids", "ids", "weights"], zip(*self.votes)):
            made[prefix + name] = list(c)
        if tensors:
            for name in ("nodes_values", prefix + "weights"):
                made[name + "_as_tensor"] = numpy_helper.from_array(np.array(made.pop(name)), name)
        return made

    def attributes5(self, dtype):
        """Votes are one a leaf."""
        inner = [n for n in self.nodes if n[2] != "LEAF"]
        place = {n[:2]: i for i, n in enumerate(inner)}
        leaf = {v[:2]: i for i, v in enumerate(self.votes)}
        made = {"nodes_featureids": [n[3] for n in inner], "nodes_missing_value_tracks_true": [n[7] for n in inner],
                "nodes_modes": numpy_helper.from_array(np.array([COMPARISONS.index(n[2]) for n in inner], np.uint8), "m"),
                "nodes_splits": numpy_helper.from_array(np.array([n[4] for n in inner], dtype), "s"),
                "leaf_targetids": [v[2] for v in self.votes], "leaf_weights": numpy_helper.from_array(np.array([v[3] for v in self.votes], dtype), "w"),
                "tree_roots": [i for i, n in enumerate(inner) if n[1] == 0]}
        for branch, at in (("true", 5), ("false", 6)):
            ids = [(n[0], n[at]) for n in inner]
            made[f"nodes_{branch}leafs"] = [int(i in leaf) for i in ids]
            made[f"nodes_{branch}nodeids"] = [leaf.get(i, place.get(i)) for i in ids]
        return made

    def rows(self, n, dtype=np.float32, nan=0.0):
        x = self.rng.integers(-4, 5, (n, FEATURES)).astype(dtype)
        if nan:
            x[self.rng.random(x.shape) < nan] = np.nan
        return x


def model(op, attributes, x=F, outputs=(F,), version=3):
    node = helper.make_node(op, ["x"], [f"y{i}" for i in range(len(outputs))], domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph([node], "trees", [helper.make_tensor_value_info("x", x, ["n", FEATURES])],
                              [helper.make_tensor_value_info(f"y{i}", t, None) for i, t in enumerate(outputs)])
    imports = [helper.make_opsetid("ai.onnx.ml", version), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString()


def ours(data, x, **options):
    outputs = tenon.load(data, **({"threads": 1} | options)).run({"x": x})
    return [outputs[name] for name in sorted(outputs)]


def theirs(data, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})


def check(data, x, exact=True):
    got, want = ours(data, x), theirs(data, x)
    for g, w in zip(got, want):
        assert g.shape == w.shape and g.dtype == (w.dtype if w.dtype != object else g.dtype)
        if exact or g.dtype.kind not in "f":
            np.testing.assert_array_equal(g, w)
        else:
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)
    for g, again in zip(got, ours(data, x, threads=2)):
        np.testing.assert_array_equal(g, again)


def regressor(forest, version=3, tensors=False, **attributes):
    return {"n_targets": forest.targets} | forest.attributes("target_", tensors=tensors) | attributes


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 8, 9, 63, 64, 65, 300])
@pytest.mark.parametrize("trees, leaves", [(1, 1), (1, 2), (3, 20), (150, 40)])
def test_sums_have_the_bits_of_onnxruntime(rows, trees, leaves):
    forest = Forest(trees, leaves)
    data = model("TreeEnsembleRegressor", regressor(forest, base_values=[0.25]), version=1)
    x = forest.rows(rows)
    if rows == 0:
        assert ours(data, x)[0].shape == (0, 1)
    else:
        check(data, x, exact=rows != 1 or trees <= 3)  # for one row onnxruntime adds up parts of the trees


@pytest.mark.parametrize("mode", COMPARISONS)
@pytest.mark.parametrize("x", [F, F64, I32, I64])
@pytest.mark.parametrize("missing", [False, True])
def test_modes(mode, x, missing):
    forest = Forest(20, 30, [mode], missing=missing)
    nan = 0.2 if x in (F, F64) else 0
    attributes, rows = regressor(forest), forest.rows(50, DTYPES[x], nan)
    if nan:
        return check(model("TreeEnsembleRegressor", attributes, x), rows, exact=x != F64)
    want, = theirs(model("TreeEnsembleRegressor", attributes), rows.astype(np.float32))  # onnxruntime has no integers here
    np.testing.assert_array_equal(ours(model("TreeEnsembleRegressor", attributes, x), rows)[0], want)


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("votes, targets", [(1, 1), (1, 3), (3, 3), (2, 5)])
@pytest.mark.parametrize("tensors, x", [(False, F), (True, F64)])
def test_aggregates_and_several_targets(aggregate, votes, targets, tensors, x):
    forest = Forest(25, 9, COMPARISONS, votes, targets, missing=True, shuffle=True)
    base = dict(base_values=[0.5 * i for i in range(targets)])
    data = model("TreeEnsembleRegressor", regressor(forest, tensors=tensors, aggregate_function=aggregate, **base), x)
    check(data, forest.rows(40, DTYPES[x], 0.1), exact=aggregate in ("MIN", "MAX") or x == F)


def test_all_votes_of_a_leaf_for_one_target_count():
    forest = Forest(9, 7, votes=3)
    x = forest.rows(30)
    attributes = regressor(forest)
    want = 0
    for k in range(3):  # onnxruntime looks at one
        part = {name: attributes[name][k::3] for name in ("target_treeids", "target_nodeids", "target_ids", "target_weights")}
        want = want + theirs(model("TreeEnsembleRegressor", attributes | part), x)[0]
    np.testing.assert_allclose(ours(model("TreeEnsembleRegressor", attributes), x)[0], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("based", [False, True])
def test_classifiers(post, classes, strings, based):
    one = classes == 2  # of two classes one is voted for
    forest = Forest(20 * classes, 12, votes=1, targets=1 if one else classes)
    labels = {"classlabels_strings": [f"label {i}" for i in range(classes)]} if strings else {"classlabels_int64s": [10 * i + 3 for i in range(classes)]}
    attributes = forest.attributes("class_") | labels | {"post_transform": post}
    if based:
        attributes["base_values"] = [0.5] if one else [0.1 * i for i in range(classes)]
    for scale in (1, None) if one else (1,):
        if scale is None:  # none is negative
            attributes["class_weights"] = [abs(w) / 50 for w in attributes["class_weights"]]
        for rows in (1, 30):
            check(model("TreeEnsembleClassifier", attributes, outputs=(STR if strings else I64, F), version=1), forest.rows(rows), exact=False)


def test_two_classes_that_are_both_voted_for_have_the_larger_score_as_label():
    forest = Forest(5, 8, votes=2, targets=2)
    attributes = forest.attributes("class_") | {"classlabels_int64s": [4, 9]}
    label, scores = ours(model("TreeEnsembleClassifier", attributes, outputs=(I64, F)), forest.rows(20))
    np.testing.assert_array_equal(label, np.where(scores[:, 1] > scores[:, 0], 9, 4))


def test_probit():
    forest = Forest(1, 9)
    attributes = regressor(forest, post_transform="PROBIT")
    attributes["target_weights"] = list(np.linspace(0.05, 0.95, len(attributes["target_weights"])))
    check(model("TreeEnsembleRegressor", attributes), forest.rows(40), exact=False)


@pytest.mark.parametrize("x", [F, F64, F16])
@pytest.mark.parametrize("aggregate", range(4))
def test_version_5(x, aggregate):
    forest = Forest(20, 10, COMPARISONS, targets=3, missing=True)
    data = model("TreeEnsemble", forest.attributes5(DTYPES[x]) | {"n_targets": 3, "aggregate_function": aggregate}, x, (x,), 5)
    rows = forest.rows(33, DTYPES[x], 0.1)
    if x != F16:
        return check(data, rows, exact=aggregate != 0)
    wide = model("TreeEnsemble", forest.attributes5(np.float32) | {"n_targets": 3, "aggregate_function": aggregate}, F, (F,), 5)
    want, = theirs(wide, rows.astype(np.float32))
    got, = ours(data, rows)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, want, rtol=5e-3, atol=2e-2)


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (40, 1, 7)])
def test_membership(sizes):
    """A chain: member of set i -> leaf i, otherwise on."""
    rng = np.random.default_rng(len(sizes))
    sets = [rng.choice(np.arange(-50, 50), n, replace=False).astype(np.float32) for n in sizes]
    n = len(sets)
    attributes = {
        "n_targets": 1, "tree_roots": [0], "nodes_featureids": [i % FEATURES for i in range(n)], "nodes_missing_value_tracks_true": [i % 2 for i in range(n)],
        "nodes_modes": numpy_helper.from_array(np.full(n, 6, np.uint8), "m"), "nodes_splits": numpy_helper.from_array(np.zeros(n, np.float32), "s"),
        "nodes_truenodeids": list(range(n)), "nodes_trueleafs": [1] * n, "nodes_falsenodeids": list(range(1, n)) + [n], "nodes_falseleafs": [0] * (n - 1) + [1],
        "leaf_targetids": [0] * (n + 1), "leaf_weights": numpy_helper.from_array(np.arange(1, n + 2, dtype=np.float32), "w"),
        "membership_values": numpy_helper.from_array(np.concatenate([np.append(s, np.float32(np.nan)) for s in sets]), "v")}
    x = rng.integers(-60, 60, (200, FEATURES)).astype(np.float32) + rng.choice([0, 0, 0.5], (200, FEATURES)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    got, = ours(model("TreeEnsemble", attributes, outputs=(F,), version=5), x)
    for row, y in zip(x, got[:, 0]):
        want = n + 1
        for i, s in enumerate(sets):
            v = row[i % FEATURES]
            if v in s or (np.isnan(v) and i % 2):
                want = i + 1
                break
        assert y == want


def test_nodes_with_several_parents():
    """As LightGBM's categories are exported: a chain of comparisons for equality whose true branches are one node."""
    n = 6
    attributes = dict(n_targets=1, nodes_treeids=[0] * (n + 2), nodes_nodeids=list(range(n + 2)), nodes_featureids=[0] * (n + 2),
                      nodes_modes=["BRANCH_EQ"] * n + ["LEAF"] * 2, nodes_values=[float(i) for i in range(n + 2)], nodes_truenodeids=[n] * n + [0, 0],
                      nodes_falsenodeids=list(range(1, n)) + [n + 1, 0, 0], target_treeids=[0, 0], target_nodeids=[n, n + 1], target_ids=[0, 0],
                      target_weights=[1.0, 2.0])
    x = np.zeros((12, FEATURES), np.float32)
    x[:, 0] = np.arange(12) / 2
    y, = ours(model("TreeEnsembleRegressor", attributes), x)
    np.testing.assert_array_equal(y[:, 0], [1 if v in range(n) else 2 for v in x[:, 0]])


@pytest.mark.parametrize("mode, below, equal", [("BRANCH_LT", 1, 2), ("BRANCH_GTE", 2, 1)])
def test_strict_comparisons_with_zero_when_denormals_count_as_zero(mode, below, equal):
    attributes = dict(n_targets=1, nodes_treeids=[0] * 3, nodes_nodeids=[0, 1, 2], nodes_featureids=[0] * 3, nodes_modes=[mode, "LEAF", "LEAF"],
                      nodes_values=[0.0] * 3, nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0], target_treeids=[0, 0], target_nodeids=[1, 2],
                      target_ids=[0, 0], target_weights=[1.0, 2.0])
    x = np.zeros((3, FEATURES), np.float32)
    x[:, 0] = [-1, 0, 1]
    y, = ours(model("TreeEnsembleRegressor", attributes), x)
    np.testing.assert_array_equal(y[:, 0], [below, equal, equal])


def big(trees, depth):
    """Complete trees, as attributes."""
    rng = np.random.default_rng(5)
    n, inner = 2 ** (depth + 1) - 1, 2**depth - 1
    ids = np.arange(n)
    leaf = ids >= inner
    return dict(n_targets=1, nodes_treeids=np.repeat(np.arange(trees), n).tolist(), nodes_nodeids=np.tile(ids, trees).tolist(),
                nodes_featureids=rng.integers(0, FEATURES, n * trees).tolist(), nodes_values=rng.normal(size=n * trees).astype(np.float32).tolist(),
                nodes_modes=np.tile(np.where(leaf, "LEAF", "BRANCH_LEQ"), trees).tolist(), nodes_truenodeids=np.tile(np.where(leaf, 0, 2 * ids + 1), trees).tolist(),
                nodes_falsenodeids=np.tile(np.where(leaf, 0, 2 * ids + 2), trees).tolist(), target_treeids=np.repeat(np.arange(trees), inner + 1).tolist(),
                target_nodeids=np.tile(ids[leaf], trees).tolist(), target_ids=[0] * (trees * (inner + 1)),
                target_weights=rng.normal(size=trees * (inner + 1)).astype(np.float32).tolist())


def test_a_million_nodes_load_in_no_time():
    data = model("TreeEnsembleRegressor", big(500, 10))
    start = time.perf_counter()
    tenon.load(data)
    assert time.perf_counter() - start < 5  # a second, on a machine that does nothing else


def test_a_chain_of_a_million_nodes():
    n = 1_000_000
    ids = np.arange(2 * n + 1)
    leaf = (ids % 2 == 1) | (ids == 2 * n)
    attributes = dict(n_targets=1, nodes_treeids=[0] * len(ids), nodes_nodeids=ids.tolist(), nodes_featureids=[0] * len(ids), nodes_values=(ids / 2).tolist(),
                      nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(), nodes_truenodeids=np.where(leaf, 0, ids + 1).tolist(),
                      nodes_falsenodeids=np.where(leaf, 0, ids + 2).tolist(), target_treeids=[0] * (n + 1), target_nodeids=ids[leaf].tolist(),
                      target_ids=[0] * (n + 1), target_weights=np.arange(n + 1, dtype=np.float32).tolist())
    x = np.zeros((2, FEATURES), np.float32)
    x[:, 0] = [-1, 1e9]
    y, = ours(model("TreeEnsembleRegressor", attributes), x)
    np.testing.assert_array_equal(y[:, 0], [0, n])


def test_a_feature_that_rows_do_not_have_is_an_error_that_names_both():
    attributes = regressor(Forest(1, 2)) | {"nodes_featureids": [FEATURES + 4] * 3}
    with pytest.raises(tenon.Error, match=rf"has {FEATURES} columns, expected at least {FEATURES + 5}: the trees look at feature {FEATURES + 4}"):
        tenon.load(model("TreeEnsembleRegressor", attributes))
