#include "base/contents.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <vector>

#include "base/allocator.h"
#include "base/parallel.h"

namespace tenon {

namespace {
constexpr size_t kPart = size_t{4} << 20;          // read by one thread at a time; whole huge pages
constexpr size_t kParallelFrom = size_t{8} << 20;  // less is read before helpers have woken up
constexpr size_t kBatch = 16;                      // parts between two reports of progress
}  // namespace

void ReadFaults::report(Status status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (first_.ok()) first_ = std::move(status);
}

Status ReadFaults::first() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return first_;
}

Status settle(std::span<const std::shared_ptr<Buffer>> buffers, const std::function<void(double)>& progress) {
  struct Part {
    const Buffer* buffer;
    size_t from, bytes;
  };
  std::vector<Part> parts;
  std::set<const Buffer*> seen;  // tensors may share one
  size_t total = 0;
  for (const auto& buffer : buffers) {
    if (!buffer->late() || !seen.insert(buffer.get()).second) continue;
    for (size_t from = 0; from < buffer->size(); from += kPart)
      parts.push_back({buffer.get(), from, std::min(kPart, buffer->size() - from)});
    total += buffer->size();
  }
  std::atomic<bool> failed{false};
  ReadFaults faults;
  const size_t batch = progress ? kBatch : std::max<size_t>(parts.size(), 1);
  for (size_t first = 0; first < parts.size() && !failed; first += batch) {
    const auto n = static_cast<int64_t>(std::min(batch, parts.size() - first));
    const auto read = [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end && !failed.load(std::memory_order_relaxed); ++i) {
        const Part& part = parts[first + static_cast<size_t>(i)];
        std::byte* const to = part.buffer->address() + part.from;
        back_with_pages(to, part.bytes);
        Status status = part.buffer->contents()->read(part.from, part.bytes, to);
        if (status.ok()) continue;
        faults.report(std::move(status));
        failed = true;
      }
    };
    if (total >= kParallelFrom) {
      share_out(n, read);
    } else {
      read(0, n, 0);
    }
    if (progress) progress(static_cast<double>(first + static_cast<size_t>(n)) / static_cast<double>(parts.size()));
  }
  TENON_TRY(faults.first());
  for (const auto& buffer : buffers) buffer->settled();
  return {};
}

}  // namespace tenon
