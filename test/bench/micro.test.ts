import { expect, it } from 'vitest';
import { benchMicro, microTable } from '../../harness/bench/micro.ts';

it('measures every structure, each of whose batches gives what it must', async () => {
  const rows = await benchMicro({ timeMs: 1 });
  expect(rows.length).toBeGreaterThan(10);
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  for (const { name, nsPerOperation, marginPercent } of rows) {
    expect(nsPerOperation, name).toBeGreaterThan(0.1);
    expect(nsPerOperation, name).toBeLessThan(1e6);
    expect(marginPercent, name).toBeGreaterThanOrEqual(0);
  }
  expect(microTable(rows).split('\n')).toHaveLength(rows.length + 3);
});
