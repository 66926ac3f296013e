"""What energy costs: tariffs, their prices for each interval, and bills from metered intervals. Pure."""
