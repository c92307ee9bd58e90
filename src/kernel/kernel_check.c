/* Every kernel of every tier that this processor can run gives the bits of the C tier, and the C
 * tier gives answers worked out by hand. Dimensions from 0 to 130 and some long ones; inputs and
 * outputs that begin or end at an unreadable page; zeros, denormals, the largest components, ties;
 * for sift and find_refused also NaN and infinities. Once more inside fp_env_enter, called from a
 * host that flushes denormals and rounds up.
 *
 * kernel_check [SEED] */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "device/tier.h"
#include "kernel/fpenv.h"
#include "kernel/kernel.h"
#include "waggle/knn.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { QUERIES_MAX = 9, PANEL_QUERIES_MAX = 50, ROWS_MAX = 40, DIM_MAX = 1536, ROUNDS = 12 };
enum { LARGEST_DIM = 65536 };

static unsigned seed;
static size_t compared;

static size_t below(size_t end)
{
    return (size_t)rand() % end;
}

static bool one_in(size_t n)
{
    return below(n) == 0;
}

/* Memory between two unreadable pages: a step outside is a crash. */
struct guarded {
    char *start;
    size_t size;
};

static struct guarded guarded_make(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    char *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + page, size, PROT_READ | PROT_WRITE) != 0) abort();
    return (struct guarded){ all + page, size };
}

/* Room for so many bytes, at one end or the other, all bits set. */
static void *guarded_bytes(const struct guarded *g, size_t size)
{
    if (size > g->size) abort();
    return memset(one_in(2) ? g->start : g->start + g->size - size, 0xff, size);
}

/* Room for count values of four bytes; all bits set, which is a NaN. */
static void *guarded_take(const struct guarded *g, size_t count)
{
    return guarded_bytes(g, count * sizeof(float));
}

static struct guarded queries_room, rows_room, out_room;

static float random_component(void)
{
    float x = (float)rand() / (float)RAND_MAX * 2 - 1;
    switch (below(16)) {
    case 0: return one_in(2) ? 0.0f : -0.0f;
    case 1: return x * WG_COMPONENT_MAX;
    case 2: return x * 1e-40f;
    case 3: return x * 1e-23f; /* products of these underflow */
    default: return x;
    }
}

/* One way for all of a problem, so that a score made of nothing else occurs. */
enum way { MIXED, MIXED_AGAIN, TIES, DENORMAL, LARGEST, MINUS_ZERO, WAY_COUNT };

static void fill(float *x, size_t count, enum way way, float sign)
{
    for (size_t i = 0; i < count; i++) switch (way) {
        case TIES: x[i] = (float)below(3) - 1; break;
        case DENORMAL: x[i] = (float)below(1000) * FLT_TRUE_MIN * (one_in(2) ? 1.0f : -1.0f); break;
        case LARGEST: x[i] = one_in(2) ? WG_COMPONENT_MAX : -WG_COMPONENT_MAX; break;
        case MINUS_ZERO: x[i] = sign * 1e-30f; break; /* every product is -0, the score +0 */
        default: x[i] = random_component();
        }
}

/* A host's environment, where asked for, from which a kernel is called through fp_env_enter. */
static bool hostile;
static struct fp_env saved;

#if defined(__x86_64__)
enum { MXCSR_CALM = 0x1f80, MXCSR_HOSTILE = 0x1f80 | 0x8000 /* FTZ */ | 0x4000 /* up */ | 0x40 };

static void be_hostile(void)
{
    __builtin_ia32_ldmxcsr(MXCSR_HOSTILE);
}

static void be_calm(void)
{
    __builtin_ia32_ldmxcsr(MXCSR_CALM);
}

static bool is_hostile(void)
{
    return __builtin_ia32_stmxcsr() == MXCSR_HOSTILE;
}
#elif defined(__aarch64__)
static const uint64_t FPCR_HOSTILE = 1 << 24 /* flushes denormals */ | 1 << 22 /* rounds up */;

static void be_hostile(void)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(FPCR_HOSTILE) : "memory");
}

static void be_calm(void)
{
    __asm__ volatile("msr fpcr, xzr" ::: "memory");
}

static bool is_hostile(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control)::"memory");
    return control == FPCR_HOSTILE;
}
#else
#include <fenv.h>

static void be_hostile(void)
{
    fesetround(FE_UPWARD);
}

static void be_calm(void)
{
    fesetround(FE_TONEAREST);
}

static bool is_hostile(void)
{
    return fegetround() == FE_UPWARD;
}
#endif

static void enter(void)
{
    if (!hostile) return;
    be_hostile();
    saved = fp_env_enter();
}

static void leave(void)
{
    if (!hostile) return;
    fp_env_leave(saved);
    if (!is_hostile()) {
        printf("fp_env_leave did not restore what fp_env_enter saved, seed %u\n", seed);
        exit(1);
    }
    be_calm();
}

