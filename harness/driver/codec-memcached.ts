/**
 * The client sides of memcached's ASCII and binary protocols for the raw driver, on top of the codec in engines/memcached/protocol.
 *
 * | operation | ASCII | binary | refused |
 * | --- | --- | --- | --- |
 * | get | get key | Get | |
 * | set, add, replace | set, add, replace key 0 ttl n | Set, Add, Replace | NOT_STORED, exists, not found |
 * | append | append key 0 0 n (a missing key is refused, unlike Redis) | Append | NOT_STORED |
 * | delete, touch | delete key; touch key ttl | Delete, Touch | NOT_FOUND |
 * | incr | incr key 1 (a missing key is refused, unlike Redis) | Increment, without initial value | NOT_FOUND |
 * | mget | get key key … | GetQ for each key (opaque: its position), then Noop | |
 * | mset | a set for each key in one write | the same | |
 */
import {
  OP_ADD as BINARY_ADD,
  OP_APPEND as BINARY_APPEND,
  OP_GETQ as BINARY_GETQ,
  OP_NOOP as BINARY_NOOP,
  OP_REPLACE as BINARY_REPLACE,
  OP_SASL_AUTH as BINARY_SASL_AUTH,
  OP_SET as BINARY_SET,
  STATUS_KEY_EEXISTS,
  STATUS_KEY_ENOENT,
  STATUS_NOT_STORED,
  STATUS_SUCCESS,
} from '../../engines/memcached/protocol/binary.ts';
import * as wire from '../../engines/memcached/protocol/encode.ts';
import * as reply from '../../engines/memcached/protocol/reply-parser.ts';
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

/** memcached takes larger expiry times for absolute ones. */
const RELATIVE_EXPIRY_MAX_S = 30 * 24 * 3600;
/** In an Increment: fail where there is no such key. */
const NO_INITIAL_VALUE = 0xffffffff;
/** A key is at most 250 bytes long. */
const KEY_BYTES_MAX = 250;

function expiry(ttlS: number): number {
  return ttlS <= RELATIVE_EXPIRY_MAX_S ? ttlS : Math.floor(Date.now() / 1000) + ttlS;
}

abstract class MemcachedCodec {
  valueAt = 0;
  valueBytes = 0;
  position = 0;
  keyAt = 0;
  keyBytes = 0;
  textAt = 0;
  textBytes = 0;
  nextAt = 0;
  last = true;
  protected readonly data: KeyValueWriter;
  /** The wire functions copy keys from an array. */
  protected readonly scratch = new Uint8Array(2 * KEY_BYTES_MAX);

  constructor(data: KeyValueWriter) {
    this.data = data;
  }

  room(_kind: number, keyCount: number, valueBytes: number): number {
    return (wire.REQUEST_BYTES_MAX + 2) * keyCount + valueBytes + wire.REQUEST_BYTES_MAX;
  }
}

const ASCII_VERBS = new Map([
  [OP_SET, wire.VERB_SET],
  [OP_ADD, wire.VERB_ADD],
  [OP_REPLACE, wire.VERB_REPLACE],
  [OP_APPEND, wire.VERB_APPEND],
]);

