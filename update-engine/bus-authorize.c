/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-authorize.h"

#include "bus-names.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_FLAG_INTERACTIVE 1u
#define POLKIT_TIMEOUT_USEC (UINT64_C(300) * 1000 * 1000) /* someone types a password */

/* Of all places for questions, so many for one user, who may never answer. */
#define PENDING_OF_ONE_MAX (BUS_AUTHORIZE_PENDING_MAX / 4)

typedef struct Question {
        BusAuthorizer *authorizer;
        uid_t uid;         /* of who asks */
        sd_bus_slot *slot; /* NULL: this place is free */
        sd_bus_message *call;
        BusAuthorized authorized;
        void *data;
} Question;

struct BusAuthorizer {
        Question questions[BUS_AUTHORIZE_PENDING_MAX];
};

int bus_authorizer_new(BusAuthorizer **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

static void question_done(Question *question)
{
        question->slot = sd_bus_slot_unref(question->slot);
        question->call = sd_bus_message_unref(question->call);
}

BusAuthorizer *bus_authorizer_free(BusAuthorizer *authorizer)
{
        for (size_t i = 0; authorizer && i < BUS_AUTHORIZE_PENDING_MAX; i++)
                question_done(&authorizer->questions[i]);
        free(authorizer);
        return NULL;
}

static int refuse(sd_bus_error *error, const char *sentence)
{
        char name[BUS_ERROR_NAME_MAX];

        return sd_bus_error_set(error, bus_error_name(ERROR_PERMISSION, name), sentence);
}

static int answer_question(Question *question, sd_bus_message *reply, sd_bus_error *error)
{
        int is_authorized = 0, is_challenge = 0;

        if (sd_bus_message_is_method_error(reply, NULL))
                return refuse(error, "this needs an administrator and polkit is not there to ask; try it as "
                                     "root");
        if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
                        sd_bus_message_read(reply, "bb", &is_authorized, &is_challenge) < 0)
                return refuse(error, "polkit gave an answer that cannot be understood; try it as root");
        if (is_authorized)
                return question->authorized(question->call, question->data, error);
        return refuse(error, is_challenge ? "this needs an administrator; try it with sudo"
                                          : "this user may not do that; an administrator may");
}

static int on_polkit_answer(sd_bus_message *reply, void *data, sd_bus_error *unused)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Question *question = data;
        int r;

        call = sd_bus_message_ref(question->call);
        r = answer_question(question, reply, &error);
        question_done(question);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, &error);
        return 1;
}

static int read_uid(sd_bus_message *call, uid_t *ret)
{
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        int r = sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds);

        return r < 0 ? r : sd_bus_creds_get_euid(creds, ret);
}

/* NULL when there is no place left for this user. */
static Question *find_free(BusAuthorizer *authorizer, uid_t uid)
{
        Question *found = NULL;
        size_t own = 0;

        for (size_t i = 0; i < BUS_AUTHORIZE_PENDING_MAX; i++) {
                Question *question = &authorizer->questions[i];

                if (!question->slot)
                        found = question;
                else
                        own += question->uid == uid;
        }
        return own < PENDING_OF_ONE_MAX ? found : NULL;
}

static int ask_polkit(Question *question, const char *action)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        sd_bus_message *call = question->call;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(call) > 0;
        int r;

        r = sd_bus_message_new_method_call(sd_bus_message_get_bus(call), &message, POLKIT_NAME, POLKIT_PATH,
                        POLKIT_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(message, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                sd_bus_message_get_sender(call), action, 0,
                                interactive ? POLKIT_FLAG_INTERACTIVE : 0u, "");
        return r < 0 ? r
                     : sd_bus_call_async(sd_bus_message_get_bus(call), &question->slot, message,
                                       on_polkit_answer, question, POLKIT_TIMEOUT_USEC);
}

int bus_authorize(BusAuthorizer *authorizer, sd_bus_message *call, const char *action,
                BusAuthorized authorized, void *data, sd_bus_error *error)
{
        Question *question;
        uid_t uid;
        int r = read_uid(call, &uid);

        if (r >= 0 && (uid == 0 || uid == geteuid()))
                return authorized(call, data, error);
        question = r < 0 ? NULL : find_free(authorizer, uid);
        if (!question || !sd_bus_message_get_sender(call))
                return refuse(error, "too many callers wait for authorization; try again in a while");
        *question = (Question){
                .authorizer = authorizer,
                .uid = uid,
                .call = sd_bus_message_ref(call),
                .authorized = authorized,
                .data = data,
        };
        r = ask_polkit(question, action);
        if (r < 0) {
                question_done(question);
                return r;
        }
        return 1;
}