/* What is compared, for the message. */
struct subject {
    const char *tier, *kernel;
    size_t dim, query_count, row_count;
};

static void compare(const struct subject *s, const void *want, const void *got, size_t count)
{
    const unsigned char *w = want, *g = got;
    compared += count;
    for (size_t i = 0; i < count; i++, w += 4, g += 4) {
        if (memcmp(w, g, 4) == 0) continue;
        uint32_t bits[2];
        float value[2];
        memcpy(&bits[0], w, 4), memcpy(&bits[1], g, 4);
        memcpy(&value[0], w, 4), memcpy(&value[1], g, 4);
        printf("%s %s, dim %zu, %zu x %zu%s, seed %u: result %zu is 0x%x (as a score %a), "
               "the C tier gives 0x%x (%a)\n",
               s->tier, s->kernel, s->dim, s->query_count, s->row_count,
               hostile ? ", from a hostile host" : "", seed, i, (unsigned)bits[1], (double)value[1],
               (unsigned)bits[0], (double)value[0]);
        exit(1);
    }
}

static void compare_count(const struct subject *s, size_t want, size_t got)
{
    uint32_t w = (uint32_t)want, g = (uint32_t)got;
    compare(s, &w, &g, 1);
}

static void check_kernel_tile_f32(struct subject *s, kernel_tile_f32 *want, kernel_tile_f32 *got)
{
    static float expected[QUERIES_MAX * ROWS_MAX];
    s->query_count = below(QUERIES_MAX + 1);
    s->row_count = below(ROWS_MAX + 1);
    size_t count = s->query_count * s->row_count;
    float *queries = guarded_take(&queries_room, s->query_count * s->dim);
    float *rows = guarded_take(&rows_room, s->row_count * s->dim);
    float *scores = guarded_take(&out_room, count);
    enum way way = (enum way)below(WAY_COUNT);
    fill(queries, s->query_count * s->dim, way, 1);
    fill(rows, s->row_count * s->dim, way, -1);
    want(queries, s->query_count, rows, s->row_count, s->dim, expected);
    enter();
    got(queries, s->query_count, rows, s->row_count, s->dim, scores);
    leave();
    compare(s, expected, scores, count);
}

static void check_kernel_pair_f32(struct subject *s, kernel_pair_f32 *want, kernel_pair_f32 *got)
{
    s->query_count = s->row_count = 1;
    float *a = guarded_take(&queries_room, s->dim), *b = guarded_take(&rows_room, s->dim);
    enum way way = (enum way)below(WAY_COUNT);
    fill(a, s->dim, way, 1);
    fill(b, s->dim, way, -1);
    float expected = want(a, b, s->dim);
    enter();
    float score = got(a, b, s->dim);
    leave();
    compare(s, &expected, &score, 1);
}

/* Anything a float can be. */
static float random_value(void)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0.0f, -0.0f };
    return one_in(24) ? odd[below(sizeof odd / sizeof *odd)] : random_component();
}

/* Often the value of one of the scores, which is then kept; else anything, or so low that hardly a
 * score stays, as in a search. */
static float random_limit(const float *scores, const float *offsets, size_t count, float scale)
{
    if (one_in(4)) return -0.99f * fabsf(scale);
    if (count == 0 || one_in(4)) return random_value();
    size_t i = below(count);
    return fmaf(scale, scores[i], offsets ? offsets[i] : 0.0f);
}

static void check_kernel_sift_f32(struct subject *s, kernel_sift_f32 *want, kernel_sift_f32 *got)
{
    static const float scales[] = { 1, -1, -2, 0.37f };
    static uint32_t expected[DIM_MAX + ROWS_MAX];
    size_t count = s->row_count = s->dim + below(ROWS_MAX);
    float *scores = guarded_take(&rows_room, count);
    float *offsets = one_in(2) ? NULL : guarded_take(&queries_room, count);
    uint32_t *kept = guarded_take(&out_room, count);
    float scale = scales[below(sizeof scales / sizeof *scales)];
    for (size_t i = 0; i < count; i++) scores[i] = random_value();
    for (size_t i = 0; offsets && i < count; i++) offsets[i] = random_value();
    float limit = random_limit(scores, offsets, count, scale);
    size_t expected_count = want(scores, offsets, count, scale, limit, expected);
    enter();
    size_t kept_count = got(scores, offsets, count, scale, limit, kept);
    leave();
    compare_count(s, expected_count, kept_count);
    compare(s, expected, kept, kept_count);
}

