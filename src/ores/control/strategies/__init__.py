"""What the house does by itself. Each strategy reads the house and proposes; the arbiter decides."""
