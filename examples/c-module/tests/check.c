/* Unit tests: parser, shapes, pairing vectors, certificate, what holds, leases. Arguments are example messages of the
   standard, as paths …/valid/Kind/name.json and …/invalid/Kind/name.json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "http.h"
#include "lease.h"
#include "module.h"
#include "resources.h"
#include "state.h"
#include "store.h"
#include "websocket.h"

static int failures, checks;

static void expect_at(int line, bool holds, const char *what)
{
    checks++;
    if (holds) return;
    failures++;
    printf("line %d: %s\n", line, what);
}
#define expect(holds) expect_at(__LINE__, (holds), #holds)

static const char *fault_of(const char *message)
{
    static char memory[8192];
    json root;
    strcpy(memory, message);
    return json_check(memory, strlen(memory), &root);
}

/* ---- JSON ---- */

static void nasty_json_is_refused(void)
{
    static const char *const bad[] = {
        "", " ", "{", "}", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1 2]", "nul", "truee", "NaN",
        "-Infinity", "01", "-", "1.", ".5", "1e", "1e+", "+1", "0x10", "--1", "\"", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\"\t\"", "\"\n\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xe0\x80\xaf\"",
        "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xc3\"", "\xef\xbb\xbf{}", "{} {}", "1 1", "[[[[[[[1]]]]]]]",
        "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"x\":{\"b\":0,\"c\":[{}],\"b\":1}}", "/**/1", "{\"a\":1}x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!fault_of(bad[i])) printf("taken: %s\n", bad[i]), expect(false);
    json root;
    expect(json_check("1\0", 2, &root) != NULL);
}

static void odd_json_is_taken(void)
{
    static const char *const good[] = {"{}", " [ ] ", "-0", "1e999", "[[[[[[1]]]]]]", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", "\"\\u0000\"",
                                       "{\"a\":{\"a\":1},\"b\":[1,{\"a\":2}]}", "{\"\":0}", "\"\x7f\"", "1E-5", "\t\r\n1\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (fault_of(good[i])) printf("refused: %s\n", good[i]), expect(false);
}

static void json_is_walked(void)
{
    static const char message[] = "{ \"a\" : [ 1 , -2.5e1 ] , \"\\u0062\" : \"x\\n\\u00e9\" , \"c\":{\"d\":true} }";
    json root;
    char words[8];
    expect(!json_check(message, strlen(message), &root));
    json_item item = json_items(json_member(root, "a"));
    expect(json_number(item.value) == 1 && json_is_integer(item.value));
    item = json_next(item);
    expect(json_number(item.value) == -25 && !json_is_integer(item.value));
    expect(!json_next(item).value);
    expect(json_text(json_member(root, "b"), words, sizeof words) && strcmp(words, "x\n\xc3\xa9") == 0);
    expect(!json_text(json_member(root, "b"), words, 4));
    expect(json_kind_of(json_member(json_member(root, "c"), "d")) == JSON_TRUE);
    expect(!json_member(root, "d"));
}

/* ---- shapes: the standard's own examples ---- */

static const struct {
    const char *kind;
    const shape *shape;
} kinds[] = {{"Lease", &shape_of_lease},       {"ToModule", &shape_of_frame},           {"Failsafe", &shape_of_failsafe},
             {"Policy", &shape_of_policy},     {"Settings", &shape_of_settings},        {"Request", &shape_of_request},
             {"PairingStart", &shape_of_pairing_start}, {"PairingConfirm", &shape_of_pairing_confirm}};

static void example_is_judged(const char *path)
{
    static char message[8192];
    json root;
    misfit where;
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(message, 1, sizeof message - 1, file) : 0;
    if (file) fclose(file);
    message[size] = '\0';
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char part[40];
        snprintf(part, sizeof part, "/%s/", kinds[i].kind);
        if (!strstr(path, part)) continue;
        bool taken = !json_check(message, size, &root) && shape_check(root, kinds[i].shape, &where);
        if (taken != !strstr(path, "/invalid/")) printf("%s: %s\n", path, taken ? "taken" : where.field), expect(false);
        checks++;
    }
}

