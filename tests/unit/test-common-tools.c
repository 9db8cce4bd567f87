/* SPDX-License-Identifier: Apache-2.0 */
#include "byte-reader.h"
#include "file.h"
#include "json-text.h"
#include "ordered-work.h"
#include "output-file.h"
#include "sort.h"
#include "test.h"

#include <fcntl.h>
#include <stdatomic.h>

TEST(varints_have_one_spelling)
{
        static const uint64_t numbers[] = { 0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
        static const struct {
                size_t size;
                uint8_t bytes[11];
        } bad[] = {
                { 0, { 0 } },
                { 1, { 0x80 } },
                { 2, { 0x80, 0 } },
                { 2, { 0xff, 0 } },
                { 10, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 } },
                { 11, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0 } },
        };
        uint64_t value = 77;

        for (size_t i = 0; i < ELEMENTS(numbers); i++) {
                _cleanup_buffer_ Buffer buffer = BUFFER_WITH_CAP(20);
                ByteReader reader;

                CHECK_OK(buffer_append_varint(&buffer, numbers[i]));
                reader = BYTE_READER(buffer.data, buffer.size);
                CHECK_OK(reader_varint(&reader, &value));
                CHECK(value == numbers[i] && reader_left(&reader) == 0);
        }
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                ByteReader reader = BYTE_READER(bad[i].bytes, bad[i].size);

                value = 77;
                CHECK_EQ(reader_varint(&reader, &value), -EBADMSG);
                CHECK_EQ(value, 77);
        }
}

TEST(signed_varints_fold_the_sign)
{
        static const int64_t numbers[] = { 0, -1, 1, -2, 63, -64, INT64_MAX, INT64_MIN };

        for (size_t i = 0; i < ELEMENTS(numbers); i++) {
                _cleanup_buffer_ Buffer buffer = BUFFER_WITH_CAP(20);
                ByteReader reader;
                int64_t value;

                CHECK_OK(buffer_append_signed_varint(&buffer, numbers[i]));
                reader = BYTE_READER(buffer.data, buffer.size);
                CHECK_OK(reader_signed_varint(&reader, &value));
                CHECK_EQ(value, numbers[i]);
                CHECK(i >= 6 || buffer.size == 1);
        }
}

typedef struct Squares {
        uint64_t slots[2 * ORDERED_WORK_THREADS_MAX];
        size_t window, fail_at, consumed;
        atomic_uint produced;
        uint64_t sum;
} Squares;

static int square(void *data, size_t item, unsigned thread, Error *error)
{
        Squares *squares = data;

        squares->slots[item % squares->window] = item * item;
        (void)atomic_fetch_add(&squares->produced, 1);
        return item == squares->fail_at ? error_set(error, ERROR_FAILED, EIO, "item %zu", item) : 0;
}

static int add_up(void *data, size_t item, Error *error)
{
        Squares *squares = data;

        if (squares->consumed++ != item || squares->slots[item % squares->window] != item * item)
                return error_set(error, ERROR_FAILED, EINVAL, "out of order at %zu", item);
        squares->sum += item * item;
        return 0;
}

TEST(ordered_work_is_consumed_in_order_by_any_number_of_threads)
{
        for (unsigned threads = 1; threads < 20; threads += 6) {
                Squares squares = { .window = ordered_work_window(threads), .fail_at = SIZE_MAX };
                const OrderedWork work = { 1000, square, add_up, &squares };

                CHECK_OK(ordered_work_run(&work, threads, NULL));
                CHECK_EQ(squares.sum, 332833500);
        }
}

TEST(ordered_work_stops_at_the_first_failure_in_order)
{
        Squares squares = { .window = ordered_work_window(4), .fail_at = 50 };
        const OrderedWork work = { 1000, square, add_up, &squares };
        Error error = { 0 };

        CHECK_EQ(ordered_work_run(&work, 4, &error), -EIO);
        CHECK_STR(error.message, "item 50");
        CHECK_EQ(squares.consumed, 50);
        CHECK(squares.produced < 100);
}

TEST(output_files_appear_whole_or_not_at_all)
{
        char folder[] = "/tmp/test-output-XXXXXX";
        _cleanup_free_ char *path = NULL, *text = NULL;
        OutputFile file = OUTPUT_FILE_CLOSED;
        size_t size;

        CHECK(mkdtemp(folder));
        path = path_join(folder, "out");
        CHECK_OK(file_replace(AT_FDCWD, path, "old", 3, 0600));
        CHECK_OK(output_file_open(path, 0644, &file, NULL));
        CHECK_OK(pwrite_full(file.fd, "new!", 4, 0));
        output_file_done(&file);
        CHECK_OK(file_read(AT_FDCWD, path, 100, &text, &size));
        CHECK_STR(text, "old");
        free(TAKE_PTR(text));
        CHECK_OK(output_file_open(path, 0644, &file, NULL));
        CHECK_OK(pwrite_full(file.fd, "new!", 4, 0));
        CHECK_OK(output_file_commit(&file, NULL));
        output_file_done(&file);
        CHECK_OK(file_read(AT_FDCWD, path, 100, &text, &size));
        CHECK_STR(text, "new!");
        /* No temporary file is left: the folder can be removed once the file is. */
        CHECK_EQ(unlink(path), 0);
        CHECK_EQ(rmdir(folder), 0);
        CHECK_EQ(output_file_open(path, 0644, &file, NULL), -ENOENT);
}

TEST(json_in_words)
{
        static const char wanted[] = "kind         a b?\n"
                                     "target size  3.0 MiB (3145728 bytes)\n"
                                     "empty        -\n"
                                     "part:\n"
                                     "  yes  no\n"
                                     "rows:\n"
                                     "  name  size\n"
                                     "  a     4.0 KiB\n";
        json_t *json = json_pack("{s:s, s:i, s:s, s:{s:b}, s:[{s:s, s:i}]}", "kind", "a b\n", "target-size",
                        3145728, "empty", "", "part", "yes", 0, "rows", "name", "a", "size", 4096);
        char *text;
        size_t size;
        FILE *output = open_memstream(&text, &size);

        json_print_text(output, json);
        (void)fclose(output);
        json_decref(json);
        CHECK_STR(text, wanted);
        free(text);
}

static int compare_words(const void *a, const void *b)
{
        const uint32_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

TEST(sorting_in_place)
{
        static uint32_t words[5000], sorted[ELEMENTS(words)];

        for (size_t count = 0; count <= ELEMENTS(words); count = count * 3 + 1) {
                uint32_t state = 1;

                for (size_t i = 0; i < count; i++) {
                        state = state * 1664525 + 1013904223;
                        words[i] = sorted[i] = (state >> 16) % 1000; /* some are equal */
                }
                sort_in_place(words, count, sizeof(words[0]), compare_words);
                qsort(sorted, count, sizeof(sorted[0]), compare_words);
                CHECK_MEM(words, sorted, count * sizeof(words[0]));
                sort_in_place(words, count, sizeof(words[0]), compare_words);
                CHECK_MEM(words, sorted, count * sizeof(words[0]));
        }
}

TEST_MAIN
