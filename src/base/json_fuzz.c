/* Payloads from any bytes: what is accepted merges, and what a merge gives is accepted, is no
 * larger than its parts, and stays as it is when the same is merged again. */
#include "base/json.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

static const char patch[] = "{\"a\":{\"b\":[1,-2.5e3,\"\\ud83d\\udc1d\"]},\"\":null}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as long as it says, so that a sanitizer sees a read behind its 0. */
static char *text_of(const void *bytes, size_t size)
{
    char *text = allocate(size + 1, 1);
    memcpy(text, bytes, size);
    text[size] = 0;
    return text;
}

static char *merge(const char *object, const char *onto_it, struct arena *arena)
{
    char *merged = NULL;
    must_ok(json_merge(object, onto_it, arena, &merged));
    size_t size = strlen(merged);
    char *exact = text_of(merged, size);
    must(json_check_object(exact, size) == WG_OK, "%s: of %s and %s: %s", wg_message(), object,
         onto_it, merged);
    free(exact);
    return merged;
}

static void must_be_same(const char *got, const char *want)
{
    must(strcmp(got, want) == 0, "got %s, expected %s", got, want);
}

/* A text may have a key twice; the last one counts, whichever way the text comes in. */
static void merge_with_itself(const char *text, size_t size, struct arena *arena)
{
    char *printed = merge(text, text, arena);
    must(strlen(printed) <= size, "%zu bytes became %s", size, printed);
    must_be_same(merge("{}", text, arena), printed);
    must_be_same(merge(text, "{}", arena), printed);
    must_be_same(merge(printed, printed, arena), printed);
}

static void merge_with_patch(const char *text, size_t size, struct arena *arena)
{
    char *patched = merge(text, patch, arena);
    must(strlen(patched) <= size + sizeof patch, "%zu bytes became %s", size, patched);
    must_be_same(merge(patched, patch, arena), patched);
    merge(patch, text, arena);
}

/* Beyond JSON_SIZE_MAX no fuzzer comes; json_test does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    char *text = text_of(data, size);
    wg_err err = json_check_object(text, size);
    if (err == WG_OK) {
        merge_with_itself(text, size, &arena);
        merge_with_patch(text, size, &arena);
    } else {
        must(err == WG_EINVAL && wg_message()[0], "%d: \"%s\"", err, wg_message());
    }
    free(text);
    arena_fini(&arena);
    return 0;
}
