"""The module SDK: turn a thing into an ORES module."""

from ores.module.description import About, element
from ores.module.device import (
    Answer,
    AnswersLater,
    Clipped,
    Commandable,
    DecidesItself,
    Device,
    HasNews,
    KnowsAge,
    Refused,
    SensesHazards,
    TakesFailsafe,
    TakesRequests,
    TakesSettings,
    TellsFlexibility,
)
from ores.module.effective import Ceilings, Effective
from ores.module.module import Module
from ores.module.policy import PolicyFunction, Situation, free, idle, schedule, self_consumption, setpoint
from ores.module.store import FileStore, MemoryStore, Saved, Store

__all__ = [
    "About",
    "Answer",
    "AnswersLater",
    "Ceilings",
    "Clipped",
    "Commandable",
    "DecidesItself",
    "Device",
    "Effective",
    "FileStore",
    "HasNews",
    "KnowsAge",
    "MemoryStore",
    "Module",
    "PolicyFunction",
    "Refused",
    "Saved",
    "SensesHazards",
    "Situation",
    "Store",
    "TakesFailsafe",
    "TakesRequests",
    "TakesSettings",
    "TellsFlexibility",
    "element",
    "free",
    "idle",
    "schedule",
    "self_consumption",
    "setpoint",
]
