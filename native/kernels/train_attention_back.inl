// The backward pass: weights anew from the largest scores and sums that the forward pass kept, then
// the gradients of values, weights, keys and queries. Those of keys and values are summed over all
// queries of the group in fp32, in ascending order.

// What a block of queries needs of its own.
struct Asking {
  uint16_t *q_turned, *q_rows, *grad_turned, *grad_rows, *out_turned;
  float* grad_q;
  F top[kVectors], share[kVectors], delta[kVectors];  // share: one over the sum of weights
};

// What 16 keys, or 64, hand on: weights [16 keys][64], the gradient of scores so and in pairs.
struct Handed {
  float* exact;       // [16][64]
  uint16_t* weights;  // [16][64]
  uint16_t* scores;   // [16][64]
  uint16_t* pairs;    // [64 / 2][64][2]
};

template <int C>
APART void train_weights_back(const TrainAttend& t, const Singles& keys, const Asking& a,
                              const Sight& s, size_t key, size_t query, const Handed& h) {
  const F scale = set(t.scale * 1.44269504f);
  const size_t lane = s.from * 16;
  sixteen<C>(keys, a.q_turned + lane * 2, 2 * kBlock, t.width / 2,
             [&](int row, auto& acc) __attribute__((always_inline)) {
               for (int m = 0; m < score_rows(C); m += 2) {
                 const size_t r = static_cast<size_t>(row + m);
                 for (int c = 0; c < C; ++c) {
                   const size_t v = s.from + static_cast<size_t>(c), at = r * kBlock + v * 16;
                   F w[2];
                   for (size_t i = 0; i < 2; ++i) {
                     const F x = sub(mul(acc[m + static_cast<int>(i)][c], scale), a.top[v]);
                     w[i] = mul(exp2(x), a.share[v]);
                     if (!s.whole) w[i] = keep(w[i], seeing(key + r + i, query + v * 16, t.window));
                     store(h.exact + at + i * kBlock, w[i]);
                   }
                   store_rows(h.weights + at, h.weights + at + kBlock, rounded(w[0], w[1]));
                 }
               }
             });
}

template <int C>
APART void train_scores_back(const TrainAttend& t, const Singles& values, const Asking& a,
                             const Sight& s, size_t key_in_block, const Handed& h) {
  const size_t lane = s.from * 16;
  uint16_t* pairs = h.pairs + key_in_block * kBlock;
  sixteen<C>(values, a.grad_turned + lane * 2, 2 * kBlock, t.value_width / 2,
             [&](int row, auto& acc) __attribute__((always_inline)) {
               for (int m = 0; m < score_rows(C); m += 2) {
                 const size_t r = static_cast<size_t>(row + m);
                 for (int c = 0; c < C; ++c) {
                   const size_t v = s.from + static_cast<size_t>(c), at = r * kBlock + v * 16;
                   const F first = mul(load(h.exact + at), sub(acc[m][c], a.delta[v]));
                   const F second =
                       mul(load(h.exact + at + kBlock), sub(acc[m + 1][c], a.delta[v]));
                   const __m512i both = rounded(first, second);
                   store_rows(h.scores + at, h.scores + at + kBlock, both);
                   _mm512_store_si512(pairs + r * kBlock + v * 32, interleaved(both));
                 }
               }
             });
}

static void ask(const TrainAttend& t, Tokens<const uint16_t> out, Tokens<const uint16_t> grad,
                size_t head, size_t query, size_t count, Asking& a) {
  const Tokens<const uint16_t> q{t.q.at + query * t.q.stride + head * t.width, t.q.stride};
  const size_t c = head * t.value_width;
  const Tokens<const uint16_t> o{out.at + query * out.stride + c, out.stride};
  const Tokens<const uint16_t> g{grad.at + query * grad.stride + c, grad.stride};
  turn_pairs(q, count, t.width, a.q_turned);
  interleave(q, count, t.width, a.q_rows);
  turn_pairs(g, count, t.value_width, a.grad_turned);
  interleave(g, count, t.value_width, a.grad_rows);
  turn_pairs(o, count, t.value_width, a.out_turned);
  const float* stats = t.stats + head * t.stats_head + query;
  for (size_t v = 0; v * 16 < count; ++v) {
    const int real = static_cast<int>(count - v * 16 < 16 ? count - v * 16 : 16);
    a.top[v] = load_first(stats + v * 16, real);
    a.share[v] =
        keep(div(set(1.f), load_first(stats + t.stats_sum + v * 16, real)), (1u << real) - 1);
    F delta = zero();
    for (size_t j = 0; j < t.value_width / 2; ++j) {
      const size_t at = j * 2 * kBlock + v * 32;
      delta = dot_pairs(delta, load_pairs(a.grad_turned + at), load_pairs(a.out_turned + at));
    }
    a.delta[v] = delta;
  }
}

