// The forward pass: scores of a block of keys, the running largest and sum of each query, weights
// rounded to bf16, their products with the values.

struct Running {
  F top[kVectors], sum[kVectors];
};

// Scores [16 keys][64] times log2(e), of one sight's vectors; what is hidden is next to nothing.
template <int C>
APART void train_scores(const TrainAttend& t, const Singles& keys, const uint16_t* turned,
                        const Sight& s, size_t key, size_t query, float* scores, F* tops) {
  const F scale = set(t.scale * 1.44269504f);
  const size_t first = query + s.from * 16;
  F top[C];
  for (int c = 0; c < C; ++c) top[c] = tops[s.from + static_cast<size_t>(c)];
  sixteen<C>(keys, turned + s.from * 32, 2 * kBlock, t.width / 2,
             [&](int row, auto& acc) __attribute__((always_inline)) {
               for (int m = 0; m < score_rows(C); ++m) {
                 const size_t r = static_cast<size_t>(row + m);
                 float* out = scores + r * kBlock + s.from * 16;
                 for (int c = 0; c < C; ++c) {
                   F x = mul(acc[m][c], scale);
                   if (!s.whole)
                     x = pick(seeing(key + r, first + static_cast<size_t>(c) * 16, t.window), x,
                              set(kNothing));
                   top[c] = max(top[c], x);
                   store(out + c * 16, x);
                 }
               }
             });
  for (int c = 0; c < C; ++c) tops[s.from + static_cast<size_t>(c)] = top[c];
}

// Scores to weights [keys / 2][64][2], of one vector of queries; returns their sum.
INLINE F train_weights(const float* scores, size_t from, size_t to, F top, uint16_t* weights) {
  F even = zero(), odd = zero();
  for (size_t key = from; key < to; key += 2) {
    const F a = exp2(sub(load(scores + key * kBlock), top));
    const F b = exp2(sub(load(scores + (key + 1) * kBlock), top));
    even = add(even, a);
    odd = add(odd, b);
    _mm512_store_si512(weights + key * kBlock, interleaved(rounded(a, b)));
  }
  return add(even, odd);
}

INLINE void scale_rows(float* x, size_t rows, size_t width, const float* factors) {
  for (size_t r = 0; r < rows; ++r, x += width)
    for (size_t at = 0; at < width; at += 16) store(x + at, mul(load(x + at), set(factors[r])));
}

static void train_attend(const TrainAttend& t, Tokens<uint16_t> out) {
  const size_t wide = round_up(t.value_width, 16);
  Scratch scratch{t.scratch};
  uint16_t* values = scratch.take<uint16_t>(round_up(t.tokens, 16) * wide);
  uint16_t* turned = scratch.take<uint16_t>(kBlock * t.width);
  float* scores = scratch.take<float>(kBlock * kBlock);
  uint16_t* weights = scratch.take<uint16_t>(kBlock * kBlock);
  float* sums = scratch.take<float>(kBlock * wide);
  float* factors = scratch.take<float>(kBlock);
  fetch(t.v, t.tokens, t.value_width);
  fetch(t.k, t.tokens, t.width);
  fetch(t.q, t.tokens, t.group * t.width);
  interleave(t.v, t.tokens, t.value_width, values);
  const Sixteens keys = sixteens(t.k, t.tokens, t.width, scratch.take<uint16_t>(16 * t.width));
  for (size_t h = 0; h < t.group; ++h) {
    for (size_t query = 0; query < t.tokens; query += kBlock) {
      const size_t count = t.tokens - query < kBlock ? t.tokens - query : kBlock;
      const size_t vectors = (count + 15) / 16;
      turn_pairs({t.q.at + query * t.q.stride + h * t.width, t.q.stride}, count, t.width, turned);
      Running now;
      for (size_t c = 0; c < kVectors; ++c) now.top[c] = set(kNothing), now.sum[c] = zero();
      const size_t first = first_block(query, t.window);
      for (size_t block = first; block < query + count; block += kBlock) {
        F tops[kVectors];
        for (size_t c = 0; c < kVectors; ++c) tops[c] = now.top[c];
        Reach reach;
        for (size_t key = block; key < block + kBlock && key < query + count; key += 16) {
          const Sight s = sight(key, query, vectors, t.window);
          if (s.from >= s.to) continue;
          reach.add(s, key - block);
          counted(s.to - s.from, [&]<int C>(Number<C>) __attribute__((always_inline)) {
            train_scores<C>(t, keys.at(key), turned, s, key, query, scores + (key - block) * kBlock,
                            tops);
          });
        }
        for (size_t c = 0; c < vectors; ++c) {
          const F factor = exp2(sub(now.top[c], tops[c]));
          store(factors + c * 16, factor);
          now.top[c] = tops[c];
          now.sum[c] = fma(now.sum[c], factor,
                           train_weights(scores + c * 16, reach.from[c], reach.to[c], tops[c],
                                         weights + c * 32));
        }
        if (block > first) scale_rows(sums, 16 * vectors, wide, factors);
        for (size_t c = 0; c < vectors; ++c)
          add_product({weights + reach.from[c] * kBlock + c * 32, 2, 2 * kBlock},
                      values + (block + reach.from[c]) * wide, (reach.to[c] - reach.from[c]) / 2,
                      block == first, sums + c * 16 * wide, wide);
      }
      float* stats = t.stats + h * t.stats_head + query;
      for (size_t c = 0; c < vectors; ++c) {
        const int real = static_cast<int>(count - c * 16 < 16 ? count - c * 16 : 16);
        store_first(stats + c * 16, now.top[c], real);
        store_first(stats + t.stats_sum + c * 16, now.sum[c], real);
        store(factors + c * 16, div(set(1.f), now.sum[c]));
      }
      scale_rows(sums, 16 * vectors, wide, factors);
      write_rows(sums, count, t.value_width, 1.f,
                 {out.at + query * out.stride + h * t.value_width, out.stride});
    }
  }
}
