// Rows of a training step: bf16 in memory, fp32 in between, each read once or from the first cache.

INLINE F bf16_up_to(const uint16_t* x, size_t at, size_t width) {
  if (at + 16 <= width) return load_bf16(x + at);
  uint16_t lanes[16] = {};
  __builtin_memcpy(lanes, x + at, 2 * (width - at));
  return load_bf16(lanes);
}
INLINE void put_bf16_up_to(uint16_t* y, size_t at, size_t width, F v) {
  if (at + 16 <= width) return store_bf16(y + at, v);
  uint16_t lanes[16];
  store_bf16(lanes, v);
  __builtin_memcpy(y + at, lanes, 2 * (width - at));
}

// exp of at most 0, however far below; of NaN it is NaN.
INLINE F exp_below(F x) { return exp(max(set(-150.f), x)); }

static void logit_exps(const uint16_t* logits, size_t n, float* exps, float* top, float* total) {
  const size_t whole = n / 16 * 16;
  const uint32_t rest = (1u << (n - whole)) - 1;
  F best = set(-__builtin_inff());
  for (size_t at = 0; at < whole; at += 16) best = max(best, load_bf16(logits + at));
  if (rest) best = max(best, pick(rest, bf16_up_to(logits, whole, n), best));
  *top = largest(best);
  const F most = set(*top);
  F sums = zero();
  for (size_t at = 0; at < whole; at += 16) {
    const F e = exp_below(sub(load_bf16(logits + at), most));
    store(exps + at, e);
    sums = add(sums, e);
  }
  if (rest) {
    const F e = exp_below(sub(bf16_up_to(logits, whole, n), most));
    store(exps + whole, e);
    sums = add(sums, keep(e, rest));
  }
  *total = sum(sums);
}

static void logit_slopes(const float* exps, size_t n, float total, size_t target, float learned,
                         uint16_t* slopes) {
  const F factor = set(learned / total);
  for (size_t at = 0; at < n; at += 16) put_bf16_up_to(slopes, at, n, mul(load(exps + at), factor));
  put_bf16_up_to(slopes + target, 0, 1, set((exps[target] / total - 1.f) * learned));
}

static void add_bf16(const uint16_t* x, size_t n, float* sums) {
  for (size_t at = 0; at < n; at += 16)
    store_up_to(sums, at, n, add(load_up_to(sums, at, n), bf16_up_to(x, at, n)));
}

// Where all that is left is minus infinity, or NaN is met, the first that was not taken.
INLINE size_t next_largest(const float* x, size_t n, const int64_t* ids, size_t found) {
  F best = set(-__builtin_inff());
  for (size_t at = 0; at < n; at += 16) best = max(best, load(x + at));
  const float top = largest(best);
  for (size_t at = 0; at < n && top > -__builtin_inff(); at += 16)
    if (const uint32_t lanes = at_least(load(x + at), set(top))) return at + __builtin_ctz(lanes);
  for (size_t id = 0;; ++id) {
    bool taken = false;
    for (size_t i = 0; i < found; ++i) taken |= ids[i] == static_cast<int64_t>(id);
    if (!taken) return id;
  }
}
static void largest_ids(const float* x, size_t n, size_t count, float* room, int64_t* ids) {
  const F lowest = set(-__builtin_inff());
  store(room + (n - 1) / 16 * 16, lowest);
  __builtin_memcpy(room, x, 4 * n);
  for (size_t found = 0; found < count; ++found) {
    const size_t id = next_largest(room, n, ids, found);
    ids[found] = static_cast<int64_t>(id);
    room[id] = -__builtin_inff();
  }
}

static void train_norm(const uint16_t* x, const float* weight, size_t rows, size_t width, float eps,
                       uint16_t* y, float* inverse) {
  for (size_t r = 0; r < rows; ++r, x += width, y += width) {
    F squares = zero();
    for (size_t at = 0; at < width; at += 16) {
      const F v = bf16_up_to(x, at, width);
      squares = fma(v, v, squares);
    }
    inverse[r] = 1.f / __builtin_sqrtf(sum(squares) / static_cast<float>(width) + eps);
    const F factor = set(inverse[r]);
    for (size_t at = 0; at < width; at += 16)
      put_bf16_up_to(y, at, width,
                     mul(mul(bf16_up_to(x, at, width), factor), load_up_to(weight, at, width)));
  }
}

// With u = x * inverse: grad_x = inverse * (grad * weight - u * mean(grad * weight * u)).
static void train_norm_back(const uint16_t* grad, const uint16_t* x, const float* inverse,
                            const float* weight, size_t rows, size_t width, uint16_t* grad_x,
                            float* grad_weight) {
  for (size_t r = 0; r < rows; ++r, grad += width, x += width, grad_x += width) {
    F products = zero();
    for (size_t at = 0; at < width; at += 16)
      products = fma(mul(bf16_up_to(grad, at, width), load_up_to(weight, at, width)),
                     bf16_up_to(x, at, width), products);
    const F factor = set(inverse[r]);
    const F along = set(sum(products) * inverse[r] / static_cast<float>(width));
    for (size_t at = 0; at < width; at += 16) {
      const F g = bf16_up_to(grad, at, width), unit = mul(bf16_up_to(x, at, width), factor);
      store(grad_weight + at, fma(g, unit, load(grad_weight + at)));
      const F across = sub(mul(g, load_up_to(weight, at, width)), mul(unit, along));
      put_bf16_up_to(grad_x, at, width, mul(across, factor));
    }
  }
}

