// Causal attention of whole documents, and its gradients: what training calls.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.h"

namespace farthing {

// Numbers of bf16 by token: those of token t begin at at[t * stride].
template <class T>
struct Tokens {
  T* at;
  size_t stride;
};

// One document with one kv head and the query heads that share it. `head` numbers lie between one
// query head and the next of q, out and their gradients: its width.
struct TrainAttend {
  size_t tokens, group, width, value_width;  // widths: multiples of 8
  float scale;
  size_t window;  // 0: none
  Tokens<const uint16_t> q, k, v;
  // Of each query head, `stats_head` floats apart: by token, the largest score times log2(e), and
  // `stats_sum` floats behind it the sum of 2^(score * log2(e) - largest).
  float* stats;
  size_t stats_head, stats_sum;
  uint8_t* scratch;  // aligned to 64; train_scratch bytes
};

struct TrainKernels {
  void (*attend)(const TrainAttend&, Tokens<uint16_t> out);
  void (*attend_back)(const TrainAttend&, Tokens<const uint16_t> out, Tokens<const uint16_t> grad,
                      Tokens<uint16_t> grad_q, Tokens<uint16_t> grad_k, Tokens<uint16_t> grad_v);
};

constexpr size_t kTrainQueries = 64;

// For a document of so many tokens, forward or back.
constexpr size_t train_scratch(size_t tokens, size_t width, size_t value_width) {
  const size_t both = round_up(width, 16) + round_up(value_width, 16);
  const size_t by_document = round_up(tokens, 16) * both * 6;
  const size_t by_block = kTrainQueries * (both * 10 + kTrainQueries * 12 + 64);
  return by_document + by_block + 4096;
}

// Null where the processor lacks what they are made of.
const TrainKernels* train_kernels();

}  // namespace farthing
