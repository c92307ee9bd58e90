#define _DEFAULT_SOURCE /* struct winsize */
#include "cli/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 100 };

static bool utf8;

void terminal_init(void)
{
    setlocale(LC_CTYPE, ""); /* numbers keep their points */
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool terminal_is(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

bool terminal_utf8(void)
{
    return utf8;
}

bool terminal_colours(FILE *stream)
{
    const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (refused && refused[0]) return false;
    return terminal_is(stream) && terminal && strcmp(terminal, "dumb") != 0;
}

size_t terminal_columns(FILE *stream)
{
    struct winsize size;
    if (!terminal_is(stream) || ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}
