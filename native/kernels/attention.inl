// Attention over pages of 64 tokens, in spans of 512 absolute positions. A span is started fresh:
// all its scores, their largest, the exponentials in bf16, the sum of values; then it is merged
// into what the spans before it gave. A row runs the same operations alone or in a tile, and where
// a tile reaches further than one of its rows sees, that row adds exact zeros.

// Scores are held times log2(e), so that a weight is a power of two.

constexpr float kNothing = -1e30f;

// 2^x, x at most 0, to 2e-7: a polynomial fitted on [-1/2, 1/2]. Exactly 1 at 0, and exactly 0 far
// below. Weights are rounded to bf16 after it.
INLINE F exp2(F x) {
  const F n = nearest(x), f = sub(x, n);
  F p = set(1.32647422e-3f);
  p = fma(p, f, set(9.671514e-3f));
  p = fma(p, f, set(5.5507337e-2f));
  p = fma(p, f, set(2.40222421e-1f));
  p = fma(p, f, set(6.93146978e-1f));
  p = fma(p, f, set(1.f));
  return times_pow2(p, n);
}

// The state of a row: [d up to 16] output, then largest score and sum of weights in two lanes.
static void attend_merge(size_t rows, size_t width, float* a, const float* b) {
  const size_t d = round_up(width, 16), stride = attend_state(width);
  for (size_t r = 0; r < rows; ++r, a += stride, b += stride) {
    const float top = a[d] > b[d] ? a[d] : b[d];
    float factors[16] = {a[d] - top, b[d] - top};
    store(factors, exp2(load(factors)));
    const F fa = set(factors[0]), fb = set(factors[1]);
    for (size_t at = 0; at < d; at += 16)
      store(a + at, fma(load(b + at), fb, mul(load(a + at), fa)));
    a[d] = top;
    a[d + 1] = a[d + 1] * factors[0] + b[d + 1] * factors[1];
  }
}

static void attend_finish(size_t width, const float* state, const float* sink, float* out) {
  const float* last = state + round_up(width, 16);
  float total = last[1], kept = 1.f;
  if (sink) {
    const float there = *sink * 1.44269504f, top = last[0] > there ? last[0] : there;
    float factors[16] = {last[0] - top, there - top};
    store(factors, exp2(load(factors)));
    kept = factors[0];
    total = total * kept + factors[1];
  }
  for (size_t at = 0; at < width; at += 16) {
    F v = load(state + at);
    if (sink) v = mul(v, set(kept));
    store_up_to(out, at, width, div(v, set(total)));
  }
}

// What row r sees of a page: lanes [from, to) of 64.
struct Seen {
  int from, to;
};

// Of the page's first 16 * C positions; nobody sees further. `next` is what will be read after it:
// few rows wait for memory, which the processor's own prefetcher does not follow across pages.
template <int M, int C>
INLINE void scores_of_page(const AttendTask& t, const uint32_t* q, const uint16_t* page,
                           const uint16_t* next, const Seen* seen, float* scores, F* tops) {
  F a[M][C];
  const size_t pairs = t.head_width / 2;
  for (int m = 0; m < M; ++m)
    for (int c = 0; c < C; ++c) a[m][c] = zero();
  for (size_t j = 0; j < pairs; ++j) {
    if constexpr (M <= 4)
      for (size_t line = 0; line < 4; ++line) __builtin_prefetch(next + (4 * j + line) * 32);
    Pairs k[C];
    for (int c = 0; c < C; ++c)
      k[c] = load_pairs(page + j * 2 * kPage + static_cast<size_t>(c) * 32);
    for (int m = 0; m < M; ++m) {
      const Pairs both = pair(q[static_cast<size_t>(m) * pairs + j]);
      for (int c = 0; c < C; ++c) a[m][c] = dot_pairs(a[m][c], k[c], both);
    }
  }
  const F scale = set(t.scale * 1.44269504f), nothing = set(kNothing);
  for (int m = 0; m < M; ++m) {
    const bool whole = seen[m].from <= 0 && seen[m].to >= static_cast<int>(kPage);
    const uint64_t up_to =
        seen[m].to >= 64 ? ~0ull : (1ull << (seen[m].to > 0 ? seen[m].to : 0)) - 1;
    const uint64_t below =
        seen[m].from >= 64 ? ~0ull : (1ull << (seen[m].from > 0 ? seen[m].from : 0)) - 1;
    const uint64_t lanes = up_to & ~below;
    for (int c = 0; c < C; ++c) {
      F s = mul(a[m][c], scale);
      if (!whole) s = pick(static_cast<uint32_t>(lanes >> (16 * c)) & 0xffff, s, nothing);
      tops[m] = max(tops[m], s);
      store(scores + static_cast<size_t>(m) * kSpan + static_cast<size_t>(c) * 16, s);
    }
  }
}

