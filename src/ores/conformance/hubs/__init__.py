"""A hub on the bench: the kit plays the modules and is the app, and judges all that the hub sends to both.

```
door       TLS as a module has it, and what goes through it: records, requests, frames, as they came
parts      what a played module is made of, and a small house whose powers add up
player     a module played by the kit, with behaviours that a check can switch
app        somebody who asks the hub: owner, guest, app with a token
bench      the hub on the bench: its address, the people, the modules
checks/    one function a check
```
"""
