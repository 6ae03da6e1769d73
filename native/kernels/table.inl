// The table of an instruction set, from the texts above. Order of the linears: enum Form.
#define FORM(kWidth, kScaling, kOffset, ...) \
  linear<Packed<kWidth, Scaling::kScaling, Offset::kOffset, __VA_ARGS__>, kTileBlocks, kTileTokens>
#define FORMS(kLow)                                       \
  {                                                       \
      FORM(4, kHalf, kNone, false, false, kLow),          \
      FORM(4, kHalf, kMin, false, false, kLow),           \
      FORM(4, kTwoLevel, kMin, false, false, kLow),       \
      FORM(8, kHalf, kNone, false, false, kLow),          \
      FORM(8, kHalf, kMin, false, false, kLow),           \
      FORM(8, kTwoLevel, kMin, false, false, kLow),       \
      FORM(8, kTwoLevelSigned, kNone, true, false, kLow), \
      FORM(4, kFull, kNone, false, false, kLow),          \
      FORM(4, kFull, kMin, false, false, kLow),           \
      FORM(8, kFull, kNone, false, false, kLow),          \
      FORM(8, kFull, kMin, false, false, kLow),           \
      linear<Dense, kDenseBlocks, kDenseTokens>,          \
      FORM(4, kPower, kNone, false, true, kLow),          \
      FORM(4, kHalf, kZero, false, false, kLow),          \
      FORM(8, kHalf, kZero, false, false, kLow),          \
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
    write_coded,
    write_fed,
    read_keys,
    read_values,
    turn,
    attend,
    attend_latent,
    attend_merge,
    attend_finish,
    largest_of,
    sum_exp,
    exps,
    at_or_above,
    kTrainRows,
};
#undef FORM
#undef FORMS
