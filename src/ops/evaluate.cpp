#include "ops/evaluate.h"

namespace tenon {

namespace {

/// The dims of those types that `asked` says have some; none of the others.
template <class Asked>
void dims_of(const Types& types, std::vector<Dims>& all, Asked asked) {
  if (all.size() < types.size()) all.resize(types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    const Shape& shape = types[i].shape;
    all[i].resize(asked(types[i]) ? static_cast<size_t>(shape.rank()) : 0);
    for (size_t d = 0; d < all[i].size(); ++d) all[i][d] = shape[d].value();
  }
}

}  // namespace

void TypedBindContext::set(const Types& in, const Types& out, const std::vector<bool>& wanted) {
  in_ = &in;
  out_ = &out;
  wanted_ = wanted;
  dims_of(in, in_dims_, [](const Type& t) { return t.present() && t.is_tensor(); });
  // Outputs of dynamic operators are not static before they run; their dims are not asked for.
  dims_of(out, out_dims_, [](const Type& t) { return t.is_static(); });
}

Status fault_status(const kernels::Fault& fault) {
  const std::string where = fault.input >= 0 ? "input " + std::to_string(fault.input) + ": " : "";
  switch (fault.kind.load()) {
    case kernels::Fault::kNone: return {};
    case kernels::Fault::kIndex: return run_error(where, "index ", fault.got, " is out of range for an axis of ", fault.limit, " elements");
    case kernels::Fault::kDivisionByZero: return run_error(where, "integer division by zero");
    case kernels::Fault::kLength: return run_error(where, "length ", fault.got, " is outside [0, ", fault.limit, "]");
    case kernels::Fault::kNegative: return run_error(where, "negative value ", fault.got);
    default: return run_error(where, "value ", fault.got, " is not allowed here (limit ", fault.limit, ")");
  }
}

namespace {

class Once : public ExecContext {
 public:
  Once(const std::vector<const Tensor*>& in, int outputs, std::shared_ptr<Allocator> allocator)
      : in_(in), out_(static_cast<size_t>(outputs)), allocator_(std::move(allocator)) {}
  int inputs() const override { return static_cast<int>(in_.size()); }
  int outputs() const override { return static_cast<int>(out_.size()); }
  const Tensor* input(int i) const override { return i < inputs() ? in_[i] : nullptr; }
  bool output_wanted(int) const override { return true; }
  Result<Tensor> keep(int i) override { return in_[i]->clone(allocator_); }
  Result<Tensor> allocate(DType dtype, Dims dims) override { return Tensor::allocate(dtype, std::move(dims), allocator_); }
  void set_output(int i, Tensor tensor) override {
    if (i < outputs()) out_[i] = std::move(tensor);
  }
  Result<std::vector<Tensor>> run_region(int, std::vector<Tensor>) override {
    return error(Code::kArgument, "control flow cannot be evaluated by itself");
  }
  Result<Types> plan_region(int, const Types&) override { return error(Code::kInternal, "a region cannot be planned here"); }
  Status check() const override { return {}; }
  char* string_bytes(size_t size) override {
    strings_.push_back(std::make_unique<char[]>(size));
    return strings_.back().get();
  }
  std::vector<Tensor> take() { return std::move(out_); }

 private:
  const std::vector<const Tensor*>& in_;
  std::vector<Tensor> out_;
  std::shared_ptr<Allocator> allocator_;
  std::vector<std::unique_ptr<char[]>> strings_;
};

/// String elements are views of bytes that belong to the inputs or to the step: copies them so that the results stand alone.
Status own_strings(std::vector<Tensor>& tensors, const std::shared_ptr<Allocator>& allocator) {
  for (Tensor& t : tensors) {
    if (t.dtype() == DType::kString) {
      TENON_ASSIGN(t, t.clone(allocator));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Tensor>> evaluate(const Op& op, const std::vector<const Tensor*>& inputs, int outputs,
                                     const std::shared_ptr<Allocator>& allocator) {
  Types in;
  for (const Tensor* t : inputs) {
    Type type = Type::none();
    if (t) {
      type = Type::of(*t);
      if (t->is_tensor()) type.constant = t;
    }
    in.push_back(std::move(type));
  }
  TENON_ASSIGN(const Types out, infer(op, in));
  if (outputs > static_cast<int>(out.size())) {
    return error(Code::kArgument, op_name(op), " has ", out.size(), " outputs, but ", outputs, " are wanted");
  }
  const TypedBindContext ctx(in, out, std::vector<bool>(static_cast<size_t>(outputs), true));
  TENON_ASSIGN(const Step step, tenon::bind(op, ctx));

  std::vector<Tensor> result;
  if (step.dynamic) {
    Once once(inputs, outputs, allocator);
    TENON_TRY(step.dynamic(once));
    result = once.take();
    TENON_TRY(own_strings(result, allocator));
    return result;
  }

  for (int i = 0; i < outputs; ++i) {
    const Step::View* view = nullptr;
    for (const auto& v : step.views)
      if (v.out == i) view = &v;
    if (view) {
      const Tensor& of = *inputs[view->in];
      result.push_back(Tensor::view(out[i].dtype, ctx.out_dims(i), of.buffer(), of.offset() + static_cast<size_t>(view->offset)));
    } else {
      Dims dims = ctx.out_dims(i);
      if (out[i].layout.kind == Layout::Kind::kChannelBlocked)
        dims[1] = (dims[1] + out[i].layout.block - 1) / out[i].layout.block * out[i].layout.block;
      TENON_ASSIGN(Tensor t, Tensor::allocate(out[i].dtype, std::move(dims), allocator));
      result.push_back(std::move(t));
    }
  }
  if (step.phases.empty()) {
    TENON_TRY(own_strings(result, allocator));
    return result;
  }
  std::vector<const void*> src;
  for (const Tensor* t : inputs) src.push_back(t ? t->data() : nullptr);
  std::vector<void*> dst(out.size(), nullptr);
  for (int i = 0; i < outputs; ++i) dst[i] = result[i].data();
  TENON_ASSIGN(const auto scratch, Buffer::allocate(step.scratch_bytes, allocator));
  TENON_ASSIGN(const auto shared, Buffer::allocate(step.shared_bytes, allocator));
  kernels::Fault fault;
  kernels::Call call;
  call.src = src.data();
  call.dst = dst.data();
  call.scratch = scratch->data();
  call.shared = shared->data();
  call.fault = &fault;
  for (const Phase& phase : step.phases) phase.run(phase.params.get(), call, {0, phase.parts});
  TENON_TRY(fault_status(fault));
  TENON_TRY(own_strings(result, allocator));
  return result;
}

}  // namespace tenon