/* Mostly one component to refuse, anywhere: some of those just above the largest allowed. */
static void check_kernel_find_f32(struct subject *s, kernel_find_f32 *want, kernel_find_f32 *got)
{
    const float refused[] = { NAN,
                              -NAN,
                              INFINITY,
                              -INFINITY,
                              nextafterf(WG_COMPONENT_MAX, FLT_MAX),
                              -nextafterf(WG_COMPONENT_MAX, FLT_MAX) };
    size_t count = s->row_count = s->dim + below(ROWS_MAX);
    float *x = guarded_take(&rows_room, count);
    fill(x, count, (enum way)below(WAY_COUNT), 1);
    for (size_t n = below(3); count > 0 && n > 0; n--)
        x[below(count)] = refused[below(sizeof refused / sizeof *refused)];
    size_t expected = want(x, count);
    enter();
    size_t found = got(x, count);
    leave();
    compare_count(s, expected, found);
}

static void check_kernel_pack_f32(struct subject *s, kernel_pack_f32 *want, kernel_pack_f32 *got)
{
    static float expected[DIM_MAX * PANEL_ROWS], expected_norms[PANEL_ROWS];
    s->query_count = 1;
    s->row_count = one_in(2) ? PANEL_ROWS : 1 + below(PANEL_ROWS);
    float *rows = guarded_take(&rows_room, s->row_count * s->dim);
    float *panel = guarded_take(&out_room, s->dim * PANEL_ROWS);
    float *norms = guarded_take(&queries_room, PANEL_ROWS);
    fill(rows, s->row_count * s->dim, (enum way)below(WAY_COUNT), 1);
    want(rows, s->row_count, s->dim, expected, expected_norms);
    enter();
    got(rows, s->row_count, s->dim, panel, norms);
    leave();
    compare(s, expected, panel, s->dim * PANEL_ROWS);
    compare(s, expected_norms, norms, PANEL_ROWS);
}

/* What is between the scores of two queries stays as it was. */
static void check_kernel_panel_f32(struct subject *s, kernel_panel_f32 *want, kernel_panel_f32 *got)
{
    static float expected[PANEL_QUERIES_MAX * (PANEL_ROWS + 8)];
    size_t stride = PANEL_ROWS + below(9);
    s->query_count = below(PANEL_QUERIES_MAX + 1);
    s->row_count = PANEL_ROWS;
    size_t count = s->query_count > 0 ? (s->query_count - 1) * stride + PANEL_ROWS : 0;
    float *queries = guarded_take(&queries_room, s->query_count * s->dim);
    float *panel = guarded_take(&rows_room, s->dim * PANEL_ROWS);
    float *scores = guarded_take(&out_room, count);
    enum way way = (enum way)below(WAY_COUNT);
    fill(queries, s->query_count * s->dim, way, 1);
    fill(panel, s->dim * PANEL_ROWS, way, -1);
    memset(expected, 0xff, sizeof expected);
    struct panel packed = { panel, one_in(2) ? NULL : panel, s->dim };
    want(queries, s->query_count, &packed, expected, stride);
    enter();
    got(queries, s->query_count, &packed, scores, stride);
    leave();
    compare(s, expected, scores, count);
}

static void check_kernel_encode_f32(struct subject *s, kernel_encode_f32 *want,
                                    kernel_encode_f32 *got)
{
    static uint8_t expected[DIM_MAX * PANEL_ROWS];
    struct code_sums expected_sums, sums;
    size_t size = code_panel_size(s->dim);
    s->query_count = 1;
    s->row_count = PANEL_ROWS;
    float *rows = guarded_take(&rows_room, PANEL_ROWS * s->dim);
    float *centre = guarded_take(&queries_room, s->dim);
    uint8_t *codes = guarded_take(&out_room, size / sizeof(float));
    enum way way = (enum way)below(WAY_COUNT);
    fill(rows, PANEL_ROWS * s->dim, way, 1);
    fill(centre, s->dim, way, -1);
    float scale = ldexpf(1 + (float)below(1000) / 1000, (int)below(110) - 60);
    struct coder coder = { centre, scale, 1 / scale, s->dim };
    want(&coder, rows, expected, &expected_sums);
    enter();
    got(&coder, rows, codes, &sums);
    leave();
    compare(s, expected, codes, size / sizeof(float));
    compare(s, &expected_sums, &sums, sizeof sums / sizeof(float));
}

/* Of the tier. */
static int8_t query_code_max;
static struct code_layout query_layout;

enum { CODE_PANELS_MAX = 3, QUERY_GROUP_SIZE_MAX = 1024 };

static struct code_query random_code_query(const int8_t *codes, size_t dim)
{
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++) sum += codes[i];
    return (struct code_query){
        .start = -128 * sum,
        .scale = one_in(2) ? -1 : random_component(),
        .limit = one_in(2) ? (float)below(2000) - 1000 : random_value(),
        .error_factor = one_in(2) ? 0 : random_component(),
        .norm_factor = one_in(2) ? 0 : random_component(),
    };
}

