#include "support/equal.h"

#include "support/check.h"
#include "support/data.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, QUERIES = 6, WITH_ALL = WG_WITH_VECTOR | WG_WITH_PAYLOAD };

static wg_collection_info info_of(wg_collection *collection)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(collection, &info));
    return info;
}

static void check_id(const wg_id *a, const wg_id *b, size_t i)
{
    char text_a[WG_ID_TEXT_SIZE], text_b[WG_ID_TEXT_SIZE];
    wg_id_format(a, text_a, sizeof text_a);
    wg_id_format(b, text_b, sizeof text_b);
    must(a->type == b->type && strcmp(text_a, text_b) == 0, "%zu: id %s, and %s", i, text_a,
         text_b);
}

static void check_point(const wg_point *a, const wg_point *b, size_t dim, size_t i)
{
    check_id(&a->id, &b->id, i);
    must(a->version == b->version, "%zu: version %zu, and %zu", i, (size_t)a->version,
         (size_t)b->version);
    must(memcmp(a->vector, b->vector, dim * sizeof *a->vector) == 0, "%zu: another vector", i);
    must(strcmp(a->payload, b->payload) == 0, "%zu: payload %s, and %s", i, a->payload, b->payload);
}

static size_t check_page(wg_points *a, wg_points *b, size_t dim)
{
    size_t count = wg_points_count(a);
    must(wg_points_count(b) == count, "%zu points, and %zu", count, wg_points_count(b));
    for (size_t i = 0; i < count; i++) check_point(wg_points_at(a, i), wg_points_at(b, i), dim, i);
    return count;
}

static void check_points(wg_collection *a, wg_collection *b, size_t dim)
{
    wg_points *page_a = NULL, *page_b = NULL;
    for (size_t count = PAGE; count == PAGE;) {
        wg_points *next_a = NULL, *next_b = NULL;
        const wg_id *after = page_a ? &wg_points_at(page_a, PAGE - 1)->id : NULL;
        must_ok(wg_collection_scroll(a, after, PAGE, WITH_ALL, &next_a));
        must_ok(wg_collection_scroll(b, after, PAGE, WITH_ALL, &next_b));
        wg_points_destroy(&page_a);
        wg_points_destroy(&page_b);
        page_a = next_a;
        page_b = next_b;
        count = check_page(page_a, page_b, dim);
    }
    wg_points_destroy(&page_a);
    wg_points_destroy(&page_b);
}

static wg_searcher *search(wg_collection *collection, const float *queries, size_t dim, size_t k)
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = queries, params.query_count = QUERIES, params.dim = dim, params.k = k;
    params.with = WITH_ALL;
    must_ok(wg_searcher_create(collection, &searcher));
    must_ok(wg_searcher_run(searcher, &params));
    return searcher;
}

static void check_hits(const wg_searcher *a, const wg_searcher *b, size_t query, size_t dim)
{
    size_t count_a, count_b;
    const wg_hit *hits_a = wg_searcher_hits(a, query, &count_a);
    const wg_hit *hits_b = wg_searcher_hits(b, query, &count_b);
    must(count_a == count_b, "%zu hits, and %zu", count_a, count_b);
    for (size_t i = 0; i < count_a; i++) {
        const wg_hit *x = &hits_a[i], *y = &hits_b[i];
        check_id(&x->id, &y->id, i);
        must(memcmp(&x->score, &y->score, sizeof x->score) == 0, "hit %zu: score %.9g, and %.9g", i,
             (double)x->score, (double)y->score);
        must(memcmp(x->vector, y->vector, dim * sizeof *x->vector) == 0, "hit %zu: vector", i);
        must(strcmp(x->payload, y->payload) == 0, "hit %zu: payload", i);
    }
}

static void check_answers(wg_collection *a, wg_collection *b, const wg_collection_info *info)
{
    struct prng prng = { 11 };
    size_t k = info->count > 0 ? (size_t)info->count : 1;
    float *queries = allocate(QUERIES * info->dim, sizeof *queries);
    data_fill(&prng, DATA_UNIT, QUERIES / 2, info->dim, queries);
    data_fill(&prng, DATA_FEW, QUERIES / 2, info->dim, queries + QUERIES / 2 * info->dim);
    wg_searcher *searcher_a = search(a, queries, info->dim, k);
    wg_searcher *searcher_b = search(b, queries, info->dim, k);
    for (size_t q = 0; q < QUERIES; q++) check_hits(searcher_a, searcher_b, q, info->dim);
    wg_searcher_destroy(&searcher_a);
    wg_searcher_destroy(&searcher_b);
    free(queries);
}

void equal_check(wg_collection *a, wg_collection *b)
{
    wg_collection_info x = info_of(a), y = info_of(b);
    must(x.dim == y.dim && x.metric == y.metric, "another space");
    must(x.count == y.count, "%zu points, and %zu", (size_t)x.count, (size_t)y.count);
    must(x.epoch == y.epoch && x.sequence == y.sequence && x.chain_hash == y.chain_hash,
         "another history: sequence %zu, and %zu", (size_t)x.sequence, (size_t)y.sequence);
    check_points(a, b, x.dim);
    check_answers(a, b, &x);
}
