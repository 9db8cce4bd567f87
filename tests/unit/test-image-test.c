/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "boot-picture.h"
#include "boot-watch.h"
#include "file.h"
#include "junit.h"
#include "vm.h"
#include "xml-text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- text ---- */

static const char *escaped(const void *text, size_t size)
{
        static Buffer buffer;

        buffer_done(&buffer);
        buffer = BUFFER_WITH_CAP(4096);
        if (xml_append(&buffer, text, size) < 0)
                abort();
        return buffer.data ? (const char *)buffer.data : "";
}

#define ESCAPED(literal) escaped(literal, sizeof(literal) - 1)

TEST(markup_is_escaped)
{
        CHECK_STR(ESCAPED("a<b>&\"]]>"), "a&lt;b&gt;&amp;&quot;]]&gt;");
}

TEST(what_is_no_character_of_xml_is_replaced)
{
        CHECK_STR(ESCAPED("a\0b\x1b\x7f\tc\r\nd"), "a?b?\x7f\tc\nd");
        CHECK_STR(ESCAPED("\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x98\x80"),
                        "\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x98\x80");
        CHECK_STR(ESCAPED("\xff \xc3 \xc0\x80 \xe0\x80\x80 \xed\xa0\x80 \xf5\x80\x80\x80"),
                        "? ? ?? ??? ??? ????");
        CHECK_STR(ESCAPED("\xef\xbf\xbf"), "???");
        CHECK_STR(ESCAPED("cut \xe2\x80"), "cut ??");
}

TEST(colours_are_dropped)
{
        CHECK_STR(ESCAPED("[\x1b[0;32m  OK  \x1b[0m] \x1b[2J\x1b[=3hx"), "[  OK  ] x");
        CHECK_STR(ESCAPED("\x1b[12"), "?[12");
        CHECK_STR(ESCAPED("\x1b["), "?[");
}

/* ---- reports ---- */

TEST(a_report_holds_what_happened_and_nothing_breaks_out_of_it)
{
        static const char console[] = "</failure><testcase name=\"forged\"/>\x1b[0m\0]]>";
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(JUNIT_MAX);
        _cleanup_(junit_done) JunitReport report = { 0 };
        const char *text;

        CHECK_OK(junit_add(
                        &report, &(JunitCase){ .group = "image", .name = "boot", .milliseconds = 12034 }));
        CHECK_OK(junit_add(&report, &(JunitCase){ .group = "image",
                                                    .name = "check \"x\" <y>",
                                                    .outcome = JUNIT_FAILED,
                                                    .milliseconds = 1,
                                                    .message = "ended with \"1\" & more",
                                                    .output = console,
                                                    .output_size = sizeof(console) - 1 }));
        CHECK_OK(junit_add(&report, &(JunitCase){ .group = "update",
                                                    .name = "rollback",
                                                    .outcome = JUNIT_SKIPPED,
                                                    .message = "needs a key" }));
        CHECK_OK(junit_add(&report, &(JunitCase){ .group = "update",
                                                    .name = "set-up",
                                                    .outcome = JUNIT_ERROR,
                                                    .message = "no" }));
        CHECK_EQ(junit_count(&report, JUNIT_FAILED), 1);
        CHECK_OK(junit_write(&report, "s<uite", &out));
        text = (const char *)out.data;
        CHECK(strstr(text, "<testsuite name=\"s&lt;uite\" tests=\"4\" failures=\"1\" errors=\"1\" "
                           "skipped=\"1\" "
                           "time=\"12.035\">"));
        CHECK(strstr(text, "<testcase classname=\"image\" name=\"boot\" time=\"12.034\">\n    </testcase>"));
        CHECK(strstr(text, "name=\"check &quot;x&quot; &lt;y&gt;\" time=\"0.001\">\n      "
                           "<failure message=\"ended with &quot;1&quot; &amp; more\">"
                           "&lt;/failure&gt;&lt;testcase name=&quot;forged&quot;/&gt;?]]&gt;</failure>"));
        CHECK(strstr(text, "<skipped message=\"needs a key\"></skipped>"));
        CHECK(strstr(text, "<error message=\"no\"></error>"));
        CHECK_EQ(strlen(text), out.size);
}

/* Every byte of it grows sixfold. */
TEST(a_report_of_noisy_steps_fits)
{
        static char noise[64 * 1024];

        memset(noise, '"', sizeof(noise));
        memcpy(noise, "first", 5);
        memcpy(noise + sizeof(noise) - 4, "last", 4);
        for (size_t count = 60; count <= 300; count += 240) {
                _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(JUNIT_MAX);
                _cleanup_(junit_done) JunitReport report = { 0 };

                for (size_t i = 0; i < count; i++)
                        CHECK_OK(junit_add(&report, &(JunitCase){ .group = "image",
                                                                    .name = "check",
                                                                    .output = noise,
                                                                    .output_size = sizeof(noise) }));
                CHECK_OK(junit_write(&report, "suite", &out));
                CHECK(!strstr((const char *)out.data, "first"));
                CHECK(strstr((const char *)out.data, "<system-out>(only the end)\n&quot;"));
                CHECK(strstr((const char *)out.data, "&quot;last</system-out>"));
                CHECK(out.size > MIB);
        }
}