/* ---- pairing: the vectors of chapter 4.3 ---- */

static void pairing_fits_the_vectors(void)
{
    pairing_start start = {.role = ROLE_CONTROLLER};
    uint8_t secret[SECRET_SIZE], module_fingerprint[HASH_SIZE], proof[HASH_SIZE];
    char code[CODE_SIZE], id[ID_SIZE], hex[65];
    hex_read(secret, sizeof secret, "000102030405060708090a0b0c0d0e0f");
    hex_read(module_fingerprint, HASH_SIZE, "97f5495ac0eed01573aa98f088addb25f92dbb58ed03bcb733bce223eb59fafc");
    hex_read(start.fingerprint, HASH_SIZE, "11fd68af316d3f40f7b55d57d44dfb9dd04bdc88c801aa80fc9c455e51ecc3cf");
    hex_read(start.hub_nonce, NONCE_SIZE, "7abfd49d7343c2828e31c732ae71b3a943a9b291964726e5b587d905fc79d5b8");
    hex_read(start.module_nonce, NONCE_SIZE, "d042cf6b5ccc142660e84b6c2973df7f0eb91967b7e520ef2a0664330c3bb97e");
    pairing_code(code, secret);
    expect(strcmp(code, "ORES-AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4HD") == 0);
    pairing_id(id, module_fingerprint);
    expect(strcmp(id, "s72uswwa53ibk45ktdyirlo3eu") == 0);
    pairing_proof(proof, true, secret, module_fingerprint, &start);
    expect((hex_write(hex, proof, 32), strcmp(hex, "edd0045039910a8c4179fa919ab19aa6508ad8deaf67accfed1ba4438c451a83") == 0));
    pairing_proof(proof, false, secret, module_fingerprint, &start);
    expect((hex_write(hex, proof, 32), strcmp(hex, "f185c58b04532a2a2583c93b99d42f7bdaac16f7f5b5f667c068307c816b5226") == 0));
    start.role = ROLE_OBSERVER;
    pairing_proof(proof, true, secret, module_fingerprint, &start);
    expect((hex_write(hex, proof, 32), strcmp(hex, "61fd1217366ce5cd05c8b7568f6bf2e713d5557d440367cce0372952cce972d3") == 0));
    pairing_proof(proof, false, secret, module_fingerprint, &start);
    expect((hex_write(hex, proof, 32), strcmp(hex, "0c8150a07f0758a09e57e38d41701bb705c3762521ca8d017d473c01b37b09c8") == 0));
}

static void five_starts_lock_and_the_button_waits(void)
{
    pairing p = {.tries = 0};
    pairing_facts unpaired = {.has_controller = false};
    pairing_start start = {.role = ROLE_CONTROLLER};
    for (int i = 0; i < TRIES_MAX; i++) {
        expect(!pairing_refusal(&p, &unpaired, 1000));
        start.hub_nonce[0] = (uint8_t)i;
        expect(pairing_begin(&p, &start, 1000));
    }
    expect(strcmp(pairing_refusal(&p, &unpaired, 9999999), "pairing_locked") == 0);
    expect(pairing_replayed(&p, start.hub_nonce));
    expect(!pairing_take(&p, start.hub_nonce, 1000 + CONFIRM_MS + 1));
    expect(pairing_take(&p, start.hub_nonce, 1000 + CONFIRM_MS));
    expect(!pairing_take(&p, start.hub_nonce, 1000));
    expect(!pairing_press(&p, 1000 + 29999) && pairing_press(&p, 1000 + 30000));
    for (int i = 0; i < TRIES_MAX; i++) pairing_begin(&p, &start, 40000);
    expect(!pairing_press(&p, 40000 + 59999) && pairing_press(&p, 40000 + 60000)); /* PAIR-021: it doubles */
    pairing_facts paired = {.has_controller = true};
    expect(!pairing_refusal(&p, &paired, 100001)); /* PAIR-024: the role is not known yet */
    expect(strcmp(pairing_role_refusal(&paired, ROLE_CONTROLLER), "pairing_has_controller") == 0);
    expect(strcmp(pairing_role_refusal(&paired, ROLE_OBSERVER), "pairing_role_refused") == 0);
    expect(strcmp(pairing_refusal(&p, &paired, 100000 + WINDOW_MS), "pairing_closed") == 0);
    p.tries = TRIES_MAX - 1;
    expect(pairing_press(&p, 200000) && p.tries == 0 && p.lockouts == 2); /* the button begins the count anew */
}

