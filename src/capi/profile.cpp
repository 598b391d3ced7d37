// Recordings of runs.
#include "capi/handles.h"

using namespace tenon;
using namespace tenon::capi;

namespace {

int64_t now() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Events recorded so far. The caller holds the mutex.
const std::vector<Profile::Event>& events(const tenon_profile& p) {
  auto all = p.profile->events();
  if (all.size() != p.seen.size()) p.seen = std::move(all);
  return p.seen;
}

}  // namespace

tenon_status tenon_profile_new(tenon_profile** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    auto p = std::make_unique<tenon_profile>();
    p->profile = std::make_unique<Profile>();
    p->begin_ns = now();
    *out = p.release();
    return {};
  });
}

size_t tenon_profile_event_count(const tenon_profile* profile) {
  size_t count = 0;
  guard(nullptr, [&]() -> Status {
    if (!profile) return {};
    const std::lock_guard lock(profile->mutex);
    count = events(*profile).size();
    return {};
  });
  return count;
}

tenon_status tenon_profile_get_event(const tenon_profile* profile, size_t index, tenon_profile_event* event, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(profile);
    TENON_REQUIRE(event);
    const std::lock_guard lock(profile->mutex);
    if (index >= profile->seen.size()) events(*profile);
    const auto& all = profile->seen;
    if (index >= all.size()) return tenon::error(Code::kArgument, "tenon_profile_get_event: index ", index, " of ", all.size());
    const Profile::Event& e = all[index];
    return fill(event,
                tenon_profile_event{0, c_string(e.name), c_string(e.op), c_string(e.kernel), c_string(e.shapes),
                                    e.start_ns - profile->begin_ns, e.duration_ns, e.parallel},
                "tenon_profile_get_event");
  });
}

tenon_status tenon_profile_json(const tenon_profile* profile, tenon_string* text, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(profile);
    TENON_REQUIRE(text);
    return give_text(profile->profile->chrome_trace(), text);
  });
}

void tenon_profile_clear(tenon_profile* profile) {
  guard(nullptr, [&]() -> Status {
    if (!profile) return {};
    auto fresh = std::make_unique<Profile>();
    const std::lock_guard lock(profile->mutex);
    profile->profile = std::move(fresh);
    profile->seen.clear();
    profile->begin_ns = now();
    return {};
  });
}

void tenon_profile_free(tenon_profile* profile) { delete profile; }
