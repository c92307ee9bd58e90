#include "support/crash_workload.h"

#include "store/encode.h"
#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NONZERO = 16 }; /* components of a vector; the others are 0, so that files have holes */
enum { HISTORY = 30 }; /* so that rows fall out of the list of changes, and can be compacted */

/* Where a plan is done. */
struct session {
    const struct crash_plan *plan;
    const char *folder;
    char path[SCRATCH_PATH_SIZE + 16];
    wg_context *context;
    wg_store *store;
    wg_collection *collections[CRASH_COLLECTIONS];
    files_mark_fn *mark; /* NULL: no marks */
};

void crash_store_path(const char *folder, char *path)
{
    snprintf(path, SCRATCH_PATH_SIZE + 16, "%s/store", folder);
}

void crash_snapshot_path(const char *folder, size_t op_index, char *path)
{
    snprintf(path, SCRATCH_PATH_SIZE + 16, "%s/copy-%zu", folder, op_index);
}

/* A few rows have codes, so that these are on their way when the crash comes. */
static void session_begin(struct session *s, const struct crash_plan *plan, const char *folder)
{
    encode_rows_min = 32;
    *s = (struct session){ .plan = plan, .folder = folder, .context = test_context(NULL, 1) };
    crash_store_path(folder, s->path);
}

static void close_store(struct session *s)
{
    for (size_t c = 0; c < CRASH_COLLECTIONS; c++) wg_collection_close(&s->collections[c]);
    wg_store_close(&s->store);
}

static void session_end(struct session *s)
{
    close_store(s);
    wg_context_destroy(&s->context);
}

/* --- one operation --- */

static void reopen(struct session *s, size_t op_index)
{
    struct crash_name names[CRASH_NAMES_MAX];
    close_store(s);
    must_ok(wg_store_open(s->context, s->path, NULL, &s->store));
    size_t count = crash_plan_names(s->plan, op_index, names);
    for (size_t i = 0; i < count; i++)
        if (!names[i].is_alias)
            must_ok(wg_collection_open(s->store, names[i].name,
                                       &s->collections[names[i].collection]));
}

static void create(struct session *s, const struct crash_op *op)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = crash_collections[op->collection].dim;
    params.metric = crash_collections[op->collection].metric;
    params.history = HISTORY;
    must_ok(wg_collection_create(s->store, op->name, &params));
    must_ok(wg_collection_open(s->store, op->name, &s->collections[op->collection]));
}

/* Those of the registry. name: the collection's. */
static void change_names(struct session *s, const struct crash_op *op, const char *name)
{
    if (op->kind == CRASH_DROP) {
        wg_collection_close(&s->collections[op->collection]);
        must_ok(wg_collection_drop(s->store, name));
    }
    if (op->kind == CRASH_RENAME) must_ok(wg_collection_rename(s->store, name, op->name));
    if (op->kind == CRASH_ALIAS) must_ok(wg_alias_set(s->store, op->name, name));
    if (op->kind == CRASH_UNALIAS) must_ok(wg_alias_remove(s->store, op->name));
}

