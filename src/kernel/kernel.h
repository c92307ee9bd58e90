#pragma once
/* Scores of f32 vectors: the canonical score, and in pack and dot_panel another, for proposals.
 * Canonical: sixteen lanes start at +0; element i goes to lane i mod 16, in rising i (dot and l2 by
 * one fused operation); then lane j takes in lane j+8, j+4, j+2, j+1; then +0 is added, so that no
 * score is -0. Every tier returns the same bits as the C tier.
 *
 * Pure functions: any thread, no state, no alignment needed, dim and counts may be 0. They run with
 * round-to-nearest and without flush-to-zero (kernel/fpenv.h). Components are finite and at most
 * 1e15 in magnitude (refused at the door otherwise), so no score is infinite or NaN. Zeros behind
 * the last element change nothing: a lane can turn from -0 to +0 by them, and that is why +0 is
 * added at the end. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* dot: sum of a * b. l2: sum of (a - b)^2. l1: sum of |a - b|. chebyshev: largest |a - b|. */
typedef float kernel_pair_f32(const float *a, const float *b, size_t dim);

/* scores[q * row_count + r] is that of query q and row r; both are row-major, dim apart. */
typedef void kernel_tile_f32(const float *queries, size_t query_count, const float *rows,
                             size_t row_count, size_t dim, float *scores);

/* Which scores may belong to the nearest: writes the positions i, rising, for which
 * fma(scale, scores[i], offsets[i]) > limit is false, so that a NaN is kept, and returns how many.
 * offsets NULL: all +0. kept has room for count. */
typedef size_t kernel_sift_f32(const float *scores, const float *offsets, size_t count, float scale,
                               float limit, uint32_t *kept);

/* The first position whose component is not within [-1e15, 1e15] (a NaN is not); count: none. */
typedef size_t kernel_find_f32(const float *x, size_t count);

enum { PANEL_ROWS = 32 };

/* Rows laid out for dot_panel: panel[i * PANEL_ROWS + r] is component i of row r; rows from
 * row_count (1 to PANEL_ROWS) on are zeros. norms[r], PANEL_ROWS of them, receives the squared
 * norm: one chain of fma over rising i, from +0. */
typedef void kernel_pack_f32(const float *rows, size_t row_count, size_t dim, float *panel,
                             float *norms);

/* A packed panel. next: PANEL_ROWS x dim values to be packed soon, which may be fetched from memory
 * while this panel is scored, and need not be there; NULL: none. Fastest where values begins at a
 * multiple of 64 bytes. */
struct panel {
    const float *values, *next;
    size_t dim;
};

/* scores[q * stride + r], r < PANEL_ROWS: dot of query q and row r of the panel: one chain,
 * acc = fma(query[i], row[i], acc) over rising i, from +0. Not the canonical score, and may be -0.
 * Within g |q||x| + dim * 2^-149 of the exact product, g = dim u / (1 - dim u), u = 2^-24; the
 * second term is underflow. */
typedef void kernel_panel_f32(const float *queries, size_t query_count, const struct panel *panel,
                              float *scores, size_t stride);

/* Codes: a component as a whole number from -CODE_MAX to CODE_MAX, times a scale. Those of
 * PANEL_ROWS rows stand together, four components of each row side by side: that of component i of
 * row r is codes[(i / CODE_STEP * PANEL_ROWS + r) * CODE_STEP + i % CODE_STEP], plus 128.
 * Components from dim on, to a multiple of CODE_STEP, have code 0. */
enum { CODE_STEP = 4, CODE_MAX = 127 };

static inline size_t code_step_count(size_t dim)
{
    return (dim + CODE_STEP - 1) / CODE_STEP;
}

static inline size_t code_panel_size(size_t dim)
{
    return code_step_count(dim) * CODE_STEP * PANEL_ROWS;
}

/* How components become codes: t = x - centre, code = t * inverse, rounded to nearest and kept
 * within CODE_MAX. */
struct coder {
    const float *centre; /* dim */
    float scale, inverse; /* inverse: about 1 / scale; |t * inverse| is finite */
    size_t dim;
};

