#pragma once
/* The k best of a stream of (value, row): lower values first, equal values by row. A bounded heap
 * with the worst on top, so that what cannot enter costs one comparison. One thread. */
#include "base/err.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scored {
    float value;
    uint64_t row;
};

struct topk {
    struct scored *items; /* room for k, the owner's */
    size_t k, count;
};

static inline bool scored_before(struct scored a, struct scored b)
{
    return a.value < b.value || (a.value == b.value && a.row < b.row);
}

/* No value above this can enter: infinity until k are held. */
static inline float topk_limit(const struct topk *top)
{
    return top->count < top->k ? INFINITY : top->items[0].value;
}

void topk_push(struct topk *top, struct scored item);
/* Sorts the items, best first; the heap is gone: nothing may be pushed until count is 0. */
void topk_sort(struct topk *top);