export class MemcachedAsciiCodec extends MemcachedCodec implements Codec {
  private readonly parser = new reply.AsciiReplyParser();

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
    const scratch = this.scratch;
    if (kind === OP_MGET) {
      at = wire.asciiGetBegin(u8, at);
      for (let i = 0; i < keyCount; i++) {
        at = wire.asciiGetKey(u8, at, scratch, 0, this.data.writeKey(scratch, 0, keys[keysAt + i]!));
      }
      return wire.asciiGetEnd(u8, at);
    }
    if (kind === OP_MSET) {
      for (let i = 0; i < keyCount; i++) {
        at = this.store(
          u8,
          at,
          wire.VERB_SET,
          keys[keysAt + i]!,
          this.data.valueBytesOf(keys[keysAt + i]!),
          ttlS,
          version,
        );
      }
      return at;
    }
    if (kind === OP_SET) return this.store(u8, at, wire.VERB_SET, key, valueBytes, ttlS, version);
    const length = this.data.writeKey(scratch, 0, key);
    switch (kind) {
      case OP_GET:
        return wire.asciiGet(u8, at, scratch, 0, length);
      case OP_ADD:
      case OP_REPLACE:
        return this.store(u8, at, ASCII_VERBS.get(kind)!, key, valueBytes, ttlS, version);
      case OP_APPEND:
        return this.store(u8, at, wire.VERB_APPEND, key, valueBytes, 0, version);
      case OP_DELETE:
        return wire.asciiDelete(u8, at, scratch, 0, length);
      case OP_TOUCH:
        return wire.asciiTouch(u8, at, scratch, 0, length, expiry(ttlS));
      case OP_INCR:
        return wire.asciiArithmetic(u8, at, false, scratch, 0, length, 1);
      default:
        throw new RangeError(`Cannot encode operation ${kind}: it has no memcached form`);
    }
  }

  parse(u8: Uint8Array, start: number, end: number, kind: number, keyCount: number, seen: number): number {
    const parser = this.parser;
    const found = parser.next(u8, start, end);
    if (found === reply.REPLY_INCOMPLETE) return REPLY_INCOMPLETE;
    if (found === reply.REPLY_BROKEN) return REPLY_BROKEN;
    this.nextAt = parser.nextAt;
    this.last = kind !== OP_MSET || seen + 1 >= keyCount;
    switch (found) {
      case reply.REPLY_VALUE:
        this.valueAt = parser.valueAt;
        this.valueBytes = parser.valueLength;
        this.last = false;
        // The key's position is not told by the protocol: -1 lets the caller compare keys where it matters.
        this.position = kind === OP_GET ? 0 : -1;
        this.keyAt = parser.keyAt;
        this.keyBytes = parser.keyLength;
        return kind === OP_GET || kind === OP_MGET ? REPLY_HIT : REPLY_BROKEN;
      case reply.REPLY_END:
        // A get without VALUE before is a miss; the caller counts the keys of an mget that had none.
        if (kind === OP_GET) return seen === 0 ? REPLY_MISS : REPLY_FINE;
        return kind === OP_MGET ? REPLY_FINE : REPLY_BROKEN;
      case reply.REPLY_STORED:
      case reply.REPLY_DELETED:
      case reply.REPLY_TOUCHED:
      case reply.REPLY_NUMBER:
      case reply.REPLY_OK:
        return REPLY_FINE;
      case reply.REPLY_NOT_STORED:
      case reply.REPLY_NOT_FOUND:
      case reply.REPLY_EXISTS:
        return REPLY_REFUSED;
      case reply.REPLY_ERROR:
      case reply.REPLY_CLIENT_ERROR:
      case reply.REPLY_SERVER_ERROR:
        this.textAt = parser.valueAt;
        this.textBytes = parser.valueLength;
        return REPLY_ERROR;
      default:
        return REPLY_BROKEN;
    }
  }

  /** ASCII authentication (-Y): the first set's value is "user password". */
  handshake(endpoint: Endpoint): { bytes: Uint8Array; replies: number } | null {
    if (endpoint.password === null) return null;
    const value = Buffer.from(`${endpoint.username ?? ''} ${endpoint.password}`, 'utf8');
    return {
      bytes: Buffer.concat([Buffer.from(`set auth 0 0 ${value.length}\r\n`), value, Buffer.from('\r\n')]),
      replies: 1,
    };
  }

  parseHandshake(u8: Uint8Array, start: number, end: number): number {
    return this.parse(u8, start, end, OP_SET, 1, 0);
  }

  private store(
    u8: Uint8Array,
    at: number,
    verb: number,
    key: number,
    bytes: number,
    ttlS: number,
    version: number,
  ): number {
    const length = this.data.writeKey(this.scratch, 0, key);
    at = wire.asciiStore(u8, at, verb, this.scratch, 0, length, 0, expiry(ttlS), bytes);
    return wire.asciiValueEnd(u8, this.data.writeValue(u8, at, key, bytes, version));
  }
}

