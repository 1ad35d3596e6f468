/**
 * Names and passwords: how the files of -Y and of MEMCACHED_SASL_PWDB are read, and how what a client shows is checked. The files' content is
 * handed in by the server. Comparing takes as long for a wrong password as for a right one, whichever line it stands in.
 */

/** A line of either file is read in pieces of so many bytes at most. */
const LINE_BYTES_MAX = 255;
/** Users of -Y; further lines are not looked at. */
const USERS_MAX = 8;
/** Name and password of a SASL client together. */
const SASL_BYTES_MAX = 252;

const COLON = 58;
const CR = 13;
const LF = 10;

interface Entry {
  readonly user: Uint8Array;
  readonly password: Uint8Array;
  /** Whether the password may be followed by further fields, behind a colon. */
  readonly hasFields: boolean;
}

export class Credentials {
  #entries: readonly Entry[] = [];

  /** Content of a password file for SASL: lines of `user:password`, which may be followed by `:` and more. Of two lines for a user the first counts. */
  readPasswordFile(text: string): void {
    const entries: Entry[] = [];
    const bytes = bytesOf(text);
    for (let at = 0; at < bytes.length; ) {
      const end = lineEnd(bytes, at, LINE_BYTES_MAX);
      const line = untilNul(bytes.subarray(at, end));
      const colon = line.indexOf(COLON);
      if (colon >= 0) {
        let last = line.length;
        while (last > colon + 1 && (line[last - 1] === LF || line[last - 1] === CR)) last--;
        entries.push({ user: line.slice(0, colon), password: line.slice(colon + 1, last), hasFields: true });
      }
      at = end;
    }
    this.#entries = entries;
  }

  /**
   * Content of the file of -Y: at most eight lines of `user:password`. Read as the original reads it, which takes lines into a buffer as large
   * as the file: without a line end behind the only line its last character is lost.
   * @returns false when a line has no colon; what was read before then stays in force
   */
  readAuthFile(text: string): boolean {
    const bytes = bytesOf(text);
    const entries: Entry[] = [];
    let room = bytes.length;
    for (let at = 0; at < bytes.length && entries.length < USERS_MAX; ) {
      const end = lineEnd(bytes, at, Math.min(room - 1, LINE_BYTES_MAX));
      if (end === at) break;
      const line = untilNul(bytes.subarray(at, end));
      const colon = line.indexOf(COLON);
      if (colon < 0) return false;
      let last = colon + 1;
      while (last < line.length && line[last] !== LF && line[last] !== CR) last++;
      entries.push({ user: line.slice(0, colon), password: line.slice(colon + 1, last), hasFields: false });
      // A line that was cut, or ends with a NUL, is taken for the file's end.
      if (last === line.length) break;
      room -= last;
      at = end;
    }
    this.#entries = entries;
    return true;
  }

  /** Whether a client's name and password, as bytes of `u8`, are known. */
  matches(u8: Uint8Array, userAt: number, userLength: number, passwordAt: number, passwordLength: number): boolean {
    let found = 0;
    for (const { user, password, hasFields } of this.#entries) {
      if (hasFields && userLength + passwordLength > SASL_BYTES_MAX) continue;
      const known = hasFields ? fieldOf(password, passwordLength) : password;
      found |= isSame(u8, userAt, userLength, user) & isSame(u8, passwordAt, passwordLength, known);
    }
    return found === 1;
  }
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

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
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