/* One query's codes in the layout, zeros behind them. */
static void lay_out(const struct code_layout *layout, const int8_t *plain, size_t q, size_t dim,
                    int8_t *codes)
{
    size_t padded = code_layout_steps(layout, dim) * layout->step;
    for (size_t i = 0; i < padded; i++)
        codes[code_layout_at(layout, dim, q, i)] = i < dim ? plain[i] : 0;
}

/* As the C tier wants them, and as the tier does. */
static void fill_code_queries(const struct kernels *c, size_t query_count, size_t dim,
                              int8_t *expected, int8_t *codes, struct code_query *each)
{
    static int8_t plain[DIM_MAX + CODE_STEP];
    for (size_t q = 0; q < query_count; q++) {
        int largest = one_in(2) ? query_code_max : 3;
        memset(plain, 0, sizeof plain);
        for (size_t i = 0; i < dim; i++)
            plain[i] = (int8_t)((int)below(2 * (size_t)largest + 1) - largest);
        if (one_in(4)) memset(plain, one_in(2) ? largest : -largest, dim);
        each[q] = random_code_query(plain, dim);
        lay_out(&c->code_layout, plain, q, dim, expected);
        lay_out(&query_layout, plain, q, dim, codes);
    }
}

static void fill_codes(uint8_t *codes, size_t size)
{
    bool narrow = one_in(2);
    for (size_t i = 0; i < size; i++)
        codes[i] = (uint8_t)(narrow ? 126 + below(5) : 1 + below(255));
    if (one_in(4)) memset(codes, one_in(2) ? 255 : 1, size);
}

/* Some row's value is the limit: were its sum another, it would mostly go. */
static void limit_at_a_row(const struct code_queries *queries, const struct code_panels *panels,
                           size_t q, struct code_query *query)
{
    size_t row = below(panels->count * PANEL_ROWS), r = row % PANEL_ROWS;
    const uint8_t *codes = panels->codes + row / PANEL_ROWS * code_panel_size(panels->dim);
    int64_t dot = query->start;
    for (size_t i = 0; i < panels->dim; i++)
        dot += queries->codes[code_layout_at(&query_layout, panels->dim, q, i)] *
               codes[(i / CODE_STEP * PANEL_ROWS + r) * CODE_STEP + i % CODE_STEP];
    query->scale = one_in(2) ? -1 : 1;
    query->error_factor = query->norm_factor = 0;
    query->limit = fmaf(query->scale, (float)dot, panels->offsets[row]);
}

static void check_kernel_sift_codes(struct subject *s, kernel_sift_codes *want,
                                    kernel_sift_codes *got)
{
    static struct code_query each[PANEL_QUERIES_MAX];
    static float offsets[CODE_PANELS_MAX * PANEL_ROWS];
    static int8_t plain[(DIM_MAX + CODE_STEP) * PANEL_QUERIES_MAX];
    float errors[CODE_PANELS_MAX], norms[CODE_PANELS_MAX];
    uint32_t expected[CODE_PANELS_MAX * PANEL_QUERIES_MAX];
    struct kernels c;
    kernels_init(&c, CPU_C);
    s->query_count = below(PANEL_QUERIES_MAX + 1);
    size_t count = 1 + below(CODE_PANELS_MAX), size = count * code_panel_size(s->dim);
    s->row_count = count * PANEL_ROWS;
    int8_t *laid_out =
        guarded_take(&queries_room,
                     code_layout_size(&query_layout, s->dim, s->query_count) / sizeof(float));
    uint8_t *codes = guarded_take(&rows_room, size / sizeof(float));
    uint32_t *kept = guarded_take(&out_room, count * s->query_count);
    fill_code_queries(&c, s->query_count, s->dim, plain, laid_out, each);
    fill_codes(codes, size);
    for (size_t r = 0; r < s->row_count; r++) offsets[r] = one_in(2) ? 0 : random_value();
    for (size_t p = 0; p < count; p++)
        errors[p] = random_component(), norms[p] = random_component();
    struct code_panels panels = { codes, offsets, errors, norms, s->dim, count };
    struct code_queries all = { laid_out, each, s->query_count };
    for (size_t q = 0; q < s->query_count; q++)
        if (one_in(2)) limit_at_a_row(&all, &panels, q, &each[q]);
    want(&(struct code_queries){ plain, each, s->query_count }, &panels, expected);
    enter();
    got(&all, &panels, kept);
    leave();
    compare(s, expected, kept, count * s->query_count);
}

/* Codes within CODE_MAX: any, or the largest alone. */
static void fill_signed(uint8_t *codes, size_t count)
{
    bool largest = one_in(4);
    for (size_t i = 0; i < count; i++) {
        int code = (int)below(2 * CODE_MAX + 1) - CODE_MAX;
        if (largest) code = code < 0 ? -CODE_MAX : CODE_MAX;
        codes[i] = (uint8_t)code;
    }
}