/* ---- the console ---- */

static void feed(BootWatch *watch, const char *text, int64_t now_ms)
{
        boot_watch_feed(watch, text, strlen(text), now_ms);
}

static void feed_start(BootWatch *watch, int64_t base)
{
        feed(watch,
                        "\033[2J\033[01;01HBdsDxe: loading Boot0002 \"x\"\r\nBdsDxe: starting Boot0002 "
                        "\"x\" from y\r\n",
                        base + 3000);
        feed(watch, "EFI stub: Loaded initrd from device path\r\n[    0.000000] Linux version 6.1.0\r\n",
                        base + 7500);
        feed(watch, "[    1.500000] something\r\n", base + 8000);
        feed(watch, "[    4.500000] Run /init as init process\r\n", base + 11100);
        feed(watch, "\r\nWelcome to \033[1mDebian GNU/Linux 12\033[0m!\r\n", base + 15000);
        feed(watch,
                        "[\033[0;32m  OK  \033[0m] Reached target \033[0;1;39mmulti-user.target\033[0m - "
                        "Multi-User System.\r\n",
                        base + 30000);
}

TEST(phases_are_read_off_the_console)
{
        BootPhase phases[BOOT_MARK_MAX];
        BootWatch watch;

        boot_watch_begin(&watch);
        CHECK_EQ(boot_phases(&watch.times, phases), 0);
        feed_start(&watch, 0);
        watch.times.at_ms[BOOT_HEALTHY] = 31000;
        CHECK_EQ(watch.starts, 1);
        CHECK_EQ(boot_phases(&watch.times, phases), 6);
        CHECK_STR(phases[0].name, "firmware");
        CHECK_EQ(phases[0].end_ms, 3000);
        CHECK_STR(phases[1].name, "loader");
        CHECK_EQ(phases[1].end_ms, 6500); /* the earliest that a stamp allows */
        CHECK_EQ(phases[2].end_ms, 11100);
        CHECK_EQ(phases[3].end_ms, 15000);
        CHECK_EQ(phases[4].end_ms, 30000);
        CHECK_STR(phases[5].name, "health checks");
        CHECK_STR(watch.complaint, "");
}

TEST(lines_come_in_any_pieces)
{
        static const char text[] = "BdsDxe: starting Boot0002\r\n[    1.000000] Run /init as init process\n";
        BootWatch watch;

        boot_watch_begin(&watch);
        for (size_t i = 0; text[i]; i++)
                boot_watch_feed(&watch, text + i, 1, 5000 + (int64_t)i);
        CHECK_EQ(watch.starts, 1);
        CHECK(watch.times.at_ms[BOOT_INITRD] > 5000);
}

TEST(a_second_start_begins_anew)
{
        BootWatch watch;

        boot_watch_begin(&watch);
        feed_start(&watch, 0);
        feed(&watch, "[   31.000000] Kernel panic - not syncing: \033[31mno\007\n", 31000);
        feed_start(&watch, 40000);
        CHECK_EQ(watch.starts, 2);
        CHECK_EQ(watch.times.at_ms[BOOT_POWER_ON], 43000);
        CHECK_EQ(watch.times.at_ms[BOOT_LOADER], 43000);
        CHECK_EQ(watch.times.at_ms[BOOT_USERSPACE], 55000);
        CHECK_STR(watch.complaint, "[   31.000000] Kernel panic - not syncing: no?");
        feed(&watch, "[FAILED] Failed to start x.service\n", 60000);
        CHECK(strstr(watch.complaint, "Kernel panic"));
}

TEST(a_console_may_send_anything)
{
        static const char *const stamps[] = { "[99999999999999999999.000000] x\n", "[1.5] x\n",
                "[  .000000] x\n", "[", "[    1.00000", "[ 1.000000", "[1.0000000] x\n" };
        _cleanup_free_ char *flood = malloc(100000);
        BootWatch watch;

        CHECK(flood);
        boot_watch_begin(&watch);
        for (size_t i = 0; i < ELEMENTS(stamps); i++) {
                feed(&watch, stamps[i], 1000);
                feed(&watch, "\n", 1000);
        }
        CHECK_EQ(watch.times.at_ms[BOOT_KERNEL], -1);
        memset(flood, '\033', 100000);
        boot_watch_feed(&watch, flood, 100000, 1000);
        memset(flood, 0, 100000);
        boot_watch_feed(&watch, flood, 100000, 1000);
        feed(&watch, "\033[\n\033[1;\n\033\n", 1000);
        feed(&watch, "Failed to start \xff\xfe\x01.\n", 1000);
        CHECK_STR(watch.complaint, "Failed to start ???.");
}

/* A machine that is nothing but a console; it sends without end. */
static Vm loud_machine(void)
{
        Vm vm = VM_OFF;

        vm.console_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        vm.serial_fd = memfd_create("serial", MFD_CLOEXEC);
        if (vm.console_fd < 0 || vm.serial_fd < 0)
                abort();
        boot_watch_begin(&vm.watch);
        return vm;
}

