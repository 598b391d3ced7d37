#include "base/allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

namespace tenon {
namespace {

TEST(Allocator, CountsAndLimits) {
  const auto allocator = std::make_shared<Allocator>(1000);
  auto first = Buffer::allocate(600, allocator);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*first)->data()) % kAlignment, 0u);
  EXPECT_EQ(allocator->bytes(), 600u);
  EXPECT_EQ(Buffer::allocate(401, allocator).status().code(), Code::kLimit);
  *first = nullptr;
  EXPECT_TRUE(Buffer::allocate(1000, allocator).ok());
  EXPECT_EQ(allocator->bytes(), 0u);
  EXPECT_EQ(allocator->peak(), 1000u);
}

/// Bytes of this process that are in memory.
size_t resident() {
  std::ifstream statm("/proc/self/statm");
  size_t size = 0, pages = 0;
  statm >> size >> pages;
  return pages * 4096;
}

TEST(Allocator, LateMemoryIsTouchedWhenItIsRead) {
  struct Ones : Contents {
    using Contents::Contents;
    Status read(size_t, size_t n, std::byte* to) const override {
      std::memset(to, 1, n);
      return {};
    }
  };
  constexpr size_t kBytes = (size_t{32} << 20) + 4096 + 1;  // huge pages, small ones and a byte
  const size_t before = resident();
  auto late = Buffer::late(kBytes, std::make_shared<Ones>(std::make_shared<ReadFaults>()));
  ASSERT_TRUE(late.ok());
  EXPECT_LT(resident(), before + kBytes / 8);
  const std::byte* const data = (*late)->data();
  EXPECT_EQ(std::count(data, data + kBytes, std::byte{1}), static_cast<ptrdiff_t>(kBytes));
  EXPECT_GE(resident() + (size_t{1} << 20), before + kBytes);
}

TEST(Allocator, ScratchGoesBackToTheSystem) {
  constexpr size_t kBytes = size_t{48} << 20;
  const size_t before = resident();
  {
    auto scratch = Buffer::scratch(kBytes);
    ASSERT_TRUE(scratch.ok());
    std::memset((*scratch)->data(), 1, kBytes);
    EXPECT_GT(resident(), before + kBytes / 2);
  }
  EXPECT_LT(resident(), before + kBytes / 2);
  set_allocation_hook([](size_t) { return false; });
  const auto refused = Buffer::scratch(kBytes);
  set_allocation_hook(nullptr);
  EXPECT_EQ(refused.status().code(), Code::kNoMem);
}

}  // namespace
}  // namespace tenon
