// Running a kernel test on every instruction set that this CPU and build have.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/dispatch.h"

namespace tenon::test {

/// Calls f() once a target, best first, with that target forced; failures name the target.
template <class F>
void for_each_target(F f) {
  int64_t targets[8];
  const int n = kernels::supported_targets(targets);
  ASSERT_GT(n, 0);
  for (int i = 0; i < n; ++i) {
    kernels::force_target(targets[i]);
    SCOPED_TRACE(std::string("target ") + hwy::TargetName(targets[i]));
    f();
  }
  kernels::force_target(0);
}

}  // namespace tenon::test
