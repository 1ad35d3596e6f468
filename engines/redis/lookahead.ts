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
import type { Client } from './client.ts';
import type { Db } from './db.ts';
import { dictBucketAt, dictFindQuietly } from './structures/dict.ts';
import { dictTouchRehash } from './structures/dict-rehash.ts';
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
/** Arguments of all requests looked at together; a request with more than that is left to the parser. */
const ARGUMENTS_MAX = 512;
/** A longer argument is not stepped over: its request gains nothing from any of this. */
const ARGUMENT_BYTES_MAX = 9_999;
/** A client that has not logged in may send no more arguments than this; the parser refuses it. */
const UNAUTHENTICATED_MAX_ARGUMENTS = 10;

const CR = 13;
/** A command that adds an entry to a table that is being rehashed moves so many buckets. */
const REHASHED_BUCKETS = 2;

const STAR = 42;
const DOLLAR = 36;

/** Where the number that readNumber read ends (behind its CRLF). */
let numberEnd = 0;

/**
 * Reads up to four digits without a leading zero, and the two bytes behind them. What lies behind `end` may be read too, but then
 * numberEnd lies beyond it.
 * @returns the number, or -1 when it is not as plain as that
 */
function readNumber(u8: Uint8Array, at: number): number {
  let value = u8[at] - 48;
  if (value < 0 || value > 9) return -1;
  let p = at + 1;
  if (value !== 0) {
    for (const last = at + 4; p < last; p++) {
      const digit = u8[p] - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
  }
  numberEnd = p + 2;
  return u8[p] === CR ? value : -1;
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

/** Whether a name of seven letters is ZPOPMIN or ZPOPMAX. @returns FROM_START, FROM_END or 0 */
function popsFrom(u8: Uint8Array, name: number): number {
  // No other name of seven letters has these two.
  if ((u8[name + 1] | 0x20) !== 112 || (u8[name + 2] | 0x20) !== 111) return 0;
  return (u8[name + 6] | 0x20) === 120 ? FROM_END : FROM_START;
}

/** The node that a pop takes after `before` (0: the first pop); 0: none is left. */
function nextToPop(h: Heap, zsl: number, before: number, from: number): number {
  if (from === FROM_START) return before === 0 ? zslFirst(h, zsl) : zslNext(h, before);
  return before === 0 ? zslLast(h, zsl) : zslPrevious(h, before);
}

export class Lookahead {
  /** The requests: where each ends, its first argument (and one more, where those of the last one end), the hash of its key if known. */
  private readonly ends = new Uint32Array(REQUESTS_MAX);
  private readonly firsts = new Int32Array(REQUESTS_MAX + 1);
  private readonly isKnown = new Uint8Array(REQUESTS_MAX);
  private readonly hashes = new Int32Array(REQUESTS_MAX);
  /** Which argument of a request is the member whose hash is known; 0: none. */
  private readonly memberOf = new Uint8Array(REQUESTS_MAX);
  private readonly memberHashes = new Int32Array(REQUESTS_MAX);
  private readonly argOff = new Uint32Array(ARGUMENTS_MAX);
  private readonly argLen = new Uint32Array(ARGUMENTS_MAX);
  private total = 0;
  /** The request to be taken next, and where it begins. */
  private next = 0;
  private nextAt = 0;
  /** Keys, or members, in the order of their requests: where they lie, and whose they are. */
  private readonly offsets = new Uint32Array(REQUESTS_MAX);
  private readonly lengths = new Uint32Array(REQUESTS_MAX);
  private readonly requestOf = new Int32Array(REQUESTS_MAX);
  private readonly chain = new Uint32Array(REQUESTS_MAX);
  /** Where the requests looked at end. */
  private seenTo = 0;
  /** The requests of this input are about one key whose value is not worth looking at. */
  private idle = false;
  /** Takes up what was read, so that no compiler may leave the reads out. */
  sink = 0;

  /** Forgets what was found: the input has changed. */
  reset(): void {
    this.total = 0;
    this.next = 0;
    this.nextAt = 0;
    this.seenTo = 0;
    this.idle = false;
  }

  /** Whether the request at `at` lies beyond all that were looked at. */
  isSpent(at: number): boolean {
    return at >= this.seenTo;
  }

  /**
   * Looks at the complete requests of [at, end). Stops at the first that is not plain; one alone is only read. When the first two are
   * about one key, that key's value is in the cache anyway: then it is its members that are looked at, if it is large.
   * @param db where the keys are probably looked up
   */
  scan(h: Heap, db: Db, at: number, end: number): void {
    const { ends, firsts, isKnown, memberOf, argOff, argLen, offsets, lengths } = this;
    this.next = 0;
    this.nextAt = at;
    let keys = 0;
    let requests = 0;
    let p = at;
    firsts[0] = 0;
    while (requests < REQUESTS_MAX) {
      const next = this.readRequest(h.u8, p, end, firsts[requests], requests);
      if (next === 0) break;
      const key = firsts[requests] + 1;
      isKnown[requests] = 0;
      memberOf[requests] = 0;
      if (key < firsts[requests + 1]) {
        offsets[keys] = argOff[key];
        lengths[keys] = argLen[key];
        this.requestOf[keys++] = requests;
      }
      ends[requests++] = next;
      p = next;
    }
    this.total = requests;
    // At least one byte is passed, so that a request that is not plain is not scanned again and again.
    this.seenTo = Math.max(p, at + 1);
    if (keys < 2) return;
    if (lengths[0] === lengths[1] && h.equal(offsets[0], offsets[1], lengths[0])) this.lookAtOneKey(h, db, keys);
    else {
      this.touch(h, db.dict, keys);
      this.sink ^= dictTouchRehash(h, db.dict, keys * REHASHED_BUCKETS);
    }
  }

  /**
   * Reads a complete request of plain arguments and notes them.
   * @returns its end, or 0
   */
  private readRequest(u8: Uint8Array, at: number, end: number, first: number, request: number): number {
    const { argOff, argLen } = this;
    if (at >= end || u8[at] !== STAR) return 0;
    const argc = readNumber(u8, at + 1);
    if (argc < 1 || first + argc > ARGUMENTS_MAX) return 0;
    let q = numberEnd;
    const last = first + argc;
    for (let i = first; i < last; i++) {
      if (q >= end || u8[q] !== DOLLAR) return 0;
      const length = readNumber(u8, q + 1);
      if (length < 0 || length > ARGUMENT_BYTES_MAX) return 0;
      q = numberEnd + length + 2;
      // Where the argument is complete so is its header.
      if (q > end) return 0;
      argOff[i] = numberEnd;
      argLen[i] = length;
    }
    this.firsts[request + 1] = last;
    return q;
  }

  /**
   * Makes the arguments of the request at `at` those of the client and tells the heap the hashes of its key and member, where they were
   * computed ahead.
   * @returns the request's end, or 0: the parser has to read it
   */
  take(h: Heap, c: Client, at: number): number {
    // Requests that the parser has read meanwhile.
    while (this.nextAt < at && this.next < this.total) this.nextAt = this.ends[this.next++];
    const i = this.next;
    if (i >= this.total || at !== this.nextAt) return 0;
    const first = this.firsts[i];
    const argc = this.firsts[i + 1] - first;
    if (argc > UNAUTHENTICATED_MAX_ARGUMENTS && !c.authenticated) return 0;
    if (argc > c.argOff.length) c.growArguments(argc);
    const off = c.argOff;
    const len = c.argLen;
    for (let k = 0; k < argc; k++) {
      off[k] = this.argOff[first + k];
      len[k] = this.argLen[first + k];
    }
    c.argc = argc;
    if (this.isKnown[i] === 1) {
      h.knownOffset = off[1];
      h.knownLength = len[1];
      h.knownHash = this.hashes[i];
      const member = this.memberOf[i];
      if (member !== 0) {
        h.memberOffset = off[member];
        h.memberLength = len[member];
        h.memberHash = this.memberHashes[i];
      }
    }
    this.next = i + 1;
    this.nextAt = this.ends[i];
    return this.nextAt;
  }

  /** The first two of `keys` are the same: its hash is computed once for all requests about it. Then their members are looked at. */
  private lookAtOneKey(h: Heap, db: Db, keys: number): void {
    const { offsets, lengths } = this;
    const offset = offsets[0];
    const length = lengths[0];
    const hash = keyHash(h.u8, h.view, offset, length, h.hashKey);
    for (let k = 0; k < keys; k++) {
      if (k > 1 && (lengths[k] !== length || !h.equal(offsets[k], offset, length))) continue;
      const request = this.requestOf[k];
      this.isKnown[request] = 1;
      this.hashes[request] = hash;
    }
    if (this.idle) return;
    const entry = dictFindQuietly(h, db.dict, offset, length, hash);
    const object = entry === 0 ? 0 : h.u32[(entry + 8) >>> 2];
    // At offset 0 there is nothing, which is no container either.
    const wanted = object === 0 ? 0 : MEMBER_ARGUMENT[h.u8[object] & 15];
    const table = wanted === 0 ? 0 : tableOf(h, object);
    if (table === 0) this.idle = true;
    else this.lookAtMembers(h, object, table, wanted);
  }

  /** Looks at the members that the requests name by argument `wanted`, or are going to pop. */
  private lookAtMembers(h: Heap, object: number, table: number, wanted: number): void {
    const { firsts, offsets, lengths } = this;
    let count = 0;
    let popped = 0;
    for (let i = 0; i < this.total; i++) {
      const first = firsts[i];
      const argc = firsts[i + 1] - first;
      if (argc > wanted) {
        this.memberOf[i] = wanted;
        this.requestOf[count] = i;
        offsets[count] = this.argOff[first + wanted];
        lengths[count++] = this.argLen[first + wanted];
      } else if (argc === 2 && wanted === MEMBER_ARGUMENT[OBJ_ZSET] && this.argLen[first] === 7) {
        const pops = popsFrom(h.u8, this.argOff[first]);
        if (pops === 0) continue;
        // Each of several pops takes the next node.
        popped = nextToPop(h, h.u32[(h.u32[(object + 8) >>> 2] + 8) >>> 2], popped, pops);
        if (popped === 0) break;
        // The length of a member that is to be popped is not read here, as that would wait for it.
        this.requestOf[count] = i;
        offsets[count] = zslMember(h, popped);
        lengths[count++] = POPPED;
      }
    }
    if (count === 0) {
      this.idle = true;
      return;
    }
    this.touchMembers(h, table, count);
    this.sink ^= dictTouchRehash(h, table, count * REHASHED_BUCKETS);
  }

  /** Reads the buckets, the first entries in them and their keys' heads. */
  private touchMembers(h: Heap, table: number, count: number): void {
    const { offsets, lengths, requestOf, chain } = this;
    const u32 = h.u32;
    let sink = 0;
    for (let i = 0; i < count; i++) sink ^= h.u8[offsets[i] - 1];
    for (let i = 0; i < count; i++) {
      const length = lengths[i] === POPPED ? sdsLen(h, offsets[i]) : lengths[i];
      const hash = keyHash(h.u8, h.view, offsets[i], length, h.hashKey);
      this.memberHashes[requestOf[i]] = hash;
      chain[i] = dictBucketAt(h, table, hash);
    }
    for (let i = 0; i < count; i++) chain[i] = u32[chain[i] >>> 2];
    for (let i = 0; i < count; i++) chain[i] = u32[chain[i] >>> 2];
    for (let i = 0; i < count; i++) if (chain[i] !== 0) sink ^= h.u8[chain[i] - 1];
    this.sink = sink;
  }

  /** Reads along the chains of all keys, link by link. */
  private touch(h: Heap, dict: number, count: number): void {
    const { offsets, lengths, requestOf, chain } = this;
    const u8 = h.u8;
    const u32 = h.u32;
    for (let i = 0; i < count; i++) {
      const hash = keyHash(u8, h.view, offsets[i], lengths[i], h.hashKey);
      this.hashes[requestOf[i]] = hash;
      this.isKnown[requestOf[i]] = 1;
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
