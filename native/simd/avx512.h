// The vocabulary on AVX-512 with VNNI: 16 lanes in one register. bf16 products take one instruction
// where the file is compiled with AVX512-BF16, else two fp32 fma on widened halves.
// Included inside an anonymous namespace; see portable.h for what each word means.
constexpr int kTileBlocks = 3, kTileTokens = 4, kAttendRows = 6, kDenseBlocks = 3, kDenseTokens = 6;

using F = __m512;
using I = __m512i;
using Bytes = __m512i;
using Quad = __m512i;
using Pairs = __m512i;

INLINE F zero() { return _mm512_setzero_ps(); }
INLINE F set(float v) { return _mm512_set1_ps(v); }
INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
INLINE F load_first(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
INLINE void store_first(float* p, F v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
INLINE F load_half(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
INLINE F load_bf16(const uint16_t* p) {
  const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
INLINE F widen(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
INLINE F widen(const int8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
INLINE F widen_low(const uint8_t* p) {
  const __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(15)));
}
INLINE F widen_high(const uint8_t* p) {
  const __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_cvtepi32_ps(_mm512_srli_epi32(v, 4));
}
INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
INLINE F magnitude(F a) { return _mm512_abs_ps(a); }
INLINE F nearest(F a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE F times_pow2(F v, F n) { return _mm512_scalef_ps(v, n); }
INLINE float sum(F v) { return _mm512_reduce_add_ps(v); }
INLINE float largest(F v) { return _mm512_reduce_max_ps(v); }
INLINE F keep(F v, uint32_t lanes) { return _mm512_maskz_mov_ps(static_cast<__mmask16>(lanes), v); }
INLINE F pick(uint32_t lanes, F yes, F no) {
  return _mm512_mask_mov_ps(no, static_cast<__mmask16>(lanes), yes);
}
INLINE uint32_t at_least(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }

INLINE I izero() { return _mm512_setzero_si512(); }
INLINE I iset(int32_t v) { return _mm512_set1_epi32(v); }
template <int N>
INLINE I shift_left(I v) {
  return _mm512_slli_epi32(v, N);
}
INLINE I plus(I a, I b) { return _mm512_add_epi32(a, b); }
INLINE F to_float(I v) { return _mm512_cvtepi32_ps(v); }
INLINE I to_int(F v) { return _mm512_cvtps_epi32(v); }
INLINE void store_bytes(int8_t* p, I v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}

INLINE Bytes load_bytes(const uint8_t* p) { return _mm512_load_si512(p); }
INLINE Bytes low(Bytes v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
INLINE Bytes high(Bytes v) {
  return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}
INLINE Bytes fp4(Bytes v) {
  const __m512i table = _mm512_broadcast_i32x4(
      _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  return _mm512_shuffle_epi8(table, v);
}
INLINE F load_power(const uint8_t* p) {
  const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_slli_epi32(e, 23), iset(1 << 22)));
}
INLINE Quad quad(const int8_t* p) {
  int32_t v;
  __builtin_memcpy(&v, p, 4);
  return _mm512_set1_epi32(v);
}
INLINE I dot_low(I acc, Bytes codes, Quad x) { return _mm512_dpbusd_epi32(acc, codes, x); }
INLINE I dot_full(I acc, Bytes codes, Quad x) { return _mm512_dpbusd_epi32(acc, codes, x); }

INLINE void sums_of_16(const int8_t* codes, int32_t* sums) {
  __m512i t =
      _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_loadu_si512(codes));
  t = _mm512_add_epi32(t, _mm512_shuffle_epi32(t, _MM_PERM_CDAB));
  t = _mm512_add_epi32(t, _mm512_shuffle_epi32(t, _MM_PERM_BADC));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums),
                   _mm512_castsi512_si128(_mm512_maskz_compress_epi32(0x1111, t)));
}

INLINE Pairs load_pairs(const uint16_t* p) { return _mm512_load_si512(p); }
INLINE F first_of(Pairs v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); }
INLINE F second_of(Pairs v) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(v, _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u))));
}
INLINE Pairs pair(uint32_t v) { return _mm512_set1_epi32(static_cast<int32_t>(v)); }
#ifdef __AVX512BF16__
INLINE F dot_pairs(F acc, Pairs a, Pairs b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
INLINE void store_bf16(uint16_t* p, F v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
}
INLINE void store_pairs(uint16_t* p, F first, F second) {
  const auto wide = [](F v) {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  };
  _mm512_storeu_si512(p, _mm512_or_si512(wide(first), _mm512_slli_epi32(wide(second), 16)));
}
#else
INLINE F dot_pairs(F acc, Pairs a, Pairs b) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
  acc = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)),
                        _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), acc);
  return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)),
                         _mm512_castsi512_ps(_mm512_and_si512(b, upper)), acc);
}
// Nearest, ties to even. NaN may become infinity: a model that makes NaN is lost either way.
INLINE __m512i bf16_upper(F v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}
INLINE void store_bf16(uint16_t* p, F v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_upper(v), 16)));
}
INLINE void store_pairs(uint16_t* p, F first, F second) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
  _mm512_storeu_si512(p, _mm512_or_si512(_mm512_srli_epi32(bf16_upper(first), 16),
                                         _mm512_and_si512(bf16_upper(second), upper)));
}
#endif

// Eight by eight pairs of positions turned, then the two middle numbers of each swapped.
INLINE void turn_block(const uint16_t* keys, size_t stride, uint16_t* values, size_t width) {
  __m512i r[8], t[8];
  for (size_t j = 0; j < 8; ++j) r[j] = _mm512_loadu_si512(keys + j * stride);
  for (size_t j = 0; j < 8; j += 2) {
    t[j] = _mm512_unpacklo_epi64(r[j], r[j + 1]);
    t[j + 1] = _mm512_unpackhi_epi64(r[j], r[j + 1]);
  }
  const __m512i swap =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  const auto put = [&](size_t p, __m512i v) {
    _mm512_storeu_si512(values + p * width, _mm512_shuffle_epi8(v, swap));
  };
  for (size_t odd = 0; odd < 2; ++odd) {
    const __m512i a = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0x88);
    const __m512i b = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0xdd);
    const __m512i c = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0x88);
    const __m512i d = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0xdd);
    put(odd, _mm512_shuffle_i64x2(a, c, 0x88));
    put(2 + odd, _mm512_shuffle_i64x2(b, d, 0x88));
    put(4 + odd, _mm512_shuffle_i64x2(a, c, 0xdd));
    put(6 + odd, _mm512_shuffle_i64x2(b, d, 0xdd));
  }
}
