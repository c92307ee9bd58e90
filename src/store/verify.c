#include "store/verify.h"

#include "base/json.h"
#include "store/id.h"
#include "store/live.h"
#include "store/segment_list.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One collection being checked. */
struct check {
    const char *name;
    struct verify_report *report;
    struct db *db;
    struct db_txn txn;
    struct segment_list list;
    struct bitmap live;    /* by position */
    struct bitmap unnamed; /* by position: no point has named the row yet */
    uint64_t sums_end;     /* rows below it have a sum */
    uint64_t chunk_count;  /* of live rows */
    uint64_t point_count;
};

void verify_problem(struct verify_report *report, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->problem_count++;
    if (report->problem) report->problem(report->user, text);
}

static void problem(struct check *check, const char *format, ...) WG_PRINTF(2, 3);
static void problem(struct check *check, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verify_problem(check->report, "collection \"%s\": %s", check->name, text);
}

/* Calls visit for every value of a table that passes its checksum; the others are problems. */
static wg_err walk(struct check *check, unsigned table,
                   wg_err (*visit)(struct check *, struct bytes key, struct bytes value))
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    TRY(db_cursor_open(&check->txn, table, &cursor));
    for (bool found = true; found;) {
        struct bytes key, value;
        wg_err of_walk = db_next(&cursor, &found, &key, &value), of_visit = WG_OK;
        if (of_walk == WG_OK && found) of_visit = visit(check, key, value);
        if (of_visit == WG_ENOMEM) TRY(of_visit);
        if (of_walk != WG_OK || of_visit != WG_OK) problem(check, "%s", wg_message());
        if (of_walk != WG_OK && of_walk != WG_ECORRUPT) break; /* LMDB itself: it cannot go on */
    }
    err = WG_OK;
out:
    db_cursor_close(&cursor);
    return err;
}

static wg_err check_segment(struct check *check, struct bytes key, struct bytes value)
{
    return segment_list_add(&check->list, key, value);
}

static const struct segment *segment_of(const struct check *check, uint64_t row)
{
    for (size_t i = 0; i < check->list.count; i++) {
        const struct segment *segment = check->list.segments[i];
        if (row >= segment->header.first_row &&
            row - segment->header.first_row < segment->row_count)
            return segment;
    }
    return NULL;
}

static void check_row(struct check *check, uint64_t row, uint32_t sum)
{
    uint32_t now;
    const struct segment *segment = segment_of(check, row);
    if (!segment)
        problem(check, "row %" PRIu64 " is in no segment", row);
    else if (segment_row_sum(segment, row - segment->header.first_row, &now) != WG_OK)
        problem(check, "%s", wg_message());
    else if (now != sum)
        problem(check, "%s: row %" PRIu64 ": wrong checksum", segment->file.path, row);
}

static wg_err check_sums(struct check *check, struct bytes key, struct bytes value)
{
    uint64_t first = key_number(key, key.size);
    size_t count = value.size / sizeof(uint32_t);
    if (key.size != sizeof(struct row_key) || value.size % sizeof(uint32_t) != 0 ||
        first != check->sums_end)
        return wg_fail(WG_ECORRUPT,
                       "a run of row checksums begins at row %" PRIu64 ", expected row %" PRIu64,
                       first, check->sums_end);
    for (size_t i = 0; i < count; i++) {
        uint32_t sum;
        memcpy(&sum, (const char *)value.start + i * sizeof sum, sizeof sum);
        check_row(check, first + i, sum);
    }
    check->sums_end = first + count;
    return WG_OK;
}

static wg_err check_live(struct check *check, struct bytes key, struct bytes value)
{
    uint64_t chunk = key_number(key, key.size) - check->list.commit.row_base / BITMAP_CHUNK_BITS;
    uint64_t row_count = check->list.commit.row_end - check->list.commit.row_base;
    if (key.size != sizeof(struct chunk_key) || chunk * BITMAP_CHUNK_BITS >= row_count)
        return wg_fail(WG_ECORRUPT, "live rows of a chunk that is not there");
    uint64_t left = row_count - chunk * BITMAP_CHUNK_BITS;
    check->chunk_count++;
    return live_decode(value, (size_t)chunk,
                       (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS),
                       &check->live);
}

static bool same_id(const wg_id *a, const wg_id *b)
{
    struct id_key key_a, key_b;
    return id_key_make(a, SIZE_MAX, &key_a) == WG_OK && id_key_make(b, SIZE_MAX, &key_b) == WG_OK &&
           key_a.size == key_b.size && memcmp(key_a.bytes, key_b.bytes, key_a.size) == 0;
}

