/** What the memory in use is used for, reckoned as the original does: used = overhead + data set. Sizes in bytes. */
import { adminOf } from './admin.ts';
import { clientMemory } from './client-memory.ts';
import type { RedisCore } from './redis-core.ts';
import { DICT_ENTRY_BYTES, dictSize, dictSlots } from './structures/dict-layout.ts';
import { ROBJ_BYTES, robjType } from './structures/robj.ts';
import { sdsZmallocSize } from './structures/sds.ts';

const POINTER_BYTES = 8;

/** Of one database that has keys. */
export interface DbOverhead {
  readonly id: number;
  readonly main: number;
  readonly expires: number;
}

export interface MemoryOverhead {
  readonly used: number;
  readonly peak: number;
  readonly startup: number;
  /** Records and buffers of clients. */
  readonly clientsNormal: number;
  readonly dbs: readonly DbOverhead[];
  readonly overhead: number;
  readonly dataset: number;
  readonly keys: number;
  readonly bytesPerKey: number;
  readonly datasetPercent: number;
  readonly peakPercent: number;
  readonly allocated: number;
  readonly active: number;
  readonly allocatorResident: number;
  readonly resident: number;
}

/** What is put down to all clients. */
function clientBuffers(core: RedisCore): number {
  let bytes = 0;
  for (const c of core.clients) if (c !== null) bytes += clientMemory(core, c);
  return bytes;
}

export function memoryOverhead(core: RedisCore): MemoryOverhead {
  const admin = adminOf(core);
  const h = core.heap;
  const used = core.allocator.usedBytes;
  const peak = Math.max(used, core.stats.peakMemory);
  const clientsNormal = clientBuffers(core);
  let overhead = admin.startupMemory + clientsNormal;
  let keys = 0;
  const dbs: DbOverhead[] = [];
  for (const db of core.dbs) {
    const count = dictSize(h, db.dict);
    if (count === 0) continue;
    keys += count;
    const main = count * (DICT_ENTRY_BYTES + ROBJ_BYTES) + dictSlots(h, db.dict) * POINTER_BYTES;
    const expires = dictSize(h, db.expires) * DICT_ENTRY_BYTES + dictSlots(h, db.expires) * POINTER_BYTES;
    dbs.push({ id: db.id, main, expires });
    overhead += main + expires;
  }
  const net = Math.max(0, used - admin.startupMemory);
  const dataset = Math.max(0, used - overhead);
  return {
    used,
    peak,
    startup: admin.startupMemory,
    clientsNormal,
    dbs,
    overhead,
    dataset,
    keys,
    bytesPerKey: keys === 0 ? 0 : Math.floor(net / keys),
    datasetPercent: net === 0 ? 0 : (dataset * 100) / net,
    peakPercent: peak === 0 ? 0 : (used * 100) / peak,
    allocated: admin.figures.allocated,
    active: admin.figures.active,
    allocatorResident: admin.figures.resident,
    resident: admin.residentBytes,
  };
}

/** Memory of a key and its value as MEMORY USAGE counts it: the table's bucket is no part of it. */
export function keyMemory(core: RedisCore, key: number, robj: number, samples: number): number {
  const h = core.heap;
  return h.types[robjType(h, robj)].memoryUsage(h, robj, samples) + sdsZmallocSize(h, key) + DICT_ENTRY_BYTES;
}
