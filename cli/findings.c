#include "cli/findings.h"

#include "cli/options.h"
#include "cli/output.h"
#include "cli/text.h"

#include <stdio.h>

struct findings findings_make(const char *label, uint64_t limit)
{
    return (struct findings){ .label = label, .limit = limit, .array = json_array_make() };
}

void findings_add(void *user, const char *sentence)
{
    struct findings *findings = user;
    if (findings->count++ >= findings->limit) return;
    if (common.json)
        json_push(findings->array, json_text(sentence));
    else
        output_print("%s%s:%s %s\n", output_style(STYLE_RED), findings->label,
                     output_style(STYLE_PLAIN), sentence);
}

const char *findings_shown(const struct findings *findings, char *text, size_t room)
{
    char count[TEXT_SIZE];
    text[0] = 0;
    if (findings->count > findings->limit)
        snprintf(text, room, ", the first %s of them above", text_count(findings->limit, count));
    return text;
}

void findings_fini(struct findings *findings)
{
    json_object_put(findings->array);
    findings->array = NULL;
}
