// Chooses the token after one row of logits. Gumbel-max: the noise is a function of (seed, choice,
// position, token id), so a choice is the same whoever computes it, and whenever.
#pragma once

#include <utility>
#include <vector>

#include "kernels.h"

namespace farthing {

// One row of engine/types.py's RowSampling.
struct Sampling {
  float temperature, top_p, min_p, repetition, presence, frequency;
  int32_t top_k, position, logprobs;
  uint64_t seed;
  uint32_t choice;
  size_t adjustments;
  const int32_t* ids;
  const float* bias;
  const int32_t* counts;
  const uint8_t* seen;
};

using Candidate = std::pair<float, int32_t>;

struct Scratch {
  std::vector<int32_t> where;
  std::vector<Candidate> candidates;
  explicit Scratch(size_t vocabulary) : where(vocabulary) { candidates.reserve(vocabulary); }
};

struct Choice {
  int32_t id;
  float logprob;  // before temperature, after bias and penalties; 0 where not asked for
};

// Changes the logits in place (bias, penalties). Writes s.logprobs entries to top_ids and
// top_logprobs, likeliest first, where s.logprobs > 0.
Choice sample(const Kernels& kernels, const Sampling& s, float* logits, size_t vocabulary,
              Scratch& scratch, int32_t* top_ids, float* top_logprobs);

// -log(-log(u)), u in (0, 1) from the four keys.
float gumbel(uint64_t seed, uint32_t choice, int32_t position, int32_t id);

}  // namespace farthing
