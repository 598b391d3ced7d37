// Loading: options, sources, and what is kept of the imported model beside the engine's.
#include <algorithm>
#include <filesystem>
#include <span>

#include "base/build_id.h"
#include "base/cpu.h"
#include "base/sha1.h"
#include "base/weight_cache.h"
#include "capi/handles.h"
#include "capi/registry.h"
#include "importers/onnx/load.h"

namespace tenon::capi {

namespace {

using Clock = std::chrono::steady_clock;

/// Everything of tenon_load_options in the engine's terms; lives as long as the load.
struct Request {
  tenon_load_options c;
  onnx::LoadOptions import;
  ModelOptions model;
  std::shared_ptr<WeightCache> cache;  ///< null: none
  std::unique_ptr<HostThreads> threads;
  std::atomic<bool> own_flag{false};  ///< where the caller has no token
  std::atomic<bool>* flag = &own_flag;
  bool refused = false;  ///< the progress callback wants no more
  bool set_by_us = false;

  /// Tells the caller how far the load is; the answer is noted in the flag that the load looks at.
  void report(const char* stage, double fraction) {
    if (!c.progress || refused) return;
    constexpr double kSteps = 1000;
    if (c.progress(c.progress_user, tenon_str(stage), static_cast<uint64_t>(fraction * kSteps), static_cast<uint64_t>(kSteps)) != 0) {
      refused = true;
      set_by_us = !flag->exchange(true);
    }
  }
  ~Request() {
    if (set_by_us) flag->store(false);
  }
};

Status read_strings(const tenon_string* strings, size_t count, const char* what) {
  if (count > 0 && !strings) return error(Code::kArgument, "options->", what, " is NULL, but its count is ", count);
  return {};
}

Status read(const tenon_load_options* options, const char* function, Request& r) {
  TENON_ASSIGN(r.c, read_options(options, function));
  const tenon_load_options& c = r.c;
  constexpr uint32_t kKnown = TENON_LOAD_MAP_WEIGHTS | TENON_LOAD_NO_OPTIMIZE | TENON_LOAD_OVERRIDABLE | TENON_LOAD_NO_ONEDNN |
                              TENON_LOAD_OPENMP | TENON_LOAD_VERIFY_CHECKSUMS | TENON_LOAD_STRICT;
  if (c.flags & ~kKnown) return error(Code::kArgument, function, ": unknown bits in options->flags: ", c.flags & ~kKnown);
  if (c.threads < 0 || c.threads > kMaxThreads) {
    return error(Code::kArgument, function, ": options->threads is ", c.threads, ", expected 0 to ", kMaxThreads);
  }
  if (c.deadline_ms < 0) return error(Code::kArgument, function, ": options->deadline_ms is ", c.deadline_ms);
  TENON_TRY(read_strings(c.disabled_passes, c.disabled_pass_count, "disabled_passes"));
  TENON_TRY(read_strings(c.extra_outputs, c.extra_output_count, "extra_outputs"));
  if (c.dim_count > 0 && !c.dims) return argument_error(function, "options->dims is NULL");

  if (c.cancel) r.flag = &const_cast<tenon_cancel*>(c.cancel)->flag;
  if (c.deadline_ms > 0) {
    // A deadline so far away that it cannot be told is none.
    const int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - Clock::now()).count() / 2;
    if (c.deadline_ms < most) r.import.deadline = Clock::now() + std::chrono::milliseconds(c.deadline_ms);
  }
  r.import.cancel = r.flag;
  if (c.progress) r.import.progress = [&r](double fraction) { r.report("read", fraction); };
  r.import.read_late = true;
  r.import.map_weights = (c.flags & TENON_LOAD_MAP_WEIGHTS) != 0;
  r.import.overridable_initializers = (c.flags & TENON_LOAD_OVERRIDABLE) != 0;
  r.import.verify_checksums = (c.flags & TENON_LOAD_VERIFY_CHECKSUMS) != 0;
  r.import.directory = view(c.base_directory);
  for (size_t i = 0; i < c.extra_output_count; ++i) r.import.extra_outputs.emplace_back(view(c.extra_outputs[i]));
  if (c.memory_limit > 0) {
    r.import.allocator = std::make_shared<Allocator>(static_cast<size_t>(c.memory_limit));
    r.model.memory_limit = static_cast<size_t>(c.memory_limit);
  }
  attach_registry(c.registry, r.import);

