/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "file.h"
#include "reboot.h"
#include "strv.h"
#include "test.h"

#include <fcntl.h>
#include <time.h>

static char folder[] = "/tmp/bascule-config-XXXXXX";

static int load(const char *text, Config **ret, Error *error)
{
        const char *folders[] = { folder, NULL };
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/engine.conf", folder);
        int r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);
        return r < 0 ? r : config_load(folders, ret, error);
}

TEST(has_defaults)
{
        CHECK(mkdtemp(folder));
        _cleanup_(config_freep) Config *config = NULL;
        CHECK_OK(load("", &config, NULL));
        CHECK_STR(config->channel, "stable");
        CHECK(config->is_automatic);
        CHECK_EQ(config->tries, 3);
        CHECK_EQ(config->reboot_policy, REBOOT_NONE);
        CHECK(!config->repositories);
}

TEST(reads_what_it_writes)
{
        _cleanup_(config_freep) Config *config = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL, *second = NULL;
        CHECK_OK(load("[Update]\nRepository=https://a/\nRepository=http://b/"
                      "x\nChannel=beta-1\nBandwidthLimit=2M\n"
                      "Automatic=no\nTimeout=1min\nRetryDelay=7\n[Reboot]\nPolicy=window\nWindows=Mon..Fri "
                      "02:00-04:00\n"
                      "Windows=Sun 22:00-01:00\nGracePeriod=90\n[Boot]\nTries=5\n",
                        &config, NULL));
        CHECK_EQ(strv_length(config->repositories), 2);
        CHECK_EQ(config->bandwidth_bytes, 2 * MIB);
        CHECK_EQ(config->timeout_seconds, 60);
        CHECK_EQ(config->retry_seconds, 7);
        CHECK_EQ(config->windows.count, 2);
        CHECK_OK(config_format(config, &text, NULL));
        CHECK_OK(load(text, &again, NULL));
        CHECK_OK(config_format(again, &second, NULL));
        CHECK_STR(second, text);
}

TEST(rejects_mistakes)
{
        static const char *const bad[] = { "[Update]\nRepository=ftp://a\n", "[Update]\nChanel=x\n",
                "[Update]\nChannel=../x\n", "[Update]\nChannel=\n", "[Reboot]\nPolicy=sometimes\n",
                "[Reboot]\nPolicy=window\n", "[Reboot]\nWindows=never\n", "[Boot]\nTries=0\n",
                "[Boot]\nTries=10\n", "[Update]\nTimeout=0\n", "[Update]\nRetryDelay=2min\n",
                "[Update]\nAutomatic=perhaps\n", "[Update]\nCheckInterval=1s\n" };
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Config *config = NULL;
                Error error = { 0 };
                if (load(bad[i], &config, &error) >= 0)
                        TEST_FAIL("accepted: %s", bad[i]);
                CHECK_EQ(error.code, ERROR_CONFIG);
        }
}

TEST(plans_reboots_by_policy)
{
        (void)setenv("TZ", "UTC", 1);
        tzset();
        _cleanup_(config_freep) Config *none = NULL, *at_once = NULL, *window = NULL;
        uint64_t at = 0, now = 1795219200; /* 2026-11-21 00:00 UTC, a Saturday */
        CHECK_OK(load("", &none, NULL));
        CHECK_EQ(reboot_plan(none, now, &at), -ENOENT);
        CHECK_OK(load("[Reboot]\nPolicy=immediately\nGracePeriod=60\n", &at_once, NULL));
        CHECK_OK(reboot_plan(at_once, now, &at));
        CHECK_EQ(at, now + 60);
        CHECK_OK(load("[Reboot]\nPolicy=window\nWindows=Sat 02:00-04:00\nGracePeriod=10min\n", &window,
                        NULL));
        CHECK_OK(reboot_plan(window, now, &at));
        CHECK_EQ(at, now + 2 * 3600);
        CHECK_OK(reboot_plan(window, now + 3 * 3600, &at));
        CHECK_EQ(at, now + 3 * 3600 + 600);
        CHECK_OK(reboot_plan(window, now + 4 * 3600 - 300, &at));
        CHECK_EQ(at, now + 7 * 86400 + 2 * 3600);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

TEST_MAIN
