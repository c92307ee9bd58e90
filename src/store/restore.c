#include "store/restore.h"

#include "base/mem.h"
#include "store/lock.h"
#include "store/names.h"
#include "store/stage.h"
#include "store/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COPY_BYTES = 1 << 20, READER_LIMIT = 1 };

struct restoring {
    const char *from, *to; /* folders */
    char *buffer;          /* COPY_BYTES */
    wg_err err;
};

static bool is_zero(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Room that was made for rows to come stays room, and is not written. */
static wg_err copy_bytes(const struct file *in, const struct file *out, char *buffer)
{
    wg_err err = WG_OK;
    uint64_t size;
    TRY(file_size(in, &size));
    if (size > 0) TRY(file_reserve(out, size));
    for (uint64_t at = 0; at < size; at += COPY_BYTES) {
        size_t some = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        TRY(file_read_at(in, buffer, some, at));
        if (!is_zero(buffer, some)) TRY(file_write_at(out, buffer, some, at));
    }
    TRY(file_sync(out));
out:
    return err;
}

static wg_err copy_file(const struct restoring *r, const char *name)
{
    wg_err err = WG_OK;
    char *from = NULL, *to = NULL;
    struct file in = { 0 }, out = { 0 };
    TRY(path_join(r->from, name, &from));
    TRY(path_join(r->to, name, &to));
    TRY(file_open(from, FILE_READ, &in));
    TRY(file_open(to, FILE_CREATE, &out));
    TRY(copy_bytes(&in, &out, r->buffer));
out:
    file_close(&in);
    file_close(&out);
    mem_free(&from);
    mem_free(&to);
    return err;
}

/* Makes the folder of that name and fills it. */
static wg_err copy_folder(const struct restoring *r, const char *name,
                          wg_err (*fill)(struct restoring *))
{
    wg_err err = WG_OK;
    char *from = NULL, *to = NULL;
    TRY(path_join(r->from, name, &from));
    TRY(path_join(r->to, name, &to));
    TRY(folder_create(to));
    struct restoring below = { .from = from, .to = to, .buffer = r->buffer };
    TRY(fill(&below));
    TRY(folder_sync(to));
out:
    mem_free(&from);
    mem_free(&to);
    return err;
}

static wg_err fill_tables(struct restoring *r)
{
    return copy_file(r, "data.mdb");
}

static bool copy_segment(void *user, const char *name)
{
    struct restoring *r = user;
    if (segment_is_name(name)) r->err = copy_file(r, name);
    return r->err == WG_OK;
}

static wg_err fill_collection(struct restoring *r)
{
    wg_err err = WG_OK;
    TRY(copy_folder(r, "tables", fill_tables));
    TRY(folder_list(r->from, copy_segment, r));
    err = r->err;
out:
    return err;
}

static bool copy_collection(void *user, const char *name)
{
    struct restoring *r = user;
    uint64_t number;
    if (registry_is_folder(name, &number)) r->err = copy_folder(r, name, fill_collection);
    return r->err == WG_OK;
}

/* The files as they are: what is in them is looked at when they are here. */
static wg_err copy_store(const char *from, const char *to)
{
    wg_err err = WG_OK;
    struct restoring r = { .from = from, .to = to };
    TRY(mem_resize(&r.buffer, COPY_BYTES));
    TRY(copy_folder(&r, "registry", fill_tables));
    TRY(folder_list(from, copy_collection, &r));
    err = r.err;
out:
    mem_free(&r.buffer);
    if (err == WG_ENOTFOUND) err = wg_fail(WG_ECORRUPT, "%s", wg_message());
    return err;
}

struct first_problem {
    char text[512];
};

static void keep_first(void *user, const char *problem)
{
    struct first_problem *first = user;
    if (first->text[0] == 0) snprintf(first->text, sizeof first->text, "%s", problem);
}

static wg_err verify_names(const char *path, const struct names *names,
                           struct verify_report *report)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < names->count && err == WG_OK; i++) {
        char *folder = NULL;
        err = registry_folder(path, names->items[i].number, &folder);
        struct verify_place place = { folder, DB_READ_ALONE, READER_LIMIT };
        if (err == WG_OK) err = verify_collection(names->items[i].text, &place, report);
        mem_free(&folder);
    }
    return err;
}

static wg_err verify_store(const char *path)
{
    wg_err err = WG_OK;
    struct registry *registry = NULL;
    struct names names = { 0 }, aliases = { 0 };
    struct first_problem first = { { 0 } };
    struct verify_report report = { .problem = keep_first, .user = &first };
    struct registry_params params = {
        .store = path,
        .use = DB_READ_ALONE,
        .reader_limit = READER_LIMIT,
    };
    TRY(registry_open(&params, &registry));
    TRY(names_of_collections(registry, &names));
    TRY(names_of_aliases(registry, &aliases));
    TRY(verify_names(path, &names, &report));
    if (report.problem_count > 0)
        TRY(wg_fail(report.cause != WG_OK ? report.cause : WG_ECORRUPT,
                    "%" PRIu64 " problems, the first: %s", report.problem_count, first.text));
out:
    names_fini(&aliases);
    names_fini(&names);
    registry_close(&registry);
    return err;
}

static wg_err lock_source(const char *from, struct store_lock *out)
{
    wg_err err = store_lock(from, false, STORE_READ_ALONE, out);
    if (err == WG_ENOTFOUND) err = wg_fail(err, "%s: there is no store", from);
    if (err == WG_EBUSY) err = wg_fail(err, "%s (a snapshot can be made of it)", wg_message());
    return err;
}

wg_err store_restore(const char *from, const char *path)
{
    wg_err err = WG_OK;
    struct store_lock locked = { 0 };
    struct stage stage = { 0 };
    if (file_exists(from)) return wg_fail(WG_EINVAL, "%s: a file; a snapshot is a folder", from);
    TRY(lock_source(from, &locked));
    TRY(stage_begin(path, &stage));
    TRY(copy_store(from, stage.path));
    err = verify_store(stage.path);
    if (err == WG_ECORRUPT || err == WG_ENOTFOUND)
        err = wg_fail(WG_ECORRUPT, "%s is damaged: %s", from, wg_message());
    TRY(err);
    TRY(stage_finish(&stage));
out:
    stage_abort(&stage);
    store_unlock(&locked);
    return err;
}
