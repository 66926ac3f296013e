"""The mutants, by the checks that have to catch them."""
