/* The options, the signals that stand for buttons, and the loop. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "mdns.h"
#include "server.h"
#include "store.h"

enum { TICK_MS = 100 };

static module the_module;
static volatile sig_atomic_t asked_to_stop, pressed, asked_to_reset;

static void on_signal(int number)
{
    if (number == SIGUSR1) pressed = 1;
    else if (number == SIGUSR2) asked_to_reset = 1;
    else asked_to_stop = 1;
}

static void listen_to_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* without SA_RESTART: poll wakes up */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

typedef struct {
    unsigned port;
    const char *state;
    bool mdns, reset;
    module_options module;
} options;

static int usage(const char *what)
{
    fprintf(stderr, "%s\nusage: ores-module --state DIR [--port N] [--name NAME] [--no-mdns] [--observers]\n"
                    "                   [--factory-reset] [--trust-clock] [--soc PCT]\n", what);
    return 2;
}

/* It goes into messages, which are I-JSON (MSG-001). */
static bool is_name(const char *name)
{
    char memory[6 * 64 + 3];
    text quoted = text_in(memory, sizeof memory);
    json root;
    text_quoted(&quoted, name);
    return name[0] && strlen(name) <= 64 && !json_check(quoted.start, quoted.used, &root);
}

/* NULL, or the option that was not understood. */
static const char *read_options(options *o, int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "--no-mdns") == 0) o->mdns = false;
        else if (strcmp(word, "--observers") == 0) o->module.observers_allowed = true;
        else if (strcmp(word, "--factory-reset") == 0) o->reset = true;
        else if (strcmp(word, "--trust-clock") == 0) o->module.clock_trusted = true;
        else if (i + 1 == count) return word;
        else if (strcmp(word, "--port") == 0) o->port = (unsigned)strtoul(words[++i], NULL, 10);
        else if (strcmp(word, "--state") == 0) o->state = words[++i];
        else if (strcmp(word, "--name") == 0) o->module.name = words[++i];
        else if (strcmp(word, "--soc") == 0) o->module.soc_pct = strtod(words[++i], NULL);
        else return word;
    }
    return NULL;
}

/* This module's display: the one place where its code is shown (PAIR-002). */
static void show_ready(unsigned port)
{
    printf("{\"url\": \"https://localhost:%u/ores/v1\", \"id\": \"%s\", \"code\": \"%s\"}\n", port, the_module.self.id,
           the_module.self.code);
    fflush(stdout);
}

static bool is_pinned(const uint8_t fingerprint[HASH_SIZE])
{
    return pins_role(&the_module.pins, fingerprint) != ROLE_STRANGER;
}

static const char *boot(const options *o)
{
    const char *trouble = module_boot(&the_module, &o->module);
    if (trouble) return trouble;
    const identity *self = &the_module.self;
    bool started = tls_start(self->key, self->key_size, self->certificate, self->certificate_size, is_pinned);
    return started ? NULL : "TLS does not start";
}

static void listen_to_people(unsigned port)
{
    if (pressed) module_button(&the_module, module_uptime_ms(&the_module));
    pressed = 0;
    if (asked_to_reset) {
        if (!module_factory_reset(&the_module)) fprintf(stderr, "the reset could not be kept\n");
        show_ready(port); /* the code is a new one */
    }
    asked_to_reset = 0;
}

/* Until somebody asks for an end or a restart. */
static void run(unsigned port)
{
    struct pollfd polls[SERVER_POLLS + 1];
    while (!asked_to_stop && !the_module.restart_asked) {
        bool at_once = server_wants(polls);
        polls[SERVER_POLLS].fd = mdns_socket();
        polls[SERVER_POLLS].events = POLLIN;
        for (int i = 0; i <= SERVER_POLLS; i++) polls[i].revents = 0;
        if (poll(polls, SERVER_POLLS + 1, at_once ? 0 : TICK_MS) < 0)
            for (int i = 0; i <= SERVER_POLLS; i++) polls[i].revents = 0; /* a signal */
        listen_to_people(port);
        uint64_t now_ms = module_uptime_ms(&the_module);
        module_tick(&the_module, now_ms);
        server_serve(polls, now_ms);
        mdns_serve(polls[SERVER_POLLS].revents != 0, now_ms);
    }
}

int main(int count, char **words)
{
    options o = {.mdns = true, .module = {.name = "C battery", .soc_pct = 50}};
    const char *bad = read_options(&o, count, words);
    if (bad) return usage(bad);
    if (!o.state) return usage("--state says where key, pins and limits are kept");
    if (!is_name(o.module.name)) return usage("--name is 1 to 64 bytes of UTF-8");
    if (!(o.module.soc_pct >= 0 && o.module.soc_pct <= 100)) return usage("--soc is 0 to 100");
    listen_to_signals();
    if (!store_open(o.state)) return usage("the state folder cannot be made");
    const char *trouble = boot(&o);
    unsigned port = trouble ? 0 : server_start(&the_module, o.port);
    if (!trouble && port == 0) trouble = "the port is not free";
    if (trouble) return fprintf(stderr, "%s\n", trouble), 1;
    if (o.reset && !module_factory_reset(&the_module)) return fprintf(stderr, "the reset could not be kept\n"), 1;
    if (o.mdns && !mdns_start(&the_module.self, port))
        fprintf(stderr, "no multicast here: the module is not announced\n");
    show_ready(port);
    for (;;) {
        run(port);
        server_end_sessions(module_uptime_ms(&the_module));
        module_stop(&the_module);
        mdns_goodbye();
        if (asked_to_stop) return 0;
        trouble = boot(&o); /* a reboot in all but the processor's reset (REQ-006, REQ-007) */
        if (trouble) return fprintf(stderr, "%s\n", trouble), 1;
        mdns_announce();
    }
}
