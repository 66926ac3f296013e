/** Numbers for people. Unknown is said with a dash, never shown as 0. */

export const UNKNOWN = "–";

export type Maybe = number | null | undefined;

/** Power with its unit; the sign is left to words. */
export function power(powerW: Maybe): string {
  if (powerW === null || powerW === undefined) return UNKNOWN;
  const size = Math.abs(powerW);
  if (size < 999.5) return `${Math.round(size)} W`;
  return `${(size / 1000).toFixed(size < 9995 ? 2 : 1)} kW`;
}

/** A share of the whole. */
export function percent(value: Maybe): string {
  return value === null || value === undefined ? UNKNOWN : `${Math.round(value)} %`;
}

/** A length of time, coarse. */
export function duration(seconds: Maybe): string {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** The clock of the house as the reader's wall clock shows it. */
export function clock(time: string): string {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** `heat_pump` → `heat pump` */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}
