/** Turns the memory figures of both kinds of server into one ledger. The server's own figures are kept beside it. */
import type { MemoryLedger } from '../result.ts';

/** What an item of memcached costs beside key and value: header 48, CAS 8, NUL after the key, CR LF after the value. */
export const MEMCACHED_ITEM_OVERHEAD = 48 + 8 + 1 + 2;

function numberOf(fields: Record<string, string>, name: string): number | null {
  const text = fields[name];
  if (text === undefined || text === '') return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

/** The part of INFO that says where memory is; clients, replication and so on are left out. */
const REDIS_RAW =
  /^(used_memory|allocator_|rss_|mem_|maxmemory|active_defrag|lazyfree|total_system_memory|number_of_cached|expired_|evicted_|keyspace_|db\d+|total_active_defrag|redis_version|arch_bits|multiplexing_api)/;

/**
 * @param info all sections of INFO
 * @param stats MEMORY STATS, flattened, names beginning with "stats."
 * @param keys DBSIZE
 */
export function redisLedger(
  info: Record<string, string>,
  stats: Record<string, string>,
  keys: number | null,
): MemoryLedger {
  const usedAll = numberOf(info, 'used_memory');
  const startup = numberOf(info, 'used_memory_startup');
  const limit = numberOf(info, 'maxmemory');
  const raw: Record<string, string> = {};
  for (const [name, value] of Object.entries(info)) if (REDIS_RAW.test(name)) raw[name] = value;
  Object.assign(raw, stats);
  return {
    keys,
    payload: null,
    payloadIs: 'estimated',
    used: usedAll === null ? null : Math.max(0, usedAll - (startup ?? 0)),
    allocated: numberOf(info, 'allocator_allocated'),
    active: numberOf(info, 'allocator_active'),
    resident: numberOf(info, 'allocator_resident'),
    rss: numberOf(info, 'used_memory_rss'),
    limit: limit === 0 ? null : limit,
    evictions: numberOf(info, 'evicted_keys'),
    expired: numberOf(info, 'expired_keys'),
    raw,
  };
}

/** @param stats `stats` @param slabs `stats slabs` @param items `stats items` */
export function memcachedLedger(
  stats: Record<string, string>,
  slabs: Record<string, string>,
  items: Record<string, string>,
): MemoryLedger {
  let allocated: number | null = null;
  let reclaimed: number | null = null;
  for (const [name, value] of Object.entries(slabs)) {
    const match = /^(\d+):chunk_size$/.exec(name);
    if (match) allocated = (allocated ?? 0) + Number(value) * (numberOf(slabs, `${match[1]}:used_chunks`) ?? 0);
  }
  for (const [name, value] of Object.entries(items)) {
    if (name.endsWith(':reclaimed') || name.endsWith(':crawler_reclaimed'))
      reclaimed = (reclaimed ?? 0) + Number(value);
  }
  const keys = numberOf(stats, 'curr_items');
  const used = numberOf(stats, 'bytes');
  const raw: Record<string, string> = {};
  for (const [name, value] of Object.entries(stats)) raw[name] = value;
  for (const [name, value] of Object.entries(slabs)) raw[`slabs.${name}`] = value;
  for (const [name, value] of Object.entries(items)) raw[name.startsWith('items:') ? name : `items:${name}`] = value;
  return {
    keys,
    // Every item the drivers store has a CAS value and no client flags, so key and value are what is left.
    payload: used === null || keys === null ? null : Math.max(0, used - keys * MEMCACHED_ITEM_OVERHEAD),
    payloadIs: 'exact',
    used,
    allocated,
    active: numberOf(slabs, 'total_malloced'),
    resident: null,
    rss: null,
    limit: numberOf(stats, 'limit_maxbytes'),
    evictions: numberOf(stats, 'evictions'),
    expired: reclaimed ?? numberOf(stats, 'reclaimed'),
    raw,
  };
}
