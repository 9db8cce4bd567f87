/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Boots an image in a virtual machine, waits until the host has blessed it, runs checks in it, and does the
 * update to it from an earlier image and the way back. Two machines, one after the other: one starts with
 * the image, one with the earlier image. The images are only read.
 *
 * What is seen from outside needs no way in: the loader's counter on the ESP tells that the loader started
 * the release and that the host blessed it, and the console tells when. Checks and the rollback need ssh. */

#include "boot-watch.h"
#include "error.h"
#include "junit.h"
#include "version-order.h"

typedef struct ImageTestOptions {
        const char *image;       /* folder that `build` made, or a raw or qcow2 disk */
        const char *output;      /* folder for what is found out; made if it is not there */
        const char *update_from; /* as image; NULL: no update */
        const char *repository;  /* that has the image as a release the earlier image will believe */
        const char *channel;
        const char *ssh_key;         /* NULL: nothing is done inside */
        char **checks, **commands;   /* strv: files to run in the guest; lines for its shell */
        const char *qemu, *firmware; /* program; folder */
        const char *accelerator;     /* "auto", "kvm", "emulation" */
        uint64_t timeout_seconds, memory_bytes;
        bool with_network;
        void (*on_step)(const JunitCase *step); /* called when one has ended */
        void (*on_note)(const char *text);
} ImageTestOptions;

typedef struct ImageTestResult {
        JunitReport report;
        BootTimes times; /* of the image's own start */
        char image_id[VERSION_MAX + 1], version[VERSION_MAX + 1], old_version[VERSION_MAX + 1];
        bool has_kvm;
        const char *kvm_reason; /* static; why not; NULL: it was not asked for, or is there */
} ImageTestResult;

/* 0 when the test could be done, whatever came out: see the report. Otherwise the Error says what is
 * missing, and the step at which that was found ends in error. junit.xml and boot.svg are written in any
 * case once the folder for them is there, beside the logs. */
int image_test_run(const ImageTestOptions *options, ImageTestResult *ret, Error *error);
void image_test_result_done(ImageTestResult *result);
