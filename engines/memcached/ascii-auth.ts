/**
 * Who an ASCII client is, where the server wants to know (-Y): the first command must be a `set` whose value is "name password". Its key,
 * flags and time do not matter. Of the replies to what one read brought only the last leaves, as in the original.
 */
import type { Core } from './core.ts';
import { parseU32 } from './numbers.ts';
import { bytesOf, equals, STORED } from './replies.ts';
import { AUTHENTICATED } from './sasl.ts';

const SET = bytesOf('set');
const UNAUTHENTICATED = bytesOf('CLIENT_ERROR unauthenticated\r\n');
const BAD_TERMINATION = bytesOf('CLIENT_ERROR bad command line termination\r\n');
const BAD_TOKEN = bytesOf('CLIENT_ERROR bad authentication token format\r\n');
const FAILURE = bytesOf('CLIENT_ERROR authentication failure\r\n');

const INCOMPLETE = -1;
/** A line without an end may not grow beyond this. */
const LINE_BYTES_MAX = 2_048;
/** What the original can hold of a value: more closes the connection as soon as so much of it is there. */
const VALUE_BYTES_MAX = 16_384;
const WORDS_MAX = 23;
const SIZE_MAX = 0x7fffffff - 2;

export class AsciiAuth {
  readonly #core: Core;
  readonly #wordAt = new Float64Array(WORDS_MAX);
  readonly #wordLength = new Int32Array(WORDS_MAX);

  constructor(core: Core) {
    this.#core = core;
  }

  /** Looks at what begins at `at`. @returns the offset behind what it has taken, or -1 when it wants to see more */
  execute(conn: number, at: number, end: number): number {
    const core = this.#core;
    const { u8 } = core;
    if (end - at < 2) return INCOMPLETE;
    let eol = at;
    while (eol < end && u8[eol] !== 10) eol++;
    if (eol === end) {
      if (end - at <= LINE_BYTES_MAX) return INCOMPLETE;
      core.connections.closeNow(conn);
      return end;
    }
    const size = this.#valueSize(at, eol);
    if (size < 0) {
      this.#reply(UNAUTHENTICATED);
      return eol + 1;
    }
    const valueAt = eol + 1;
    const next = valueAt + size + 2;
    if (size + 2 > VALUE_BYTES_MAX && end - valueAt >= VALUE_BYTES_MAX) {
      core.connections.closeNow(conn);
      return end;
    }
    if (next > end) return INCOMPLETE;
    core.connections.lastCommandTime[conn] = core.items.now;
    if (u8[next - 2] !== 13 || u8[next - 1] !== 10) this.#reply(BAD_TERMINATION);
    else this.#check(conn, valueAt, next - 2);
    return next;
  }

  /** The length that a `set` tells, -1 when the line is something else. */
  #valueSize(at: number, end: number): number {
    const { u8 } = this.#core;
    const count = this.#cut(at, end);
    if (count < 5 || !equals(u8, this.#wordAt[0]!, this.#wordLength[0]!, SET)) return -1;
    const sizeAt = this.#wordAt[4]!;
    let length = this.#wordLength[4]!;
    // The line's end may be CR LF, of which the CR is still there.
    if (u8[sizeAt + length - 1] === 13) length--;
    const size = parseU32(u8, sizeAt, sizeAt + length);
    return size > SIZE_MAX ? -1 : size;
  }

  #check(conn: number, at: number, end: number) {
    const core = this.#core;
    if (this.#cut(at, end) < 2) return this.#reply(BAD_TOKEN);
    core.counters.authCmds++;
    const [userAt, passwordAt] = [this.#wordAt[0]!, this.#wordAt[1]!];
    if (core.credentials.matches(core.u8, userAt, this.#wordLength[0]!, passwordAt, this.#wordLength[1]!)) {
      core.connections.auth[conn] = AUTHENTICATED;
      core.connections.admitAscii(conn);
      return this.#reply(STORED);
    }
    core.counters.authErrors++;
    this.#reply(FAILURE);
  }

  #reply(bytes: Uint8Array) {
    this.#core.output.dropUncommitted();
    this.#core.output.write(bytes);
  }

  /** Cuts [at, end) at spaces, up to a NUL. @returns the number of words, not more than there is room for */
  #cut(at: number, end: number): number {
    const { u8 } = this.#core;
    let count = 0;
    for (let p = at; p < end && u8[p] !== 0 && count < WORDS_MAX; ) {
      while (p < end && u8[p] === 32) p++;
      const start = p;
      while (p < end && u8[p] !== 32 && u8[p] !== 0) p++;
      if (p === start) break;
      this.#wordAt[count] = start;
      this.#wordLength[count++] = p - start;
    }
    return count;
  }
}
