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
import { dictBucketAt, dictFindQuietly } from './structures/dict.ts';
import type { Heap } from './structures/heap.ts';
import { keyHash } from './structures/key-hash.ts';
import {
  OBJ_ENCODING_HT,
  OBJ_ENCODING_RAW,
  OBJ_ENCODING_SKIPLIST,
  OBJ_HASH,
  OBJ_SET,
  OBJ_ZSET,
} from './structures/robj.ts';
import { sdsLen } from './structures/sds.ts';
import { zslFirst, zslLast, zslMember, zslNext, zslPrevious } from './structures/skiplist.ts';

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

/** Which argument of a command on a container names the member that is looked up in its hash table, by type; 0: none does. */
const MEMBER_ARGUMENT = new Uint8Array(16);
MEMBER_ARGUMENT[OBJ_SET] = 2;
MEMBER_ARGUMENT[OBJ_HASH] = 2;
MEMBER_ARGUMENT[OBJ_ZSET] = 3;

/** The hash table inside a value, 0: it has none. */
function tableOf(h: Heap, object: number): number {
  const head = h.u8[object];
  const pointer = h.u32[(object + 8) >>> 2];
  const encoding = head >>> 4;
  if (encoding === OBJ_ENCODING_HT) return pointer;
  // The struct of a sorted set begins with its table.
  return encoding === OBJ_ENCODING_SKIPLIST ? h.u32[pointer >>> 2] : 0;
}

/** Stands for the length of a member that has one in its header. */
const POPPED = 0xffffffff;
const FROM_START = 1;
const FROM_END = 2;

/** Whether the request at `at` is a ZPOPMIN or ZPOPMAX of one member. @returns FROM_START, FROM_END or 0 */
function popsFrom(u8: Uint8Array, at: number): number {
  // "*2\r\n$7\r\nZPOPMIN": no other name of seven letters has these two.
  if (u8[at + 1] !== 50 || u8[at + 5] !== 55) return 0;
  if ((u8[at + 9] | 0x20) !== 112 || (u8[at + 10] | 0x20) !== 111) return 0;
  return (u8[at + 14] | 0x20) === 120 ? FROM_END : FROM_START;
}

/** The node that a pop takes after `before` (0: the first pop); 0: none is left. */
function nextToPop(h: Heap, zsl: number, before: number, from: number): number {
  if (from === FROM_START) return before === 0 ? zslFirst(h, zsl) : zslNext(h, before);
  return before === 0 ? zslLast(h, zsl) : zslPrevious(h, before);
}

export class Lookahead {
  /** Keys found, in the order of their requests: where they lie, and their hashes. */
  private readonly offsets = new Uint32Array(REQUESTS_MAX);
  private readonly lengths = new Uint32Array(REQUESTS_MAX);
  private readonly hashes = new Int32Array(REQUESTS_MAX);
  private readonly chain = new Uint32Array(REQUESTS_MAX);
  private count = 0;
  private next = 0;
  /** Where the requests looked at end. */
  private seenTo = 0;
  /** What the request read last has: where its key and the argument `wanted` lie; 0: nowhere. */
  private keyAt = 0;
  private keyLength = 0;
  private memberAt = 0;
  private memberLength = 0;
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
   * Looks at the complete requests of [at, end). Stops at the first that is not plain; one alone is left as it is. When the first two
   * are about one key, that key's value is in the cache anyway: then it is its members that are looked at, if it is large.
   * @param db where the keys are probably looked up
   */
  scan(h: Heap, db: Db, at: number, end: number): void {
    this.next = 0;
    this.count = 0;
    let count = 0;
    let requests = 0;
    let p = at;
    while (requests < REQUESTS_MAX) {
      const next = this.readRequest(h.u8, p, end, 0);
      if (next === 0) break;
      if (this.keyAt !== 0) {
        if (count === 1 && this.keyLength === this.lengths[0] && h.equal(this.keyAt, this.offsets[0], this.keyLength)) {
          this.seenTo = this.scanMembers(h, db, at, end);
          return;
        }
        this.offsets[count] = this.keyAt;
        this.lengths[count] = this.keyLength;
        count++;
      }
      requests++;
      p = next;
    }
    // At least one byte is passed, so that a request that is not plain is not scanned again and again.
    this.seenTo = Math.max(p, at + 1);
    this.count = count > 1 ? count : 0;
    if (count > 1) this.touch(h, db.dict, count);
  }

