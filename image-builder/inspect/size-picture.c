/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "size-report.h"

#include <string.h>

/* Squarified treemaps (Bruls, Huizing, van Wijk): rows are laid along the shorter side of what is left, and
 * each takes in one more area as long as that makes its areas squarer. All in whole numbers of a tenth of a
 * pixel, so that the picture does not depend on a processor's floating point. */

#define WIDTH 12000
#define HEIGHT 8000
#define TITLE_HEIGHT 400
#define TEXT_WIDTH_MIN 600
#define TEXT_HEIGHT_MIN 160
#define LETTER_WIDTH 70

typedef struct Area {
        uint64_t x, y, width, height;
} Area;

typedef struct Picture {
        const SizeReport *report;
        Buffer *out;
        Area left;           /* not filled yet */
        uint64_t left_bytes; /* to be shown there */
        int r;
} Picture;

static void put_text(Picture *picture, const char *text, size_t length_max)
{
        for (size_t i = 0; picture->r >= 0 && text[i] && i < length_max; i++)
                switch (text[i]) {
                case '<':
                        picture->r = buffer_append_string(picture->out, "&lt;");
                        break;
                case '&':
                        picture->r = buffer_append_string(picture->out, "&amp;");
                        break;
                default:
                        picture->r = buffer_append_byte(picture->out, (uint8_t)text[i]);
                }
}

/* The same package has the same colour in every picture. */
static unsigned hue_of(const char *name)
{
        unsigned hue = 5381;

        for (; *name; name++)
                hue = hue * 33 + (unsigned char)*name;
        return hue % 360;
}

static void put_area(Picture *picture, const SizeRow *row, const Area *area)
{
        char size[SIZE_TEXT_MAX];

        if (picture->r < 0 || area->width == 0 || area->height == 0)
                return;
        (void)size_format(row->size_bytes, size);
        picture->r = buffer_printf(picture->out,
                        "<g><rect x=\"%llu\" y=\"%llu\" width=\"%llu\" height=\"%llu\" "
                        "fill=\"hsl(%u,45%%,75%%)\"/><title>",
                        (unsigned long long)area->x, (unsigned long long)area->y,
                        (unsigned long long)area->width, (unsigned long long)area->height,
                        hue_of(row->name));
        put_text(picture, row->name, SIZE_MAX);
        if (picture->r >= 0)
                picture->r = buffer_printf(picture->out, " %s, %zu files</title>", size, row->files);
        if (picture->r >= 0 && area->width >= TEXT_WIDTH_MIN && area->height >= TEXT_HEIGHT_MIN) {
                picture->r = buffer_printf(picture->out, "<text x=\"%llu\" y=\"%llu\">",
                                (unsigned long long)area->x + 40, (unsigned long long)area->y + 130);
                put_text(picture, row->name, (size_t)(area->width - 80) / LETTER_WIDTH);
                if (picture->r >= 0)
                        picture->r = buffer_append_string(picture->out, "</text>");
        }
        if (picture->r >= 0)
                picture->r = buffer_append_string(picture->out, "</g>\n");
}

/* a * b / c without overflow for what occurs here: sizes up to 2^36, lengths up to 2^14. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
        return c == 0 ? 0 : a * b / c;
}

/* How far the worst area of a row is from a square, in hundredths: 100 is a square. */
static uint64_t worst(const Picture *picture, size_t first, size_t end, uint64_t sum)
{
        bool is_wide = picture->left.width >= picture->left.height;
        uint64_t side = is_wide ? picture->left.height : picture->left.width;
        uint64_t depth = MAX_OF(scale(is_wide ? picture->left.width : picture->left.height, sum,
                                                picture->left_bytes),
                        (uint64_t)1);
        uint64_t ret = 100;

        for (size_t i = first; i < end; i++) {
                uint64_t length = MAX_OF(
                                scale(side, picture->report->packages[i].size_bytes, sum), (uint64_t)1);

                ret = MAX_OF(ret, MAX_OF(length * 100 / depth, depth * 100 / length));
        }
        return ret;
}

static void put_row(Picture *picture, size_t first, size_t end, uint64_t sum)
{
        Area *left = &picture->left;
        bool is_wide = left->width >= left->height;
        uint64_t side = is_wide ? left->height : left->width, done_bytes = 0;
        uint64_t depth = scale(is_wide ? left->width : left->height, sum, picture->left_bytes);

        for (size_t i = first; i < end; i++) {
                const SizeRow *row = &picture->report->packages[i];
                uint64_t begin = scale(side, done_bytes, sum), stop;
                Area area;

                done_bytes += row->size_bytes;
                stop = scale(side, done_bytes, sum);
                area = is_wide ? (Area){ left->x, left->y + begin, depth, stop - begin }
                               : (Area){ left->x + begin, left->y, stop - begin, depth };
                put_area(picture, row, &area);
        }
        *left = is_wide ? (Area){ left->x + depth, left->y, left->width - depth, left->height }
                        : (Area){ left->x, left->y + depth, left->width, left->height - depth };
        picture->left_bytes -= sum;
}

static void put_areas(Picture *picture)
{
        const SizeReport *report = picture->report;

        for (size_t first = 0;
                        picture->r >= 0 && first < report->package_count && picture->left_bytes > 0;) {
                uint64_t sum = report->packages[first].size_bytes, present;
                size_t end = first + 1;

                if (sum == 0)
                        break;
                present = worst(picture, first, end, sum);
                while (end < report->package_count) {
                        uint64_t more = sum + report->packages[end].size_bytes;
                        uint64_t next = worst(picture, first, end + 1, more);

                        if (report->packages[end].size_bytes == 0 || next > present)
                                break;
                        present = next;
                        sum = more;
                        end++;
                }
                put_row(picture, first, end, sum);
                first = end;
        }
}

int size_report_svg(const SizeReport *report, const char *title, Buffer *ret)
{
        Picture picture = { .report = report,
                .out = ret,
                .left = { 0, TITLE_HEIGHT, WIDTH, HEIGHT },
                .left_bytes = report->content_bytes };
        char size[SIZE_TEXT_MAX];

        picture.r = buffer_printf(ret,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                        "font-family=\"sans-serif\" "
                        "font-size=\"120\" stroke=\"white\" stroke-width=\"10\">\n"
                        "<style>text{stroke:none}</style>\n<text x=\"40\" y=\"260\" font-size=\"220\">",
                        WIDTH, HEIGHT + TITLE_HEIGHT);
        put_text(&picture, title, SIZE_MAX);
        if (picture.r >= 0)
                picture.r = buffer_printf(ret, ": %s in %zu files</text>\n",
                                size_format(report->content_bytes, size), report->file_count);
        put_areas(&picture);
        return picture.r < 0 ? picture.r : buffer_append_string(ret, "</svg>\n");
}
