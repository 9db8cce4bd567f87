/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony.h"
#include "file.h"
#include "key-options.h"
#include "key-show.h"
#include "repository.h"
#include "secure-boot-keys.h"
#include "strv.h"
#include "tuf-metadata.h"
#include "verbs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define KEYS_PER_ROLE_MAX 64
#define SECONDS_PER_DAY UINT64_C(86400)

/* Options of all the words that "keys" takes; each uses some of them. */
typedef struct KeysOptions {
        CeremonyOptions ceremony;
        PassphraseSource passphrase;
        char **thresholds, **adds, **removes;
        const char *type, *repo;
        uint64_t days;
        bool json;
} KeysOptions;

/* "ROLE=REST". */
static int split_role(const char *text, TufRole *ret_role, const char **ret_rest, Error *error)
{
        const char *equals = strchr(text, '=');
        _cleanup_free_ char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;

        if (!name || tuf_role_from_name(name, ret_role) < 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"%s\" does not begin with a role (root, targets, snapshot or timestamp) "
                                "and \"=\"",
                                text);
        *ret_rest = equals + 1;
        return 0;
}

/* "M" or "M/N": M of N keys must sign. *ret_keys stays as it is without N. */
static int parse_threshold(const char *text, unsigned *ret_threshold, unsigned *ret_keys, Error *error)
{
        unsigned threshold, keys = 0;
        int length = 0;

        if ((sscanf(text, "%3u/%3u%n", &threshold, &keys, &length) == 2 && length > 0 && !text[length]) ||
                        (sscanf(text, "%3u%n", &threshold, &length) == 1 && !text[length])) {
                if (threshold >= 1 && threshold <= KEYS_PER_ROLE_MAX && keys <= KEYS_PER_ROLE_MAX &&
                                (keys == 0 || keys >= threshold)) {
                        *ret_threshold = threshold;
                        *ret_keys = keys > 0 ? keys : *ret_keys;
                        return 0;
                }
        }
        return error_set(error, ERROR_USAGE, EINVAL,
                        "\"%s\" is not a threshold such as 2/3 (two of three keys)", text);
}

static int prepare(KeysOptions *keys, Error *error)
{
        keys->ceremony.passphrase = &keys->passphrase;
        if (keys->passphrase.file || keys->passphrase.command)
                keys->ceremony.is_encrypted = true;
        if (keys->type && tuf_key_type_from_name(keys->type, &keys->ceremony.type) < 0)
                return error_set(error, ERROR_USAGE, EINVAL, "--type is ed25519, ecdsa or rsa, not \"%s\"",
                                keys->type);
        if (keys->days > 36500)
                return error_set(error, ERROR_USAGE, EINVAL, "--days is more than a hundred years");
        keys->ceremony.lifetime_seconds = keys->days * SECONDS_PER_DAY;
        return 0;
}

static int run_init(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        for (char **text = keys->thresholds; text && *text; text++) {
                const char *rest;
                unsigned count = 0;
                TufRole role;
                int r = split_role(*text, &role, &rest, error);

                if (r >= 0)
                        r = parse_threshold(rest, &keys->ceremony.thresholds[role], &count, error);
                if (r < 0)
                        return r;
                keys->ceremony.keys[role] = count > 0 ? count : keys->ceremony.thresholds[role];
        }
        return ceremony_init(folder, &keys->ceremony, error);
}

static int run_show(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        return key_folder_show(folder, keys->json, error);
}

/* Signs a draft with what root keys there are, and says what is next. That none is here, or can be opened,
 * is no error: such is the way of root keys. */
static int advance_draft(const char *folder, const KeysOptions *keys, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, CEREMONY_DRAFT);
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        SigningState state = { 0 };
        Error reason = { 0 };
        int r = path ? key_ring_load(folder, &keys->passphrase, &ring, error) : error_oom(error);

        if (r < 0)
                return r;
        r = root_file_sign(path, ring, &state, &reason);
        if (r < 0 && r != -ENOKEY)
                return error_set(error, reason.code, -r, "%s", reason.message);
        if (r == -ENOKEY)
                printf("%s: not signed yet: %s\n", path, reason.message);
        else
                printf("%s: signed by %" PRIu64 " of %" PRIu64 " present and %" PRIu64 " of %" PRIu64
                       " next root keys\n",
                                path, state.old_count, state.old_threshold, state.new_count,
                                state.new_threshold);
        if (r >= 0 && state.old_count >= state.old_threshold && state.new_count >= state.new_threshold)
                printf("Now publish it: bascule-image keys root-publish %s --repo REPO\n", folder);
        else
                printf("Now have it signed by more root keys: bascule-image sign %s --key KEY\n", path);
        return 0;
}

