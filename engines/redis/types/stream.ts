/** Streams, as the rest of the server sees them. */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import type { Digest } from '../structures/digest.ts';
import type { Heap } from '../structures/heap.ts';
import { lpDup, lpText, lpVerify } from '../structures/listpack.ts';
import type { ObjectType } from '../structures/object-type.ts';
import { raxFind, raxInsert, raxNodeCount, raxSize } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { raxVerify } from '../structures/rax-whole.ts';
import { createObject, OBJ_ENCODING_STREAM, OBJ_STREAM, ROBJ_BYTES, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  STREAM_BYTES,
  STREAM_FIRST_ID,
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  setStreamEntriesAdded,
  setStreamLength,
  streamEntriesAdded,
  streamGroups,
  streamLength,
  streamNew,
  streamRax,
} from '../structures/stream.ts';
import {
  CONSUMER_BYTES,
  consumerCreate,
  consumerName,
  consumerPending,
  consumerSeenMs,
  GROUP_BYTES,
  GROUP_LAST_ID,
  groupConsumers,
  groupCreate,
  groupEntriesRead,
  groupPending,
  PENDING_BYTES,
  pendingConsumer,
  pendingCount,
  pendingNew,
  pendingTimeMs,
  setPendingConsumer,
  setPendingCount,
  streamFree,
} from '../structures/stream-groups.ts';
import { loadStreamId, newStreamId, STREAM_ID_BYTES, storeStreamId, streamIdText } from '../structures/stream-id.ts';
import { StreamIterator } from '../structures/stream-iterator.ts';
import { streamNodeIsSound } from './stream-check.ts';
import { loadStream, RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2, saveStream } from './stream-rdb.ts';

/** What the original reckons for each node of a radix tree beside its header: pointers, children. */
const RAX_NODE_ESTIMATE = 4 + 8 * 30;
const id = newStreamId();

/** An object around a stream, which is freed when there is no room for the object. @throws ARENA_EXHAUSTED */
export function wrapStream(h: Heap, s: number): number {
  try {
    return createObject(h, OBJ_STREAM, OBJ_ENCODING_STREAM, s);
  } catch (error) {
    streamFree(h, s);
    throw error;
  }
}

function raxEstimate(h: Heap, rax: number): number {
  return raxSize(h, rax) * STREAM_ID_BYTES + raxNodeCount(h, rax) * RAX_NODE_ESTIMATE;
}

function listpacksUsage(h: Heap, s: number, samples: number): number {
  const it = new RaxIterator(h, streamRax(h, s));
  let bytes = 0;
  let looked = 0;
  for (let more = it.first(); more && looked < samples; more = it.next()) {
    bytes += h.usable(it.value);
    looked++;
  }
  const nodes = raxSize(h, streamRax(h, s));
  if (nodes <= looked) return bytes;
  const average = looked > 0 ? Math.floor(bytes / looked) : 0;
  it.last();
  return average * (nodes - 1) + h.usable(it.value);
}

function groupsUsage(h: Heap, groups: number): number {
  let bytes = 0;
  const it = new RaxIterator(h, groups);
  for (let more = it.first(); more; more = it.next()) {
    const pending = groupPending(h, it.value);
    bytes += GROUP_BYTES + raxEstimate(h, pending) + PENDING_BYTES * raxSize(h, pending);
    const consumers = new RaxIterator(h, groupConsumers(h, it.value));
    for (let also = consumers.first(); also; also = consumers.next()) {
      const consumer = consumers.value;
      bytes += CONSUMER_BYTES + sdsLen(h, consumerName(h, consumer)) + raxEstimate(h, consumerPending(h, consumer));
    }
  }
  return bytes;
}

function verifyGroup(h: Heap, group: number): void {
  raxVerify(h, groupPending(h, group));
  raxVerify(h, groupConsumers(h, group));
  let owned = 0;
  const consumers = new RaxIterator(h, groupConsumers(h, group));
  for (let more = consumers.first(); more; more = consumers.next()) {
    const consumer = consumers.value;
    const name = consumerName(h, consumer);
    if (sdsLen(h, name) !== consumers.keyLength) throw new Error(`Broken consumer at ${consumer}: its name`);
    raxVerify(h, consumerPending(h, consumer));
    owned += raxSize(h, consumerPending(h, consumer));
    const pending = new RaxIterator(h, consumerPending(h, consumer));
    for (let also = pending.first(); also; also = pending.next()) {
      const nack = pending.value;
      if (
        pendingConsumer(h, nack) !== consumer ||
        raxFind(h, groupPending(h, group), pending.key, 0, pending.keyLength) !== nack
      ) {
        throw new Error(`Broken pending entry at ${nack}: it is not its consumer's and its group's`);
      }
    }
  }
  if (owned !== raxSize(h, groupPending(h, group))) {
    throw new Error(`Broken group at ${group}: its consumers have ${owned} of its pending entries`);
  }
}

