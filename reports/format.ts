/**
 * Numbers as people read them. One place, so that a figure reads the same in the terminal, in markdown and in HTML. All texts are
 * plain ASCII but for the µ sign and the dash that stands for "not known".
 */

/** What stands where a figure could not be had. */
export const UNKNOWN = '–';

/** Three significant digits, no exponent: 0.123, 1.23, 12.3, 123, 1,234. */
export function formatNumber(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 100) return groupThousands(Math.round(value));
  if (size >= 10) return trimZeros(value.toFixed(1));
  if (size >= 1) return trimZeros(value.toFixed(2));
  return size < 0.0005 ? '0' : trimZeros(value.toFixed(3));
}

/** Whole number with thousands separated by commas. */
export function groupThousands(value: number): string {
  return String(Math.trunc(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Microseconds as "85 µs", "1.25 ms" or "3.2 s". */
export function formatLatency(us: number | null): string {
  if (us === null || !Number.isFinite(us)) return UNKNOWN;
  if (us < 1_000) return `${formatNumber(us)} µs`;
  if (us < 1_000_000) return `${formatNumber(us / 1_000)} ms`;
  return `${formatNumber(us / 1_000_000)} s`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes with a binary unit. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null || !Number.isFinite(bytes)) return UNKNOWN;
  let unit = 0;
  let value = bytes;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${formatNumber(value)} ${BYTE_UNITS[unit]}`;
}

/** Operations per second: "950 /s", "12.3 k/s", "1.2 M/s". */
export function formatRate(perSecond: number | null): string {
  if (perSecond === null || !Number.isFinite(perSecond)) return UNKNOWN;
  if (perSecond >= 1e6) return `${formatNumber(perSecond / 1e6)} M/s`;
  if (perSecond >= 1e4) return `${formatNumber(perSecond / 1e3)} k/s`;
  return `${formatNumber(perSecond)} /s`;
}

/** A share as a percentage with one digit after the point (two where it is within 1 % of either end). */
export function formatShare(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return UNKNOWN;
  const percent = share * 100;
  const nearEnd = percent > 99 || percent < 1;
  return `${percent.toFixed(nearEnd && percent !== 0 && percent !== 100 ? 2 : 1)} %`;
}

/** Seconds as "4.2 s", "2 min 05 s". */
export function formatSeconds(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 120) return `${formatNumber(seconds)} s`;
  const rest = Math.round(seconds % 60);
  return `${Math.floor(seconds / 60)} min ${String(rest).padStart(2, '0')} s`;
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/**
 * Control characters, also those that steer a terminal, become visible escapes: names and server strings come from outside.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    if (char === '\n') return ' ';
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