static wg_err check_point_row(struct check *check, const wg_id *id, const char *text, uint64_t row)
{
    uint64_t position = row - check->list.commit.row_base;
    uint32_t sum;
    const struct segment *segment = segment_of(check, row);
    if (row < check->list.commit.row_base || row >= check->list.commit.row_end || !segment) {
        problem(check, "point %s names row %" PRIu64 ", which is not there", text, row);
        return WG_OK;
    }
    if (!bitmap_get(&check->live, position))
        problem(check, "point %s names row %" PRIu64 ", which is dead", text, row);
    if (!bitmap_get(&check->unnamed, position))
        problem(check, "point %s names row %" PRIu64 ", as another point does", text, row);
    uint64_t i = row - segment->header.first_row;
    wg_id stored = { 0 };
    if (segment_row_sum(segment, i, &sum) == WG_OK) stored = segment_id(segment, i);
    if (!same_id(&stored, id))
        problem(check, "point %s names row %" PRIu64 ", which has another id", text, row);
    return bitmap_clear(&check->unnamed, position);
}

static wg_err check_payload(struct check *check, const char *id, const struct point *point)
{
    struct arena arena = { 0 };
    char *text;
    size_t size = point->head.payload_size;
    wg_err err = arena_copy(&arena, point->payload, size, &text);
    if (err == WG_OK && size > 0 && json_check_object(text, size) == WG_EINVAL)
        problem(check, "point %s: payload: %s", id, wg_message());
    arena_fini(&arena);
    return err;
}

static wg_err check_point(struct check *check, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    struct point point;
    wg_id id;
    char text[WG_ID_TEXT_SIZE];
    check->point_count++;
    TRY(id_from_key(key, &id));
    id_format(&id, text, sizeof text);
    err = point_read(value, &point);
    if (err != WG_OK) return wg_fail(err, "point %s: %s", text, wg_message());
    if (point.head.version == 0 || point.head.version > check->list.commit.sequence)
        problem(check, "point %s has version %" PRIu64 "; the latest commit is %" PRIu64, text,
                point.head.version, check->list.commit.sequence);
    TRY(check_point_row(check, &id, text, point.rows.first_row));
    TRY(check_payload(check, text, &point));
out:
    return err;
}

/* Every live row is some point's. */
static void check_unnamed(struct check *check)
{
    uint64_t row_base = check->list.commit.row_base;
    uint64_t row_count = check->list.commit.row_end - row_base;
    for (uint64_t p = 0; p < row_count; p++)
        if (bitmap_get(&check->live, p) && bitmap_get(&check->unnamed, p))
            problem(check, "row %" PRIu64 " is live, and no point names it", row_base + p);
}

static wg_err check_rows_and_points(struct check *check)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &check->list.commit;
    uint64_t row_count = commit->row_end - commit->row_base;
    check->sums_end = commit->row_base;
    TRY(bitmap_resize(&check->live, row_count));
    TRY(bitmap_resize(&check->unnamed, row_count));
    TRY(walk(check, TABLE_SUMS, check_sums));
    if (check->sums_end != commit->row_end)
        problem(check, "row checksums end at row %" PRIu64 ", expected row %" PRIu64,
                check->sums_end, commit->row_end);
    TRY(walk(check, TABLE_LIVE, check_live));
    uint64_t chunk_count = (row_count + BITMAP_CHUNK_BITS - 1) / BITMAP_CHUNK_BITS;
    if (check->chunk_count != chunk_count)
        problem(check, "%" PRIu64 " chunks of live rows, expected %" PRIu64, check->chunk_count,
                chunk_count);
    TRY(walk(check, TABLE_POINTS, check_point));
    check_unnamed(check);
    if (check->point_count != commit->point_count)
        problem(check, "%" PRIu64 " points, expected %" PRIu64, check->point_count,
                commit->point_count);
out:
    return err;
}

static wg_err check_tables(struct check *check)
{
    wg_err err = walk(check, TABLE_SEGMENTS, check_segment);
    if (err != WG_OK) return err;
    if (segment_list_end(&check->list) == check->list.commit.row_end)
        return check_rows_and_points(check);
    problem(check,
            "the segments end at row %" PRIu64 ", expected row %" PRIu64
            "; what is in them was not checked",
            segment_list_end(&check->list), check->list.commit.row_end);
    return WG_OK;
}

wg_err verify_collection(const char *name, const char *folder, struct verify_report *report)
{
    struct check check = { .name = name,
                           .report = report,
                           .list = { .folder = folder, .read_only = true } };
    wg_err err = collection_db_open(folder, true, &check.db);
    if (err == WG_OK) err = db_read_begin(check.db, &check.txn);
    if (err == WG_OK)
        err = collection_read_meta(&check.txn, folder, true, &check.list.commit, &check.list.space);
    if (err == WG_OK)
        err = check_tables(&check);
    else if (err != WG_ENOMEM)
        problem(&check, "%s", wg_message()), err = WG_OK;
    db_abort(&check.txn);
    db_close(&check.db);
    segment_list_fini(&check.list);
    bitmap_fini(&check.live);
    bitmap_fini(&check.unnamed);
    return err;
}
