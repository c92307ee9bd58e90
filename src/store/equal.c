#include "store/equal.h"

#include "device/row.h"
#include "store/id.h"
#include "store/names.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One of the two stores, and where the comparison stands in it. */
struct side {
    struct store *store;
    struct names collections, aliases;
    struct member *member;
    struct collection *collection;
    struct snapshot snapshot;
    struct db_cursor cursor;
    bool found; /* a point, under the cursor */
    struct bytes key, value;
    struct point point;
    uint64_t position; /* of a row */
};

struct comparison {
    struct side sides[2];
    const char *name; /* of the collection; NULL: the stores themselves */
    uint64_t count;   /* of differences in it */
    bool same_points; /* by their ids */
    struct equal_report *report;
};

static void differ(struct comparison *c, const char *format, ...) WG_PRINTF(2, 3);
static void differ(struct comparison *c, const char *format, ...)
{
    char what[768], text[1280];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    c->report->difference_count++;
    if (!c->report->report || (c->name && ++c->count > EQUAL_REPORTS_MAX)) return;
    if (c->name) snprintf(text, sizeof text, "collection \"%s\": %s", c->name, what);
    c->report->report(c->report->user, c->name ? text : what);
}

static const char *path_of(const struct comparison *c, size_t side)
{
    return store_path(c->sides[side].store);
}

/* Of a number that both have. */
static void compare_numbers(struct comparison *c, const char *what, uint64_t a, uint64_t b)
{
    if (a != b) differ(c, "%s: %" PRIu64 " and %" PRIu64, what, a, b);
}

static void compare_meta(struct comparison *c)
{
    const struct collection *a = c->sides[0].collection, *b = c->sides[1].collection;
    const struct commit_record *x = &c->sides[0].snapshot.view->commit;
    const struct commit_record *y = &c->sides[1].snapshot.view->commit;
    compare_numbers(c, "dimensions", a->space.dim, b->space.dim);
    if (a->space.metric != b->space.metric)
        differ(c, "metric: %s and %s", wg_metric_name((wg_metric)a->space.metric),
               wg_metric_name((wg_metric)b->space.metric));
    if (a->space.type != b->space.type)
        differ(c, "type: %s and %s", wg_type_name((wg_type)a->space.type),
               wg_type_name((wg_type)b->space.type));
    compare_numbers(c, "epoch", x->epoch, y->epoch);
    compare_numbers(c, "sequence", x->sequence, y->sequence);
    compare_numbers(c, "points", x->point_count, y->point_count);
    if (x->chain_hash != y->chain_hash)
        differ(c, "chain hash: %016" PRIx64 " and %016" PRIx64, x->chain_hash, y->chain_hash);
}

/* To the next point in the order of ids. */
static wg_err advance(struct side *side)
{
    wg_err err = WG_OK;
    TRY(db_next(&side->cursor, &side->found, &side->key, &side->value));
    if (side->found) TRY(point_read(side->value, &side->point));
out:
    return err;
}