static void a_certificate_fits_its_key(void)
{
    uint8_t key[KEY_DER_MAX], der[CERTIFICATE_MAX + 1], mine[HASH_SIZE], shown[HASH_SIZE];
    char id[ID_SIZE], cn[64];
    size_t key_size = crypto_make_key(key);
    expect(key_size > 0 && crypto_key_fingerprint(key, key_size, mine));
    pairing_id(id, mine);
    size_t size = crypto_make_certificate(key, key_size, id, der);
    expect(size > 0 && crypto_check_certificate(der, size, shown, cn));
    expect(strcmp(cn, id) == 0 && memcmp(mine, shown, HASH_SIZE) == 0);
    expect(!crypto_check_certificate(der, size + 1, shown, cn)); /* something behind the end */
    expect(!crypto_check_certificate(der, size - 1, shown, cn));
    der[size - 1] ^= 1;
    expect(!crypto_check_certificate(der, size, shown, cn)); /* the signature no longer fits */
}

/* ---- what holds ---- */

static void limits_and_setpoints_hold(void)
{
    const bounds *b = &battery_bounds;
    limits none = {NOT_GIVEN, NOT_GIVEN}, no_export = {NOT_GIVEN, 0};
    own_bounds free_ = {1e6, 1e6, BY_SOC}, full = {0, 1e6, BY_SOC};
    command lease = {.limit_given = true, .limit = {2000, NOT_GIVEN}};
    held_limits held = hold_limits(b, NULL, &none, &free_);
    expect(hold_deepest(b, &held) == BY_RATING);
    held_setpoint s = hold_setpoint(b, &held, 1509);
    expect(s.power_w == 1500 && s.by == BY_NOTHING); /* LEASE-023 */
    s = hold_setpoint(b, &held, -1509);
    expect(s.power_w == -1500 && s.by == BY_NOTHING);
    s = hold_setpoint(b, &held, 1e6);
    expect(s.power_w == 3600 && s.by == BY_RATING);
    s = hold_setpoint(b, &held, 49);
    expect(s.power_w == 0 && s.by == BY_MINIMUM);
    s = hold_setpoint(b, &held, -49);
    expect(s.power_w == -40 && s.by == BY_NOTHING);
    held = hold_limits(b, &lease, &no_export, &free_);
    expect(held.max.consume_max_w == 2000 && held.max.produce_max_w == 0 && held.produce_by == BY_FAILSAFE); /* HOLD-003 */
    expect(hold_deepest(b, &held) == BY_FAILSAFE);
    bounds coarse = *b;
    coarse.step_w = 50, coarse.consume_min_w = 52;
    held = hold_limits(&coarse, NULL, &none, &free_);
    s = hold_setpoint(&coarse, &held, 55);
    expect(s.power_w == 0 && s.by == BY_MINIMUM); /* no rounding leads below the minimum */
    lease.limit.consume_max_w = 30;
    held = hold_limits(b, &lease, &none, &free_);
    s = hold_setpoint(b, &held, 1000);
    expect(s.power_w == 0 && s.by == BY_LEASE);
    lease.limit.consume_max_w = 2000;
    bounds lopsided = *b;
    lopsided.consume_max_w = 36800;
    limits tenths = {18400, 920};
    held = hold_limits(&lopsided, NULL, &tenths, &free_);
    held.consume_by = BY_LEASE;
    expect(hold_deepest(&lopsided, &held) == BY_FAILSAFE); /* a share of the rating, not watts */
    held = hold_limits(b, &lease, &none, &full);
    s = hold_setpoint(b, &held, 1000);
    expect(s.power_w == 0 && s.by == BY_SOC && hold_range(b, &held).consume_max_w == 0);
}