TEST(a_console_that_never_rests_does_not_hold_us)
{
        Vm vm = loud_machine();

        (void)alarm(60); /* it would be for ever */
        vm_run(&vm, 0, -1);
        vm_run(&vm, 1, -1);
        (void)alarm(0);
        CHECK(vm.console_bytes > 0);
        vm_done(&vm);
}

TEST(the_log_of_a_console_has_an_end)
{
        _cleanup_fd_ int log = -1;
        Vm vm = loud_machine();
        uint64_t size, later;

        vm.console_bytes = VM_CONSOLE_LOG_MAX - 16384; /* one read */
        log = dup(vm.serial_fd);
        vm_run(&vm, 0, -1);
        CHECK_OK(fd_size(log, &size));
        CHECK(size > 16384 && size < 16384 + 100);
        vm_run(&vm, 0, -1);
        CHECK_OK(fd_size(log, &later));
        CHECK_EQ(later, size);
        CHECK(vm.console_bytes > VM_CONSOLE_LOG_MAX);
        vm_done(&vm);
}

/* ---- the guest's word ---- */

TEST(the_guest_tells_the_rest)
{
        static const char text[] =
                        "FirmwareTimestampMonotonic=9000000\nLoaderTimestampMonotonic=2000000\n"
                        "UserspaceTimestampMonotonic=5250000\nActiveEnterTimestampMonotonic=20000000\n"
                        "ExecMainExitTimestampMonotonic=21500000\n"
                        "[    3.125000] Run /init as init process\n";
        BootTimes times;
        BootWatch watch;

        boot_watch_begin(&watch);
        times = watch.times;
        boot_times_merge(&times, text);
        CHECK_EQ(times.at_ms[BOOT_LOADER], 7000);
        CHECK_EQ(times.at_ms[BOOT_KERNEL], 9000);
        CHECK_EQ(times.at_ms[BOOT_INITRD], 12125);
        CHECK_EQ(times.at_ms[BOOT_USERSPACE], 14250);
        CHECK_EQ(times.at_ms[BOOT_READY], 29000);
        CHECK_EQ(times.at_ms[BOOT_HEALTHY], 30500);
        feed_start(&watch, 0);
        boot_times_merge(&watch.times, text);
        CHECK_EQ(watch.times.at_ms[BOOT_LOADER], 3000); /* as the console had it */
        CHECK_EQ(watch.times.at_ms[BOOT_KERNEL], 6500);
        CHECK_EQ(watch.times.at_ms[BOOT_HEALTHY], 28000);
}

TEST(a_guest_may_say_anything)
{
        BootTimes times;
        BootWatch watch;

        boot_watch_begin(&watch);
        times = watch.times;
        boot_times_merge(&times, "");
        boot_times_merge(&times, "FirmwareTimestampMonotonic=99999999999999999999999999\n] Run /");
        boot_times_merge(&times, "FirmwareTimestampMonotonic=0\nUserspaceTimestampMonotonic=5\n");
        CHECK_EQ(times.at_ms[BOOT_KERNEL], -1);
        CHECK_EQ(times.at_ms[BOOT_USERSPACE], -1);
}

TEST(phases_that_are_not_known_are_joined)
{
        BootTimes times = { .at_ms = { 0, 3000, -1, -1, 2000, -1, 40000 } };
        BootPhase phases[BOOT_MARK_MAX];

        CHECK_EQ(boot_phases(&times, phases), 2);
        CHECK_STR(phases[1].name, "loader + kernel + initrd + userspace + health checks");
        CHECK_EQ(phases[1].begin_ms, 3000);
        CHECK_EQ(phases[1].end_ms, 40000);
}

/* ---- the picture ---- */

TEST(a_picture_shows_each_phase)
{
        BootTimes times = { .at_ms = { 0, 3000, 6500, 11100, 15000, 30000, 31000 } };
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(MIB);
        const char *text;

        CHECK_OK(boot_picture(&times, "a<b", &out));
        text = (const char *)out.data;
        CHECK(strstr(text, ">a&lt;b: 31.000 s</text>"));
        CHECK(strstr(text, ">loader: 3.500 s</text>"));
        CHECK(strstr(text, ">health checks: 1.000 s</text>"));
        CHECK(strstr(text, "x=\"20\" y=\"50\" width=\"92\"")); /* 3 of 31 s on 960 */
        CHECK(strstr(text, "</svg>\n"));
}

TEST(a_picture_of_nothing_and_of_the_longest)
{
        BootTimes nothing, longest = { .at_ms = { 0, 1, INT64_C(100000000000), -1, -1, -1, -1 } };
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(MIB), large = BUFFER_WITH_CAP(MIB);

        memset(&nothing, 0xff, sizeof(nothing));
        CHECK_OK(boot_picture(&nothing, "x", &out));
        CHECK(strstr((const char *)out.data, "x: it did not start</text>\n</svg>"));
        CHECK_OK(boot_picture(&longest, "x", &large));
        CHECK(large.size < 8192);
}

TEST_MAIN
