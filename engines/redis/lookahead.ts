/**
 * Looking ahead in a pipeline. A lookup follows a chain of five addresses (bucket, entry, key, object, string), and on a
 * data set larger than the processor's cache each of them is a wait of its own. With several requests in the input, those waits can
 * overlap: the keys of up to 16 requests are hashed first, then all their buckets are read, then all their entries, and so on.
 * The reads change nothing and may be of no use (a request in between may delete the key): they only bring the lines
 * into the cache. The requests are afterwards executed one by one, in order, and find the hash of their key computed.
 *
 * Redis 8 does the same with prefetch instructions; 7.0 does not, so this is a place where the engine is meant to be faster
 * than its original, not alike.
 */
import type { Db } from './db.ts';
import { dictBucketAt } from './structures/dict.ts';
import type { Heap } from './structures/heap.ts';
import { keyHash } from './structures/key-hash.ts';
import { OBJ_ENCODING_RAW } from './structures/robj.ts';

/** Requests looked at together. More would push the first ones' lines out again before they are used. */
const REQUESTS_MAX = 16;
/** A longer argument is not stepped over: its request gains nothing from any of this. */
const ARGUMENT_BYTES_MAX = 9_999;

const CR = 13;
const STAR = 42;
const DOLLAR = 36;

/** Where the number that readNumber read ends (behind its CRLF). */
let numberEnd = 0;

/** Reads up to four digits and CRLF. @returns the number, or -1 when something else or the end comes */
function readNumber(u8: Uint8Array, at: number, end: number): number {
  let value = 0;
  let p = at;
  for (; p < end; p++) {
    const digit = u8[p] - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  if (p === at || p - at > 4 || p + 1 >= end || u8[p] !== CR) return -1;
  numberEnd = p + 2;
  return value;
}

export class Lookahead {
  /** Keys found, in the order of their requests: where they lie, and their hashes. */
  private readonly offsets = new Uint32Array(REQUESTS_MAX);
  private readonly lengths = new Uint32Array(REQUESTS_MAX);
  private readonly hashes = new Uint32Array(REQUESTS_MAX);
  private readonly chain = new Uint32Array(REQUESTS_MAX);
  private count = 0;
  private next = 0;
  /** Where the requests looked at end. */
  private seenTo = 0;
  /** Takes up what was read, so that no compiler may leave the reads out. */
  sink = 0;

  /** Forgets what was found: the input has changed. */
  reset(): void {
    this.count = 0;
    this.next = 0;
    this.seenTo = 0;
  }

  /** Whether the request at `at` lies beyond all that were looked at. */
  isSpent(at: number): boolean {
    return at >= this.seenTo;
  }

  /**
   * Looks at the complete requests of [at, end). Stops at the first that is not plain; one alone is left as it is.
   * @param db where the keys are probably looked up
   */
  scan(h: Heap, db: Db, at: number, end: number): void {
    const u8 = h.u8;
    let count = 0;
    let requests = 0;
    let p = at;
    while (requests < REQUESTS_MAX && p < end && u8[p] === STAR) {
      const argc = readNumber(u8, p + 1, end);
      if (argc < 1) break;
      let q = numberEnd;
      let keyAt = 0;
      let keyLength = 0;
      let i = 0;
      for (; i < argc; i++) {
        if (q >= end || u8[q] !== DOLLAR) break;
        const length = readNumber(u8, q + 1, end);
        if (length < 0 || length > ARGUMENT_BYTES_MAX || numberEnd + length + 2 > end) break;
        if (i === 1) {
          keyAt = numberEnd;
          keyLength = length;
        }
        q = numberEnd + length + 2;
      }
      if (i < argc) break;
      if (keyAt !== 0) {
        this.offsets[count] = keyAt;
        this.lengths[count] = keyLength;
        count++;
      }
      requests++;
      p = q;
    }
    this.next = 0;
    // At least one byte is passed, so that a request that is not plain is not scanned again and again.
    this.seenTo = Math.max(p, at + 1);
    this.count = count > 1 ? count : 0;
    if (count > 1) this.touch(h, db.dict, count);
  }

  /** Tells the heap the hash of the key at `offset`, if it was found ahead. */
  announce(h: Heap, offset: number): void {
    const i = this.next;
    if (i < this.count && this.offsets[i] === offset) {
      h.knownOffset = offset;
      h.knownLength = this.lengths[i];
      h.knownHash = this.hashes[i];
      this.next = i + 1;
    } else {
      h.knownOffset = 0;
    }
  }

  /** Reads along the chains of all keys, link by link. */
  private touch(h: Heap, dict: number, count: number): void {
    const { offsets, lengths, hashes, chain } = this;
    const u8 = h.u8;
    const u32 = h.u32;
    for (let i = 0; i < count; i++) {
      const hash = keyHash(u8, h.view, offsets[i], lengths[i], h.hashKey);
      hashes[i] = hash;
      chain[i] = dictBucketAt(h, dict, hash);
    }
    let sink = 0;
    for (let i = 0; i < count; i++) chain[i] = u32[chain[i] >>> 2];
    // From here on 0 means that there is no such key; reading at offset 0 and near it is harmless.
    for (let i = 0; i < count; i++) sink ^= u32[chain[i] >>> 2];
    for (let i = 0; i < count; i++) {
      const entry = chain[i];
      const key = u32[entry >>> 2];
      if (key !== 0) sink ^= u8[key - 1];
      chain[i] = u32[(entry + 8) >>> 2];
    }
    for (let i = 0; i < count; i++) {
      const object = chain[i];
      const raw = u8[object] >>> 4 === OBJ_ENCODING_RAW;
      chain[i] = raw ? u32[(object + 8) >>> 2] : 0;
    }
    for (let i = 0; i < count; i++) {
      const string = chain[i];
      if (string > 0) sink ^= u8[string - 1] ^ u8[string + 63];
    }
    this.sink = sink;
  }
}
