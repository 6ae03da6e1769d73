// The table of an instruction set, from the texts above. Order of `linear`: enum Form.
#define FORM(...) linear<Packed<__VA_ARGS__>, kTileBlocks, kTileTokens>
static constexpr Kernels kTable{
    FARTHING_ISA_NAME,
    {
        FORM(4, false, false, false, false),
        FORM(4, false, false, true, false),
        FORM(4, true, false, true, false),
        FORM(8, false, false, false, false),
        FORM(8, false, false, true, false),
        FORM(8, true, false, true, false),
        FORM(8, true, false, false, true),
        FORM(4, false, true, false, false),
        FORM(4, false, true, true, false),
        FORM(8, false, true, false, false),
        FORM(8, false, true, true, false),
        linear<Dense, kDenseBlocks, kDenseTokens>,
    },
    quantize_q8,
    to_bf16,
    rms_norm,
    rope,
    silu_mul,
    add_rows,
    write_kv,
    attend,
    attend_merge,
    attend_finish,
    largest_of,
    sum_exp,
    exps,
    at_or_above,
};
#undef FORM
