#include "store/stage.h"

#include "base/mem.h"
#include "store/registry.h"

#include <stdio.h>
#include <string.h>

static const char mark_name[] = "unfinished";

/* What stands in a folder. */
struct contents {
    bool mark, parts, others;
};

static bool is_part(const char *name)
{
    uint64_t number;
    return strcmp(name, "registry") == 0 || registry_is_folder(name, &number);
}

static bool note(void *user, const char *name)
{
    struct contents *contents = user;
    if (strcmp(name, mark_name) == 0)
        contents->mark = true;
    else if (is_part(name))
        contents->parts = true;
    else
        contents->others = true;
    return true;
}

/* Nothing stands there, or only what was left unfinished. */
static wg_err check_free(const char *path)
{
    wg_err err = WG_OK;
    struct contents contents = { 0 };
    TRY(folder_list(path, note, &contents));
    if (contents.others || (contents.parts && !contents.mark))
        TRY(wg_fail(WG_EINVAL, "%s: not an empty folder", path));
out:
    return err;
}

static wg_err make_folder(struct stage *stage)
{
    wg_err err = WG_OK;
    char *parent = NULL;
    if (file_exists(stage->path))
        TRY(wg_fail(WG_EINVAL, "%s: a file; expected an empty folder or none", stage->path));
    if (folder_exists(stage->path)) {
        TRY(check_free(stage->path));
        goto out;
    }
    TRY(path_join(stage->path, "..", &parent));
    TRY(folder_create(stage->path));
    stage->made = true;
    TRY(folder_sync(parent));
out:
    mem_free(&parent);
    return err;
}

struct removal {
    const struct stage *stage;
    wg_err err;
};

static bool remove_part(void *user, const char *name)
{
    struct removal *removal = user;
    char *path = NULL;
    if (!is_part(name)) return true;
    removal->err = path_join(removal->stage->path, name, &path);
    if (removal->err == WG_OK) removal->err = folder_remove(path);
    mem_free(&path);
    return removal->err == WG_OK;
}

static wg_err remove_parts(const struct stage *stage)
{
    struct removal removal = { .stage = stage };
    wg_err err = folder_list(stage->path, remove_part, &removal);
    return err == WG_OK ? removal.err : err;
}

/* Whoever holds the mark's lock may remove what is there. Looked at again, for another process may
 * have finished one here meanwhile. */
static wg_err take_mark(struct stage *stage)
{
    wg_err err = WG_OK;
    char *path = NULL;
    TRY(path_join(stage->path, mark_name, &path));
    TRY(file_open(path, FILE_CREATE, &stage->mark));
    err = file_lock(&stage->mark, true);
    if (err != WG_OK) file_close(&stage->mark); /* it is another's */
    if (err == WG_EBUSY)
        TRY(wg_fail(WG_EBUSY, "%s: another process is making a store there", stage->path));
    TRY(err);
    err = check_free(stage->path);
    if (err == WG_EINVAL) {
        file_discard(path);
        file_close(&stage->mark);
        TRY(wg_fail(WG_EINVAL, "%s: not an empty folder", stage->path));
    }
    TRY(err);
    TRY(folder_sync(stage->path));
    TRY(remove_parts(stage));
out:
    mem_free(&path);
    return err;
}

wg_err stage_begin(const char *path, struct stage *out)
{
    wg_err err = WG_OK;
    struct stage stage = { 0 };
    TRY(path_join(path, "", &stage.path));
    TRY(make_folder(&stage));
    TRY(take_mark(&stage));
    *out = stage;
    stage = (struct stage){ 0 }; /* moved */
out:
    stage_abort(&stage);
    return err;
}

static wg_err rename_mark(const struct stage *stage, bool to_lock)
{
    wg_err err = WG_OK;
    char *mark = NULL, *lock = NULL;
    TRY(path_join(stage->path, mark_name, &mark));
    TRY(path_join(stage->path, "lock", &lock));
    TRY(to_lock ? file_rename(mark, lock) : file_rename(lock, mark));
out:
    mem_free(&mark);
    mem_free(&lock);
    return err;
}

static void stage_fini(struct stage *stage)
{
    file_close(&stage->mark);
    mem_free(&stage->path);
    *stage = (struct stage){ 0 };
}

wg_err stage_finish(struct stage *stage)
{
    wg_err err = WG_OK;
    TRY(file_sync(&stage->mark));
    TRY(folder_sync(stage->path));
    TRY(rename_mark(stage, true));
    stage->renamed = true;
    TRY(folder_sync(stage->path));
    stage_fini(stage);
out:
    stage_abort(stage);
    return err;
}

/* The mark goes last, so that what cannot be removed is still known as unfinished. */
static wg_err remove_all(struct stage *stage)
{
    wg_err err = WG_OK;
    struct contents left = { 0 };
    if (stage->renamed) TRY(rename_mark(stage, false));
    stage->renamed = false;
    if (stage->mark.path) TRY(remove_parts(stage));
    if (stage->mark.path) TRY(file_remove(stage->mark.path));
    if (stage->made) TRY(folder_list(stage->path, note, &left));
    if (stage->made && !left.mark && !left.parts && !left.others) TRY(folder_remove(stage->path));
out:
    return err;
}

void stage_abort(struct stage *stage)
{
    char message[1024];
    if (!stage->path) return;
    snprintf(message, sizeof message, "%s", wg_message());
    wg_err err = remove_all(stage); /* what is left the next one made there removes */
    (void)wg_fail(WG_EIO, "%s%s", message,
                  err != WG_OK && stage->renamed ? "; whether the store is there is unknown" : "");
    stage_fini(stage);
}
