// SPDX-License-Identifier: MIT
#include "lowbit/transform.hpp"

#include "lowbit/hadamard.hpp"

namespace lowbit {

void Transform::fit(const MatrixView&, const MatrixView&) {}
void Transform::check(std::size_t) const {}

std::shared_ptr<const Transform> find_transform(std::string_view name) {
  if (name == hadamard()->name()) return hadamard();
  return nullptr;
}

}  // namespace lowbit
