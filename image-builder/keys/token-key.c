/* SPDX-License-Identifier: Apache-2.0 */

/* The engine interface is deprecated, but it is what Debian 12 has for tokens. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "token-key.h"

#include "file.h"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

#define PIN_MAX 256
#define PIN_MEMBER "pin-value="

/* What the PIN callbacks need, hung on the UI method's data. */
typedef struct PinRequest {
        const PassphraseSource *source;
        const char *name; /* of the key, for people */
        const char *uri;  /* with the PIN in it, maybe */
        Error *error;
} PinRequest;

/* The PIN that stands in the URI itself. -ENOKEY when there is none. */
static int pin_of_uri(const char *uri, Buffer *ret)
{
        const char *pin = strstr(uri, PIN_MEMBER);

        if (!pin)
                return -ENOKEY;
        pin += strlen(PIN_MEMBER);
        return buffer_append(ret, pin, strcspn(pin, ";&?"));
}

static int read_pin(UI *ui, UI_STRING *string)
{
        _cleanup_(passphrase_wipe) Buffer pin = BUFFER_WITH_CAP(PIN_MAX);
        const PinRequest *request = UI_get0_user_data(ui);

        if (UI_get_string_type(string) != UIT_PROMPT && UI_get_string_type(string) != UIT_VERIFY)
                return 1;
        if (pin_of_uri(request->uri, &pin) < 0 &&
                        passphrase_get(request->source, request->name, false, &pin, request->error) < 0)
                return 0;
        return UI_set_result(ui, string, pin.data ? (char *)pin.data : "") == 0 ? 1 : 0;
}

static UI_METHOD *pin_method(void)
{
        UI_METHOD *method = UI_create_method("PIN");

        if (method)
                (void)UI_method_set_reader(method, read_pin);
        return method;
}

static EVP_PKEY *load_by_provider(const char *uri, UI_METHOD *method, PinRequest *request)
{
        OSSL_STORE_CTX *store = OSSL_STORE_open(uri, method, request, NULL, NULL);
        EVP_PKEY *key = NULL;

        while (store && !key && !OSSL_STORE_eof(store)) {
                OSSL_STORE_INFO *info = OSSL_STORE_load(store);

                if (!info)
                        break;
                if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
                        key = OSSL_STORE_INFO_get1_PKEY(info);
                OSSL_STORE_INFO_free(info);
        }
        if (store)
                (void)OSSL_STORE_close(store);
        return key;
}

static EVP_PKEY *load_by_engine(
                const char *uri, UI_METHOD *method, PinRequest *request, bool *ret_has_engine)
{
        ENGINE *engine = ENGINE_by_id("pkcs11");
        EVP_PKEY *key = NULL;

        *ret_has_engine = engine != NULL;
        if (engine && ENGINE_init(engine)) {
                key = ENGINE_load_private_key(engine, uri, method, request);
                (void)ENGINE_finish(engine); /* the key keeps a reference of its own */
        }
        if (engine)
                (void)ENGINE_free(engine);
        return key;
}

bool token_key_is_uri(const char *reference)
{
        return strncmp(reference, "pkcs11:", 7) == 0;
}

char *token_key_name(const char *uri)
{
        const char *pin = strstr(uri, PIN_MEMBER), *rest;

        if (!pin || pin == uri)
                return strdup(uri);
        /* With the separator before it, unless that parts path and query. */
        rest = pin + strcspn(pin, ";&?");
        return pin[-1] == '?' && *rest ? string_format("%.*s%s", (int)(pin - uri), uri, rest + 1)
                                       : string_format("%.*s%s", (int)(pin - uri) - 1, uri, rest);
}

int token_key_load(const char *uri, const PassphraseSource *source, EVP_PKEY **ret, Error *error)
{
        _cleanup_free_ char *name = token_key_name(uri);
        PinRequest request = { source, name, uri, error };
        UI_METHOD *method = pin_method();
        bool has_engine = true;
        EVP_PKEY *key;

        if (!name || !method) {
                UI_destroy_method(method);
                return error_oom(error);
        }
        /* The PIN goes the way of the callback alone: libraries print the URIs they are given. */
        key = load_by_provider(name, method, &request);
        if (!key)
                key = load_by_engine(name, method, &request, &has_engine);
        UI_destroy_method(method);
        if (key) {
                *ret = key;
                return 0;
        }
        if (!has_engine)
                return error_set(error, ERROR_MISSING_TOOL, ENOKEY,
                                "OpenSSL has no PKCS#11 support here; install libengine-pkcs11-openssl");
        return error_set(error, ERROR_CONFIG, ENOKEY, "cannot use the token's key %s: %s", name,
                        ERR_reason_error_string(ERR_peek_last_error()) ?: "no such key");
}
