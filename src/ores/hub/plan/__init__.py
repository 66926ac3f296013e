"""The hub's planner: a process of its own that values what is stored, and proposals that follow from it.

The planner (`worker`) knows neither modules nor the network. It is told the facts of the stores and what has
passed, and hands back curves of two slots; `planning` turns them into proposals of rank `plan`, cycle by
cycle, for as long as they hold.
"""