static void upsert(wg_collection *collection, const struct crash_op *op, const wg_id *ids)
{
    uint32_t dim = crash_collections[op->collection].dim;
    struct prng prng = { op->seed };
    float *vectors = allocate(op->count * (size_t)dim, sizeof *vectors);
    char texts[CRASH_COUNT_MAX][64];
    const char *payloads[CRASH_COUNT_MAX];
    for (size_t i = 0; i < op->count; i++) {
        for (size_t j = 0; j < dim && j < NONZERO; j++) vectors[i * dim + j] = prng_unit(&prng);
        snprintf(texts[i], sizeof texts[i], "{\"n\":%u,\"text\":\"%016" PRIx64 "\"}", (unsigned)i,
                 prng_next(&prng));
        payloads[i] = prng_next(&prng) % 3 ? texts[i] : NULL;
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = op->count;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    must_ok(wg_collection_upsert(collection, dim, &batch));
    free(vectors);
}

static void set_payload(wg_collection *collection, const struct crash_op *op, const wg_id *ids)
{
    char text[64];
    snprintf(text, sizeof text, "{\"set\":\"%016" PRIx64 "\"}", op->seed);
    const char *payload = op->seed % 4 ? text : NULL;
    must_ok(wg_collection_set_payload(collection, ids, op->count, payload, NULL));
}

static void snapshot(struct session *s, size_t op_index)
{
    char path[SCRATCH_PATH_SIZE + 16];
    crash_snapshot_path(s->folder, op_index, path);
    must_ok(wg_store_snapshot(s->store, path));
}

static void perform(struct session *s, size_t op_index)
{
    const struct crash_op *op = &s->plan->ops[op_index];
    wg_collection *collection = s->collections[op->collection];
    wg_id ids[CRASH_COUNT_MAX];
    crash_op_ids(op, ids);
    switch (op->kind) {
    case CRASH_OPEN: reopen(s, op_index); break;
    case CRASH_CREATE: create(s, op); break;
    case CRASH_DROP:
    case CRASH_RENAME:
    case CRASH_ALIAS:
    case CRASH_UNALIAS:
        change_names(s, op, crash_plan_name(s->plan, op_index, op->collection));
        break;
    case CRASH_UPSERT: upsert(collection, op, ids); break;
    case CRASH_DELETE: must_ok(wg_collection_delete(collection, ids, op->count, NULL)); break;
    case CRASH_PAYLOAD: set_payload(collection, op, ids); break;
    case CRASH_CLEAR: must_ok(wg_collection_clear(collection)); break;
    case CRASH_SNAPSHOT: snapshot(s, op_index); break;
    case CRASH_COMPACT: must_ok(wg_collection_compact(collection, NULL)); break;
    }
}

/* --- marks --- */

static void mark_begin(const struct session *s, size_t op_index)
{
    char text[32];
    snprintf(text, sizeof text, "begin %zu", op_index);
    if (s->mark) s->mark(text);
}

static void mark_done(const struct session *s, size_t op_index, uint64_t sequence)
{
    char text[64];
    snprintf(text, sizeof text, "done %zu %" PRIu64, op_index, sequence);
    if (s->mark) s->mark(text);
}

void crash_mark_read(const char *text, struct crash_mark *out)
{
    *out = (struct crash_mark){ .done = strncmp(text, "done", 4) == 0 };
    int got = sscanf(text, out->done ? "done %zu %" SCNu64 : "begin %zu", &out->op, &out->sequence);
    must(got == 1 + out->done && out->op < CRASH_OPS_MAX, "a mark: %s", text);
}

static uint64_t sequence_of(wg_collection *collection)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    if (!collection) return 0;
    must_ok(wg_collection_info_get(collection, &info));
    return info.sequence;
}

/* --- several writers --- */

struct writer {
    struct session *session;
    size_t number, begin, end; /* its operations are among these */
};

/* The version of a point that only this writer writes is the sequence of its write; what deletes
 * leaves none. */
static uint64_t sequence_of_write(const struct session *s, size_t op_index)
{
    const struct crash_op *op = &s->plan->ops[op_index];
    wg_points *points = NULL;
    wg_id ids[CRASH_COUNT_MAX];
    crash_op_ids(op, ids);
    must_ok(wg_collection_get(s->collections[op->collection], ids, 1, 0, &points));
    uint64_t version = wg_points_at(points, 0)->version;
    wg_points_destroy(&points);
    return version;
}

static void *write_own(void *arg)
{
    const struct writer *writer = arg;
    for (size_t i = writer->begin; i < writer->end; i++) {
        if (writer->session->plan->ops[i].writer != writer->number) continue;
        mark_begin(writer->session, i);
        perform(writer->session, i);
        mark_done(writer->session, i, sequence_of_write(writer->session, i));
    }
    return NULL;
}

/* Returns where the operations end that are done at the same time as this one. */
static size_t section_end(const struct crash_plan *plan, size_t begin)
{
    size_t end = begin;
    while (end < plan->count && plan->ops[end].writer > 0) end++;
    return end;
}

static void write_at_once(struct session *s, size_t begin, size_t end)
{
    pthread_t threads[CRASH_WRITERS];
    struct writer writers[CRASH_WRITERS];
    for (size_t w = 0; w < CRASH_WRITERS; w++) {
        writers[w] = (struct writer){ s, w + 1, begin, end };
        must(pthread_create(&threads[w], NULL, write_own, &writers[w]) == 0, "no thread");
    }
    for (size_t w = 0; w < CRASH_WRITERS; w++) pthread_join(threads[w], NULL);
}

