#include "support/model.h"

#include "support/check.h"
#include "support/data.h"
#include "support/oracle.h"
#include "support/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THIRD = MODEL_IDS / 3, PAYLOAD_ROOM = 1024 };

/* No white space outside strings, and texts that need no other spelling. */
static const char *const value_texts[] = {
    NULL,
    "1",
    "-2.5",
    "\"text\"",
    "\"a \\\"q\\\" }{,\"",
    "true",
    "null",
    "[]",
    "[1,[2,{\"x\":3}]]",
    "{\"in\":{\"deep\":[]}}",
    "{}",
    "{\"other\":0}",
    "\"\xc3\xa9\"",
};
enum { VALUE_COUNT = sizeof value_texts / sizeof *value_texts };
static const char *const keys[MODEL_KEYS] = { "a", "b", "caption", "d e", "z" };

static wg_id ids[MODEL_IDS];
static char strings[THIRD][WG_ID_SIZE_MAX + 1];

static void make_string(size_t i, char *text)
{
    static const char *const special[] = { "\x01", " ", "0",    "00",       "10",
                                           "2",    "A", "a",    "a ",       "aa",
                                           "ab",   "b", "\x7f", "\xc3\xa9", "\xf0\x9f\x90\x9d" };
    enum { SPECIAL = sizeof special / sizeof *special };
    if (i < SPECIAL) {
        strcpy(text, special[i]);
    } else if (i % 3 == 0) { /* long, and alike but for the length or the last byte */
        memset(text, 'x', WG_ID_SIZE_MAX);
        text[WG_ID_SIZE_MAX - i] = 0;
        if (i == 21) memset(text, 'x', WG_ID_SIZE_MAX);
    } else {
        snprintf(text, WG_ID_SIZE_MAX, "point/%zu", i * 7919 % 100);
    }
}

static int by_id(const void *left, const void *right)
{
    const wg_id *a = left, *b = right;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->type == WG_ID_UUID) return memcmp(a->as.uuid, b->as.uuid, 16);
    if (a->type == WG_ID_STRING) return strcmp(a->as.string, b->as.string);
    return a->as.number < b->as.number ? -1 : a->as.number > b->as.number;
}

static void make_ids(void)
{
    struct prng prng = { 42 };
    for (size_t i = 0; i < THIRD; i++) {
        uint64_t number = i < 60 ? i * 13 : prng_next(&prng);
        wg_id_from_number(i == 79 ? UINT64_MAX : number, &ids[i]);
        char text[40];
        unsigned long long a = prng_next(&prng), b = prng_next(&prng);
        snprintf(text, sizeof text, "%08llx-%04llx-%04llx-%04llx-%012llx", a >> 32,
                 a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffffffffffff);
        must_ok(wg_id_from_string(text, &ids[THIRD + i]));
        make_string(i, strings[i]);
        must_ok(wg_id_from_string(strings[i], &ids[2 * THIRD + i]));
    }
    qsort(ids, MODEL_IDS, sizeof *ids, by_id);
    for (size_t i = 1; i < MODEL_IDS; i++)
        must(by_id(&ids[i - 1], &ids[i]) < 0, "the model's id %zu is there twice", i);
}

const wg_id *model_id(size_t i)
{
    if (ids[0].type == 0) make_ids();
    return &ids[i];
}

/* --- writes --- */

static void choose_ids(struct prng *prng, struct model_op *op)
{
    uint16_t all[MODEL_IDS];
    for (size_t i = 0; i < MODEL_IDS; i++) all[i] = (uint16_t)i;
    for (size_t i = 0; i < op->count; i++) {
        size_t j = i + test_below(prng, MODEL_IDS - i);
        op->ids[i] = all[j];
        all[j] = all[i];
    }
}

