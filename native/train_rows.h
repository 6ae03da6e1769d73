// What a training step does to rows of bf16, with fp32 arithmetic: a table for each instruction
// set. Rows lie end to end. What each must return: tests/native/test_train_rows.py.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farthing {

struct TrainRows {
  // exp(logit - the largest) of n logits and their sum; exps has room for n up to 16.
  void (*logit_exps)(const uint16_t* logits, size_t n, float* exps, float* top, float* total);
  // (probability - 1 where it is the target, else probability) * learned.
  void (*logit_slopes)(const float* exps, size_t n, float total, size_t target, float learned,
                       uint16_t* slopes);
  void (*add)(const uint16_t* x, size_t n, float* sums);
  // Of the `count` largest of n, which come first where equal; room for n up to 16 floats.
  void (*largest_ids)(const float* x, size_t n, size_t count, float* room, int64_t* ids);
  // inverse [rows]: one over each row's root mean square.
  void (*norm)(const uint16_t* x, const float* weight, size_t rows, size_t width, float eps,
               uint16_t* y, float* inverse);
  // Adds to grad_weight, which has `width` up to 16 floats.
  void (*norm_back)(const uint16_t* grad, const uint16_t* x, const float* inverse,
                    const float* weight, size_t rows, size_t width, uint16_t* grad_x,
                    float* grad_weight);
  // One token's heads; pairs (i, i + half), or neighbours. A sign of -1 turns back.
  void (*turn)(const uint16_t* x, const float* cosine, const float* sine, float sign, size_t heads,
               size_t width, size_t half, bool interleaved, uint16_t* y);
  // gate * sigmoid(gate) * up * by_row, which may be null: all ones.
  void (*gated)(const uint16_t* gate, const uint16_t* up, const float* by_row, size_t rows,
                size_t width, uint16_t* y);
  // Its gradients; those of by_row are sums over a row. Null where by_row is. May be in place.
  void (*gated_back)(const uint16_t* grad, const uint16_t* gate, const uint16_t* up,
                     const float* by_row, size_t rows, size_t width, uint16_t* grad_gate,
                     uint16_t* grad_up, float* grad_by_row);
};

}  // namespace farthing
