/* encode, and sift_codes without an instruction for it: pairs of products in 16 bits, then summed
 * to 32. */
#include "kernel/arm/fold.h"
#include "kernel/arm/keep.h"
#include "kernel/arm/neon.h"

#include <arm_neon.h>
#include <string.h>

/* 12 sums, 4 registers of rows and 3 of queries leave room for products, which gcc 12 computes
 * ahead; with four or six queries it keeps sums in memory. */
enum { VEC_LANES = 4, GROUP_VECS = 4 };
#define GROUPS UP_TO_3

typedef int32x4_t vec;
#define vec_set1         vdupq_n_s32
#define vec_load         load_signed
#define vec_start(query) vec_set1(0)

/* 2 * 128 * 127 fits 16 bits. */
static inline vec vec_dot(vec sums, vec rows, vec query)
{
    int8x16_t r = vreinterpretq_s8_s32(rows), q = vreinterpretq_s8_s32(query);
    int16x8_t low = vmull_s8(vget_low_s8(r), vget_low_s8(q));
    return vpadalq_s16(sums, vpaddq_s16(low, vmull_high_s8(r, q)));
}

#include "kernel/codes.h"

DEFINE_SIFT_CODES(neon)

enum { SIXTEEN = 16, QUARTERS = 4 };

/* A row's two sums; lanes 0 to 3, 4 to 7, 8 to 11, 12 to 15. */
struct lanes {
    float32x4_t error[QUARTERS], value[QUARTERS];
};

/* Four components, at lanes quarter * 4 on; returns their codes. */
INLINE int16x4_t encode_quarter(const struct coder *coder, const float *row, const float *centre,
                                size_t quarter, struct lanes *lanes)
{
    float32x4_t t = vsubq_f32(vld1q_f32(row), vld1q_f32(centre));
    float32x4_t code = vmulq_f32(t, vdupq_n_f32(coder->inverse));
    code = vmaxq_f32(vminq_f32(code, vdupq_n_f32(CODE_MAX)), vdupq_n_f32(-CODE_MAX));
    int32x4_t rounded = vcvtnq_s32_f32(code);
    float32x4_t error = vfmsq_f32(t, vdupq_n_f32(coder->scale), vcvtq_f32_s32(rounded));
    lanes->error[quarter] = vfmaq_f32(lanes->error[quarter], error, error);
    lanes->value[quarter] = vfmaq_f32(lanes->value[quarter], t, t);
    return vmovn_s32(rounded);
}

/* Sixteen components; their codes go out by fours, as many as there are steps left. */
INLINE void encode_sixteen(const struct coder *coder, const float *row, const float *centre,
                           size_t steps, uint8_t *codes, struct lanes *lanes)
{
    int16x4_t quarters[QUARTERS];
    EACH(j, QUARTERS)
    quarters[j] = encode_quarter(coder, row + 4 * j, centre + 4 * j, j, lanes);
    int8x8_t low = vmovn_s16(vcombine_s16(quarters[0], quarters[1]));
    int8x8_t high = vmovn_s16(vcombine_s16(quarters[2], quarters[3]));
    uint8_t bytes[SIXTEEN];
    vst1q_u8(bytes, veorq_u8(vreinterpretq_u8_s8(vcombine_s8(low, high)), vdupq_n_u8(128)));
    EACH(j, QUARTERS)
    if (j < steps) memcpy(codes + j * STEP_SIZE, bytes + j * CODE_STEP, CODE_STEP);
}

static void encode_row(const struct coder *coder, const float *row, uint8_t *codes,
                       struct lanes *lanes)
{
    float last[SIXTEEN] = { 0 }, centre[SIXTEEN] = { 0 };
    size_t dim = coder->dim, tail = dim % SIXTEEN, whole = dim - tail, i = 0;
    for (; i < whole; i += SIXTEEN)
        encode_sixteen(coder, row + i, coder->centre + i, QUARTERS,
                       codes + i / CODE_STEP * STEP_SIZE, lanes);
    if (tail == 0) return;
    memcpy(last, row + i, tail * sizeof *last);
    memcpy(centre, coder->centre + i, tail * sizeof *centre);
    encode_sixteen(coder, last, centre, code_step_count(tail), codes + i / CODE_STEP * STEP_SIZE,
                   lanes);
}

void encode_neon(const struct coder *coder, const float *rows, uint8_t *codes,
                 struct code_sums *sums)
{
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        struct lanes lanes;
        EACH(j, QUARTERS) lanes.error[j] = lanes.value[j] = vdupq_n_f32(0);
        encode_row(coder, rows + r * coder->dim, codes + r * CODE_STEP, &lanes);
        sums->error[r] = fold_quarters(lanes.error);
        sums->value[r] = fold_quarters(lanes.value);
    }
}
