/* Crashes while a snapshot is made, restored and written to, simulated as in crash_check.c. At any
 * moment, whatever a disk may have kept of what was not synced, the original is as it was, and the
 * copy is whole or no store; whole, once the call has returned; and when it is none one can be made
 * there. And with a sync left out this is found. */
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/disk.h"
#include "support/scratch.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIXES = 4 };

/* What the recorded process has done, by its marks. */
enum progress { NOTHING, MADE, SNAPSHOT, RESTORED, WRITTEN };
static const char *const marks[] = { "", "made", "snapshot", "restored", "written" };

static char crashed[COPIES_PATH_SIZE], paths[3][COPIES_PATH_SIZE + 16];
enum { ORIGINAL, COPY, AGAIN };
static const char *const names[] = { "s", "copy", "again" };

static void set_paths(const char *folder)
{
    for (size_t i = 0; i < 3; i++) snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
}

/* --- in the recorded process --- */

static void mark(enum progress progress)
{
    void *function = dlsym(RTLD_DEFAULT, "files_mark");
    files_mark_fn *put;
    must(function, "this process is not recorded");
    memcpy(&put, &function, sizeof put);
    put(marks[progress]);
}

static void write_some(const char *path, uint64_t seed)
{
    struct run run;
    wg_store *store = copies_open(path, false);
    wg_collection *c = copies_open_collection(store, "c");
    run_begin(seed, &run);
    for (size_t i = 0; i < 3; i++) run_next(&run, c);
    must_ok(wg_collection_compact(c, NULL));
    run_next(&run, c);
    wg_collection_close(&c);
    wg_store_close(&store);
}

static int be_recorded(const char *folder)
{
    copies_set_up(NULL);
    set_paths(folder);
    wg_store *store = copies_open(paths[ORIGINAL], false);
    copies_fill_little(store, 1);
    must_ok(wg_alias_set(store, "a", "c"));
    wg_store_close(&store);
    write_some(paths[ORIGINAL], 2); /* a packed segment and an open one */
    store = copies_open(paths[ORIGINAL], false);
    mark(MADE);
    must_ok(wg_store_snapshot(store, paths[COPY]));
    mark(SNAPSHOT);
    wg_store_close(&store);
    must_ok(wg_store_restore(copies_context(), paths[COPY], paths[AGAIN]));
    mark(RESTORED);
    write_some(paths[COPY], 3);
    mark(WRITTEN);
    copies_tear_down(NULL);
    return 0;
}

/* --- what a crash leaves --- */

static uint64_t content;

static uint64_t content_of(const char *path)
{
    wg_store *store = copies_open(path, true);
    wg_collection *c = copies_open_collection(store, "a");
    uint64_t hash = content_fingerprint(c);
    wg_collection_close(&c);
    wg_store_close(&store);
    return hash;
}

static bool is_store(const char *path)
{
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    wg_err err = wg_store_open(copies_context(), path, &params, &store);
    must(err == WG_OK || err == WG_ENOTFOUND, "%s", wg_message());
    wg_store_close(&store);
    return err == WG_OK;
}

static void check_whole(const char *path, bool written)
{
    must(content_problems(copies_context(), path) == 0, "%s has problems", path);
    must(written || content_of(path) == content, "%s holds something else", path);
}

static void check_left(enum progress progress)
{
    set_paths(crashed);
    check_whole(paths[ORIGINAL], false);
    must(progress < SNAPSHOT || is_store(paths[COPY]), "the snapshot is gone");
    must(progress < RESTORED || is_store(paths[AGAIN]), "the restored store is gone");
    if (is_store(paths[COPY])) check_whole(paths[COPY], progress >= RESTORED);
    if (is_store(paths[AGAIN])) {
        check_whole(paths[AGAIN], false);
    } else {
        wg_store *store = copies_open(paths[ORIGINAL], true);
        must_ok(wg_store_snapshot(store, paths[AGAIN]));
        wg_store_close(&store);
        check_whole(paths[AGAIN], false);
    }
}

static void try_crash(const struct disk *disk, enum disk_loss loss, uint64_t seed,
                      enum progress progress)
{
    scratch_remove(crashed);
    must(mkdir(crashed, 0700) == 0, "cannot make %s", crashed);
    disk_write_out(disk, &(struct disk_crash){ loss, seed }, crashed);
    check_left(progress);
}