export class MemcachedBinaryCodec extends MemcachedCodec implements Codec {
  private readonly parser = new reply.BinaryReplyParser();

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
    const scratch = this.scratch;
    if (kind === OP_MGET) {
      for (let i = 0; i < keyCount; i++) {
        const length = this.data.writeKey(scratch, 0, keys[keysAt + i]!);
        at = wire.binaryGet(u8, at, scratch, 0, length, i, BINARY_GETQ);
      }
      return wire.binaryBare(u8, at, keyCount, BINARY_NOOP);
    }
    if (kind === OP_MSET) {
      for (let i = 0; i < keyCount; i++) {
        at = this.store(
          u8,
          at,
          BINARY_SET,
          keys[keysAt + i]!,
          this.data.valueBytesOf(keys[keysAt + i]!),
          ttlS,
          version,
        );
      }
      return at;
    }
    const length = this.data.writeKey(scratch, 0, key);
    switch (kind) {
      case OP_GET:
        return wire.binaryGet(u8, at, scratch, 0, length, 0);
      case OP_SET:
        return this.store(u8, at, BINARY_SET, key, valueBytes, ttlS, version);
      case OP_ADD:
        return this.store(u8, at, BINARY_ADD, key, valueBytes, ttlS, version);
      case OP_REPLACE:
        return this.store(u8, at, BINARY_REPLACE, key, valueBytes, ttlS, version);
      case OP_APPEND:
        at = wire.binaryConcat(u8, at, BINARY_APPEND, scratch, 0, length, valueBytes, 0);
        return this.data.writeValue(u8, at, key, valueBytes, version);
      case OP_DELETE:
        return wire.binaryDelete(u8, at, scratch, 0, length, 0);
      case OP_TOUCH:
        return wire.binaryTouch(u8, at, scratch, 0, length, expiry(ttlS), 0);
      case OP_INCR:
        return wire.binaryArithmetic(u8, at, scratch, 0, length, 1, 0, NO_INITIAL_VALUE, 0);
      default:
        throw new RangeError(`Cannot encode operation ${kind}: it has no memcached form`);
    }
  }

  parse(u8: Uint8Array, start: number, end: number, kind: number, keyCount: number, seen: number): number {
    const parser = this.parser;
    const found = parser.next(u8, start, end);
    if (found === reply.BINARY_INCOMPLETE) return REPLY_INCOMPLETE;
    if (found === reply.BINARY_BROKEN) return REPLY_BROKEN;
    this.nextAt = parser.nextAt;
    this.last = kind === OP_MGET ? parser.opcode === BINARY_NOOP : kind !== OP_MSET || seen + 1 >= keyCount;
    switch (parser.status) {
      case STATUS_SUCCESS:
        if (kind !== OP_GET && (kind !== OP_MGET || this.last)) return REPLY_FINE;
        this.valueAt = parser.valueAt;
        this.valueBytes = parser.valueLength;
        this.position = parser.opaque;
        return REPLY_HIT;
      case STATUS_KEY_ENOENT:
        return kind === OP_GET || kind === OP_MGET ? REPLY_MISS : REPLY_REFUSED;
      case STATUS_KEY_EEXISTS:
      case STATUS_NOT_STORED:
        return REPLY_REFUSED;
      default:
        this.textAt = parser.valueAt;
        this.textBytes = parser.valueLength;
        return REPLY_ERROR;
    }
  }

  /** SASL PLAIN. */
  handshake(endpoint: Endpoint): { bytes: Uint8Array; replies: number } | null {
    if (endpoint.password === null) return null;
    const key = Buffer.from('PLAIN');
    const value = Buffer.from(`\0${endpoint.username ?? ''}\0${endpoint.password}`, 'utf8');
    const bytes = new Uint8Array(wire.REQUEST_BYTES_MAX + value.length);
    let at = wire.binaryHeader(bytes, 0, BINARY_SASL_AUTH, key.length, 0, key.length + value.length, 0);
    bytes.set(key, at);
    bytes.set(value, (at += key.length));
    return { bytes: bytes.slice(0, at + value.length), replies: 1 };
  }

  parseHandshake(u8: Uint8Array, start: number, end: number): number {
    const found = this.parse(u8, start, end, OP_SET, 1, 0);
    return found === REPLY_REFUSED ? REPLY_ERROR : found;
  }

  private store(
    u8: Uint8Array,
    at: number,
    opcode: number,
    key: number,
    bytes: number,
    ttlS: number,
    version: number,
  ): number {
    const length = this.data.writeKey(this.scratch, 0, key);
    at = wire.binaryStore(u8, at, this.scratch, 0, length, 0, expiry(ttlS), bytes, 0, opcode);
    return this.data.writeValue(u8, at, key, bytes, version);
  }
}
