/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an image must not have unless its recipe says so: files that run with more rights than who starts
 * them, passwords, state of apt, and services that listen on the network. Private keys and other credentials
 * are normalise_refuse_secrets()'s. Each refusal is ERROR_REFUSED and says what to write into the recipe or
 * to leave out of it. */

#include "recipe.h"
#include "tree.h"

/* All of the following, for a tree that has all its content but is not normalised yet. */
int hygiene_check(Tree *tree, const Recipe *recipe, Error *error);

/* ---- parts, for each other and for tests ---- */

/* Regular files with the setuid or setgid bit, or with capabilities, that no pattern of Setuid= matches. */
int hygiene_check_privileges(Tree *tree, char *const *allowed, Error *error);
/* Password hashes in /etc/passwd, /etc/shadow and /etc/gshadow that no PasswordHash= declares, and accounts
 * that need no password. A file of these that cannot be read as lines of text to its end is refused. */
int hygiene_check_passwords(Tree *tree, const Recipe *recipe, Error *error);
/* Lists and archives of apt, and what it logs in with. */
int hygiene_check_apt(Tree *tree, Error *error);
/* Units that are enabled and listen on the network, as far as their files tell, and that are not in
 * `allowed`: socket units with an address that is neither a path nor of this host alone, and services whose
 * program is a well-known server. (hygiene-ports.c) */
int hygiene_check_ports(Tree *tree, char *const *allowed, Error *error);
/* hygiene-resolver.c: that systemd-resolved, which this unit runs, keeps the port of LLMNR closed. */
int hygiene_check_resolver(Tree *tree, const char *unit, Error *error);
