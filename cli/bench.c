#include "cli/bench.h"

#include "cli/measure.h"
#include "cli/text.h"

#include <stdio.h>

void bench_machine_init(struct bench_machine *machine, const wg_context *context)
{
    measure_cpu_name(machine->processor, sizeof machine->processor);
    snprintf(machine->tier, sizeof machine->tier, "%s", wg_context_cpu(context));
    machine->threads = wg_context_threads(context);
}

void bench_machine_print(const struct bench_machine *machine)
{
    output_print("%s, %u thread%s, %s kernels\n", machine->processor, machine->threads,
                 text_plural(machine->threads), machine->tier);
}

struct json_object *bench_machine_json(const struct bench_machine *machine)
{
    struct json_object *document = json_object_make();
    json_put(document, "processor", json_text(machine->processor));
    json_put(document, "tier", json_text(machine->tier));
    json_put(document, "threads", json_count(machine->threads));
    return document;
}