  /** Reads a complete request of plain arguments. @param wanted an argument whose place is wanted too @returns its end, or 0 */
  private readRequest(u8: Uint8Array, at: number, end: number, wanted: number): number {
    this.keyAt = 0;
    this.memberAt = 0;
    if (at >= end || u8[at] !== STAR) return 0;
    const argc = readNumber(u8, at + 1, end);
    if (argc < 1) return 0;
    let q = numberEnd;
    for (let i = 0; i < argc; i++) {
      if (q >= end || u8[q] !== DOLLAR) return 0;
      const length = readNumber(u8, q + 1, end);
      if (length < 0 || length > ARGUMENT_BYTES_MAX || numberEnd + length + 2 > end) return 0;
      if (i === 1) {
        this.keyAt = numberEnd;
        this.keyLength = length;
      } else if (i === wanted) {
        this.memberAt = numberEnd;
        this.memberLength = length;
      }
      q = numberEnd + length + 2;
    }
    return q;
  }

  /** The requests are about one key: looks at the members that they name. @returns where it stopped looking */
  private scanMembers(h: Heap, db: Db, at: number, end: number): number {
    const entry = dictFindQuietly(h, db.dict, this.offsets[0], this.lengths[0]);
    if (entry === 0) return end;
    const object = h.u32[(entry + 8) >>> 2];
    const wanted = MEMBER_ARGUMENT[h.u8[object] & 15];
    const table = wanted === 0 ? 0 : tableOf(h, object);
    // What is not worth looking at in this input is not looked at again.
    if (table === 0) return end;
    let count = 0;
    let p = at;
    let popped = 0;
    for (let requests = 0; requests < REQUESTS_MAX; requests++) {
      const next = this.readRequest(h.u8, p, end, wanted);
      if (next === 0) break;
      const pops = wanted === MEMBER_ARGUMENT[OBJ_ZSET] ? popsFrom(h.u8, p) : 0;
      p = next;
      if (pops !== 0) {
        // Each of several pops takes the next node.
        popped = nextToPop(h, h.u32[(h.u32[(object + 8) >>> 2] + 8) >>> 2], popped, pops);
        if (popped === 0) break;
        this.memberAt = zslMember(h, popped);
        this.memberLength = -1;
      }
      if (this.memberAt === 0) continue;
      this.offsets[count] = this.memberAt;
      // The length of a member that is to be popped is not read here, as that would wait for it.
      this.lengths[count] = this.memberLength < 0 ? POPPED : this.memberLength;
      count++;
    }
    if (count > 1) this.touchMembers(h, table, count);
    return count > 1 ? p : end;
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

  /** Reads the buckets, the first entries in them and their keys' heads. */
  private touchMembers(h: Heap, table: number, count: number): void {
    const { offsets, lengths, chain } = this;
    const u32 = h.u32;
    let sink = 0;
    for (let i = 0; i < count; i++) sink ^= h.u8[offsets[i] - 1];
    for (let i = 0; i < count; i++) {
      const length = lengths[i] === POPPED ? sdsLen(h, offsets[i]) : lengths[i];
      chain[i] = dictBucketAt(h, table, keyHash(h.u8, h.view, offsets[i], length, h.hashKey));
    }
    for (let i = 0; i < count; i++) chain[i] = u32[chain[i] >>> 2];
    for (let i = 0; i < count; i++) chain[i] = u32[chain[i] >>> 2];
    for (let i = 0; i < count; i++) if (chain[i] !== 0) sink ^= h.u8[chain[i] - 1];
    this.sink = sink;
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