static void choose_values(struct prng *prng, uint8_t *values)
{
    bool none = prng_next(prng) % 4 == 0;
    for (size_t k = 0; k < MODEL_KEYS; k++)
        values[k] = none || prng_next(prng) % 2 ? 0 : (uint8_t)test_below(prng, VALUE_COUNT);
}

void model_op_make(struct prng *prng, size_t count_max, struct model_op *op)
{
    memset(op, 0, sizeof *op);
    static const enum model_op_kind kinds[] = { OP_UPSERT, OP_UPSERT,        OP_UPSERT,
                                                OP_UPSERT, OP_DELETE,        OP_MERGE_PAYLOAD,
                                                OP_DELETE, OP_MERGE_PAYLOAD, OP_CLEAR_PAYLOAD };
    op->kind = prng_next(prng) % 100 == 0 ? OP_CLEAR : kinds[test_below(prng, 9)];
    op->count = op->kind == OP_CLEAR ? 0 : 1 + test_below(prng, count_max);
    if (op->kind != OP_UPSERT && op->count > 10) op->count = 1 + op->count / 4;
    choose_ids(prng, op);
    for (size_t i = 0; i < op->count; i++) choose_values(prng, op->values[i]);
    op->seed = prng_next(prng);
}

static void make_vectors(const struct model_op *op, float *vectors)
{
    struct prng prng = { op->seed };
    data_fill(&prng, (enum data_kind)(op->seed % DATA_KIND_COUNT), op->count, MODEL_DIM, vectors);
}

static void insert(struct model *model, const struct model_op *op)
{
    float vectors[MODEL_IDS * MODEL_DIM];
    make_vectors(op, vectors);
    for (size_t i = 0; i < op->count; i++) {
        struct model_point *point = &model->points[op->ids[i]];
        point->alive = true;
        point->row = model->row_count++;
        oracle_stored(model->metric, vectors + i * MODEL_DIM, MODEL_DIM, point->vector);
        memcpy(point->values, op->values[i], MODEL_KEYS);
    }
}

void model_apply(struct model *model, const struct model_op *op)
{
    if (op->kind == OP_UPSERT) insert(model, op);
    for (size_t i = 0; i < op->count; i++) {
        struct model_point *point = &model->points[op->ids[i]];
        if (op->kind == OP_DELETE) point->alive = false;
        if (op->kind == OP_CLEAR_PAYLOAD) memset(point->values, 0, MODEL_KEYS);
        for (size_t k = 0; op->kind == OP_MERGE_PAYLOAD && k < MODEL_KEYS; k++)
            if (op->values[0][k]) point->values[k] = op->values[0][k];
    }
    for (size_t i = 0; op->kind == OP_CLEAR && i < MODEL_IDS; i++) model->points[i].alive = false;
}

size_t model_touches(const struct model *model, const struct model_op *op)
{
    size_t count = 0;
    for (size_t i = 0; i < op->count; i++) count += model->points[op->ids[i]].alive;
    return count;
}

/* As a person would write it, with white space here and there. */
static void payload_text(const uint8_t *values, const char *space, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "%s{", space);
    const char *comma = "";
    for (size_t k = 0; k < MODEL_KEYS; k++)
        if (values[k]) {
            at += (size_t)snprintf(text + at, room - at, "%s%s\"%s\"%s:%s%s", comma, space, keys[k],
                                   space, space, value_texts[values[k]]);
            comma = ",";
        }
    snprintf(text + at, room - at, "%s}", space);
}

