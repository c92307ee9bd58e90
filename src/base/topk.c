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

static void heap_sort(struct scored *items, size_t count)
{
    for (size_t at = count / 2; at > 0; at--) sift_down(items, count, at - 1);
    for (size_t left = count; left > 1; left--) {
        struct scored worst = items[0];
        items[0] = items[left - 1];
        sift_down(items, left - 1, 0);
        items[left - 1] = worst;
    }
}

static void insertion_sort(struct scored *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct scored moving = items[i];
        size_t at = i;
        for (; at > 0 && scored_before(moving, items[at - 1]); at--) items[at] = items[at - 1];
        items[at] = moving;
    }
}

static struct scored median(struct scored a, struct scored b, struct scored c)
{
    if (scored_before(b, a)) return scored_before(c, b) ? b : scored_before(c, a) ? c : a;
    return scored_before(c, a) ? a : scored_before(c, b) ? c : b;
}

/* Hoare's: those before the cut are not behind those from it on; both parts have some. */
static size_t partition(struct scored *items, size_t count)
{
    struct scored pivot = median(items[0], items[count / 2], items[count - 1]);
    for (size_t low = 0, high = count - 1;; low++, high--) {
        while (scored_before(items[low], pivot)) low++;
        while (scored_before(pivot, items[high])) high--;
        if (low >= high) return high + 1;
        struct scored moving = items[low];
        items[low] = items[high];
        items[high] = moving;
    }
}

/* Introsort (Musser 1997): quicksort, a third of the time of sorting a large heap by itself, and a
 * heap where the cuts are bad. */
static void sort(struct scored *items, size_t count, unsigned cuts_left)
{
    enum { FEW = 24 };
    while (count > FEW) {
        if (cuts_left-- == 0) {
            heap_sort(items, count);
            return;
        }
        size_t cut = partition(items, count);
        sort(items + cut, count - cut, cuts_left);
        count = cut;
    }
    insertion_sort(items, count);
}

void topk_sort(struct topk *top)
{
    unsigned cuts = 0;
    for (size_t left = top->count; left > 0; left /= 2) cuts++;
    sort(top->items, top->count, cuts);
}
