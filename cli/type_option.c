#include "cli/type_option.h"

wg_err type_option_parse(const char *text, void *target)
{
    wg_type type;
    wg_err err = wg_type_parse(text, &type);
    if (err != WG_OK) return fail_library(err);
    *(int *)target = (int)type;
    return WG_OK;
}
