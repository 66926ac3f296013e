"""From the hand-written schemas to structs, TypeScript types and reference tables."""
