/* sift_codes by the matrix engine (AMX, tiles of bytes): the sums of 16 queries by 16 rows at once.
 * Queries are the engine's left side, a tile of 16 queries by 64 codes; a panel of rows already
 * stands as its right side wants it, four codes of each of 16 rows side by side.
 *
 * The sums of 32 queries by 32 rows are in tiles 0 to 3, so that each tile of codes that is loaded
 * is used twice; they become bits through a buffer in the first-level cache. For 100 queries and
 * 128 components (Emerald Rapids) the products take 2.2 ns of a query and a panel, the buffer 0.6,
 * the bits 1.3; with a second buffer, to overlap them, it was slower. */
#include "kernel/unroll.h"
#include "kernel/x86/amx.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    TILE_LINES = 16,
    LINE_SIZE = 64, /* of a tile, in bytes */
    TILE_SIZE = TILE_LINES * LINE_SIZE,
    STEP_SIZE = PANEL_ROWS * CODE_STEP,
    STEPS = AMX_LAYOUT_STEP / CODE_STEP, /* of a panel, in a tile */
    PAIR = 2 * AMX_LAYOUT_GROUP, /* queries */
    PART = 8 * AMX_LAYOUT_GROUP, /* queries that are made ready together */
    FEW = 3, /* queries: with four the engine took a tenth longer, with six as long */
};

/* What the processor reads to shape its tiles: all eight are whole. */
static const struct tile_shapes {
    uint8_t palette, start_line, unused[14];
    uint16_t line_sizes[16];
    uint8_t line_counts[16];
} whole_tiles = {
    .palette = 1,
    .line_sizes = { LINE_SIZE, LINE_SIZE, LINE_SIZE, LINE_SIZE, LINE_SIZE, LINE_SIZE, LINE_SIZE,
                    LINE_SIZE },
    .line_counts = { TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES,
                     TILE_LINES, TILE_LINES },
};

/* The columns of struct code_query, and the limits with a panel's error and norm in them. */
struct part {
    int32_t start[PART] __attribute__((aligned(LINE_SIZE)));
    float scale[PART] __attribute__((aligned(LINE_SIZE)));
    float limit[PART] __attribute__((aligned(LINE_SIZE)));
    float error_factor[PART] __attribute__((aligned(LINE_SIZE)));
    float norm_factor[PART] __attribute__((aligned(LINE_SIZE)));
    float panel_limit[PART] __attribute__((aligned(LINE_SIZE)));
    const int8_t *queries;
    size_t count;
};

/* A panel as tiles: whole ones in place, the rest of the steps in a copy with zeros behind. */
struct sides {
    const uint8_t *codes;
    size_t size, whole, rest; /* bytes; tiles in place; steps in the copy */
    uint8_t last[STEPS * STEP_SIZE] __attribute__((aligned(LINE_SIZE)));
};

/* The sums of PAIR queries by PANEL_ROWS rows. */
struct sums {
    int32_t of[PAIR][PANEL_ROWS] __attribute__((aligned(LINE_SIZE)));
};

static void ready_part(struct part *part, const struct code_queries *queries, size_t first,
                       size_t dim)
{
    const struct code_layout layout = { AMX_LAYOUT_GROUP, AMX_LAYOUT_STEP };
    const struct code_query *each = queries->each + first;
    part->queries = queries->codes + code_layout_at(&layout, dim, first, 0);
    part->count = queries->count - first < PART ? queries->count - first : PART;
    for (size_t q = 0; q < part->count; q++) {
        part->start[q] = each[q].start;
        part->scale[q] = each[q].scale;
        part->limit[q] = each[q].limit;
        part->error_factor[q] = each[q].error_factor;
        part->norm_factor[q] = each[q].norm_factor;
    }
}

static void ready_limits(struct part *part, float error, float norm)
{
    __m512 errors = _mm512_set1_ps(error), norms = _mm512_set1_ps(norm);
    for (size_t q = 0; q < part->count; q += 16) {
        __m512 limit = _mm512_fmadd_ps(_mm512_load_ps(part->norm_factor + q), norms,
                                       _mm512_load_ps(part->limit + q));
        limit = _mm512_fmadd_ps(_mm512_load_ps(part->error_factor + q), errors, limit);
        _mm512_store_ps(part->panel_limit + q, limit);
    }
}

static void ready_sides(struct sides *sides, const uint8_t *codes, size_t dim)
{
    size_t steps = code_step_count(dim);
    sides->codes = codes;
    sides->size = code_panel_size(dim);
    sides->whole = steps / STEPS;
    sides->rest = steps % STEPS;
    memcpy(sides->last, codes + sides->whole * STEPS * STEP_SIZE, sides->rest * STEP_SIZE);
    __asm__ volatile("" ::"r"(sides->last) : "memory"); /* gcc 12's tile loads do not say so */
}

/* Adds the products of a tile of each sixteen queries with both halves of a panel's. The second
 * sixteen's tiles stand `apart` bytes behind the first's. */
