/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The verbs of bascule-image: one file verb-NAME.c and one line here and in main.c each. Every verb gets
 * argv from its own name on, answers --help by itself and returns an exit status (common/error.h). */

#define PROGRAM_NAME "bascule-image"

int verb_build(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_gc(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_keys(int argc, char **argv);
int verb_lock(int argc, char **argv);
int verb_payload(int argc, char **argv);
int verb_recipe(int argc, char **argv);
int verb_refresh(int argc, char **argv);
int verb_release(int argc, char **argv);
int verb_repro(int argc, char **argv);
int verb_sign(int argc, char **argv);
int verb_size(int argc, char **argv);
int verb_test(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_withdraw(int argc, char **argv);
