/**
 * What the state machine of the raw driver asks of a protocol: requests stored straight into output memory, replies told apart in
 * place. A worker uses one codec for its whole life, so calls through this interface stay monomorphic.
 *
 * An operation may be answered by several replies (an mget by one for each key, a memcached get by VALUE and END). `parse` is called
 * for one reply at a time; the caller keeps how many replies of the operation it has seen (`seen`) and passes it back.
 */
import type { Endpoint } from './load-plan.ts';

/** What `parse` found. */
export const REPLY_INCOMPLETE = 0;
/** Done as asked, nothing to count (stored, deleted, a reply that ends a list, …). */
export const REPLY_FINE = 1;
/** One key had a value: see valueAt and valueBytes. */
export const REPLY_HIT = 2;
/** One key had none. */
export const REPLY_MISS = 3;
/** Refused as the protocol foresees: add of a key that is there, replace, append, touch, delete or incr of one that is not. */
export const REPLY_REFUSED = 4;
/** An error reply: see textAt and textBytes. */
export const REPLY_ERROR = 5;
/** These bytes are no reply of the protocol: the connection is lost. */
export const REPLY_BROKEN = 6;

/** Writes keys and values; harness/workload has the real one. Everything returns the offset behind what was stored. */
export interface KeyValueWriter {
  keyLength(index: number): number;
  valueBytesOf(index: number): number;
  writeKey(u8: Uint8Array, offset: number, index: number): number;
  writeValue(u8: Uint8Array, offset: number, index: number, bytes: number, version: number): number;
  checkValue(u8: Uint8Array, offset: number, bytes: number, index: number): boolean;
}

/** Requests and replies of one protocol. `kind` is a number of harness/workload/operation.ts. */
export interface Codec {
  /** After HIT: where the value lies in the array that was parsed. */
  valueAt: number;
  valueBytes: number;
  /** After HIT: position of its key among those asked for (0 for a single key), or -1: compare its key (keyAt, keyBytes). */
  position: number;
  keyAt: number;
  keyBytes: number;
  /** After ERROR: the text. */
  textAt: number;
  textBytes: number;
  /** Behind the reply, after all but INCOMPLETE and BROKEN. */
  nextAt: number;
  /** Whether that reply was the operation's last. */
  last: boolean;
  /** @returns the most bytes that `encode` can store for this operation */
  room(kind: number, keyCount: number, valueBytes: number): number;
  /**
   * Stores the request.
   * @param keys key numbers from `keysAt` on; their count is `keyCount`
   * @param valueBytes of a single-key operation with a value (an mset asks the data set for each)
   * @param ttlS 0: none
   * @param version goes into values
   * @returns the offset behind it
   */
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
  ): number;
  /** Reads one reply of an operation of `kind` that has had `seen` replies before. */
  parse(u8: Uint8Array, start: number, end: number, kind: number, keyCount: number, seen: number): number;
  /** What is sent first on a connection (authentication, database), and how many replies it has; null: nothing. */
  handshake(endpoint: Endpoint): { bytes: Uint8Array; replies: number } | null;
  /** Reads one reply of the handshake: FINE, ERROR, INCOMPLETE or BROKEN. */
  parseHandshake(u8: Uint8Array, start: number, end: number): number;
}

/** Text of bytes that may lie in shared memory; not for hot paths. */
export function textOf(u8: Uint8Array, at: number, bytes: number): string {
  return Buffer.from(u8.subarray(at, at + Math.min(bytes, 300))).toString('latin1');
}
