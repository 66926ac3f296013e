"""Other people's devices as ORES modules: each adapter is a `Device` of the SDK with a task of its own."""
