// What happens to one row of activations at a time: norm, rotation, gate, quantization.

// exp by 2^n * p(f), f in [-1/2, 1/2]: a polynomial of degree 7 (Taylor of 2^f, error below 1e-8
// there). Exactly 1 at 0, and exactly 0 far below.
INLINE F exp(F x) {
  const F t = mul(x, set(1.44269504f));
  const F n = nearest(t), f = sub(t, n);
  F p = set(1.52527338e-5f);
  p = fma(p, f, set(1.54035304e-4f));
  p = fma(p, f, set(1.33335581e-3f));
  p = fma(p, f, set(9.61812911e-3f));
  p = fma(p, f, set(5.55041087e-2f));
  p = fma(p, f, set(2.40226507e-1f));
  p = fma(p, f, set(6.93147181e-1f));
  p = fma(p, f, set(1.f));
  return times_pow2(p, n);
}

INLINE F load_up_to(const float* x, size_t at, size_t width) {
  return at + 16 <= width ? load(x + at) : load_first(x + at, static_cast<int>(width - at));
}
INLINE void store_up_to(float* y, size_t at, size_t width, F v) {
  if (at + 16 <= width)
    store(y + at, v);
  else
    store_first(y + at, v, static_cast<int>(width - at));
}

// Codes are x * (127 / largest) to the nearest, so never -128; the scale is largest / 127. Of 16
// bits, the low byte is 256 times what the high one leaves, and the scale a 256th.
template <bool kLow>
INLINE void codes_of(F scaled, int8_t* high, int8_t* low) {
  const F bottom = set(-127.f), top = set(127.f);
  scaled = min(max(scaled, bottom), top);
  const F whole = nearest(scaled);
  store_bytes(high, to_int(whole));
  if constexpr (kLow) {
    const F rest = nearest(mul(sub(scaled, whole), set(256.f)));
    store_bytes(low, to_int(min(max(rest, bottom), top)));
  }
}

// The sums of a row's codes, behind them, in units of the scale: of groups `first` to `last` among
// `groups`. 64 codes at once; a lone half is read with zeros.
template <bool kLow>
INLINE void sum_codes(const int8_t* high, const int8_t* low, size_t first, size_t last,
                      size_t groups, float* scale) {
  float* scaled_sum = scale + groups;
  int32_t* negated = reinterpret_cast<int32_t*>(scaled_sum + groups);
  alignas(64) int8_t half[2 * kGroup] = {};
  const auto sums_at = [&](const int8_t* codes, bool both, int32_t* sums) {
    if (!both) codes = static_cast<const int8_t*>(__builtin_memcpy(half, codes, kGroup));
    sums_of_16(codes, sums);
  };
  for (size_t g = first; g < last; g += 2) {
    int32_t sums[4];
    sums_at(high + g * kGroup, g + 1 < last, sums);
    if constexpr (kLow) {
      int32_t rest[4];
      sums_at(low + g * kGroup, g + 1 < last, rest);
      for (int i = 0; i < 4; ++i) sums[i] = 256 * sums[i] + rest[i];
    }
    for (size_t i = 0; i < 2 && g + i < last; ++i) {
      const int32_t one = sums[2 * i], two = sums[2 * i + 1];
      scaled_sum[g + i] = scale[g + i] * static_cast<float>(one + two);
      negated[g + i] = -(one + two);
      negated[groups + 2 * (g + i)] = -one;
      negated[groups + 2 * (g + i) + 1] = -two;
    }
  }
}

template <bool kLow>
INLINE void quantize_row(const float* x, size_t width, size_t column, size_t k, uint8_t* out) {
  int8_t* high = reinterpret_cast<int8_t*>(out);
  int8_t* low = high + k;
  float* scale = reinterpret_cast<float*>(out + (kLow ? 2 : 1) * k);
  const size_t end = column + round_up(width, kGroup);
  for (size_t to = column; to < end; to += kGroup) {
    const size_t at = to - column;
    const F a = load_up_to(x, at, width);
    const F b = at + 16 < width ? load_up_to(x, at + 16, width) : zero();
    const float top = largest(max(magnitude(a), magnitude(b)));
    const F inverse = set(top >= 0x1p-120f ? 127.f / top : 0.f);  // finite
    codes_of<kLow>(mul(a, inverse), high + to, low + to);
    codes_of<kLow>(mul(b, inverse), high + to + 16, low + to + 16);
    scale[to / kGroup] = top * (kLow ? 1.f / (127.f * 256.f) : 1.f / 127.f);
  }
  sum_codes<kLow>(high, low, column / kGroup, end / kGroup, k / kGroup, scale);
}

static void quantize_q8(const float* x, size_t width, size_t column, size_t k, uint8_t* out) {
  quantize_row<false>(x, width, column, k, out);
}
static void quantize_q16(const float* x, size_t width, size_t column, size_t k, uint8_t* out) {
  quantize_row<true>(x, width, column, k, out);
}

