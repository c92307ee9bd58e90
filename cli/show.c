#include "cli/show.h"

#include "cli/element.h"
#include "cli/id.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_COMPONENTS = 4 };

struct json_object *show_point_json(const wg_point *point, const wg_collection_info *info)
{
    struct json_object *object = json_object_make();
    json_put(object, "id", json_id(&point->id));
    if (point->data) json_put(object, "vector", json_vector(info->type, point->data, info->dim));
    if (point->payload) json_put(object, "payload", json_raw(point->payload));
    return object;
}

struct json_object *show_hits_json(const wg_hit *hits, size_t count, const wg_collection_info *info)
{
    struct json_object *array = json_array_make();
    for (size_t i = 0; i < count; i++) {
        struct json_object *hit = json_object_make();
        json_put(hit, "id", json_id(&hits[i].id));
        json_put(hit, "score", json_float(hits[i].score));
        if (hits[i].data) json_put(hit, "vector", json_vector(info->type, hits[i].data, info->dim));
        if (hits[i].payload) json_put(hit, "payload", json_raw(hits[i].payload));
        if (hits[i].changed) json_put(hit, "changed", json_flag(true));
        json_push(array, hit);
    }
    return array;
}

static void add_column(struct show *show, const char *title, char alignment)
{
    show->titles[show->table.column_count] = title;
    show->alignment[show->table.column_count++] = alignment;
}

static void begin(struct show *show, bool ranked, const wg_collection_info *info, unsigned with)
{
    *show = (struct show){ .info = info, .with = with };
    if (ranked) add_column(show, "rank", 'r');
    add_column(show, "id", 'l');
    if (ranked) add_column(show, "score", 'l');
    if (with & WG_WITH_PAYLOAD) add_column(show, "payload", 'l');
    if (with & WG_WITH_VECTOR) add_column(show, "vector", 'l');
    show->table.titles = show->titles;
    show->table.alignment = show->alignment;
}

/* The first few numbers: "[0.1, 0.2, 0.3, 0.4, ... 768 numbers]". */
static void add_vector(struct show *show, const void *vector)
{
    wg_type type = show->info->type;
    size_t dim = show->info->dim;
    char text[256] = "";
    size_t shown = dim <= SHOWN_COMPONENTS + 2 ? dim : SHOWN_COMPONENTS;
    for (size_t i = 0; i < shown; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, i ? ", %.6g" : "%.6g",
                 (double)element_of(type, vector, i));
    }
    if (shown < dim)
        table_add(&show->table, "[%s, ... %zu numbers]", text, dim);
    else
        table_add(&show->table, "[%s]", text);
}

/* absent stands where there should be a payload, else a vector. */
static void add_extras(struct show *show, const char *payload, const void *vector,
                       const char *absent)
{
    if (show->with & WG_WITH_PAYLOAD) table_add(&show->table, "%s", payload ? payload : absent);
    if (!(show->with & WG_WITH_VECTOR)) return;
    if (vector)
        add_vector(show, vector);
    else
        table_add(&show->table, "%s", show->with & WG_WITH_PAYLOAD ? "" : absent);
}

void show_begin_points(struct show *show, const wg_collection_info *info, unsigned with)
{
    begin(show, false, info, with);
}

void show_add_point(struct show *show, const wg_point *point)
{
    char id[WG_ID_TEXT_SIZE];
    table_add(&show->table, "%s", id_text(&point->id, id));
    add_extras(show, point->payload, point->data, "not found");
}

void show_end(struct show *show)
{
    table_print(&show->table);
}

void show_hits(const wg_hit *hits, size_t count, const wg_collection_info *info, unsigned with)
{
    struct show show;
    begin(&show, true, info, with);
    for (size_t i = 0; i < count; i++) {
        char id[WG_ID_TEXT_SIZE];
        table_add(&show.table, "%zu", i + 1);
        table_add(&show.table, "%s", id_text(&hits[i].id, id));
        table_add(&show.table, "%.6g", (double)hits[i].score);
        add_extras(&show, hits[i].payload, hits[i].data, "gone since");
    }
    show_end(&show);
}
