// Attention in training, by blocks of 64 queries and 64 keys. A vector's lanes are 16 queries, so
// that what a query keeps (largest score, sum) is a lane of its own, and scores come out as
// [key][query]: two rows of them, interleaved, are what the products over keys take number by
// number, one row is what those over queries take. Products go over pairs of bf16 into fp32.
//
// All is cut at multiples of 16 from the document's begin: a row runs the same operations whatever
// lies around its document, and what no query of 16 sees is not made.

#define APART static __attribute__((noinline))  // registers for its loops alone

constexpr int kLanes = 16;
constexpr size_t kBlock = kTrainQueries, kVectors = kBlock / kLanes;

template <int N>
struct Number {};

// n, of 1 to 4, as a constant.
template <class Call>
INLINE void counted(size_t n, Call call) {
  if (n == 4) return call(Number<4>{});
  if (n == 3) return call(Number<3>{});
  if (n == 2) return call(Number<2>{});
  call(Number<1>{});
}

// Of a width's vectors, how many go together: four registers a row at most, and no one left over.
INLINE size_t together(size_t vectors) { return vectors % 3 == 0 ? 3 : vectors >= 4 ? 4 : vectors; }

// Rows that share a tile with C vectors each: enough sums to hide a product's latency, few enough
// for the registers; of scores, whose makers keep more beside them, fewer.
constexpr int tile_rows(int vectors) { return vectors == 1 ? 16 : vectors == 4 ? 4 : 8; }
constexpr int score_rows(int vectors) { return vectors == 1 ? 16 : vectors == 2 ? 8 : 4; }

struct Scratch {
  uint8_t* at;
  template <class T>
  MEMBER T* take(size_t n) {
    T* taken = reinterpret_cast<T*>(at);
    at += round_up(n * sizeof(T), 64);
    return taken;
  }
};

// Where a product's single pairs stand: of row r and step s at[r * row + s * step].
struct Singles {
  const uint16_t* at;
  size_t row, step;
};

// acc[m][c] += the sum over steps of singles' row m times vectors' lane.
template <int M, int C>
INLINE void product(F (&acc)[M][C], const Singles& singles, const uint16_t* vectors, size_t stride,
                    size_t steps) {
  const uint16_t* a = singles.at;
  for (size_t s = 0; s < steps; ++s, a += singles.step, vectors += stride) {
    Pairs b[C];
    for (int c = 0; c < C; ++c) b[c] = load_pairs(vectors + c * 2 * kLanes);
    for (int m = 0; m < M; ++m) {
      uint32_t both;
      __builtin_memcpy(&both, a + static_cast<size_t>(m) * singles.row, 4);
      for (int c = 0; c < C; ++c) acc[m][c] = dot_pairs(acc[m][c], b[c], pair(both));
    }
  }
}

// 16 rows of C vectors from nothing, tile by tile: each(row, acc).
template <int C, class Each>
INLINE void sixteen(const Singles& singles, const uint16_t* vectors, size_t stride, size_t steps,
                    Each each) {
  constexpr int M = score_rows(C);
  for (int row = 0; row < 16; row += M) {
    F acc[M][C];
    for (int m = 0; m < M; ++m)
      for (int c = 0; c < C; ++c) acc[m][c] = zero();
    product(acc, {singles.at + static_cast<size_t>(row) * singles.row, singles.row, singles.step},
            vectors, stride, steps);
    each(row, acc);
  }
}

template <int C>
APART void add_columns(const Singles& singles, const uint16_t* vectors, size_t stride, size_t steps,
                       bool fresh, float* out, size_t width) {
  constexpr int M = tile_rows(C);
  for (int row = 0; row < 16; row += M) {
    float* to = out + static_cast<size_t>(row) * width;
    F acc[M][C];
    for (int m = 0; m < M; ++m)
      for (int c = 0; c < C; ++c)
        acc[m][c] = fresh ? zero() : load(to + static_cast<size_t>(m) * width + c * 16);
    product(acc, {singles.at + static_cast<size_t>(row) * singles.row, singles.row, singles.step},
            vectors, stride, steps);
    for (int m = 0; m < M; ++m)
      for (int c = 0; c < C; ++c) store(to + static_cast<size_t>(m) * width + c * 16, acc[m][c]);
  }
}

// out[16][width], or nothing where it is fresh, += the product of 16 rows of single pairs with rows
// of pairs [steps][width][2].
static void add_product(const Singles& singles, const uint16_t* rows, size_t steps, bool fresh,
                        float* out, size_t width) {
  for (size_t at = 0; at < width;) {
    const size_t count = together((width - at) / kLanes);
    counted(count, [&]<int C>(Number<C>) __attribute__((always_inline)) {
      add_columns<C>(singles, rows + at * 2, width * 2, steps, fresh, out + at, width);
    });
    at += count * kLanes;
  }
}

// Two rows of queries' scores as bf16: those of the first in the lower half.
INLINE __m512i rounded(F first, F second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}
// Lane by lane the first and the second: [16][2].
INLINE __m512i interleaved(__m512i halves) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, halves);
}
INLINE void store_rows(uint16_t* first, uint16_t* second, __m512i halves) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(first), _mm512_castsi512_si256(halves));
  _mm256_store_si256(reinterpret_cast<__m256i*>(second), _mm512_extracti64x4_epi64(halves, 1));
}

