"""How the kit talks: its own key, TLS, requests, stream and pairing, written from chapters 3 and 4."""
