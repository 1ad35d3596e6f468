import { expect, it } from 'vitest';
import { benchPersistence, loadSeconds, PERSISTENCE_GROUPS } from '../../harness/bench/bench-persistence.ts';
import { describeReal } from '../support/real.ts';

it('reads the time of loading from the log of either server', () => {
  expect(loadSeconds('1:M 01 Jan 2026 * DB loaded from disk: 1.250 seconds\nReady')).toBe(1.25);
  expect(() => loadSeconds('Ready')).toThrow('Cannot find the load time');
});

describeReal(['redis-server', 'redis-benchmark'], 'bench persistence', () => {
  it('measures snapshots, copies and loading on both servers', async () => {
    const only = PERSISTENCE_GROUPS.filter((group) => group !== 'latency' && group !== 'aof');
    const rows = await benchPersistence({ rounds: 1, scale: 0.01, only, progress: () => {} });
    // Copies are measured in two ways.
    expect(rows).toHaveLength(only.length + 1);
    for (const row of rows) {
      expect(row.ratio, row.work).toBeGreaterThan(0);
      expect(row.ours, row.work).toMatch(/\d/);
    }
  }, 60_000);
});