static void train_attend_back(const TrainAttend& t, Tokens<const uint16_t> out,
                              Tokens<const uint16_t> grad, Tokens<uint16_t> grad_q,
                              Tokens<uint16_t> grad_k, Tokens<uint16_t> grad_v) {
  const size_t wide = round_up(t.width, 16), value_wide = round_up(t.value_width, 16);
  const size_t rows = round_up(t.tokens, 16);
  Scratch scratch{t.scratch};
  uint16_t* key_rows = scratch.take<uint16_t>(rows * wide);
  float* sums_k = scratch.take<float>(rows * wide);
  float* sums_v = scratch.take<float>(rows * value_wide);
  Asking a;
  a.q_turned = scratch.take<uint16_t>(kBlock * t.width);
  a.q_rows = scratch.take<uint16_t>(kBlock * wide);
  a.grad_turned = scratch.take<uint16_t>(kBlock * t.value_width);
  a.grad_rows = scratch.take<uint16_t>(kBlock * value_wide);
  a.out_turned = scratch.take<uint16_t>(kBlock * t.value_width);
  a.grad_q = scratch.take<float>(kBlock * wide);
  Handed handed;
  handed.exact = scratch.take<float>(16 * kBlock);
  handed.weights = scratch.take<uint16_t>(16 * kBlock);
  handed.scores = scratch.take<uint16_t>(16 * kBlock);
  handed.pairs = scratch.take<uint16_t>(kBlock * kBlock);
  fetch(t.k, t.tokens, t.width);
  fetch(t.v, t.tokens, t.value_width);
  fetch(t.q, t.tokens, t.group * t.width);
  fetch(out, t.tokens, t.group * t.value_width);
  fetch(grad, t.tokens, t.group * t.value_width);
  interleave(t.k, t.tokens, t.width, key_rows);
  const Sixteens keys = sixteens(t.k, t.tokens, t.width, scratch.take<uint16_t>(16 * t.width));
  const Sixteens values =
      sixteens(t.v, t.tokens, t.value_width, scratch.take<uint16_t>(16 * t.value_width));
  for (size_t head = 0; head < t.group; ++head) {
    for (size_t query = 0; query < t.tokens; query += kBlock) {
      const size_t count = t.tokens - query < kBlock ? t.tokens - query : kBlock;
      const size_t vectors = (count + 15) / 16;
      ask(t, out, grad, head, query, count, a);
      const size_t first = first_block(query, t.window);
      for (size_t block = first; block < query + count; block += kBlock) {
        Reach reach;
        for (size_t key = block; key < block + kBlock && key < query + count; key += 16) {
          const Sight s = sight(key, query, vectors, t.window);
          if (s.from >= s.to) continue;
          reach.add(s, key - block);
          counted(s.to - s.from, [&]<int C>(Number<C>) __attribute__((always_inline)) {
            train_weights_back<C>(t, keys.at(key), a, s, key, query, handed);
            train_scores_back<C>(t, values.at(key), a, s, key - block, handed);
          });
          const bool fresh = head == 0 && block == query;  // who sees a key first is of its block
          const size_t lane = s.from * 16, steps = (s.to - s.from) * 8;
          add_product({handed.weights + lane, kBlock, 2}, a.grad_rows + lane * value_wide, steps,
                      fresh, sums_v + key * value_wide, value_wide);
          add_product({handed.scores + lane, kBlock, 2}, a.q_rows + lane * wide, steps, fresh,
                      sums_k + key * wide, wide);
        }
        for (size_t c = 0; c < vectors; ++c)
          add_product({handed.pairs + reach.from[c] * kBlock + c * 32, 2, 2 * kBlock},
                      key_rows + (block + reach.from[c]) * wide, (reach.to[c] - reach.from[c]) / 2,
                      block == first, a.grad_q + c * 16 * wide, wide);
      }
      write_rows(a.grad_q, count, t.width, t.scale,
                 {grad_q.at + query * grad_q.stride + head * t.width, grad_q.stride});
    }
  }
  write_rows(sums_k, t.tokens, t.width, t.scale, grad_k);
  write_rows(sums_v, t.tokens, t.value_width, 1.f, grad_v);
}