INLINE void add_products(const int8_t *queries, size_t apart, const uint8_t *rows, bool pair)
{
    _tile_loadd(4, queries, LINE_SIZE);
    _tile_loadd(6, rows, STEP_SIZE);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, rows + LINE_SIZE, STEP_SIZE);
    _tile_dpbsud(1, 4, 7);
    if (!pair) return;
    _tile_loadd(5, queries + apart, LINE_SIZE);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
}

/* The next panel is fetched from memory a little with each tile: 512 bytes of 2 KiB, which of them
 * is for round to say. At once for all queries, 768 components took a fifth longer. */
INLINE void fetch_next(const struct sides *sides, size_t tile, size_t round)
{
    enum { SHARE = STEPS * STEP_SIZE / 4 };
    const char *next = (const char *)sides->codes + sides->size + tile * STEPS * STEP_SIZE;
    EACH(i, SHARE / LINE_SIZE)
    _mm_prefetch(next + round % 4 * SHARE + i * LINE_SIZE, _MM_HINT_T0);
}

/* pair is a constant: 32 queries, or the 16 that are left. round: how many 32 there were. */
INLINE void multiply(const struct sides *sides, const int8_t *queries, size_t round, bool pair,
                     struct sums *sums)
{
    size_t apart = (sides->whole + (sides->rest > 0)) * TILE_SIZE;
    _tile_zero(0);
    _tile_zero(1);
    if (pair) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t t = 0; t < sides->whole; t++) {
        fetch_next(sides, t, round);
        add_products(queries + t * TILE_SIZE, apart, sides->codes + t * STEPS * STEP_SIZE, pair);
    }
    if (sides->rest > 0) add_products(queries + sides->whole * TILE_SIZE, apart, sides->last, pair);
    _tile_stored(0, sums->of[0], STEP_SIZE);
    _tile_stored(1, sums->of[0] + TILE_LINES, STEP_SIZE);
    if (!pair) return;
    _tile_stored(2, sums->of[TILE_LINES], STEP_SIZE);
    _tile_stored(3, sums->of[TILE_LINES] + TILE_LINES, STEP_SIZE);
}

INLINE __mmask16 keep_half(const int32_t *sums, __m512i start, __m512 scale, __m512 offsets,
                           __m512 limit)
{
    __m512 dots = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_load_si512(sums), start));
    return _mm512_cmp_ps_mask(_mm512_fmadd_ps(scale, dots, offsets), limit, _CMP_NGT_UQ);
}

/* Queries of the part from first on, at most PAIR of them. */
static void keep(const struct part *part, size_t first, const float *offsets,
                 const struct sums *sums, uint32_t *kept)
{
    __m512 low = _mm512_loadu_ps(offsets), high = _mm512_loadu_ps(offsets + TILE_LINES);
    size_t count = part->count - first < PAIR ? part->count - first : PAIR;
    for (size_t q = 0; q < count; q++) {
        __m512i start = _mm512_set1_epi32(part->start[first + q]);
        __m512 scale = _mm512_set1_ps(part->scale[first + q]);
        __m512 limit = _mm512_set1_ps(part->panel_limit[first + q]);
        kept[first + q] =
            _mm512_kunpackw(keep_half(sums->of[q] + TILE_LINES, start, scale, high, limit),
                            keep_half(sums->of[q], start, scale, low, limit));
    }
}

/* The part against a panel. */
static void sift_part(const struct part *part, const struct sides *sides, const float *offsets,
                      uint32_t *kept)
{
    struct sums sums;
    size_t group_size = (sides->whole + (sides->rest > 0)) * TILE_SIZE;
    for (size_t q = 0; q < part->count; q += PAIR) {
        const int8_t *queries = part->queries + q / AMX_LAYOUT_GROUP * group_size;
        if (part->count - q > AMX_LAYOUT_GROUP)
            multiply(sides, queries, q / PAIR, true, &sums);
        else
            multiply(sides, queries, q / PAIR, false, &sums);
        keep(part, q, offsets, &sums, kept);
    }
}

void sift_codes_amx(const struct code_queries *queries, const struct code_panels *panels,
                    uint32_t *kept)
{
    struct part part;
    struct sides sides;
    if (queries->count <= FEW) {
        sift_codes_amx_few(queries, panels, kept);
        return;
    }
    memset(&part, 0, sizeof part);
    memset(sides.last, 0, sizeof sides.last);
    _tile_loadconfig(&whole_tiles);
    for (size_t first = 0; first < queries->count; first += PART) {
        ready_part(&part, queries, first, panels->dim);
        for (size_t p = 0; p < panels->count; p++) {
            ready_limits(&part, panels->errors[p], panels->norms[p]);
            ready_sides(&sides, panels->codes + p * code_panel_size(panels->dim), panels->dim);
            sift_part(&part, &sides, panels->offsets + p * PANEL_ROWS,
                      kept + p * queries->count + first);
        }
    }
    _tile_release();
}
