#include "support/inner_store.h"

#include "base/mem.h"
#include "store/read.h"
#include "store/verify.h"
#include "store/write.h"
#include "support/check.h"
#include "support/fake_backend.h"

#include <stdio.h>
#include <stdlib.h>

enum { READERS = 100 };

void surroundings_begin(struct surroundings *out)
{
    static const struct backend *const cpu_only[] = { &backend_cpu, NULL };
    *out = (struct surroundings){ .in_use = mem_in_use() };
    kernels_init(&out->kernels, CPU_C);
    must_ok(pool_create(1, &out->pool));
    must_ok(background_create(&out->background));
    must_ok(background_create(&out->timer));
    struct device_set_params params = { .backends = cpu_only,
                                        .host = { out->pool, &out->kernels, "c" },
                                        .fallback_to_cpu = true,
                                        .background = out->background };
    must_ok(device_set_create(&params, &out->set));
    out->host = (struct store_host){
        .devices = out->set,
        .pool = out->pool,
        .background = out->background,
        .timer = out->timer,
        .reader_limit = READERS,
    };
}

void surroundings_end(struct surroundings *s)
{
    device_set_destroy(&s->set);
    background_destroy(&s->timer);
    background_destroy(&s->background);
    pool_destroy(&s->pool);
    assert_int_equal(mem_in_use(), s->in_use);
}

struct collection *inner_create(const struct surroundings *s, const char *folder, uint32_t dim,
                                uint64_t history)
{
    struct collection_seed seed = {
        .name = "c",
        .space = { .dim = dim, .metric = WG_DOT },
        .history = history,
        .mode = COLLECTION_WRITE,
        .reader_limit = READERS,
    };
    must_ok(collection_create(folder, &seed));
    return inner_open(s, folder, COLLECTION_WRITE);
}

struct collection *inner_open(const struct surroundings *s, const char *folder,
                              enum collection_mode mode)
{
    struct collection_place place = { .name = "c", .folder = folder, .mode = mode };
    struct collection *collection = NULL;
    must_ok(collection_open(&s->host, &place, &collection));
    return collection;
}

static void print_problem(void *user, const char *problem)
{
    (void)user;
    fprintf(stderr, "verify: %s\n", problem);
}

uint64_t inner_problems(const char *folder)
{
    struct verify_report report = { .problem = print_problem };
    struct verify_place place = { .folder = folder, .use = DB_READ, .reader_limit = READERS };
    must_ok(verify_collection("c", &place, &report));
    return report.problem_count;
}

static wg_id *number_ids(uint64_t first, size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    return ids;
}

static float component(uint64_t number, float round, size_t d)
{
    return d == 0 ? round : d == 1 ? (float)number : (float)(d % 100) + round;
}

wg_err inner_upsert(struct collection *collection, uint64_t first, size_t count, float round)
{
    size_t dim = collection->space.dim;
    struct write_result result;
    wg_id *ids = number_ids(first, count);
    float *vectors = allocate(count * dim, sizeof *vectors);
    for (size_t i = 0; i < count * dim; i++)
        vectors[i] = component(first + i / dim, round, i % dim);
    struct upsert upsert = { .count = count, .ids = ids, .vectors = vectors };
    wg_err err = collection_upsert(collection, &upsert, &result);
    free(vectors);
    free(ids);
    return err;
}

wg_err inner_delete(struct collection *collection, uint64_t first, size_t count)
{
    struct write_result result;
    wg_id *ids = number_ids(first, count);
    struct selection selection = { .change = POINT_DELETE, .count = count, .ids = ids };
    wg_err err = collection_change(collection, &selection, &result);
    free(ids);
    return err;
}

static void check_point(const wg_point *point, uint64_t number, float round, size_t dim)
{
    must(point->id.type == WG_ID_NUMBER && point->id.as.number == number,
         "point %zu is not where point %zu is expected", (size_t)point->id.as.number,
         (size_t)number);
    for (size_t d = 0; d < dim; d++)
        must(point->vector[d] == component(number, round, d),
             "component %zu of point %zu is %g, expected round %g", d, (size_t)number,
             (double)point->vector[d], (double)round);
}

void inner_check(struct collection *collection, const float *rounds, size_t count)
{
    struct arena arena = { 0 };
    struct read_request request = { .count = SIZE_MAX / 1024, .with = WG_WITH_VECTOR };
    wg_point *points = NULL;
    size_t got = 0, at = 0;
    must_ok(collection_read(collection, &request, &arena, &points, &got));
    for (size_t i = 0; i < count; i++) {
        if (rounds[i] < 0) continue;
        must(at < got, "%zu points; point %zu is missing", got, i);
        check_point(&points[at++], i, rounds[i], collection->space.dim);
    }
    must(at == got, "%zu points, expected %zu", got, at);
    arena_fini(&arena);
}
