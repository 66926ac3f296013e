#define _DEFAULT_SOURCE /* interfaces and multicast membership are no part of POSIX */
#include "mdns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MDNS_PORT = 5353, NAME_SIZE = 256, PACKET_SIZE = 1200, INTERFACES_MAX = 4, QUESTIONS_MAX = 16 };
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_TXT = 16, TYPE_SRV = 33, TYPE_ANY = 255, CLASS_IN = 1, UNIQUE = 0x8000 };
enum { HOST_TTL_S = 120, OTHER_TTL_S = 4500, LEGACY_TTL_S = 10 }; /* RFC 6762, 10 and 6.7 */
enum { GAP_MS = 1000, RESCAN_MS = 60000 };

/* The records of this module; bits of a set. */
enum { R_PTR = 1, R_SRV = 2, R_TXT = 4, R_A = 8, R_TYPES = 16, R_ALL = R_PTR | R_SRV | R_TXT | R_A };

/* Names as they go over the wire: labels with their lengths, ended by a 0. */
typedef struct {
    uint8_t bytes[NAME_SIZE];
    size_t size;
} dns_name;

static int sock = -1;
static dns_name service, instance, host, types;
static uint8_t txt[256];
static size_t txt_size;
static unsigned service_port;
static struct in_addr interfaces[INTERFACES_MAX];
static unsigned interface_count;

static unsigned owed;                 /* records to multicast at due_ms */
static uint64_t due_ms, sent_ms, scanned_ms;
static unsigned announcements_left;

/* ---- names ---- */

static void add_label(dns_name *n, const char *label)
{
    size_t length = strlen(label);
    n->bytes[n->size++] = (uint8_t)length;
    memcpy(n->bytes + n->size, label, length);
    n->size += length;
    n->bytes[n->size] = 0; /* the root, until another label follows */
}

static dns_name name_of(const char *const labels[])
{
    dns_name n = {.size = 0};
    while (*labels) add_label(&n, *labels++);
    n.size++;
    return n;
}

static uint8_t lowered(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte; }

static bool same_name(const dns_name *one, const dns_name *other)
{
    if (one->size != other->size) return false;
    for (size_t i = 0; i < one->size; i++)
        if (lowered(one->bytes[i]) != lowered(other->bytes[i])) return false;
    return true;
}

/* Follows pointers only backwards, so that it ends. False for what is no name. */
static bool read_name(const uint8_t *packet, size_t size, size_t *at, dns_name *n)
{
    size_t here = *at, lowest = here;
    bool jumped = false;
    n->size = 0;
    while (here < size) {
        uint8_t length = packet[here];
        if ((length & 0xC0) == 0xC0) {
            if (here + 1 >= size) return false;
            size_t target = (size_t)(length & 0x3F) << 8 | packet[here + 1];
            if (target >= lowest) return false;
            if (!jumped) *at = here + 2;
            jumped = true;
            here = lowest = target;
            continue;
        }
        if (length > 63 || here + 1 + length > size || n->size + 1 + length >= NAME_SIZE) return false;
        memcpy(n->bytes + n->size, packet + here, (size_t)length + 1);
        n->size += (size_t)length + 1;
        here += (size_t)length + 1;
        if (length > 0) continue;
        if (!jumped) *at = here;
        return true;
    }
    return false;
}

/* ---- writing ---- */

typedef struct {
    uint8_t bytes[PACKET_SIZE];
    size_t size;
} packet;

static void put(packet *p, const void *bytes, size_t count)
{
    if (p->size + count > PACKET_SIZE) return; /* all records of this module together stay far below */
    memcpy(p->bytes + p->size, bytes, count);
    p->size += count;
}

static void put16(packet *p, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(p, bytes, 2);
}

static void put_name(packet *p, const dns_name *n) { put(p, n->bytes, n->size); }

typedef struct {
    bool goodbye, legacy; /* TTL 0; to a simple resolver that knows nothing of multicast */
    struct in_addr address;
} manner;

static void put_head(packet *p, const dns_name *n, unsigned type, bool unique, unsigned ttl_s, const manner *how,
                     size_t data)
{
    if (how->goodbye) ttl_s = 0;
    if (how->legacy && ttl_s > LEGACY_TTL_S) ttl_s = LEGACY_TTL_S;
    put_name(p, n);
    put16(p, type);
    put16(p, CLASS_IN | (unique && !how->legacy ? UNIQUE : 0));
    put16(p, ttl_s >> 16);
    put16(p, ttl_s & 0xFFFF);
    put16(p, (unsigned)data);
}

