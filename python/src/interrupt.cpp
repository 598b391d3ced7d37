// Ctrl-C during a load or run. Python only notes the signal and handles it between bytecodes, which would be after the run; so while
// a call of ours is on the main thread, SIGINT also sets the cancel token of that call, and Python's own handler still runs.
#include <signal.h>

#include <atomic>
#include <cmath>

#include "python.h"

namespace tenon::python {
namespace {

std::atomic<tenon_cancel*> active{nullptr};
struct sigaction python_action;  // what we replaced
unsigned long main_thread = 0;

void on_interrupt(int number) {
  if (tenon_cancel* token = active.load(std::memory_order_relaxed)) tenon_cancel_set(token);
  python_action.sa_handler(number);
}

}  // namespace

int64_t milliseconds(std::optional<double> seconds) {
  if (!seconds) return 0;
  if (!(*seconds >= 0) || !std::isfinite(*seconds) || *seconds > 1e12)
    throw py::value_error("timeout must be a finite number of seconds, not negative");
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(*seconds * 1e3)));
}

InterruptGuard::InterruptGuard(const Cancel* cancel) {
  token_ = cancel ? cancel->token.get() : nullptr;
  if (PyThread_get_thread_ident() != main_thread) return;
  if (!token_) {
    static const auto* own = new CancelToken;  // one is enough: only the main thread uses it, one call at a time or nested
    token_ = own->get();
    if (!active.load(std::memory_order_relaxed)) own->reset();
  }
  outer_ = active.exchange(token_, std::memory_order_relaxed);
  if (outer_) return;
  struct sigaction old;
  if (sigaction(SIGINT, nullptr, &old) != 0 || (old.sa_flags & SA_SIGINFO) || old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN)
    return;
  // It stays, as two more system calls would cost what a small model takes: without a token in `active` it does what Python's own does.
  // A handler that Python installs later replaces it, until the next guard.
  if (old.sa_handler == on_interrupt) return;
  python_action = old;
  struct sigaction ours = old;
  ours.sa_handler = on_interrupt;
  sigaction(SIGINT, &ours, nullptr);
}

InterruptGuard::~InterruptGuard() {
  if (PyThread_get_thread_ident() == main_thread) active.store(outer_, std::memory_order_relaxed);
}

void InterruptGuard::check() const {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

void bind_interrupt(py::module_& m) {
  main_thread = py::cast<unsigned long>(py::module_::import("threading").attr("main_thread")().attr("ident"));
  py::class_<Cancel>(m, "Cancel", "Stops the loads and runs it was given to, from any thread.")
      .def(py::init<>())
      .def(
          "set", [](const Cancel& c) { c.token.cancel(); }, "Stops them: they raise CancelledError within milliseconds.")
      .def(
          "reset", [](const Cancel& c) { c.token.reset(); }, "Makes the token usable again.")
      .def_property_readonly("is_set", [](const Cancel& c) { return c.token.cancelled(); })
      .def("__repr__", [](const Cancel& c) { return std::string("<tenon.Cancel") + (c.token.cancelled() ? " set>" : ">"); });
}

}  // namespace tenon::python
