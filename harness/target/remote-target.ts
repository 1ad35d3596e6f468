/**
 * A server elsewhere. It belongs to somebody: its configuration is recorded, not changed; its counters are not reset; and
 * nothing is deleted but the scenario's own keys, unless `--allow-flush` was given.
 */
import { resolve } from 'node:path';
import type { TargetSpec } from '../../scenarios/spec.ts';
import type { Endpoint } from '../driver/load-plan.ts';
import type { MemoryLedger } from '../result.ts';
import { connectMemcached } from './memcached-admin.ts';
import { connectRedis } from './redis-admin.ts';
import { parseRemoteUrl } from './remote-url.ts';
import {
  type CellSettings,
  describeAddress,
  protocolOf,
  type RunningTarget,
  type Target,
  TargetError,
} from './target.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Keys named in one request when own keys are counted or deleted. */
const KEYS_PER_REQUEST = 500;
/** At most so many of the scenario's keys are looked up before the first run; more are sampled evenly. */
const KEYS_CHECKED_MAX = 100_000;

export interface RemoteOptions {
  /** The user allows that everything in the database is deleted. */
  allowFlush: boolean;
}

/** Names of the scenario's keys, in the order of their numbers (see dataset.keyBytes in scenarios/spec.ts). */
export function keyName(prefix: string, keyBytes: number, index: number): string {
  const digits = String(index);
  return prefix + (keyBytes === 0 ? digits : digits.padStart(keyBytes - prefix.length, '0'));
}

export function createRemoteTarget(spec: TargetSpec, options: RemoteOptions): Target {
  const url = spec.url ?? '';
  const remote = parseRemoteUrl(
    url.startsWith('unix:') ? url.replace(/^unix:(?!\/)/, `unix:${resolve('.')}/`) : url,
    spec.engine,
  );
  // Whether the scenario's keys are free is asked once: later runs find keys of their own.
  let checked = false;
  return {
    spec,
    missing: null,
    start: async (settings) => {
      const endpoint: Endpoint = {
        address: remote.address,
        protocol: protocolOf(spec.engine, settings.scenario),
        username: remote.username,
        password: remote.password,
        database: remote.database,
      };
      const running = await connectRemote(endpoint, settings, options);
      try {
        if (!checked && !options.allowFlush) await refuseForeignKeys(running, spec, settings);
        checked = true;
        return running;
      } catch (error) {
        await running.stop();
        throw error;
      }
    },
  };
}

interface RunningRemote extends RunningTarget {
  countOwnKeys(): Promise<number>;
}

async function refuseForeignKeys(running: RunningRemote, spec: TargetSpec, settings: CellSettings): Promise<void> {
  if ((await running.facts()).keysBefore === 0) return;
  const found = await running.countOwnKeys();
  if (found === 0) return;
  throw new TargetError(
    `Cannot use ${spec.label} (${running.address}): it already holds ${found} keys with names like "${keyName(settings.scenario.dataset.keyPrefix, settings.scenario.dataset.keyBytes, 0)}", which this scenario would overwrite. Choose another prefix with --set dataset.keyPrefix=…, another database, or let everything be deleted with --allow-flush`,
  );
}

async function connectRemote(
  endpoint: Endpoint,
  settings: CellSettings,
  options: RemoteOptions,
): Promise<RunningRemote> {
  const { dataset } = settings.scenario;
  const admin =
    endpoint.protocol === 'redis'
      ? await connectRedis(endpoint, CONNECT_TIMEOUT_MS)
      : await connectMemcached(endpoint, CONNECT_TIMEOUT_MS);
  const before = await admin.memory().catch(() => null);
  const notes = [
    'The configuration of a server elsewhere is not changed: its own memory limit and eviction policy held, not those of the scenario.',
  ];
  const batches = function* (limit: number): Generator<string[]> {
    const step = Math.max(1, Math.ceil(settings.entries / limit));
    let names: string[] = [];
    for (let index = 0; index < settings.entries; index += step) {
      names.push(keyName(dataset.keyPrefix, dataset.keyBytes, index));
      if (names.length === KEYS_PER_REQUEST) {
        yield names;
        names = [];
      }
    }
    yield names;
  };
  let stopped = false;
  return {
    endpoint,
    pid: null,
    commandLine: null,
    address: describeAddress(endpoint),
    notes,
    facts: () => admin.facts(),
    memory: async (): Promise<MemoryLedger> => {
      const now = await admin.memory();
      const since = (value: number | null, start: number | null | undefined): number | null =>
        value === null ? null : Math.max(0, value - (start ?? 0));
      return {
        ...now,
        evictions: since(now.evictions, before?.evictions),
        expired: since(now.expired, before?.expired),
      };
    },
    resetStats: async () => {},
    flush: async () => {
      if (options.allowFlush) {
        await admin.flushAll();
        return null;
      }
      let removed = 0;
      for (const names of batches(Number.POSITIVE_INFINITY)) removed += await admin.deleteKeys(names);
      return removed;
    },
    countOwnKeys: async () => {
      let found = 0;
      for (const names of batches(KEYS_CHECKED_MAX)) found += await admin.countExisting(names);
      return found;
    },
    died: () => null,
    stop: async () => {
      if (stopped) return;
      stopped = true;
      admin.close();
    },
  };
}
