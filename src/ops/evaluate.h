// Running one operator by itself, on the calling thread: constant folding, steps whose types are known only while a plan runs, tests.
#pragma once

#include <memory>
#include <vector>

#include "base/allocator.h"
#include "ops/op.h"

namespace tenon {

/// Infers, binds and runs `op` on `inputs` (null where left out), which it sees as constants. `outputs` many are wanted.
/// Control-flow operators are refused (kArgument).
Result<std::vector<Tensor>> evaluate(const Op& op, const std::vector<const Tensor*>& inputs, int outputs = 1,
                                     const std::shared_ptr<Allocator>& allocator = nullptr);

/// Turns what a kernel reported into a run error.
Status fault_status(const kernels::Fault& fault);

/// A BindContext over ready-made types, which outlive it; the plan and evaluate() share it.
class TypedBindContext : public BindContext {
 public:
  explicit TypedBindContext(bool refusals = false) : refusals_(refusals) {}
  TypedBindContext(const Types& in, const Types& out, const std::vector<bool>& wanted, bool refusals = false) : refusals_(refusals) {
    set(in, out, wanted);
  }
  /// Looks at these types from now on.
  void set(const Types& in, const Types& out, const std::vector<bool>& wanted);
  int inputs() const override { return static_cast<int>(in_->size()); }
  int outputs() const override { return static_cast<int>(out_->size()); }
  bool has_input(int i) const override { return i < inputs() && (*in_)[i].present(); }
  bool wants_output(int i) const override { return i < static_cast<int>(wanted_.size()) && wanted_[i]; }
  DType dtype(int i) const override { return (*in_)[i].dtype; }
  const Dims& dims(int i) const override { return in_dims_[i]; }
  const Layout& layout(int i) const override { return (*in_)[i].layout; }
  const Structure& structure(int i) const override { return (*in_)[i].structure; }
  DType out_dtype(int i) const override { return (*out_)[i].dtype; }
  const Dims& out_dims(int i) const override { return out_dims_[i]; }
  const Layout& out_layout(int i) const override { return (*out_)[i].layout; }
  const Tensor* constant(int i) const override { return (*in_)[i].constant; }
  bool want_refusals() const override { return refusals_; }

 private:
  const Types* in_ = nullptr;
  const Types* out_ = nullptr;
  std::vector<bool> wanted_;
  std::vector<Dims> in_dims_, out_dims_;  // beyond what there is: memory for the next types
  bool refusals_;
};

}  // namespace tenon