static inline int32_t code_nearest(float t, float inverse, int32_t code_max)
{
    float code = t * inverse;
    if (code > (float)code_max) return code_max;
    if (code < (float)-code_max) return -code_max;
    return (int32_t)nearbyintf(code);
}

/* Sums of squares over a row's components, each added as in l2: of fma(-scale, code, t), and of
 * t. */
struct code_sums {
    float error[PANEL_ROWS], value[PANEL_ROWS];
};

/* Codes PANEL_ROWS rows. codes has room for code_panel_size(dim). What stands behind the rows may
 * be fetched from memory, and need not be there. */
typedef void kernel_encode_f32(const struct coder *coder, const float *rows, uint8_t *codes,
                               struct code_sums *sums);

/* Panels of rows in code that stand behind each other, and what stands in a bound for each row and
 * for each panel. */
struct code_panels {
    const uint8_t *codes; /* count x code_panel_size(dim) */
    const float *offsets; /* count x PANEL_ROWS */
    const float *errors, *norms; /* count */
    size_t dim, count;
};

/* How the codes of queries stand for a tier: those of `group` queries together, `step` components
 * of each side by side. Components from dim on, to a multiple of step, have code 0; queries from
 * the last on, to a multiple of group, are there, and anything. */
struct code_layout {
    size_t group, step;
};

static inline size_t code_layout_steps(const struct code_layout *layout, size_t dim)
{
    return (dim + layout->step - 1) / layout->step;
}

/* Bytes of so many queries. */
static inline size_t code_layout_size(const struct code_layout *layout, size_t dim,
                                      size_t query_count)
{
    size_t groups = (query_count + layout->group - 1) / layout->group;
    return groups * layout->group * code_layout_steps(layout, dim) * layout->step;
}

/* Where the code of component i of query q stands. */
static inline size_t code_layout_at(const struct code_layout *layout, size_t dim, size_t q,
                                    size_t i)
{
    size_t steps = code_layout_steps(layout, dim), group = layout->group;
    return ((q / group * steps + i / layout->step) * group + q % group) * layout->step +
           i % layout->step;
}

/* Queries in code, laid out as the table's code_layout says, within its query_code_max. dim is at
 * most 65,536. */
struct code_query {
    int32_t start; /* -128 times the sum of its codes */
    float scale, limit, error_factor, norm_factor;
};

struct code_queries {
    const int8_t *codes;
    const struct code_query *each;
    size_t count;
};

/* Which rows of each panel p may be near each query q: bit r of kept[p * queries->count + q] is 0
 * when fma(scale, dot, offset) > fma(error_factor, error, fma(norm_factor, norm, limit)), where dot
 * is the sum of products of codes, exact, then rounded to a float. What stands behind the codes may
 * be fetched from memory, and need not be there. */
typedef void kernel_sift_codes(const struct code_queries *queries, const struct code_panels *panels,
                               uint32_t *kept);

/* Rows in code that each stand for themselves, size bytes apart, a multiple of CODE_UNIT. Row r is
 * the one at[r] (NULL: r) of those at codes. What is behind a row's components is code 0, and +0 or
 * code 0 in a query's, so that kernels know no tail. Fastest where codes begins at a multiple of 64
 * bytes. */
enum { CODE_UNIT = 64 };

struct code_rows {
    const uint8_t *codes;
    size_t size;
    const uint32_t *at; /* count of them */
    size_t count;
};

static inline const uint8_t *code_row(const struct code_rows *rows, size_t r)
{
    return rows->codes + (rows->at ? rows->at[r] : r) * rows->size;
}

/* sums[q * rows->count + r]: of the products of the codes of query q and row r, exact. Queries have
 * a byte for each code, within CODE_MAX, and at most 65,536 of them. Those of rows are bytes, too;
 * queries are size apart. */
typedef void kernel_dots_i8(const int8_t *queries, size_t query_count, const struct code_rows *rows,
                            int32_t *sums);

/* The same of codes of four bits, from -8 to 7, with 8 added to each: byte j of a unit holds
 * component j in its lower half and component CODE_UNIT + j in its upper. Queries are 2 * size
 * apart. */
