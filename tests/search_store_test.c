/* Searching a collection equals a full scan of its living rows by the C tier, bit for bit, after
 * every pattern of updates and deletes, on every tier and thread count. Equal scores come in the
 * order of writing, and what is read back is what is stored. With every stored type. */
#include "support/check.h"
#include "support/data.h"
#include "support/oracle.h"
#include "support/scratch.h"
#include "support/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 4, BATCH_MAX = 200 };

static wg_context *contexts[TEST_TIERS_MAX * THREADS_MAX];
static size_t context_count;
static struct prng prng;
static size_t compared;

/* All rows ever written, in the order of writing, and which are alive. */
struct mirror {
    struct test_space space;
    enum data_kind kind;
    size_t dim, row_count, room;
    float *rows; /* as stored, widened */
    uint64_t *ids;
    bool *live;
    char folder[SCRATCH_PATH_SIZE + 16];
    wg_store *store;
    wg_collection *collection;
};

static void mirror_open(struct mirror *m, wg_context *context)
{
    assert_ok(wg_store_open(context, m->folder, NULL, &m->store));
    assert_ok(wg_collection_open(m->store, "c", &m->collection));
}

static void mirror_close(struct mirror *m)
{
    wg_collection_close(&m->collection);
    wg_store_close(&m->store);
}

static void mirror_create(struct mirror *m, const char *folder)
{
    m->rows = allocate(m->room * m->dim, sizeof *m->rows);
    m->ids = allocate(m->room, sizeof *m->ids);
    m->live = allocate(m->room, sizeof *m->live);
    snprintf(m->folder, sizeof m->folder, "%s/s", folder);
    scratch_remove(m->folder);
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)m->dim;
    params.metric = m->space.metric;
    params.type = m->space.type;
    assert_ok(wg_store_open(contexts[0], m->folder, NULL, &m->store));
    assert_ok(wg_collection_create(m->store, "c", &params));
    assert_ok(wg_collection_open(m->store, "c", &m->collection));
}

static void mirror_free(struct mirror *m)
{
    mirror_close(m);
    free(m->rows);
    free(m->ids);
    free(m->live);
}

static void mirror_forget(struct mirror *m, uint64_t id)
{
    for (size_t r = 0; r < m->row_count; r++)
        if (m->ids[r] == id) m->live[r] = false;
}

/* As f32 or, every other time, in the type of the collection; then vectors become what those are
 * worth. Returns where they are. */
static char *give(const struct mirror *m, float *vectors, size_t count, wg_batch *batch)
{
    size_t size = test_type_size(m->space.type, m->dim);
    char *packed = allocate(count, size);
    batch->vectors = vectors;
    if (prng_next(&prng) % 2) return packed;
    for (size_t i = 0; i < count; i++) {
        test_type_pack(m->space.type, vectors + i * m->dim, m->dim, packed + i * size);
        test_type_widen(m->space.type, packed + i * size, m->dim, vectors + i * m->dim);
    }
    batch->data = packed;
    batch->type = m->space.type;
    return packed;
}

/* The ids are fresh when the caller says so, which spares the search for their old rows. */
static void mirror_upsert(struct mirror *m, const uint64_t *numbers, size_t count, bool fresh)
{
    assert_true(m->row_count + count <= m->room);
    float *vectors = allocate(count * m->dim, sizeof *vectors);
    wg_id *ids = allocate(count, sizeof *ids);
    data_fill(&prng, m->kind, count, m->dim, vectors);
    for (size_t i = 0; i < count; i++) {
        if (!fresh) mirror_forget(m, numbers[i]);
        wg_id_from_number(numbers[i], &ids[i]);
        if (m->row_count > 0 && i % 5 == 0) /* as a row already there */
            memcpy(vectors + i * m->dim, m->rows + test_below(&prng, m->row_count) * m->dim,
                   m->dim * sizeof *vectors);
    }
    test_type_fit(m->space.type, count * m->dim, vectors);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    char *packed = give(m, vectors, count, &batch);
    assert_ok(wg_collection_upsert(m->collection, m->dim, &batch));
    for (size_t i = 0; i < count; i++, m->row_count++) {
        m->ids[m->row_count] = numbers[i];
        m->live[m->row_count] = true;
        test_type_store(m->space, vectors + i * m->dim, m->dim, packed);
        test_type_widen(m->space.type, packed, m->dim, m->rows + m->row_count * m->dim);
    }
    free(packed);
    free(vectors);
    free(ids);
}

static void mirror_delete(struct mirror *m, const uint64_t *numbers, size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) wg_id_from_number(numbers[i], &ids[i]);
    size_t deleted = 0;
    assert_ok(wg_collection_delete(m->collection, ids, count, &deleted));
    assert_int_equal(deleted, count);
    for (size_t i = 0; i < count; i++) mirror_forget(m, numbers[i]);
    free(ids);
}

