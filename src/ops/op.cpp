#include "ops/op.h"

#include "ops/shape_arithmetic.h"

namespace tenon {

namespace {
template <class T>
constexpr std::string_view kName = "";
#define OP(Name, stem) \
  template <>          \
  constexpr std::string_view kName<ops::Name> = #Name;
#include "ops/generated/ops.inc"
#undef OP
}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return kName<std::remove_cvref_t<decltype(o)>>; }, op);
}

namespace {
template <class O>
Status check_structures(const Types& in) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].is_tensor()) continue;
    if constexpr (requires { O::takes_any_structure(0); }) {
      if (O::takes_any_structure(static_cast<int>(i))) continue;
    }
    return shape_error("input ", i, " is ", in[i].str(), ", expected a tensor");
  }
  return {};
}
}  // namespace

Result<Types> infer(const Op& op, const Types& in) {
  TENON_ASSIGN(Types out, std::visit(
                              [&](const auto& o) -> Result<Types> {
                                using O = std::remove_cvref_t<decltype(o)>;
                                if constexpr (std::is_same_v<O, std::monostate>) {
                                  return error(Code::kInternal, "empty operator");
                                } else {
                                  TENON_TRY(check_structures<O>(in));
                                  return ops::infer(o, in);
                                }
                              },
                              op));
  propagate_contents(op, in, out);
  return out;
}

Result<Step> bind(const Op& op, const BindContext& ctx) {
  return std::visit(
      [&](const auto& o) -> Result<Step> {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(o)>, std::monostate>) {
          return error(Code::kInternal, "empty operator");
        } else {
          return ops::bind(o, ctx);
        }
      },
      op);
}

}  // namespace tenon
