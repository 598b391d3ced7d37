// tenon.load: from a path, from memory, from anything with read().
#include <exception>

#include "model.h"

namespace tenon::python {
namespace {

/// The Python exception that a callback ended with, to be raised once the C API has returned.
using Pending = std::exception_ptr;

struct Reader {
  py::object read;
  Pending* pending;
};

int64_t read_some(void* user, void* buffer, size_t capacity) {
  auto& reader = *static_cast<Reader*>(user);
  const py::gil_scoped_acquire gil;
  try {
    const py::object chunk = reader.read(std::min<size_t>(capacity, size_t{1} << 20));
    if (chunk.is_none()) return 0;
    const py::buffer_info bytes = py::buffer(chunk).request();
    const auto size = static_cast<size_t>(bytes.size * bytes.itemsize);
    if (size > capacity) throw py::value_error("read(n) returned more than n bytes");
    if (size) memcpy(buffer, bytes.ptr, size);
    return static_cast<int64_t>(size);
  } catch (...) {
    *reader.pending = std::current_exception();
    return -1;
  }
}

bool report(const py::object& progress, Pending& pending, std::string_view stage, uint64_t done, uint64_t total) {
  const py::gil_scoped_acquire gil;
  try {
    progress(py::str(stage.data(), stage.size()), done, total);
    return PyErr_CheckSignals() == 0 || (throw py::error_already_set(), false);
  } catch (...) {
    pending = std::current_exception();
    return false;
  }
}

Options options_from(const py::dict& dims, const py::iterable& outputs, const py::iterable& disabled_passes, const py::kwargs& rest) {
  Options o;
  for (const auto& [name, value] : dims) o.dim(py::cast<std::string>(name), py::cast<int64_t>(value));
  for (const py::handle name : outputs) o.extra_output(py::cast<std::string>(name));
  for (const py::handle name : disabled_passes) o.disable_pass(py::cast<std::string>(name));
  o.threads(py::cast<int>(rest["threads"])).optimize(py::cast<bool>(rest["optimize"])).map_weights(py::cast<bool>(rest["map_weights"]));
  o.overridable_initializers(py::cast<bool>(rest["overridable_initializers"])).onednn(py::cast<bool>(rest["onednn"]));
  o.strict(py::cast<bool>(rest["strict"])).verify_checksums(py::cast<bool>(rest["verify_checksums"]));
  o.openmp(py::cast<bool>(rest["openmp"])).memory_limit(py::cast<uint64_t>(rest["memory_limit"]));
  o.pass_step_limit(py::cast<int64_t>(rest["pass_step_limit"])).max_plans(py::cast<size_t>(rest["max_plans"]));
  o.deadline(std::chrono::milliseconds(milliseconds(py::cast<std::optional<double>>(rest["timeout"]))));
  const auto path = [&](const char* name) { return py::cast<std::string>(py::module_::import("os").attr("fspath")(rest[name])); };
  if (!rest["base_directory"].is_none()) o.base_directory(path("base_directory"));
  if (!rest["cache_directory"].is_none()) o.cache_directory(path("cache_directory"));
  return o;
}

std::shared_ptr<PyModel> load(const py::object& kind, const py::object& source, const py::dict& dims, const py::iterable& outputs,
                              const py::iterable& disabled_passes, const Cancel* cancel, const py::object& progress,
                              const py::kwargs& rest) {
  Options options = options_from(dims, outputs, disabled_passes, rest);
  Pending pending;
  if (!progress.is_none()) {
    options.progress([&](std::string_view stage, uint64_t done, uint64_t total) { return report(progress, pending, stage, done, total); });
  }
  const InterruptGuard interrupt(cancel);
  tenon_model* model = nullptr;
  tenon_error* error = nullptr;
  const auto go = [&](auto&& function) {
    return options.with([&](const tenon_load_options* given) {
      tenon_load_options o = *given;
      o.cancel = interrupt.token();
      const py::gil_scoped_release released;
      return function(&o);
    });
  };
  const auto way = py::cast<std::string>(kind);
  tenon_status status = TENON_OK;
  if (way == "path") {
    const auto path = py::cast<std::string>(source);
    status = go([&](const tenon_load_options* o) { return tenon_model_load(to_c(path), o, &model, &error); });
  } else if (way == "memory") {
    const py::buffer_info bytes = py::buffer(source).request();
    const auto size = static_cast<size_t>(bytes.size * bytes.itemsize);
    status = go([&](const tenon_load_options* o) { return tenon_model_load_memory(bytes.ptr, size, o, &model, &error); });
  } else {
    Reader reader{source.attr("read"), &pending};
    status = go([&](const tenon_load_options* o) { return tenon_model_load_stream(read_some, &reader, o, &model, &error); });
  }
  if (status != TENON_OK) {
    const Error e = Error::take(status, error);
    if (pending) std::rethrow_exception(pending);
    interrupt.check();
    throw e;
  }
  return std::make_shared<PyModel>(model);
}

}  // namespace

void bind_load(py::module_& m) {
  m.def("_load", &load, py::arg("kind"), py::arg("source"), py::arg("dims"), py::arg("outputs"), py::arg("disabled_passes"),
        py::arg("cancel").none(true), py::arg("progress"));
}

}  // namespace tenon::python