static void to_bf16(const float* x, size_t width, uint16_t* out) {
  for (size_t at = 0; at < round_up(width, kGroup); at += 16)
    store_bf16(out + at, at < width ? load_up_to(x, at, width) : zero());
}

static void rms_norm(const float* x, const float* weight, size_t heads, size_t width, float eps,
                     float* y) {
  for (size_t h = 0; h < heads; ++h, x += width, y += width) {
    F squares = zero();
    for (size_t at = 0; at < width; at += 16) {
      const F v = load_up_to(x, at, width);
      squares = fma(v, v, squares);
    }
    const float mean = sum(squares) / static_cast<float>(width);
    const F factor = set(1.f / __builtin_sqrtf(mean + eps));
    for (size_t at = 0; at < width; at += 16)
      store_up_to(y, at, width,
                  mul(mul(load_up_to(x, at, width), factor), load_up_to(weight, at, width)));
  }
}

static void rope(const float* x, const float* angles, size_t heads, size_t width, size_t rotary,
                 bool interleaved, float* y) {
  const size_t half = rotary / 2;
  const float *cosine = angles, *sine = angles + half;
  for (size_t h = 0; h < heads; ++h, x += width, y += width) {
    if (interleaved) {
      for (size_t i = 0; i < half; ++i) {
        const float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cosine[i] - b * sine[i];
        y[2 * i + 1] = b * cosine[i] + a * sine[i];
      }
    } else {
      for (size_t at = 0; at < half; at += 16) {
        const F a = load_up_to(x, at, half), b = load_up_to(x + half, at, half);
        const F c = load_up_to(cosine, at, half), s = load_up_to(sine, at, half);
        store_up_to(y, at, half, sub(mul(a, c), mul(b, s)));
        store_up_to(y + half, at, half, add(mul(b, c), mul(a, s)));
      }
    }
    for (size_t i = rotary; i < width; ++i) y[i] = x[i];
  }
}

static void silu_mul(const float* gate, const float* up, size_t width, float* y) {
  for (size_t at = 0; at < width; at += 16) {
    const F g = load(gate + at);
    // exp of at most 0 never overflows: silu(g) = g / (1 + e^-g), or g e^g / (1 + e^g).
    const F e = exp(sub(zero(), magnitude(g)));
    const F top = pick(at_least(g, zero()), g, mul(g, e));
    store(y + at, mul(div(top, add(set(1.f), e)), load(up + at)));
  }
}

// x * sigmoid(sharpness * x)
INLINE F swish(F x, F sharpness) {
  const F e = exp(sub(zero(), magnitude(mul(sharpness, x))));
  const F top = pick(at_least(x, zero()), x, mul(x, e));
  return div(top, add(set(1.f), e));
}

static void gated(const float* gate, const float* up, size_t width, float sharpness, float shift,
                  float limit, float* y) {
  const F top = set(limit), bottom = set(-limit);
  for (size_t at = 0; at < width; at += 16) {
    const F g = min(load(gate + at), top);
    const F u = max(min(load(up + at), top), bottom);
    store(y + at, mul(swish(g, set(sharpness)), add(u, set(shift))));
  }
}

static void sigmoid(const float* x, size_t n, float* y) {
  for (size_t at = 0; at < n; at += 16) {
    const F v = load(x + at), e = exp(sub(zero(), magnitude(v)));
    store(y + at, div(pick(at_least(v, zero()), set(1.f), e), add(set(1.f), e)));
  }
}

static void scale_row(const float* x, float factor, size_t width, float* out) {
  for (size_t at = 0; at < width; at += 16) store(out + at, mul(load(x + at), set(factor)));
}

static void add_rows(const float* x, const float* y, size_t width, float* out) {
  for (size_t at = 0; at < width; at += 16) store(out + at, add(load(x + at), load(y + at)));
}

static float largest_of(const float* x, size_t n) {
  F top = set(-__builtin_inff());
  size_t at = 0;
  for (; at + 16 <= n; at += 16) top = max(top, load(x + at));
  float best = largest(top);
  for (; at < n; ++at) best = x[at] > best ? x[at] : best;
  return best;
}

static float sum_exp(const float* x, size_t n, float top) {
  F total = zero();
  for (size_t at = 0; at < n; at += 16) {
    const F e = exp(sub(load(x + at), set(top)));
    total = add(total, at + 16 <= n ? e : keep(e, (1u << (n - at)) - 1));
  }
  return sum(total);
}

static void exps(const float* x, size_t n, float top, float scale, float* y) {
  for (size_t at = 0; at < n; at += 16)
    store(y + at, exp(mul(sub(load(x + at), set(top)), set(scale))));
}

static size_t at_or_above(const float* x, size_t n, float floor, int32_t* where, size_t room) {
  size_t found = 0;
  for (size_t at = 0; at < n; at += 16) {
    uint32_t lanes = at_least(load(x + at), set(floor));
    if (at + 16 > n) lanes &= (1u << (n - at)) - 1;
    for (; lanes; lanes &= lanes - 1, ++found)
      if (found < room) where[found] = static_cast<int32_t>(at) + __builtin_ctz(lanes);
  }
  return found;
}
