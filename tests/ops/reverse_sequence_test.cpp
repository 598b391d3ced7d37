#include "ops/reverse_sequence.h"

#include "ops/trilu.h"
#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

TEST(ReverseSequence, BothAxes) {
  for (const DType dtype : kSizes) {
    const Tensor x = counting(dtype, {4, 5, 3});
    const std::vector<int64_t> lengths = {4, 0, 1, 3, 2};
    const Tensor l = ints(lengths), four = ints({5, 0, 1, 3});
    expect_moved(run(ops::ReverseSequence{1, 0}, {&x, &l}), {4, 5, 3}, x, [&](const Dims& i) {
      const int64_t n = lengths[i[1]];
      return Dims{i[0] < n ? n - 1 - i[0] : i[0], i[1], i[2]};
    });
    expect_moved(run(ops::ReverseSequence{0, 1}, {&x, &four}), {4, 5, 3}, x, [&](const Dims& i) {
      const int64_t n = four.as<int64_t>()[i[0]];
      return Dims{i[0], i[1] < n ? n - 1 - i[1] : i[1], i[2]};
    });
  }
}

TEST(ReverseSequence, Errors) {
  const Tensor x = counting(DType::kFloat32, {4, 2}), longer = ints({5, 1}), negative = ints({-1, 1}), three = ints({1, 1, 1});
  expect_error(run(ops::ReverseSequence{1, 0}, {&x, &longer}), Code::kRun, {"5", "4"});
  expect_error(run(ops::ReverseSequence{1, 0}, {&x, &negative}), Code::kRun, {"-1"});
  expect_error(run(ops::ReverseSequence{1, 0}, {&x, &three}), Code::kShape, {"3", "2"});
  expect_error(run(ops::ReverseSequence{1, 1}, {&x, &longer}), Code::kShape, {"batch_axis", "time_axis"});
  expect_error(run(ops::ReverseSequence{2, 0}, {&x, &longer}), Code::kShape, {"batch_axis", "2"});
}

TEST(Trilu, EveryDiagonal) {
  for (const DType dtype : kSizes) {
    for (const Dims& dims : {Dims{4, 6}, Dims{6, 4}, Dims{2, 3, 5, 5}, Dims{2, 0, 3}, Dims{1, 1}}) {
      const Tensor x = counting(dtype, dims);
      for (const int64_t k : {int64_t{-7}, int64_t{-2}, int64_t{0}, int64_t{1}, int64_t{6}, INT64_MIN, INT64_MAX}) {
        const Tensor diagonal = Tensor::scalar(k);
        for (const bool upper : {true, false}) {
          expect_moved(run(ops::Trilu{upper}, {&x, &diagonal}), dims, x, [&](const Dims& i) {
            const __int128 distance = static_cast<__int128>(i[i.size() - 1]) - i[i.size() - 2];
            return (upper ? distance >= k : distance <= k) ? i : Dims{};
          });
        }
      }
    }
  }
  const Tensor x = counting(DType::kInt32, {3, 3});
  expect_moved(run(ops::Trilu{false}, {&x}), {3, 3}, x, [](const Dims& i) { return i[1] <= i[0] ? i : Dims{}; });
  const Tensor vector = counting(DType::kInt32, {3});
  expect_error(run(ops::Trilu{}, {&vector}), Code::kShape, {"rank"});
}

}  // namespace
}  // namespace tenon
