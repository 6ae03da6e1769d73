#include "sample.h"

#include <algorithm>
#include <cmath>

namespace farthing {
namespace {

// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
uint64_t mix(uint64_t x) {
  uint64_t z = x + 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

// ln(x) of a normal x > 0, by arithmetic alone: libm's bits differ from machine to machine.
// x = m * 2^e, m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m - 1) / (m + 1)).
double logarithm(double x) {
  uint64_t bits;
  __builtin_memcpy(&bits, &x, 8);
  int exponent = static_cast<int>(bits >> 52 & 2047) - 1023;
  bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u;
  double m;
  __builtin_memcpy(&m, &bits, 8);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double r = (m - 1.0) / (m + 1.0), rr = r * r;
  double tail = 0.0;
  for (int k = 19; k >= 1; k -= 2) tail = tail * rr + 1.0 / k;
  return 2.0 * r * tail + exponent * 0.6931471805599453;
}

// No noise is larger: u is at most 1 - 2^-25.
constexpr float kMostNoise = 17.4f;

uint64_t key_of(uint64_t seed, uint32_t choice) { return mix(seed ^ choice * 0x9E3779B97F4A7C15u); }

// 24 bits, of which a token's noise is made.
uint32_t bits_of(uint64_t key, int32_t position, int32_t id) {
  const uint64_t place =
      static_cast<uint64_t>(static_cast<uint32_t>(position)) << 32 | static_cast<uint32_t>(id);
  return static_cast<uint32_t>(mix(key ^ place) >> 40);
}

float noise(uint32_t bits) {
  const double u = (static_cast<double>(bits) + 0.5) * 0x1p-24;
  return static_cast<float>(-logarithm(-logarithm(u)));
}

// No less than the noise, at a tenth of its cost: -ln(-ln u) <= -ln(1 - u), and 1 - u is at least
// 2^-25 times the power of two that 2^24 - bits reaches. A little more, for the rounding.
float noise_at_most(uint32_t bits) {
  const int power = 31 - __builtin_clz((1u << 24) - bits);
  return static_cast<float>(25 - power) * 0.6931472f + 1e-4f;
}

// Colder than this is greedy: scores would lose their noise to rounding, or overflow.
constexpr float kColdest = 1e-5f;

bool likelier(const Candidate& a, const Candidate& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

void adjust(const Sampling& s, float* logits) {
  for (size_t i = 0; i < s.adjustments; ++i) {
    float& l = logits[s.ids[i]];
    l += s.bias[i];
    if (s.seen[i] && s.repetition != 1.f) l = l > 0.f ? l / s.repetition : l * s.repetition;
    if (s.counts[i] > 0) l -= s.presence + s.frequency * static_cast<float>(s.counts[i]);
    // Minus infinity bans a token; a finite floor keeps the kernels free of NaN.
    l = std::max(l, -1e30f);
  }
}

struct Row {
  const Kernels& kernels;
  const float* logits;
  size_t vocabulary;
  float top;
  Scratch& scratch;

  void collect(float floor) const {
    const size_t found =
        std::min(vocabulary,
                 kernels.at_or_above(logits, vocabulary, floor, scratch.where.data(), vocabulary));
    scratch.candidates.clear();
    for (size_t i = 0; i < found; ++i)
      scratch.candidates.emplace_back(logits[scratch.where[i]], scratch.where[i]);
  }

  // The k likeliest, in order: looks further below the top until there are enough.
  void likeliest(size_t k) const {
    for (float reach = 4.f;; reach *= 4.f) {
      collect(reach > 1e6f ? -INFINITY : top - reach);
      if (scratch.candidates.size() >= k || reach > 1e6f) break;
    }
    auto& c = scratch.candidates;
    const size_t n = std::min(k, c.size());
    std::partial_sort(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(n), c.end(), likelier);
    c.resize(n);
  }

  double weight(float logit, float temperature) const {
    alignas(64) float lanes[16] = {logit};
    kernels.exps(lanes, 16, top, 1.f / temperature, lanes);
    return lanes[0];
  }

  // Leaves the smallest set of likeliest candidates whose weight reaches p of all.
  void nucleus(float p, float temperature, bool all) const {
    auto& c = scratch.candidates;
    double total = 0.0;
    if (all) {
      for (size_t at = 0; at < vocabulary; at += 1024) {
        alignas(64) float lanes[1024];
        const size_t n = std::min<size_t>(1024, vocabulary - at);
        kernels.exps(logits + at, n, top, 1.f / temperature, lanes);
        for (size_t i = 0; i < n; ++i) total += lanes[i];
      }
    } else {
      for (const auto& [logit, id] : c) total += weight(logit, temperature);
    }
    for (float reach = 4.f * temperature;; reach *= 2.f) {
      const bool last = !all || reach > 1e6f;
      if (all) {
        collect(last ? -INFINITY : top - reach);
        std::sort(c.begin(), c.end(), likelier);
      }
      double reached = 0.0;
      for (size_t i = 0; i < c.size(); ++i) {
        reached += weight(c[i].first, temperature);
        if (reached >= p * total) {
          c.resize(i + 1);
          return;
        }
      }
      if (last) return;
    }
  }
};

int32_t draw(const Row& row, const Sampling& s) {
  auto& c = row.scratch.candidates;
  const bool ranked = s.top_k > 0 && static_cast<size_t>(s.top_k) < row.vocabulary;
  if (ranked) row.likeliest(static_cast<size_t>(s.top_k));
  if (s.top_p < 1.f) row.nucleus(s.top_p, s.temperature, !ranked);
  const uint64_t key = key_of(s.seed, s.choice);
  float best = -INFINITY;
  int32_t chosen = 0;
  if (!ranked && s.top_p >= 1.f) {
    // Only tokens that noise can lift above the likeliest one's score.
    row.collect(row.top);
    if (c.empty()) return 0;
    chosen = c.front().second;
    best = row.top / s.temperature + noise(bits_of(key, s.position, chosen));
    // Scores are rounded, so the floor lies a little lower.
    const float floor = (best - kMostNoise) * s.temperature - std::abs(row.top) * 1e-6f;
    row.collect(std::min(row.top, floor));
  }
  if (c.empty()) return 0;  // logits that are all NaN: some token, and no harm
  if (best == -INFINITY) chosen = c.front().second;
  for (const auto& [logit, id] : c) {
    const float quiet = logit / s.temperature;
    const uint32_t bits = bits_of(key, s.position, id);
    if (quiet + noise_at_most(bits) < best) continue;
    if (s.min_p > 0.f && row.weight(logit, s.temperature) < s.min_p) continue;
    const float score = quiet + noise(bits);
    if (score > best || (score == best && id < chosen)) {
      best = score;
      chosen = id;
    }
  }
  return chosen;
}

}  // namespace

float gumbel(uint64_t seed, uint32_t choice, int32_t position, int32_t id) {
  return noise(bits_of(key_of(seed, choice), position, id));
}

Choice sample(const Kernels& kernels, const Sampling& s, float* logits, size_t vocabulary,
              Scratch& scratch, int32_t* top_ids, float* top_logprobs) {
  adjust(s, logits);
  const Row row{kernels, logits, vocabulary, kernels.largest(logits, vocabulary), scratch};
  Choice choice{0, 0.f};
  if (s.temperature >= kColdest)
    choice.id = draw(row, s);
  else
    kernels.at_or_above(logits, vocabulary, row.top, &choice.id, 1);
  if (s.logprobs < 0) return choice;
  const double total = logarithm(kernels.sum_exp(logits, vocabulary, row.top)) + row.top;
  choice.logprob = static_cast<float>(logits[choice.id] - total);
  if (s.logprobs > 0) {
    row.likeliest(static_cast<size_t>(s.logprobs));
    for (const auto& [logit, id] : scratch.candidates) {
      *top_ids++ = id;
      *top_logprobs++ = static_cast<float>(logit - total);
    }
  }
  return choice;
}

}  // namespace farthing