static void check_vector(const struct mirror *m, const void *got, const float *row)
{
    float *widened = allocate(m->dim, sizeof *widened);
    test_type_widen(m->space.type, got, m->dim, widened);
    assert_memory_equal(widened, row, m->dim * sizeof *row);
    free(widened);
}

static void compare_hits(const struct mirror *m, const wg_searcher *searcher, size_t q,
                         const struct oracle_hit *want, size_t want_count, unsigned with)
{
    size_t count = SIZE_MAX;
    const wg_hit *hits = wg_searcher_hits(searcher, q, &count);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        const float *row = m->rows + want[i].row * m->dim;
        bool same = hits[i].id.type == WG_ID_NUMBER && !hits[i].changed &&
                    hits[i].id.as.number == m->ids[want[i].row] &&
                    memcmp(&hits[i].score, &want[i].score, sizeof(float)) == 0;
        if (!same)
            fail_msg("%s, %s, dim %zu, query %zu, place %zu: id %zu score %a, the C tier's scan "
                     "gives id %zu score %a",
                     wg_type_name(m->space.type), wg_metric_name(m->space.metric), m->dim, q, i,
                     (size_t)hits[i].id.as.number, (double)hits[i].score,
                     (size_t)m->ids[want[i].row], (double)want[i].score);
        if (with & WG_WITH_VECTOR)
            check_vector(m, hits[i].data, row);
        else
            assert_null(hits[i].vector);
        if (with & WG_WITH_PAYLOAD)
            assert_string_equal(hits[i].payload, "{}");
        else
            assert_null(hits[i].payload);
        compared++;
    }
}

/* A searcher and its queries' right answers, so that several contexts can be asked the same. */
struct questions {
    size_t count, live_count;
    float *queries, *stored; /* count x dim: as given, as taken */
    struct oracle_hit *ranked; /* count x row_count */
};

/* float64 knows nothing of a u8's inverse norm. */
static void check_bound(const struct mirror *m, const float *query, const struct oracle_hit *hit)
{
    if (m->space.type == WG_U8 && m->space.metric == WG_COSINE) return;
    assert_true(oracle_score_is_within_bound(m->space.metric, query, m->rows + hit->row * m->dim,
                                             m->dim, hit->score));
}

static void questions_make(struct questions *q, const struct mirror *m)
{
    q->queries = allocate(q->count * m->dim, sizeof *q->queries);
    q->stored = allocate(m->dim, sizeof *q->stored);
    q->ranked = allocate(q->count * m->row_count, sizeof *q->ranked);
    data_fill(&prng, m->kind, q->count, m->dim, q->queries);
    for (size_t i = 0; i < q->count; i++) {
        struct oracle_hit *ranked = q->ranked + i * m->row_count;
        if (i % 3 == 0 && m->row_count > 0)
            memcpy(q->queries + i * m->dim, m->rows + test_below(&prng, m->row_count) * m->dim,
                   m->dim * sizeof *q->queries);
        if (m->space.type == WG_BITS) test_type_fit(WG_BITS, m->dim, q->queries + i * m->dim);
        oracle_stored(m->space.metric, q->queries + i * m->dim, m->dim, q->stored);
        const struct oracle_rows rows = { m->space.metric, m->dim,  m->row_count,
                                          m->rows,         m->live, m->space.type };
        q->live_count = oracle_rank(&rows, q->stored, ranked);
        for (size_t r = 0; r < q->live_count; r += 1 + r / 2) check_bound(m, q->stored, &ranked[r]);
    }
}

static void questions_ask(const struct questions *q, const struct mirror *m, wg_searcher *searcher,
                          size_t k)
{
    static const unsigned withs[] = { 0, WG_WITH_VECTOR, WG_WITH_PAYLOAD,
                                      WG_WITH_VECTOR | WG_WITH_PAYLOAD };
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = q->queries;
    params.query_count = q->count;
    params.dim = m->dim;
    params.k = k;
    params.with = withs[test_below(&prng, 4)];
    assert_ok(wg_searcher_run(searcher, &params));
    size_t hits = k < q->live_count ? k : q->live_count, beyond = 1;
    for (size_t i = 0; i < q->count; i++)
        compare_hits(m, searcher, i, q->ranked + i * m->row_count, hits, params.with);
    assert_null(wg_searcher_hits(searcher, q->count, &beyond));
    assert_int_equal(beyond, 0);
}

static void questions_free(struct questions *q)
{
    free(q->queries);
    free(q->stored);
    free(q->ranked);
}

/* Every step-th context opens the store anew and is asked with one searcher, for several k. The
 * first is drawn, so that many calls meet them all. */
