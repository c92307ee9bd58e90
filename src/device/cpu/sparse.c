#include "device/cpu/sparse.h"

#include "device/cpu/block.h"

#include <string.h>

enum {
    WINDOW_ROWS = 1024, /* are looked at to choose */
    AHEAD = 8, /* rows on their way from memory */
    AHEAD_BYTES_MAX = 2048, /* of each */
};

/* Up to how many rows of a hundred may be live, by the number of queries and whether there are
 * codes. Measured with bench/masked on a Zen 3 (AVX2), 100,000 x 128 and 20,000 x 768, scattered
 * masks: the time of gathering, over that of scanning everything and asking for the bit of what
 * survives.
 *
 *     live, 128-d            10 %   30 %   50 %      live, 768-d       5 %   10 %   30 %   60 %
 *     1 query,     plain     0.25   0.58   0.84      1,     plain                   0.46   0.91
 *     4 queries,   plain     0.34   0.83   1.20      4,     plain                   0.54   0.97
 *     16 queries,  plain     0.27   0.71   1.03      16,    plain                   0.56   1.08
 *     128 queries, plain     0.15   0.41   0.62      128,   plain                   0.39   0.71
 *     1 query,     coded     1.40   2.80   4.05      1,     coded     0.40   0.87   1.91
 *     4 queries,   coded     1.02   2.73   4.03      4,     coded     0.38   0.71   1.70
 *     16 queries,  coded     0.65   1.62   2.43      16,    coded     0.27   0.54   1.22
 *     128 queries, coded     0.31   0.79   1.25      128,   coded     0.17   0.29   0.61 */
static const struct {
    size_t query_count; /* at least */
    uint64_t plain, coded;
} live_percent_max[] = { { 64, 65, 33 }, { 16, 45, 15 }, { 1, 40, 7 } };

static bool is_sparse(const struct run *run, const struct block *b, uint64_t row_count, bool coded)
{
    size_t i = 0;
    while (b->query_count < live_percent_max[i].query_count) i++;
    bool cheap =
        coded || run->spans->type == ROW_BITS; /* bits are read and counted as fast as codes */
    uint64_t most = cheap ? live_percent_max[i].coded : live_percent_max[i].plain;
    return bitmap_count(run->live, b->row_first, row_count) * 100 <= row_count * most;
}

static void fetch(const char *row, size_t size)
{
    if (size > AHEAD_BYTES_MAX) size = AHEAD_BYTES_MAX;
    for (size_t i = 0; i < size; i += CACHE_LINE) {
        __builtin_prefetch(row + i);
        __asm__ volatile("" ::: "memory"); /* gcc 12 keeps but the first prefetch of a loop */
    }
}

/* The numbers of live rows, a block of them at most; returns how many. */
static size_t list_live(const struct run *run, const struct block *b, uint64_t row_end)
{
    uint64_t *numbers = b->bench->numbers;
    size_t count = 0;
    uint64_t row = bitmap_next(run->live, b->row_first, row_end);
    for (; row < row_end && count < run->block_rows; row = bitmap_next(run->live, row + 1, row_end))
        numbers[count++] = row;
    return count;
}

static void gather_rows(const struct run *run, const struct block *b, size_t count)
{
    const struct bench *bench = b->bench;
    size_t size = run->row_size;
    for (size_t i = 0; i < count + AHEAD; i++) {
        if (i < count) fetch(row_at(b->stored, size, bench->numbers[i] - b->row_first), size);
        if (i < AHEAD) continue;
        size_t at = i - AHEAD;
        memcpy(bench->gathered + at * size,
               row_at(b->stored, size, bench->numbers[at] - b->row_first), size);
    }
}

size_t sparse_scan(const struct run *run, const struct block *b, uint64_t row_end, bool coded)
{
    uint64_t left = row_end - b->row_first, window = left < WINDOW_ROWS ? left : WINDOW_ROWS;
    if (run->scan->check_rows || !is_sparse(run, b, window, coded)) return 0;
    size_t count = list_live(run, b, row_end);
    if (count == 0) return (size_t)left;
    gather_rows(run, b, count);
    struct block gathered = *b;
    gathered.stored = b->bench->gathered;
    gathered.row_count = count;
    gathered.numbers = b->bench->numbers;
    block_scan(run, &gathered);
    uint64_t next = bitmap_next(run->live, b->bench->numbers[count - 1] + 1, row_end);
    return (size_t)(next - b->row_first);
}
