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

// What a form's scales look like behind the codes of a block: fp16, fp32, whole numbers below one
// fp16 for 256 inputs (signed or not), or powers of two.
enum class Scaling { kHalf, kFull, kTwoLevel, kTwoLevelSigned, kPower };

template <Scaling kScaling>
struct Scales {
  static constexpr bool kTwoLevel =
      kScaling == Scaling::kTwoLevel || kScaling == Scaling::kTwoLevelSigned;
  const uint8_t* super;
  const uint8_t* own;
  MEMBER static size_t bytes(size_t k, size_t group) {
    const size_t groups = (k + group - 1) / group;
    if (kTwoLevel) return kRows * (2 * ((k + 255) / 256) + groups);
    constexpr size_t kBytes = kScaling == Scaling::kPower ? 1 : kScaling == Scaling::kFull ? 4 : 2;
    return kRows * groups * kBytes;
  }
  MEMBER Scales(const uint8_t* at, size_t k)
      : super(at), own(kTwoLevel ? at + kRows * 2 * ((k + 255) / 256) : at) {}
  // Scale `index`, which starts at input `column`.
  MEMBER F operator()(size_t index, size_t column) const {
    if constexpr (kTwoLevel) {
      const F top = load_half(reinterpret_cast<const uint16_t*>(super) + column / 256 * kRows);
      if constexpr (kScaling == Scaling::kTwoLevelSigned)
        return mul(top, widen(reinterpret_cast<const int8_t*>(own) + index * kRows));
      else
        return mul(top, widen(own + index * kRows));
    } else if constexpr (kScaling == Scaling::kFull) {
      return load(reinterpret_cast<const float*>(own) + index * kRows);
    } else if constexpr (kScaling == Scaling::kPower) {
      // The table's values are twice the fp4 ones.
      return mul(load_power(own + index * kRows), set(0.5f));
    } else {
      return load_half(reinterpret_cast<const uint16_t*>(own) + index * kRows);
    }
  }
};

INLINE const uint8_t* x_row(const LinearTask& t, size_t token) {
  return t.x + (t.x_rows ? t.x_rows[token] : token) * t.x_stride;
}

// A product to its place in y.
INLINE void finish(const LinearTask& t, size_t block, size_t token, F value) {
  float* y = t.y + (t.y_rows ? t.y_rows[token] : token) * t.y_stride + block * kRows;
  if (t.bias) value = add(value, load(t.bias + block * kRows));
  if (t.residual) value = add(load(t.residual + token * t.residual_stride + block * kRows), value);
  if (t.factors) value = fma(set(t.factors[token]), value, load(y));
  store(y, value);
}

// What a code's zero is: the sum of the inputs, which are negated, times that.
template <int kWidth, bool kTable>
INLINE I biased(int32_t negated_sum) {
  const I sum = iset(negated_sum);
  if constexpr (kTable) return plus(shift_left<3>(sum), shift_left<2>(sum));
  return shift_left<kWidth - 1>(sum);
}

// What is added to scale times code: nothing but the bias, a minimum, or minus the scale times a
// whole number, which is exact.
enum class Offset { kNone, kMin, kZero };

// kWidth: 4 or 8 bits. kHalf: a scale for each 16 inputs.
// kTable: codes are twice an fp4 number and 12, by a table.
// kLow: inputs of 16 bits, whose low bytes are multiplied after the high ones' sums are shifted up.
template <int kWidth, Scaling kScaling, Offset kOffset, bool kHalf, bool kTable, bool kLow>
struct Packed {
  using Scale = Scales<kScaling>;
  static constexpr bool kTwoLevel = Scale::kTwoLevel;