static int run_rotate(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        unsigned count = 1;
        TufRole role;
        int r;

        if (!words[0] || tuf_role_from_name(words[0], &role) < 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"keys rotate DIR ROLE\" takes root, targets, snapshot or timestamp");
        r = root_draft_open(folder, &keys->ceremony, &draft, error);
        for (char **text = keys->thresholds; r >= 0 && text && *text; text++) {
                unsigned threshold;

                r = parse_threshold(*text, &threshold, &count, error);
                if (r >= 0)
                        r = root_draft_set_threshold(draft, role, threshold, error);
        }
        for (unsigned i = 0; i < count && r >= 0; i++)
                r = root_draft_make_key(draft, role, &keys->ceremony, error);
        if (r >= 0)
                r = root_draft_remove_old_keys(draft, role, error);
        if (r >= 0)
                r = root_draft_save(draft, error);
        return r < 0 ? r : advance_draft(folder, keys, error);
}

static int run_revoke(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        int r;

        if (!words[0])
                return error_set(error, ERROR_USAGE, EINVAL,
                                "\"keys revoke DIR KEYID\" takes the key's id (see \"keys show\")");
        r = root_draft_open(folder, &keys->ceremony, &draft, error);
        for (char **keyid = words; r >= 0 && *keyid; keyid++)
                r = root_draft_remove_key(draft, TUF_ROLE_MAX, *keyid, error);
        if (r >= 0)
                r = root_draft_save(draft, error);
        return r < 0 ? r : advance_draft(folder, keys, error);
}

static int change_draft(RootDraft *draft, const KeysOptions *keys, Error *error)
{
        const char *rest;
        TufRole role;
        int r = 0;

        for (char **text = keys->adds; r >= 0 && text && *text; text++) {
                r = split_role(*text, &role, &rest, error);
                if (r >= 0)
                        r = root_draft_add_key(draft, role, rest, error);
        }
        for (char **text = keys->removes; r >= 0 && text && *text; text++) {
                r = split_role(*text, &role, &rest, error);
                if (r >= 0)
                        r = root_draft_remove_key(draft, role, rest, error);
        }
        for (char **text = keys->thresholds; r >= 0 && text && *text; text++) {
                unsigned threshold, count = 0;

                r = split_role(*text, &role, &rest, error);
                if (r >= 0)
                        r = parse_threshold(rest, &threshold, &count, error);
                if (r >= 0)
                        r = root_draft_set_threshold(draft, role, threshold, error);
        }
        return r;
}

static int run_root_next(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        _cleanup_(root_draft_freep) RootDraft *draft = NULL;
        int r = root_draft_open(folder, &keys->ceremony, &draft, error);

        if (r >= 0)
                r = change_draft(draft, keys, error);
        if (r >= 0)
                r = root_draft_save(draft, error);
        if (r >= 0)
                printf("%s/" CEREMONY_DRAFT " waits for signatures: bascule-image sign %s/" CEREMONY_DRAFT
                       " --key KEY\n",
                                folder, folder);
        return r;
}

static int publish_to_repo(const char *path, const char *text, size_t size, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        int r = repository_open(path, true, &repository, error);

        if (r >= 0)
                r = repository_add_root(repository, text, size, error);
        for (unsigned role = TUF_ROLE_TIMESTAMP; r >= 0 && role < TUF_ROLE_MAX; role++)
                if (repository_is_revoked(repository, (TufRole)role))
                        printf("The keys of %s changed: clients refuse the repository until it is signed "
                               "anew. Now run: "
                               "bascule-image refresh %s --resign --keys DIR\n",
                                        tuf_role_name((TufRole)role), path);
        return r;
}

/* A draft goes to the folder once; after that the present root can be put in as many repositories as there
 * are. */
