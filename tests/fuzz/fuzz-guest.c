/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine under test shows. The first byte chooses: its console, what it says of its times, its ESP
 * (a good one, changed by records of u8 region, u16 offset, u8 length, bytes), and its requests for files.
 */

#include "fuzz.h"

#include "../unit/fat-image.h"
#include "boot-picture.h"
#include "boot-watch.h"
#include "esp-image.h"
#include "http-serve.h"
#include "junit.h"

#include <fcntl.h>

static void draw(const BootTimes *times)
{
        BootPhase phases[BOOT_MARK_MAX];
        size_t count = boot_phases(times, phases);
        Buffer out = BUFFER_WITH_CAP(MIB);

        for (size_t i = 0; i < count; i++)
                MUST(phases[i].begin_ms <= phases[i].end_ms &&
                                (i == 0 || phases[i - 1].end_ms == phases[i].begin_ms));
        MUST(boot_picture(times, "x", &out) == 0);
        buffer_done(&out);
}

static void show_console(const char *data, size_t size)
{
        Buffer out = BUFFER_WITH_CAP(JUNIT_MAX);
        JunitReport report = { 0 };
        BootWatch watch;

        boot_watch_begin(&watch);
        for (size_t i = 0; i < size; i += 7)
                boot_watch_feed(&watch, data + i, MIN_OF(size - i, (size_t)7), (int64_t)i * 100);
        draw(&watch.times);
        for (const char *at = watch.complaint; *at; at++)
                MUST(*at >= ' ' && *at < 0x7f);
        MUST(junit_add(&report, &(JunitCase){ .group = "g",
                                                .name = "n",
                                                .outcome = JUNIT_FAILED,
                                                .message = watch.complaint,
                                                .output = data,
                                                .output_size = size }) == 0);
        MUST(junit_write(&report, "s", &out) == 0);
        /* The only markup is ours. */
        size_t opened = 0;
        for (size_t i = 0; i < out.size; i++) {
                MUST(out.data[i] >= ' ' || out.data[i] == '\n' || out.data[i] == '\t');
                opened += out.data[i] == '<' ? 1 : 0;
        }
        MUST(opened == 9);
        buffer_done(&out);
        junit_done(&report);
}

static void tell_times(const char *text)
{
        BootWatch watch;

        boot_watch_begin(&watch);
        boot_times_merge(&watch.times, text);
        draw(&watch.times);
}

static void show_esp(const uint8_t *data, size_t size)
{
        static const uint8_t uki[1024] = { 'M', 'Z', [0x3c] = 64, [64] = 'P', 'E', 0, 0, 0, 0, 1, [88] = '.',
                'l', 'i', 'n', 'u', 'x', 0, 0, 0, 2, [105] = 2, [109] = 2 };
        int fd = image_make_esp(), kernel = memfd_create("kernel", MFD_CLOEXEC), count;
        const EspImage esp = { .fd = fd };
        BootEntry entries[4];

        image_chain(fd, 200, 2);
        image_add(fd, 3, "host_2+3.efi", 0, 200, sizeof(uki));
        (void)pwrite_full(fd, uki, sizeof(uki), image_cluster_at(200));
        for (; size >= 4; size -= 4 + data[3], data += 4 + data[3]) {
                static const uint64_t regions[] = { 0, IMAGE_TABLE_AT, IMAGE_ROOT_AT, IMAGE_DATA_AT };
                uint64_t at = (data[0] % 5 < 4 ? regions[data[0] % 5] : image_cluster_at(200)) +
                              read_le16(data + 1);

                if ((size_t)data[3] + 4 > size)
                        break;
                if (at + data[3] <= IMAGE_SIZE)
                        (void)pwrite_full(fd, data + 4, data[3], at);
        }
        count = esp_image_list(&esp, entries, ELEMENTS(entries));
        MUST(count <= (int)ELEMENTS(entries));
        for (int i = 0; i < count; i++)
                (void)esp_image_copy_kernel(&esp, &entries[i], kernel);
        (void)fd_close(kernel);
        (void)fd_close(fd);
}

static void ask(const uint8_t *data, size_t size)
{
        int input = memfd_create("requests", MFD_CLOEXEC), output = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        MUST(pwrite_full(input, data, size, 0) == 0);
        (void)http_serve(folder, input, output);
        (void)fd_close(folder);
        (void)fd_close(output);
        (void)fd_close(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        char *text = strndup((const char *)data + 1, size - 1);
        MUST(text);
        switch (data[0] % 4) {
        case 0:
                show_console((const char *)data + 1, size - 1);
                break;
        case 1:
                tell_times(text);
                break;
        case 2:
                show_esp(data + 1, size - 1);
                break;
        default:
                ask(data + 1, size - 1);
        }
        free(text);
        return 0;
}
