// A worker's part in a cache of fewer bits than bf16: what it writes, and the spans it unpacks.
#include <algorithm>

#include "worker.h"

namespace farthing {

void Worker::write_coded_keys(const Attend& op, const float* k, size_t head, size_t place,
                              uint8_t* tile) {
  const size_t width = op.width;
  float* turned = turned_.data();
  if (!op.latent) {
    if (!op.shift.empty()) {
      k_.add(k, op.shift.data() + head * width, width, turned + width);
      k = turned + width;
    }
    k_.turn(k, program_.turn_.data(), program_.turn_width_, width, turned);
    k = turned;
  }
  if (op.feedback.empty())
    k_.write_coded(k, width, program_.key_form_, place, tile);
  else
    k_.write_fed(k, width, program_.key_form_, op.feedback.data() + head * width * width, place,
                 tile);
}

void Worker::write_coded_values(const Attend& op, const float* v, size_t place, uint8_t* tile) {
  const size_t width = op.value_width;
  float* turned = turned_.data();
  k_.turn(v, program_.turn_.data(), program_.turn_width_, width, turned);
  k_.write_coded(turned, width, program_.value_forms_[op.layer], place,
                 tile + program_.key_form_.tile_bytes(op.width));
}

// What is attended, of values that were turned: as it would be of values as they came.
void Worker::turn_back(size_t width, float* out) {
  k_.turn(out, program_.turn_.data(), program_.turn_width_, width, turned_.data());
  std::copy_n(turned_.data(), width, out);
}

// Unpacks what a span's tokens before `end` are, and points the pages at it.
void Worker::open_span(const Attend& op, const Program::Piece& piece, size_t head, size_t span,
                       size_t end) {
  const size_t first = span * kPagesInSpan, bytes = program_.plain_bytes();
  for (size_t p = first; p < first + kPagesInSpan && p * kPage < end; ++p) {
    const uint8_t* tile = reinterpret_cast<uint8_t*>(page_of(op.layer, piece.segment, p, head));
    auto* plain = reinterpret_cast<uint16_t*>(opened_.get() + (p - first) * bytes);
    const size_t tokens = std::min(kPage, round_up(end - p * kPage, 16));
    k_.read_keys(tile, op.width, program_.key_form_, tokens, plain);
    if (!op.latent)
      k_.read_values(tile + program_.key_form_.tile_bytes(op.width), op.value_width,
                     program_.value_forms_[op.layer], tokens, plain + op.width * kPage);
    page_pointers_[p] = plain;
  }
}

void Worker::attend_coded(const Attend& op, const Program::Piece& piece, size_t head,
                          AttendTask task) {
  const size_t end = static_cast<size_t>(task.first_position) + piece.token1 - piece.token0;
  for (size_t span = piece.span0; span < piece.span1; ++span) {
    open_span(op, piece, head, span, end);
    task.span0 = span;
    task.span1 = span + 1;
    task.more = span > piece.span0;
    (op.latent ? k_.attend_latent : k_.attend)(task);
  }
}

}  // namespace farthing
