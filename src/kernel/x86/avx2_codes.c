/* encode and sift_codes in registers of eight sums: pairs of products in 16 bits, then summed to
 * 32. */
#include "kernel/x86/avx2.h"
#include "kernel/x86/avx2_fold.h"

#include <immintrin.h>
#include <string.h>

/* 8 sums, 2 registers of rows, a query's codes and their products fit the 16 registers. */
enum { VEC_LANES = 8, GROUP_VECS = 2 };
#define GROUPS UP_TO_4

typedef __m256i vec;
#define vec_set1 _mm256_set1_epi32

static inline vec vec_dot(vec sums, vec rows, vec query)
{
    __m256i pairs = _mm256_maddubs_epi16(rows, query);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "kernel/x86/avx2_keep.h"

#include "kernel/codes.h"

DEFINE_SIFT_CODES(avx2)

/* A row's three sums; lanes 0 to 7 and 8 to 15. */
struct lanes {
    __m256 error[2], code[2], value[2];
};

/* Eight components, at lanes half * 8 on; returns their codes as bytes, minus nothing. */
INLINE __m256i encode_half(const struct coder *coder, const float *row, const float *centre,
                           size_t half, struct lanes *lanes)
{
    __m256 t = _mm256_sub_ps(_mm256_loadu_ps(row), _mm256_loadu_ps(centre));
    __m256 code = _mm256_mul_ps(t, _mm256_set1_ps(coder->inverse));
    code = _mm256_max_ps(_mm256_min_ps(code, _mm256_set1_ps(CODE_MAX)), _mm256_set1_ps(-CODE_MAX));
    __m256i rounded = _mm256_cvtps_epi32(code);
    code = _mm256_cvtepi32_ps(rounded);
    __m256 error = _mm256_fnmadd_ps(_mm256_set1_ps(coder->scale), code, t);
    lanes->error[half] = _mm256_fmadd_ps(error, error, lanes->error[half]);
    lanes->code[half] = _mm256_fmadd_ps(code, code, lanes->code[half]);
    lanes->value[half] = _mm256_fmadd_ps(t, t, lanes->value[half]);
    return rounded;
}

/* Sixteen components; their codes go out by fours, as many as there are steps left. */
INLINE void encode_sixteen(const struct coder *coder, const float *row, const float *centre,
                           size_t steps, uint8_t *codes, struct lanes *lanes)
{
    __m256i low = encode_half(coder, row, centre, 0, lanes);
    __m256i high = encode_half(coder, row + 8, centre + 8, 1, lanes);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    uint32_t fours[4];
    _mm_storeu_si128((__m128i *)fours, _mm_xor_si128(bytes, _mm_set1_epi8((char)128)));
    EACH(j, 4)
    if (j < steps) memcpy(codes + j * STEP_SIZE, &fours[j], sizeof fours[j]);
}

static void encode_row(const struct coder *coder, const float *row, uint8_t *codes,
                       struct lanes *lanes)
{
    enum { SIXTEEN = 16 };
    float last[SIXTEEN] = { 0 }, centre[SIXTEEN] = { 0 };
    size_t dim = coder->dim, tail = dim % SIXTEEN, whole = dim - tail, i = 0;
    for (; i < whole; i += SIXTEEN)
        encode_sixteen(coder, row + i, coder->centre + i, SIXTEEN / CODE_STEP,
                       codes + i / CODE_STEP * STEP_SIZE, lanes);
    if (tail == 0) return;
    memcpy(last, row + i, tail * sizeof *last);
    memcpy(centre, coder->centre + i, tail * sizeof *centre);
    encode_sixteen(coder, last, centre, code_step_count(tail), codes + i / CODE_STEP * STEP_SIZE,
                   lanes);
}

void encode_avx2(const struct coder *coder, const float *rows, uint8_t *codes,
                 struct code_sums *sums)
{
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        struct lanes lanes;
        EACH(half, 2)
        lanes.error[half] = lanes.code[half] = lanes.value[half] = _mm256_setzero_ps();
        encode_row(coder, rows + r * coder->dim, codes + r * CODE_STEP, &lanes);
        sums->error[r] = fold_halves(lanes.error);
        sums->code[r] = fold_halves(lanes.code);
        sums->value[r] = fold_halves(lanes.value);
    }
}