void crash_workload_run(const struct crash_plan *plan, const char *folder)
{
    struct session s;
    session_begin(&s, plan, folder);
    void *mark = dlsym(RTLD_DEFAULT, "files_mark");
    must(mark, "this process is not recorded");
    memcpy(&s.mark, &mark, sizeof mark);
    for (size_t i = 0; i < plan->count;) {
        if (plan->ops[i].writer > 0) {
            size_t end = section_end(plan, i);
            write_at_once(&s, i, end);
            i = end;
            continue;
        }
        mark_begin(&s, i);
        perform(&s, i);
        mark_done(&s, i, sequence_of(s.collections[plan->ops[i].collection]));
        i++;
    }
    session_end(&s);
}

/* --- the same in order --- */

static void read_sequences(const struct recording *recording, uint64_t *sequences)
{
    for (size_t i = 0; i < recording->count; i++) {
        struct crash_mark mark;
        if (recording->records[i].head.kind != FILES_MARK) continue;
        crash_mark_read(recording->records[i].path, &mark);
        if (mark.done) sequences[mark.op] = mark.sequence;
    }
}

/* Whether an operation of this collection, among those from begin to end, has this sequence. */
static bool is_taken(const struct crash_plan *plan, const uint64_t *sequences, uint64_t sequence,
                     const size_t span[3])
{
    for (size_t i = span[0]; i < span[1]; i++)
        if (plan->ops[i].collection == span[2] && sequences[i] == sequence) return true;
    return false;
}

/* Deletes among other writers' operations have the sequences that these leave, in order: they are
 * all one writer's. */
static void find_sequences(const struct crash_plan *plan, uint64_t *sequences, size_t begin,
                           size_t end)
{
    for (size_t c = 0; c < CRASH_COLLECTIONS; c++) {
        uint64_t next = 1;
        for (size_t i = 0; i < begin; i++)
            if (plan->ops[i].collection == c && sequences[i] >= next) next = sequences[i] + 1;
        for (size_t i = begin; i < end; i++) {
            if (plan->ops[i].collection != c || sequences[i] != 0) continue;
            while (is_taken(plan, sequences, next, (size_t[]){ begin, end, c })) next++;
            sequences[i] = next++;
        }
    }
}

/* Operations done at once, by their sequences. */
static void sort_section(const uint64_t *sequences, size_t *order, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && sequences[order[j]] < sequences[order[j - 1]]; j--) {
            size_t other = order[j];
            order[j] = order[j - 1];
            order[j - 1] = other;
        }
}

static void note_content(const struct session *s, size_t op_index, struct crash_history *history)
{
    size_t c = s->plan->ops[op_index].collection;
    wg_collection *collection = s->collections[c];
    uint64_t sequence = sequence_of(collection);
    if (!collection) return;
    must(sequence < CRASH_SEQUENCES, "more than %d sequences", CRASH_SEQUENCES);
    must(sequence == history->sequences[op_index],
         "operation %zu leads to sequence %" PRIu64 " in order, but to %" PRIu64
         " where it was recorded",
         op_index, sequence, history->sequences[op_index]);
    history->fingerprints[c][sequence] = content_fingerprint(collection);
    if (sequence > history->last[c]) history->last[c] = sequence;
}

static void do_in_order(const struct crash_plan *plan, const size_t *order, const char *folder,
                        struct crash_history *history)
{
    struct session s;
    session_begin(&s, plan, folder);
    for (size_t i = 0; i < plan->count; i++) {
        perform(&s, order[i]);
        note_content(&s, order[i], history);
    }
    session_end(&s);
}

void crash_history_make(const struct crash_plan *plan, const struct recording *recording,
                        const char *folder, struct crash_history *history)
{
    size_t order[CRASH_OPS_MAX];
    read_sequences(recording, history->sequences);
    for (size_t i = 0; i < plan->count; i++) order[i] = i;
    for (size_t i = 0; i < plan->count; i++) {
        size_t end = section_end(plan, i);
        if (end == i) continue;
        find_sequences(plan, history->sequences, i, end);
        sort_section(history->sequences, order + i, end - i);
        i = end;
    }
    fflush(NULL);
    int status = 0;
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) {
        do_in_order(plan, order, folder, history);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0, "the plan cannot be done in order");
}
