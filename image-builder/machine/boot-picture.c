/* SPDX-License-Identifier: Apache-2.0 */
#include "boot-picture.h"

#include "xml-text.h"

#include <inttypes.h>

#define WIDTH 1000
#define MARGIN 20
#define BAR_Y 50
#define BAR_HEIGHT 40
#define ROW_HEIGHT 26
#define TICKS_MAX 12

static const char *colour_of(BootMark first)
{
        static const char *const colours[BOOT_MARK_MAX] = { "#9aa5b1", "#c9b458", "#d98b5f", "#b07aa1",
                "#6a9fd4", "#74b87a" };

        return colours[first];
}

/* Where a time stands on the bar. */
static int64_t place(int64_t ms, int64_t total_ms)
{
        return MARGIN + ms * (WIDTH - 2 * MARGIN) / total_ms;
}

/* The step of a scale: 1, 2 or 5 times a power of ten, in seconds. */
static int64_t tick_ms(int64_t total_ms)
{
        static const int64_t steps[] = { 1, 2, 5 };
        int64_t unit = 1000;

        for (size_t i = 0;; i++) {
                int64_t tick = steps[i % 3] * unit;

                if (total_ms / tick <= TICKS_MAX)
                        return tick;
                if (i % 3 == 2)
                        unit *= 10;
        }
}

static int put_scale(int64_t total_ms, size_t rows, Buffer *out)
{
        int64_t tick = tick_ms(total_ms);
        int r = 0;

        for (int64_t at = 0; r >= 0 && at <= total_ms; at += tick)
                r = buffer_printf(out,
                                "<path d=\"M%" PRId64 " %d v%zu\" stroke=\"#ddd\"/>"
                                "<text x=\"%" PRId64 "\" y=\"%d\" font-size=\"11\" fill=\"#666\">%" PRId64
                                " s</text>\n",
                                place(at, total_ms), BAR_Y - 4, BAR_HEIGHT + 8 + rows * ROW_HEIGHT,
                                place(at, total_ms) + 2, BAR_Y - 6, at / 1000);
        return r;
}

static int put_phase(const BootPhase *phase, size_t row, int64_t base_ms, int64_t total_ms, Buffer *out)
{
        int64_t x = place(phase->begin_ms - base_ms, total_ms);
        int64_t end = place(phase->end_ms - base_ms, total_ms), took = phase->end_ms - phase->begin_ms;
        size_t y = BAR_Y + BAR_HEIGHT + 10 + row * ROW_HEIGHT;

        return buffer_printf(out,
                        "<rect x=\"%" PRId64 "\" y=\"%d\" width=\"%" PRId64 "\" height=\"%d\" fill=\"%s\"/>"
                        "<rect x=\"%" PRId64 "\" y=\"%zu\" width=\"%" PRId64 "\" height=\"%d\" fill=\"%s\"/>"
                        "<text x=\"%" PRId64 "\" y=\"%zu\"%s>%s: %" PRId64 ".%03" PRId64 " s</text>\n",
                        x, BAR_Y, MAX_OF(end - x, (int64_t)1), BAR_HEIGHT, colour_of(phase->first), x, y,
                        MAX_OF(end - x, (int64_t)1), ROW_HEIGHT - 8, colour_of(phase->first),
                        x < WIDTH / 2 ? x + 4 : end - 4, y + 14, x < WIDTH / 2 ? "" : " text-anchor=\"end\"",
                        phase->name, took / 1000, took % 1000);
}

int boot_picture(const BootTimes *times, const char *title, Buffer *ret)
{
        BootPhase phases[BOOT_MARK_MAX];
        size_t count = boot_phases(times, phases);
        int64_t base = count > 0 ? phases[0].begin_ms : 0;
        int64_t total = count > 0 ? MAX_OF(phases[count - 1].end_ms - base, (int64_t)1) : 1;
        int r = buffer_printf(ret,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" "
                        "font-family=\"sans-serif\" font-size=\"13\">\n"
                        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                        "<text x=\"%d\" y=\"24\" font-size=\"17\">",
                        WIDTH, BAR_Y + BAR_HEIGHT + 20 + count * ROW_HEIGHT, MARGIN);

        if (r >= 0)
                r = xml_append_string(ret, title);
        if (r >= 0 && count == 0)
                r = buffer_append_string(ret, ": it did not start</text>\n");
        else if (r >= 0)
                r = buffer_printf(ret, ": %" PRId64 ".%03" PRId64 " s</text>\n", total / 1000, total % 1000);
        if (r >= 0 && count > 0)
                r = put_scale(total, count, ret);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = put_phase(&phases[i], i, base, total, ret);
        return r < 0 ? r : buffer_append_string(ret, "</svg>\n");
}
