/**
 * Names and passwords: how the files of -Y and of MEMCACHED_SASL_PWDB are read, and how what a client shows is checked. The files' content is
 * handed in by the server to one thread and lies in the arena, where the others find it. Comparing takes as long for a wrong password as for a right one, whichever line it stands in.
 */

import type { Memory } from '../ports.ts';
import { LOCK_SETTINGS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { CELL_CREDENTIALS, type SharedBlock } from './shared-block.ts';

const PAGE_BYTES = 4_096;
/** A line of either file is read in pieces of so many bytes at most. */
const LINE_BYTES_MAX = 255;
/** Users of -Y; further lines are not looked at. */
const USERS_MAX = 8;
/** Name and password of a SASL client together. */
const SASL_BYTES_MAX = 252;

const COLON = 58;
const CR = 13;
const LF = 10;

export interface Entry {
  readonly user: Uint8Array;
  readonly password: Uint8Array;
  /** Whether the password may be followed by further fields, behind a colon. */
  readonly hasFields: boolean;
}

export class Credentials {
  readonly #memory: Memory;
  readonly #locks: Locks;
  /** Index of the cells. */
  readonly #cells: number;
  readonly #isAuthFile: boolean;
  #entries: readonly Entry[] = [];
  #generation = 0;

  /** @param isAuthFile the file is that of -Y, else one for SASL */
  constructor(memory: Memory, block: SharedBlock, locks: Locks, isAuthFile: boolean) {
    this.#memory = memory;
    this.#locks = locks;
    this.#cells = block.cell(CELL_CREDENTIALS);
    this.#isAuthFile = isAuthFile;
  }

  /**
   * What counts from now on, in every thread.
   * @param text content of the file, one character a byte
   * @returns false when it is malformed: what counted before then stays in force
   */
  set(text: string): boolean {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const entries = this.#isAuthFile ? readAuthFile(bytes) : readPasswordFile(bytes);
    if (entries === null) return false;
    const { u8, u32 } = this.#memory;
    const pages = Math.max(1, Math.ceil(bytes.length / PAGE_BYTES));
    const at = this.#memory.takePages(pages);
    if (at === 0) return false;
    u8.set(bytes, at);
    this.#locks.take(LOCK_SETTINGS);
    const [oldAt, oldPages] = [u32[this.#cells]!, u32[this.#cells + 2]!];
    u32[this.#cells] = at;
    u32[this.#cells + 1] = bytes.length;
    u32[this.#cells + 2] = pages;
    u32[this.#cells + 3]!++;
    if (oldAt !== 0) {
      u8.fill(0, oldAt, oldAt + oldPages * PAGE_BYTES);
      this.#memory.givePages(oldAt, oldPages);
    }
    this.#locks.give(LOCK_SETTINGS);
    return true;
  }

  #refresh(): void {
    const { u8, u32 } = this.#memory;
    if (u32[this.#cells + 3] === this.#generation) return;
    this.#locks.take(LOCK_SETTINGS);
    const at = u32[this.#cells]!;
    const bytes = u8.slice(at, at + u32[this.#cells + 1]!);
    this.#generation = u32[this.#cells + 3]!;
    this.#locks.give(LOCK_SETTINGS);
    this.#entries = (this.#isAuthFile ? readAuthFile(bytes) : readPasswordFile(bytes)) ?? [];
  }

  /** Whether a client's name and password, as bytes of `u8`, are known. */
  matches(u8: Uint8Array, userAt: number, userLength: number, passwordAt: number, passwordLength: number): boolean {
    this.#refresh();
    let found = 0;
    for (const { user, password, hasFields } of this.#entries) {
      if (hasFields && userLength + passwordLength > SASL_BYTES_MAX) continue;
      const known = hasFields ? fieldOf(password, passwordLength) : password;
      found |= isSame(u8, userAt, userLength, user) & isSame(u8, passwordAt, passwordLength, known);
    }
    return found === 1;
  }
}

/** Lines of `user:password`, which may be followed by `:` and more. Of two lines for a user the first counts. */
export function readPasswordFile(bytes: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = lineEnd(bytes, at, LINE_BYTES_MAX);
    const line = untilNul(bytes.subarray(at, end));
    at = end;
    const colon = line.indexOf(COLON);
    if (colon < 0) continue;
    let last = line.length;
    while (last > colon + 1 && (line[last - 1] === LF || line[last - 1] === CR)) last--;
    const user = line.slice(0, colon);
    if (entries.some((entry) => isSame(user, 0, user.length, entry.user) === 1)) continue;
    entries.push({ user, password: line.slice(colon + 1, last), hasFields: true });
  }
  return entries;
}

/**
 * The file of -Y: at most eight lines of `user:password`. Read as the original reads it, which takes lines into a buffer as large as the
 * file: without a line end behind the only line its last character is lost.
 * @returns null when a line has no colon
 */
export function readAuthFile(bytes: Uint8Array): Entry[] | null {
  const entries: Entry[] = [];
  let room = bytes.length;
  for (let at = 0; at < bytes.length && entries.length < USERS_MAX; ) {
    const end = lineEnd(bytes, at, Math.min(room - 1, LINE_BYTES_MAX));
    const line = untilNul(bytes.subarray(at, end));
    const colon = line.indexOf(COLON);
    if (colon < 0) return null;
    let last = colon + 1;
    while (last < line.length && line[last] !== LF && line[last] !== CR) last++;
    entries.push({ user: line.slice(0, colon), password: line.slice(colon + 1, last), hasFields: false });
    // A line that was cut, or ends with a NUL, is taken for the file's end.
    if (last === line.length) break;
    room -= last;
    at = end;
  }
  return entries;
}

/** A password of so many bytes may be the start of what stands in the file, as long as a colon follows. */
function fieldOf(password: Uint8Array, length: number): Uint8Array {
  return password[length] === COLON ? password.subarray(0, length) : password;
}

/** @returns 1 when bytes are the same, else 0, after a time that only depends on the length asked for */
function isSame(u8: Uint8Array, at: number, length: number, known: Uint8Array): number {
  let difference = length ^ known.length;
  for (let i = 0; i < length; i++) difference |= u8[at + i]! ^ (known[i] ?? 0);
  return difference === 0 ? 1 : 0;
}

/** Behind the line end of what begins at `at`, or after `max` bytes. */
function lineEnd(bytes: Uint8Array, at: number, max: number): number {
  const limit = Math.min(bytes.length, at + max);
  for (let i = at; i < limit; i++) if (bytes[i] === LF) return i + 1;
  return limit;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}
