"""What the kit owes a device when a judgement stops: whether it is still there, and what is put back."""

from __future__ import annotations

from typing import Final

from ores.conformance.bench import Bench
from ores.conformance.check import Failed

PROBE_S: Final = 3.0
PATIENCE_S: Final = 15.0


async def alive(bench: Bench) -> bool:
    """Whether the module answers anything at all; one that starts anew is given `PATIENCE_S` to be back."""
    deadline_s = bench.elapsed_s + PATIENCE_S
    said = False
    while not await _answers(bench):
        if bench.elapsed_s > deadline_s:
            return False
        if not said:
            bench.say(f"The module does not answer any more; waits up to {PATIENCE_S:g} s for it.")
            said = True
        await bench.pause(0.5)
    return True


async def _answers(bench: Bench) -> bool:
    """As whom it lets in, or as a stranger: any status will do."""
    for peer in (bench.controller, bench.stranger):
        if peer is bench.controller and not bench.paired:
            continue
        try:
            await peer.request("GET", "/pairing", timeout_s=PROBE_S)
        except Failed:
            continue
        else:
            return True
        finally:
            if peer is bench.stranger or not bench.paired:
                await peer.close()
    return False


async def leave(bench: Bench) -> None:
    """Stopped half-way: put back what can be put back, release the module, and say what came of it."""
    if bench.kept.nothing:
        bench.say("Stopped. The kit had changed nothing in the module.")
        return
    if not bench.paired:
        bench.say("Stopped while the module was released: it is unpaired, and can be paired again.")
        return
    try:
        await bench.put_back()
        bench.say("Stopped. Failsafe limits, policy and settings are as they were found.")
    except Failed as error:
        bench.say(f"Stopped. Not everything is as it was found: {error}")
    try:
        answer = await bench.release()
        freed = answer.status == 200
        why = f"{answer.status} {answer.code}"
    except Failed as error:
        freed, why = False, str(error)
    bench.say(
        "The module is released: what the kit had leased is over, and it can be paired again."
        if freed
        else f"The module could not be released ({why}): reset it before you pair it again."
    )
