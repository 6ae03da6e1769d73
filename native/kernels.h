// The kernels, as one table for each instruction set. This file is the contract; what each must
// return is in farthing/ops/reference.py.
//
// Layouts. Packed weights: farthing/weight.py. A row of activations is a slot row; after
// quantize_q8 it is, with k rounded up to 32 and G = k / 32,
//   int8 codes[k] | float scale[G] | float scaled_sum[G] | int32 negated_sum[G], negated_half[2G]
// after quantize_q16 the high bytes of the codes, the low ones, and the same behind them; after
// to_bf16 it is uint16 [k]. KV page of one kv head: K [d/2][64][2], V [32][d up to
// 16][2]. Rows of floats are padded to 16 lanes with zeros, so that no kernel needs a tail.
#pragma once

#include <cstddef>
#include <cstdint>

#include "train_rows.h"

namespace farthing {

constexpr size_t kRows = 16, kGroup = 32, kPage = 64, kSpan = 512, kPagesInSpan = kSpan / kPage;

constexpr size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// How weights are packed: the order is that of form_index in program.h.
enum class Form : uint8_t {
  kInt4,             // fp16 scale
  kInt4Min,          // fp16 scale and minimum
  kInt4TwoLevelMin,  // Q4_K
  kInt8,
  kInt8Min,
  kInt8TwoLevelMin,  // Q5_K
  kInt8TwoLevel16,   // Q6_K: groups of 16, signed sub-scales
  kInt4F32,          // fp32 scale
  kInt4F32Min,
  kInt8F32,
  kInt8F32Min,
  kBf16,
  kInt4E2m1,  // signed fp4 by a table; a power of two as scale
  kInt4Zero,  // fp16 scale, and the code that means nothing, as fp16
  kInt8Zero,
  kForms
};

// y[t][n] = sum over k of x[t][k] * w[n][k], for row blocks block0..block1 and all tokens.
struct LinearTask {
  const uint8_t* weights;  // first block of the matrix
  size_t block_bytes, k, group;
  const uint8_t* x;  // rows of activations
  size_t x_stride;   // bytes
  size_t tokens;
  float* y;
  size_t y_stride;        // floats
  const float* bias;      // [rows up to 16] or null
  const float* residual;  // rows like y, added last; or null
  size_t residual_stride;
  const uint32_t *x_rows, *y_rows;  // where token t's rows stand; null: at t
  const float* factors;             // by token: y gains so many times the product; or null
  size_t block0, block1;
  const uint8_t* after;  // what will be read next, or null
};

// Keys or values of fewer bits than bf16, of a page's tokens. Each token has a row of codes, 32
// numbers after 32: 8 bits less 128; 4 bits, the first 16 as low nibbles, the others as high ones;
// 5 bits, those and the fifth ones as two masks. Then fp16 scales [groups][kPage], and minima where
// there are any. A number is scale * (code - middle), or scale * code + minimum.
struct CodedForm {
  size_t bits, group;
  bool minimum;
  size_t groups(size_t width) const { return (width + group - 1) / group; }
  size_t row_bytes(size_t width) const { return width * bits / 8; }
  size_t tile_bytes(size_t width) const {
    return round_up(kPage * (row_bytes(width) + groups(width) * (minimum ? 4 : 2)), 64);
  }
};
constexpr size_t kCodedGroups = 32;  // at most; so a head has at most 1,024 numbers

// Query rows of one sequence and one kv head: row r is token r / group, head r % group.
struct AttendTask {
  const uint32_t* q;  // [rows][d/2] bf16 pairs
  size_t rows, group;
  size_t head_width, value_width;
  float scale;
  int32_t first_position;        // of the token of row 0
  int32_t window;                // 0: none
  const uint16_t* const* pages;  // by page of the sequence: K of this kv head, V behind it
  size_t span0, span1;
  float* state;    // [rows][attend_state]: running output, maximum, sum; merged over the spans
  bool more;       // the state holds spans before these
  float* scratch;  // aligned to 64; kAttendScratch bytes, or latent_scratch(rows)
};
constexpr size_t attend_state(size_t value_width) { return round_up(value_width, 16) + 16; }
constexpr size_t kAttendScratch = 8 * kSpan * 6 + 8 * 16 * 4;
// Scores of a tile, one strip of values, and for each row its weights and what a span gave.
constexpr size_t kStrip = 64;
constexpr size_t latent_scratch(size_t rows, size_t value_width) {
  return 8 * kSpan * 4 + kSpan * kStrip * 2 + rows * (kSpan * 2 + attend_state(value_width) * 4);
}

constexpr size_t q8_bytes(size_t k) { return round_up(k + k / kGroup * 20, 64); }
constexpr size_t q16_bytes(size_t k) { return round_up(2 * k + k / kGroup * 20, 64); }

struct Kernels {
  const char* isa;
  void (*linear[static_cast<size_t>(Form::kForms)])(const LinearTask&);
  // The same on rows of quantize_q16; of bf16 weights, on rows of to_bf16 again.
  void (*linear_q16[static_cast<size_t>(Form::kForms)])(const LinearTask&);
  // Of bf16 weights, on rows of floats.
  void (*linear_f32)(const LinearTask&);
  // The columns from `column` on, a multiple of 32, of a row of k.
  void (*quantize_q8)(const float* x, size_t width, size_t column, size_t k, uint8_t* out);
  void (*quantize_q16)(const float* x, size_t width, size_t column, size_t k, uint8_t* out);
  void (*to_bf16)(const float* x, size_t width, uint16_t* out);
  void (*rms_norm)(const float* x, const float* weight, size_t heads, size_t width, float eps,
                   float* y);
  // cos | sin of the rotary width / 2 angles; pairs (i, i + rotary / 2), or neighbours.
  void (*rope)(const float* x, const float* angles, size_t heads, size_t width, size_t rotary,
               bool interleaved, float* y);
  void (*silu_mul)(const float* gate, const float* up, size_t width, float* y);
  // (up + shift) * gate * sigmoid(sharpness * gate), gate at most `limit`, up within it.
  void (*gated)(const float* gate, const float* up, size_t width, float sharpness, float shift,
                float limit, float* y);
  void (*sigmoid)(const float* x, size_t n, float* y);  // n up to 16 is read and written
  void (*add)(const float* x, const float* y, size_t width, float* out);
  void (*scale)(const float* x, float factor, size_t width, float* out);
  // One token's k, or v, of one kv head into its page's part for it.
  void (*write_k)(const float* k, size_t width, size_t place, uint16_t* keys);
  void (*write_v)(const float* v, size_t width, size_t place, uint16_t* values);
  // The same of fewer bits; and the first tokens of a page, a multiple of 16, as K or V of bf16.
  void (*write_coded)(const float* x, size_t width, const CodedForm& form, size_t place,
                      uint8_t* tile);
  // Rounds the last number first, and what its rounding did wrong is taken out of those before it,
  // times a matrix [width][width] of which what is below the diagonal counts.
  void (*write_fed)(const float* x, size_t width, const CodedForm& form, const float* feedback,
                    size_t place, uint8_t* tile);
  void (*read_keys)(const uint8_t* tile, size_t width, const CodedForm& form, size_t tokens,
                    uint16_t* keys);
  void (*read_values)(const uint8_t* tile, size_t width, const CodedForm& form, size_t tokens,
                      uint16_t* values);
  // Each `block` numbers of x times a matrix [block][block].
  void (*turn)(const float* x, const float* matrix, size_t block, size_t width, float* y);
  void (*attend)(const AttendTask&);
  // Pages hold K alone; the first value_width of its numbers, a multiple of 16, are V.
  void (*attend_latent)(const AttendTask&);
  // Merges b into a (in order of spans); a row's state to its output. A sink is a logit that takes
  // weight and gives nothing, or null.
  void (*attend_merge)(size_t rows, size_t width, float* a, const float* b);
  void (*attend_finish)(size_t width, const float* state, const float* sink, float* out);
  float (*largest)(const float* x, size_t n);
  // The sum over n of exp(x[i] - top); n is padded to 16 with any values, which are left out.
  float (*sum_exp)(const float* x, size_t n, float top);
  void (*exps)(const float* x, size_t n, float top, float scale, float* y);
  // Indices of values at or above the floor, ascending, at most `room` of them; returns how many
  // there are.
  size_t (*at_or_above)(const float* x, size_t n, float floor, int32_t* where, size_t room);
  TrainRows train_rows;
};

// All that were compiled in, best first, and what this processor lacks for one (null: it runs).
struct Compiled {
  const Kernels* kernels;
  const char* missing;
};
const Compiled* compiled(size_t* count);

}  // namespace farthing
