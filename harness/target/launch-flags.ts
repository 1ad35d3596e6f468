/** The flags with which a server is started for one cell. Pure: what is decided here can be tested without a server. */
import { userInfo } from 'node:os';
import type { Scenario, SizeSpec, TargetSpec } from '../../scenarios/spec.ts';
import type { ServerAddress } from '../driver/load-plan.ts';
import { MEMCACHED_ITEM_OVERHEAD } from './memory-ledger.ts';
import type { CellSettings } from './target.ts';

const MIB = 1_048_576;
/** memcached's own default for -m, and the least the harness asks for without a limit. */
const MEMCACHED_DEFAULT_MIB = 64;
/** Slab classes grow by 1.25, so an item wastes at most a fifth of its chunk; pages that are partly filled come on top. */
const MEMCACHED_HEADROOM = 1.35;
/** Connections beside the load's own: the harness's questions, and those that are closing. */
const SPARE_CONNECTIONS = 64;
const MEMCACHED_DEFAULT_ITEM_BYTES = 1_048_576;

export interface Launch {
  /** Arguments after the program's name. */
  args: string[];
  /** What a reader must know about how the settings were applied. */
  notes: string[];
}

/** Largest value in bytes that a size distribution gives. */
export function largestValue(spec: SizeSpec): number {
  switch (spec.kind) {
    case 'fixed':
      return spec.bytes;
    case 'list':
      return Math.max(...spec.entries.map((entry) => entry.bytes));
    default:
      return spec.max;
  }
}

function connectionsOf(scenario: Scenario): number {
  return Math.max(scenario.connections, scenario.fanout?.subscribers ?? 0) + SPARE_CONNECTIONS;
}

/** Value that follows one of the flags, or null. */
export function flagValue(flags: readonly string[], names: readonly string[]): string | null {
  for (let i = flags.length - 1; i >= 0; i--) {
    const flag = flags[i] as string;
    for (const name of names) {
      if (flag === name && i + 1 < flags.length) return flags[i + 1] as string;
      if (name.startsWith('--') && flag.startsWith(`${name}=`)) return flag.slice(name.length + 1);
      if (!name.startsWith('--') && flag.startsWith(name) && /^\d+$/.test(flag.slice(name.length))) {
        return flag.slice(name.length);
      }
    }
  }
  return null;
}

/** Port that a target's own flags ask for, or null to let the harness choose. */
export function portOfFlags(spec: TargetSpec): number | null {
  const text = flagValue(spec.flags, spec.engine === 'redis' ? ['--port'] : ['-p', '--port']);
  const port = text === null ? Number.NaN : Number(text);
  return Number.isInteger(port) && port > 0 ? port : null;
}

/** Snapshots are begun by the harness, at the same moments for every server, so no save points are set. */
function persistenceFlags({ persistence }: Scenario): string[] {
  const mode = persistence?.mode ?? 'none';
  const policy = mode === 'aof-rdb' ? 'everysec' : /^aof-(.*)$/.exec(mode)?.[1];
  if (policy === undefined) return ['--save', '', '--appendonly', 'no'];
  // Rewrites as well are begun by the harness.
  return ['--save', '', '--appendonly', 'yes', '--appendfsync', policy, '--auto-aof-rewrite-percentage', '0'];
}

/** Flags of redis-server (the real one and the embedded one take the same). */
export function redisLaunch(
  address: ServerAddress,
  settings: CellSettings,
  folder: string,
  flags: readonly string[],
): Launch {
  const { scenario, limitBytes } = settings;
  const notes: string[] = [];
  const where =
    address.kind === 'unix'
      ? ['--port', '0', '--unixsocket', address.path, '--unixsocketperm', '700']
      : ['--port', String(address.port), '--bind', address.host];
  const maxclients = connectionsOf(scenario);
  const args = [...where, ...persistenceFlags(scenario), '--daemonize', 'no', '--dir', folder];
  if (maxclients > 10_000) args.push('--maxclients', String(maxclients));
  args.push('--maxmemory', String(limitBytes), '--maxmemory-policy', scenario.memory.policy);
  args.push('--maxmemory-samples', String(scenario.memory.samples), ...flags);
  return { args, notes };
}

/** Flags of memcached (the real one and the embedded one take the same). */
export function memcachedLaunch(address: ServerAddress, settings: CellSettings, flags: readonly string[]): Launch {
  const { scenario, limitBytes, datasetBytes, entries } = settings;
  const notes: string[] = [];
  const where =
    address.kind === 'unix'
      ? ['-s', address.path, '-a', '700']
      : ['-l', address.host, '-p', String(address.port), '-U', '0'];
  let mebibytes: number;
  if (limitBytes > 0) {
    mebibytes = Math.max(1, Math.round(limitBytes / MIB));
    if (mebibytes * MIB !== limitBytes) {
      notes.push(
        `memcached takes its limit in whole MiB: ${mebibytes} MiB (${mebibytes * MIB} bytes) stand for ${limitBytes} bytes.`,
      );
    }
  } else {
    const needed = (datasetBytes + entries * MEMCACHED_ITEM_OVERHEAD) * MEMCACHED_HEADROOM;
    mebibytes = Math.max(MEMCACHED_DEFAULT_MIB, Math.ceil(needed / MIB) + 48);
    if (mebibytes > MEMCACHED_DEFAULT_MIB) {
      notes.push(`memcached cannot run without a limit: ${mebibytes} MiB hold the whole data set.`);
    }
  }
  const args = [...where, '-m', String(mebibytes), '-c', String(Math.max(1_024, connectionsOf(scenario)))];
  if (scenario.memory.policy === 'noeviction') args.push('-M');
  const largestItem =
    largestValue(scenario.dataset.valueSize) + Math.max(scenario.dataset.keyBytes, 250) + MEMCACHED_ITEM_OVERHEAD;
  if (largestItem > MEMCACHED_DEFAULT_ITEM_BYTES && flagValue(flags, ['-I', '--max-item-size']) === null) {
    const limit = Math.ceil(largestItem / MIB);
    args.push('-I', `${limit}m`);
    notes.push(
      `memcached's item limit was raised from 1 MiB to ${limit} MiB (-I ${limit}m) to take the largest values.`,
    );
  }
  // As root memcached refuses to start without being told whom to become.
  if (process.getuid?.() === 0 && flagValue(flags, ['-u', '--user']) === null) args.push('-u', userInfo().username);
  args.push(...flags);
  return { args, notes };
}
