// The scores of attention spelled out in elementary operators: casts, scalings, masks and the softmax.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// The node's input behind `value` when X produced it and nothing else reads it, else null.
template <class X>
const Node* made_by(const Graph& graph, ValueId value) {
  return graph.producer_as<X>(value) != nullptr && graph.single_use(value) ? &graph.node(graph.value(value).producer) : nullptr;
}

bool is_attention_dtype(DType dtype);

/// Steps over casts that do not change the dtype, or that only round or widen: what is fused computes in float32 throughout.
ValueId skip_casts(const Graph& graph, ValueId value);
/// Steps over a multiplication or division by a constant scalar, which goes into `scale`.
bool take_scale(const Graph& graph, ValueId& value, double& scale);
/// Steps over all scalings, and the casts among them.
ValueId skip_scales(const Graph& graph, ValueId value, double& scale);
/// The argument of a Tanh that nothing else reads, else the value itself.
ValueId skip_tanh(const Graph& graph, ValueId value);
/// Steps over the multiplication of a product by one number a head: those numbers, kNone when there are none.
ValueId take_head_factor(const Graph& graph, ValueId& value);
/// x where `value` is a Reshape of it between [b, h, m, n] and [b * h, m, n], else kNone.
ValueId before_reshape(const Graph& graph, ValueId value);

/// Broadcasts to the scores without making them larger. Along the keys, whose number that of the values tells, it cannot.
bool fits(const Type& mask, const Type& scores);

/// Scores and their mask: addends, some of which are subtracted, or a condition with the number that stands for the scores where it is
/// false (or true).
struct Masked {
  ValueId scores = kNone, condition = kNone;
  float fill = 0;
  bool where_true = false;
  struct Addend {
    ValueId value = kNone;
    bool subtracted = false;
    int64_t images = 0;  ///< not 0: the mask is that of the windows of each of so many images
  };
  std::vector<Addend> addends = {};  ///< the last one's sum first
};
/// Sums with one or two addends, of all scores or of those of windows, Where(condition, scores, fill) or Where(condition, fill, scores)
/// with a constant fill; nullopt for other sums and choices, and no mask when there is neither.
std::optional<Masked> take_mask(const Graph& graph, ValueId value);
/// The mask of an Attention whose other inputs are float32; kNone without one.
Result<ValueId> mask_input(const Graph& graph, Patch& patch, const Masked& masked);

/// The softmax behind the probabilities: itself, or as written to give 0 where it is NaN: Where(IsNaN(p), 0, p).
ValueId softmax_of(const Graph& graph, ValueId probabilities, bool* nan_to_zero);

/// The value in float32.
Result<ValueId> widened(const Graph& graph, Patch& patch, ValueId value);

}  // namespace tenon
