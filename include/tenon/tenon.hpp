// Tenon for C++ (17 and later): RAII over tenon.h, header-only.
//
//   auto model = tenon::Model::load("resnet50.onnx");            // throws tenon::Error: code, node, text
//   auto out   = model.run({{"input", image}});                  // image: tenon::Tensor, owned or borrowed
//   tenon::Span<const float> logits = out["logits"].as<const float>();
//
// Every call that can fail comes twice: load() throws tenon::Error, try_load() returns tenon::Result. With -fno-exceptions only the
// latter is of use. Thread safety is that of tenon.h: a Model is shared by any number of threads, a Session is one thread's.
#pragma once

#include <chrono>
#include <functional>
#include <istream>
#include <map>
#include <optional>

#include "tenon/tensor.hpp"

namespace tenon {
inline namespace api {

class Registry;  // custom operators: <tenon/custom_op.hpp>

inline std::string_view version() { return view(tenon_version_string()); }

/// Stops the loads and runs it was given to. Copies are the same token. cancel() may be called from any thread.
class CancelToken {
 public:
  CancelToken() {
    tenon_cancel* c = nullptr;
    detail::must(tenon_cancel_new, &c);
    handle_.reset(c, tenon_cancel_free);
  }
  void cancel() const { tenon_cancel_set(get()); }
  void reset() const { tenon_cancel_reset(get()); }
  bool cancelled() const { return tenon_cancel_is_set(get()) != 0; }
  tenon_cancel* get() const { return handle_.get(); }

 private:
  std::shared_ptr<tenon_cancel> handle_;
};

/// What runs recorded about their steps.
class Profile {
 public:
  Profile() {
    tenon_profile* p = nullptr;
    detail::must(tenon_profile_new, &p);
    handle_.reset(p, tenon_profile_free);
  }
  struct Event {
    std::string_view node, op, kernel, shapes;
    std::chrono::nanoseconds start, duration;
    bool parallel;
  };
  size_t size() const { return tenon_profile_event_count(get()); }
  Event operator[](size_t i) const {
    tenon_profile_event e{};
    e.size = sizeof e;
    detail::must(tenon_profile_get_event, static_cast<const tenon_profile*>(get()), i, &e);
    return {view(e.node),
            view(e.op),
            view(e.kernel),
            view(e.shapes),
            std::chrono::nanoseconds(e.start_nanoseconds),
            std::chrono::nanoseconds(e.nanoseconds),
            e.parallel != 0};
  }
  /// Chrome trace JSON.
  std::string json() const {
    tenon_string text{};
    detail::must(tenon_profile_json, static_cast<const tenon_profile*>(get()), &text);
    std::string copy(view(text));
    tenon_string_free(&text);
    return copy;
  }
  void clear() const { tenon_profile_clear(get()); }
  tenon_profile* get() const { return handle_.get(); }

 private:
  std::shared_ptr<tenon_profile> handle_;
};

/// How to load a model: `tenon::Options().threads(2).deadline(5s)`.
class Options {
 public:
  /// Nonzero threads, bytes, milliseconds; see tenon_load_options for the meaning of each.
  Options& threads(int n) { return set(c_.threads, n); }
  Options& memory_limit(uint64_t bytes) { return set(c_.memory_limit, bytes); }
  Options& deadline(std::chrono::milliseconds time) { return set(c_.deadline_ms, time.count()); }
  Options& cancel(CancelToken token) { return set(cancel_, std::move(token)); }
  /// Called with stage, done, total; returning false cancels the load.
  Options& progress(std::function<bool(std::string_view, uint64_t, uint64_t)> fn) { return set(progress_, std::move(fn)); }
  Options& base_directory(std::string path) { return set(base_, std::move(path)); }
  /// Where packed weights are kept from one load to the next: see tenon_load_options.
  Options& cache_directory(std::string path) { return set(cache_, std::move(path)); }
  Options& source(std::string name) { return set(source_, std::move(name)); }
  Options& map_weights(bool on = true) { return flag(TENON_LOAD_MAP_WEIGHTS, on); }
  Options& optimize(bool on) { return flag(TENON_LOAD_NO_OPTIMIZE, !on); }
  Options& overridable_initializers(bool on = true) { return flag(TENON_LOAD_OVERRIDABLE, on); }
  Options& onednn(bool on) { return flag(TENON_LOAD_NO_ONEDNN, !on); }
  Options& strict(bool on = true) { return flag(TENON_LOAD_STRICT, on); }
  Options& openmp(bool on = true) { return flag(TENON_LOAD_OPENMP, on); }
  Options& verify_checksums(bool on = true) { return flag(TENON_LOAD_VERIFY_CHECKSUMS, on); }
  Options& disable_pass(std::string name) {
    passes_.push_back(std::move(name));
    return *this;
  }
  Options& pass_step_limit(int64_t n) { return set(c_.pass_step_limit, n); }
  /// A value inside the model that becomes an output after its own.
  Options& extra_output(std::string name) {
    outputs_.push_back(std::move(name));
    return *this;
  }
  /// A size for a symbolic dim of the inputs.
  Options& dim(std::string name, int64_t value) {
    dims_.emplace_back(std::move(name), value);
    return *this;
  }
  Options& max_plans(size_t n) { return set(c_.max_plans, n); }
  Options& registry(const Registry& r);  // in custom_op.hpp
  Options& registry(std::shared_ptr<tenon_registry> r) { return set(registry_, std::move(r)); }
  /// The application's threads: see tenon_thread_pool. `pool.user` must outlive the model.
  Options& pool(tenon_thread_pool pool) { return set(pool_, pool); }

  /// Calls f(const tenon_load_options*), valid during the call.
  template <class F>
  auto with(F&& f) const {
    tenon_load_options c = c_;
    c.size = sizeof c;
    std::vector<tenon_string> passes, outputs;
    std::vector<tenon_dim_binding> dims;
    for (const auto& p : passes_) passes.push_back(to_c(p));
    for (const auto& o : outputs_) outputs.push_back(to_c(o));
    for (const auto& [name, value] : dims_) dims.push_back({to_c(name), value});
    c.disabled_passes = passes.data(), c.disabled_pass_count = passes.size();
    c.extra_outputs = outputs.data(), c.extra_output_count = outputs.size();
    c.dims = dims.data(), c.dim_count = dims.size();
    c.base_directory = to_c(base_), c.source = to_c(source_), c.cache_directory = to_c(cache_);
    c.cancel = cancel_ ? cancel_->get() : nullptr;
    c.registry = registry_.get();
    c.pool = pool_ ? &*pool_ : nullptr;
    if (progress_) {
      c.progress = [](void* user, tenon_string stage, uint64_t done, uint64_t total) -> int32_t {
        return !static_cast<const Options*>(user)->progress_(view(stage), done, total);
      };
      c.progress_user = const_cast<Options*>(this);
    }
    return f(static_cast<const tenon_load_options*>(&c));
  }

 private:
  template <class Field, class Value>
  Options& set(Field& field, Value&& value) {
    field = std::forward<Value>(value);
    return *this;
  }
  Options& flag(uint32_t bit, bool on) {
    c_.flags = on ? c_.flags | bit : c_.flags & ~bit;
    return *this;
  }
  tenon_load_options c_{};
  std::string base_, source_, cache_;
  std::vector<std::string> passes_, outputs_;
  std::vector<std::pair<std::string, int64_t>> dims_;
  std::optional<CancelToken> cancel_;
  std::optional<tenon_thread_pool> pool_;
  std::shared_ptr<tenon_registry> registry_;
  std::function<bool(std::string_view, uint64_t, uint64_t)> progress_;
};

/// How to run: `tenon::RunOptions().deadline(50ms)`.
class RunOptions {
 public:
  RunOptions& threads(int n) {
    c_.threads = n;
    return *this;
  }
  RunOptions& deadline(std::chrono::milliseconds time) {
    c_.deadline_ms = time.count();
    return *this;
  }
  RunOptions& cancel(CancelToken token) {
    cancel_ = std::move(token);
    c_.cancel = cancel_->get();
    return *this;
  }
  RunOptions& profile(Profile profile) {
    profile_ = std::move(profile);
    c_.profile = profile_->get();
    return *this;
  }
  const tenon_run_options* get() const { return &c_; }

 private:
  tenon_run_options c_{sizeof(tenon_run_options), 0, 0, nullptr, nullptr, nullptr};
  std::optional<CancelToken> cancel_;
  std::optional<Profile> profile_;
};

/// An input or output of a model. Views live as long as the model.
struct ValueInfo {
  std::string_view name;
  DType dtype = DType::kUndefined;
  bool ranked = false;
  Span<const int64_t> dims;               ///< -1 where not constant
  std::vector<std::string_view> symbols;  ///< "" for constants, "?" for unknown, else "batch", "2*seq + 1"
  bool optional = false;                  ///< of an input: may be left out, since it has a default or is nullable
  bool sequence = false;                  ///< dtype and dims are those of the items
  bool nullable = false;                  ///< of ONNX's optional types: may be none
};

struct NodeInfo {
  std::string_view name, op, domain;
  int64_t opset = 0;
  std::string_view kernel, refusals, shape;
  std::vector<std::string_view> inputs, outputs;
  int depth = 0;          ///< of how many bodies it is inside
  std::string_view note;  ///< after explain: why no kernel can be told
};

using Inputs = std::vector<std::pair<std::string, Tensor>>;

/// Results of a run, by name or position, in the order asked for.
class Outputs {
 public:
  size_t size() const { return items_.size(); }
  /// Error(kArgument) when there is none of that name.
  const Tensor& operator[](std::string_view name) const {
    for (const auto& item : items_) {
      if (item.first == name) return item.second;
    }
    raise(Error(Code::kArgument, "no output '" + std::string(name) + "'"));
  }
  const Tensor& operator[](const char* name) const { return (*this)[std::string_view(name)]; }
  const Tensor& operator[](size_t i) const { return items_.at(i).second; }
  const Tensor& operator[](int i) const { return items_.at(static_cast<size_t>(i)).second; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::vector<std::pair<std::string, Tensor>> items_;
};

class Session;

/// A compiled model. Copies are the same model; any number of threads may use it at once.
class Model {
 public:
  static Result<Model> try_load(const std::string& path, const Options& options = {}) {
    return options.with([&](const tenon_load_options* o) { return made(tenon_model_load, to_c(path), o); });
  }
  static Model load(const std::string& path, const Options& options = {}) { return try_load(path, options).value(); }
  /// The memory is not used after the call.
  static Result<Model> try_load(const void* data, size_t size, const Options& options = {}) {
    return options.with([&](const tenon_load_options* o) { return made(tenon_model_load_memory, data, size, o); });
  }
  static Model load(const void* data, size_t size, const Options& options = {}) { return try_load(data, size, options).value(); }
  static Result<Model> try_load(std::istream& stream, const Options& options = {}) {
    return options.with([&](const tenon_load_options* o) {
      return made(tenon_model_load_stream, static_cast<tenon_read_fn>([](void* user, void* buffer, size_t capacity) -> int64_t {
                    auto& in = *static_cast<std::istream*>(user);
                    in.read(static_cast<char*>(buffer), static_cast<std::streamsize>(capacity));
                    return in.bad() ? -1 : static_cast<int64_t>(in.gcount());
                  }),
                  static_cast<void*>(&stream), o);
    });
  }
  static Model load(std::istream& stream, const Options& options = {}) { return try_load(stream, options).value(); }

  /// Runs on named inputs. `outputs`: names of those wanted, all when empty; what only the others need is not run.
  Result<Outputs> try_run(const Inputs& inputs, const std::vector<std::string>& outputs = {}, const RunOptions& options = {}) const {
    std::vector<tenon_string> in_names, out_names;
    std::vector<const tenon_tensor*> in;
    for (const auto& [name, tensor] : inputs) in_names.push_back(to_c(name)), in.push_back(tensor.get());
    Outputs result;
    if (outputs.empty()) {
      for (size_t i = 0; i < tenon_model_output_count(get()); ++i) result.items_.emplace_back(this->output(i).name, Tensor());
    } else {
      for (const auto& name : outputs) result.items_.emplace_back(name, Tensor());
    }
    for (const auto& item : result.items_) out_names.push_back(to_c(item.first));
    std::vector<tenon_tensor*> out(out_names.size());
    auto status = detail::call(tenon_model_run_named, c(), in_names.data(), in.data(), in.size(), out_names.data(), out.data(), out.size(),
                               options.get());
    if (!status) return status.error();
    for (size_t i = 0; i < out.size(); ++i) result.items_[i].second = Tensor(out[i]);
    return result;
  }
  Outputs run(const Inputs& inputs, const std::vector<std::string>& outputs = {}, const RunOptions& options = {}) const {
    return try_run(inputs, outputs, options).value();
  }
  /// Runs a model on its first input, and gives its first output.
  Result<Tensor> try_run(const Tensor& input, const RunOptions& options = {}) const {
    const tenon_tensor* in = input.get();
    tenon_tensor* out = nullptr;
    auto status = detail::call(tenon_model_run, c(), &in, size_t{1}, &out, size_t{1}, options.get());
    if (!status) return status.error();
    return Tensor(out);
  }
  Tensor run(const Tensor& input, const RunOptions& options = {}) const { return try_run(input, options).value(); }

  std::vector<ValueInfo> inputs() const { return values(tenon_model_input, tenon_model_input_count(get())); }
  std::vector<ValueInfo> outputs() const { return values(tenon_model_output, tenon_model_output_count(get())); }
  ValueInfo input(size_t i) const { return value(tenon_model_input, i); }
  ValueInfo output(size_t i) const { return value(tenon_model_output, i); }
  size_t find_input(std::string_view name) const {
    size_t i = 0;
    detail::must(tenon_model_find_input, c(), to_c(name), &i);
    return i;
  }
  size_t find_output(std::string_view name) const {
    size_t i = 0;
    detail::must(tenon_model_find_output, c(), to_c(name), &i);
    return i;
  }
  tenon_model_info info() const {
    tenon_model_info i{};
    i.size = sizeof i;
    detail::must(tenon_model_get_info, c(), &i);
    return i;
  }
  std::map<std::string, std::string> metadata() const {
    std::map<std::string, std::string> all;
    for (size_t i = 0, n = info().metadata_count; i < n; ++i) {
      tenon_string key{}, value{};
      detail::must(tenon_model_metadata, c(), i, &key, &value);
      all.emplace(view(key), view(value));
    }
    return all;
  }
  std::vector<NodeInfo> nodes() const {
    std::vector<NodeInfo> all;
    for (size_t i = 0, n = info().node_count; i < n; ++i) {
      tenon_node_info c{};
      c.size = sizeof c;
      detail::must(tenon_model_node, this->c(), i, &c);
      NodeInfo node{view(c.name), view(c.op), view(c.domain), c.opset,     view(c.kernel), view(c.refusals), view(c.shape),
                    {},           {},         c.depth,        view(c.note)};
      for (size_t k = 0; k < c.input_count; ++k) node.inputs.push_back(view(c.inputs[k]));
      for (size_t k = 0; k < c.output_count; ++k) node.outputs.push_back(view(c.outputs[k]));
      all.push_back(std::move(node));
    }
    return all;
  }
  /// Plans for these sizes of symbolic dims (1 for the rest), so that nodes() tells kernels and refusals.
  void explain(const std::vector<std::pair<std::string, int64_t>>& dims = {}) const {
    std::vector<tenon_dim_binding> bindings;
    for (const auto& [name, value] : dims) bindings.push_back({to_c(name), value});
    detail::must(tenon_model_explain, c(), static_cast<const tenon_dim_binding*>(bindings.data()), bindings.size());
  }
  std::vector<tenon_pass_info> passes() const {
    std::vector<tenon_pass_info> all(info().pass_count);
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].size = sizeof all[i];
      detail::must(tenon_model_pass, c(), i, &all[i]);
    }
    return all;
  }
  std::string graph(tenon_graph_format format = TENON_GRAPH_TEXT) const {
    tenon_string text{};
    detail::must(tenon_model_graph, c(), format, &text);
    std::string copy(view(text));
    tenon_string_free(&text);
    return copy;
  }
  tenon_stats stats() const {
    tenon_stats s{};
    s.size = sizeof s;
    detail::must(tenon_model_get_stats, c(), &s);
    return s;
  }
  void trim() const { detail::must(tenon_model_trim, c()); }
  inline Session session() const;
  tenon_model* get() const { return handle_.get(); }
  /// Takes ownership of a handle.
  explicit Model(tenon_model* handle) : handle_(handle, tenon_model_free) {}

 private:
  const tenon_model* c() const { return handle_.get(); }
  template <class F, class... Args>
  static Result<Model> made(F function, Args... args) {
    tenon_model* m = nullptr;
    auto status = detail::call(function, args..., &m);
    if (!status) return status.error();
    return Model(m);
  }
  template <class F>
  ValueInfo value(F get, size_t i) const {
    tenon_value_info v{};
    v.size = sizeof v;
    detail::must(get, c(), i, &v);
    ValueInfo info{view(v.name),
                   static_cast<DType>(v.dtype),
                   v.rank >= 0,
                   {},
                   {},
                   (v.flags & TENON_VALUE_OPTIONAL) != 0,
                   (v.flags & TENON_VALUE_SEQUENCE) != 0,
                   (v.flags & TENON_VALUE_NULLABLE) != 0};
    const size_t rank = v.rank < 0 ? 0 : static_cast<size_t>(v.rank);
    info.dims = {v.dims, rank};
    for (size_t d = 0; d < rank; ++d) info.symbols.push_back(view(v.dim_names[d]));
    return info;
  }
  template <class F>
  std::vector<ValueInfo> values(F get, size_t count) const {
    std::vector<ValueInfo> all;
    for (size_t i = 0; i < count; ++i) all.push_back(value(get, i));
    return all;
  }
  std::shared_ptr<tenon_model> handle_;
};

/// Bound inputs and outputs, and the buffers of a run: with unchanged shapes a run allocates nothing. One thread at a time.
class Session {
 public:
  explicit Session(const Model& model) : model_(model) {
    tenon_session* s = nullptr;
    detail::must(tenon_session_new, static_cast<const tenon_model*>(model.get()), &s);
    handle_.reset(s);
  }
  /// Later runs read the tensor's memory as it then is.
  Session& bind_input(size_t i, const Tensor& t) {
    detail::must(tenon_session_bind_input, get(), i, static_cast<const tenon_tensor*>(t.get()));
    return *this;
  }
  Session& bind_input(std::string_view name, const Tensor& t) { return bind_input(model_.find_input(name), t); }
  /// Later runs write there.
  Session& bind_output(size_t i, const Tensor& t) {
    detail::must(tenon_session_bind_output, get(), i, static_cast<const tenon_tensor*>(t.get()));
    return *this;
  }
  Session& bind_output(std::string_view name, const Tensor& t) { return bind_output(model_.find_output(name), t); }
  /// Later runs compute these outputs alone, all when empty.
  Session& want_outputs(const std::vector<std::string>& names) {
    std::vector<size_t> indices;
    for (const auto& name : names) indices.push_back(model_.find_output(name));
    detail::must(tenon_session_want_outputs, get(), static_cast<const size_t*>(indices.empty() ? nullptr : indices.data()), indices.size());
    return *this;
  }
  void run() { detail::must(tenon_session_run, get(), static_cast<const tenon_run_options*>(nullptr)); }
  void run(const RunOptions& options) { detail::must(tenon_session_run, get(), options.get()); }
  Result<Nothing> try_run(const RunOptions& options = {}) { return detail::call(tenon_session_run, get(), options.get()); }
  /// An output of the last run; valid until the next run or bind. clone() keeps it.
  Tensor output(size_t i = 0) const {
    const tenon_tensor* t = nullptr;
    detail::must(tenon_session_output, static_cast<const tenon_session*>(get()), i, &t);
    return Tensor::unowned(t);
  }
  Tensor output(std::string_view name) const { return output(model_.find_output(name)); }
  const Model& model() const { return model_; }
  tenon_session* get() const { return handle_.get(); }

 private:
  struct Free {
    void operator()(tenon_session* s) const { tenon_session_free(s); }
  };
  Model model_;
  std::unique_ptr<tenon_session, Free> handle_;
};

inline Session Model::session() const { return Session(*this); }

}  // namespace api
}  // namespace tenon