static void fill_bytes(uint8_t *codes, size_t size)
{
    for (size_t i = 0; i < size; i++) codes[i] = (uint8_t)rand();
    if (one_in(4)) memset(codes, one_in(2) ? 0 : 255, size);
}

/* Any finite number, denormals among them. With the exponent's lowest bit cleared it is finite both
 * as f16 and as bf16. */
static void fill_halves(uint8_t *codes, size_t size)
{
    for (size_t i = 0; i < size; i += 2) {
        unsigned half = (unsigned)rand() & 0xfbff & ~(one_in(8) ? 0x7c00u : 0x4080u);
        codes[i] = (uint8_t)half, codes[i + 1] = (uint8_t)(half >> 8);
    }
}

/* Rows in code of that many bytes: all of those that there are, or some of them, in any order and
 * more than once. */
typedef void fill_code(uint8_t *codes, size_t size);

static struct code_rows random_code_rows(struct subject *s, size_t size, fill_code *fill_row)
{
    static uint32_t at[ROWS_MAX];
    size_t there = s->row_count = below(ROWS_MAX + 1);
    uint8_t *codes = guarded_take(&rows_room, there * size / sizeof(float));
    bool all = there == 0 || one_in(2);
    if (!all) s->row_count = below(ROWS_MAX + 1);
    for (size_t r = 0; !all && r < s->row_count; r++) at[r] = (uint32_t)below(there);
    fill_row(codes, there * size);
    return (struct code_rows){ codes, size, all ? NULL : at, s->row_count };
}

/* Bytes of a row of dim components, at so many bits each: whole units. */
static size_t row_code_size(size_t dim, size_t bits)
{
    size_t unit_bits = 8 * CODE_UNIT;
    return (dim * bits + unit_bits - 1) / unit_bits * CODE_UNIT;
}

static int32_t expected_sums[QUERIES_MAX * ROWS_MAX];

static void check_kernel_dots_i8(struct subject *s, kernel_dots_i8 *want, kernel_dots_i8 *got)
{
    size_t size = row_code_size(s->dim, 8);
    s->query_count = below(QUERIES_MAX + 1);
    struct code_rows rows = random_code_rows(s, size, fill_signed);
    int8_t *queries = guarded_take(&queries_room, s->query_count * size / sizeof(float));
    int32_t *sums = guarded_take(&out_room, s->query_count * s->row_count);
    fill_signed((uint8_t *)queries, s->query_count * size);
    want(queries, s->query_count, &rows, expected_sums);
    enter();
    got(queries, s->query_count, &rows, sums);
    leave();
    compare(s, expected_sums, sums, s->query_count * s->row_count);
}

static void check_kernel_dots_i4(struct subject *s, kernel_dots_i4 *want, kernel_dots_i4 *got)
{
    size_t size = row_code_size(s->dim, 4);
    s->query_count = below(QUERIES_MAX + 1);
    struct code_rows rows = random_code_rows(s, size, fill_bytes);
    int8_t *queries = guarded_take(&queries_room, s->query_count * 2 * size / sizeof(float));
    int32_t *sums = guarded_take(&out_room, s->query_count * s->row_count);
    fill_signed((uint8_t *)queries, s->query_count * 2 * size);
    want(queries, s->query_count, &rows, expected_sums);
    enter();
    got(queries, s->query_count, &rows, sums);
    leave();
    compare(s, expected_sums, sums, s->query_count * s->row_count);
}

static void check_kernel_hamming(struct subject *s, kernel_hamming *want, kernel_hamming *got)
{
    size_t size = row_code_size(s->dim, 1);
    s->query_count = below(QUERIES_MAX + 1);
    struct code_rows rows = random_code_rows(s, size, fill_bytes);
    uint8_t *queries = guarded_take(&queries_room, s->query_count * size / sizeof(float));
    int32_t *sums = guarded_take(&out_room, s->query_count * s->row_count);
    fill_bytes(queries, s->query_count * size);
    want(queries, s->query_count, &rows, expected_sums);
    enter();
    got(queries, s->query_count, &rows, sums);
    leave();
    compare(s, expected_sums, sums, s->query_count * s->row_count);
}

static void check_kernel_dots_half(struct subject *s, kernel_dots_half *want, kernel_dots_half *got)
{
    static float expected[QUERIES_MAX * ROWS_MAX];
    size_t size = row_code_size(s->dim, 16), width = size / 2;
    s->query_count = below(QUERIES_MAX + 1);
    struct code_rows rows = random_code_rows(s, size, fill_halves);
    float *queries = guarded_take(&queries_room, s->query_count * width);
    float *scores = guarded_take(&out_room, s->query_count * s->row_count);
    fill(queries, s->query_count * width, (enum way)below(WAY_COUNT), 1);
    want(queries, s->query_count, &rows, expected);
    enter();
    got(queries, s->query_count, &rows, scores);
    leave();
    compare(s, expected, scores, s->query_count * s->row_count);
}