static void a_store_stops_at_its_reserve(void)
{
    battery b = {.stored_wh = CAPACITY_WH * 0.2004};
    limits none = {NOT_GIVEN, NOT_GIVEN};
    for (int i = 0; i < 3000; i++) {
        own_bounds own = battery_own_bounds(&b, 20);
        held_limits held = hold_limits(&battery_bounds, NULL, &none, &own);
        battery_step(&b, hold_setpoint(&battery_bounds, &held, -3600).power_w, held.max, 0.1);
    }
    expect(battery_soc_pct(&b) >= 20 && battery_soc_pct(&b) < 20.001 && b.power_w == 0); /* SET-003 */
    b.stored_wh = NAN;
    expect(battery_own_bounds(&b, 0).produce_max_w == 0); /* SET-004 */
}

/* ---- leases, by a module of its own ---- */

static module m;
static char answer_memory[4096];

static const char *lease_answer(uint64_t epoch, uint64_t seq, double ttl_s, const char *elements, uint64_t state_ms, uint64_t now_ms)
{
    static char message[4096];
    json root;
    misfit where;
    text answer = text_in(answer_memory, sizeof answer_memory);
    snprintf(message, sizeof message, "{\"epoch\":%llu,\"seq\":%llu,\"boot_id\":\"%s\",\"uptime_ms\":%llu,\"ttl_s\":%g,\"elements\":%s}",
             (unsigned long long)epoch, (unsigned long long)seq, m.boot_id, (unsigned long long)state_ms, ttl_s, elements);
    expect(!json_check(message, strlen(message), &root) && shape_check(root, &shape_of_lease, &where));
    lease_take(&m, root, now_ms, &answer);
    expect(!fault_of(answer.start));
    return answer.start;
}

static bool says(const char *answer, const char *words) { return strstr(answer, words) != NULL; }

static void start_module(const char *folder)
{
    module_options options = {.name = "check", .soc_pct = 50};
    uint8_t controller[HASH_SIZE] = {7};
    expect(store_open(folder) && !module_boot(&m, &options));
    expect(pins_add(&m.pins, ROLE_CONTROLLER, controller));
}

static void a_lease_lives_and_ends(void)
{
    expect(says(lease_answer(1, 5, 10, "{\"battery\":{\"setpoint\":{\"power_w\":1000}}}", 1000, 1000), "\"applied\""));
    module_tick(&m, 3000);
    expect(m.battery.power_w == 1000);
    expect(says(lease_answer(1, 5, 10, "{}", 3000, 3000), "lease_old_seq"));
    expect(says(lease_answer(0, 9, 10, "{}", 3000, 3000), "lease_old_epoch"));
    expect(says(lease_answer(1, 6, 10, "{}", 3000, 8001), "lease_stale"));
    expect(says(lease_answer(1, 6, 10, "{}", 3001, 3000), "lease_stale"));
    module_tick(&m, 10900);
    expect(m.lease.in_force && m.lease.seq == 5); /* LEASE-009: neither shorter nor longer */
    module_tick(&m, 11100);
    expect(!m.lease.in_force && m.setpoint.power_w == 0);
    expect(says(lease_answer(1, 5, 10, "{}", 11100, 11100), "lease_old_seq"));
    expect(says(lease_answer(2, 0, 10, "{\"battery\":{\"limit\":{\"produce_max_w\":100}}}", 11100, 11100), "applied"));
    expect(m.held.max.produce_max_w == 100);
    expect(says(lease_answer(2, 1, 10, "{}", 11100, 11100), "applied")); /* LEASE-003: as a whole */
    expect(m.held.max.produce_max_w == 3680);
}

