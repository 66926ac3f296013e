"""A recorded year of a home, through the planner and the real-time layer, beside other policies.

The ladder: `none` (no battery), `rule` (self-consumption), `timer` (by the clock), `slots` (the planner's
values for a battery that takes modes only), `plan` (forecasts from the past alone, the value of stored
energy, the real-time layer), `oracle` (perfect foresight). All have the same physics and pay the bill of
what really happened. `ores backtest` is the command; from Python, `ladder.climb`.
"""