  r.model.threads = c.threads;
  if (c.max_plans > 0) r.model.max_plans = c.max_plans;
  if (c.pool) {
    TENON_ASSIGN(const tenon_thread_pool pool, read_options(c.pool, "options->pool"));
    if (!pool.run) return argument_error(function, "options->pool->run is NULL");
    r.threads = std::make_unique<HostThreads>(pool);
    r.model.provider = r.threads.get();
  } else if (c.flags & TENON_LOAD_OPENMP) {
    r.model.provider = openmp_threads();
    if (!r.model.provider) return argument_error(function, "this build has no OpenMP");
  }
  PassOptions& passes = r.model.passes;
  passes.enabled = (c.flags & TENON_LOAD_NO_OPTIMIZE) == 0;
  if (c.pass_step_limit > 0) passes.step_limit = c.pass_step_limit;
  for (size_t i = 0; i < c.disabled_pass_count; ++i) {
    const std::string_view name = view(c.disabled_passes[i]);
    const auto all = all_passes();
    if (std::none_of(all.begin(), all.end(), [&](const Pass& p) { return name == p.name; })) {
      return error(Code::kArgument, function, ": there is no pass named '", name, "'");
    }
    passes.disabled.emplace(name);
  }
  passes.check = [&r]() -> Status {
    if (r.flag->load(std::memory_order_relaxed)) return error(Code::kCancelled, "load cancelled by the caller");
    if (r.import.deadline && Clock::now() >= *r.import.deadline) return limit_error("load passed its deadline");
    return {};
  };
  return {};
}

/// The cache for the model at `path`, under a name that tells apart what would be packed differently.
Status open_cache(const std::string& path, Request& r) {
  const std::string directory(view(r.c.cache_directory));
  if (directory.empty()) return {};
  if (directory.find('\0') != std::string::npos) return argument_error("tenon_model_load", "options->cache_directory holds a NUL byte");
  std::error_code failed;
  std::string name = std::filesystem::canonical(path, failed).string();
  if (failed) return {};  // opening it will tell why
  const auto add = [&](std::string_view text) { name.append(1, '\0').append(text); };
  constexpr uint32_t kPacking =
      TENON_LOAD_NO_OPTIMIZE | TENON_LOAD_OVERRIDABLE | TENON_LOAD_NO_ONEDNN | TENON_LOAD_MAP_WEIGHTS | TENON_LOAD_STRICT;
  add(std::to_string(r.c.flags & kPacking));
  add(std::to_string(r.model.passes.step_limit));
  for (const std::string& pass : r.model.passes.disabled) add(pass);
  for (const std::string& output : r.import.extra_outputs) add(output);
  for (size_t i = 0; i < r.c.dim_count; ++i) add(std::string(view(r.c.dims[i].name)) + "=" + std::to_string(r.c.dims[i].value));
  TENON_ASSIGN(const std::string instructions, instruction_set());
  add(instructions);
  const std::string tag = std::string(view(tenon_version_string())) + " " + build_id() + " " + instructions;
  r.cache = std::make_shared<WeightCache>(directory, sha1_hex(std::span(name)) + ".weights", tag);
  r.import.cache = r.cache;
  return {};
}

/// Writes what the next load will want. Only being stopped fails this one.
Status close_cache(Request& r, ModelState& state) {
  if (!r.cache) return {};
  state.cache_file = r.cache->path();
  state.cache_bytes = r.cache->found_bytes();
  if (!r.cache->used()) state.cache_note = "the model has no large weights, or its files were changed in the last seconds";
  Status written = r.cache->write(r.model.passes.check);
  if (written.ok()) return {};
  if (written.code() != Code::kIo) return written;
  state.cache_note = written.message();
  return {};
}

/// Gives symbolic dims of the inputs the sizes the caller chose, and types everything again.
Status bind_dims(Graph& graph, const tenon_dim_binding* dims, size_t count) {
  if (count == 0) return {};
  std::vector<bool> used(count);
  for (const ValueId id : graph.region(0).inputs) {
    Type type = graph.type(id);
    if (!type.ranked()) continue;
    for (Dim& d : type.shape.dims()) {
      for (size_t i = 0; i < count && !d.is_const(); ++i) {
        if (d.str() != view(dims[i].name)) continue;
        if (dims[i].value < 0) return error(Code::kArgument, "dim '", view(dims[i].name), "' was given the size ", dims[i].value);
        d = Dim(dims[i].value);
        used[i] = true;
      }
    }
    graph.set_type(id, std::move(type));
  }
  for (size_t i = 0; i < count; ++i) {
    if (!used[i]) return error(Code::kArgument, "no input has a dim named '", view(dims[i].name), "'");
  }
  return graph.reinfer_all();
}

void count_parameters(const Graph& graph, ModelState& state) {
  for (ValueId v = 0; v < graph.values(); ++v) {
    const Value& value = graph.value(v);
    if (!value.constant || (value.users.empty() && value.output_uses == 0)) continue;
    state.parameter_count += static_cast<uint64_t>(value.constant->count());
    state.parameter_bytes += value.constant->bytes();
  }
}

Result<std::shared_ptr<ModelState>> build(onnx::ImportedModel imported, Request& r) {
  auto state = std::make_shared<ModelState>();
  Graph& graph = imported.graph;
  if (r.c.source.size > 0) graph.source = view(r.c.source);
  graph.onednn = (r.c.flags & TENON_LOAD_NO_ONEDNN) == 0;
  graph.strict = (r.c.flags & TENON_LOAD_STRICT) != 0;
  TENON_TRY(bind_dims(graph, r.c.dims, r.c.dim_count));

  state->name = graph.name;
  state->producer = graph.producer;
  if (!imported.producer_version.empty() && graph.producer.find(imported.producer_version) == std::string::npos) {
    state->producer += (state->producer.empty() ? "" : " ") + imported.producer_version;
  }
  state->source = graph.source;
  state->metadata.assign(graph.metadata.begin(), graph.metadata.end());
  std::sort(state->metadata.begin(), state->metadata.end());
  count_parameters(graph, *state);
  r.report("optimise", 0);
  TENON_ASSIGN(state->model, Model::create(std::move(graph), r.model));
  r.report("optimise", 1);

  const Model& model = *state->model;
  state->defaults.resize(model.inputs().size());
  for (size_t i = 0; i < model.inputs().size(); ++i) {
    const ValueInfo& v = model.inputs()[i];
    state->inputs.push_back(describe(v.name, v.type));
    if (v.type.structure.optional) {
      state->defaults[i] = Tensor::none();
      state->inputs.back().flags |= TENON_VALUE_OPTIONAL;
    }
    for (const auto& [name, tensor] : imported.defaults) {
      if (name != v.name) continue;
      state->defaults[i] = tensor;
      state->inputs.back().flags |= TENON_VALUE_OPTIONAL;
    }
  }
  for (const ValueInfo& v : model.outputs()) state->outputs.push_back(describe(v.name, v.type));
  TENON_TRY(close_cache(r, *state));
  state->threads = std::move(r.threads);
  return state;
}

template <class Import>
tenon_status load(const char* function, const tenon_load_options* options, tenon_model** out, tenon_error** error, Import&& import) {
  return guard(error, [&]() -> Status {
    if (!out) return argument_error(function, "out is NULL");
    const auto begin = Clock::now();
    Request r;
    const auto loaded = [&]() -> Result<std::shared_ptr<ModelState>> {
      TENON_TRY(read(options, function, r));
      const LoadThreads threads(r.model.provider, r.model.threads);
      TENON_ASSIGN(auto imported, import(r));
      return build(std::move(imported), r);
    };
    auto state = loaded();
    if (!state.ok()) {
      Status status = std::move(state).status();
      if (r.c.source.size > 0 && status.mutable_info() && status.code() != Code::kArgument)
        status.mutable_info()->source = view(r.c.source);
      return status;
    }
    (*state)->load_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
    *out = new tenon_model{*std::move(state)};
    return {};
  });
}

}  // namespace

}  // namespace tenon::capi

