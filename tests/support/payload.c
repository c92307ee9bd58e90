#include "support/payload.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies without the white space that is outside strings; false: no room. */
static bool squeeze(const char *text, char *out, size_t room)
{
    bool in_string = false;
    for (; *text; text++) {
        if (!in_string && is_space(*text)) continue;
        if (room < 3) return false;
        *out++ = *text, room--;
        if (in_string && *text == '\\' && text[1])
            *out++ = *++text, room--;
        else if (*text == '"')
            in_string = !in_string;
    }
    *out = 0;
    return true;
}

/* The end of the member that begins here: its comma, or the object's closing brace. */
static char *member_end(char *at)
{
    bool in_string = false;
    for (int depth = 0; *at; at++) {
        if (in_string) {
            if (*at == '\\' && at[1])
                at++;
            else if (*at == '"')
                in_string = false;
            continue;
        }
        if (*at == '"') in_string = true;
        if (depth == 0 && (*at == ',' || *at == '}')) break;
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']') depth--;
    }
    return at;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool payload_canonical(const char *text, char *canonical, size_t room)
{
    size_t size = strlen(text) + 3, count = 0;
    char *copy = malloc(size), *members[KEYS_MAX], *at = copy;
    bool fine = copy && squeeze(text, copy, size) && *at++ == '{';
    while (fine && *at && *at != '}') {
        char *end = member_end(at);
        bool last = *end == '}';
        fine = count < KEYS_MAX && *end;
        if (!fine) break;
        members[count++] = at;
        *end = 0;
        at = last ? end : end + 1;
        if (last) break;
    }
    fine = fine && strlen(text) + 3 <= room;
    if (fine) {
        qsort(members, count, sizeof *members, by_text);
        strcpy(canonical, "{");
        for (size_t i = 0; i < count; i++) strcat(strcat(canonical, i > 0 ? "," : ""), members[i]);
        strcat(canonical, "}");
    }
    free(copy);
    return fine;
}