static wg_err run_upsert(const struct model_op *op, wg_collection *collection, const wg_id *chosen)
{
    static const uint8_t none[MODEL_KEYS];
    float vectors[MODEL_IDS * MODEL_DIM];
    char(*texts)[PAYLOAD_ROOM] = allocate(op->count, sizeof *texts);
    const char *payloads[MODEL_IDS];
    make_vectors(op, vectors);
    for (size_t i = 0; i < op->count; i++) {
        payload_text(op->values[i], i % 2 ? " \n" : "", texts[i], PAYLOAD_ROOM);
        payloads[i] = memcmp(op->values[i], none, MODEL_KEYS) == 0 ? NULL : texts[i];
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = op->count;
    batch.ids = chosen;
    batch.vectors = vectors;
    batch.payloads = payloads;
    wg_err err = wg_collection_upsert(collection, MODEL_DIM, &batch);
    free(texts);
    return err;
}

wg_err model_op_run(const struct model_op *op, wg_collection *collection, size_t *touched)
{
    wg_id chosen[MODEL_IDS];
    char text[PAYLOAD_ROOM];
    *touched = 0;
    for (size_t i = 0; i < op->count; i++) chosen[i] = *model_id(op->ids[i]);
    switch (op->kind) {
    case OP_UPSERT: return run_upsert(op, collection, chosen);
    case OP_DELETE: return wg_collection_delete(collection, chosen, op->count, touched);
    case OP_CLEAR: return wg_collection_clear(collection);
    case OP_MERGE_PAYLOAD:
    case OP_CLEAR_PAYLOAD: break;
    }
    payload_text(op->values[0], op->count % 2 ? "\t" : "", text, sizeof text);
    const char *payload = op->kind == OP_MERGE_PAYLOAD ? text : NULL;
    return wg_collection_set_payload(collection, chosen, op->count, payload, touched);
}

/* --- comparing --- */

size_t model_count(const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_IDS; i++) count += model->points[i].alive;
    return count;
}

void model_payload(const struct model_point *point, char *text, size_t room)
{
    char plain[PAYLOAD_ROOM];
    payload_text(point->values, "", plain, sizeof plain);
    must(payload_canonical(plain, text, room), "no room for %s", plain);
}

static bool same_id(const wg_id *a, const wg_id *b)
{
    if (a->type != b->type || (a->type == WG_ID_STRING && a->size != b->size)) return false;
    if (a->type == WG_ID_NUMBER) return a->as.number == b->as.number;
    if (a->type == WG_ID_UUID) return memcmp(a->as.uuid, b->as.uuid, 16) == 0;
    return memcmp(a->as.string, b->as.string, a->size) == 0;
}

#define DIFFERS(...) (snprintf(why, MODEL_WHY_SIZE, __VA_ARGS__), false)

static bool same_content(const struct model_point *want, const float *vector, const char *payload,
                         const char *id, char *why)
{
    char wanted[PAYLOAD_ROOM], got[PAYLOAD_ROOM];
    model_payload(want, wanted, sizeof wanted);
    if (!vector || !payload) return DIFFERS("point %s comes without vector or payload", id);
    for (size_t i = 0; i < MODEL_DIM; i++)
        if (memcmp(&vector[i], &want->vector[i], sizeof(float)) != 0)
            return DIFFERS("point %s, component %zu: %a, expected %a", id, i, (double)vector[i],
                           (double)want->vector[i]);
    if (!payload_canonical(payload, got, sizeof got) || strcmp(got, wanted) != 0)
        return DIFFERS("point %s has payload %.150s, expected %.150s", id, payload, wanted);
    return true;
}

bool model_has_point(const struct model *model, size_t i, const wg_point *point, char *why)
{
    char text[WG_ID_TEXT_SIZE];
    wg_id_format(model_id(i), text, sizeof text);
    if (!same_id(&point->id, model_id(i))) return DIFFERS("another id where %s should be", text);
    if (point->found != model->points[i].alive)
        return DIFFERS("point %s is %s", text, point->found ? "still there" : "not there");
    if (!point->found) return true;
    return same_content(&model->points[i], point->vector, point->payload, text, why);
}

