// What a profiled run records, and its Chrome trace form.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace tenon {

class Profile {
 public:
  struct Event {
    std::string name;  ///< node name (or its operator when it has none)
    std::string op;
    std::string kernel;
    std::string shapes;  ///< output types
    int64_t start_ns = 0, duration_ns = 0;
    bool parallel = false;
  };

  /// Thread-safe.
  void add(Event event);
  std::vector<Event> events() const;
  /// JSON of the Trace Event Format ("complete" events), for chrome://tracing and Perfetto.
  std::string chrome_trace() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Event> events_;
};

}  // namespace tenon
