/**
 * What a connected client costs. The original allocates a client's record, its reply buffer, its query buffer and some small tables;
 * all of that is used memory, so it counts towards `maxmemory` and decides who is evicted under `maxmemory-clients`. Here the
 * client's record is a JavaScript object and the loop has buffers of its own, so the arena holds equal allocations in their
 * place: as large, made and given back at the same moments. Nothing is stored in them; their pages stay untouched.
 *
 * Sizes as measured on redis-server 7.0.15 (100 idle connections, then each after a command, then idle again): 17,618 bytes for one
 * that has just connected, 22,795 after its first command, 2,323 some seconds later.
 */
import type { Client } from './client.ts';
import type { ClientMemory } from './client-buffers.ts';
import type { RedisCore } from './redis-core.ts';
import { sdsHeaderSize, sdsReqType, sdsZmallocSize } from './structures/sds.ts';
import { transactionMemory } from './transactions.ts';

/** Size of the original's client record (its size class in both allocators). */
const RECORD_BYTES = 768;
/**
 * The small ones that come with a client: three dicts (channels, shard channels, keys it is blocked on), three lists (replies, watched keys,
 * patterns), the connection, the node in the list of clients, and its place in the radix tree of clients by id.
 */
const PART_BYTES = [56, 56, 56, 48, 48, 48, 64, 24, 24];
/** A reply buffer: at first, and when it has shrunk for lack of use. */
const REPLY_BYTES_MAX = 16_384;
const REPLY_BYTES_MIN = 1_024;
/** What the original reads at once; its query buffer has room for so much and the header of an sds. */
const READ_BYTES = 16_384;
const EMPTY_SDS_BYTES = 4;
const QUERY_HEADER_BYTES = 6;
const EMPTY_HEADER_BYTES = 4;
/** A query buffer with less room than this to spare is not worth trimming. */
const QUERY_SPARE_BYTES = 4_096;
/** One larger than this is also trimmed while the client is busy, if it was not needed lately. */
const QUERY_LARGE_BYTES = 32_768;
const LINE_END_BYTES = 2;
/** A query buffer is given back after so many seconds of silence. */
const QUERY_IDLE_SECONDS = 2;
const POINTER_BYTES = 8;
/** A subscription's entry; and a table of subscriptions has at least so many buckets. */
const ENTRY_BYTES = 24;
const FIRST_SLOTS = 4;
/** A pattern's node in their list. */
const LIST_NODE_BYTES = 24;
/** What the original reckons for a node of the tree of a client's prefixes: the sizes of its head and of a pointer, multiplied. */
const PREFIX_NODE_BYTES = 32;

/** @returns the offset, and 0 where there is no room: a client without its share is better than none */
function tryAlloc(core: RedisCore, bytes: number): number {
  return core.allocator.alloc(bytes);
}

function setReplyBuffer(core: RedisCore, m: ClientMemory, bytes: number): void {
  const fresh = tryAlloc(core, bytes);
  if (fresh === 0) return;
  core.allocator.free(m.replyBuffer);
  m.replyBuffer = fresh;
  m.replyRoom = core.allocator.usableSize(fresh);
}

function setQueryBuffer(core: RedisCore, m: ClientMemory, bytes: number, header: number): void {
  const fresh = tryAlloc(core, bytes);
  if (fresh === 0) return;
  core.allocator.free(m.queryBuffer);
  m.queryBuffer = fresh;
  m.queryRoom = core.allocator.usableSize(fresh) - header;
}

/** To be called when a client has connected. */
export function openClientMemory(core: RedisCore, c: Client): void {
  const m = c.memory;
  m.parts.push(tryAlloc(core, RECORD_BYTES));
  for (const bytes of PART_BYTES) m.parts.push(tryAlloc(core, bytes));
  setReplyBuffer(core, m, REPLY_BYTES_MAX);
  setQueryBuffer(core, m, EMPTY_SDS_BYTES, EMPTY_HEADER_BYTES);
  // As in the original, where the first look at a client takes its first peak for an old one.
  m.replyPeakSinceMs = 0;
  c.peakOutput = m.replyRoom;
}

/** To be called when it is gone. */
export function closeClientMemory(core: RedisCore, c: Client): void {
  const m = c.memory;
  for (let part = m.parts.pop(); part !== undefined; part = m.parts.pop()) core.allocator.free(part);
  core.allocator.free(m.replyBuffer);
  core.allocator.free(m.queryBuffer);
  m.replyBuffer = 0;
  m.queryBuffer = 0;
}

/** Input has come: the original would have made room for a whole read. */
export function noteClientInput(core: RedisCore, c: Client): void {
  const m = c.memory;
  if (m.queryRoom < READ_BYTES) setQueryBuffer(core, m, READ_BYTES + QUERY_HEADER_BYTES, QUERY_HEADER_BYTES);
}

/** A long argument is being read into a block of its own, which in the original is the query buffer. */
export function noteLongArgumentBegin(core: RedisCore, c: Client): void {
  emptyQueryBuffer(core, c.memory);
}

/** The long argument is complete and becomes an object; the original makes a query buffer for another one as long. */
export function noteLongArgumentEnd(core: RedisCore, c: Client, length: number): void {
  const bytes = length + LINE_END_BYTES;
  setQueryBuffer(core, c.memory, bytes + sdsHeaderSize(sdsReqType(bytes)) + 1, QUERY_HEADER_BYTES);
  c.memory.longArgument = true;
}

function emptyQueryBuffer(core: RedisCore, m: ClientMemory): void {
  setQueryBuffer(core, m, EMPTY_SDS_BYTES, EMPTY_HEADER_BYTES);
}

