// The table of an instruction set, from the texts above. Order of the linears: enum Form.
#define FORM(kWidth, kScaling, ...) \
  linear<Packed<kWidth, Scaling::kScaling, __VA_ARGS__>, kTileBlocks, kTileTokens>
#define FORMS(kLow)                                       \
  {                                                       \
      FORM(4, kHalf, false, false, false, kLow),          \
      FORM(4, kHalf, true, false, false, kLow),           \
      FORM(4, kTwoLevel, true, false, false, kLow),       \
      FORM(8, kHalf, false, false, false, kLow),          \
      FORM(8, kHalf, true, false, false, kLow),           \
      FORM(8, kTwoLevel, true, false, false, kLow),       \
      FORM(8, kTwoLevelSigned, false, true, false, kLow), \
      FORM(4, kFull, false, false, false, kLow),          \
      FORM(4, kFull, true, false, false, kLow),           \
      FORM(8, kFull, false, false, false, kLow),          \
      FORM(8, kFull, true, false, false, kLow),           \
      linear<Dense, kDenseBlocks, kDenseTokens>,          \
      FORM(4, kPower, false, false, true, kLow),          \
  }
static constexpr Kernels kTable{
    FARTHING_ISA_NAME,
    FORMS(false),
    FORMS(true),
    linear<Precise, 2, 2>,
    quantize_q8,
    quantize_q16,
    to_bf16,
    rms_norm,
    rope,
    silu_mul,
    gated,
    sigmoid,
    add_rows,
    scale_row,
    write_k,
    write_v,
    attend,
    attend_latent,
    attend_merge,
    attend_finish,
    largest_of,
    sum_exp,
    exps,
    at_or_above,
};
#undef FORM
#undef FORMS
