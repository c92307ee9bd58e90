#include "support/faults.h"

#include "support/check.h"
#include "support/content.h"
#include "support/recording.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIAL_SECONDS = 60, PROBLEMS_PRINTED = 60, BELOW_SIZE = SCRATCH_PATH_SIZE + 8 };

/* What is made to fail. */
struct kind_of_fault {
    const char *name;
    int error;
    bool go_on, syncs_only;
};

static const struct kind_of_fault kinds[] = {
    { "EIO", EIO, false, false },       { "ENOSPC", ENOSPC, false, false },
    { "EINTR", EINTR, false, false },   { "short", FILES_SHORT, false, false },
    { "EMFILE", EMFILE, false, false }, { "ENOMEM", ENOMEM, false, false },
    { "sync EIO", EIO, false, true },   { "sync ENOSPC", ENOSPC, false, true },
    { "EIO on", EIO, true, false },     { "ENOSPC on", ENOSPC, true, false },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct counts {
    size_t tried, errors, of_lmdb, read_only;
};

struct driver {
    char base[FAULTS_PATH_SIZE]; /* the store that is copied for each trial */
    const struct faults_plan *plan;
    const struct kind_of_fault *kind;
    uint64_t n; /* the call that fails */
    struct faulted f;
    uint64_t states[FAULTS_STEPS_MAX + 1]; /* after so many steps */
    uint64_t read; /* by the whole plan */
    struct counts counts;
    size_t problems;
};

/* How the steps of one trial ended. */
struct outcome {
    size_t done; /* steps */
    wg_err err; /* of the next one */
    bool failed; /* a call was made to fail */
    bool retried; /* in the end all steps were done */
    char message[1024];
};

static files_fail_fn *make_fail;
static files_count_fn *count_calls;
static char trial[256]; /* for whoever must be told where it crashed */

static void find_library(void)
{
    void *functions[] = { dlsym(RTLD_DEFAULT, "files_fail"), dlsym(RTLD_DEFAULT, "files_count") };
    must(functions[0] && functions[1], "the library is not loaded");
    memcpy(&make_fail, &functions[0], sizeof make_fail);
    memcpy(&count_calls, &functions[1], sizeof count_calls);
}

static void tell_trial(int signal_number)
{
    (void)!write(STDERR_FILENO, trial, strlen(trial));
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void problem(struct driver *d, const struct outcome *o, const char *what)
{
    if (d->problems++ >= PROBLEMS_PRINTED) return;
    fprintf(stderr, "%s%s; step %zu gave %s: %s\n", trial, what, o->done, wg_err_name(o->err),
            o->message);
}

static size_t steps_of(const struct faults_plan *plan)
{
    size_t count = 0;
    while (plan->steps[count]) count++;
    return count;
}

/* --- one trial --- */

static void prepare(struct driver *d)
{
    make_fail(NULL);
    scratch_remove(d->f.path);
    scratch_remove(d->f.out);
    must(mkdir(d->f.out, 0700) == 0, "cannot make %s", d->f.out);
    if (!d->plan->from_nothing) scratch_copy(d->base, d->f.path);
    d->f.read = 0;
}

static void carry_out(struct driver *d, struct outcome *o)
{
    const struct faults_plan *plan = d->plan;
    o->err = WG_OK;
    while (plan->steps[o->done] && o->err == WG_OK) {
        o->err = plan->steps[o->done](&d->f);
        o->done += o->err == WG_OK;
    }
    if (o->err != WG_OK) snprintf(o->message, sizeof o->message, "%s", wg_message());
}

static void fail_calls(struct driver *d, struct outcome *o)
{
    uint64_t calls, failed;
    for (; o->done < d->plan->quiet; o->done++) must_ok(d->plan->steps[o->done](&d->f));
    make_fail(&(struct files_fault){
        .first = d->n,
        .error = d->kind->error,
        .go_on = d->kind->go_on,
        .kinds = d->kind->syncs_only ? 1u << FILES_SYNC : 0,
    });
    carry_out(d, o);
    if (d->kind->go_on) faults_close(&d->f);
    count_calls(&calls, &failed);
    make_fail(NULL);
    o->failed = failed > 0;
}

static bool is_empty(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    must(dir, "cannot list %s", folder);
    while (readdir(dir)) count++;
    closedir(dir);
    return count == 2;
}

static bool says(const struct outcome *o, const char *what)
{
    return strstr(o->message, what) != NULL;
}

static bool is_of_lmdb(const struct outcome *o)
{
    return says(o, "/tables: cannot") || says(o, "/registry: cannot") ||
           says(o, "/registry.new: cannot");
}

/* Nothing more may be written: after this write, or already after one of the background's. */
static bool is_read_only(const struct outcome *o)
{
    return says(o, "read-only until") ||
           (o->err == WG_EREADONLY && says(o, "until the store is reopened"));
}

static void check_error(struct driver *d, const struct outcome *o)
{
    /* LMDB gives up after a write that was short, and after a signal during a sync or a read. */
    bool harmless = d->kind->error == EINTR || d->kind->error == FILES_SHORT;
    if (harmless && !is_of_lmdb(o) && o->err != WG_EREADONLY)
        problem(d, o, "should have been tried again");
    if (o->err == WG_EINVAL || o->err == WG_ENOTFOUND || o->err == WG_EEXISTS ||
        o->err == WG_EBUSY || o->err == WG_ECORRUPT || o->err == WG_EVERSION)
        problem(d, o, "not what happened");
    d->counts.errors++;
    d->counts.of_lmdb += is_of_lmdb(o);
    d->counts.read_only += is_read_only(o);
}

static bool is_gone(const struct outcome *o)
{
    char path[FAULTS_PATH_SIZE] = "";
    const char *end = strstr(o->message, ": cannot sync");
    if (end) snprintf(path, sizeof path, "%.*s", (int)(end - o->message), o->message);
    return end && access(path, F_OK) != 0;
}

/* After a sync of rows or tables that failed nothing more is written. But a new file may be given
 * up instead, and LMDB without room says that of writes and syncs alike, and has changed nothing.
 */
static void check_sync(struct driver *d, const struct outcome *o)
{
    bool of_rows = says(o, ".seg: cannot sync"), no_room = o->err == WG_ENOSPC;
    if (!d->plan->writes || !d->kind->syncs_only || is_read_only(o)) return;
    if (of_rows ? !is_gone(o) : is_of_lmdb(o) && !no_room)
        problem(d, o, "a sync failed, and more may be written");
}

/* The step that failed and those behind it are done, unless nothing more may be written. */
static void retry(struct driver *d, struct outcome *first)
{
    struct outcome again = { .done = first->done };
    check_sync(d, first);
    carry_out(d, &again);
    first->retried = again.err == WG_OK;
    bool refused = again.err == WG_EREADONLY && says(&again, "until the store is reopened");
    if (refused != is_read_only(first)) problem(d, first, "what follows it is refused, or not");
    if (!first->retried && !refused) problem(d, &again, "cannot be tried again");
}

static void check_target(struct driver *d, const struct outcome *o)
{
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = false;
    params.read_only = true;
    wg_err err = wg_store_open(d->f.context, d->f.target, &params, &store);
    if (err == WG_OK) (void)faults_fingerprint(store);
    wg_store_close(&store);
    if (err != WG_OK) problem(d, o, wg_message());
    if (err == WG_OK && content_problems(d->f.context, d->f.target) != 0)
        problem(d, o, "what was made has problems");
}

/* Before it is tried again. A disk that died may keep something, which is no store then. */
static void check_nothing(struct driver *d, const struct outcome *o)
{
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = false;
    if (is_empty(d->f.out) || says(o, "unknown")) return;
    if (!d->kind->go_on) problem(d, o, "something is left of it");
    if (wg_store_open(d->f.context, d->f.target, &params, &store) == WG_OK)
        problem(d, o, "a store is left of it");
    wg_store_close(&store);
}

static bool is_state(const struct driver *d, const struct outcome *o, uint64_t state)
{
    size_t steps = steps_of(d->plan);
    if (o->retried) return state == d->states[steps];
    bool may_be_done = o->err != WG_OK && (!d->plan->writes || says(o, "unknown"));
    return state == d->states[o->done] || (may_be_done && state == d->states[o->done + 1]);
}

static void check_store(struct driver *d, const struct outcome *o)
{
    wg_err err = wg_store_open(d->f.context, d->f.path, NULL, &d->f.store);
    if (err != WG_OK) {
        problem(d, o, wg_message());
        return;
    }
    if (!is_state(d, o, faults_fingerprint(d->f.store)))
        problem(d, o, "the store holds something else");
    faults_close(&d->f);
    if (content_problems(d->f.context, d->f.path) != 0) problem(d, o, "the store has problems");
}

static void check_all(struct driver *d, struct outcome *o)
{
    bool counts = d->plan->writes || d->plan->makes || d->plan->from_nothing;
    if (o->err == WG_OK && d->kind->syncs_only && counts)
        problem(d, o, "a sync failed, and nobody said so");
    if (o->err == WG_OK && d->f.read != d->read) problem(d, o, "something else was read");
    if (o->err != WG_OK) check_error(d, o);
    if (o->err != WG_OK && d->plan->makes) check_nothing(d, o);
    if (o->err != WG_OK && d->plan->retries && !d->kind->go_on) retry(d, o);
    faults_close(&d->f);
    if (d->plan->makes && (o->err == WG_OK || o->retried)) check_target(d, o);
    check_store(d, o);
}

/* False: there is no such call. */
static bool try_one(struct driver *d)
{
    struct outcome o = { 0 };
    snprintf(trial, sizeof trial, "%s, %s at call %d: ", d->plan->name, d->kind->name, (int)d->n);
    alarm(TRIAL_SECONDS);
    prepare(d);
    fail_calls(d, &o);
    if (o.failed) check_all(d, &o);
    faults_close(&d->f);
    d->counts.tried += o.failed;
    return o.failed;
}

/* --- all of them --- */

static void note_states(struct driver *d)
{
    for (size_t stop = 0; stop <= steps_of(d->plan); stop++) {
        prepare(d);
        for (size_t i = 0; i < stop; i++) must_ok(d->plan->steps[i](&d->f));
        d->read = d->f.read;
        faults_close(&d->f);
        must_ok(wg_store_open(d->f.context, d->f.path, NULL, &d->f.store));
        d->states[stop] = faults_fingerprint(d->f.store);
        faults_close(&d->f);
    }
}

static uint64_t calls_of_plan(struct driver *d)
{
    uint64_t calls, failed;
    prepare(d);
    for (size_t i = 0; i < d->plan->quiet; i++) must_ok(d->plan->steps[i](&d->f));
    make_fail(&(struct files_fault){ .error = d->kind->error,
                                     .kinds = d->kind->syncs_only ? 1u << FILES_SYNC : 0 });
    for (size_t i = d->plan->quiet; d->plan->steps[i]; i++) must_ok(d->plan->steps[i](&d->f));
    count_calls(&calls, &failed);
    faults_close(&d->f);
    return calls;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void try_kind(struct driver *d, size_t trials)
{
    uint64_t calls = calls_of_plan(d), stride = calls / trials + (calls % trials > 0);
    double begun = seconds_now();
    if (stride == 0) stride = 1;
    d->counts = (struct counts){ 0 };
    /* a different call of each stride for each kind of fault */
    d->n = 1 + (uint64_t)(d->kind - kinds) % stride;
    while (try_one(d)) d->n += stride;
    const struct counts *c = &d->counts;
    printf("%-12s %-12s %5d calls, %4zu made to fail: %4zu errors (%zu of LMDB, %zu left it "
           "read-only), %.1f s\n",
           d->plan->name, d->kind->name, (int)calls, c->tried, c->errors, c->of_lmdb, c->read_only,
           seconds_now() - begun);
}

static int try_all(const char *below, const char *base, size_t trials)
{
    struct driver d = { .f.context = test_context(NULL, 1) };
    size_t tried = 0, errors = 0;
    int signals[] = { SIGALRM, SIGABRT, SIGSEGV, SIGBUS };
    for (size_t i = 0; i < 4; i++) signal(signals[i], tell_trial);
    find_library();
    snprintf(d.base, sizeof d.base, "%s", base);
    snprintf(d.f.path, sizeof d.f.path, "%s/store", below);
    snprintf(d.f.out, sizeof d.f.out, "%s/out", below);
    snprintf(d.f.target, sizeof d.f.target, "%s/out/made", below);
    faults_make_store(d.f.context, base);
    for (size_t p = 0; p < faults_plan_count; p++) {
        d.plan = &faults_plans[p];
        note_states(&d);
        for (size_t k = 0; k < KINDS; k++) {
            d.kind = &kinds[k];
            try_kind(&d, trials);
            tried += d.counts.tried;
            errors += d.counts.errors;
        }
    }
    wg_context_destroy(&d.f.context);
    printf("%zu calls made to fail, %zu errors, %zu problems\n", tried, errors, d.problems);
    return d.problems > 0;
}

int faults_main(int argc, char **argv, size_t trials)
{
    char below[BELOW_SIZE], base[BELOW_SIZE];
    const char *instrumented = getenv("WAGGLE_INSTRUMENTED");
    if (instrumented && *instrumented) trials = (trials + 5) / 6;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3) return try_all(argv[1], argv[2], trials);
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    const char *scratch = scratch_create();
    snprintf(below, sizeof below, "%s/below", scratch);
    snprintf(base, sizeof base, "%s/base", scratch);
    must(mkdir(below, 0700) == 0, "no folder");
    const char *arguments[] = { below, base };
    int status = recorder_run(&(struct recorder){ below, NULL, arguments, 2 });
    must(WIFEXITED(status), "it ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}
