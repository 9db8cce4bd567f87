/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What register (PCR) 11 of a TPM holds after systemd-stub has started a kernel image, and a signed policy
 * for it, so that a secret can be sealed to a key rather than to one release (systemd, "Measured boot"; TCG,
 * TPM 2.0 Library, PolicyPCR and PolicyAuthorize). The image brings two sections:
 *
 *     .pcrpkey    the public key, PEM; measured too
 *     .pcrsig     JSON as systemd-measure makes it: for each phase the digest of the policy, signed
 *                 (RSASSA, SHA-256); not measured
 *
 * A phase is what has been added to the register since: our initrd adds nothing, and on the host
 * systemd-pcrphase adds "sysinit" and then "ready". So three states are signed: as the stub leaves it, which
 * lasts until the host has reached sysinit.target, and after each of the two. */

#include "sha256.h"
#include "uki.h"

#include <openssl/types.h>

/* The register in its first state. ERROR_INCOMPATIBLE for a stub of which it is not known what it measures,
 * since the order of sections and what is left out belong to its version. */
int pcr_policy_measure(const UkiParts *parts, uint8_t ret[static SHA256_SIZE], Error *error);

/* Adds a word to the register, as systemd-pcrphase does. */
void pcr_policy_extend(uint8_t value[static SHA256_SIZE], const char *word);

/* The JSON for all phases, from the first state; freed by the caller. ERROR_CONFIG for a key that is not
 * RSA. */
int pcr_policy_sign(EVP_PKEY *key, const uint8_t first[static SHA256_SIZE], char **ret, Error *error);

/* The key's public half in PEM, freed by the caller. */
int pcr_policy_public_key(EVP_PKEY *key, char **ret, Error *error);
