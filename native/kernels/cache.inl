// Keys and values of 8, 5 or 4 bits: see CodedForm. They are unpacked into the tiles of bf16 that
// attention reads; a key is turned before, so that no number of it stands out (2404.00456).

// Nearest, ties to even; what is too large for fp16 becomes its largest number.
INLINE uint16_t half_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  const uint32_t sign = bits >> 16 & 0x8000u;
  bits &= 0x7fffffffu;
  float size;
  __builtin_memcpy(&size, &bits, 4);
  if (size >= 65504.f) return static_cast<uint16_t>(sign | 0x7bffu);
  if (size < 0x1p-14f) {  // a whole number of 2^-24, which is the last place of numbers near 1/2
    size += 0.5f;
    __builtin_memcpy(&bits, &size, 4);
    return static_cast<uint16_t>(sign | (bits - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | ((bits + 0xfffu + (bits >> 13 & 1) - 0x38000000u) >> 13));
}

INLINE float whole_of(uint16_t half) {
  uint16_t lanes[16] = {half};
  float wide[16];
  store(wide, load_half(lanes));
  return wide[0];
}

INLINE const uint16_t* scales_of(const CodedForm& form, const uint8_t* tile, size_t width) {
  return reinterpret_cast<const uint16_t*>(tile + kPage * form.row_bytes(width));
}

// 16 codes to their place among 32: the first or the second half.
template <int kBits>
INLINE void put_codes(F codes, int second, uint8_t* chunk) {
  alignas(64) int8_t bytes[16];
  if constexpr (kBits == 8) {
    store_bytes(reinterpret_cast<int8_t*>(chunk) + 16 * second, to_int(sub(codes, set(128.f))));
    return;
  }
  const uint32_t upper = kBits == 5 ? at_least(codes, set(16.f)) : 0;
  store_bytes(bytes, to_int(pick(upper, sub(codes, set(16.f)), codes)));
  for (int i = 0; i < 16; ++i)
    chunk[i] = static_cast<uint8_t>(second ? chunk[i] | bytes[i] << 4 : bytes[i]);
  if constexpr (kBits == 5) {
    const auto mask = static_cast<uint16_t>(upper);
    __builtin_memcpy(chunk + 16 + 2 * second, &mask, 2);
  }
}

// One group's scale and minimum (or minus the middle times the scale): as fp16, and as they are
// read.
struct Grid {
  float scale, inverse, offset;
};

template <int kBits>
INLINE Grid grid_of(const float* x, size_t count, bool minimum, uint16_t* scale_half,
                    uint16_t* minimum_half) {
  constexpr float kTop = (1 << kBits) - 1, kMiddle = 1 << (kBits - 1);
  F low = load(x), high = low;
  for (size_t at = 16; at < count; at += 16) {
    low = min(low, load(x + at));
    high = max(high, load(x + at));
  }
  const float least = -largest(sub(zero(), low)), most = largest(high);
  const float extreme = most >= -least ? most : least;
  *scale_half = half_of(minimum ? (most - least) / kTop : -extreme / kMiddle);
  const float scale = whole_of(*scale_half), inverse = scale == 0.f ? 0.f : 1.f / scale;
  if (!minimum) return {scale, inverse, -kMiddle * scale};
  *minimum_half = half_of(least);
  return {scale, inverse, whole_of(*minimum_half)};
}

// The last number first: what its rounding did wrong is taken out of those before it.
static void feed_back(const float* x, size_t width, size_t group, const Grid* grids, float top,
                      const float* feedback, float* codes) {
  alignas(64) float wanted[kCodedGroups * kGroup];
  for (size_t at = 0; at < width; at += 16) store(wanted + at, load(x + at));
  for (size_t i = width; i-- > 0;) {
    const Grid& g = grids[i / group];
    const float exact = (wanted[i] - g.offset) * g.inverse;
    const float bounded = exact < 0.f ? 0.f : exact > top ? top : exact;
    // adding 1.5 * 2^23 rounds to a whole number, ties to even
    codes[i] = (bounded + 12582912.f) - 12582912.f;
    const F wrong = set(g.scale * codes[i] + g.offset - x[i]);
    for (size_t at = 0; at < i; at += 16)
      store(wanted + at, sub(load(wanted + at), mul(wrong, load(feedback + i * width + at))));
  }
}

template <int kBits>
static void write_rows(const float* x, size_t width, const CodedForm& form, const float* feedback,
                       size_t place, uint8_t* tile) {
  constexpr float kTop = (1 << kBits) - 1;
  uint8_t* row = tile + place * form.row_bytes(width);
  auto* scales = const_cast<uint16_t*>(scales_of(form, tile, width)) + place;
  uint16_t* minima = scales + form.groups(width) * kPage;
  Grid grids[kCodedGroups];
  for (size_t g = 0; g < form.groups(width); ++g) {
    const size_t begin = g * form.group;
    const size_t count = width - begin < form.group ? width - begin : form.group;
    grids[g] =
        grid_of<kBits>(x + begin, count, form.minimum, scales + g * kPage, minima + g * kPage);
  }
  alignas(64) float codes[kCodedGroups * kGroup];
  if (feedback) {
    feed_back(x, width, form.group, grids, kTop, feedback, codes);
  } else {
    for (size_t at = 0; at < width; at += 16) {
      const Grid& g = grids[at / form.group];
      const F code = nearest(mul(sub(load(x + at), set(g.offset)), set(g.inverse)));
      store(codes + at, max(min(code, set(kTop)), zero()));
    }
  }
  for (size_t at = 0; at < width; at += 16)
    put_codes<kBits>(load(codes + at), at / 16 % 2, row + at / 32 * (4 * kBits));
}

static void write_fed(const float* x, size_t width, const CodedForm& form, const float* feedback,
                      size_t place, uint8_t* tile) {
  if (form.bits == 8) return write_rows<8>(x, width, form, feedback, place, tile);
  if (form.bits == 5) return write_rows<5>(x, width, form, feedback, place, tile);
  write_rows<4>(x, width, form, feedback, place, tile);
}

static void write_coded(const float* x, size_t width, const CodedForm& form, size_t place,
                        uint8_t* tile) {
  write_fed(x, width, form, nullptr, place, tile);
}

template <int kBits>
INLINE F codes_of(const uint8_t* chunk, int second) {
  if constexpr (kBits == 8) return widen(reinterpret_cast<const int8_t*>(chunk) + 16 * second);
  const F nibbles = second ? widen_high(chunk) : widen_low(chunk);
  if constexpr (kBits == 4) return nibbles;
  uint16_t upper;
  __builtin_memcpy(&upper, chunk + 16 + 2 * second, 2);
  return pick(upper, add(nibbles, set(16.f)), nibbles);
}

// Sixteen tokens from `first` on, as values lie: pairs of positions for each number.
template <int kBits>
static void read_sixteen(const uint8_t* tile, size_t width, const CodedForm& form, size_t first,
                         uint16_t* out) {
  constexpr float kOffset = kBits == 8 ? 0.f : -(1 << (kBits - 1));
  const size_t groups = form.groups(width), bytes = form.row_bytes(width);
  alignas(64) float scale[kCodedGroups][16], minimum[kCodedGroups][16];
  const uint16_t* scales = scales_of(form, tile, width) + first;
  for (size_t g = 0; g < groups; ++g) {
    const F s = load_half(scales + g * kPage);
    store(scale[g], s);
    store(minimum[g],
          form.minimum ? load_half(scales + (groups + g) * kPage) : mul(s, set(kOffset)));
  }
  for (size_t t = 0; t < 16; t += 2) {
    const uint8_t* even = tile + (first + t) * bytes;
    for (size_t at = 0; at < width; at += 32, even += 4 * kBits) {
      const size_t g = at / form.group;
      for (int half = 0; half < 2; ++half) {
        const F a = fma(codes_of<kBits>(even, half), set(scale[g][t]), set(minimum[g][t]));
        const F b =
            fma(codes_of<kBits>(even + bytes, half), set(scale[g][t + 1]), set(minimum[g][t + 1]));
        store_pairs(out + (t / 2 * width + at + 16 * static_cast<size_t>(half)) * 2, a, b);
      }
    }
  }
}

INLINE void read_any(const uint8_t* tile, size_t width, const CodedForm& form, size_t first,
                     uint16_t* out) {
  if (form.bits == 8) return read_sixteen<8>(tile, width, form, first, out);
  if (form.bits == 5) return read_sixteen<5>(tile, width, form, first, out);
  read_sixteen<4>(tile, width, form, first, out);
}

// Of the page's first tokens, a multiple of 16.
static void read_values(const uint8_t* tile, size_t width, const CodedForm& form, size_t tokens,
                        uint16_t* values) {
  for (size_t t = 0; t < tokens; t += 16) read_any(tile, width, form, t, values + t * width);
}

static void read_keys(const uint8_t* tile, size_t width, const CodedForm& form, size_t tokens,
                      uint16_t* keys) {
  alignas(64) uint16_t sixteen[16 * kCodedGroups * kGroup];
  for (size_t t = 0; t < tokens; t += 16) {
    read_any(tile, width, form, t, sixteen);
    // Turned back: from pairs of positions to pairs of numbers.
    for (size_t at = 0; at < width; at += 16)
      turn_block(sixteen + 2 * at, 2 * width, keys + at * kPage + 2 * t, 2 * kPage);
  }
}

// Each `block` numbers of x times a matrix [block][block].
static void turn(const float* x, const float* matrix, size_t block, size_t width, float* y) {
  for (size_t begin = 0; begin < width; begin += block)
    for (size_t column = 0; column < block; column += 16) {
      F sum = zero();
      for (size_t i = 0; i < block; ++i)
        sum = fma(set(x[begin + i]), load(matrix + i * block + column), sum);
      store(y + begin + column, sum);
    }
}