using namespace tenon;
using namespace tenon::capi;

tenon_status tenon_model_load(tenon_string path, const tenon_load_options* options, tenon_model** out, tenon_error** error) {
  return load("tenon_model_load", options, out, error, [&](Request& r) -> Result<onnx::ImportedModel> {
    if (!path.data || path.size == 0) return argument_error("tenon_model_load", "path is empty");
    if (view(path).find('\0') != std::string_view::npos) return argument_error("tenon_model_load", "path holds a NUL byte");
    TENON_TRY(open_cache(std::string(view(path)), r));
    return onnx::load(std::string(view(path)), r.import);
  });
}

tenon_status tenon_model_load_memory(const void* data, size_t size, const tenon_load_options* options, tenon_model** out,
                                     tenon_error** error) {
  return load("tenon_model_load_memory", options, out, error, [&](Request& r) -> Result<onnx::ImportedModel> {
    if (!data && size > 0) return argument_error("tenon_model_load_memory", "data is NULL");
    return onnx::load(std::span(static_cast<const std::byte*>(data), size), r.import);
  });
}

tenon_status tenon_model_load_stream(tenon_read_fn read, void* user, const tenon_load_options* options, tenon_model** out,
                                     tenon_error** error) {
  return load("tenon_model_load_stream", options, out, error, [&](Request& r) -> Result<onnx::ImportedModel> {
    if (!read) return argument_error("tenon_model_load_stream", "read is NULL");
    const onnx::ReadCallback callback = [&](void* dst, size_t n) -> Result<size_t> {
      const int64_t got = read(user, dst, n);
      if (got < 0) return tenon::error(Code::kIo, "the read callback reported failure");
      if (static_cast<uint64_t>(got) > n)
        return tenon::error(Code::kIo, "the read callback returned ", got, " for ", n, " bytes asked for");
      return static_cast<size_t>(got);
    };
    return onnx::load(callback, r.import);
  });
}

void tenon_model_free(tenon_model* model) { delete model; }
