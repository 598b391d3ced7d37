// Custom operators for C++: an operator of the application, made of two callables.
//
//   tenon::Registry registry;
//   registry.add("com.example", "Twice", 1, 1, 1,
//                [](tenon::InferContext& c) { c.set_output_like(0, 0); },
//                [](tenon::ComputeContext& c) { ... c.input(0) ... c.output(0, dtype, dims) ... });
//   auto model = tenon::Model::load("model.onnx", tenon::Options().registry(registry));
//
// A callable reports failure by throwing: tenon::Error keeps its code, any other exception becomes a run error.
#pragma once

#include "tenon/tenon.hpp"

namespace tenon {
inline namespace api {

class Attributes {
 public:
  explicit Attributes(const tenon_attributes* a) : a_(a) {}
  int64_t get_int(std::string_view name, int64_t otherwise) const {
    int64_t v = otherwise;
    return tenon_attribute_int(a_, to_c(name), &v) == TENON_OK ? v : otherwise;
  }
  float get_float(std::string_view name, float otherwise) const {
    float v = otherwise;
    return tenon_attribute_float(a_, to_c(name), &v) == TENON_OK ? v : otherwise;
  }
  std::string get_string(std::string_view name, std::string otherwise) const {
    tenon_string v{};
    return tenon_attribute_string(a_, to_c(name), &v) == TENON_OK ? std::string(view(v)) : otherwise;
  }
  std::vector<int64_t> get_ints(std::string_view name) const {
    const int64_t* v = nullptr;
    size_t n = 0;
    return tenon_attribute_ints(a_, to_c(name), &v, &n) == TENON_OK ? std::vector<int64_t>(v, v + n) : std::vector<int64_t>();
  }
  std::vector<float> get_floats(std::string_view name) const {
    const float* v = nullptr;
    size_t n = 0;
    return tenon_attribute_floats(a_, to_c(name), &v, &n) == TENON_OK ? std::vector<float>(v, v + n) : std::vector<float>();
  }

 private:
  const tenon_attributes* a_;
};

/// What an operator sees while a model loads.
class InferContext {
 public:
  explicit InferContext(tenon_infer_context* c) : c_(c) {}
  size_t inputs() const { return tenon_infer_input_count(c_); }
  size_t outputs() const { return tenon_infer_output_count(c_); }
  Attributes attributes() const { return Attributes(tenon_infer_attributes(c_)); }
  tenon_value_info input(size_t i) const {
    tenon_value_info v{};
    v.size = sizeof v;
    check(tenon_infer_input(c_, i, &v), "input");
    return v;
  }
  /// A dim of -1 is unknown.
  void set_output(size_t i, DType dtype, const Dims& dims) {
    check(tenon_infer_set_output(c_, i, static_cast<tenon_dtype>(dtype), dims.data(), static_cast<int32_t>(dims.size())), "set_output");
  }
  void set_output_unranked(size_t i, DType dtype) {
    check(tenon_infer_set_output(c_, i, static_cast<tenon_dtype>(dtype), nullptr, -1), "set_output_unranked");
  }
  void set_output_like(size_t i, size_t input) { check(tenon_infer_set_output_like(c_, i, input), "set_output_like"); }

 private:
  static void check(tenon_status s, const char* what) {
    if (s != TENON_OK) raise(Error(static_cast<Code>(s), std::string(what) + ": index or type out of range"));
  }
  tenon_infer_context* c_;
};

/// What an operator sees in a run.
class ComputeContext {
 public:
  explicit ComputeContext(tenon_compute_context* c) : c_(c) {}
  size_t inputs() const { return tenon_compute_input_count(c_); }
  size_t outputs() const { return tenon_compute_output_count(c_); }
  Attributes attributes() const { return Attributes(tenon_compute_attributes(c_)); }
  Tensor input(size_t i) const { return Tensor::unowned(tenon_compute_input(c_, i)); }  ///< false when left out
  bool output_wanted(size_t i) const { return tenon_compute_output_wanted(c_, i) != 0; }
  Tensor output(size_t i, DType dtype, const Dims& dims) {
    tenon_tensor* t = nullptr;
    const tenon_status s = tenon_compute_output(c_, i, static_cast<tenon_dtype>(dtype), dims.data(), dims.size(), &t);
    if (s != TENON_OK) raise(Error(static_cast<Code>(s), "output " + std::to_string(i) + " refused"));
    return Tensor::unowned(t);
  }

 private:
  tenon_compute_context* c_;
};

/// Custom operators to load models with. Models keep what they use of it.
class Registry {
 public:
  Registry() {
    tenon_registry* r = nullptr;
    detail::must(tenon_registry_new, &r);
    handle_.reset(r, tenon_registry_free);
  }
  /// The callables may be called by several threads at once.
  void add(const std::string& domain, const std::string& name, int min_inputs, int max_inputs, int max_outputs,
           std::function<void(InferContext&)> infer, std::function<void(ComputeContext&)> compute) {
    auto op = std::make_unique<Callables>(Callables{std::move(infer), std::move(compute)});
    tenon_custom_op c{};
    c.size = sizeof c;
    c.domain = to_c(domain), c.name = to_c(name);
    c.min_inputs = min_inputs, c.max_inputs = max_inputs, c.max_outputs = max_outputs;
    c.user = op.get();
    c.infer = [](void* user, tenon_infer_context* context) {
      return guarded(
          [&] {
            InferContext view(context);
            static_cast<Callables*>(user)->infer(view);
          },
          [&](const char* text) { tenon_infer_fail(context, tenon_str(text)); });
    };
    c.compute = [](void* user, tenon_compute_context* context) {
      return guarded(
          [&] {
            ComputeContext view(context);
            static_cast<Callables*>(user)->compute(view);
          },
          [&](const char* text) { tenon_compute_fail(context, tenon_str(text)); });
    };
    c.release = [](void* user) { delete static_cast<Callables*>(user); };
    detail::must(tenon_registry_add, handle_.get(), static_cast<const tenon_custom_op*>(&c));
    (void)op.release();
  }
  const std::shared_ptr<tenon_registry>& handle() const { return handle_; }

 private:
  struct Callables {
    std::function<void(InferContext&)> infer;
    std::function<void(ComputeContext&)> compute;
  };
  template <class F, class Fail>
  static tenon_status guarded(F&& f, Fail&& fail) {
#if defined(__cpp_exceptions)
    try {
      f();
      return TENON_OK;
    } catch (const Error& e) {
      fail(e.text().c_str());
      return static_cast<tenon_status>(e.code());
    } catch (const std::exception& e) {
      fail(e.what());
      return TENON_RUN;
    }
#else
    (void)fail;
    f();
    return TENON_OK;
#endif
  }
  std::shared_ptr<tenon_registry> handle_;
};

inline Options& Options::registry(const Registry& r) { return registry(r.handle()); }

}  // namespace api
}  // namespace tenon