// Where the values of some positions stand: tiles of 64, [32][width][2] behind `offset`.
struct Values {
  const uint16_t* const* tiles;
  size_t offset, width;
  MEMBER const uint16_t* at(size_t tile) const { return tiles[tile] + offset; }
};

// Output columns from `column` on, of `count` positions from tile `first` on, to `out`.
template <int M, int C>
INLINE void values(const Values& of, size_t first, size_t count, size_t column,
                   const uint16_t* weights, size_t stride, float* out) {
  F o[M][C];
  for (int m = 0; m < M; ++m)
    for (int c = 0; c < C; ++c) o[m][c] = zero();
  for (size_t at = 0; at < count; at += kPage) {
    const size_t p = first + at / kPage;
    const uint16_t* v = of.at(p) + column * 2;
    const uint16_t* next = of.at(at + kPage < count ? p + 1 : p) + column * 2;
    const uint16_t* w = weights + at;
    const size_t here = count - at < kPage ? count - at : kPage;
    for (size_t j = 0; j < here / 2; ++j) {
      if constexpr (M <= 4)
        for (int c = 0; c < C; ++c)
          __builtin_prefetch(next + j * 2 * of.width + static_cast<size_t>(c) * 32);
      Pairs vs[C];
      for (int c = 0; c < C; ++c)
        vs[c] = load_pairs(v + j * 2 * of.width + static_cast<size_t>(c) * 32);
      for (int m = 0; m < M; ++m) {
        uint32_t both;
        __builtin_memcpy(&both, w + static_cast<size_t>(m) * kSpan + 2 * j, 4);
        const Pairs pw = pair(both);
        for (int c = 0; c < C; ++c) o[m][c] = dot_pairs(o[m][c], vs[c], pw);
      }
    }
  }
  for (int m = 0; m < M; ++m)
    for (int c = 0; c < C; ++c)
      store(out + static_cast<size_t>(m) * stride + static_cast<size_t>(c) * 16, o[m][c]);
}

// M rows' weights over `count` positions from page0 on, a multiple of 16 (what is left out is a row
// of exact zeros); the largest score and the sum of weights go to the rows of `fresh`. `after` is
// what will be read next.
template <int M>
static void weights_of_span(const AttendTask& t, size_t row, size_t page0, size_t count,
                            float* scores, uint16_t* weights, const uint16_t* after, float* fresh) {
  const size_t d = round_up(t.value_width, 16), stride = attend_state(t.value_width);
  const uint32_t* q = t.q + row * (t.head_width / 2);
  F tops[M];
  for (int m = 0; m < M; ++m) tops[m] = set(kNothing);
  for (size_t at = 0; at < count; at += kPage) {
    const size_t p = page0 + at / kPage;
    Seen seen[M];
    for (int m = 0; m < M; ++m) {
      const int position =
          t.first_position + static_cast<int>((row + static_cast<size_t>(m)) / t.group);
      const int start = static_cast<int>(p * kPage);
      seen[m] = {t.window ? position + 1 - t.window - start : 0, position + 1 - start};
    }
    const uint16_t* next = at + kPage < count ? t.pages[p + 1] : after;
    switch ((count - at) / 16) {
      case 1:
        scores_of_page<M, 1>(t, q, t.pages[p], next, seen, scores + at, tops);
        break;
      case 2:
        scores_of_page<M, 2>(t, q, t.pages[p], next, seen, scores + at, tops);
        break;
      case 3:
        scores_of_page<M, 3>(t, q, t.pages[p], next, seen, scores + at, tops);
        break;
      default:
        scores_of_page<M, 4>(t, q, t.pages[p], next, seen, scores + at, tops);
    }
  }
  for (int m = 0; m < M; ++m) {
    const float top = largest(tops[m]);
    const F shift = set(top);
    F total = zero();
    for (size_t at = 0; at < count; at += 16) {
      const F s = load(scores + static_cast<size_t>(m) * kSpan + at);
      // A row that sees nothing here has top = kNothing and would give ones.
      F e = exp2(sub(s, shift));
      if (top <= kNothing) e = zero();
      total = add(total, e);
      store_bf16(weights + static_cast<size_t>(m) * kSpan + at, e);
    }
    fresh[static_cast<size_t>(m) * stride + d] = top;
    fresh[static_cast<size_t>(m) * stride + d + 1] = sum(total);
  }
}

