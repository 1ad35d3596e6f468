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

/** The bits of a specification's flags. */
export function keyFlags(spec: KeySpecFacts): number {
  let bits = 0;
  const words = spec.flags.split(' ');
  for (const [word, bit] of WORDS) if (words.includes(word)) bits |= bit;
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
  const end = startFrom > 0 ? argc - 1 : 1;
  const step = start <= end ? 1 : -1;
  for (let i = start; i !== end && i < argc && i >= 1; i += step) if (c.argIs(first + i, lower)) return i + 1;
  return 0;
}

/** Adds the keys of one specification. @returns false when it does not tell them all, or the arguments do not fit it */
function addSpec(c: Client, spec: KeySpecFacts, flags: number, first: number, argc: number): boolean {
  if (spec.index === 0 && spec.keyword === undefined) return false;
  const begin = beginOf(c, spec, first, argc);
  // Whatever stands behind a word that is not there is not there.
  if (begin === 0) return true;
  let from = begin;
  let last: number;
  let step: number;
  if (spec.keynum !== undefined) {
    const at = begin + spec.keynum[0];
    if (at >= argc || !parseInt64(c.core.heap.u8, c.argOff[first + at], c.argLen[first + at])) return false;
    from = begin + spec.keynum[1];
    step = spec.keynum[2];
    last = from + parsedNumber - 1;
  } else if (spec.range !== undefined) {
    const [lastKey, keyStep, limit] = spec.range;
    step = keyStep;
    if (lastKey >= 0) last = begin + lastKey;
    else if (limit === 0) last = argc + lastKey;
    else last = begin + Math.floor((argc - begin) / limit) + lastKey;
  } else {
    return false;
  }
  if (last >= argc || last < from || from >= argc) return false;
  for (let i = from; i <= last; i += step) push(i, flags);
  return (flags & KEY_INCOMPLETE) === 0;
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

/** MIGRATE: one key, or those behind KEYS where that one is empty. */
function addMigrateKeys(c: Client, first: number, argc: number): void {
  const flags = KEY_RW | KEY_ACCESS | KEY_DELETE;
  let from = 3;
  let count = 1;
  for (let i = 6; i < argc; i++) {
    if (c.argIs(first + i, 'keys')) {
      // One key and many contradict each other.
      if (c.argLen[first + 3] > 0) return;
      from = i + 1;
      count = argc - from;
      break;
    }
    if (c.argIs(first + i, 'auth')) i++;
    else if (c.argIs(first + i, 'auth2')) i += 2;
  }
  for (let i = from; i < from + count; i++) push(i, flags);
}

/** Where the number of keys stands in commands that are asked themselves when their specification did not fit. */
const KEY_NUMBER_AT: Readonly<Record<string, number>> = {
  eval: 2,
  eval_ro: 2,
  evalsha: 2,
  evalsha_ro: 2,
  fcall: 2,
  fcall_ro: 2,
  blmpop: 2,
  bzmpop: 2,
  lmpop: 1,
  zmpop: 1,
  sintercard: 1,
  zdiff: 1,
  zinter: 1,
  zintercard: 1,
  zunion: 1,
  zdiffstore: 2,
  zinterstore: 2,
  zunionstore: 2,
};

/** Reads a number as C's atoi does, which stops at the first other character. */
function leadingNumber(c: Client, index: number): number {
  const match = /^\s*[+-]?\d{1,18}/.exec(c.argText(index).slice(0, 32));
  return match === null ? 0 : Number(match[0]);
}

/** The keys of a command that begins with a number of them. Nothing is known here of what it does with them. */
function addNumberedKeys(c: Client, command: Command, first: number, argc: number): void {
  const at = KEY_NUMBER_AT[command.fullName];
  if (at === undefined || at >= argc) return;
  const count = leadingNumber(c, first + at);
  if (count < 1 || count > argc - at - 1) return;
  for (let i = at + 1; i <= at + count; i++) push(i, 0);
  if (command.fullName.endsWith('store')) push(1, 0);
}

/** What the command itself says of its keys, where its specifications did not do. */
function addBySelf(c: Client, command: Command, first: number, argc: number): void {
  switch (command.fullName) {
    case 'sort':
      addSortKeys(c, first, argc);
      break;
    case 'sort_ro':
      push(1, KEY_RO | KEY_ACCESS);
      break;
    case 'set':
      addSetKey(c, first, argc);
      break;
    case 'bitfield':
      addBitfieldKey(c, first, argc);
      break;
    case 'migrate':
      addMigrateKeys(c, first, argc);
      break;
    default:
      addNumberedKeys(c, command, first, argc);
  }
}

/** Whether a command may have keys at all; channels are none. */
export function hasKeys(command: Command): boolean {
  return command.keySpecFlags.some((flags) => (flags & KEY_NOT_KEY) === 0);
}

/**
 * Finds the keys of a request: afterwards in keyCount, keyIndexes and keyFlagBits. Channels are none.
 * @param first argument of the client that is the command's name; the key numbers are relative to it
 * @returns whether there are any; none also when the arguments do not fit the command
 */
export function findKeys(c: Client, command: Command, first: number, argc: number): boolean {
  keyCount = 0;
  const specs = command.facts.keySpecs;
  if (specs === undefined) return false;
  let told = true;
  for (let i = 0; i < specs.length && told; i++) {
    const flags = command.keySpecFlags[i];
    if ((flags & KEY_NOT_KEY) !== 0) continue;
    told = (flags & KEY_VARIABLE) === 0 && addSpec(c, specs[i], flags, first, argc);
  }
  if (!told) {
    keyCount = 0;
    addBySelf(c, command, first, argc);
  }
  return keyCount > 0;
}
