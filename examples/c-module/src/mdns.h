/* Discovery (chapter 4.1): a minimal responder for DNS-SD over multicast DNS, IPv4. */
#ifndef ORES_MDNS_H
#define ORES_MDNS_H

#include "module.h"

bool mdns_start(const identity *self, unsigned port);
int mdns_socket(void); /* -1 where it is off */
void mdns_announce(void);
void mdns_serve(bool readable, uint64_t now_ms);
void mdns_goodbye(void);

#endif