/* Returns how many crashes there were. */
static size_t play(const struct recording *recording, const struct disk_bug *bug)
{
    enum progress progress = NOTHING;
    size_t crashes = 0;
    struct prng prng = { test_seed() };
    struct disk *disk = disk_create();
    disk_plant(disk, bug);
    for (size_t i = 0; i < recording->count; i++) {
        const struct recorded *record = &recording->records[i];
        disk_apply(disk, record);
        bool is_mark = record->head.kind == FILES_MARK;
        if (is_mark && strcmp(record->path, marks[progress + 1]) == 0) progress++;
        bool opens = record->head.kind == FILES_OPEN && !(record->head.flags & (O_CREAT | O_TRUNC));
        if (progress == NOTHING || opens) continue;
        try_crash(disk, DISK_DROPS, 0, progress);
        crashes++;
        if (disk_is_synced(disk)) continue;
        try_crash(disk, DISK_KEEPS, 0, progress);
        for (size_t n = 0; n < (bug ? 1 : MIXES); n++)
            try_crash(disk, DISK_MIXES, prng_next(&prng), progress);
        crashes += 1 + MIXES;
    }
    must(progress == WRITTEN, "the recording is not whole");
    disk_destroy(&disk);
    return crashes;
}

static bool is_found(const struct recording *recording, const struct disk_bug *bug)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        must(null >= 0 && dup2(null, STDERR_FILENO) >= 0, "cannot be quiet");
        copies_set_up(NULL);
        play(recording, bug);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    printf("%s: %s\n", bug->what, status == 0 ? "NOT FOUND" : "found");
    return status != 0;
}

static bool find_planted(const struct recording *recording)
{
    static const struct disk_bug bugs[] = {
        { "the copied segment is not synced", DISK_SYNC_FILE, "copy/c-*/*.seg", 0 },
        { "the copied tables are not synced", DISK_SYNC_FILE, "copy/c-*/tables/data.mdb", 0 },
        { "the copied registry is not synced", DISK_SYNC_FILE, "copy/registry/data.mdb", 0 },
        { "the collection's folder is not", DISK_SYNC_FOLDER, "copy/c-*", 0 },
        { "the tables' folder is not", DISK_SYNC_FOLDER, "copy/c-*/tables", 0 },
        { "the registry's folder is not", DISK_SYNC_FOLDER, "copy/registry", 0 },
        { "the copy's folder is not", DISK_SYNC_FOLDER, "copy", 0 },
        { "it is, but not before it is a store", DISK_SYNC_FOLDER, "copy", 1 },
        { "it is, but not when it is a store", DISK_SYNC_FOLDER, "copy", 2 },
        { "the folder that it is in is not", DISK_SYNC_FOLDER, "", 1 },
        { "the restored segments are not synced", DISK_SYNC_FILE, "again/c-*/*.seg", 0 },
        { "the restored tables are not synced", DISK_SYNC_FILE, "again/c-*/tables/data.mdb", 0 },
        { "the restored registry is not synced", DISK_SYNC_FILE, "again/registry/data.mdb", 0 },
        { "the collection's folder is not", DISK_SYNC_FOLDER, "again/c-*", 0 },
        { "the restored folder is not", DISK_SYNC_FOLDER, "again", 1 },
    };
    bool all = true;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++)
        all = is_found(recording, &bugs[i]) && all;
    return all;
}

int main(int argc, char **argv)
{
    if (argc == 3) return be_recorded(argv[2]);
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 1);
    char below[COPIES_PATH_SIZE], log[COPIES_PATH_SIZE];
    const char *scratch = scratch_create();
    snprintf(below, sizeof below, "%s/recorded", scratch);
    snprintf(log, sizeof log, "%s/log", scratch);
    snprintf(crashed, sizeof crashed, "%s/crashed", scratch);
    must(mkdir(below, 0700) == 0, "cannot make %s", below);
    const char *arguments[] = { "--recorded", below };
    int status = recorder_run(&(struct recorder){ below, log, arguments, 2 });
    must(status == 0, "the recorded process ended with status %#x", (unsigned)status);
    struct recording recording;
    recording_load(log, &recording);
    set_paths(below);
    copies_set_up(NULL);
    content = content_of(paths[ORIGINAL]);
    size_t crashes = play(&recording, NULL);
    printf("%zu calls, %zu crashes: the copies are whole, or none\n", recording.count, crashes);
    copies_tear_down(NULL);
    bool found = find_planted(&recording);
    recording_free(&recording);
    return found ? 0 : 1;
}
