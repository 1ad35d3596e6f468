import { describe, expect, it } from 'vitest';
import { flagValue, memcachedLaunch, portOfFlags, redisLaunch } from '../../harness/target/launch-flags.ts';
import type { PersistenceMode } from '../../scenarios/spec.ts';
import { makeScenario, makeTarget } from '../support/scenario.ts';

const TCP = { kind: 'tcp', host: '127.0.0.1', port: 7 } as const;
const MIB = 1_048_576;

function settings(limitBytes: number, over = {}) {
  const scenario = makeScenario(over);
  return { scenario, limitBytes, datasetBytes: scenario.dataset.keys * 116, entries: scenario.dataset.keys };
}

describe('the flags of a started server', () => {
  it('switch persistence off and set limit and policy of redis-server', () => {
    const { args } = redisLaunch(TCP, settings(5_000_000), '/tmp/x', ['--io-threads', '2']);
    const text = args.join(' ');
    expect(text).toContain('--save  --appendonly no');
    expect(text).toContain('--maxmemory 5000000 --maxmemory-policy allkeys-lru --maxmemory-samples 5');
    // The target's own flags come last, so that they win.
    expect(args.slice(-2)).toEqual(['--io-threads', '2']);
  });

  it('say what redis-server keeps on disk', () => {
    const flags = (mode: PersistenceMode) =>
      redisLaunch(TCP, settings(0, { persistence: { mode, snapshotEveryS: 0, crash: false } }), '/tmp/x', []).args.join(
        ' ',
      );
    expect(flags('none')).toContain('--save  --appendonly no');
    // Snapshots are begun by the harness.
    expect(flags('rdb')).toContain('--save  --appendonly no');
    expect(flags('aof-always')).toContain('--appendonly yes --appendfsync always');
    expect(flags('aof-rdb')).toContain('--appendonly yes --appendfsync everysec');
  });

  it("round memcached's limit to MiB and say so", () => {
    const exact = memcachedLaunch(TCP, settings(64 * MIB), []);
    expect(exact.args[exact.args.indexOf('-m') + 1]).toBe('64');
    expect(exact.notes).toEqual([]);
    const rounded = memcachedLaunch(TCP, settings(10_000_000), []);
    expect(rounded.args[rounded.args.indexOf('-m') + 1]).toBe('10');
    expect(rounded.notes[0]).toContain('10 MiB (10485760 bytes) stand for 10000000 bytes');
  });

  it('give memcached room for the whole data set when there is no limit', () => {
    const scenario = makeScenario();
    const { args, notes } = memcachedLaunch(
      TCP,
      { scenario, limitBytes: 0, datasetBytes: 500 * MIB, entries: 1_000 },
      [],
    );
    expect(Number(args[args.indexOf('-m') + 1])).toBeGreaterThan(600);
    expect(notes[0]).toContain('cannot run without a limit');
  });

  it('forbid eviction with noeviction and raise the item limit for large values', () => {
    const memory = { limitBytes: 0, limitShare: 0, policy: 'noeviction', samples: 5 };
    const dataset = { ...makeScenario().dataset, valueSize: { kind: 'fixed' as const, bytes: 3 * MIB } };
    const { args } = memcachedLaunch(TCP, settings(0, { memory, dataset }), []);
    expect(args).toContain('-M');
    expect(flagValue(args, ['-I'])).toBe('4m');
  });

  it('let a target ask for a port of its own', () => {
    expect(portOfFlags(makeTarget({ flags: ['--port', '7001'] }))).toBe(7001);
    expect(portOfFlags(makeTarget({ engine: 'memcached', flags: ['-p7001'] }))).toBe(7001);
    expect(portOfFlags(makeTarget())).toBe(null);
  });
});
