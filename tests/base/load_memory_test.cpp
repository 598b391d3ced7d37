#include "base/load_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

namespace tenon {
namespace {

/// Bytes of address space and of memory that this process has.
struct Held {
  size_t space = 0, resident = 0;
};
Held held() {
  std::ifstream statm("/proc/self/statm");
  Held h;
  statm >> h.space >> h.resident;
  return {h.space * 4096, h.resident * 4096};
}

TEST(LoadMemory, BlocksAreAlignedApartAndStay) {
  std::mt19937 gen(1);
  std::vector<std::shared_ptr<Buffer>> blocks;
  for (const size_t expected : {size_t{0}, size_t{1} << 30}) {
    const LoadMemory memory(expected);
    for (int i = 0; i < 60; ++i) {
      const size_t bytes = i % 20 == 19 ? size_t{11} << 20 : gen() % (size_t{1} << (4 + i % 18));
      auto block = Buffer::allocate(bytes, LoadMemory::lasting());
      ASSERT_TRUE(block.ok());
      EXPECT_EQ(reinterpret_cast<uintptr_t>((*block)->data()) % kAlignment, 0u);
      // The slack behind a block can be read and belongs to no other block.
      std::memset((*block)->data(), static_cast<int>(blocks.size()), bytes + 64);
      blocks.push_back(*block);
    }
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::byte* const data = blocks[i]->data();
    EXPECT_TRUE(std::all_of(data, data + blocks[i]->size() + 64, [&](std::byte b) { return b == static_cast<std::byte>(i); })) << i;
  }
}

TEST(LoadMemory, GoesBackWithTheLastBlock) {
  constexpr size_t kBytes = size_t{40} << 20;
  const Held before = held();
  std::shared_ptr<Buffer> last;
  {
    const LoadMemory memory(4 * kBytes);
    if (LoadMemory::lasting() == nullptr) GTEST_SKIP() << "blocks come from the heap";
    std::vector<std::shared_ptr<Buffer>> blocks;
    for (int i = 0; i < 4; ++i) {
      blocks.push_back(*Buffer::allocate(kBytes, LoadMemory::lasting()));
      std::memset(blocks.back()->data(), 1, kBytes);
    }
    EXPECT_GE(held().resident, before.resident + 4 * kBytes - (size_t{1} << 20));
    last = blocks[2];
  }
  EXPECT_EQ(last->data()[kBytes - 1], std::byte{1});
  last = nullptr;
  EXPECT_LE(held().resident, before.resident + kBytes / 2);
  EXPECT_LE(held().space, before.space + kBytes / 2);
}

TEST(LoadMemory, LittleTakesLittle) {
  const Held before = held();
  const LoadMemory memory(100'000);
  const auto block = *Buffer::allocate(100'000, LoadMemory::lasting());
  std::memset(block->data(), 1, block->size());
  EXPECT_LE(held().resident, before.resident + (size_t{1} << 20));
}

TEST(LoadMemory, IsOfTheThreadAndTheInnermost) {
  EXPECT_EQ(LoadMemory::lasting(), nullptr);
  const LoadMemory outer(0);
  const auto of_outer = LoadMemory::lasting();
  {
    const LoadMemory inner(0);
    EXPECT_TRUE(of_outer == nullptr || LoadMemory::lasting() != of_outer);
  }
  EXPECT_EQ(LoadMemory::lasting(), of_outer);
  std::thread([] { EXPECT_EQ(LoadMemory::lasting(), nullptr); }).join();
}

TEST(LoadMemory, FailsWhereItMust) {
  const LoadMemory memory(0);
  EXPECT_EQ(Buffer::allocate(SIZE_MAX / 4, LoadMemory::lasting()).status().code(), Code::kNoMem);
  set_allocation_hook([](size_t bytes) { return bytes < 30'000; });
  EXPECT_EQ(Buffer::allocate(30'000, LoadMemory::lasting()).status().code(), Code::kNoMem);
  EXPECT_EQ(LoadMemory::passing(30'000).status().code(), Code::kNoMem);
  EXPECT_TRUE(LoadMemory::passing(20'000).ok());
  set_allocation_hook(nullptr);
  EXPECT_TRUE(Buffer::allocate(30'000, LoadMemory::lasting()).ok());
}

TEST(LoadMemory, PassingMemoryIsUsedAgain) {
  const LoadMemory memory(0);
  const auto* const first = (*LoadMemory::passing(50'000))->data();
  EXPECT_EQ((*LoadMemory::passing(40'000))->data(), first);
  const auto used = *LoadMemory::passing(50'000);
  const auto other = *LoadMemory::passing(50'000);
  EXPECT_NE(used->data(), other->data());
  std::memset(used->data(), 1, 50'000);
  std::memset(other->data(), 2, 50'000);
  EXPECT_EQ(used->data()[49'999], std::byte{1});
  EXPECT_GE((*LoadMemory::passing(size_t{1} << 20))->size(), size_t{1} << 20);
}

}  // namespace
}  // namespace tenon
