#include "ops/regions.h"

namespace tenon::ops {

std::vector<int> regions_of(const Op& op) {
  if (const auto* o = std::get_if<If>(&op)) return {o->then_region, o->else_region};
  if (const auto* o = std::get_if<Loop>(&op)) return {o->body};
  if (const auto* o = std::get_if<Scan>(&op)) return {o->body};
  return {};
}

}  // namespace tenon::ops
