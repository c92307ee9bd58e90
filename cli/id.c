#include "cli/id.h"

#include "cli/heap.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

wg_err id_parse(char *text, wg_id *out)
{
    wg_err err = WG_OK;
    uint64_t number;
    size_t size = strlen(text);
    if (text_to_u64(text, &number)) {
        wg_id_from_number(number, out);
        return WG_OK;
    }
    if (size > 0 && strspn(text, "0123456789") == size)
        return fail_hint(fail(WG_EINVAL, "id %s is larger than %llu", text,
                              (unsigned long long)UINT64_MAX),
                         "in double quotes it is a string: '\"%s\"'", text);
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
        text[size - 1] = 0;
        text++;
    }
    TRY_WG(wg_id_from_string(text, out));
out:
    return err;
}

wg_err id_parse_all(char **texts, int count, wg_id **out)
{
    wg_id *ids = NULL;
    heap_resize(&ids, (size_t)count);
    for (int i = 0; i < count; i++) {
        wg_err err = id_parse(texts[i], &ids[i]);
        if (err == WG_OK) continue;
        heap_free(&ids);
        return err;
    }
    *out = ids;
    return WG_OK;
}

char *id_text(const wg_id *id, char text[WG_ID_TEXT_SIZE])
{
    char plain[WG_ID_TEXT_SIZE];
    wg_id_format(id, plain, sizeof plain);
    bool quoted = id->type == WG_ID_STRING && plain[strspn(plain, "0123456789")] == 0;
    for (char *byte = plain; *byte; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 127) *byte = '?'; /* nothing moves the cursor */
    snprintf(text, WG_ID_TEXT_SIZE, quoted ? "\"%s\"" : "%s", plain);
    return text;
}
