// The vocabulary on AVX2 with FMA and F16C: 16 lanes in two registers. Byte products take one
// instruction where the file is compiled with AVX-VNNI, else two.
// Included inside an anonymous namespace; see portable.h for what each word means.
constexpr int kTileBlocks = 1, kTileTokens = 2, kAttendRows = 1, kDenseBlocks = 1, kDenseTokens = 4;

struct F {
  __m256 a, b;
};
struct I {
  __m256i a, b;
};
using Bytes = I;
using Pairs = I;
using Quad = __m256i;

INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
INLINE F set(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void store(float* p, F v) {
  _mm256_storeu_ps(p, v.a);
  _mm256_storeu_ps(p + 8, v.b);
}
INLINE F load_first(const float* p, int n) {
  alignas(32) float lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
INLINE void store_first(float* p, F v, int n) {
  alignas(32) float lanes[16];
  store(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
INLINE F load_half(const uint16_t* p) {
  const __m128i* at = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
}
INLINE F load_bf16(const uint16_t* p) {
  const auto eight = [](const uint16_t* p) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
  };
  return {eight(p), eight(p + 8)};
}
INLINE F widen(const uint8_t* p) {
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(v, 8)))};
}
INLINE F widen(const int8_t* p) {
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(v, 8)))};
}
INLINE __m256i eight(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
INLINE F widen_low(const uint8_t* p) {
  const __m256i low = _mm256_set1_epi32(15);
  return {_mm256_cvtepi32_ps(_mm256_and_si256(eight(p), low)),
          _mm256_cvtepi32_ps(_mm256_and_si256(eight(p + 8), low))};
}
INLINE F widen_high(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_srli_epi32(eight(p), 4)),
          _mm256_cvtepi32_ps(_mm256_srli_epi32(eight(p + 8), 4))};
}
INLINE F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
INLINE F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
INLINE F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
INLINE F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
INLINE F fma(F x, F y, F z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
INLINE F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
INLINE F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
INLINE F magnitude(F x) {
  const __m256 sign = _mm256_set1_ps(-0.f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
INLINE F nearest(F x) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, mode), _mm256_round_ps(x.b, mode)};
}
INLINE __m256 pow2_half(__m256 n) {
  n = _mm256_min_ps(_mm256_max_ps(n, _mm256_set1_ps(-127.f)), _mm256_set1_ps(127.f));
  const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
INLINE F times_pow2(F v, F n) { return mul(v, {pow2_half(n.a), pow2_half(n.b)}); }
INLINE float sum(F v) {
  const __m256 s = _mm256_add_ps(v.a, v.b);
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
INLINE float largest(F v) {
  const __m256 s = _mm256_max_ps(v.a, v.b);
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}
INLINE __m256 lane_mask(uint32_t lanes) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i here = _mm256_and_si256(_mm256_set1_epi32(static_cast<int32_t>(lanes)), bit);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(here, bit));
}
INLINE F keep(F v, uint32_t lanes) {
  return {_mm256_and_ps(v.a, lane_mask(lanes)), _mm256_and_ps(v.b, lane_mask(lanes >> 8))};
}
INLINE F pick(uint32_t lanes, F yes, F no) {
  return {_mm256_blendv_ps(no.a, yes.a, lane_mask(lanes)),
          _mm256_blendv_ps(no.b, yes.b, lane_mask(lanes >> 8))};
}
INLINE uint32_t at_least(F x, F y) {
  const auto a = _mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_GE_OQ));
  const auto b = _mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_GE_OQ));
  return static_cast<uint32_t>(a) | static_cast<uint32_t>(b) << 8;
}

