// Raised with any change of bits. Caches on disk and measured losses are keyed by it.
#pragma once

namespace farthing {
constexpr int kNumerics = 3;
}  // namespace farthing