static void outcomes_are_told(void)
{
    const char *answer = lease_answer(2, 10, 10, "{\"battery\":{\"limit\":{\"consume_max_w\":5000},\"switch\":{\"closed\":true}},"
                                      "\"ghost\":{\"setpoint\":{\"power_w\":1},\"mode\":{\"mode\":\"x\"}}}", 12000, 12000);
    expect(says(answer, "\"result\":\"refused\""));
    expect(says(answer, "\"limit\":{\"result\":\"clipped\",\"consume_max_w\":3680,\"limited_by\":\"rating\"}"));
    expect(says(answer, "\"switch\":{\"result\":\"refused\",\"code\":\"unknown_capability\"}"));
    expect(says(answer, "\"ghost\":{\"setpoint\":{\"result\":\"refused\",\"code\":\"unknown_element\"},\"mode\":"));
    expect(m.lease.in_force && m.lease.seq == 10); /* LEASE-019: the rest holds */
    answer = lease_answer(2, 11, 10, "{\"battery\":{\"limit\":{\"produce_max_w\":0,\"current_max_a\":6}}}", 12000, 12000);
    expect(says(answer, "\"limit\":{\"result\":\"refused\"") && m.held.max.produce_max_w == 0); /* LEASE-032 */
    expect(says(lease_answer(2, 12, 10, "{\"ghost\":{}}", 12000, 12000), "\"applied\"")); /* it asks nothing */
    static char many[4000];
    text list = text_in(many, sizeof many);
    for (int i = 0; i < 100; i++) text_format(&list, "%s\"ghost_%d\":{\"mode\":{\"mode\":\"x\"}}", i ? "," : "{", i);
    text_put(&list, "}");
    answer = lease_answer(2, 13, 10, many, 12000, 12000);
    expect(says(answer, "\"refused\",\"code\":\"unknown_element\"") && m.lease.seq == 12); /* LEASE-031, LEASE-009 */
}

static void an_observer_commands_nothing(void)
{
    text answer = text_in(answer_memory, sizeof answer_memory);
    const char *frame = "{\"lease\":{}}";
    resources_frame(&m, frame, strlen(frame), ROLE_OBSERVER, 12000, &answer);
    expect(says(answer.start, "\"problem\"") && says(answer.start, "\"forbidden\"")); /* LEASE-002 */
}

static void what_cannot_be_kept_is_refused(const char *folder)
{
    json root;
    problem why;
    const char *limits_ = "{\"elements\":{\"battery\":{\"produce_max_w\":1}}}";
    uint8_t other[HASH_SIZE] = {8};
    expect(!store_open("build/not/there"));
    expect(!json_check(limits_, strlen(limits_), &root) && !failsafe_put(&m, root, &why));
    expect(strcmp(why.code, "storage_failed") == 0 && m.failsafe.produce_max_w < 0 && m.store_failing); /* SAFE-009 */
    expect(!pins_add(&m.pins, ROLE_OBSERVER, other) && m.pins.count == 1);                              /* PAIR-015 */
    expect(says(lease_answer(3, 1, 10, "{}", 12000, 12000), "storage_failed") && m.lease.epoch == 2);   /* LEASE-026 */
    expect(store_open(folder) && failsafe_put(&m, root, &why) && !m.store_failing);
}