/* Every bit pattern comes up, those of a NaN too. */
static void check_kernel_widen_f16(struct subject *s, kernel_widen_f16 *want, kernel_widen_f16 *got)
{
    static float expected[DIM_MAX];
    uint16_t *x = guarded_bytes(&rows_room, s->dim * sizeof *x);
    float *out = guarded_take(&out_room, s->dim);
    fill_bytes((uint8_t *)x, s->dim * sizeof *x);
    for (size_t i = 0; i < s->dim; i++)
        if (one_in(8)) x[i] &= 0x83ff; /* denormal */
    want(x, s->dim, expected);
    enter();
    got(x, s->dim, out);
    leave();
    compare(s, expected, out, s->dim);
}

static void check_kernel_widen_u8(struct subject *s, kernel_widen_u8 *want, kernel_widen_u8 *got)
{
    static float expected[DIM_MAX];
    uint8_t *x = guarded_bytes(&rows_room, s->dim);
    float *out = guarded_take(&out_room, s->dim);
    fill_bytes(x, s->dim);
    want(x, s->dim, expected);
    enter();
    got(x, s->dim, out);
    leave();
    compare(s, expected, out, s->dim);
}

static void check_kernel_squares_u8(struct subject *s, kernel_squares_u8 *want,
                                    kernel_squares_u8 *got)
{
    size_t count = one_in(8) ? LARGEST_DIM - below(2) : s->dim;
    uint8_t *x = guarded_bytes(&rows_room, count);
    fill_bytes(x, count);
    uint32_t expected = want(x, count);
    enter();
    uint32_t sum = got(x, count);
    leave();
    compare(s, &expected, &sum, 1);
}

static void check_kernel_tile_bits(struct subject *s, kernel_tile_bits *want, kernel_tile_bits *got)
{
    static float expected[QUERIES_MAX * ROWS_MAX];
    s->query_count = below(QUERIES_MAX + 1);
    s->row_count = below(ROWS_MAX + 1);
    size_t count = s->query_count * s->row_count;
    uint8_t *queries = guarded_bytes(&queries_room, s->query_count * s->dim);
    uint8_t *rows = guarded_bytes(&rows_room, s->row_count * s->dim);
    float *scores = guarded_take(&out_room, count);
    fill_bytes(queries, s->query_count * s->dim);
    fill_bytes(rows, s->row_count * s->dim);
    want(queries, s->query_count, rows, s->row_count, s->dim, expected);
    enter();
    got(queries, s->query_count, rows, s->row_count, s->dim, scores);
    leave();
    compare(s, expected, scores, count);
}

static void check_round(const char *tier, const struct kernels *c, const struct kernels *k)
{
    for (size_t dim = 0; dim <= DIM_MAX; dim += dim < 130 ? 1 : 469) {
        struct subject s = { .tier = tier, .dim = dim };
#define X(type, name) \
    s.kernel = #name; \
    check_##type(&s, c->name, k->name);
        KERNELS(X)
#undef X
    }
}

static void expect(bool holds, const char *tier, const char *what)
{
    compared++;
    if (holds) return;
    printf("%s: %s, seed %u\n", tier, what, seed);
    exit(1);
}

/* The header's sentences, in numbers: 2^24 + 1 is no float, and (1 + 2^-12)^2 is none either. */
static void check_known_scores(const char *tier, const struct kernels *k)
{
    const float a[] = { 1, 2, 3 }, b[] = { 4, 0, 8 };
    float x[17] = { 0x1p24f, [4] = 1, [12] = 1 }, ones[17];
    for (size_t i = 0; i < 17; i++) ones[i] = 1;
    expect(k->dot(a, b, 3) == 28, tier, "dot of (1 2 3) and (4 0 8) is not 28");
    expect(k->l2(a, b, 3) == 38, tier, "l2 of (1 2 3) and (4 0 8) is not 38");
    expect(k->l1(a, b, 3) == 10, tier, "l1 of (1 2 3) and (4 0 8) is not 10");
    expect(k->chebyshev(a, b, 3) == 5, tier, "chebyshev of (1 2 3) and (4 0 8) is not 5");
    expect(k->dot(x, ones, 17) == 0x1p24f + 2, tier,
           "lane 0 takes in lane 4 before that has lane 12");
    x[4] = 0, x[12] = 0, x[16] = 1, x[8] = 1;
    expect(k->dot(x, ones, 17) == 0x1p24f, tier, "element 16 is not added to lane 0");
    float f[17] = { -1, [16] = 1 + 0x1p-12f }, g[17] = { 1, [16] = 1 + 0x1p-12f };
    expect(k->dot(f, g, 17) == 0x1p-11f + 0x1p-24f, tier, "dot rounds its products");
}

