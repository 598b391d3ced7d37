// Operators of the application behind tenon.h: function pointers seen as a CustomOp.
#include <algorithm>

#include "capi/handles.h"
#include "capi/registry.h"
#include "ops/custom.h"

struct tenon_registry {
  std::vector<std::shared_ptr<const tenon::CustomOp>> ops;
};

struct tenon_attributes {
  const tenon::CustomAttributes* all;
};

struct tenon_infer_context {
  tenon_attributes attributes;
  const tenon::Types* in;
  tenon::Types out;
  std::vector<std::unique_ptr<tenon::capi::ValueText>> texts;  ///< of inputs, made when asked for
  std::string failure;
};

struct tenon_compute_context {
  tenon_attributes attributes;
  tenon::ExecContext* run;
  std::vector<std::unique_ptr<tenon_tensor>> inputs, outputs;
  std::string failure;
};

namespace tenon::capi {

namespace {

/// What a callback returned, as a Status. `failure` is the text it left.
Status outcome(tenon_status returned, const std::string& failure, const char* what) {
  if (returned == TENON_OK) return {};
  const bool known = returned > TENON_OK && returned <= TENON_INTERNAL;
  const Code code = known ? static_cast<Code>(returned) : Code::kRun;
  if (!failure.empty()) return error(code, failure);
  return error(code, "the custom operator's ", what, " failed with status '", view(tenon_status_name(returned)), "'");
}

/// Calls into the application; an exception becomes an error.
template <class Call>
tenon_status guarded(std::string& failure, Call&& call) {
  try {
    return call();
  } catch (const std::exception& e) {
    failure = e.what();
  } catch (...) {
    failure = "the custom operator threw an exception";
  }
  return TENON_RUN;
}

class HostOp final : public CustomOp {
 public:
  explicit HostOp(const tenon_custom_op& c) : c_(c) {
    domain = view(c.domain);
    name = view(c.name);
    min_inputs = c.min_inputs;
    max_inputs = c.max_inputs;
    max_outputs = c.max_outputs;
  }
  ~HostOp() override {
    if (!armed_ || !c_.release) return;
    try {
      c_.release(c_.user);
    } catch (...) {  // a destructor may not throw
    }
  }
  void arm() { armed_ = true; }  ///< from here on release is called

  Result<Types> infer(const CustomAttributes& attributes, const Types& in, int outputs) const override {
    tenon_infer_context context{{&attributes}, &in, Types(static_cast<size_t>(outputs)), {}, {}};
    context.texts.resize(in.size());
    const tenon_status status = guarded(context.failure, [&] { return c_.infer(c_.user, &context); });
    TENON_TRY(outcome(status, context.failure, "infer"));
    return std::move(context.out);
  }

  Status compute(const CustomAttributes& attributes, ExecContext& run) const override {
    tenon_compute_context context{{&attributes}, &run, {}, {}, {}};
    for (int i = 0; i < run.inputs(); ++i) {
      const Tensor* t = run.input(i);
      context.inputs.push_back(t ? std::make_unique<tenon_tensor>(tenon_tensor{*t}) : nullptr);
    }
    context.outputs.resize(static_cast<size_t>(run.outputs()));
    const tenon_status status = guarded(context.failure, [&] { return c_.compute(c_.user, &context); });
    TENON_TRY(outcome(status, context.failure, "compute"));
    for (int i = 0; i < run.outputs(); ++i) {
      auto& made = context.outputs[static_cast<size_t>(i)];
      if (made) {
        run.set_output(i, std::move(made->tensor));
      } else if (run.output_wanted(i)) {
        return error(Code::kRun, "the custom operator did not compute output ", i);
      }
    }
    return {};
  }

