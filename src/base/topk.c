#include "base/topk.h"

/* Moves items[at] down a heap of count items, the worst at the top. */
static void sift_down(struct scored *items, size_t count, size_t at)
{
    struct scored moving = items[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && scored_before(items[child], items[child + 1])) child++;
        if (!scored_before(moving, items[child])) break;
        items[at] = items[child];
    }
    items[at] = moving;
}

static void sift_up(struct scored *items, size_t at)
{
    struct scored moving = items[at];
    for (size_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (!scored_before(items[parent], moving)) break;
        items[at] = items[parent];
    }
    items[at] = moving;
}

void topk_push(struct topk *top, struct scored item)
{
    if (top->count < top->k) {
        top->items[top->count] = item;
        sift_up(top->items, top->count++);
    } else if (top->k > 0 && scored_before(item, top->items[0])) {
        top->items[0] = item;
        sift_down(top->items, top->k, 0);
    }
}

void topk_sort(struct topk *top)
{
    for (size_t left = top->count; left > 1; left--) {
        struct scored worst = top->items[0];
        top->items[0] = top->items[left - 1];
        sift_down(top->items, left - 1, 0);
        top->items[left - 1] = worst;
    }
}
