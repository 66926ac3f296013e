"""What decides: the arbiter and the strategies. Pure: numbers in, numbers out."""
