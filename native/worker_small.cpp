// A worker's small ops: each concerns one token at a time and reads no weights but an embedding's.
#include <cstring>

#include "angles.h"
#include "embed.h"
#include "worker.h"

namespace farthing {

void Worker::operator()(const Embed& op, Range range) {
  const Weight& w = program_.weights_[op.table];
  for (size_t t = range.begin; t < range.end; ++t)
    embed_row(w, static_cast<size_t>(step_->tokens[t]), floats(op.out, t));
}

void Worker::operator()(const Angles& op, Range range) {
  size_t segment = segment_of(range.begin);
  for (size_t t = range.begin; t < range.end; ++t) {
    while (t >= static_cast<size_t>(step_->starts[segment + 1])) ++segment;
    angles_of(op.frequencies.data(), op.frequencies.size(), position_of(t, segment), op.magnitude,
              floats(op.out, t));
  }
}

void Worker::operator()(const Norm& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    k_.rms_norm(floats(op.in, t), op.weight.data(), op.heads, op.width, op.eps, floats(op.out, t));
}

void Worker::operator()(const Quantize& op, Range range) {
  const size_t k = round_up(op.width, kGroup), bytes = rounded_bytes(op.rounding, op.width);
  for (size_t t = range.begin; t < range.end; ++t)
    for (size_t h = 0; h < op.heads; ++h) {
      const float* x = floats(op.in, t) + h * op.width;
      uint8_t* out = row(op.out, t) + h * bytes;
      if (op.rounding == Rounding::kInt8)
        k_.quantize_q8(x, op.width, 0, k, out);
      else if (op.rounding == Rounding::kInt16)
        k_.quantize_q16(x, op.width, 0, k, out);
      else
        k_.to_bf16(x, op.width, reinterpret_cast<uint16_t*>(out));
    }
}

void Worker::operator()(const Rope& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    k_.rope(floats(op.in, t), floats(op.angles, t), op.heads, op.width, op.rotary, op.interleaved,
            floats(op.out, t));
}

void Worker::operator()(const SiluMul& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    k_.silu_mul(floats(op.gate, t), floats(op.up, t), op.width, floats(op.out, t));
}

void Worker::operator()(const Scale& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    k_.scale(floats(op.in, t), op.factor, op.width, floats(op.out, t));
}

void Worker::operator()(const Slice& op, Range range) {
  const size_t width = op.end - op.begin;
  for (size_t t = range.begin; t < range.end; ++t)
    for (size_t h = 0; h < op.heads; ++h)
      std::memcpy(floats(op.out, t) + h * width, floats(op.in, t) + h * op.width + op.begin,
                  width * sizeof(float));
}

void Worker::operator()(const Join& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    for (size_t h = 0; h < op.heads; ++h) {
      float* out = floats(op.out, t) + h * (op.x_width + op.y_width);
      std::memcpy(out, floats(op.x, t) + h * op.x_width, op.x_width * sizeof(float));
      std::memcpy(out + op.x_width, floats(op.y, t) + h * op.y_width, op.y_width * sizeof(float));
    }
}

void Worker::operator()(const Route& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t) {
    float* out = floats(op.out, t);
    const int32_t* given = step_->routes;
    if (given) given += (op.index * step_->token_count + t) * op.router.top_k;
    route(k_, op.router, floats(op.logits, t), given, router_scratch_.data(),
          reinterpret_cast<int32_t*>(out), out + op.router.top_k);
  }
}

void Worker::operator()(const Keep& op, Range range) {
  if (!mine()) return;
  for (size_t t = range.begin; t < range.end; ++t) {
    const size_t segment = segment_of(t);
    const auto position = static_cast<size_t>(position_of(t, segment));
    uint16_t* keys = page_of(op.layer, segment, position / kPage, 0);
    if (program_.coded())
      k_.write_coded(floats(op.in, t), op.width, program_.key_form_, position % kPage,
                     reinterpret_cast<uint8_t*>(keys));
    else
      k_.write_k(floats(op.in, t), op.width, position % kPage, keys);
  }
}

void Worker::operator()(const Tap& op, Range range) {
  if (!step_->taps || !mine()) return;
  for (size_t t = range.begin; t < range.end; ++t)
    std::memcpy(step_->taps + (op.index * step_->token_count + t) * step_->tap_width,
                floats(op.in, t), op.width * sizeof(float));
}

void Worker::operator()(const Add& op, Range range) {
  for (size_t t = range.begin; t < range.end; ++t)
    k_.add(floats(op.x, t), floats(op.y, t), op.width, floats(op.out, t));
}

void Worker::operator()(const Rows& op, Range range) {
  for (size_t r = range.begin; r < range.end; ++r)
    std::memcpy(floats(op.out, r), floats(op.in, static_cast<size_t>(step_->rows[r])),
                op.width * sizeof(float));
}

void Worker::operator()(const Attend& op, Range range) {
  if (op.latent) return;
  for (size_t t = range.begin; t < range.end; ++t)
    for (size_t h = 0; h < op.kv_heads; ++h) write_kv(op, t, h);
}

void Worker::operator()(const Logits&, Range) {}

void Worker::operator()(const Experts&, Range) {}

}  // namespace farthing
