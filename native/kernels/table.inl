// The table of an instruction set, from the texts above. Order of the linears: enum Form.
#define FORM(...) linear<Packed<__VA_ARGS__>, kTileBlocks, kTileTokens>
#define FORMS(kLow)                                                                         \
  {                                                                                         \
      FORM(4, false, false, false, false, kLow), FORM(4, false, false, true, false, kLow),  \
      FORM(4, true, false, true, false, kLow),   FORM(8, false, false, false, false, kLow), \
      FORM(8, false, false, true, false, kLow),  FORM(8, true, false, true, false, kLow),   \
      FORM(8, true, false, false, true, kLow),   FORM(4, false, true, false, false, kLow),  \
      FORM(4, false, true, true, false, kLow),   FORM(8, false, true, false, false, kLow),  \
      FORM(8, false, true, true, false, kLow),   linear<Dense, kDenseBlocks, kDenseTokens>, \
  }
static constexpr Kernels kTable{
    FARTHING_ISA_NAME, FORMS(false),  FORMS(true), quantize_q8, quantize_q16, to_bf16,
    rms_norm,          rope,          silu_mul,    add_rows,    write_kv,     attend,
    attend_merge,      attend_finish, largest_of,  sum_exp,     exps,         at_or_above,
};
#undef FORM
#undef FORMS
