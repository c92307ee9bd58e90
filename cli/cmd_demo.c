#include "cli/clock.h"
#include "cli/command.h"
#include "cli/demo.h"
#include "cli/importer.h"
#include "cli/interrupt.h"
#include "cli/measure.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COLLECTION "fashion-mnist"
enum { NEAREST_SHOWN = 4 };

static struct {
    const char *data;
    uint64_t single, sample, show;
} flags = { .data = "/usr/share/datasets/fashion-mnist", .single = 1000, .sample = 100, .show = 3 };

static const struct option_spec options[] = {
    { "data", 0, .type = OPTION_TEXT, .value = "DIR", .target = &flags.data,
      .help = "folder of the data set\n(default: /usr/share/datasets/fashion-mnist)" },
    { "store", 's', .type = OPTION_TEXT, .value = "DIR", .target = &common.store,
      .help = "folder of the store (default: ./waggle-demo)" },
    { "single", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.single, .min = 1,
      .max = 10000, .help = "queries asked one by one (default: 1000)" },
    { "sample", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.sample, .min = 1,
      .max = 10000, .help = "queries checked by brute force (default: 100)" },
    { "show", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.show, .max = DEMO_LABELS,
      .help = "look-alikes drawn (default: 3)" },
    { 0 },
};

struct demo {
    struct session session;
    struct demo_data data;
    struct demo_figures figures;
    uint64_t imported; /* points, this time */
    double import_seconds, recall;
    uint64_t peak_memory;
};

static const char *payload_of(void *user, uint64_t row)
{
    static const char *payloads[DEMO_LABELS] = {
        "{\"label\":0,\"name\":\"T-shirt/top\"}", "{\"label\":1,\"name\":\"Trouser\"}",
    };
    (void)user, (void)row;
    return payloads[0];
}

static wg_err open_collection(struct demo *demo)
{
    wg_err err = WG_OK;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)demo->data.dim;
    params.metric = WG_EUCLIDEAN;
    TRY(session_open_context(&demo->session));
    TRY(session_open_store(&demo->session, SESSION_CREATE));
    err = session_open_collection(&demo->session, COLLECTION);
    if (err != WG_ENOTFOUND) goto out;
    TRY_WG(wg_collection_create(demo->session.store, COLLECTION, &params));
    TRY(session_open_collection(&demo->session, COLLECTION));
out:
    return err;
}