static void a_reboot_keeps_what_was_agreed(const char *folder)
{
    char boot_id[17];
    json root;
    problem why;
    module_options options = {.name = "check", .soc_pct = 50};
    const char *limits_ = "{\"elements\":{\"battery\":{\"produce_max_w\":0.125}}}";
    strcpy(boot_id, m.boot_id);
    expect(!json_check(limits_, strlen(limits_), &root) && failsafe_put(&m, root, &why));
    expect(!module_boot(&m, &options));
    expect(strcmp(boot_id, m.boot_id) != 0 && !m.lease.in_force);
    expect(m.failsafe.produce_max_w == 0.125 && m.held.max.produce_max_w == 0.125); /* SAFE-003: before the first tick */
    expect(says(lease_answer(1, 99, 10, "{}", 0, 0), "lease_old_epoch")); /* LEASE-008 */
    expect(says(lease_answer(2, 0, 10, "{}", 0, 0), "applied"));          /* LEASE-007: in this boot */
    char path[256];
    snprintf(path, sizeof path, "%s/failsafe", folder);
    FILE *file = fopen(path, "r+b");
    expect(file && fseek(file, -3, SEEK_END) == 0 && fputc('x', file) == 'x' && fclose(file) == 0);
    expect(!module_boot(&m, &options) && m.failsafe_lost && m.held.max.consume_max_w == 0); /* SAFE-010 */
    text faults = text_in(answer_memory, sizeof answer_memory);
    faults_write(&m, &faults);
    expect(says(faults.start, "store_lost"));
    expect(module_factory_reset(&m) && m.pins.count == 0 && m.held.max.consume_max_w == 3680);
    expect(!module_boot(&m, &options) && !m.pins.needs_act);
    snprintf(path, sizeof path, "%s/pins", folder);
    expect(remove(path) == 0 && !module_boot(&m, &options) && m.pins.needs_act); /* SAFE-012 */
}

/* ---- random bytes: sanitizers are the judges ---- */

static uint32_t dice = 1;
static uint32_t roll(void) { return dice ^= dice << 13, dice ^= dice >> 17, dice ^= dice << 5; }

static void random_bytes_harm_nothing(void)
{
    static const char *const seeds[] = {
        "{\"lease\":{\"epoch\":3,\"seq\":1,\"boot_id\":\"00000000\",\"uptime_ms\":0,\"ttl_s\":1.5,\"elements\":{\"battery\":{\"limit\":{\"produce_max_w\":0}}}}}",
        "{\"kind\":\"schedule\",\"schedule\":[{\"start_s\":0,\"power_w\":-1e3},{\"start_s\":9,\"power_w\":\"\\ud83d\\ude00\"}]}",
        "GET /ores/v1/state?x=1 HTTP/1.1\r\nHost: m\r\nConnection: keep-alive, Upgrade\r\nContent-Length: 17\r\n\r\n",
        "\x81\x85\x01\x02\x03\x04hello", "\x82\xfe\x01\x00\x01\x02\x03\x04 and so on"};
    char bytes[600], answer[2048];
    for (int round = 0; round < 200000; round++) {
        const char *seed = seeds[roll() % 5];
        size_t size = strlen(seed);
        memcpy(bytes, seed, size);
        for (uint32_t i = roll() % 6; i > 0; i--) {
            char telling = "{}[]\":,\\u0e-1 \r\n"[roll() % 16], any = (char)roll();
            bytes[roll() % size] = roll() % 3 ? telling : any;
        }
        size = roll() % 3 ? size : roll() % size;
        bytes[size] = '\0';
        char *exact = malloc(size + 1); /* one byte too far is seen */
        memcpy(exact, bytes, size + 1);
        http_head head;
        frame f;
        text to = text_in(answer, sizeof answer);
        resources_frame(&m, exact, size, ROLE_CONTROLLER, 0, &to);
        http_read_head(exact, size, &head);
        frame_read(exact, size, &f);
        free(exact);
    }
}

int main(int count, char **paths)
{
    char folder[] = "build/check-state-XXXXXX";
    nasty_json_is_refused();
    odd_json_is_taken();
    json_is_walked();
    for (int i = 1; i < count; i++) example_is_judged(paths[i]);
    pairing_fits_the_vectors();
    five_starts_lock_and_the_button_waits();
    a_certificate_fits_its_key();
    limits_and_setpoints_hold();
    a_store_stops_at_its_reserve();
    if (!mkdtemp(folder)) return 1;
    start_module(folder);
    a_lease_lives_and_ends();
    outcomes_are_told();
    an_observer_commands_nothing();
    what_cannot_be_kept_is_refused(folder);
    a_reboot_keeps_what_was_agreed(folder);
    random_bytes_harm_nothing();
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 0;
}
