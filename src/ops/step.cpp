#include "ops/step.h"

namespace tenon {

// Here, so that each of the many places that hand a step on only calls them.
Step::Step() = default;
Step::Step(const Step&) = default;
Step::Step(Step&&) noexcept = default;
Step& Step::operator=(const Step&) = default;
Step& Step::operator=(Step&&) noexcept = default;
Step::~Step() = default;

}  // namespace tenon
