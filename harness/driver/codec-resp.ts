/**
 * The client side of RESP2 for the raw driver.
 *
 * | operation | command | refused |
 * | --- | --- | --- |
 * | get | GET key | |
 * | set | SET key value [EX ttl] | |
 * | add | SET key value [EX ttl] NX | nil |
 * | replace | SET key value [EX ttl] XX | nil |
 * | append | APPEND key value (creates a missing key, unlike memcached) | |
 * | delete | DEL key | 0 |
 * | touch | EXPIRE key ttl, or PERSIST key without ttl | 0 |
 * | incr | INCR key (creates a missing key, unlike memcached) | |
 * | mget | MGET key … | |
 * | mset | MSET key value …; with ttl, which MSET has not, one SET … EX for each key in one write | |
 */
import { encodeBulkHead, encodeCrlf, encodeHead, encodeUint } from '../../engines/redis/protocol/encode.ts';
import {
  OP_ADD,
  OP_APPEND,
  OP_DELETE,
  OP_GET,
  OP_INCR,
  OP_MGET,
  OP_MSET,
  OP_REPLACE,
  OP_SET,
  OP_TOUCH,
} from '../workload/operation.ts';
import {
  type Codec,
  type KeyValueWriter,
  REPLY_BROKEN,
  REPLY_ERROR,
  REPLY_FINE,
  REPLY_HIT,
  REPLY_INCOMPLETE,
  REPLY_MISS,
  REPLY_REFUSED,
} from './codec.ts';
import type { Endpoint } from './load-plan.ts';

const CR = 13;
const LF = 10;
const DOLLAR = 36;
const STAR = 42;
const MINUS = 45;
const COLON = 58;
const PLUS = 43;
const ZERO = 48;
/** Room for the fixed part of any command: verb, lengths, options. */
const COMMAND_BYTES = 128;
/** Room for a key's length line and the line end behind it; the longest key is far below. */
const KEY_BYTES = 1_100;
/** A reply line longer than this is no reply. */
const LINE_MAX = 65_536;

function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/** `*argc\r\n$n\r\nVERB\r\n` */
function head(argc: number, verb: string): Uint8Array {
  return ascii(`*${argc}\r\n$${verb.length}\r\n${verb}\r\n`);
}

const GET = head(2, 'GET');
const SET = head(3, 'SET');
const SET_EX = head(5, 'SET');
const SET_FLAG = head(4, 'SET');
const SET_EX_FLAG = head(6, 'SET');
const APPEND = head(3, 'APPEND');
const DEL = head(2, 'DEL');
const EXPIRE = head(3, 'EXPIRE');
const PERSIST = head(2, 'PERSIST');
const INCR = head(2, 'INCR');
const EX = ascii('$2\r\nEX\r\n');
const NX = ascii('$2\r\nNX\r\n');
const XX = ascii('$2\r\nXX\r\n');
const MGET = ascii('$4\r\nMGET\r\n');
const MSET = ascii('$4\r\nMSET\r\n');
const NONE = new Uint8Array(0);

function put(u8: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) u8[at + i] = bytes[i]!;
  return at + bytes.length;
}

export class RespCodec implements Codec {
  valueAt = 0;
  valueBytes = 0;
  position = 0;
  keyAt = 0;
  keyBytes = 0;
  textAt = 0;
  textBytes = 0;
  nextAt = 0;
  last = true;
  private readonly data: KeyValueWriter;
  /** An mset with ttl is several SETs; one driver uses ttl for all or none of its msets within what is in flight. */
  private readonly msetAsSets: boolean;

  /** @param msetAsSets whether msets carry a ttl (then they are sent as single SETs, and each has a reply) */
  constructor(data: KeyValueWriter, msetAsSets: boolean) {
    this.data = data;
    this.msetAsSets = msetAsSets;
  }

  room(_kind: number, keyCount: number, valueBytes: number): number {
    return (COMMAND_BYTES + KEY_BYTES) * keyCount + valueBytes + COMMAND_BYTES;
  }

  encode(
    u8: Uint8Array,
    at: number,
    kind: number,
    keys: Uint32Array,
    keysAt: number,
    keyCount: number,
    valueBytes: number,
    ttlS: number,
    version: number,
  ): number {
    const key = keys[keysAt]!;
    switch (kind) {
      case OP_GET:
        return this.key(u8, put(u8, at, GET), key);
      case OP_SET:
        return this.set(u8, at, SET, SET_EX, NONE, key, valueBytes, ttlS, version);
      case OP_ADD:
        return this.set(u8, at, SET_FLAG, SET_EX_FLAG, NX, key, valueBytes, ttlS, version);
      case OP_REPLACE:
        return this.set(u8, at, SET_FLAG, SET_EX_FLAG, XX, key, valueBytes, ttlS, version);
      case OP_APPEND:
        return this.value(u8, this.key(u8, put(u8, at, APPEND), key), key, valueBytes, version);
      case OP_DELETE:
        return this.key(u8, put(u8, at, DEL), key);
      case OP_TOUCH:
        if (ttlS === 0) return this.key(u8, put(u8, at, PERSIST), key);
        return encodeUint(u8, this.key(u8, put(u8, at, EXPIRE), key), ttlS);
      case OP_INCR:
        return this.key(u8, put(u8, at, INCR), key);
      case OP_MGET:
        at = put(u8, encodeHead(u8, at, keyCount + 1), MGET);
        for (let i = 0; i < keyCount; i++) at = this.key(u8, at, keys[keysAt + i]!);
        return at;
      case OP_MSET:
        if (this.msetAsSets) {
          for (let i = 0; i < keyCount; i++) {
            at = this.set(
              u8,
              at,
              SET,
              SET_EX,
              NONE,
              keys[keysAt + i]!,
              this.data.valueBytesOf(keys[keysAt + i]!),
              ttlS,
              version,
            );
          }
          return at;
        }
        at = put(u8, encodeHead(u8, at, 2 * keyCount + 1), MSET);
        for (let i = 0; i < keyCount; i++) {
          const each = keys[keysAt + i]!;
          at = this.value(u8, this.key(u8, at, each), each, this.data.valueBytesOf(keys[keysAt + i]!), version);
        }
        return at;
      default:
        throw new RangeError(`Cannot encode operation ${kind}: it has no RESP form`);
    }
  }

