/** What scripts and functions may declare about themselves. */
export const SCRIPT_FLAG_NO_WRITES = 1 << 0;
export const SCRIPT_FLAG_ALLOW_OOM = 1 << 1;
export const SCRIPT_FLAG_ALLOW_STALE = 1 << 2;
export const SCRIPT_FLAG_NO_CLUSTER = 1 << 3;
/** A script without "#!": what it does is found out while it runs. */
export const SCRIPT_FLAG_EVAL_COMPAT_MODE = 1 << 4;
export const SCRIPT_FLAG_ALLOW_CROSS_SLOT = 1 << 5;

/** In the order in which FUNCTION LIST shows them. */
const FLAG_WORDS: readonly (readonly [string, number])[] = [
  ['no-writes', SCRIPT_FLAG_NO_WRITES],
  ['allow-oom', SCRIPT_FLAG_ALLOW_OOM],
  ['allow-stale', SCRIPT_FLAG_ALLOW_STALE],
  ['no-cluster', SCRIPT_FLAG_NO_CLUSTER],
  ['allow-cross-slot-keys', SCRIPT_FLAG_ALLOW_CROSS_SLOT],
];

/** @returns the bit of a flag, 0 if there is no such flag */
export function scriptFlag(word: string): number {
  for (const [name, bit] of FLAG_WORDS) if (name === word) return bit;
  return 0;
}

/** The words of set flags. */
export function scriptFlagWords(flags: number): string[] {
  return FLAG_WORDS.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
}