static void check_on_contexts(struct mirror *m, size_t query_count, size_t step)
{
    struct questions q = { .count = query_count };
    if (query_count == 0) q.live_count = SIZE_MAX; /* not found out, and not needed */
    questions_make(&q, m);
    for (size_t c = test_below(&prng, step); c < context_count; c += step) {
        mirror_close(m);
        mirror_open(m, contexts[c]);
        wg_searcher *searcher = NULL;
        assert_ok(wg_searcher_create(m->collection, &searcher));
        questions_ask(&q, m, searcher, 1 + test_below(&prng, 20));
        questions_ask(&q, m, searcher, 1 + test_below(&prng, m->row_count + 2));
        questions_ask(&q, m, searcher, 1);
        wg_searcher_destroy(&searcher);
    }
    questions_free(&q);
}

static void write_fresh(struct mirror *m, size_t count)
{
    uint64_t *ids = allocate(count, sizeof *ids), shift = prng_next(&prng) % 1000;
    for (size_t done = 0; done < count;) {
        size_t part = 1 + test_below(&prng, count - done);
        for (size_t i = 0; i < part; i++) ids[i] = (done + i) ^ shift; /* not in rising order */
        mirror_upsert(m, ids, part, true);
        done += part;
    }
    free(ids);
}

enum pattern {
    ALL_ALIVE,
    SOME_GONE,
    MOST_GONE,
    ALL_GONE,
    UPDATED,
    FIRST_LEFT,
    LAST_LEFT,
    PATTERNS
};

static bool goes(enum pattern pattern, size_t row, size_t count)
{
    switch (pattern) {
    case SOME_GONE: return test_below(&prng, 4) == 0;
    case MOST_GONE: return test_below(&prng, 16) != 0;
    case ALL_GONE: return true;
    case UPDATED: return test_below(&prng, 3) == 0;
    case FIRST_LEFT: return row > 0;
    case LAST_LEFT: return row + 1 < count;
    case ALL_ALIVE:
    case PATTERNS: break;
    }
    return false;
}

static void apply_pattern(struct mirror *m, enum pattern pattern)
{
    size_t count = 0, before = m->row_count;
    uint64_t *ids = allocate(before, sizeof *ids);
    for (size_t r = 0; r < before; r++)
        if (m->live[r] && goes(pattern, r, before)) ids[count++] = m->ids[r];
    if (pattern == UPDATED)
        mirror_upsert(m, ids, count, false);
    else
        mirror_delete(m, ids, count);
    free(ids);
    if (pattern == ALL_GONE && prng_next(&prng) % 2) write_fresh(m, before / 2);
}

static void check_info(struct mirror *m)
{
    size_t live_count = 0;
    for (size_t r = 0; r < m->row_count; r++) live_count += m->live[r];
    wg_collection_info info;
    wg_collection_info_init(&info);
    assert_ok(wg_collection_info_get(m->collection, &info));
    assert_int_equal(info.count, live_count);
    assert_int_equal(info.row_count, m->row_count);
    assert_int_equal(info.dim, m->dim);
    assert_int_equal(info.metric, m->space.metric);
    assert_int_equal(info.type, m->space.type);
    assert_int_equal(info.vector_bytes, m->row_count * test_type_size(m->space.type, m->dim));
    assert_int_equal(wg_collection_count(m->collection), live_count);
}

static void test_live_patterns(void **state)
{
    (void)state;
    const char *folder = scratch_create();
    for (int pattern = 0; pattern < PATTERNS; pattern++)
        for (size_t space = 0; space < TEST_SPACES; space++) {
            size_t count = 1 + test_below(&prng, 500);
            struct mirror m = { .space = test_space_at(space),
                                .kind = (enum data_kind)test_below(&prng, DATA_KIND_COUNT),
                                .dim = 1 + test_below(&prng, 130),
                                .room = 3 * count };
            mirror_create(&m, folder);
            write_fresh(&m, count);
            apply_pattern(&m, (enum pattern)pattern);
            check_info(&m);
            check_on_contexts(&m, 1 + test_below(&prng, 8), 5);
            mirror_free(&m);
        }
}

static void test_every_k(void **state)
{
    (void)state;
    const char *folder = scratch_create();
    for (size_t space = 0; space < TEST_SPACES; space++) {
        struct mirror m = {
            .space = test_space_at(space), .kind = DATA_FEW, .dim = 3, .room = 120
        };
        mirror_create(&m, folder);
        write_fresh(&m, 40);
        apply_pattern(&m, UPDATED);
        apply_pattern(&m, SOME_GONE);
        struct questions q = { .count = 7 };
        questions_make(&q, &m);
        wg_searcher *searcher = NULL;
        assert_ok(wg_searcher_create(m.collection, &searcher));
        for (size_t k = 1; k <= m.row_count + 1; k++) questions_ask(&q, &m, searcher, k);
        wg_searcher_destroy(&searcher);
        questions_free(&q);
        mirror_free(&m);
    }
}