/** Replies wait for the client: their peak decides how large its reply buffer stays. */
export function noteClientOutput(core: RedisCore, c: Client): void {
  const waiting = core.transport.outputBytes(c.conn);
  if (waiting > c.peakOutput) c.peakOutput = Math.min(waiting, c.memory.replyRoom);
}

/** Its addresses are printed for the first time. */
export function noteClientNamed(core: RedisCore, c: Client): void {
  const m = c.memory;
  if (m.named || m.parts.length === 0) return;
  m.named = true;
  for (const text of [c.addr, c.laddr]) m.parts.push(tryAlloc(core, text.length + EMPTY_SDS_BYTES));
}

/** Shrinks buffers that are larger than what the client needs lately. To be called about once a second. */
export function clientMemoryCron(core: RedisCore, c: Client): void {
  const m = c.memory;
  const kept = core.transport.inputBytes(c.conn);
  const idle = core.unixtime - c.lastInteraction > QUERY_IDLE_SECONDS;
  const oversized = m.queryRoom > QUERY_LARGE_BYTES && !m.longArgument;
  if (m.queryRoom - kept > QUERY_SPARE_BYTES && (idle || oversized)) {
    // An sds without room to spare; the loop's own buffer holds what is kept.
    emptyQueryBuffer(core, m);
    m.queryRoom = 0;
  }
  m.longArgument = false;
  if (core.debug.resizesReplyBuffers) resizeReplyBuffer(core, c);
}

function resizeReplyBuffer(core: RedisCore, c: Client): void {
  const m = c.memory;
  let wanted = 0;
  if (m.replyRoom / 2 >= REPLY_BYTES_MIN && c.peakOutput < m.replyRoom / 2) {
    wanted = Math.max(REPLY_BYTES_MIN, c.peakOutput + 1);
    core.stats.replyBufferShrinks++;
  } else if (m.replyRoom * 2 < REPLY_BYTES_MAX * 2 && c.peakOutput === m.replyRoom) {
    wanted = Math.min(REPLY_BYTES_MAX, m.replyRoom * 2);
    core.stats.replyBufferExpands++;
  }
  const { replyPeakMs } = core.debug;
  if (replyPeakMs >= 0 && core.nowMs - m.replyPeakSinceMs >= replyPeakMs) {
    c.peakOutput = Math.min(core.transport.outputBytes(c.conn), m.replyRoom);
    m.replyPeakSinceMs = core.nowMs;
  }
  if (wanted !== 0) setReplyBuffer(core, m, wanted);
}

/** Bytes of used memory that stand for a client's record and buffers at this moment. */
export function clientFootprint(core: RedisCore, c: Client): number {
  const m = c.memory;
  let bytes = 0;
  for (const part of [...m.parts, m.replyBuffer, m.queryBuffer]) {
    if (part !== 0) bytes += core.allocator.usableSize(part);
  }
  return bytes;
}

/** Bytes of the output that waits beyond the reply buffer, as `omem`. */
export function clientOutputMemory(core: RedisCore, c: Client): number {
  return core.transport.outputChunks(c.conn) === 0 ? 0 : core.transport.outputMemory(c.conn);
}

/** Of the arguments of the present command, as `argv-mem`; 0 between commands. */
export function clientArgumentBytes(c: Client): number {
  let bytes = 0;
  for (let i = 0; i < c.argc; i++) bytes += c.argLen[i];
  return bytes;
}

function setOverhead(set: Set<string> | null): number {
  if (set === null || set.size === 0) return 0;
  let slots = FIRST_SLOTS;
  while (slots < set.size) slots *= 2;
  return set.size * ENTRY_BYTES + slots * POINTER_BYTES;
}

/**
 * Nodes of the radix tree that the original keeps a client's prefixes in: one for each end, each fork, and each run of further bytes
 * in between. No prefix begins with another one of the same client, so every end is a leaf.
 * @param prefixes in the order of their bytes
 */
function prefixNodes(prefixes: readonly string[]): number {
  /** Lengths at which the way to the present prefix forks. */
  const forks: number[] = [];
  let nodes = prefixes.length;
  for (let i = 0; i < prefixes.length; i++) {
    let depth = prefixes[i].length;
    const shared = i + 1 < prefixes.length ? sharedLength(prefixes[i], prefixes[i + 1]) : -1;
    for (let fork = forks.at(-1) ?? -1; fork > shared; fork = forks.at(-1) ?? -1) {
      if (depth - fork > 1) nodes++;
      depth = fork;
      forks.pop();
    }
    // The fork's node holds the first byte of each way on; what is left of the way is a run.
    if (depth - shared > 1) nodes++;
    if (shared >= 0 && forks.at(-1) !== shared) {
      forks.push(shared);
      nodes++;
    }
  }
  return nodes;
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

/** All memory in bytes that is put down to a client: `tot-mem`, and what `maxmemory-clients` compares. */
export function clientMemory(core: RedisCore, c: Client): number {
  const m = c.memory;
  let bytes = clientOutputMemory(core, c) + core.transport.inputCapacity(c.conn) + RECORD_BYTES + m.replyRoom;
  if (m.queryBuffer !== 0) bytes += core.allocator.usableSize(m.queryBuffer);
  if (c.bigSds !== 0) bytes += sdsZmallocSize(core.heap, c.bigSds);
  bytes += clientArgumentBytes(c) + POINTER_BYTES * c.argc;
  bytes += transactionMemory(c);
  bytes += setOverhead(c.channels) + setOverhead(c.shardChannels);
  if (c.patterns !== null) bytes += c.patterns.size * LIST_NODE_BYTES;
  if (c.trackingPrefixes !== null) bytes += prefixNodes(c.trackingPrefixes) * PREFIX_NODE_BYTES;
  return bytes;
}