static int compare_keys(const struct side *a, const struct side *b)
{
    if (!a->found || !b->found) return (int)b->found - (int)a->found;
    size_t size = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = memcmp(a->key.start, b->key.start, size);
    return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static wg_err vector_of(const struct side *side, const void **out)
{
    wg_err err = WG_OK;
    const struct view *view = side->snapshot.view;
    uint64_t position;
    struct view_row row;
    if (!layout_find(&view->layout, side->point.rows.first_row, &position))
        TRY(wg_fail(WG_ECORRUPT, "%s: a point names row %" PRIu64 ", which is not there",
                    side->collection->folder, side->point.rows.first_row));
    TRY(view_read(view, position, &row));
    *out = row.vector;
out:
    return err;
}

/* Tells the first component whose bits differ. */
static void differ_in_vectors(struct comparison *c, const char *id, const void *a, const void *b)
{
    const struct collection *collection = c->sides[0].collection;
    const struct kernels *kernels = device_set_kernels(collection->host->devices);
    enum row_type type = (enum row_type)collection->space.type;
    float x, y;
    size_t i = 0;
    for (;; i++) {
        x = row_component(kernels, type, a, i);
        y = row_component(kernels, type, b, i);
        if (memcmp(&x, &y, sizeof x) != 0 || i + 1 == collection->space.dim) break;
    }
    differ(c, "point %s: component %zu of its vector: %.9g and %.9g", id, i, (double)x, (double)y);
}

static wg_err compare_vectors(struct comparison *c, const char *id)
{
    wg_err err = WG_OK;
    const void *a, *b;
    const struct space_record *space = &c->sides[0].collection->space;
    const struct space_record *other = &c->sides[1].collection->space;
    if (space->dim != other->dim || space->type != other->type) return WG_OK; /* was told */
    TRY(vector_of(&c->sides[0], &a));
    TRY(vector_of(&c->sides[1], &b));
    if (memcmp(a, b, space_row_size(space)) != 0) differ_in_vectors(c, id, a, b);
out:
    return err;
}

/* So much of the payload fits into a message. */
static int shown(const struct point *point)
{
    return point->head.payload_size < 200 ? (int)point->head.payload_size : 200;
}

static wg_err compare_points(struct comparison *c, const char *id)
{
    const struct point *a = &c->sides[0].point, *b = &c->sides[1].point;
    if (a->head.version != b->head.version)
        differ(c, "point %s: version %" PRIu64 " and %" PRIu64, id, a->head.version,
               b->head.version);
    if (a->head.payload_size != b->head.payload_size ||
        memcmp(a->payload, b->payload, a->head.payload_size) != 0)
        differ(c, "point %s: payload %.*s and %.*s", id, shown(a), a->payload, shown(b),
               b->payload);
    return compare_vectors(c, id);
}

/* The points under the cursors; then those that were compared are behind. */
static wg_err compare_next(struct comparison *c)
{
    wg_err err = WG_OK;
    struct side *a = &c->sides[0], *b = &c->sides[1];
    int order = compare_keys(a, b);
    size_t first = order <= 0 ? 0 : 1;
    char text[WG_ID_TEXT_SIZE];
    wg_id id;
    TRY(id_from_key(c->sides[first].key, &id));
    id_format(&id, text, sizeof text);
    if (order == 0) {
        TRY(compare_points(c, text));
    } else {
        c->same_points = false;
        differ(c, "point %s is only in %s", text, path_of(c, first));
    }
    if (order <= 0) TRY(advance(a));
    if (order >= 0) TRY(advance(b));
out:
    return err;
}

static wg_err compare_all_points(struct comparison *c)
{
    wg_err err = WG_OK;
    c->same_points = true;
    for (size_t i = 0; i < 2; i++) {
        struct side *side = &c->sides[i];
        TRY(db_cursor_open(&side->snapshot.txn, TABLE_POINTS, &side->cursor));
        TRY(advance(side));
    }
    while (c->sides[0].found || c->sides[1].found) TRY(compare_next(c));
out:
    return err;
}

/* The id of the live row at or behind the position; *found false: there is none. */
static wg_err next_live(struct side *side, bool *found, wg_id *id, struct id_key *key)
{
    wg_err err = WG_OK;
    const struct view *view = side->snapshot.view;
    uint64_t end = layout_end(&view->layout), i;
    while (side->position < end && view->source.masked &&
           !bitmap_get(&view->source.live, side->position))
        side->position++;
    *found = side->position < end;
    if (!*found) return WG_OK;
    const struct segment *segment = layout_at(&view->layout, side->position, &i)->segment;
    TRY(segment_check_row(segment, i));
    *id = segment_id(segment, i);
    TRY(id_key_make(id, SIZE_MAX, key));
    side->position++;
out:
    return err;
}

/* Points with equal scores come in the order of their rows. One change of place moves all rows
 * behind it, so the first is told. */
static wg_err compare_order(struct comparison *c)
{
    wg_err err = WG_OK;
    bool found[2] = { true, true };
    c->sides[0].position = c->sides[1].position = 0;
    for (uint64_t n = 0; found[0] && found[1]; n++) {
        struct id_key keys[2];
        wg_id ids[2];
        char text[2][WG_ID_TEXT_SIZE];
        for (size_t i = 0; i < 2; i++) TRY(next_live(&c->sides[i], &found[i], &ids[i], &keys[i]));
        if (!found[0] || !found[1]) break;
        if (keys[0].size == keys[1].size && memcmp(keys[0].bytes, keys[1].bytes, keys[0].size) == 0)
            continue;
        for (size_t i = 0; i < 2; i++) id_format(&ids[i], text[i], sizeof text[i]);
        differ(c, "the order of rows: row %" PRIu64 " of those that are live is point %s and %s", n,
               text[0], text[1]);
        goto out;
    }
    if (found[0] != found[1])
        differ(c, "the order of rows: %s has more live ones", path_of(c, found[0] ? 0 : 1));
out:
    return err;
}

static wg_err begin_side(struct side *side, const char *name)
{
    wg_err err = WG_OK;
    TRY(store_open_member(side->store, name, &side->member));
    TRY(member_enter(side->member, &side->collection));
    TRY(snapshot_begin(side->collection, &side->snapshot));
out:
    return err;
}

static void end_side(struct side *side)
{
    db_cursor_close(&side->cursor);
    snapshot_end(&side->snapshot);
    if (side->collection) member_leave(side->member);
    if (side->member) store_close_member(side->store, &side->member);
    side->collection = NULL;
}

static wg_err compare_collection(struct comparison *c, const char *name)
{
    wg_err err = WG_OK;
    c->name = name;
    c->count = 0;
    for (size_t i = 0; i < 2; i++) TRY(begin_side(&c->sides[i], name));
    compare_meta(c);
    TRY(compare_all_points(c));
    if (c->same_points) TRY(compare_order(c));
out:
    for (size_t i = 0; i < 2; i++) end_side(&c->sides[i]);
    c->name = NULL;
    return err;
}

/* Calls visit for the names that both have; the others are differences. */
typedef wg_err both_fn(struct comparison *c, const struct name *a, const struct name *b);
static wg_err merge_names(struct comparison *c, const struct names *a, const struct names *b,
                          const char *what, both_fn *visit)
{
    wg_err err = WG_OK;
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        int order = i == a->count   ? 1
                    : j == b->count ? -1
                                    : strcmp(a->items[i].text, b->items[j].text);
        if (order == 0) TRY(visit(c, &a->items[i], &b->items[j]));
        if (order < 0) differ(c, "%s \"%s\" is only in %s", what, a->items[i].text, path_of(c, 0));
        if (order > 0) differ(c, "%s \"%s\" is only in %s", what, b->items[j].text, path_of(c, 1));
        i += order <= 0;
        j += order >= 0;
    }
out:
    return err;
}