static void put_record(packet *p, unsigned record, const manner *how)
{
    switch (record) {
    case R_PTR:
        put_head(p, &service, TYPE_PTR, false, OTHER_TTL_S, how, instance.size);
        put_name(p, &instance);
        break;
    case R_SRV:
        put_head(p, &instance, TYPE_SRV, true, HOST_TTL_S, how, 6 + host.size);
        put16(p, 0), put16(p, 0), put16(p, service_port);
        put_name(p, &host);
        break;
    case R_TXT:
        put_head(p, &instance, TYPE_TXT, true, OTHER_TTL_S, how, txt_size);
        put(p, txt, txt_size);
        break;
    case R_A:
        put_head(p, &host, TYPE_A, true, HOST_TTL_S, how, 4);
        put(p, &how->address, 4);
        break;
    default:
        put_head(p, &types, TYPE_PTR, false, OTHER_TTL_S, how, service.size);
        put_name(p, &service);
    }
}

static unsigned put_records(packet *p, unsigned records, const manner *how)
{
    unsigned count = 0;
    for (unsigned record = R_PTR; record <= R_TYPES; record <<= 1)
        if (records & record) put_record(p, record, how), count++;
    return count;
}

/* What was asked are the answers; what the asker will want next goes along (RFC 6763, 12). */
static void compose(packet *p, unsigned answers, const manner *how)
{
    unsigned additional = answers & (R_PTR | R_SRV) ? R_ALL & ~answers & ~(unsigned)R_PTR : 0;
    p->size = 0;
    put16(p, 0), put16(p, 0x8400), put16(p, 0), put16(p, 0), put16(p, 0), put16(p, 0);
    p->bytes[7] = (uint8_t)put_records(p, answers, how);
    if (!how->goodbye) p->bytes[11] = (uint8_t)put_records(p, additional, how);
}

static void multicast(unsigned answers, bool goodbye)
{
    struct sockaddr_in group = {.sin_family = AF_INET, .sin_port = htons(MDNS_PORT)};
    packet p;
    group.sin_addr.s_addr = htonl(0xE00000FB); /* 224.0.0.251 */
    for (unsigned i = 0; i < interface_count; i++) {
        manner how = {.goodbye = goodbye, .address = interfaces[i]};
        compose(&p, answers, &how);
        setsockopt(sock, IPPROTO_IP, IP_MULTICAST_IF, &interfaces[i], sizeof interfaces[i]);
        sendto(sock, p.bytes, p.size, 0, (struct sockaddr *)&group, sizeof group);
    }
}

/* ---- reading ---- */

static unsigned records_for(const dns_name *asked, unsigned type)
{
    bool any = type == TYPE_ANY;
    if (same_name(asked, &service)) return any || type == TYPE_PTR ? R_PTR : 0;
    if (same_name(asked, &types)) return any || type == TYPE_PTR ? R_TYPES : 0;
    if (same_name(asked, &host)) return any || type == TYPE_A ? R_A : 0;
    if (!same_name(asked, &instance)) return 0;
    return (any || type == TYPE_SRV ? R_SRV : 0) | (any || type == TYPE_TXT ? R_TXT : 0);
}

static unsigned read16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

/* The records that the questions of a packet ask for; `end` is where the questions end. */
static unsigned read_questions(const uint8_t *bytes, size_t size, size_t *end)
{
    unsigned wanted = 0;
    dns_name asked;
    size_t at = 12;
    if (size < 12 || bytes[2] & 0xF8) return 0; /* only queries */
    unsigned count = read16(bytes + 4);
    for (unsigned i = 0; i < count && i < QUESTIONS_MAX; i++) {
        if (!read_name(bytes, size, &at, &asked) || at + 4 > size) return 0;
        wanted |= records_for(&asked, read16(bytes + at));
        at += 4;
        *end = at;
    }
    return wanted;
}

/* A resolver that asks from another port gets a plain DNS answer: its id, its question (RFC 6762, 6.7). */
static void answer_legacy(const uint8_t *bytes, size_t end, unsigned wanted, const struct sockaddr_in *asker)
{
    packet records, p = {.size = 0};
    manner how = {.legacy = true, .address = interfaces[0]};
    compose(&records, wanted, &how);
    put(&p, records.bytes, 12);
    memcpy(p.bytes, bytes, 2);
    memcpy(p.bytes + 4, bytes + 4, 2);
    if (end > 600) return;
    put(&p, bytes + 12, end - 12);
    put(&p, records.bytes + 12, records.size - 12);
    sendto(sock, p.bytes, p.size, 0, (const struct sockaddr *)asker, sizeof *asker);
}

