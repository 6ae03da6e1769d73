#include "embed.h"

#include <cstring>

namespace farthing {
namespace {

float half(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31;
  const uint32_t fraction = h & 1023;
  if (exponent == 0) {
    const float f = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -f : f;
  }
  const uint32_t bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

template <class T>
T at(const uint8_t* base, size_t index) {
  T value;
  std::memcpy(&value, base + index * sizeof(T), sizeof(T));
  return value;
}

// One of the two columns of scales behind the codes.
struct ScaleColumn {
  const uint8_t* base;
  size_t supers, group, lane;
  bool two_level, full, is_signed;
  size_t bytes(size_t groups) const {
    return kRows * (two_level ? 2 * supers + groups : groups * (full ? 4 : 2));
  }
  float operator()(size_t column) const {
    const size_t index = column / group * kRows + lane;
    if (full) return at<float>(base, index);
    if (!two_level) return half(at<uint16_t>(base, index));
    const float top = half(at<uint16_t>(base, column / 256 * kRows + lane));
    const uint8_t* own = base + supers * kRows * 2;
    return top * (is_signed ? static_cast<float>(at<int8_t>(own, index))
                            : static_cast<float>(own[index]));
  }
};

}  // namespace

void embed_row(const Weight& w, size_t row, float* out) {
  const size_t k = w.k(), lane = row % kRows;
  const uint8_t* block = w.data + row / kRows * w.block_bytes();
  if (w.form == Form::kBf16) {
    for (size_t c = 0; c < w.columns; ++c) {
      const uint32_t bits =
          static_cast<uint32_t>(at<uint16_t>(block, (c / 2 * kRows + lane) * 2 + c % 2)) << 16;
      std::memcpy(out + c, &bits, 4);
    }
    return;
  }
  const PackedLayout l = layout_of(w.form);
  const size_t groups = (w.columns + w.group - 1) / w.group;
  ScaleColumn scale{
      block + kRows * k * l.bits / 8, (w.columns + 255) / 256, w.group, lane, l.two_level, l.full,
      l.two_level && !l.minimum};
  ScaleColumn minimum = scale;
  minimum.base += scale.bytes(groups);
  const int bias = l.minimum || l.zero ? 0 : 1 << (l.bits - 1);
  for (size_t c = 0; c < w.columns; ++c) {
    int code;
    if (l.bits == 4) {
      const uint8_t both = block[(c / 8 * kRows + lane) * 4 + c % 4];
      code = c % 8 < 4 ? both & 15 : both >> 4;
    } else {
      code = block[(c / 4 * kRows + lane) * 4 + c % 4];
    }
    if (l.zero) {
      out[c] = scale(c) * (static_cast<float>(code) - minimum(c));
      continue;
    }
    const float value = scale(c) * static_cast<float>(code - bias);
    out[c] = l.minimum ? value + (l.two_level ? -minimum(c) : minimum(c)) : value;
  }
}

}  // namespace farthing
