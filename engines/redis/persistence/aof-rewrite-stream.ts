/** A stream as commands: its entries, its ids and counts, its groups with their consumers and what is pending. */
import { raxSize } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import {
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  streamEntriesAdded,
  streamGroups,
  streamLength,
} from '../structures/stream.ts';
import {
  consumerName,
  consumerPending,
  GROUP_LAST_ID,
  groupConsumers,
  groupEntriesRead,
  pendingCount,
  pendingTimeMs,
} from '../structures/stream-groups.ts';
import { decodeStreamId, loadStreamId, newStreamId, streamIdText } from '../structures/stream-id.ts';
import { StreamIterator } from '../structures/stream-iterator.ts';
import type { CommandWriter } from './command-writer.ts';

const id = newStreamId();

function putId(w: CommandWriter, at: number): void {
  loadStreamId(w.heap, at, id);
  w.text(streamIdText(id));
}

function rewriteEntries(w: CommandWriter, key: number, s: number): void {
  const h = w.heap;
  if (streamLength(h, s) === 0) {
    // A stream without entries comes from adding one that is trimmed at once.
    w.begin(7, 'XADD');
    w.sds(key);
    for (const word of ['MAXLEN', '0', '0-1', 'x', 'y']) w.text(word);
    return;
  }
  const it = new StreamIterator(h, s);
  it.seek(s, null, null, false);
  while (it.next()) {
    w.begin(3 + it.fields * 2, 'XADD');
    w.sds(key);
    w.text(streamIdText(it.id));
    for (let i = 0; i < it.fields; i++) {
      it.field();
      const value = it.valueAt;
      w.element(it.fieldAt);
      w.element(value);
    }
  }
}

function rewriteConsumer(w: CommandWriter, key: number, group: RaxIterator, consumer: number): void {
  const h = w.heap;
  const pending = consumerPending(h, consumer);
  if (raxSize(h, pending) === 0) {
    w.begin(5, 'XGROUP');
    w.text('CREATECONSUMER');
    w.sds(key);
    w.bytes(group.key, group.keyLength);
    w.sds(consumerName(h, consumer));
    return;
  }
  const it = new RaxIterator(h, pending);
  for (let more = it.first(); more; more = it.next()) {
    w.begin(12, 'XCLAIM');
    w.sds(key);
    w.bytes(group.key, group.keyLength);
    w.sds(consumerName(h, consumer));
    w.text('0');
    decodeStreamId(it.key, 0, id);
    w.text(streamIdText(id));
    w.text('TIME');
    w.text(String(pendingTimeMs(h, it.value)));
    w.text('RETRYCOUNT');
    w.text(String(BigInt.asIntN(64, pendingCount(h, it.value))));
    w.text('JUSTID');
    w.text('FORCE');
  }
}

/** @param key an sds @param s the stream */
export function rewriteStream(w: CommandWriter, key: number, s: number): void {
  const h = w.heap;
  rewriteEntries(w, key, s);
  // The last id may be that of an entry which is gone.
  w.begin(7, 'XSETID');
  w.sds(key);
  putId(w, s + STREAM_LAST_ID);
  w.text('ENTRIESADDED');
  w.text(String(BigInt.asIntN(64, streamEntriesAdded(h, s))));
  w.text('MAXDELETEDID');
  putId(w, s + STREAM_MAX_DELETED_ID);
  if (streamGroups(h, s) === 0) return;
  const groups = new RaxIterator(h, streamGroups(h, s));
  for (let more = groups.first(); more; more = groups.next()) {
    w.begin(7, 'XGROUP');
    w.text('CREATE');
    w.sds(key);
    w.bytes(groups.key, groups.keyLength);
    putId(w, groups.value + GROUP_LAST_ID);
    w.text('ENTRIESREAD');
    w.text(String(groupEntriesRead(h, groups.value)));
    const consumers = new RaxIterator(h, groupConsumers(h, groups.value));
    for (let one = consumers.first(); one; one = consumers.next()) {
      rewriteConsumer(w, key, groups, consumers.value);
    }
  }
}