static void take_query(uint64_t now_ms)
{
    uint8_t bytes[PACKET_SIZE], jitter = 0;
    struct sockaddr_in asker;
    socklen_t asker_size = sizeof asker;
    size_t end = 12;
    ssize_t size = recvfrom(sock, bytes, sizeof bytes, 0, (struct sockaddr *)&asker, &asker_size);
    unsigned wanted = size > 0 ? read_questions(bytes, (size_t)size, &end) : 0;
    if (!wanted || interface_count == 0) return;
    if (asker.sin_port != htons(MDNS_PORT)) {
        answer_legacy(bytes, end, wanted, &asker);
        return;
    }
    crypto_random(&jitter, 1);
    uint64_t at_ms = now_ms + 20 + jitter % 100; /* RFC 6762, 6: shared answers do not come all at once */
    if (at_ms < sent_ms + GAP_MS && sent_ms > 0) at_ms = sent_ms + GAP_MS;
    if (owed == 0 || at_ms < due_ms) due_ms = at_ms;
    owed |= wanted;
}

/* ---- life ---- */

/* True when the addresses have changed. A device that gets a new one has to say so. */
static bool scan_interfaces(void)
{
    struct in_addr before[INTERFACES_MAX];
    unsigned count = 0;
    struct ifaddrs *list = NULL;
    memcpy(before, interfaces, sizeof before);
    if (getifaddrs(&list) != 0) return false;
    for (struct ifaddrs *i = list; i && count < INTERFACES_MAX; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP)) continue;
        if (!(i->ifa_flags & (IFF_MULTICAST | IFF_LOOPBACK))) continue;
        struct sockaddr_in address;
        memcpy(&address, i->ifa_addr, sizeof address);
        struct ip_mreq join = {.imr_interface = address.sin_addr};
        join.imr_multiaddr.s_addr = htonl(0xE00000FB);
        setsockopt(sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join); /* fails where it is a member already */
        interfaces[count++] = address.sin_addr;
    }
    freeifaddrs(list);
    bool changed = count != interface_count || memcmp(before, interfaces, count * sizeof before[0]) != 0;
    interface_count = count;
    return changed;
}

static bool open_socket(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(MDNS_PORT)};
    int on = 1;
    uint8_t ttl = 255;
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock < 0) return false;
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on); /* other responders live on this machine */
    setsockopt(sock, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl);
    if (bind(sock, (struct sockaddr *)&any, sizeof any) == 0 && fcntl(sock, F_SETFL, O_NONBLOCK) == 0) return true;
    close(sock);
    sock = -1;
    return false;
}

static void add_txt(const char *key, const char *value)
{
    size_t length = strlen(key) + 1 + strlen(value);
    if (txt_size + 1 + length >= sizeof txt) return;
    txt[txt_size] = (uint8_t)length;
    memcpy(txt + txt_size + 1, key, strlen(key));
    txt[txt_size + 1 + strlen(key)] = '=';
    memcpy(txt + txt_size + 2 + strlen(key), value, strlen(value));
    txt_size += 1 + length;
}

bool mdns_start(const identity *self, unsigned port)
{
    static const char kind[] = MAKER " " MODEL; /* what the thing is; never what its owner calls it */
    char label[64], host_label[40], fingerprint[2 * HASH_SIZE + 1];
    snprintf(label, sizeof label, "%.36s %s", kind, self->id); /* DISC-003; 36 + 1 + 26 bytes fill a label */
    snprintf(host_label, sizeof host_label, "ores-%s", self->id);
    hex_write(fingerprint, self->fingerprint, HASH_SIZE);
    service = name_of((const char *const[]){"_ores", "_tcp", "local", NULL});
    instance = name_of((const char *const[]){label, "_ores", "_tcp", "local", NULL});
    host = name_of((const char *const[]){host_label, "local", NULL});
    types = name_of((const char *const[]){"_services", "_dns-sd", "_udp", "local", NULL});
    add_txt("v", "1");
    add_txt("id", self->id);
    add_txt("path", "/ores/v1");
    add_txt("fp", fingerprint);
    add_txt("name", kind);
    service_port = port;
    if (!open_socket()) return false;
    scan_interfaces();
    mdns_announce();
    return interface_count > 0;
}

int mdns_socket(void) { return sock; }

void mdns_announce(void)
{
    announcements_left = 2; /* RFC 6762, 8.3: twice, a second apart */
    due_ms = sent_ms = scanned_ms = 0;
    owed = R_ALL;
}

void mdns_serve(bool readable, uint64_t now_ms)
{
    if (sock < 0) return;
    if (readable) take_query(now_ms);
    if (now_ms - scanned_ms > RESCAN_MS) {
        scanned_ms = now_ms;
        if (scan_interfaces()) mdns_announce();
    }
    if (!owed || now_ms < due_ms) return;
    multicast(owed, false);
    owed = 0;
    sent_ms = now_ms;
    if (announcements_left > 0 && --announcements_left > 0) {
        owed = R_ALL;
        due_ms = now_ms + GAP_MS;
    }
}

void mdns_goodbye(void)
{
    if (sock >= 0) multicast(R_ALL, true); /* DISC-004 */
}
