/**
 * Which arguments of a command are keys, and what it does with them: found by the specifications of the command table, and for the
 * few commands that only they themselves can tell by a procedure here.
 */
import type { Client } from './client.ts';
import type { Command } from './command.ts';
import type { KeySpecFacts } from './command-table/facts.ts';
import { parsedNumber, parseInt64 } from './structures/int64.ts';

export const KEY_RO = 1 << 0;
export const KEY_RW = 1 << 1;
export const KEY_OW = 1 << 2;
export const KEY_RM = 1 << 3;
export const KEY_ACCESS = 1 << 4;
export const KEY_UPDATE = 1 << 5;
export const KEY_INSERT = 1 << 6;
export const KEY_DELETE = 1 << 7;
export const KEY_NOT_KEY = 1 << 8;
export const KEY_INCOMPLETE = 1 << 9;
export const KEY_VARIABLE = 1 << 10;

const WORDS: readonly (readonly [string, number])[] = [
  ['RO', KEY_RO],
  ['RW', KEY_RW],
  ['OW', KEY_OW],
  ['RM', KEY_RM],
  ['access', KEY_ACCESS],
  ['update', KEY_UPDATE],
  ['insert', KEY_INSERT],
  ['delete', KEY_DELETE],
  ['not_key', KEY_NOT_KEY],
  ['incomplete', KEY_INCOMPLETE],
  ['variable_flags', KEY_VARIABLE],
];

/** The flags' words in the original's order. */
export function keyFlagWords(flags: number): string[] {
  return WORDS.filter(([, bit]) => (flags & bit) !== 0).map(([word]) => word);
}

const bitsOf = new Map<string, number>();

/** The bits of a specification's flags. */
export function keyFlags(spec: KeySpecFacts): number {
  let bits = bitsOf.get(spec.flags);
  if (bits !== undefined) return bits;
  bits = 0;
  const words = spec.flags.split(' ');
  for (const [word, bit] of WORDS) if (words.includes(word)) bits |= bit;
  bitsOf.set(spec.flags, bits);
  return bits;
}

/** What findKeys found: argument numbers (relative to `first`) and flags. Valid until its next call. */
export let keyCount = 0;
export let keyIndexes = new Int32Array(64);
export let keyFlagBits = new Int32Array(64);

function push(index: number, flags: number): void {
  if (keyCount === keyIndexes.length) {
    const indexes = new Int32Array(keyCount * 2);
    indexes.set(keyIndexes);
    keyIndexes = indexes;
    const bits = new Int32Array(keyCount * 2);
    bits.set(keyFlagBits);
    keyFlagBits = bits;
  }
  keyIndexes[keyCount] = index;
  keyFlagBits[keyCount++] = flags;
}

/** Where a specification's keys begin, 0: nowhere. Arguments are counted from `first`. */
function beginOf(c: Client, spec: KeySpecFacts, first: number, argc: number): number {
  if (spec.keyword === undefined) return spec.index;
  const [word, startFrom] = spec.keyword;
  const lower = word.toLowerCase();
  const start = startFrom > 0 ? startFrom : argc + startFrom;
  const end = startFrom > 0 ? argc - 1 : 0;
  for (let i = start; i !== end; i += start <= end ? 1 : -1) {
    if (i >= argc || i < 1) break;
    if (c.argIs(first + i, lower)) return i + 1;
  }
  return 0;
}

/** Adds the keys of one specification. @returns false when the arguments do not fit it */
function addSpec(c: Client, spec: KeySpecFacts, first: number, argc: number): boolean {
  const flags = keyFlags(spec);
  if (spec.index === 0 && spec.keyword === undefined) return (flags & KEY_NOT_KEY) !== 0;
  const begin = beginOf(c, spec, first, argc);
  // Whatever stands behind a word that is not there is not there.
  if (begin === 0) return true;
  let from = begin;
  let last: number;
  let step: number;
  if (spec.keynum !== undefined) {
    const at = begin + spec.keynum[0];
    if (at >= argc) return false;
    if (!parseInt64(c.core.heap.u8, c.argOff[first + at], c.argLen[first + at]) || parsedNumber < 0) return false;
    from = begin + spec.keynum[1];
    step = spec.keynum[2];
    last = from + (parsedNumber - 1) * step;
    if (parsedNumber === 0) return false;
  } else if (spec.range !== undefined) {
    const [lastKey, keyStep, limit] = spec.range;
    step = keyStep;
    if (lastKey >= 0) last = begin + lastKey;
    else if (limit <= 1) last = argc + lastKey;
    else last = begin + Math.floor((argc - begin) / limit) + lastKey;
  } else {
    return false;
  }
  if (last >= argc || last < from || from >= argc) return false;
  for (let i = from; i <= last; i += step) push(i, flags);
  return true;
}

/** The key that SORT stores to: that of the last STORE which is no value of another option. */
function addSortKeys(c: Client, first: number, argc: number): void {
  push(1, KEY_RO | KEY_ACCESS);
  let found = 0;
  for (let i = 2; i < argc; i++) {
    if (c.argIs(first + i, 'limit')) i += 2;
    else if (c.argIs(first + i, 'get') || c.argIs(first + i, 'by')) i++;
    else if (c.argIs(first + i, 'store') && i + 1 < argc) found = i + 1;
  }
  if (found > 0) push(found, KEY_OW | KEY_UPDATE);
}

/** SET reads the key only with GET among its options. */
function addSetKey(c: Client, first: number, argc: number): void {
  let flags = KEY_OW | KEY_UPDATE;
  for (let i = 3; i < argc; i++) if (c.argIs(first + i, 'get')) flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
  push(1, flags);
}

/** BITFIELD only reads when all its operations are GET. */
function addBitfieldKey(c: Client, first: number, argc: number): void {
  let readOnly = true;
  for (let i = 2; i < argc; i++) {
    const left = argc - i - 1;
    if (c.argIs(first + i, 'get') && left >= 2) i += 2;
    else if ((c.argIs(first + i, 'set') || c.argIs(first + i, 'incrby')) && left >= 3) {
      readOnly = false;
      i += 3;
    } else if (c.argIs(first + i, 'overflow') && left >= 1) i++;
    else {
      readOnly = false;
      break;
    }
  }
  push(1, readOnly ? KEY_RO | KEY_ACCESS : KEY_RW | KEY_ACCESS | KEY_UPDATE);
}

/**
 * Finds the keys of a request: afterwards in keyCount, keyIndexes and keyFlagBits. Channels (KEY_NOT_KEY) are among them.
 * @param first argument of the client that is the command's name; the key numbers are relative to it
 * @returns false when the arguments do not fit the command (nothing is found then)
 */
export function findKeys(c: Client, command: Command, first: number, argc: number): boolean {
  keyCount = 0;
  const specs = command.facts.keySpecs;
  if (specs === undefined) return true;
  switch (command.fullName) {
    case 'sort':
      addSortKeys(c, first, argc);
      return true;
    case 'set':
      addSetKey(c, first, argc);
      return true;
    case 'bitfield':
      addBitfieldKey(c, first, argc);
      return true;
    default:
      break;
  }
  for (const spec of specs) {
    if (addSpec(c, spec, first, argc)) continue;
    keyCount = 0;
    return false;
  }
  return true;
}
