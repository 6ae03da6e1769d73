// A worker's part in attention: pieces of a step, and the merge of pieces that are spans.
#include <algorithm>
#include <cstring>

#include "worker.h"

namespace farthing {

void Worker::attend(const Attend& op) {
  Counter& next = counter();
  const size_t total = program_.pieces_.size() * op.kv_heads;
  for (size_t u = next.take(); u < total; u = next.take())
    attend_piece(op, u / op.kv_heads, u % op.kv_heads);
}

uint16_t* Worker::page_of(size_t layer, size_t segment, size_t page, size_t head) const {
  const int32_t* table = step_->tables + segment * step_->table_width;
  return reinterpret_cast<uint16_t*>(
      program_.cache_ + static_cast<size_t>(table[page]) * program_.page_bytes_ +
      program_.layer_offset_[layer] + (program_.latent_ ? 0 : head * program_.tile_bytes(layer)));
}

void Worker::write_kv(const Attend& op, size_t token, size_t head) {
  const size_t segment = segment_of(token);
  const auto position = static_cast<size_t>(position_of(token, segment));
  uint16_t* keys = page_of(op.layer, segment, position / kPage, head);
  const size_t place = position % kPage;
  const float* k = floats(op.k, token) + head * op.width;
  const float* v = floats(op.v, token) + head * op.value_width;
  if (program_.coded()) {
    write_coded_keys(op, k, head, place, reinterpret_cast<uint8_t*>(keys));
    write_coded_values(op, v, place, reinterpret_cast<uint8_t*>(keys));
    return;
  }
  k_.write_k(k, op.width, place, keys);
  k_.write_v(v, op.value_width, place, keys + op.width * kPage);
}

void Worker::attend_piece(const Attend& op, size_t index, size_t head) {
  const auto& piece = program_.pieces_[index];
  const size_t group = op.heads / op.kv_heads, pairs = op.width / 2;
  const auto first = static_cast<size_t>(position_of(piece.token0, piece.segment));
  if (writes_in_attention_ && !op.latent)
    for (size_t t = piece.token0; t < piece.token1; ++t) {
      const size_t span = (first + t - piece.token0) / kSpan;
      if (span >= piece.span0 && span < piece.span1) write_kv(op, t, head);
    }
  const size_t pages = (first + piece.token1 - piece.token0 + kPage - 1) / kPage;
  const size_t end = std::min(pages, piece.span1 * kPagesInSpan);
  for (size_t p = piece.span0 * kPagesInSpan; p < end && !program_.coded(); ++p)
    page_pointers_[p] = page_of(op.layer, piece.segment, p, head);

  AttendTask task{};
  task.rows = (piece.token1 - piece.token0) * group;
  for (size_t r = 0; r < task.rows; ++r) {
    const float* q = floats(op.q, piece.token0 + r / group) + (head * group + r % group) * op.width;
    if (program_.coded() && !op.latent) {
      k_.turn(q, program_.turn_.data(), program_.turn_width_, op.width, turned_.data());
      q = turned_.data();
    }
    k_.to_bf16(q, op.width, reinterpret_cast<uint16_t*>(queries_.data() + r * pairs));
  }
  task.q = queries_.data();
  task.group = group;
  task.head_width = op.width;
  task.value_width = op.value_width;
  task.scale = op.scale;
  task.first_position = static_cast<int32_t>(first);
  task.window = static_cast<int32_t>(op.window);
  task.pages = page_pointers_.data();
  task.span0 = piece.span0;
  task.span1 = piece.span1;
  task.scratch = reinterpret_cast<float*>(attend_scratch_.get());
  const bool merged = piece.group != SIZE_MAX;
  task.state = merged ? program_.partial(index, head) : state_.data();
  if (program_.coded())
    attend_coded(op, piece, head, task);
  else
    (op.latent ? k_.attend_latent : k_.attend)(task);
  if (merged) {
    const auto& spans = program_.groups_[piece.group];
    auto& left = program_.remaining_[piece.group * op.kv_heads + head];
    // Whoever finishes last merges, and leaves the count ready for the next layer.
    if (left.fetch_add(1, std::memory_order_acq_rel) + 1 < spans.count) return;
    left.store(0, std::memory_order_relaxed);
    attend_merge(op, piece.group, head);
    return;
  }
  attend_finish(op, piece, head, state_.data());
}

void Worker::attend_finish(const Attend& op, const Program::Piece& piece, size_t head,
                           const float* state) {
  const size_t group = op.heads / op.kv_heads, rows = (piece.token1 - piece.token0) * group;
  for (size_t r = 0; r < rows; ++r) {
    const size_t h = head * group + r % group;
    float* out = floats(op.out, piece.token0 + r / group) + h * op.value_width;
    k_.attend_finish(op.value_width, state + r * attend_state(op.value_width),
                     op.sinks.empty() ? nullptr : op.sinks.data() + h, out);
    if (program_.coded() && !op.latent) turn_back(op.value_width, out);
  }
}

void Worker::attend_merge(const Attend& op, size_t index, size_t head) {
  const auto& spans = program_.groups_[index];
  const auto& piece = program_.pieces_[spans.first];
  const size_t group = op.heads / op.kv_heads, rows = (piece.token1 - piece.token0) * group;
  float* total = program_.partial(spans.first, head);
  for (size_t i = 1; i < spans.count; ++i)
    k_.attend_merge(rows, op.value_width, total, program_.partial(spans.first + i, head));
  attend_finish(op, piece, head, total);
}

}  // namespace farthing
