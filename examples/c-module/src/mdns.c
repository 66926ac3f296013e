#include "mdns.h"
bool mdns_start(const identity *self, unsigned port) { (void)self, (void)port; return false; }
int mdns_socket(void) { return -1; }
void mdns_announce(void) {}
void mdns_serve(bool readable, uint64_t now_ms) { (void)readable, (void)now_ms; }
void mdns_goodbye(void) {}
