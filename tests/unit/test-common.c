/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "file.h"
#include "hex.h"
#include "ini.h"
#include "json.h"
#include "options.h"
#include "sha256.h"
#include "strv.h"
#include "test.h"
#include "uuid.h"

#include <fcntl.h>
#include <sys/stat.h>

TEST(buffer_refuses_to_grow_past_its_cap)
{
        _cleanup_buffer_ Buffer buffer = BUFFER_WITH_CAP(100);

        CHECK_OK(buffer_append_zeros(&buffer, 100));
        CHECK_EQ(buffer_append_byte(&buffer, 1), -E2BIG);
        CHECK_EQ(buffer.size, 100);
        CHECK_EQ(buffer.data[100], 0);
        CHECK_EQ(buffer_reserve(&buffer, SIZE_MAX), -E2BIG);
}

TEST(first_error_stays_and_context_goes_in_front)
{
        Error error = { 0 };

        CHECK_EQ(error_set(&error, ERROR_IO, EIO, "a\nb"), -EIO);
        CHECK_EQ(error_set(&error, ERROR_FAILED, EPERM, "later"), -EPERM);
        CHECK_EQ(error_prefix(&error, -EIO, "slot %d", 1), -EIO);
        CHECK_STR(error.message, "slot 1: a?b");
        CHECK_EQ(error.code, ERROR_IO);
        CHECK_EQ(error_code_from_name(error_code_name(ERROR_NO_SPACE)), ERROR_NO_SPACE);
}

TEST(a_write_without_room_is_no_failure_of_the_disk)
{
        static const int full[] = { ENOSPC, EDQUOT };

        for (size_t i = 0; i < ELEMENTS(full); i++) {
                Error error = { 0 }, other = { 0 };

                CHECK_EQ(error_set(&error, ERROR_IO, full[i], "cannot write"), -full[i]);
                CHECK_EQ(error.code, ERROR_NO_SPACE);
                CHECK_EQ(error_set(&other, ERROR_MISSING_TOOL, full[i], "cannot have"), -full[i]);
                CHECK_EQ(other.code, ERROR_MISSING_TOOL);
        }
}

TEST(hex_takes_exactly_the_bytes_asked_for)
{
        uint8_t raw[2];
        char text[5];

        CHECK_OK(hex_decode("0aFf", raw, 2));
        hex_encode(raw, 2, text);
        CHECK_STR(text, "0aff");
        CHECK_EQ(hex_decode("0aF", raw, 2), -EINVAL);
        CHECK_EQ(hex_decode("0aFg", raw, 2), -EINVAL);
        CHECK_EQ(hex_decode("0aFf00", raw, 2), -EINVAL);
}

