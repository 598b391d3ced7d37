// Running one operator on tensors written in a test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ops/evaluate.h"

namespace tenon::test {

/// The outputs, or none (and a test failure) when the operator refuses.
inline std::vector<Tensor> run(const Op& op, const std::vector<Tensor>& inputs, int outputs = 1) {
  std::vector<const Tensor*> in;
  for (const Tensor& t : inputs) in.push_back(t.empty_handle() ? nullptr : &t);
  auto result = evaluate(op, in, outputs);
  if (!result.ok()) {
    ADD_FAILURE() << result.status().message();
    return std::vector<Tensor>(static_cast<size_t>(outputs));
  }
  return *std::move(result);
}
inline Tensor run1(const Op& op, const std::vector<Tensor>& inputs) { return run(op, inputs)[0]; }

/// The error of an operator that must refuse.
inline Status refusal(const Op& op, const std::vector<Tensor>& inputs, int outputs = 1) {
  std::vector<const Tensor*> in;
  for (const Tensor& t : inputs) in.push_back(t.empty_handle() ? nullptr : &t);
  auto result = evaluate(op, in, outputs);
  EXPECT_FALSE(result.ok()) << "expected an error";
  return result.status();
}

template <class T>
std::vector<T> values(const Tensor& t) {
  EXPECT_EQ(t.dtype(), dtype_of<T>);
  return {t.values<T>().begin(), t.values<T>().end()};
}

/// The error of `op` on `inputs`; OK when there is none.
inline Status failure(const Op& op, const std::vector<Tensor>& inputs, int outputs = 1) {
  std::vector<const Tensor*> in;
  for (const Tensor& t : inputs) in.push_back(t.empty_handle() ? nullptr : &t);
  return to_status(evaluate(op, in, outputs));
}

/// Expects an error of this code whose text holds every word.
inline void expect_failure(const Status& status, Code code, const std::vector<std::string>& words) {
  EXPECT_EQ(status.code(), code) << status.message();
  for (const std::string& word : words)
    EXPECT_NE(status.message().find(word), std::string::npos) << "no '" << word << "' in: " << status.message();
}

/// A type as an operator sees it before anything is computed.
inline Type symbolic(DType dtype, DimList dims) { return Type::of(dtype, Shape(std::move(dims))); }

}  // namespace tenon::test
