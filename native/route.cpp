#include "route.h"

#include <algorithm>
#include <cmath>

namespace farthing {
namespace {

void softmax(const Kernels& k, const float* x, size_t n, float* y) {
  const float top = k.largest(x, n), total = k.sum_exp(x, n, top);
  k.exps(x, n, top, 1.f, y);
  for (size_t i = 0; i < n; ++i) y[i] /= total;
}

// The indices of the n largest of `count` values, best first; of equal ones the lowest.
void best(const float* values, size_t count, size_t n, int32_t* where) {
  size_t held = 0;
  for (size_t i = 0; i < count; ++i) {
    if (held == n && !(values[i] > values[where[n - 1]])) continue;
    size_t at = held < n ? held++ : n - 1;
    for (; at > 0 && values[i] > values[where[at - 1]]; --at) where[at] = where[at - 1];
    where[at] = static_cast<int32_t>(i);
  }
}

float worth(const Router& r, const float* values, size_t count) {
  float first = -INFINITY, second = -INFINITY;
  for (size_t i = 0; i < count; ++i) {
    if (values[i] > first) {
      second = first;
      first = values[i];
    } else if (values[i] > second) {
      second = values[i];
    }
  }
  return r.by_two ? first + second : first;
}

// Experts outside the best groups can't be chosen.
void keep_groups(const Router& r, float* choice, float* scratch) {
  const size_t size = r.experts / r.groups;
  int32_t* kept = reinterpret_cast<int32_t*>(scratch + round_up(r.experts, 16));
  for (size_t g = 0; g < r.groups; ++g) scratch[g] = worth(r, choice + g * size, size);
  best(scratch, r.groups, r.top_groups, kept);
  for (size_t g = 0; g < r.groups; ++g) {
    if (std::find(kept, kept + r.top_groups, static_cast<int32_t>(g)) != kept + r.top_groups)
      continue;
    std::fill_n(choice + g * size, size, -INFINITY);
  }
}

void choose(const Router& r, const float* scores, float* choice, float* rest, int32_t* ids) {
  std::copy_n(scores, r.experts, choice);
  for (size_t e = 0; e < r.correction.size(); ++e) choice[e] += r.correction[e];
  if (r.top_groups < r.groups) keep_groups(r, choice, rest);
  best(choice, r.experts, r.top_k, ids);
  std::sort(ids, ids + r.top_k);
}

}  // namespace

size_t route_scratch(const Router& r) { return 4 * round_up(r.experts, 16); }

void route(const Kernels& k, const Router& r, const float* logits, const int32_t* given,
           float* scratch, int32_t* ids, float* weights) {
  float* scores = scratch;
  float* choice = scores + round_up(r.experts, 16);
  float* rest = choice + round_up(r.experts, 16);
  if (r.score == Score::kSoftmax)
    softmax(k, logits, r.experts, scores);
  else if (r.score == Score::kSigmoid)
    k.sigmoid(logits, r.experts, scores);
  else
    std::copy_n(logits, r.experts, scores);
  if (given)
    std::copy_n(given, r.top_k, ids);
  else
    choose(r, scores, choice, rest, ids);
  for (size_t i = 0; i < r.top_k; ++i) rest[i] = scores[ids[i]];
  if (r.score == Score::kSoftmaxChosen) softmax(k, rest, r.top_k, rest);
  float total = 0.f;
  for (size_t i = 0; i < r.top_k; ++i) total += rest[i];
  const float divisor = r.normalise ? total + 1e-20f : 1.f;
  for (size_t i = 0; i < r.top_k; ++i) weights[i] = rest[i] / divisor * r.scale;
}

}  // namespace farthing