TEST(uuids_go_there_and_back)
{
        static const char text[] = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        uint8_t uuid[UUID_SIZE] = { 0 }, other[UUID_SIZE];
        char back[UUID_TEXT_SIZE];

        CHECK(uuid_is_nil(uuid));
        CHECK_OK(uuid_parse(text, uuid));
        CHECK_STR(uuid_format(uuid, back), text);
        CHECK_EQ(uuid_parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93", other), -EINVAL);
        CHECK_EQ(uuid_parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b0", other), -EINVAL);
        CHECK_EQ(uuid_parse("c12a7328-f81f-11d2-ba4b+00a0c93ec93b", other), -EINVAL);
        CHECK_EQ(uuid_parse("c12a7328f-81f-11d2-ba4b-00a0c93ec93b", other), -EINVAL);
        CHECK_EQ(uuid_parse("g12a7328-f81f-11d2-ba4b-00a0c93ec93b", other), -EINVAL);
        CHECK_OK(uuid_random(uuid));
        CHECK_OK(uuid_random(other));
        CHECK(memcmp(uuid, other, UUID_SIZE) != 0);
        CHECK_EQ(uuid_format(uuid, back)[14], '4');
}

TEST(sha256_of_the_standard_vector)
{
        char text[SHA256_HEX_SIZE];

        sha256_hex_of("abc", 3, text);
        CHECK_STR(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(sizes_parse_and_overflow_is_an_error)
{
        uint64_t bytes;

        CHECK_OK(size_parse("2G", &bytes));
        CHECK_EQ(bytes, 2 * GIB);
        CHECK_EQ(size_parse("99999999T", &bytes), -ERANGE);
        CHECK_EQ(size_parse("99999999999999999999", &bytes), -ERANGE);
        CHECK_EQ(size_parse("-1", &bytes), -EINVAL);
        CHECK_EQ(size_parse("1Gi", &bytes), -EINVAL);
}

typedef struct Sample {
        char *name;
        bool flag;
        uint64_t seconds, size;
        char **words;
} Sample;

static const IniKey sample_keys[] = {
        { "Image", "Name", ini_set_string, offsetof(Sample, name) },
        { "Image", "Flag", ini_set_bool, offsetof(Sample, flag) },
        { "Image", "Every", ini_set_seconds, offsetof(Sample, seconds) },
        { "Image", "Size", ini_set_size, offsetof(Sample, size) },
        { "Content", "Packages", ini_set_words, offsetof(Sample, words) },
        { NULL },
};

static int parse_sample(const char *text, Sample *sample, Error *error)
{
        return ini_parse("x.conf", text, strlen(text), sample_keys, sample, error);
}

static void sample_done(Sample *sample)
{
        free(sample->name);
        strv_free(sample->words);
}

TEST(ini_reads_sections_lists_and_joined_lines)
{
        _cleanup_(sample_done) Sample sample = { 0 };

        CHECK_OK(parse_sample("# c\n[Image]\nName = a b \nFlag=yes\nEvery=1h 30min\nSize=4K\n"
                              "[Content]\nPackages=x\nPackages=\nPackages=a \\\n b\n",
                        &sample, NULL));
        CHECK_STR(sample.name, "a b");
        CHECK_EQ(sample.flag, true);
        CHECK_EQ(sample.seconds, 5400);
        CHECK_EQ(sample.size, 4096);
        CHECK_EQ(strv_length(sample.words), 2);
        CHECK_STR(sample.words[1], "b");
}

TEST(ini_names_line_and_nearest_key)
{
        _cleanup_(sample_done) Sample sample = { 0 };
        Error error = { 0 };

        CHECK_EQ(parse_sample("[Content]\n\nPackage=x\n", &sample, &error), -EINVAL);
        CHECK_STR(error.message, "x.conf:3: unknown key \"Package\", did you mean \"Packages\"?");
        CHECK_EQ(error.code, ERROR_CONFIG);
        error_clear(&error);
        CHECK_EQ(parse_sample("Name=x\n", &sample, &error), -EINVAL);
        CHECK(strstr(error.message, "before the first [Section]"));
        error_clear(&error);
        CHECK_EQ(parse_sample("[Image]\nEvery=soon\n", &sample, &error), -EINVAL);
        CHECK(strstr(error.message, "x.conf:2: Every=: \"soon\" is not a time span"));
}

TEST(json_refuses_duplicates_nul_and_length)
{
        json_t *json = NULL;
        const char *text = NULL;
        Error error = { 0 };

        CHECK(json_parse("{\"a\":1,\"a\":2}", 13, 100, "it", &json, &error) < 0);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK_EQ(json_parse("{}", 2, 1, "it", &json, NULL), -E2BIG);
        CHECK_OK(json_parse("{\"a\":\"x\\u0000y\"}", 16, 100, "it", &json, NULL));
        CHECK(json_get_string(json, "a", &text, NULL) < 0);
        json_decref(json);
}

static int take(int argc, const char *const *words, Error *error)
{
        const Option none[] = { { 0 } };
        const Usage usage = { "program", "verb FILE [OTHER]", "Does.", 1, 2 };
        char *argv[8] = { 0 }, **arguments;

        for (int i = 0; i < argc; i++)
                argv[i] = (char *)words[i];
        return options_take(argc, argv, none, &usage, &arguments, error);
}

TEST(too_few_and_too_many_arguments_are_a_mistake)
{
        const char *const words[] = { "verb", "one", "two", "three" };
        Error error = { 0 };

        CHECK_EQ(take(1, words, &error), -EINVAL);
        CHECK_STR(error.message, "an argument is missing; usage: program verb FILE [OTHER]");
        CHECK_EQ(take(2, words, NULL), 0);
        CHECK_EQ(take(3, words, NULL), 0);
        CHECK_EQ(take(4, words, NULL), -EINVAL);
}

TEST(options_mix_with_arguments)
{
        char *argv[] = { (char *)"verb", (char *)"one", (char *)"--size=2K", (char *)"-o", (char *)"out",
                (char *)"--", (char *)"--two", NULL };
        const char *out = NULL;
        uint64_t size = 0;
        const Option options[] = {
                { "output", 'o', OPTION_STRING, &out, "DIR", "" },
                { "size", 0, OPTION_SIZE, &size, "BYTES", "" },
                { NULL },
        };
        char **arguments;
        int count;
        bool help;

        CHECK_OK(options_parse(7, argv, options, &arguments, &count, &help, NULL));
        CHECK_EQ(count, 2);
        CHECK_STR(arguments[1], "--two");
        CHECK_STR(out, "out");
        CHECK_EQ(size, 2048);
}

TEST(file_replace_leaves_no_temporary_file)
{
        char folder[] = "/tmp/test-common-XXXXXX";
        _cleanup_free_ char *text = NULL;
        _cleanup_fd_ int fd = -1;
        struct stat status;
        size_t size;

        CHECK(mkdtemp(folder));
        fd = open(folder, O_RDONLY | O_DIRECTORY);
        CHECK_OK(directory_make(fd, "a/b/c", 0755));
        CHECK_OK(file_replace(fd, "a/b/f", "old", 3, 0600));
        CHECK_OK(file_replace(fd, "a/b/f", "newer", 5, 0640));
        CHECK_OK(file_read(fd, "a/b/f", 5, &text, &size));
        CHECK_STR(text, "newer");
        CHECK_EQ(file_read(fd, "a/b/f", 4, &text, &size), -E2BIG);
        CHECK_OK(fstatat(fd, "a/b/f", &status, 0));
        CHECK_EQ(status.st_mode & 07777, 0640);
        CHECK_EQ(fstatat(fd, "a/b/f.new", &status, 0), -1);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
        CHECK_EQ(stat(folder, &status), -1);
}

TEST(ini_takes_what_a_table_leaves_open)
{
        typedef struct {
                char *value;
        } Values;
        static const IniKey keys[] = { { "A", "Known", ini_set_string, offsetof(Values, value) },
                { "A", "*", ini_ignore, 0 }, { 0 } };
        static const IniKey all[] = { { "A", "Known", ini_set_string, offsetof(Values, value) },
                { "*", "*", ini_ignore, 0 }, { 0 } };
        static const char text[] = "[A]\nOther=1\nKnown=2\n", other[] = "[B]\nKnown=3\n";
        Values values = { 0 };

        CHECK_OK(ini_parse("x", text, strlen(text), keys, &values, NULL));
        CHECK_STR(values.value, "2");
        CHECK_EQ(ini_parse("x", other, strlen(other), keys, &values, NULL), -EINVAL);
        CHECK_OK(ini_parse("x", other, strlen(other), all, &values, NULL));
        CHECK_STR(values.value, "2");
        free(values.value);
}

TEST_MAIN
