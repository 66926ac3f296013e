"""Modules that are wrong on purpose: what the kit has to find.

```
whole      the reference: one module that has every capability, built with the SDK
seams      where a mutation takes hold: what goes out, what comes in, and attributes of the SDK
mutants/   one mutation each, registered with the check that has to catch it
__main__   run one: `python -m ores.conformance.broken lease-other-boot`
```

Only this room of the kit imports the SDK.
"""
