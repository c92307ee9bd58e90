#include "index/found.h"

#include "base/mem.h"
#include "base/size.h"
#include "waggle/knn.h"

wg_err found_fit(struct found *found, size_t query_count, size_t k)
{
    wg_err err = WG_OK;
    size_t count;
    TRY(size_multiply(query_count, k, &count));
    if (count <= found->room) return WG_OK;
    TRY(mem_resize(&found->rows, count));
    TRY(mem_resize(&found->scores, count));
    found->room = count;
out:
    return err;
}

void found_fini(struct found *found)
{
    mem_free(&found->rows);
    mem_free(&found->scores);
    found->room = 0;
}

static bool is_better(float a, float b, bool higher_is_better)
{
    return higher_is_better ? a > b : a < b;
}

void found_merge(const struct found *a, const struct found *b, size_t query_count, size_t k,
                 bool higher_is_better, struct found *into)
{
    for (size_t q = 0; q < query_count; q++) {
        size_t i = q * k, j = q * k;
        for (size_t n = q * k; n < (q + 1) * k; n++) {
            bool b_ended = b->rows[j] == WG_NO_ROW;
            bool take_b = !b_ended && (a->rows[i] == WG_NO_ROW ||
                                       is_better(b->scores[j], a->scores[i], higher_is_better));
            const struct found *from = take_b ? b : a;
            size_t *at = take_b ? &j : &i;
            into->rows[n] = from->rows[*at];
            into->scores[n] = from->scores[*at];
            if (from->rows[*at] != WG_NO_ROW) (*at)++;
        }
    }
}
