// The vocabulary every kernel is written in, on plain C++: 16 lanes, which the compiler maps to
// what the machine has. Three jobs: the meaning of each word, the fallback, the baseline.
//
//   F     16 fp32 lanes              I      16 int32 lanes
//   Bytes 64 bytes, 4 for each lane  Quad   4 activations, the same for each lane
//   Pairs 32 bf16, 2 for each lane
//
// Included inside an anonymous namespace. No fused multiply-add here: without the instruction it is
// a slow library call. Bits are promised within one instruction set, not across them.
constexpr int kTileBlocks = 1, kTileTokens = 2, kAttendRows = 1, kDenseBlocks = 1, kDenseTokens = 2;

struct F {
  float v[16];
};
struct I {
  int32_t v[16];
};
struct Bytes {
  uint8_t v[64];
};
struct Quad {
  int8_t v[4];
};
struct Pairs {
  uint32_t v[16];
};
#define LANES for (int i = 0; i < 16; ++i)

INLINE float from_bits(uint32_t bits) {
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}
INLINE uint32_t to_bits(float f) {
  uint32_t bits;
  __builtin_memcpy(&bits, &f, 4);
  return bits;
}
INLINE float half(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 0) {  // a whole number of 2^-24
    const float f = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -f : f;
  }
  return from_bits(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

INLINE F set(float x) {
  F r;
  LANES r.v[i] = x;
  return r;
}
INLINE F zero() { return set(0.f); }
INLINE F load(const float* p) {
  F r;
  LANES r.v[i] = p[i];
  return r;
}
INLINE void store(float* p, F a) { LANES p[i] = a.v[i]; }
// The first n lanes; the others are zero, or left alone in memory.
INLINE F load_first(const float* p, int n) {
  F r = zero();
  for (int i = 0; i < n; ++i) r.v[i] = p[i];
  return r;
}
INLINE void store_first(float* p, F a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
INLINE F load_half(const uint16_t* p) {
  F r;
  LANES r.v[i] = half(p[i]);
  return r;
}
INLINE F load_bf16(const uint16_t* p) {
  F r;
  LANES r.v[i] = from_bits(static_cast<uint32_t>(p[i]) << 16);
  return r;
}
template <class Whole>
INLINE F widen(const Whole* p) {
  F r;
  LANES r.v[i] = static_cast<float>(p[i]);
  return r;
}
// Of 16 bytes the low halves, and the high ones.
INLINE F widen_low(const uint8_t* p) {
  F r;
  LANES r.v[i] = static_cast<float>(p[i] & 15);
  return r;
}
INLINE F widen_high(const uint8_t* p) {
  F r;
  LANES r.v[i] = static_cast<float>(p[i] >> 4);
  return r;
}
INLINE F add(F a, F b) {
  LANES a.v[i] += b.v[i];
  return a;
}
INLINE F sub(F a, F b) {
  LANES a.v[i] -= b.v[i];
  return a;
}
INLINE F mul(F a, F b) {
  LANES a.v[i] *= b.v[i];
  return a;
}
INLINE F div(F a, F b) {
  LANES a.v[i] /= b.v[i];
  return a;
}
INLINE F fma(F a, F b, F c) { return add(mul(a, b), c); }
INLINE F max(F a, F b) {
  LANES a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
INLINE F min(F a, F b) {
  LANES a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
INLINE F magnitude(F a) {
  LANES a.v[i] = a.v[i] < 0.f ? -a.v[i] : a.v[i];
  return a;
}
// To the nearest whole number, ties to even: adding 1.5 * 2^23 leaves no bits for a fraction.
INLINE F nearest(F a) {
  LANES {
    const float t = a.v[i], r = (t + 0x1.8p23f) - 0x1.8p23f;
    a.v[i] = t > -0x1p22f && t < 0x1p22f ? r : t;
  }
  return a;
}
// v * 2^n of whole numbers n up to 127; zero at -127 and below, give or take.
INLINE F times_pow2(F v, F n) {
  LANES {
    const float c = n.v[i] < -127.f ? -127.f : n.v[i] > 127.f ? 127.f : n.v[i];
    v.v[i] *= from_bits(static_cast<uint32_t>(static_cast<int32_t>(c) + 127) << 23);
  }
  return v;
}
INLINE float sum(F a) {
  for (int width = 8; width; width /= 2)
    for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
  return a.v[0];
}
INLINE float largest(F a) {
  for (int i = 1; i < 16; ++i) a.v[0] = a.v[i] > a.v[0] ? a.v[i] : a.v[0];
  return a.v[0];
}
// Lanes whose bit is set; the others are zero (keep), or from `no` (pick).
INLINE F pick(uint32_t lanes, F yes, F no) {
  LANES no.v[i] = lanes >> i & 1 ? yes.v[i] : no.v[i];
  return no;
}
INLINE F keep(F a, uint32_t lanes) { return pick(lanes, a, zero()); }
INLINE uint32_t at_least(F a, F b) {
  uint32_t lanes = 0;
  LANES lanes |= static_cast<uint32_t>(a.v[i] >= b.v[i]) << i;
  return lanes;
}

INLINE I iset(int32_t x) {
  I r;
  LANES r.v[i] = x;
  return r;
}
INLINE I izero() { return iset(0); }
template <int N>
INLINE I shift_left(I a) {
  LANES a.v[i] = static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) << N);
  return a;
}
INLINE I plus(I a, I b) {
  for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
  return a;
}
INLINE F to_float(I a) {
  F r;
  LANES r.v[i] = static_cast<float>(a.v[i]);
  return r;
}
INLINE I to_int(F a) {  // of whole numbers
  I r;
  LANES r.v[i] = static_cast<int32_t>(a.v[i]);
  return r;
}
INLINE void store_bytes(int8_t* p, I a) { LANES p[i] = static_cast<int8_t>(a.v[i]); }

INLINE Bytes load_bytes(const uint8_t* p) {
  Bytes r;
  __builtin_memcpy(r.v, p, 64);
  return r;
}
INLINE Bytes low(Bytes a) {
  for (int i = 0; i < 64; ++i) a.v[i] &= 15;
  return a;
}
INLINE Bytes high(Bytes a) {
  for (int i = 0; i < 64; ++i) a.v[i] >>= 4;
  return a;
}
// Codes of 4 bits are fp4 numbers, sign first; twice the number, and 12, is a byte.
INLINE Bytes fp4(Bytes a) {
  constexpr uint8_t kTable[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
  for (int i = 0; i < 64; ++i) a.v[i] = kTable[a.v[i]];
  return a;
}
// 2^(e - 127) of 16 bytes.
INLINE F load_power(const uint8_t* p) {
  F r;
  LANES r.v[i] = p[i] ? from_bits(static_cast<uint32_t>(p[i]) << 23) : 0x1p-127f;
  return r;
}
INLINE Quad quad(const int8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
// acc[i] += codes[4i..4i+3] . x, exact. dot_low: codes are at most 24; dot_full: at most 255.
INLINE I dot_full(I acc, Bytes w, Quad x) {
  LANES acc.v[i] += w.v[4 * i] * x.v[0] + w.v[4 * i + 1] * x.v[1] + w.v[4 * i + 2] * x.v[2] +
                    w.v[4 * i + 3] * x.v[3];
  return acc;
}
INLINE I dot_low(I acc, Bytes w, Quad x) { return dot_full(acc, w, x); }

// Of 64 codes, the sums of each 16.
INLINE void sums_of_16(const int8_t* codes, int32_t* sums) {
  for (int i = 0; i < 4; ++i) {
    sums[i] = 0;
    for (int j = 0; j < 16; ++j) sums[i] += codes[16 * i + j];
  }
}

INLINE Pairs load_pairs(const uint16_t* p) {
  Pairs r;
  __builtin_memcpy(r.v, p, 64);
  return r;
}
INLINE Pairs pair(uint32_t x) {
  Pairs r;
  LANES r.v[i] = x;
  return r;
}
INLINE F first_of(Pairs a) {
  F r;
  LANES r.v[i] = from_bits(a.v[i] << 16);
  return r;
}
INLINE F second_of(Pairs a) {
  F r;
  LANES r.v[i] = from_bits(a.v[i] & 0xffff0000u);
  return r;
}
// acc[i] += a[2i] * b[2i] + a[2i+1] * b[2i+1]; how it rounds is the instruction set's own.
INLINE F dot_pairs(F acc, Pairs a, Pairs b) {
  LANES acc.v[i] += from_bits(a.v[i] << 16) * from_bits(b.v[i] << 16);
  LANES acc.v[i] += from_bits(a.v[i] & 0xffff0000u) * from_bits(b.v[i] & 0xffff0000u);
  return acc;
}
// Nearest, ties to even. NaN may become infinity: a model that makes NaN is lost either way.
INLINE uint16_t bf16_of(float value) {
  const uint32_t bits = to_bits(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
INLINE void store_bf16(uint16_t* p, F a) { LANES p[i] = bf16_of(a.v[i]); }
// Each lane's two beside each other.
INLINE void store_pairs(uint16_t* p, F first, F second) {
  LANES {
    p[2 * i] = bf16_of(first.v[i]);
    p[2 * i + 1] = bf16_of(second.v[i]);
  }
}
#undef LANES