  parse(u8: Uint8Array, start: number, end: number, kind: number, keyCount: number, seen: number): number {
    const first = u8[start]!;
    // The commonest replies are told by their first bytes.
    if (first === DOLLAR) {
      this.last = kind !== OP_MGET || seen === keyCount;
      this.position = kind === OP_MGET ? seen - 1 : 0;
      return this.bulk(u8, start, end, kind);
    }
    if (!this.line(u8, start, end)) return end - start > LINE_MAX ? REPLY_BROKEN : REPLY_INCOMPLETE;
    this.last = kind !== OP_MSET || !this.msetAsSets || seen + 1 >= keyCount;
    switch (first) {
      case PLUS:
        return REPLY_FINE;
      case MINUS:
        if (kind === OP_MGET) this.last = true;
        return REPLY_ERROR;
      case COLON:
        return (kind === OP_DELETE || kind === OP_TOUCH) && u8[start + 1] === ZERO ? REPLY_REFUSED : REPLY_FINE;
      case STAR:
        // The head of an mget's array; its elements follow as replies of their own.
        if (kind !== OP_MGET || seen !== 0) return REPLY_BROKEN;
        this.last = false;
        return REPLY_FINE;
      default:
        return REPLY_BROKEN;
    }
  }

  /** `$n\r\n…\r\n` or `$-1\r\n`. */
  private bulk(u8: Uint8Array, start: number, end: number, kind: number): number {
    let at = start + 1;
    if (at < end && u8[at] === MINUS) {
      if (end - start < 5) return REPLY_INCOMPLETE;
      this.nextAt = start + 5;
      return kind === OP_GET || kind === OP_MGET ? REPLY_MISS : REPLY_REFUSED;
    }
    let length = 0;
    while (at < end) {
      const digit = u8[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
      at++;
    }
    if (at + 2 + length + 2 > end) return at - start > 20 ? REPLY_BROKEN : REPLY_INCOMPLETE;
    if (u8[at] !== CR || u8[at + 1] !== LF) return REPLY_BROKEN;
    this.valueAt = at + 2;
    this.valueBytes = length;
    this.nextAt = at + 2 + length + 2;
    return u8[this.nextAt - 1] === LF ? REPLY_HIT : REPLY_BROKEN;
  }

  /** Finds the end of a line and sets text and nextAt; false when it is not there yet. */
  private line(u8: Uint8Array, start: number, end: number): boolean {
    for (let at = start + 1; at < end; at++) {
      if (u8[at] !== LF) continue;
      this.textAt = start + 1;
      this.textBytes = at - 1 - this.textAt;
      this.nextAt = at + 1;
      return true;
    }
    return false;
  }

  handshake(endpoint: Endpoint): { bytes: Uint8Array; replies: number } | null {
    const commands: string[][] = [];
    if (endpoint.password !== null) {
      commands.push(['AUTH', ...(endpoint.username !== null ? [endpoint.username] : []), endpoint.password]);
    }
    if (endpoint.database !== 0) commands.push(['SELECT', String(endpoint.database)]);
    if (commands.length === 0) return null;
    const parts: Uint8Array[] = [];
    for (const command of commands) {
      parts.push(ascii(`*${command.length}\r\n`));
      for (const word of command) {
        const bytes = Buffer.from(word, 'utf8');
        parts.push(ascii(`$${bytes.length}\r\n`), bytes, ascii('\r\n'));
      }
    }
    return { bytes: Uint8Array.from(Buffer.concat(parts)), replies: commands.length };
  }

  parseHandshake(u8: Uint8Array, start: number, end: number): number {
    if (!this.line(u8, start, end)) return end - start > LINE_MAX ? REPLY_BROKEN : REPLY_INCOMPLETE;
    if (u8[start] === PLUS) return REPLY_FINE;
    return u8[start] === MINUS ? REPLY_ERROR : REPLY_BROKEN;
  }

  private key(u8: Uint8Array, at: number, index: number): number {
    return encodeCrlf(u8, this.data.writeKey(u8, encodeBulkHead(u8, at, this.data.keyLength(index)), index));
  }

  private value(u8: Uint8Array, at: number, index: number, bytes: number, version: number): number {
    return encodeCrlf(u8, this.data.writeValue(u8, encodeBulkHead(u8, at, bytes), index, bytes, version));
  }

  private set(
    u8: Uint8Array,
    at: number,
    plain: Uint8Array,
    withTtl: Uint8Array,
    flag: Uint8Array,
    key: number,
    valueBytes: number,
    ttlS: number,
    version: number,
  ): number {
    at = this.value(u8, this.key(u8, put(u8, at, ttlS > 0 ? withTtl : plain), key), key, valueBytes, version);
    if (ttlS > 0) at = encodeUint(u8, put(u8, at, EX), ttlS);
    return put(u8, at, flag);
  }
}