static bool scrolls_the_same(const struct model *model, const wg_points *points, char *why)
{
    size_t at = 0, count = wg_points_count(points);
    for (size_t i = 0; i < MODEL_IDS; i++) {
        if (!model->points[i].alive) continue;
        if (at >= count) return DIFFERS("%zu points scrolled, expected more", count);
        if (!model_has_point(model, i, wg_points_at(points, at++), why)) return false;
    }
    return at == count ? true : DIFFERS("%zu points scrolled, expected %zu", count, at);
}

static bool info_is_the_same(const struct model *model, wg_collection *collection, char *why)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(collection, &info));
    if (info.count != model_count(model) || wg_collection_count(collection) != info.count)
        return DIFFERS("%zu points counted, expected %zu", (size_t)info.count, model_count(model));
    if (info.dim != MODEL_DIM || info.metric != model->metric)
        return DIFFERS("dimension %u, metric %d", info.dim, (int)info.metric);
    return true;
}

bool model_equals(const struct model *model, wg_collection *collection, char *why)
{
    struct prng prng = { model->row_count };
    wg_points *points = NULL;
    wg_searcher *searcher = NULL;
    must_ok(wg_collection_scroll(collection, NULL, MODEL_IDS + 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                 &points));
    must_ok(wg_searcher_create(collection, &searcher));
    bool same = info_is_the_same(model, collection, why) && scrolls_the_same(model, points, why) &&
                model_answers(model, searcher, &prng, MODEL_IDS, why);
    wg_searcher_destroy(&searcher);
    wg_points_destroy(&points);
    return same;
}

/* Living points in the order of their rows, which is the order of ties. */
static size_t living_rows(const struct model *model, uint16_t *by_row, float *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_IDS; i++) {
        if (!model->points[i].alive) continue;
        size_t at = count++;
        while (at > 0 && model->points[by_row[at - 1]].row > model->points[i].row) {
            by_row[at] = by_row[at - 1];
            at--;
        }
        by_row[at] = (uint16_t)i;
    }
    for (size_t r = 0; r < count; r++)
        memcpy(rows + r * MODEL_DIM, model->points[by_row[r]].vector, MODEL_DIM * sizeof *rows);
    return count;
}

bool model_answers(const struct model *model, wg_searcher *searcher, struct prng *prng, size_t k,
                   char *why)
{
    uint16_t by_row[MODEL_IDS];
    float rows[MODEL_IDS * MODEL_DIM], query[MODEL_DIM], stored[MODEL_DIM];
    struct oracle_hit ranked[MODEL_IDS];
    size_t count = living_rows(model, by_row, rows), got = 0;
    data_fill(prng, (enum data_kind)test_below(prng, DATA_KIND_COUNT), 1, MODEL_DIM, query);
    if (count > 0 && prng_next(prng) % 2)
        memcpy(query, rows + test_below(prng, count) * MODEL_DIM, sizeof query);
    oracle_stored(model->metric, query, MODEL_DIM, stored);
    const struct oracle_rows all = {
        .metric = model->metric, .dim = MODEL_DIM, .row_count = count, .rows = rows
    };
    oracle_rank(&all, stored, ranked);
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query, params.query_count = 1, params.dim = MODEL_DIM, params.k = k;
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    must_ok(wg_searcher_run(searcher, &params));
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &got);
    if (got != (k < count ? k : count))
        return DIFFERS("%zu hits of %zu points, k %zu", got, count, k);
    for (size_t i = 0; i < got; i++) {
        size_t point = by_row[ranked[i].row];
        char text[WG_ID_TEXT_SIZE];
        wg_id_format(&hits[i].id, text, sizeof text);
        if (!same_id(&hits[i].id, model_id(point)) ||
            memcmp(&hits[i].score, &ranked[i].score, sizeof(float)) != 0 || hits[i].changed)
            return DIFFERS("hit %zu of %zu is %s, score %a, expected score %a", i, got, text,
                           (double)hits[i].score, (double)ranked[i].score);
        if (!same_content(&model->points[point], hits[i].vector, hits[i].payload, text, why))
            return false;
    }
    return true;
}