static void check_every_batch_size(struct test_space space)
{
    struct mirror m = { .space = space, .kind = DATA_NEAR_1, .dim = 19, .room = 600 };
    mirror_create(&m, scratch_create());
    write_fresh(&m, 200);
    apply_pattern(&m, UPDATED);
    wg_searcher *searcher = NULL;
    assert_ok(wg_searcher_create(m.collection, &searcher));
    for (size_t batch = 1; batch <= BATCH_MAX; batch++) {
        struct questions q = { .count = batch };
        questions_make(&q, &m);
        questions_ask(&q, &m, searcher, 1 + test_below(&prng, 30));
        questions_free(&q);
    }
    wg_searcher_destroy(&searcher);
    check_on_contexts(&m, 0, 4);
    mirror_free(&m);
}

static void test_every_batch_size(void **state)
{
    (void)state;
    check_every_batch_size((struct test_space){ WG_F32, WG_COSINE });
    check_every_batch_size((struct test_space){ WG_F16, WG_EUCLIDEAN });
    check_every_batch_size((struct test_space){ WG_U8, WG_COSINE });
    check_every_batch_size((struct test_space){ WG_BITS, WG_HAMMING });
}

static void test_an_empty_collection(void **state)
{
    (void)state;
    struct mirror m = { .space = { WG_F32, WG_EUCLIDEAN }, .dim = 4, .room = 1 };
    mirror_create(&m, scratch_create());
    check_on_contexts(&m, 3, 1);
    mirror_free(&m);
}

static void delete_rows(struct mirror *m, const uint64_t *rows, size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    size_t deleted = 0;
    for (size_t i = 0; i < count; i++) {
        wg_id_from_number(m->ids[rows[i]], &ids[i]);
        m->live[rows[i]] = false;
    }
    assert_ok(wg_collection_delete(m->collection, ids, count, &deleted));
    assert_int_equal(deleted, count);
    free(ids);
}

/* More than two times 65,536 rows. First those at the edges of words and chunks of live bits die,
 * then the rest of the middle chunk, then that of the first. */
static void test_dead_chunks(void **state)
{
    (void)state;
    enum { CHUNK = 65536, COUNT = 2 * CHUNK + 9000, PART = 20000 };
    static const uint64_t edges[] = { 0,         63,        64,        CHUNK - 1,    CHUNK,
                                      CHUNK + 1, 2 * CHUNK, COUNT - 1, 2 * CHUNK - 1 };
    struct mirror m = { .space = { WG_F32, WG_DOT }, .kind = DATA_UNIT, .dim = 3, .room = COUNT };
    mirror_create(&m, scratch_create());
    uint64_t *numbers = allocate(COUNT, sizeof *numbers);
    for (size_t i = 0; i < COUNT; i++) numbers[i] = i;
    for (size_t i = 0; i < COUNT; i += PART)
        mirror_upsert(&m, numbers + i, COUNT - i < PART ? COUNT - i : PART, true);
    delete_rows(&m, edges, sizeof edges / sizeof *edges);
    check_on_contexts(&m, 2, 3);
    for (uint64_t chunk = 2; chunk-- > 0;) {
        size_t count = 0;
        for (uint64_t row = chunk * CHUNK; row < (chunk + 1) * CHUNK; row++)
            if (m.live[row]) numbers[count++] = row;
        delete_rows(&m, numbers, count);
        check_info(&m);
        check_on_contexts(&m, 2, 3);
    }
    free(numbers);
    mirror_free(&m);
}

static int make_contexts(void **state)
{
    (void)state;
    const char *tiers[TEST_TIERS_MAX];
    size_t tier_count = test_tiers(tiers);
    for (size_t t = 0; t < tier_count; t++)
        for (uint32_t threads = 1; threads <= THREADS_MAX; threads++)
            contexts[context_count++] = test_context(tiers[t], threads);
    prng.state = test_seed();
    return 0;
}

static int destroy_contexts(void **state)
{
    (void)state;
    for (size_t c = 0; c < context_count; c++) wg_context_destroy(&contexts[c]);
    printf("%zu hits equal to the C tier's full scan\n", compared);
    return compared == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_collection), cmocka_unit_test(test_every_k),
        cmocka_unit_test(test_every_batch_size),    cmocka_unit_test(test_live_patterns),
        cmocka_unit_test(test_dead_chunks),
    };
    return cmocka_run_group_tests(tests, make_contexts, destroy_contexts);
}
