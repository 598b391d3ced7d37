#include "plan/profile.h"

#include <cstdio>
#include <sstream>

namespace tenon {

void Profile::add(Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
}

std::vector<Profile::Event> Profile::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

namespace {
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", c);
      out += buffer;
    } else {
      out += c;
    }
  }
  return out + "\"";
}
}  // namespace

std::string Profile::chrome_trace() const {
  std::ostringstream out;
  out << "{\"traceEvents\":[";
  bool first = true;
  for (const Event& e : events()) {
    char times[96];
    std::snprintf(times, sizeof times, "\"ts\":%.3f,\"dur\":%.3f", static_cast<double>(e.start_ns) / 1e3,
                  static_cast<double>(e.duration_ns) / 1e3);
    out << (first ? "\n" : ",\n") << "{\"name\":" << quoted(e.name) << ",\"cat\":" << quoted(e.op) << ",\"ph\":\"X\",\"pid\":1,\"tid\":1,"
        << times << ",\"args\":{\"op\":" << quoted(e.op) << ",\"kernel\":" << quoted(e.kernel) << ",\"outputs\":" << quoted(e.shapes)
        << ",\"parallel\":" << (e.parallel ? "true" : "false") << "}}";
    first = false;
  }
  out << "\n],\"displayTimeUnit\":\"ms\"}\n";
  return out.str();
}

}  // namespace tenon