function duplicateGroup(h: Heap, copy: number, from: number, name: number, nameLength: number): void {
  loadStreamId(h, from + GROUP_LAST_ID, id);
  const group = groupCreate(h, copy, name, nameLength, id, groupEntriesRead(h, from));
  const pending = new RaxIterator(h, groupPending(h, from));
  for (let more = pending.first(); more; more = pending.next()) {
    const nack = pendingNew(h, 0, pendingTimeMs(h, pending.value));
    setPendingCount(h, nack, pendingCount(h, pending.value));
    try {
      raxInsert(h, groupPending(h, group), pending.key, 0, pending.keyLength, nack);
    } catch (error) {
      h.free(nack);
      throw error;
    }
  }
  const consumers = new RaxIterator(h, groupConsumers(h, from));
  for (let more = consumers.first(); more; more = consumers.next()) {
    const old = consumers.value;
    const its = consumerName(h, old);
    const consumer = consumerCreate(h, group, its, sdsLen(h, its), consumerSeenMs(h, old));
    const owned = new RaxIterator(h, consumerPending(h, old));
    for (let also = owned.first(); also; also = owned.next()) {
      const nack = raxFind(h, groupPending(h, group), owned.key, 0, owned.keyLength);
      setPendingConsumer(h, nack, consumer);
      raxInsert(h, consumerPending(h, consumer), owned.key, 0, owned.keyLength, nack);
    }
  }
}

function duplicateStream(h: Heap, s: number): number {
  const copy = streamNew(h);
  try {
    const nodes = new RaxIterator(h, streamRax(h, s));
    for (let more = nodes.first(); more; more = nodes.next()) {
      const lp = lpDup(h, nodes.value);
      try {
        raxInsert(h, streamRax(h, copy), nodes.key, 0, nodes.keyLength, lp);
      } catch (error) {
        h.free(lp);
        throw error;
      }
    }
    setStreamLength(h, copy, streamLength(h, s));
    for (const field of [STREAM_LAST_ID, STREAM_FIRST_ID, STREAM_MAX_DELETED_ID]) {
      loadStreamId(h, s + field, id);
      storeStreamId(h, copy + field, id);
    }
    const added = streamEntriesAdded(h, s);
    setStreamEntriesAdded(h, copy, Number(added & 0xffffffffn), Number(added >> 32n));
    if (streamGroups(h, s) !== 0) {
      const groups = new RaxIterator(h, streamGroups(h, s));
      for (let more = groups.first(); more; more = groups.next()) {
        const name = h.alloc(Math.max(1, groups.keyLength));
        try {
          for (let i = 0; i < groups.keyLength; i++) h.u8[name + i] = groups.key[i];
          duplicateGroup(h, copy, groups.value, name, groups.keyLength);
        } finally {
          h.free(name);
        }
      }
    }
    return copy;
  } catch (error) {
    streamFree(h, copy);
    throw error;
  }
}

export const streamType: ObjectType = {
  name: 'stream',
  free: (h, o) => streamFree(h, robjPtr(h, o)),
  verify(h: Heap, o: number): void {
    const s = robjPtr(h, o);
    raxVerify(h, streamRax(h, s));
    const nodes = new RaxIterator(h, streamRax(h, s));
    for (let more = nodes.first(); more; more = nodes.next()) {
      lpVerify(h, nodes.value);
      if (nodes.keyLength !== STREAM_ID_BYTES || !streamNodeIsSound(h, nodes.value, h.u32[nodes.value >>> 2])) {
        throw new Error(`Broken stream at ${o}: the node at ${nodes.value}`);
      }
    }
    if (streamGroups(h, s) === 0) return;
    raxVerify(h, streamGroups(h, s));
    const groups = new RaxIterator(h, streamGroups(h, s));
    for (let more = groups.first(); more; more = groups.next()) verifyGroup(h, groups.value);
  },
  encodingName: () => 'stream',
  length: (h, o) => streamLength(h, robjPtr(h, o)),
  freeEffort(h: Heap, o: number): number {
    const s = robjPtr(h, o);
    const groups = streamGroups(h, s);
    const effort = raxNodeCount(h, streamRax(h, s));
    if (groups === 0 || raxSize(h, groups) === 0) return effort;
    const it = new RaxIterator(h, groups);
    it.first();
    return effort + raxSize(h, groups) * (1 + raxSize(h, groupPending(h, it.value)));
  },
  memoryUsage(h: Heap, o: number, samples: number): number {
    const s = robjPtr(h, o);
    const bytes = ROBJ_BYTES + STREAM_BYTES + raxEstimate(h, streamRax(h, s)) + listpacksUsage(h, s, samples);
    return streamGroups(h, s) === 0 ? bytes : bytes + groupsUsage(h, streamGroups(h, s));
  },
  duplicate: (h, o) => wrapStream(h, duplicateStream(h, robjPtr(h, o))),
  rdbType: () => RDB_TYPE_STREAM_LISTPACKS_2,
  saveRdb: (w: RdbWriter, o: number) => saveStream(w, robjPtr(w.heap, o)),
  rdbTypes: [RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2],
  loadRdb(r: RdbReader, rdbType: number): number {
    const s = loadStream(r, rdbType);
    return s === 0 ? 0 : wrapStream(r.heap, s);
  },
  mixDigest(h: Heap, o: number, digest: Digest): void {
    const s = robjPtr(h, o);
    const it = new StreamIterator(h, s);
    it.seek(s, null, null, false);
    while (it.next()) {
      digest.mixText(streamIdText(it.id, '.'));
      for (let i = 0; i < it.fields; i++) {
        it.field();
        digest.mixText(lpText(h, it.fieldAt));
        digest.mixText(lpText(h, it.valueAt));
      }
    }
  },
};
