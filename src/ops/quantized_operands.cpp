#include "ops/quantized_operands.h"

namespace tenon::ops {

namespace {

Status expect_one_of(const Types& in, int i, std::initializer_list<DType> allowed, const char* name) {
  std::string list;
  for (const DType d : allowed) {
    if (in[i].dtype == d) return {};
    list += (list.empty() ? "" : ", ") + std::string(name_of(d));
  }
  return shape_error(name, " has dtype ", name_of(in[i].dtype), ", expected ", allowed.size() > 1 ? "one of " : "", list);
}

}  // namespace

Status check_quantized_inputs(const Types& in, DType to, const char* const* names) {
  if (to != DType::kInt32 && to != DType::kFloat32 && to != DType::kInt8 && to != DType::kUint8) {
    return shape_error("the result has dtype ", name_of(to), ", expected one of int32, float32, int8, uint8");
  }
  const bool scaled = to != DType::kInt32, quantized = scaled && to != DType::kFloat32;
  const bool needed[kQuantizedInputs] = {true, scaled, false, true, scaled, false, quantized, false, false};
  const bool allowed[kQuantizedInputs] = {true, scaled, true, true, scaled, true, quantized, quantized, true};
  if (static_cast<int>(in.size()) > kQuantizedInputs)
    return shape_error("has ", in.size(), " inputs, expected at most ", +kQuantizedInputs);
  for (int i = 0; i < kQuantizedInputs; ++i) {
    if (needed[i] && !has(in, i)) return shape_error(names[i], " is left out, but it is required");
    if (!allowed[i] && has(in, i)) return shape_error(names[i], " is given, but results of dtype ", name_of(to), " have none");
  }
  for (const int i : {kA, kB}) TENON_TRY(expect_one_of(in, i, {DType::kInt8, DType::kUint8}, names[i]));
  for (const auto& [zero, dtype] : {std::pair{kAZero, in[kA].dtype}, std::pair{kBZero, in[kB].dtype}, std::pair{kYZero, to}}) {
    if (has(in, zero)) TENON_TRY(expect_one_of(in, zero, {dtype}, names[zero]));
  }
  if (!scaled) return {};
  TENON_TRY(expect_one_of(in, kAScale, {DType::kFloat32, DType::kFloat16, DType::kBFloat16}, names[kAScale]));
  for (const int i : {kBScale, kYScale}) {
    if (has(in, i)) TENON_TRY(expect_one_of(in, i, {in[kAScale].dtype}, names[i]));
  }
  return {};
}

Status expect_one_element(const Types& in, int i, const char* const* names) {
  if (!has(in, i) || !in[i].ranked()) return {};
  for (const Dim& d : in[i].shape.dims()) {
    if (d.is_const() && !d.is(1)) return shape_error(names[i], " has shape ", in[i].shape.str(), ", expected one element");
  }
  return {};
}

}  // namespace tenon::ops