 private:
  tenon_custom_op c_;
  bool armed_ = false;
};

template <class T>
tenon_status attribute(const tenon_attributes* attributes, tenon_string name, const T** found) {
  if (!attributes) return TENON_ARGUMENT;
  const auto entry = attributes->all->find(view(name));
  if (entry == attributes->all->end()) return TENON_ARGUMENT;
  *found = std::get_if<T>(&entry->second);
  return *found ? TENON_OK : TENON_ARGUMENT;
}

}  // namespace

void attach_registry(const tenon_registry* registry, onnx::LoadOptions& options) {
  if (registry) options.custom = registry->ops;
}

}  // namespace tenon::capi

using namespace tenon;
using namespace tenon::capi;

tenon_status tenon_registry_new(tenon_registry** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    *out = new tenon_registry;
    return {};
  });
}

tenon_status tenon_registry_add(tenon_registry* registry, const tenon_custom_op* op, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(registry);
    TENON_REQUIRE(op);
    TENON_ASSIGN(const tenon_custom_op c, read_options(op, "tenon_registry_add"));
    if (!c.infer || !c.compute) return argument_error("tenon_registry_add", "a custom operator needs infer and compute");
    if (view(c.domain).empty() || view(c.name).empty())
      return argument_error("tenon_registry_add", "a custom operator needs a domain and a name");
    if (c.min_inputs < 0 || c.max_inputs < c.min_inputs || c.max_outputs < 1) {
      return tenon::error(Code::kArgument, "tenon_registry_add: ", c.min_inputs, " to ", c.max_inputs, " inputs and ", c.max_outputs,
                          " outputs make no sense");
    }
    for (const auto& known : registry->ops) {
      if (known->domain == view(c.domain) && known->name == view(c.name)) {
        return tenon::error(Code::kArgument, "tenon_registry_add: ", known->domain, ".", known->name, " is there already");
      }
    }
    auto made = std::make_shared<HostOp>(c);
    registry->ops.push_back(made);
    made->arm();
    return {};
  });
}

void tenon_registry_free(tenon_registry* registry) { delete registry; }

size_t tenon_infer_input_count(const tenon_infer_context* c) { return c ? c->in->size() : 0; }
size_t tenon_infer_output_count(const tenon_infer_context* c) { return c ? c->out.size() : 0; }
const tenon_attributes* tenon_infer_attributes(const tenon_infer_context* c) { return c ? &c->attributes : nullptr; }

tenon_status tenon_infer_input(tenon_infer_context* c, size_t index, tenon_value_info* info) {
  if (!c || !info || index >= c->in->size()) return TENON_ARGUMENT;
  return guard(nullptr, [&]() -> Status {
    auto& text = c->texts[index];
    if (!text) text = std::make_unique<ValueText>(describe("", (*c->in)[index]));
    return fill(info, info_of(*text), "tenon_infer_input");
  });
}

tenon_status tenon_infer_set_output(tenon_infer_context* c, size_t index, tenon_dtype dtype, const int64_t* dims, int32_t rank) {
  if (!c || index >= c->out.size() || rank < -1 || rank > 16 || (rank > 0 && !dims)) return TENON_ARGUMENT;
  if (!is_valid(static_cast<int32_t>(dtype))) return TENON_ARGUMENT;
  return guard(nullptr, [&]() -> Status {
    Type type = Type::unranked(static_cast<DType>(dtype));
    if (rank >= 0) {
      DimList all;
      for (int32_t i = 0; i < rank; ++i) {
        if (dims[i] < -1) return shape_error("negative dim ", dims[i]);
        all.push_back(dims[i] < 0 ? Dim::unknown() : Dim(dims[i]));
      }
      type.shape = Shape(std::move(all));
    }
    c->out[index] = std::move(type);
    return {};
  });
}

tenon_status tenon_infer_set_output_like(tenon_infer_context* c, size_t index, size_t input) {
  if (!c || index >= c->out.size() || input >= c->in->size() || !(*c->in)[input].present()) return TENON_ARGUMENT;
  return guard(nullptr, [&]() -> Status {
    const Type& like = (*c->in)[input];
    c->out[index] = Type::of(like.dtype, like.shape);
    return {};
  });
}