INLINE void turn_halves(const uint16_t* x, const float* cosine, const float* sine, F sign,
                        size_t half, uint16_t* y) {
  for (size_t at = 0; at < half; at += 16) {
    const F a = bf16_up_to(x, at, half), b = bf16_up_to(x + half, at, half);
    const F c = load_up_to(cosine, at, half), s = mul(load_up_to(sine, at, half), sign);
    put_bf16_up_to(y, at, half, sub(mul(a, c), mul(b, s)));
    put_bf16_up_to(y + half, at, half, add(mul(b, c), mul(a, s)));
  }
}
INLINE void turn_neighbours(const uint16_t* x, const float* cosine, const float* sine, F sign,
                            size_t half, uint16_t* y) {
  for (size_t at = 0; at < half; at += 16) {
    const size_t bytes = 4 * (half - at < 16 ? half - at : 16);
    alignas(64) uint16_t both[32] = {};
    __builtin_memcpy(both, x + 2 * at, bytes);
    const Pairs pairs = load_pairs(both);
    const F a = first_of(pairs), b = second_of(pairs);
    const F c = load_up_to(cosine, at, half), s = mul(load_up_to(sine, at, half), sign);
    store_pairs(both, sub(mul(a, c), mul(b, s)), add(mul(b, c), mul(a, s)));
    __builtin_memcpy(y + 2 * at, both, bytes);
  }
}
// Heads of a few pairs, all turned, go together: their angles are written side by side.
INLINE void turn_small(const uint16_t* x, const float* cosine, const float* sine, F sign,
                       size_t heads, size_t half, uint16_t* y) {
  float both[2][16];
  for (size_t i = 0; i < 16; ++i) both[0][i] = cosine[i % half], both[1][i] = sine[i % half];
  const size_t pairs = heads * half;
  for (size_t at = 0; at < pairs; at += 16)
    turn_neighbours(x + 2 * at, both[0], both[1], sign, pairs - at < 16 ? pairs - at : 16,
                    y + 2 * at);
}
static void train_turn(const uint16_t* x, const float* cosine, const float* sine, float sign,
                       size_t heads, size_t width, size_t half, bool interleaved, uint16_t* y) {
  if (interleaved && width == 2 * half && (half == 8 || half == 4))
    return turn_small(x, cosine, sine, set(sign), heads, half, y);
  for (size_t h = 0; h < heads; ++h, x += width, y += width) {
    if (interleaved)
      turn_neighbours(x, cosine, sine, set(sign), half, y);
    else
      turn_halves(x, cosine, sine, set(sign), half, y);
    if (width > 2 * half) __builtin_memcpy(y + 2 * half, x + 2 * half, 2 * (width - 2 * half));
  }
}

INLINE F sigmoid_of(F x) {
  const F e = exp_below(sub(zero(), magnitude(x)));
  return div(pick(at_least(x, zero()), set(1.f), e), add(set(1.f), e));
}

static void train_gated(const uint16_t* gate, const uint16_t* up, const float* by_row, size_t rows,
                        size_t width, uint16_t* y) {
  for (size_t r = 0; r < rows; ++r, gate += width, up += width, y += width) {
    const F factor = set(by_row ? by_row[r] : 1.f);
    for (size_t at = 0; at < width; at += 16) {
      const F g = bf16_up_to(gate, at, width);
      const F active = mul(mul(g, sigmoid_of(g)), bf16_up_to(up, at, width));
      put_bf16_up_to(y, at, width, mul(active, factor));
    }
  }
}

static void train_gated_back(const uint16_t* grad, const uint16_t* gate, const uint16_t* up,
                             const float* by_row, size_t rows, size_t width, uint16_t* grad_gate,
                             uint16_t* grad_up, float* grad_by_row) {
  const F one = set(1.f);
  for (size_t r = 0; r < rows; ++r, grad += width, gate += width, up += width) {
    const F factor = set(by_row ? by_row[r] : 1.f);
    F products = zero();
    for (size_t at = 0; at < width; at += 16) {
      const F d = bf16_up_to(grad, at, width), g = bf16_up_to(gate, at, width);
      const F u = bf16_up_to(up, at, width), s = sigmoid_of(g), silu = mul(g, s);
      products = fma(mul(d, silu), u, products);
      const F active = mul(d, factor), slope = mul(s, fma(g, sub(one, s), one));
      put_bf16_up_to(grad_up, at, width, mul(active, silu));
      put_bf16_up_to(grad_gate, at, width, mul(mul(active, u), slope));
    }
    if (grad_by_row) grad_by_row[r] = sum(products);
    grad_gate += width;
    grad_up += width;
  }
}

static constexpr TrainRows kTrainRows{
    logit_exps,      logit_slopes, add_bf16,    largest_ids,      train_norm,
    train_norm_back, train_turn,   train_gated, train_gated_back,
};