static int run_root_publish(const char *folder, char **words, KeysOptions *keys, Error *error)
{
        _cleanup_free_ char *text = NULL, *path = path_join(folder, CEREMONY_ROOT);
        size_t size;
        int r = root_draft_publish(folder, &text, &size, error);

        if (r == -ENOENT && keys->repo && path && error && error->code == ERROR_NOTHING_TO_DO) {
                error_clear(error);
                r = file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size);
                if (r < 0)
                        r = error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        }
        if (r >= 0 && keys->repo)
                r = publish_to_repo(keys->repo, text, size, error);
        return r;
}

static int run_secure_boot(const char *folder, char **words _unused_, KeysOptions *keys, Error *error)
{
        const SecureBootKeyOptions options = { .is_encrypted = keys->ceremony.is_encrypted,
                .passphrase = &keys->passphrase };
        int r = secure_boot_keys_init(folder, &options, error);

        if (r >= 0)
                printf("Keys for Secure Boot are in %s. Keep PK.pem and KEK.pem offline; sign with\n"
                       "bascule-image build --secure-boot-key %s/db.pem --secure-boot-certificate "
                       "%s/db.crt\n",
                                folder, folder, folder);
        return r;
}

typedef struct KeysWord {
        const char *name;
        int (*run)(const char *folder, char **words, KeysOptions *keys, Error *error);
        bool takes_words; /* after DIR */
} KeysWord;

static const KeysWord keys_words[] = {
        { "init", run_init, false },
        { "show", run_show, false },
        { "rotate", run_rotate, true },
        { "revoke", run_revoke, true },
        { "root-next", run_root_next, false },
        { "root-publish", run_root_publish, false },
        { "secure-boot", run_secure_boot, false },
};

static int run(char **arguments, int count, KeysOptions *keys, Error *error)
{
        for (size_t i = 0; count >= 2 && i < ELEMENTS(keys_words); i++) {
                int r;

                if (strcmp(arguments[0], keys_words[i].name) != 0)
                        continue;
                if (count > 2 && !keys_words[i].takes_words)
                        break;
                r = prepare(keys, error);
                return r < 0 ? r : keys_words[i].run(arguments[1], arguments + 2, keys, error);
        }
        return error_set(error, ERROR_USAGE, EINVAL,
                        "\"keys\" takes one of: init DIR, show DIR, rotate DIR ROLE, revoke DIR KEYID..., "
                        "root-next DIR, "
                        "root-publish DIR, secure-boot DIR");
}

int verb_keys(int argc, char **argv)
{
        KeysOptions keys = { 0 };
        const Option options[] = {
                { "threshold", 't', OPTION_LIST, &keys.thresholds, "ROLE=M/N",
                                "M of N keys must sign for the role; for rotate just M/N" },
                { "add", 0, OPTION_LIST, &keys.adds, "ROLE=FILE",
                                "root-next: let this public key sign for the role" },
                { "remove", 0, OPTION_LIST, &keys.removes, "ROLE=KEYID",
                                "root-next: no longer let this key" },
                { "days", 0, OPTION_NUMBER, &keys.days, "N", "Lifetime of the root (365)" },
                { "type", 0, OPTION_STRING, &keys.type, "TYPE",
                                "Kind of new keys: ed25519 (default), ecdsa, rsa" },
                { "encrypt", 0, OPTION_FLAG, &keys.ceremony.is_encrypted, NULL,
                                "Encrypt new private keys (implied by a passphrase option)" },
                PASSPHRASE_OPTIONS(keys.passphrase),
                { "repo", 0, OPTION_STRING, &keys.repo, "REPO", "root-publish: to this repository too" },
                { "json", 0, OPTION_FLAG, &keys.json, NULL, "show: in JSON" },
                { 0 },
        };
        Error error = { 0 };
        bool is_help = false;
        char **arguments;
        int count = 0, r;

        r = options_parse(argc, argv, options, &arguments, &count, &is_help, &error);
        if (r >= 0 && is_help) {
                options_print_help(PROGRAM_NAME,
                                "keys init|show|rotate|revoke|root-next|root-publish|secure-boot DIR "
                                "[ROLE|KEYID...] [OPTION...]",
                                "Makes signing keys and the root metadata that says what each may sign, and "
                                "changes them\nover time. \"rotate\" takes a ROLE, \"revoke\" KEYIDs.",
                                options);
                return 0;
        }
        if (r >= 0)
                r = run(arguments, count, &keys, &error);
        strv_free(keys.thresholds);
        strv_free(keys.adds);
        strv_free(keys.removes);
        return program_exit(PROGRAM_NAME, r, &error, keys.json);
}
