"""The physical home: conductors, sun, storage, heat. Pure, and vectorised over homes."""