static void check_known_positions(const char *tier, const struct kernels *k)
{
    const float scores[] = { 3, 2, NAN, 1, INFINITY, -INFINITY }, offsets[] = { 0, 1, 0, 1, 0, 0 };
    uint32_t kept[6];
    expect(k->sift(scores, NULL, 6, 1, 2, kept) == 4 && kept[0] == 1 && kept[1] == 2 &&
               kept[2] == 3 && kept[3] == 5,
           tier, "sift at 2 does not keep what is 2, less, or NaN");
    expect(k->sift(scores, offsets, 6, -1, -1, kept) == 4 && kept[0] == 0 && kept[1] == 1 &&
               kept[2] == 2 && kept[3] == 4,
           tier, "sift of offset - score at -1 does not keep what is -1, less, or NaN");
    const float x[] = { WG_COMPONENT_MAX, -WG_COMPONENT_MAX, 0, NAN, INFINITY };
    expect(k->find_refused(x, 3) == 3, tier, "find_refused finds one among allowed components");
    expect(k->find_refused(x, 5) == 3, tier, "find_refused does not find the NaN");
}

/* One chain: 2^24 takes in a 1 after the other, and stays; two ones together would not be lost. */
static void check_known_panel(const char *tier, const struct kernels *k)
{
    const float rows[] = { 1, 2, 3, 0x1p12f, 1, 1 }, queries[] = { 4, 0, 8, 0x1p12f, 1, 1 };
    float panel[3 * PANEL_ROWS], norms[PANEL_ROWS], scores[2 * PANEL_ROWS];
    k->pack(rows, 2, 3, panel, norms);
    expect(panel[0] == 1 && panel[PANEL_ROWS] == 2 && panel[PANEL_ROWS + 1] == 1 &&
               panel[2 * PANEL_ROWS] == 3 && panel[2] == 0 && panel[3 * PANEL_ROWS - 1] == 0,
           tier, "pack does not lay out component i of row r at i * 32 + r, zeros behind");
    expect(norms[0] == 14 && norms[1] == 0x1p24f && norms[2] == 0, tier,
           "pack does not give the squared norms 14, 2^24 and 0");
    k->dot_panel(queries, 2, &(struct panel){ panel, NULL, 3 }, scores, PANEL_ROWS);
    expect(scores[0] == 28 && scores[PANEL_ROWS] == 0x1p12f + 5, tier,
           "dot_panel of (1 2 3) with its queries is not 28 and 2^12 + 5");
    expect(scores[PANEL_ROWS + 1] == 0x1p24f, tier, "dot_panel is not one chain");
}

/* The numbers of IEEE 754-2008, 3.6, and sums that pass 2^31. */
static void check_known_types(const char *tier, const struct kernels *k)
{
    static uint8_t all[LARGEST_DIM];
    const uint16_t halves[] = { 0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8000, 0x7c00 };
    const float floats[] = { 1, -2, 65504, 0x1p-14f, 1023 * 0x1p-24f, 0x1p-24f, -0.0f, INFINITY };
    const uint8_t bytes[] = { 0, 1, 128, 255 }, ones[] = { 0x0f, 0xff, 0x01 };
    float wide[8];
    k->widen_f16(halves, 8, wide);
    expect(memcmp(wide, floats, sizeof wide) == 0, tier, "halves are widened to other floats");
    k->widen_u8(bytes, 4, wide);
    expect(wide[0] == 0 && wide[1] == 1 && wide[2] == 128 && wide[3] == 255, tier,
           "bytes are widened to other floats");
    expect(k->squares_u8(bytes, 4) == 1 + 16384 + 65025, tier, "the sum of squares is another");
    memset(all, 255, sizeof all);
    expect(k->squares_u8(all, LARGEST_DIM) == UINT32_C(65025) * LARGEST_DIM, tier,
           "the largest sum of squares is another");
    k->bits_tile(bytes + 1, 1, ones, 3, 1, wide);
    expect(wide[0] == 3 && wide[1] == 7 && wide[2] == 0, tier,
           "00000001 does not differ by 3, 7 and 0 bits");
}