  MEMBER static Bytes first(Bytes v) {
    if constexpr (kTable) return fp4(low(v));
    return low(v);
  }
  MEMBER static Bytes second(Bytes v) {
    if constexpr (kTable) return fp4(high(v));
    return high(v);
  }

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
          sums[r][m] = kWidth == 4 ? dot_low(sums[r][m], first(codes[r]), q)
                                   : dot_full(sums[r][m], codes[r], q);
      }
      if constexpr (kWidth == 4) {
        for (int m = 0; m < M; ++m) {
          const Quad q = quad(x[m] + column + 4 * static_cast<size_t>(j) + 4);
          for (int r = 0; r < R; ++r) sums[r][m] = dot_low(sums[r][m], second(codes[r]), q);
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
    const int8_t *upper[M], *lower[M];
    F acc[R][M];
    for (int r = 0; r < R; ++r) w[r] = t.weights + (block + static_cast<size_t>(r)) * t.block_bytes;
    for (int m = 0; m < M; ++m) {
      x[m] = codes_at(x_row(t, token + static_cast<size_t>(m)), t.k, kLow ? 2 : 1);
      upper[m] = x[m].high;
      lower[m] = x[m].high + t.k;
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
          if constexpr (kOffset != Offset::kNone) return izero();
          return biased<kWidth, kTable>(kHalf ? x[m].negated_half[index] : x[m].negated_sum[g]);
        };
        for (int m = 0; m < M; ++m) {
          const I from = kLow ? izero() : start(m);
          for (int r = 0; r < R; ++r) sums[r][m] = from;
        }
        constexpr int kQuads = kHalf ? 4 : 8;
        dots<R, M>(w, upper, column, kQuads, sums);
        if constexpr (kLow) {
          for (int m = 0; m < M; ++m) {
            const I from = start(m);
            for (int r = 0; r < R; ++r) sums[r][m] = plus(shift_left<8>(sums[r][m]), from);
          }
          dots<R, M>(w, lower, column, kQuads, sums);
        }
        for (int r = 0; r < R; ++r) {
          const F scale = Scale(w[r] + codes, t.k)(index, column);
          for (int m = 0; m < M; ++m)
            acc[r][m] = fma(to_float(sums[r][m]), mul(scale, set(x[m].scale[g])), acc[r][m]);
          if constexpr (kOffset != Offset::kNone) {
            constexpr bool kZero = kOffset == Offset::kZero;
            F minimum = Scale(w[r] + codes + scales, t.k)(index, column);
            if constexpr (kZero) minimum = mul(scale, minimum);
            for (int m = 0; m < M; ++m) {
              const float offset = kTwoLevel || kZero ? -x[m].scaled_sum[g] : x[m].scaled_sum[g];
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
    for (int m = 0; m < M; ++m) x[m] = x_row(t, token + static_cast<size_t>(m));
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
        finish(t, block + static_cast<size_t>(r), token + static_cast<size_t>(m), acc[r][m]);
  }
};

// Inputs as they are: every weight is widened exactly, even and odd inputs are summed apart.
struct Precise {
  template <int R, int M>
  MEMBER static void tile(const LinearTask& t, size_t block, size_t token, const uint8_t*, size_t) {
    const uint16_t* w[R];
    const float* x[M];
    F even[R][M], odd[R][M];
    for (int r = 0; r < R; ++r)
      w[r] = reinterpret_cast<const uint16_t*>(t.weights +
                                               (block + static_cast<size_t>(r)) * t.block_bytes);
    for (int m = 0; m < M; ++m)
      x[m] = reinterpret_cast<const float*>(x_row(t, token + static_cast<size_t>(m)));
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m) even[r][m] = odd[r][m] = zero();
    for (size_t j = 0; j < t.k / 2; ++j)
      for (int r = 0; r < R; ++r) {
        const Pairs pairs = load_pairs(w[r] + j * 2 * kRows);
        const F first = first_of(pairs), second = second_of(pairs);
        for (int m = 0; m < M; ++m) {
          even[r][m] = fma(first, set(x[m][2 * j]), even[r][m]);
          odd[r][m] = fma(second, set(x[m][2 * j + 1]), odd[r][m]);
        }
      }
    for (int r = 0; r < R; ++r)
      for (int m = 0; m < M; ++m)
        finish(t, block + static_cast<size_t>(r), token + static_cast<size_t>(m),
               add(even[r][m], odd[r][m]));
  }
};

// Tokens of the tile for what a tile of M leaves over: mostly one of just that many.
constexpr int fewer(int m) { return m > 4 ? 4 : m - 1; }

// All tokens over R blocks, in tiles of M tokens and then fewer. While a group of blocks is
// computed, its successor is fetched, a share with every tile.
template <class Kind, int R, int M>
static void sweep(const LinearTask& t, size_t block, size_t* token, size_t* done, size_t tiles) {
  const size_t lines = R * t.block_bytes / 64, steps = tiles * (t.k / kGroup);
  const bool last = block + R >= t.block1;
  const uint8_t* next = last ? t.after : t.weights + (block + R) * t.block_bytes;
  const size_t ahead =
      !next || (!last && block + 2 * R > t.block1) ? 0 : (lines + steps - 1) / steps;
  for (; *token + M <= t.tokens; *token += M, ++*done)
    Kind::template tile<R, M>(t, block, *token, next + *done * (t.k / kGroup) * ahead * 64, ahead);
  if constexpr (M > 1) sweep<Kind, R, fewer(M)>(t, block, token, done, tiles);
}

template <class Kind, int R, int M>
static void linear(const LinearTask& t) {
  // How many tiles a group of blocks takes: whole ones, then fewer.
  size_t tiles = t.tokens / M, left = t.tokens % M;
  for (int width = fewer(M); width; width = fewer(width)) {
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