void tenon_infer_fail(tenon_infer_context* c, tenon_string text) {
  guard(nullptr, [&]() -> Status {
    if (c) c->failure = view(text);
    return {};
  });
}

size_t tenon_compute_input_count(const tenon_compute_context* c) { return c ? c->inputs.size() : 0; }
size_t tenon_compute_output_count(const tenon_compute_context* c) { return c ? c->outputs.size() : 0; }
const tenon_attributes* tenon_compute_attributes(const tenon_compute_context* c) { return c ? &c->attributes : nullptr; }

const tenon_tensor* tenon_compute_input(tenon_compute_context* c, size_t index) {
  return c && index < c->inputs.size() ? c->inputs[index].get() : nullptr;
}

int32_t tenon_compute_output_wanted(const tenon_compute_context* c, size_t index) {
  return c && index < c->outputs.size() && c->run->output_wanted(static_cast<int>(index)) ? 1 : 0;
}

tenon_status tenon_compute_output(tenon_compute_context* c, size_t index, tenon_dtype dtype, const int64_t* dims, size_t rank,
                                  tenon_tensor** tensor) {
  if (!c || !tensor || index >= c->outputs.size() || rank > 16 || (rank > 0 && !dims)) return TENON_ARGUMENT;
  if (!is_valid(static_cast<int32_t>(dtype)) || std::any_of(dims, dims + rank, [](int64_t d) { return d < 0; })) return TENON_ARGUMENT;
  return guard(nullptr, [&]() -> Status {
    TENON_ASSIGN(Tensor t, c->run->allocate(static_cast<DType>(dtype), Dims(dims, dims + rank)));
    c->outputs[index] = std::make_unique<tenon_tensor>(tenon_tensor{std::move(t)});
    *tensor = c->outputs[index].get();
    return {};
  });
}

char* tenon_compute_bytes(tenon_compute_context* c, size_t size) {
  char* bytes = nullptr;
  guard(nullptr, [&]() -> Status {
    if (c) bytes = c->run->string_bytes(size);
    return {};
  });
  return bytes;
}

void tenon_compute_fail(tenon_compute_context* c, tenon_string text) {
  guard(nullptr, [&]() -> Status {
    if (c) c->failure = view(text);
    return {};
  });
}

tenon_status tenon_attribute_int(const tenon_attributes* attributes, tenon_string name, int64_t* value) {
  const int64_t* found = nullptr;
  if (!value || attribute(attributes, name, &found) != TENON_OK) return TENON_ARGUMENT;
  *value = *found;
  return TENON_OK;
}

tenon_status tenon_attribute_float(const tenon_attributes* attributes, tenon_string name, float* value) {
  const float* found = nullptr;
  if (!value || attribute(attributes, name, &found) != TENON_OK) return TENON_ARGUMENT;
  *value = *found;
  return TENON_OK;
}

tenon_status tenon_attribute_string(const tenon_attributes* attributes, tenon_string name, tenon_string* value) {
  const std::string* found = nullptr;
  if (!value || attribute(attributes, name, &found) != TENON_OK) return TENON_ARGUMENT;
  *value = c_string(*found);
  return TENON_OK;
}

tenon_status tenon_attribute_ints(const tenon_attributes* attributes, tenon_string name, const int64_t** values, size_t* count) {
  const std::vector<int64_t>* found = nullptr;
  if (!values || !count || attribute(attributes, name, &found) != TENON_OK) return TENON_ARGUMENT;
  *values = found->data();
  *count = found->size();
  return TENON_OK;
}

tenon_status tenon_attribute_floats(const tenon_attributes* attributes, tenon_string name, const float** values, size_t* count) {
  const std::vector<float>* found = nullptr;
  if (!values || !count || attribute(attributes, name, &found) != TENON_OK) return TENON_ARGUMENT;
  *values = found->data();
  *count = found->size();
  return TENON_OK;
}
