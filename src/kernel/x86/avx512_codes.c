/* encode, and sift_codes without an instruction for it: pairs of products in 16 bits, then summed
 * to 32. */
#include "kernel/encode.h"
#include "kernel/x86/avx512.h"
#include "kernel/x86/avx512_fold.h"

#include <immintrin.h>
#include <string.h>

enum { VEC_LANES = 16, GROUP_VECS = 2 };
#define GROUPS UP_TO_12

typedef __m512i vec;
#define vec_load _mm512_loadu_si512
#define vec_set1 _mm512_set1_epi32

static inline vec vec_dot(vec sums, vec rows, vec query)
{
    __m512i pairs = _mm512_maddubs_epi16(rows, query);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

#include "kernel/x86/avx512_keep.h"

#include "kernel/codes.h"

DEFINE_SIFT_CODES(avx512)

/* A row's two sums. */
struct lanes {
    __m512 error, value;
};

/* Sixteen components of a row, count of which are there: their codes, as bytes. */
INLINE __m128i encode_some(const struct coder *coder, const float *row, const float *centre,
                           size_t count, struct lanes *lanes)
{
    __mmask16 there = (__mmask16)((UINT32_C(1) << count) - 1);
    __m512 t = _mm512_maskz_sub_ps(there, _mm512_maskz_loadu_ps(there, row),
                                   _mm512_maskz_loadu_ps(there, centre));
    __m512 code = _mm512_mul_ps(t, _mm512_set1_ps(coder->inverse));
    code = _mm512_max_ps(_mm512_min_ps(code, _mm512_set1_ps(CODE_MAX)), _mm512_set1_ps(-CODE_MAX));
    __m512i rounded = _mm512_cvtps_epi32(code);
    __m512 error = _mm512_fnmadd_ps(_mm512_set1_ps(coder->scale), _mm512_cvtepi32_ps(rounded), t);
    lanes->error = _mm512_fmadd_ps(error, error, lanes->error);
    lanes->value = _mm512_fmadd_ps(t, t, lanes->value);
    return _mm_xor_si128(_mm512_cvtepi32_epi8(rounded), _mm_set1_epi8((char)128));
}

/* Rows that are coded side by side: their sums do not wait for themselves, and four codes of each
 * go out at once. */
enum { ROWS = 4 };

/* The codes of ROWS rows, sixteen components of each, count of which are there. */
INLINE void store_codes(const __m128i *bytes, size_t count, uint8_t *codes)
{
    __m128i low_01 = _mm_unpacklo_epi32(bytes[0], bytes[1]);
    __m128i low_23 = _mm_unpacklo_epi32(bytes[2], bytes[3]);
    __m128i high_01 = _mm_unpackhi_epi32(bytes[0], bytes[1]);
    __m128i high_23 = _mm_unpackhi_epi32(bytes[2], bytes[3]);
    __m128i steps[] = { _mm_unpacklo_epi64(low_01, low_23), _mm_unpackhi_epi64(low_01, low_23),
                        _mm_unpacklo_epi64(high_01, high_23),
                        _mm_unpackhi_epi64(high_01, high_23) };
    EACH(j, 4)
    if (j * CODE_STEP < count) _mm_storeu_si128((__m128i *)(codes + j * STEP_SIZE), steps[j]);
}

INLINE void encode_rows(const struct coder *coder, const float *rows, size_t i, size_t count,
                        uint8_t *codes, struct lanes *lanes)
{
    __m128i bytes[ROWS];
    EACH(r, ROWS)
    bytes[r] = encode_some(coder, rows + r * coder->dim + i, coder->centre + i, count, &lanes[r]);
    store_codes(bytes, count, codes + i / CODE_STEP * STEP_SIZE);
}

void encode_avx512(const struct coder *coder, const float *rows, uint8_t *codes,
                   struct code_sums *sums)
{
    size_t tail = coder->dim % VEC_LANES, whole = coder->dim - tail;
    size_t ahead = encode_ahead(coder->dim);
    for (size_t r = 0; r < PANEL_ROWS; r += ROWS) {
        const float *first = rows + r * coder->dim;
        struct lanes lanes[ROWS];
        EACH(j, ROWS)
        lanes[j].error = lanes[j].value = _mm512_setzero_ps();
        for (size_t i = 0; i < whole; i += VEC_LANES) {
            EACH(j, ROWS)
            _mm_prefetch((const char *)(first + j * coder->dim + i) + ahead, _MM_HINT_T0);
            encode_rows(coder, first, i, VEC_LANES, codes + r * CODE_STEP, lanes);
        }
        if (tail > 0) encode_rows(coder, first, whole, tail, codes + r * CODE_STEP, lanes);
        EACH(j, ROWS)
        {
            sums->error[r + j] = fold_lanes(lanes[j].error);
            sums->value[r + j] = fold_lanes(lanes[j].value);
        }
    }
}
