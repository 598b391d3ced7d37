// Checking operators that move elements: where each element of the output must have come from.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <numeric>

#include "ops/evaluate.h"

namespace tenon::testing {

/// 0, 1, 2, ... as far as the dtype goes.
inline Tensor counting(DType dtype, Dims dims) {
  auto made = Tensor::allocate(dtype, std::move(dims));
  EXPECT_TRUE(made.ok()) << made.status().message();
  if (!made.ok()) return {};
  const size_t size = size_of(dtype);
  auto* bytes = static_cast<uint8_t*>((*made).data());
  static const char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (int64_t i = 0; i < (*made).count(); ++i) {
    if (dtype == DType::kString) {
      (*made).as<StringRef>()[i] = {kLetters + i % 26, static_cast<size_t>(1 + i % 7)};
    } else {
      for (size_t b = 0; b < size; ++b)
        bytes[static_cast<size_t>(i) * size + b] = static_cast<uint8_t>((i * 31 + static_cast<int64_t>(b) * 7) >> (b % 2 * 3));
    }
  }
  return *std::move(made);
}

inline Tensor ints(const std::vector<int64_t>& values) { return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values); }
inline Tensor int32s(const std::vector<int32_t>& values) { return Tensor::of<int32_t>({static_cast<int64_t>(values.size())}, values); }

inline Result<std::vector<Tensor>> run_all(const Op& op, const std::vector<const Tensor*>& in, int outputs) {
  return evaluate(op, in, outputs);
}
inline Result<Tensor> run(const Op& op, const std::vector<const Tensor*>& in) {
  auto out = evaluate(op, in, 1);
  if (!out.ok()) return std::move(out).status();
  return (*out)[0];
}

/// Every multi-index of `dims`.
inline void for_each_index(const Dims& dims, const std::function<void(const Dims&)>& f) {
  const int64_t n = std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  Dims index(dims.size(), 0);
  for (int64_t i = 0; i < n; ++i) {
    f(index);
    for (size_t d = dims.size(); d-- > 0;) {
      if (++index[d] < dims[d]) break;
      index[d] = 0;
    }
  }
}
inline int64_t flat(const Dims& dims, const Dims& index) {
  int64_t at = 0;
  for (size_t d = 0; d < dims.size(); ++d) at = at * dims[d] + index[d];
  return at;
}

/// out[index] == in[from(index)], bit by bit (by text for strings); an empty answer means zero bytes.
inline void expect_moved(const Result<Tensor>& out, const Dims& dims, const Tensor& in, const std::function<Dims(const Dims&)>& from) {
  ASSERT_TRUE(out.ok()) << out.status().message();
  const Tensor& y = *out;
  ASSERT_EQ(y.dims(), dims);
  ASSERT_EQ(y.dtype(), in.dtype());
  const size_t size = size_of(in.dtype());
  int64_t wrong = 0;
  for_each_index(dims, [&](const Dims& index) {
    const int64_t to = flat(dims, index);
    const Dims source = from(index);
    if (in.dtype() == DType::kString) {
      const std::string_view want =
          source.size() == in.dims().size() ? in.as<StringRef>()[flat(in.dims(), source)].view() : std::string_view();
      wrong += y.as<StringRef>()[to].view() != want;
      return;
    }
    const std::vector<char> zero(size, 0);
    const char* want =
        source.size() == in.dims().size() ? in.as<char>() + static_cast<size_t>(flat(in.dims(), source)) * size : zero.data();
    wrong += std::memcmp(y.as<char>() + static_cast<size_t>(to) * size, want, size) != 0;
  });
  EXPECT_EQ(wrong, 0) << "elements of " << str(dims) << " from " << str(in.dims()) << " " << name_of(in.dtype());
}

/// An error of that class whose message holds all the words.
template <class T>
void expect_error(const Result<T>& result, Code code, std::initializer_list<std::string_view> words) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), code) << result.status().message();
  for (const std::string_view word : words) {
    EXPECT_NE(result.status().message().find(word), std::string::npos) << "'" << word << "' in: " << result.status().message();
  }
}

inline Type type_of(const Tensor& t) {
  Type type = Type::of(t.dtype(), Shape::of(t.dims()));
  type.constant = &t;
  return type;
}

/// One dtype of each element size.
inline const DType kSizes[] = {DType::kUint8, DType::kFloat16, DType::kFloat32, DType::kInt64, DType::kString};

}  // namespace tenon::testing
