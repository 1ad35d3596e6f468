/** What a scenario's data set amounts to, and what hit ratio it must give where that can be said beforehand. */
import type { Scenario } from '../../scenarios/spec.ts';
import { createWorkload, Dataset } from './workload.ts';

/** Up to so many keys every one is counted; beyond, so many evenly spaced ones stand for all. */
const MAX_COUNTED_KEYS = 1_000_000;

export interface DatasetTotals {
  /** Entries (data keys and counters). */
  entries: number;
  keyBytes: number;
  valueBytes: number;
  /** keyBytes + valueBytes: the payload that `memory.limitShare` is a share of. */
  bytes: number;
  /** sampled: estimated from a million evenly spaced keys (exact for fixed sizes). */
  method: 'exact' | 'sampled';
}

/** Payload of the whole data set (preloaded or not). */
export function datasetBytes(scenario: Scenario): DatasetTotals {
  const dataset = new Dataset(scenario);
  const entries = dataset.indexes;
  const counted = Math.min(entries, MAX_COUNTED_KEYS);
  let keyBytes = 0;
  let valueBytes = 0;
  for (let i = 0; i < counted; i++) {
    // Sizes are independent of the index, so evenly spaced indexes are as good a sample as any.
    const index = counted === entries ? i : Math.floor((i * entries) / counted);
    keyBytes += dataset.keyLength(index);
    valueBytes += dataset.valueBytesOf(index);
  }
  const scale = entries / counted;
  keyBytes = Math.round(keyBytes * scale);
  valueBytes = Math.round(valueBytes * scale);
  return { entries, keyBytes, valueBytes, bytes: keyBytes + valueBytes, method: scale === 1 ? 'exact' : 'sampled' };
}

/** The memory limit in bytes that a scenario asks for: its own, or its share of the data set. 0: none. */
export function memoryLimitBytes(scenario: Scenario): number {
  const { limitBytes, limitShare } = scenario.memory;
  return limitShare > 0 ? Math.round(limitShare * datasetBytes(scenario).bytes) : limitBytes;
}

/** memcached's default slab classes: chunks from 96 bytes, each 1.25 times the one before, rounded up to 8; pages of 1 MiB. */
const SLAB_FIRST = 96;
const SLAB_FACTOR = 1.25;
const SLAB_LARGEST = 524_288;
const SLAB_PAGE = 1024 ** 2;
/** Header, CAS, the zero after the key, the line end after the value. */
const ITEM_OVERHEAD = 48 + 8 + 1 + 2;

/**
 * What memcached takes for this data set whatever its limit is: each class of sizes that occurs gets a first page of 1 MiB even past `-m`.
 * A memory limit below this is no limit, and a comparison under it says nothing.
 */
export function memcachedFloorBytes(scenario: Scenario): number {
  const dataset = new Dataset(scenario);
  const counted = Math.min(dataset.indexes, MAX_COUNTED_KEYS);
  const chunks: number[] = [];
  for (let chunk = SLAB_FIRST; chunk < SLAB_LARGEST / SLAB_FACTOR; chunk = Math.ceil((chunk * SLAB_FACTOR) / 8) * 8) {
    chunks.push(chunk);
  }
  chunks.push(SLAB_LARGEST);
  const seen = new Uint8Array(chunks.length);
  for (let i = 0; i < counted; i++) {
    const index = Math.floor((i * dataset.indexes) / counted);
    const bytes = ITEM_OVERHEAD + dataset.keyLength(index) + dataset.valueBytesOf(index);
    const fitting = chunks.findIndex((chunk) => chunk >= bytes);
    seen[fitting < 0 ? chunks.length - 1 : fitting] = 1;
  }
  return seen.reduce((sum, one) => sum + one, 0) * SLAB_PAGE;
}

/**
 * The share of gets that must hit, where it follows from the scenario alone: nothing evicts or expires, nothing is removed, and either all
 * keys are preloaded or nothing stores further ones. Otherwise null: it is what the run shall find out.
 */
export function expectedHitRatio(scenario: Scenario): number | null {
  const { memory, ttl, dataset, mix } = scenario;
  if (scenario.kind !== 'load' || memory.limitBytes > 0 || memory.limitShare > 0 || ttl.kind !== 'none') return null;
  const used = mix.filter((entry) => entry.weight > 0).map((entry) => entry.operation);
  if (!used.some((operation) => operation === 'get' || operation === 'mget') || used.includes('delete')) return null;
  const preloaded = Math.round(dataset.keys * dataset.preload);
  if (preloaded === dataset.keys) return 1;
  const stores = used.some((operation) => !['get', 'mget', 'touch', 'incr', 'replace'].includes(operation));
  if (stores || scenario.cacheAside !== null) return null;
  // A sequence meets all keys alike only in whole rounds; a run's end is not on a round.
  if (scenario.popularity.kind === 'sequential') return null;
  return createWorkload(scenario, scenario.seed).headShare(preloaded);
}
