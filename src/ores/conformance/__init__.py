"""The conformance kit: judges any module or hub over the wire, from `standard/` alone.

```
standard   what is demanded: chapters' ids, profiles, schemas, read from the folder `standard/`
wire/      the kit's own key, TLS, requests, stream and pairing; it shares no code with the implementation
bench      a subject on the bench: the kit's connections to it, leases, restarts, what to restore
checks/    one function a check; a check passes, or says in a sentence what was wrong
runner     runs the checks in their order and tells a failure of the subject from a failure of the kit
report/    what people and machines read
broken/    subjects that are wrong on purpose, at least one for every check
```

Nothing here but `broken` imports other rooms of ORES: a judge must not share the mistakes of the judged.
"""
