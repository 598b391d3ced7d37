// Steps whose types are known only while the plan runs: typed, bound and run on tensors of their own.
#include <algorithm>
#include <cstring>

#include "ops/elements.h"
#include "ops/evaluate.h"
#include "plan/region_runner.h"

namespace tenon {

Status RegionRunner::deferred_step(const PlanStep& step) {
  const Node& node = model_.graph().node(step.node);
  std::vector<Tensor> tensors;
  tensors.reserve(step.inputs.size());
  Types in;
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i].slot < 0) {
      tensors.emplace_back();
      in.push_back(Type::none());
      continue;
    }
    const Type& type = *step.inputs[i].type;
    if (type.layout.kind == Layout::Kind::kPacked) {
      tensors.emplace_back();
      in.push_back(type);
      continue;
    }
    TENON_ASSIGN(Tensor t, operand_tensor(step.inputs[i]));
    tensors.push_back(std::move(t));
    in.push_back(type.is_tensor() ? Type::of(tensors.back()) : type);
    in.back().layout = type.layout;
    if (type.is_tensor() && type.layout.plain()) in.back().constant = &tensors.back();
  }
  TENON_ASSIGN(const Types out, infer(node.op, in));
  std::vector<bool> wanted;
  for (const Operand& o : step.outputs) wanted.push_back(o.slot >= 0);
  const TypedBindContext ctx(in, out, wanted);
  TENON_ASSIGN(const Step work, tenon::bind(node.op, ctx));
  deferred_kernel_ = work.kernel;
  if (work.dynamic) return dynamic_step(step, work);

  std::vector<Tensor> results(step.outputs.size());
  std::vector<const void*> src(step.inputs.size());
  std::vector<void*> dst(step.outputs.size(), nullptr);
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    src[i] = step.inputs[i].slot < 0     ? nullptr
             : tensors[i].empty_handle() ? frame_->base[step.inputs[i].slot] + step.inputs[i].offset
                                         : tensors[i].data();
  }
  bool only_views = work.phases.empty();
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    if (step.outputs[i].slot < 0) continue;
    if (!out[i].is_static()) return error(Code::kInternal, "output ", i, " has no definite shape: ", out[i].str());
    const auto view = std::find_if(work.views.begin(), work.views.end(), [&](const auto& v) { return v.out == static_cast<int>(i); });
    if (view != work.views.end()) {
      const Tensor& of = tensors[static_cast<size_t>(view->in)];
      const Slot::Kind kind = frame_->plan->slots[static_cast<size_t>(step.inputs[static_cast<size_t>(view->in)].slot)].kind;
      const Tensor seen = Tensor::view(out[i].dtype, out[i].shape.to_ints(), of.buffer(), of.offset() + static_cast<size_t>(view->offset));
      // Only a tensor made while running shares its memory; anything else may go before the result does.
      if (kind != Slot::Kind::kDynamic) {
        TENON_ASSIGN(results[i], Tensor::allocate(seen.dtype(), seen.dims(), model_.allocator()));
        if (seen.bytes()) std::memcpy(results[i].data(), seen.data(), seen.bytes());
      } else {
        results[i] = seen;
      }
    } else {
      TENON_TRY(bytes_of(out[i]));
      const Dims dims = out[i].shape.to_ints();
      TENON_ASSIGN(const Tensor whole, Tensor::allocate(out[i].dtype, ops::physical_dims(dims, out[i].layout), model_.allocator()));
      results[i] = Tensor::view(whole.dtype(), dims, whole.buffer(), whole.offset());
    }
    dst[i] = results[i].data();
  }
  if (!only_views) {
    TENON_TRY(state_.ensure_scratch(work.scratch_bytes, team_.threads(), model_.allocator()));
    TENON_TRY(Session::State::ensure(state_.shared, work.shared_bytes, model_.allocator()));
    kernels::Fault fault;
    kernels::Call call;
    call.src = src.data();
    call.dst = dst.data();
    call.shared = state_.shared->data();
    call.fault = &fault;
    TENON_TRY(phases(work, call));
    TENON_TRY(fault_status(fault));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (step.outputs[i].slot >= 0) TENON_TRY(set_dynamic(step, static_cast<int>(i), std::move(results[i])));
  }
  return {};
}

}  // namespace tenon
