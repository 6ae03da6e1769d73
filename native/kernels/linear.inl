// Products of packed weights and quantized activations, written once for all forms and tiles.
// Every (row, token) runs one sequence of operations, whatever tile it sits in: whole numbers
// inside a group, then groups in order by fp32 fma.

struct Codes {
  const int8_t* high;
  const float *scale, *scaled_sum;
  const int32_t *negated_sum, *negated_half;
};

// `bytes` of each code: 1, or 2, where the low ones lie behind the high ones.
INLINE Codes codes_at(const uint8_t* row, size_t k, size_t bytes) {
  const size_t groups = k / kGroup;
  const float* scale = reinterpret_cast<const float*>(row + bytes * k);
  const int32_t* sums = reinterpret_cast<const int32_t*>(scale + 2 * groups);
  return {reinterpret_cast<const int8_t*>(row), scale, scale + groups, sums, sums + groups};
}

// What a form's scales look like behind the codes of a block.
template <bool kTwoLevel, bool kFull, bool kSigned>
struct Scales {
  const uint8_t* super;
  const uint8_t* own;
  MEMBER static size_t bytes(size_t k, size_t group) {
    const size_t groups = (k + group - 1) / group;
    if (kTwoLevel) return kRows * (2 * ((k + 255) / 256) + groups);
    return kRows * groups * (kFull ? 4 : 2);
  }
  MEMBER Scales(const uint8_t* at, size_t k)
      : super(at), own(kTwoLevel ? at + kRows * 2 * ((k + 255) / 256) : at) {}
  // Scale `index`, which starts at input `column`.
  MEMBER F operator()(size_t index, size_t column) const {
    if constexpr (kTwoLevel) {
      const F top = load_half(reinterpret_cast<const uint16_t*>(super) + column / 256 * kRows);
      if constexpr (kSigned)
        return mul(top, widen(reinterpret_cast<const int8_t*>(own) + index * kRows));
      else
        return mul(top, widen(own + index * kRows));
    } else if constexpr (kFull) {
      return load(reinterpret_cast<const float*>(own) + index * kRows);
    } else {
      return load_half(reinterpret_cast<const uint16_t*>(own) + index * kRows);
    }
  }
};

// kWidth: 4 or 8 bits. kHalf: a scale for each 16 inputs.
// kLow: inputs of 16 bits, whose low bytes are multiplied after the high ones' sums are shifted up.
template <int kWidth, bool kTwoLevel, bool kFull, bool kMin, bool kHalf, bool kLow>
struct Packed {
  using Scale = Scales<kTwoLevel, kFull, kHalf>;

  template <int R, int M>
  MEMBER static void dots(const uint8_t* const* w, const int8_t* const* x, size_t column, int quads,
                          I (*sums)[M]) {
    // A vector of 4-bit codes holds two quads of the input, low nibbles first.
    for (int j = 0; j < quads; j += kWidth == 4 ? 2 : 1) {
      Bytes codes[R];
      const size_t at = (column + 4 * static_cast<size_t>(j)) * kRows * kWidth / 8;
      for (int r = 0; r < R; ++r) codes[r] = load_bytes(w[r] + at);
      for (int m = 0; m < M; ++m) {
        const Quad q = quad(x[m] + column + 4 * static_cast<size_t>(j));
        for (int r = 0; r < R; ++r)
          sums[r][m] = kWidth == 4 ? dot_low(sums[r][m], low(codes[r]), q)
                                   : dot_full(sums[r][m], codes[r], q);
      }
      if constexpr (kWidth == 4) {
        for (int m = 0; m < M; ++m) {
          const Quad q = quad(x[m] + column + 4 * static_cast<size_t>(j) + 4);
          for (int r = 0; r < R; ++r) sums[r][m] = dot_low(sums[r][m], high(codes[r]), q);
        }
      }
    }
  }