static wg_err visit_collection(struct comparison *c, const struct name *a, const struct name *b)
{
    (void)b;
    return compare_collection(c, a->text);
}

static const char *name_of(const struct names *names, uint64_t number)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].number == number) return names->items[i].text;
    return "";
}

static wg_err visit_alias(struct comparison *c, const struct name *a, const struct name *b)
{
    const char *x = name_of(&c->sides[0].collections, a->number);
    const char *y = name_of(&c->sides[1].collections, b->number);
    if (strcmp(x, y) != 0) differ(c, "alias \"%s\" leads to \"%s\" and \"%s\"", a->text, x, y);
    return WG_OK;
}

wg_err store_compare(struct store *a, struct store *b, struct equal_report *report)
{
    wg_err err = WG_OK;
    struct comparison c = { .sides = { { .store = a }, { .store = b } }, .report = report };
    for (size_t i = 0; i < 2; i++) {
        struct registry *registry = store_registry(c.sides[i].store);
        TRY(names_of_collections(registry, &c.sides[i].collections));
        TRY(names_of_aliases(registry, &c.sides[i].aliases));
    }
    TRY(merge_names(&c, &c.sides[0].collections, &c.sides[1].collections, "collection",
                    visit_collection));
    TRY(merge_names(&c, &c.sides[0].aliases, &c.sides[1].aliases, "alias", visit_alias));
out:
    for (size_t i = 0; i < 2; i++) {
        names_fini(&c.sides[i].collections);
        names_fini(&c.sides[i].aliases);
    }
    return err;
}