// One span for M rows: its state into `fresh`.
template <int M>
static void attend_span(const AttendTask& t, size_t row, size_t page0, size_t count, float* fresh) {
  const size_t d = round_up(t.value_width, 16), stride = attend_state(t.value_width);
  float* scores = t.scratch;
  uint16_t* weights = reinterpret_cast<uint16_t*>(scores + M * kSpan);
  const Values of{t.pages, t.head_width * kPage, d};
  weights_of_span<M>(t, row, page0, count, scores, weights, of.at(page0), fresh);
  size_t column = 0;
  for (; column + 64 <= d; column += 64)
    values<M, 4>(of, page0, count, column, weights, stride, fresh + column);
  for (; column < d; column += 16)
    values<M, 1>(of, page0, count, column, weights, stride, fresh + column);
}

template <int M>
static size_t attend_tiles(const AttendTask& t, size_t row, size_t rows) {
  const size_t stride = attend_state(t.value_width);
  alignas(64) float fresh[M * (512 + 16)];
  for (; row + M <= rows; row += M) {
    // What any of these rows sees: pages from `begin`, positions to `end`.
    const size_t first = static_cast<size_t>(t.first_position) + row / t.group;
    const size_t last = static_cast<size_t>(t.first_position) + (row + M - 1) / t.group;
    const size_t window = static_cast<size_t>(t.window);
    const size_t begin = window && first + 1 > window ? (first + 1 - window) / kPage : 0;
    const size_t end = round_up(last + 1, 16);
    for (size_t s = t.span0; s < t.span1; ++s) {
      const size_t p0 = s * kPagesInSpan > begin ? s * kPagesInSpan : begin;
      const size_t stop = (s + 1) * kSpan < end ? (s + 1) * kSpan : end;
      if (p0 * kPage >= stop) continue;
      attend_span<M>(t, row, p0, stop - p0 * kPage, fresh);
      attend_merge(M, t.value_width, t.state + row * stride, fresh);
    }
  }
  if constexpr (M > 1) {
    constexpr int kNext = M > 4 ? 4 : M > 3 ? 3 : M - 1;
    if (row < rows) return attend_tiles<kNext>(t, row, rows);
  }
  return row;
}

static void forget(const AttendTask& t) {
  const size_t d = round_up(t.value_width, 16), stride = attend_state(t.value_width);
  for (size_t r = 0; r < t.rows; ++r) {
    float* state = t.state + r * stride;
    for (size_t at = 0; at < d; at += 16) store(state + at, zero());
    state[d] = kNothing;
    state[d + 1] = 0.f;
  }
}

static void attend(const AttendTask& t) {
  if (!t.more) forget(t);
  attend_tiles<kAttendRows>(t, 0, t.rows);
}

// does.tile<M>(row) for tiles of M rows, then of fewer.
template <int M, class Does>
INLINE void tiles_of(size_t row, size_t rows, const Does& does) {
  for (; row + M <= rows; row += M) does.template tile<M>(row);
  if constexpr (M > 1) {
    constexpr int kNext = M > 4 ? 4 : M > 3 ? 3 : M - 1;
    if (row < rows) tiles_of<kNext>(row, rows, does);
  }
}