  template <int R, int M>
  MEMBER static void tile(const LinearTask& t, size_t block, size_t token, const uint8_t* next,
                          size_t ahead) {
    const size_t groups = t.k / kGroup, spread = t.group / kGroup;
    const uint8_t* w[R];
    Codes x[M];
    const int8_t *first[M], *second[M];
    F acc[R][M];
    for (int r = 0; r < R; ++r) w[r] = t.weights + (block + static_cast<size_t>(r)) * t.block_bytes;
    for (int m = 0; m < M; ++m) {
      x[m] = codes_at(t.x + (token + static_cast<size_t>(m)) * t.x_stride, t.k, kLow ? 2 : 1);
      first[m] = x[m].high;
      second[m] = x[m].high + t.k;
    }
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m) acc[r][m] = zero();
    const size_t codes = kRows * t.k * kWidth / 8, scales = Scale::bytes(t.k, t.group);
    for (size_t g = 0; g < groups; ++g) {
      for (size_t line = 0; line < ahead; ++line)
        __builtin_prefetch(next + (g * ahead + line) * 64);
      constexpr int kParts = kHalf ? 2 : 1;
      for (int part = 0; part < kParts; ++part) {
        const size_t column = g * kGroup + static_cast<size_t>(part) * 16;
        const size_t index = kHalf ? 2 * g + static_cast<size_t>(part) : g / spread;
        I sums[R][M];
        // What the codes' bias adds is taken away first: the inputs' sum times 8 or 128.
        const auto start = [&](int m) {
          if constexpr (kMin) return izero();
          return shift_left<kWidth - 1>(
              iset(kHalf ? x[m].negated_half[index] : x[m].negated_sum[g]));
        };
        for (int m = 0; m < M; ++m) {
          const I from = kLow ? izero() : start(m);
          for (int r = 0; r < R; ++r) sums[r][m] = from;
        }
        constexpr int kQuads = kHalf ? 4 : 8;
        dots<R, M>(w, first, column, kQuads, sums);
        if constexpr (kLow) {
          for (int m = 0; m < M; ++m) {
            const I from = start(m);
            for (int r = 0; r < R; ++r) sums[r][m] = plus(shift_left<8>(sums[r][m]), from);
          }
          dots<R, M>(w, second, column, kQuads, sums);
        }
        for (int r = 0; r < R; ++r) {
          const F scale = Scale(w[r] + codes, t.k)(index, column);
          for (int m = 0; m < M; ++m)
            acc[r][m] = fma(to_float(sums[r][m]), mul(scale, set(x[m].scale[g])), acc[r][m]);
          if constexpr (kMin) {
            const F minimum = Scale(w[r] + codes + scales, t.k)(index, column);
            for (int m = 0; m < M; ++m) {
              const float offset = kTwoLevel ? -x[m].scaled_sum[g] : x[m].scaled_sum[g];
              acc[r][m] = fma(minimum, set(offset), acc[r][m]);
            }
          }
        }
      }
    }
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m)
        finish(t, block + static_cast<size_t>(r), token + static_cast<size_t>(m), acc[r][m]);
  }

  MEMBER static void finish(const LinearTask& t, size_t block, size_t token, F value) {
    if (t.bias) value = add(value, load(t.bias + block * kRows));
    if (t.residual)
      value = add(load(t.residual + token * t.residual_stride + block * kRows), value);
    store(t.y + token * t.y_stride + block * kRows, value);
  }
};

struct Dense {
  template <int R, int M>
  MEMBER static void tile(const LinearTask& t, size_t block, size_t token, const uint8_t* next,
                          size_t ahead) {
    const uint16_t* w[R];
    const uint8_t* x[M];
    F acc[R][M];
    for (int r = 0; r < R; ++r)
      w[r] = reinterpret_cast<const uint16_t*>(t.weights +
                                               (block + static_cast<size_t>(r)) * t.block_bytes);
    for (int m = 0; m < M; ++m) x[m] = t.x + (token + static_cast<size_t>(m)) * t.x_stride;
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m) acc[r][m] = zero();
    for (size_t j = 0; j < t.k / 2; ++j) {
      if (j % 16 == 0)
        for (size_t line = 0; line < ahead; ++line)
          __builtin_prefetch(next + (j / 16 * ahead + line) * 64);
      Pairs pairs[R];
      for (int r = 0; r < R; ++r) pairs[r] = load_pairs(w[r] + j * 2 * kRows);
      for (int m = 0; m < M; ++m) {
        uint32_t both;
        __builtin_memcpy(&both, x[m] + 4 * j, 4);
        const Pairs p = pair(both);
        for (int r = 0; r < R; ++r) acc[r][m] = dot_pairs(acc[r][m], pairs[r], p);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m)
        Packed<8, false, false, false, false, false>::finish(
            t, block + static_cast<size_t>(r), token + static_cast<size_t>(m), acc[r][m]);
  }
};

// All tokens over R blocks, in tiles of M tokens and then fewer. While a group of blocks is
// computed, its successor is fetched, a share with every tile.
template <class Kind, int R, int M>
static void sweep(const LinearTask& t, size_t block, size_t* token, size_t* done, size_t tiles) {
  const size_t lines = R * t.block_bytes / 64, steps = tiles * (t.k / kGroup);
  const size_t ahead = block + 2 * R <= t.block1 ? (lines + steps - 1) / steps : 0;
  const uint8_t* next = t.weights + (block + R) * t.block_bytes;
  for (; *token + M <= t.tokens; *token += M, ++*done)
    Kind::template tile<R, M>(t, block, *token, next + *done * (t.k / kGroup) * ahead * 64, ahead);
  if constexpr (M > 1) sweep<Kind, R, M / 2>(t, block, token, done, tiles);
}

template <class Kind, int R, int M>
static void linear(const LinearTask& t) {
  // How many tiles a group of blocks takes: whole ones, then halves of what is left.
  size_t tiles = t.tokens / M, left = t.tokens % M;
  for (int width = M / 2; width; width /= 2) {
    tiles += left / static_cast<size_t>(width);
    left %= static_cast<size_t>(width);
  }
  size_t block = t.block0;
  for (; block + R <= t.block1; block += R) {
    size_t token = 0, done = 0;
    sweep<Kind, R, M>(t, block, &token, &done, tiles);
  }
  for (; block < t.block1; ++block) {
    size_t token = 0, done = 0;
    sweep<Kind, 1, M>(t, block, &token, &done, tiles);
  }
}