typedef void kernel_dots_i4(const int8_t *queries, size_t query_count, const struct code_rows *rows,
                            int32_t *sums);

/* sums[q * rows->count + r]: how many bits differ. Queries are size apart. */
typedef void kernel_hamming(const uint8_t *queries, size_t query_count,
                            const struct code_rows *rows, int32_t *sums);

/* scores[q * rows->count + r]: the canonical dot of query q and the floats that row r's numbers of
 * 16 bits are (kernel/half.h; all finite). Queries are size / 2 floats apart. */
typedef void kernel_dots_half(const float *queries, size_t query_count,
                              const struct code_rows *rows, float *scores);

/* What is stored in less than f32, as floats, exactly: IEEE binary16 (a NaN becomes a quiet one),
 * and bytes. */
typedef void kernel_widen_f16(const uint16_t *x, size_t count, float *out);
typedef void kernel_widen_u8(const uint8_t *x, size_t count, float *out);

/* The sum of the squares of up to 65,536 bytes. */
typedef uint32_t kernel_squares_u8(const uint8_t *x, size_t count);

/* scores[q * row_count + r]: in how many bits query q and row r differ; both are row-major, size
 * bytes apart, and less than 2^24 bits long. */
typedef void kernel_tile_bits(const uint8_t *queries, size_t query_count, const uint8_t *rows,
                              size_t row_count, size_t size, float *scores);

/* One line per kernel: type, name. The table and the kernel check are made from it. */
#define KERNELS(X)                     \
    X(kernel_pair_f32, dot)            \
    X(kernel_pair_f32, l2)             \
    X(kernel_pair_f32, l1)             \
    X(kernel_pair_f32, chebyshev)      \
    X(kernel_tile_f32, dot_tile)       \
    X(kernel_tile_f32, l2_tile)        \
    X(kernel_tile_f32, l1_tile)        \
    X(kernel_tile_f32, chebyshev_tile) \
    X(kernel_sift_f32, sift)           \
    X(kernel_find_f32, find_refused)   \
    X(kernel_pack_f32, pack)           \
    X(kernel_panel_f32, dot_panel)     \
    X(kernel_encode_f32, encode)       \
    X(kernel_sift_codes, sift_codes)   \
    X(kernel_dots_i8, dots_i8)         \
    X(kernel_dots_i4, dots_i4)         \
    X(kernel_hamming, hamming)         \
    X(kernel_dots_half, dots_f16)      \
    X(kernel_dots_half, dots_bf16)     \
    X(kernel_widen_f16, widen_f16)     \
    X(kernel_widen_u8, widen_u8)       \
    X(kernel_squares_u8, squares_u8)   \
    X(kernel_tile_bits, bits_tile)

struct kernels {
#define X(type, name) type *name;
    KERNELS(X)
#undef X
    struct code_layout code_layout; /* of sift_codes */
    int8_t query_code_max; /* of sift_codes: CODE_MAX, or what its sums of 16 bits can hold */
};

/* What the processor has and the operating system saves; a tier needs all that is below it for the
 * same processors, but for CPU_AVXVNNI, which is beside those with 512 bits: those of x86 come
 * first, then those of ARM. */
enum cpu_tier {
    CPU_C,
    CPU_AVX2,
    CPU_AVXVNNI,
    CPU_AVX512,
    CPU_VNNI,
    CPU_AMX,
    CPU_NEON,
    CPU_NEONDOT,
    CPU_NEONI8MM,
    CPU_TIER_COUNT,
};

/* "c", "avx2", "avxvnni", "avx512", "avx512vnni", "amx", "neon", "neondot", "neoni8mm"; static. */
const char *cpu_tier_name(enum cpu_tier tier);

/* Fills the table from the C tier upwards; the processor has this tier. Same tier, same table. */
void kernels_init(struct kernels *k, enum cpu_tier tier);
void kernels_init_x86(struct kernels *k, enum cpu_tier tier);
void kernels_init_arm(struct kernels *k, enum cpu_tier tier);