// Up to 16 tokens' pairs from one place on, `pairs` of them at most 16, turned: [pairs][64][2].
static void turn_sixteen(Tokens<const uint16_t> x, size_t tokens, size_t pairs, uint16_t* out) {
  const auto mask = static_cast<__mmask16>((1u << pairs) - 1);
  __m512i r[16], t[16];
  for (size_t i = 0; i < 16; ++i)
    r[i] = i < tokens ? _mm512_maskz_loadu_epi32(mask, x.at + i * x.stride) : izero();
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (size_t i = 0; i < 16; i += 4)
    for (size_t j = 0; j < 2; ++j) {
      r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + 2 + j]);
      r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + 2 + j]);
    }
  for (size_t j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
    t[j] = _mm512_shuffle_i32x4(a, c, 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    t[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < 16; ++i)
    if (i < pairs) _mm512_store_si512(out + i * 2 * kBlock, t[i]);
}

// Up to 64 tokens of a width, turned: [width / 2][64][2]; zeros up to a multiple of 16 tokens.
static void turn_pairs(Tokens<const uint16_t> x, size_t tokens, size_t width, uint16_t* out) {
  for (size_t token = 0; token < tokens; token += 16)
    for (size_t at = 0; at < width; at += 32) {
      const size_t rest = width - at < 32 ? width - at : 32;
      turn_sixteen({x.at + token * x.stride + at, x.stride}, tokens - token, rest / 2,
                   out + at * kBlock + token * 2);
    }
}

// Each two tokens number by number: [tokens / 2][width up to 16][2]; zeros up to multiples of 16.
static void interleave(Tokens<const uint16_t> x, size_t tokens, size_t width, uint16_t* out) {
  for (size_t token = 0; token < round_up(tokens, 16); token += 2)
    for (size_t at = 0; at < width; at += 16, out += 32) {
      const auto mask = static_cast<__mmask16>(width - at < 16 ? 0xff : 0xffff);
      const auto row = [&](size_t t) __attribute__((always_inline)) {
        return t < tokens ? _mm256_maskz_loadu_epi16(mask, x.at + t * x.stride + at)
                          : _mm256_setzero_si256();
      };
      _mm512_store_si512(out, interleaved(_mm512_inserti64x4(_mm512_castsi256_si512(row(token)),
                                                             row(token + 1), 1)));
    }
}

// Rows of floats [tokens][width up to 16], times a factor, as bf16.
static void write_rows(const float* x, size_t tokens, size_t width, float factor,
                       Tokens<uint16_t> out) {
  for (size_t token = 0; token < tokens; ++token)
    for (size_t at = 0; at < width; at += 16, x += 16) {
      const auto mask = static_cast<__mmask16>(width - at < 16 ? 0xff : 0xffff);
      const __m256bh v = _mm512_cvtneps_pbh(mul(load(x), set(factor)));
      _mm256_mask_storeu_epi16(out.at + token * out.stride + at, mask,
                               reinterpret_cast<__m256i>(v));
    }
}

// A document's rows 16 at a time: where they lie, or for the last a copy filled up with zeros.
struct Sixteens {
  Tokens<const uint16_t> x;
  size_t whole, width;
  const uint16_t* rest;
  MEMBER Singles at(size_t row) const {
    return row < whole ? Singles{x.at + row * x.stride, x.stride, 2} : Singles{rest, width, 2};
  }
};

INLINE Sixteens sixteens(Tokens<const uint16_t> x, size_t tokens, size_t width, uint16_t* rest) {
  const size_t whole = tokens / 16 * 16;
  __builtin_memset(rest, 0, 16 * width * 2);
  for (size_t t = whole; t < tokens; ++t)
    __builtin_memcpy(rest + (t - whole) * width, x.at + t * x.stride, width * 2);
  return {x, whole, width, rest};
}

// Asks for all rows at once: a head's numbers lie too far apart for the processor to guess them.
INLINE void fetch(Tokens<const uint16_t> x, size_t tokens, size_t width) {
  for (size_t t = 0; t < tokens; ++t)
    for (size_t at = 0; at < width + 31; at += 32)
      __builtin_prefetch(x.at + t * x.stride + at, 0, 2);
}

// Of a block's query vectors, those that see any of 16 keys; whole: every lane sees each.
struct Sight {
  size_t from, to;
  bool whole;
};

INLINE Sight sight(size_t key, size_t query, size_t vectors, size_t window) {
  Sight s{key > query ? (key - query) / 16 : 0, vectors, false};
  if (window) {
    const size_t end = key + 15 + window;
    const size_t seeing = end > query ? (end - query + 15) / 16 : 0;
    if (seeing < s.to) s.to = seeing;
  }
  s.whole = query + 16 * s.from >= key + 15 && (!window || query + 16 * s.to <= key + window);
  return s;
}

// Lanes of the queries from `query` on that see a key.
INLINE uint32_t seeing(size_t key, size_t query, size_t window) {
  uint32_t lanes = 0xffff;
  if (key > query) lanes = key - query < 16 ? 0xffffu << (key - query) : 0;
  if (window && key + window < query + 16)
    lanes &= key + window > query ? (1u << (key + window - query)) - 1 : 0;
  return lanes & 0xffff;
}

// By query vector, which of a block's keys it has to do with: [from, to), in multiples of 16.
struct Reach {
  size_t from[kVectors] = {}, to[kVectors] = {};
  MEMBER void add(const Sight& s, size_t key) {
    for (size_t c = s.from; c < s.to; ++c) {
      if (!to[c]) from[c] = key;
      to[c] = key + 16;
    }
  }
};

INLINE size_t first_block(size_t query, size_t window) {
  return window && query + 1 > window ? (query + 1 - window) / kBlock * kBlock : 0;
}