struct LatentSpan {
  const AttendTask& t;
  size_t page0, count;
  float* scores;      // of one tile
  uint16_t* strip;    // [count / 2][kStrip][2]
  uint16_t* weights;  // [rows][kSpan]
  float* fresh;       // [rows][attend_state]
  template <int M>
  MEMBER void tile(size_t row) const {
    const uint16_t* after = t.pages[page0];
    weights_of_span<M>(t, row, page0, count, scores, weights + row * kSpan, after,
                       fresh + row * attend_state(t.value_width));
  }
};

// The values of some columns, turned out of the keys once for all rows.
INLINE void turn_strip(const LatentSpan& s, size_t column, size_t width) {
  for (size_t at = 0; at < s.count; at += 16) {
    const uint16_t* keys = s.t.pages[s.page0 + at / kPage] + column * kPage + at % kPage * 2;
    for (size_t c = 0; c < width; c += 16)
      turn_block(keys + c * kPage, 2 * kPage, s.strip + at * kStrip + 2 * c, 2 * kStrip);
  }
}

template <int C>
struct LatentValues {
  const LatentSpan& s;
  Values of;
  size_t column, in_strip;
  template <int M>
  MEMBER void tile(size_t row) const {
    const size_t stride = attend_state(s.t.value_width);
    values<M, C>(of, 0, s.count, in_strip, s.weights + row * kSpan, stride,
                 s.fresh + row * stride + column + in_strip);
  }
};

static void attend_latent(const AttendTask& t) {
  if (!t.more) forget(t);
  LatentSpan s{t, 0, 0, t.scratch, nullptr, nullptr, nullptr};
  s.strip = reinterpret_cast<uint16_t*>(s.scores + 8 * kSpan);
  s.weights = s.strip + kSpan * kStrip;
  s.fresh = reinterpret_cast<float*>(s.weights + t.rows * kSpan);
  const uint16_t* tiles[kPagesInSpan];
  for (size_t i = 0; i < kPagesInSpan; ++i) tiles[i] = s.strip + i * kPage * kStrip;
  const size_t last = static_cast<size_t>(t.first_position) + (t.rows - 1) / t.group;
  const size_t end = round_up(last + 1, 16);
  for (size_t span = t.span0; span < t.span1 && span * kSpan < end; ++span) {
    s.page0 = span * kPagesInSpan;
    s.count = (end < (span + 1) * kSpan ? end : (span + 1) * kSpan) - span * kSpan;
    tiles_of<kAttendRows>(0, t.rows, s);
    for (size_t column = 0; column < t.value_width; column += kStrip) {
      const size_t width = t.value_width - column < kStrip ? t.value_width - column : kStrip;
      const Values of{tiles, 0, kStrip};
      turn_strip(s, column, width);
      if (width == kStrip) {
        tiles_of<kAttendRows>(0, t.rows, LatentValues<kStrip / 16>{s, of, column, 0});
        continue;
      }
      for (size_t c = 0; c < width; c += 16)
        tiles_of<kAttendRows>(0, t.rows, LatentValues<1>{s, of, column, c});
    }
    attend_merge(t.rows, t.value_width, t.state, s.fresh);
  }
}

static void write_k(const float* k, size_t width, size_t place, uint16_t* keys) {
  alignas(64) uint16_t rounded[16];
  for (size_t at = 0; at < width; at += 16) {
    store_bf16(rounded, load_up_to(k, at, width));
    for (size_t i = 0; i < 16 && at + i < width; i += 2)
      __builtin_memcpy(keys + ((at + i) / 2 * kPage + place) * 2, rounded + i, 4);
  }
}

static void write_v(const float* v, size_t width, size_t place, uint16_t* values) {
  const size_t d = round_up(width, 16);
  alignas(64) uint16_t rounded[16];
  for (size_t at = 0; at < width; at += 16) {
    store_bf16(rounded, load_up_to(v, at, width));
    for (size_t i = 0; i < 16; ++i) values[(place / 2 * d + at + i) * 2 + place % 2] = rounded[i];
  }
}