INLINE I izero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE I iset(int32_t v) { return {_mm256_set1_epi32(v), _mm256_set1_epi32(v)}; }
template <int N>
INLINE I shift_left(I v) {
  return {_mm256_slli_epi32(v.a, N), _mm256_slli_epi32(v.b, N)};
}
INLINE I plus(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
INLINE F to_float(I v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
INLINE I to_int(F v) { return {_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b)}; }
INLINE __m128i narrow16(__m256i v) {
  return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
INLINE void store_bytes(int8_t* p, I v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(narrow16(v.a), narrow16(v.b)));
}

INLINE Bytes load_bytes(const uint8_t* p) {
  const __m256i* at = reinterpret_cast<const __m256i*>(p);
  return {_mm256_load_si256(at), _mm256_load_si256(at + 1)};
}
INLINE Bytes low(Bytes v) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(v.a, mask), _mm256_and_si256(v.b, mask)};
}
INLINE Bytes high(Bytes v) { return low({_mm256_srli_epi16(v.a, 4), _mm256_srli_epi16(v.b, 4)}); }
INLINE __m256i fp4_half(__m256i v) {
  const __m256i table = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  return _mm256_shuffle_epi8(table, v);
}
INLINE Bytes fp4(Bytes v) { return {fp4_half(v.a), fp4_half(v.b)}; }
INLINE __m256 power_half(__m128i e) {
  const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu8_epi32(e), 23);
  return _mm256_castsi256_ps(_mm256_max_epi32(bits, _mm256_set1_epi32(1 << 22)));
}
INLINE F load_power(const uint8_t* p) {
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {power_half(v), power_half(_mm_srli_si128(v, 8))};
}
INLINE Quad quad(const int8_t* p) {
  int32_t v;
  __builtin_memcpy(&v, p, 4);
  return _mm256_set1_epi32(v);
}
#ifdef __AVXVNNI__
INLINE I dot_low(I acc, Bytes w, Quad x) {
  return {_mm256_dpbusd_avx_epi32(acc.a, w.a, x), _mm256_dpbusd_avx_epi32(acc.b, w.b, x)};
}
INLINE I dot_full(I acc, Bytes w, Quad x) { return dot_low(acc, w, x); }
#else
// Codes are at most 24, so a pair's sum is at most 6,096 and int16 holds it.
INLINE __m256i dot_low_half(__m256i acc, __m256i w, __m256i x) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
// Codes to 255 would saturate int16: each nibble by itself, the high one times 16.
INLINE __m256i dot_full_half(__m256i acc, __m256i w, __m256i x) {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i top = _mm256_and_si256(_mm256_srli_epi16(w, 4), mask);
  acc = dot_low_half(acc, _mm256_and_si256(w, mask), x);
  return _mm256_add_epi32(acc,
                          _mm256_madd_epi16(_mm256_maddubs_epi16(top, x), _mm256_set1_epi16(16)));
}
INLINE I dot_low(I acc, Bytes w, Quad x) {
  return {dot_low_half(acc.a, w.a, x), dot_low_half(acc.b, w.b, x)};
}
INLINE I dot_full(I acc, Bytes w, Quad x) {
  return {dot_full_half(acc.a, w.a, x), dot_full_half(acc.b, w.b, x)};
}
#endif

INLINE __m256i fours(const int8_t* codes) {
  const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), v), _mm256_set1_epi16(1));
}
INLINE void sums_of_16(const int8_t* codes, int32_t* sums) {
  // In each half of 128 bits: sums of the first 16 codes twice, then of the second 16 twice.
  __m256i t = _mm256_hadd_epi32(fours(codes), fours(codes + 32));
  t = _mm256_hadd_epi32(t, t);
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), t);
  sums[0] = lanes[0], sums[1] = lanes[4], sums[2] = lanes[1], sums[3] = lanes[5];
}

INLINE Pairs load_pairs(const uint16_t* p) {
  return load_bytes(reinterpret_cast<const uint8_t*>(p));
}
INLINE Pairs pair(uint32_t v) { return iset(static_cast<int32_t>(v)); }
INLINE F first_of(Pairs v) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(v.a, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(v.b, 16))};
}
INLINE F second_of(Pairs v) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
  return {_mm256_castsi256_ps(_mm256_and_si256(v.a, upper)),
          _mm256_castsi256_ps(_mm256_and_si256(v.b, upper))};
}
INLINE __m256 dot_pairs_half(__m256 acc, __m256i x, __m256i y) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
  acc = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                        _mm256_castsi256_ps(_mm256_slli_epi32(y, 16)), acc);
  return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, upper)),
                         _mm256_castsi256_ps(_mm256_and_si256(y, upper)), acc);
}
INLINE F dot_pairs(F acc, Pairs x, Pairs y) {
  return {dot_pairs_half(acc.a, x.a, y.a), dot_pairs_half(acc.b, x.b, y.b)};
}
// Nearest, ties to even. NaN may become infinity: a model that makes NaN is lost either way.
INLINE __m256i bf16_upper(__m256 v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  return _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
}
INLINE __m128i bf16_half(__m256 v) {
  const __m256i top = _mm256_srli_epi32(bf16_upper(v), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
}
INLINE void store_bf16(uint16_t* p, F v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bf16_half(v.a));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), bf16_half(v.b));
}
INLINE __m256i bf16_pairs(__m256 first, __m256 second) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
  return _mm256_or_si256(_mm256_srli_epi32(bf16_upper(first), 16),
                         _mm256_and_si256(bf16_upper(second), upper));
}
INLINE void store_pairs(uint16_t* p, F first, F second) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bf16_pairs(first.a, second.a));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 16), bf16_pairs(first.b, second.b));
}
