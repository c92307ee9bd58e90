/* encode and sift_codes in registers of eight sums: pairs of products in 16 bits, then summed to
 * 32. */
#include "kernel/encode.h"
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

/* A row's two sums; lanes 0 to 7 and 8 to 15. */
struct lanes {
    __m256 error[2], value[2];
};

/* Eight components, at lanes half * 8 on; returns their codes. */
INLINE __m256i encode_half(const struct coder *coder, const float *row, const float *centre,
                           size_t half, struct lanes *lanes)
{
    __m256 t = _mm256_sub_ps(_mm256_loadu_ps(row + 8 * half), _mm256_loadu_ps(centre + 8 * half));
    __m256 code = _mm256_mul_ps(t, _mm256_set1_ps(coder->inverse));
    code = _mm256_max_ps(_mm256_min_ps(code, _mm256_set1_ps(CODE_MAX)), _mm256_set1_ps(-CODE_MAX));
    __m256i rounded = _mm256_cvtps_epi32(code);
    __m256 error = _mm256_fnmadd_ps(_mm256_set1_ps(coder->scale), _mm256_cvtepi32_ps(rounded), t);
    lanes->error[half] = _mm256_fmadd_ps(error, error, lanes->error[half]);
    lanes->value[half] = _mm256_fmadd_ps(t, t, lanes->value[half]);
    return rounded;
}

/* Rows that are coded side by side, so that their sums do not wait for themselves. */
enum { ROWS = 2, SIXTEEN = 16 };

/* Codes of ROWS rows as words: components 0 to 3, 8 to 11, 4 to 7, 12 to 15 of each. They go out
 * by fours, those of both rows together, as many as there are steps. */
INLINE void store_codes(const __m256i *words, size_t steps, uint8_t *codes)
{
    __m256i bytes =
        _mm256_xor_si256(_mm256_packs_epi16(words[0], words[1]), _mm256_set1_epi8((char)128));
    __m256i fours = _mm256_shuffle_epi32(bytes, 0xd8);
    __m128d even = _mm_castsi128_pd(_mm256_castsi256_si128(fours));
    __m128d odd = _mm_castsi128_pd(_mm256_extracti128_si256(fours, 1));
    _mm_storel_pd((double *)(void *)codes, even);
    if (steps > 1) _mm_storel_pd((double *)(void *)(codes + STEP_SIZE), odd);
    if (steps > 2) _mm_storeh_pd((double *)(void *)(codes + 2 * STEP_SIZE), even);
    if (steps > 3) _mm_storeh_pd((double *)(void *)(codes + 3 * STEP_SIZE), odd);
}

/* Sixteen components of ROWS rows, of the centre too. */
INLINE void encode_sixteen(const struct coder *coder, const float *const rows[ROWS],
                           const float *centre, size_t steps, uint8_t *codes, struct lanes *lanes)
{
    __m256i words[ROWS];
    EACH(r, ROWS)
    words[r] = _mm256_packs_epi32(encode_half(coder, rows[r], centre, 0, &lanes[r]),
                                  encode_half(coder, rows[r], centre, 1, &lanes[r]));
    store_codes(words, steps, codes);
}

/* The components behind the last whole sixteen, with zeros behind them. */
static void encode_tail(const struct coder *coder, const float *rows, uint8_t *codes,
                        struct lanes *lanes)
{
    float last[ROWS][SIXTEEN] = { 0 }, centre[SIXTEEN] = { 0 };
    size_t dim = coder->dim, tail = dim % SIXTEEN, i = dim - tail;
    EACH(r, ROWS) memcpy(last[r], rows + r * dim + i, tail * sizeof **last);
    memcpy(centre, coder->centre + i, tail * sizeof *centre);
    encode_sixteen(coder, (const float *const[]){ last[0], last[1] }, centre, code_step_count(tail),
                   codes + i / CODE_STEP * STEP_SIZE, lanes);
}

static void encode_rows(const struct coder *coder, const float *rows, uint8_t *codes,
                        struct lanes *lanes)
{
    size_t dim = coder->dim, whole = dim - dim % SIXTEEN, ahead = encode_ahead(dim);
    for (size_t i = 0; i < whole; i += SIXTEEN) {
        const float *const here[ROWS] = { rows + i, rows + dim + i };
        EACH(r, ROWS) _mm_prefetch((const char *)here[r] + ahead, _MM_HINT_T0);
        encode_sixteen(coder, here, coder->centre + i, SIXTEEN / CODE_STEP,
                       codes + i / CODE_STEP * STEP_SIZE, lanes);
    }
    if (whole < dim) encode_tail(coder, rows, codes, lanes);
}

void encode_avx2(const struct coder *coder, const float *rows, uint8_t *codes,
                 struct code_sums *sums)
{
    for (size_t r = 0; r < PANEL_ROWS; r += ROWS) {
        struct lanes lanes[ROWS];
        EACH(j, ROWS)
        EACH(half, 2) lanes[j].error[half] = lanes[j].value[half] = _mm256_setzero_ps();
        encode_rows(coder, rows + r * coder->dim, codes + r * CODE_STEP, lanes);
        EACH(j, ROWS)
        {
            sums->error[r + j] = fold_halves(lanes[j].error);
            sums->value[r + j] = fold_halves(lanes[j].value);
        }
    }
}