static void check_no_hole(enum cpu_tier tier, const struct kernels *k)
{
    struct kernels under;
    if (tier == CPU_C) return;
    kernels_init(&under, tier - 1);
    bool one_kernel = tier == CPU_AVXVNNI || tier == CPU_VNNI || tier == CPU_AMX || tier > CPU_NEON;
    if (one_kernel) {
        expect(k->sift_codes != under.sift_codes, cpu_tier_name(tier), "sift_codes is another's");
        return;
    }
#define X(type, name) \
    expect(k->name != under.name, cpu_tier_name(tier), #name " is that of the tier below");
    KERNELS(X)
#undef X
}

/* Behind a centre of 10, coded at a scale of 0.5, row 1 is (0.5 -0.875 990), and row 2 all ties. */
static void check_known_codes(const char *tier, const struct kernels *k)
{
    static float rows[PANEL_ROWS * 3], offsets[PANEL_ROWS];
    const float centre[] = { 10, 10, 10 };
    uint8_t codes[CODE_STEP * PANEL_ROWS];
    struct code_sums sums;
    for (size_t i = 0; i < PANEL_ROWS * 3; i++) rows[i] = 10;
    rows[3] = 10.5f, rows[4] = 9.125f, rows[5] = 1000;
    rows[6] = 10.25f, rows[7] = 10.75f, rows[8] = 11.25f;
    k->encode(&(struct coder){ centre, 0.5f, 2, 3 }, rows, codes, &sums);
    expect(codes[4] == 129 && codes[5] == 126 && codes[6] == 255 && codes[7] == 128 &&
               codes[0] == 128 && codes[8] == 128,
           tier, "the codes of 0.5, -0.875 and 990 are not 1, -2 and 127");
    expect(codes[9] == 130 && codes[10] == 130, tier, "codes of 1.5 and 2.5 are not the even 2");
    expect(sums.error[1] == 0.125f * 0.125f + 926.5f * 926.5f &&
               sums.value[1] == 0.25f + 0.875f * 0.875f + 990.0f * 990.0f && sums.value[0] == 0,
           tier, "the sums of squares of those codes are others");
    int8_t queries[QUERY_GROUP_SIZE_MAX] = { 3, 1, 1 };
    struct code_query each = { -128 * 5, 1, 128, 2, 1 };
    float error = 0, norm = 0;
    struct code_panels panel = { codes, offsets, &error, &norm, 3, 1 };
    uint32_t kept;
    k->sift_codes(&(struct code_queries){ queries, &each, 1 }, &panel, &kept);
    expect(kept == UINT32_MAX, tier, "a dot of 3 - 2 + 127 is above 128");
    each.limit = 124, error = norm = 1;
    k->sift_codes(&(struct code_queries){ queries, &each, 1 }, &panel, &kept);
    expect(kept == ~UINT32_C(2), tier, "a dot of 128 is not above 124 + 2 + 1");
}

/* Were this to hold without fp_env_enter, the hostile rounds would show nothing. */
static void check_hostility(const struct kernels *k)
{
    const float tiny = 1e-40f, one = 1, tie = 1 + 0x1p-12f; /* its square is cut */
    float calm[] = { k->dot(&tiny, &one, 1), k->dot(&tie, &tie, 1) };
    be_hostile();
    float flushed = k->dot(&tiny, &one, 1), up = k->dot(&tie, &tie, 1);
    be_calm();
    bool flushes = memcmp(&calm[0], &flushed, sizeof flushed) != 0;
    bool rounds_up = memcmp(&calm[1], &up, sizeof up) != 0;
#if defined(__x86_64__) || defined(__aarch64__)
    expect(flushes, "host", "a host that flushes denormals changes no score");
#else
    (void)flushes;
#endif
    expect(rounds_up, "host", "a host that rounds up changes no score");
}

static void check_tier(enum cpu_tier tier, const struct kernels *c)
{
    const char *name = cpu_tier_name(tier);
    struct kernels k;
    kernels_init(&k, tier);
    query_code_max = k.query_code_max;
    query_layout = k.code_layout;
    check_no_hole(tier, &k);
    check_known_scores(name, &k);
    check_known_positions(name, &k);
    check_known_panel(name, &k);
    check_known_codes(name, &k);
    check_known_types(name, &k);
    for (int round = 0; round < ROUNDS; round++) check_round(name, c, &k);
    check_hostility(&k);
    hostile = true;
    check_round(name, c, &k);
    hostile = false;
}

static bool is_wanted(enum cpu_tier tier)
{
    const char *only = getenv("WAGGLE_CPU");
    return !only || strcmp(only, cpu_tier_name(tier)) == 0;
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    srand(seed);
    queries_room = guarded_make((size_t)PANEL_QUERIES_MAX * DIM_MAX * sizeof(float));
    rows_room = guarded_make((size_t)ROWS_MAX * DIM_MAX * sizeof(float));
    out_room = guarded_make((size_t)PANEL_ROWS * DIM_MAX * sizeof(float));
    struct kernels c;
    kernels_init(&c, CPU_C);
    for (enum cpu_tier tier = CPU_C; tier < CPU_TIER_COUNT; tier++) {
        if (!is_wanted(tier))
            printf("%s: WAGGLE_CPU names another, not checked\n", cpu_tier_name(tier));
        else if (tier_is_here(tier))
            check_tier(tier, &c);
        else
            printf("%s: not on this processor, not checked\n", cpu_tier_name(tier));
    }
    printf("kernel check: %zu scores equal to the C tier, seed %u\n", compared, seed);
    return 0;
}
