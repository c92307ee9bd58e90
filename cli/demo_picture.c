#include "cli/demo.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <string.h>

enum { GAP = 2, SIDE_MIN = 10, GREYS = 24, GREY_FIRST = 232, CONTRAST = 100 };

/* Mean over the part of the image that pixel (x, y) of side x side covers, exact at its edges. */
static float covered(const float *pixels, double left, double top, double size)
{
    double sum = 0;
    for (int y = (int)top; y < DEMO_SIDE && y < top + size; y++)
        for (int x = (int)left; x < DEMO_SIDE && x < left + size; x++) {
            double right = left + size < x + 1 ? left + size : x + 1;
            double bottom = top + size < y + 1 ? top + size : y + 1;
            double width = right - (left > x ? left : x), height = bottom - (top > y ? top : y);
            sum += width * height * (double)pixels[y * DEMO_SIDE + x];
        }
    return (float)(sum / (size * size));
}

static void scale(const float *pixels, int side, float *out)
{
    double size = (double)DEMO_SIDE / side;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            out[y * side + x] = covered(pixels, x * size, y * size, size);
}

static int grey(float pixel)
{
    int level = (int)(pixel * (float)GREYS / 256);
    return GREY_FIRST + (level < 0 ? 0 : level < GREYS ? level : GREYS - 1);
}

static void print_coloured(float upper, float lower)
{
    if (terminal_utf8())
        output_print("\033[38;5;%dm\033[48;5;%dm▀", grey(upper), grey(lower));
    else
        output_print("\033[48;5;%dm ", grey((upper + lower) / 2));
}

static void print_plain(float upper, float lower)
{
    static const char *const shades[] = { " ", "░", "▒", "▓", "█" };
    static const char ramp[] = " .:-=+*#%@";
    float mean = (upper + lower) / 2;
    if (!terminal_utf8())
        output_print("%c", ramp[(int)(mean * 9.99f / 255)]);
    else if (upper - lower > (float)CONTRAST)
        output_print("▀");
    else if (lower - upper > (float)CONTRAST)
        output_print("▄");
    else
        output_print("%s", shades[(int)(mean * 4.99f / 255)]);
}

/* Two rows of pixels are one line of text. */
static void print_line(const float *pixels, int side, int line)
{
    bool coloured = terminal_colours(stdout);
    const float *upper = pixels + 2 * line * side, *lower = upper + side;
    for (int x = 0; x < side; x++) (coloured ? print_coloured : print_plain)(upper[x], lower[x]);
    output_print("%s", output_style(STYLE_PLAIN));
}

static void print_gap(bool last)
{
    if (last)
        output_print("\n");
    else
        output_print("%*s", GAP, "");
}

static void print_text(const char *text, enum output_style style, int width, bool last)
{
    int blanks = width - (int)text_width(text);
    output_print("%s%s%s%*s", output_style(style), text, output_style(STYLE_PLAIN),
                 last || blanks < 0 ? 0 : blanks, "");
    print_gap(last);
}

static int side_for(size_t count)
{
    int columns = (int)terminal_columns(stdout), all = (int)count;
    int side = (columns - GAP * (all - 1)) / all / 2 * 2;
    return side > DEMO_SIDE ? DEMO_SIDE : side < SIDE_MIN ? SIDE_MIN : side;
}

void demo_pictures_print(const struct demo_picture *pictures, size_t count)
{
    int side = side_for(count);
    float scaled[DEMO_SIDE * DEMO_SIDE];
    for (int line = 0; line < side / 2; line++)
        for (size_t i = 0; i < count; i++) {
            scale(pictures[i].pixels, side, scaled);
            print_line(scaled, side, line);
            print_gap(i + 1 == count);
        }
    for (size_t i = 0; i < count; i++)
        print_text(pictures[i].title, pictures[i].style, side, i + 1 == count);
    for (size_t i = 0; i < count; i++)
        print_text(pictures[i].subtitle, STYLE_FAINT, side, i + 1 == count);
}
