#pragma once
/* What a proposer found: for each query its best rows, best first. Memory grows and is kept from
 * search to search. One thread. */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct found {
    size_t room;
    uint64_t *rows; /* query_count x k; WG_NO_ROW behind the last */
    float *scores;
};

WG_CHECKED wg_err found_fit(struct found *found, size_t query_count, size_t k);
void found_fini(struct found *found);

/* Best first by (score, row), k for each query. Every row of a comes before every row of b, so that
 * a's goes first when scores are equal. into must be fitted. */
void found_merge(const struct found *a, const struct found *b, size_t query_count, size_t k,
                 bool higher_is_better, struct found *into);
