/**
 * Sizes and durations as people write them. Sizes follow redis.conf: k, m and g count in thousands, kb, mb and gb in 1,024s; KiB, MiB
 * and GiB are understood too. Durations carry a unit always, so that nobody has to guess.
 */

const SIZE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1024,
  kib: 1024,
  m: 1e6,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
};

/** In nanoseconds, so that the factors are whole and no digit is lost. */
const DURATION_UNITS_NS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  min: 60e9,
  h: 3_600e9,
  d: 86_400e9,
};

/**
 * Reads a memory amount exactly as redis.conf does: digits (with an optional minus sign) and one of b, k, kb, m, mb, g, gb in any case.
 * @returns bytes, or NaN where the original finds an error
 */
export function parseMemory(text: string): number {
  const match = /^(-?\d+)(b|k|kb|m|mb|g|gb)?$/i.exec(text);
  return match ? Number(match[1]) * SIZE_UNITS[(match[2] ?? '').toLowerCase()] : Number.NaN;
}

/**
 * Reads a size such as "512kb", "1g", "1.5 MiB" or "4096".
 * @returns whole bytes
 * @throws Error naming the text and what would be right
 */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match === null ? undefined : SIZE_UNITS[match[2].toLowerCase()];
  if (match === null || unit === undefined) {
    throw new Error(`Cannot parse size "${text}": write a number and b, k, kb, m, mb, g or gb, as in 512kb`);
  }
  const bytes = Math.round(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) throw new Error(`Cannot parse size "${text}": it is beyond 9 petabytes`);
  return bytes;
}

/** A size for people: "0 B", "1.50 KiB", "12.0 MiB", "640 MiB": three digits and a binary unit. */
export function formatSize(bytes: number): string {
  if (bytes < 0) return `-${formatSize(-bytes)}`;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (unit < units.length - 1 && bytes >= 1023.5) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(bytes) : threeDigits(bytes)} ${units[unit]}`;
}

function threeDigits(value: number): string {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/**
 * Reads a duration such as "10s", "250ms", "1.5 h" or "80us".
 * @returns milliseconds, fractions allowed
 * @throws Error naming the text and what would be right
 */
export function parseDuration(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zµ]+)\s*$/i.exec(text);
  const unit = match === null ? undefined : DURATION_UNITS_NS[match[2].toLowerCase()];
  if (match === null || unit === undefined) {
    throw new Error(`Cannot parse duration "${text}": write a number and ns, us, ms, s, m, h or d, as in 250ms`);
  }
  return (Number(match[1]) * unit) / 1e6;
}

/** A duration in milliseconds for people: "850 ns", "12.3 µs", "4.00 ms", "2.50 s", "3.0 min", "1.5 h". */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms === 0) return '0 s';
  if (ms < 0.0009995) return `${Math.round(ms * 1e6)} ns`;
  if (ms < 0.9995) return `${threeDigits(ms * 1e3)} µs`;
  if (ms < 999.5) return `${threeDigits(ms)} ms`;
  if (ms < 59_950) return `${threeDigits(ms / 1e3)} s`;
  if (ms < 3_597_000) return `${(ms / 60e3).toFixed(1)} min`;
  return ms < 172_800e3 ? `${(ms / 3_600e3).toFixed(1)} h` : `${(ms / 86_400e3).toFixed(1)} d`;
}
