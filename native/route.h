// Which experts a token goes to. See farthing/ops/mixture.py.
#pragma once

#include <vector>

#include "kernels.h"

namespace farthing {

enum class Score : uint8_t { kSoftmax, kSoftmaxChosen, kSigmoid };

struct Router {
  size_t experts, top_k;
  Score score;
  bool normalise;
  float scale;
  size_t groups, top_groups;
  bool by_two;                    // a group counts for its best two, not its best
  std::vector<float> correction;  // [experts], or none
};

constexpr size_t kMostExperts = 4096;

// Floats that `route` needs besides.
size_t route_scratch(const Router& router);

// logits [experts up to 16] -> ids [top_k], ascending, and their weights. Always gives ids within
// range, whatever the logits are. `given` are ids to take instead, ascending, or null.
void route(const Kernels& k, const Router& router, const float* logits, const int32_t* given,
           float* scratch, int32_t* ids, float* weights);

}  // namespace farthing
