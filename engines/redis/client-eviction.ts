/**
 * Eviction of clients: when all clients together hold more than `maxmemory-clients`, the largest are disconnected until they fit. They
 * are kept in buckets by the power of two of their size, so that the largest are found without sorting. What a client holds is
 * counted again when it has been served or written to, at the end of the turn, and once a second by the cron.
 */
import { CLIENT_CLOSE_ASAP, CLIENT_NO_EVICT, type Client } from './client.ts';
import { clientInfo } from './client-info.ts';
import { clientMemory } from './client-memory.ts';
import { LOG_NOTICE, LOG_WARNING } from './log-levels.ts';
import type { RedisCore } from './redis-core.ts';

/** The first bucket holds clients below 2^15 bytes, the last those from 2^32 on. */
const MIN_LOG = 15;
const MAX_LOG = 33;
const BUCKETS = MAX_LOG - MIN_LOG + 1;
/** A limit below this would leave nobody able to talk to the server. */
const LIMIT_MIN = 128 * 1024;

/** @returns `maxmemory-clients` in bytes; 0: no limit. A negative setting is a percentage of maxmemory */
export function clientMemoryLimit(core: RedisCore): number {
  const setting = core.config.maxmemoryClients;
  let limit: number;
  if (setting > 0) limit = setting;
  else if (setting < 0 && core.config.maxmemory > 0) limit = Math.floor((core.config.maxmemory * -setting) / 100);
  else return 0;
  return Math.max(limit, LIMIT_MIN);
}

function bucketOf(bytes: number): number {
  const log = bytes >= 1 ? Math.floor(Math.log2(bytes)) + 1 : 0;
  return Math.min(MAX_LOG, Math.max(MIN_LOG, log)) - MIN_LOG;
}

export class ClientEviction {
  /** Whether there is a limit; nothing is counted without one. */
  active = false;
  /** Bytes of all clients, those that may not be evicted included. */
  totalBytes = 0;
  private limit = 0;
  private readonly touched: Client[] = [];
  private readonly buckets: Set<Client>[] = Array.from({ length: BUCKETS }, () => new Set());

  /** After a change of the configuration. */
  applyConfig(core: RedisCore): void {
    this.limit = clientMemoryLimit(core);
    const active = this.limit !== 0;
    if (active === this.active) return;
    this.active = active;
    for (const c of core.clients) {
      if (c === null) continue;
      if (active) this.touch(c);
      else this.forget(c);
    }
    if (!active) this.touched.length = 0;
  }

  /** The client's memory may have changed. */
  touch(c: Client): void {
    if (!this.active || c.toBeCounted || c.conn < 0) return;
    c.toBeCounted = true;
    this.touched.push(c);
  }

  /** The client is gone. */
  forget(c: Client): void {
    this.totalBytes -= c.countedBytes;
    c.countedBytes = 0;
    if (c.evictionBucket >= 0) this.buckets[c.evictionBucket].delete(c);
    c.evictionBucket = -1;
    c.toBeCounted = false;
  }

  /** Counts what has changed, and disconnects clients while all hold too much. */
  endOfTurn(core: RedisCore): void {
    const touched = this.touched;
    for (let i = 0; i < touched.length; i++) this.count(core, touched[i]);
    touched.length = 0;
    if (this.totalBytes >= this.limit) this.evict(core);
  }

  private count(core: RedisCore, c: Client): void {
    if (!c.toBeCounted) return;
    c.toBeCounted = false;
    if ((c.flags & CLIENT_CLOSE_ASAP) !== 0) return;
    const bytes = clientMemory(core, c);
    this.totalBytes += bytes - c.countedBytes;
    c.countedBytes = bytes;
    const bucket = (c.flags & CLIENT_NO_EVICT) !== 0 ? -1 : bucketOf(bytes);
    if (bucket === c.evictionBucket) return;
    if (c.evictionBucket >= 0) this.buckets[c.evictionBucket].delete(c);
    if (bucket >= 0) this.buckets[bucket].add(c);
    c.evictionBucket = bucket;
  }

  private evict(core: RedisCore): void {
    for (let bucket = BUCKETS - 1; bucket >= 0; bucket--) {
      for (const c of this.buckets[bucket]) {
        core.log(LOG_NOTICE, `Evicting client: ${clientInfo(core, c)}`);
        this.forget(c);
        core.closeClient(c, false);
        core.stats.evictedClients++;
        if (this.totalBytes < this.limit) return;
      }
    }
    core.log(LOG_WARNING, 'Over client maxmemory after evicting all evictable clients');
  }
}
