// What the files of the Python module share. Everything here needs the GIL unless said otherwise.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "tenon/tenon.hpp"

namespace tenon::python {
namespace py = pybind11;

// errors.cpp -- tenon::Error becomes the matching class of tenon._errors.
void bind_errors(py::module_& m);

// arrays.cpp -- numpy, DLPack, the buffer protocol, and what else holds numbers.
void bind_arrays(py::module_& m);
/// numpy's (or ml_dtypes') type for a tensor's elements; an unsigned or signed integer of the same size where ml_dtypes is not installed.
py::object numpy_dtype(DType dtype);
enum class Copy { kAllowed, kForbidden };
/// A tensor of `value`: a view of its memory where that is contiguous, aligned and of native byte order, else (when allowed) a copy.
/// Plain Python numbers, lists and strings take the type `wanted`. `name` is for error texts.
Tensor to_tensor(py::handle value, DType wanted, std::string_view name, Copy copy = Copy::kAllowed);
/// A sequence of the arrays in a list or tuple; their elements are of type `wanted`. Otherwise as to_tensor.
Tensor to_sequence(py::handle value, DType wanted, const std::string& name, Copy copy = Copy::kAllowed);
/// An array that views the tensor's memory and keeps it alive (strings are copied to an array of str), a list of arrays for a sequence,
/// None for none.
py::object to_object(Tensor tensor);

// run.cpp -- options that loads and runs share, and models and sessions.
struct Cancel {
  CancelToken token;
};
/// Milliseconds for the C API from seconds; 0 for None. ValueError when negative or not finite.
int64_t milliseconds(std::optional<double> seconds);
/// While one is alive on the main thread, SIGINT also cancels `token`; see check().
class InterruptGuard {
 public:
  explicit InterruptGuard(const Cancel* cancel);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  /// The token to give to the call; null when there is none.
  tenon_cancel* token() const { return token_; }
  /// Raises KeyboardInterrupt when that is what the signal asks for.
  void check() const;

 private:
  tenon_cancel* token_ = nullptr;
  tenon_cancel* outer_ = nullptr;
};
void bind_interrupt(py::module_& m);
void bind_load(py::module_& m);
void bind_model(py::module_& m);
void bind_profile(py::module_& m);

}  // namespace tenon::python
