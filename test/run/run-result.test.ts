import { describe, expect, it } from 'vitest';
import type { MemoryLedger } from '../../harness/result.ts';
import { memoryLimitGuard } from '../../harness/run/run-result.ts';
import { sampleRun } from '../support/sample-result.ts';

const MIB = 2 ** 20;
const ledger = (active: number, limit: number): MemoryLedger => ({ ...sampleRun(0).memory!, active, limit });

describe('the memory limit’s guard', () => {
  it('fails where memcached’s first pages are more than the limit, and says what to do', () => {
    const guard = memoryLimitGuard('memcached', ledger(30 * MIB, 10 * MIB));
    expect(guard).toMatchObject({ name: 'memory-limit', passed: false });
    expect(guard!.detail).toContain('Slab pages take 30.0 MiB under a limit of 10.0 MiB');
    expect(guard!.detail).toContain('raise the limit');
  });

  it('passes where the limit holds, and has nothing to say without one or of Redis, whose fragmentation is a result', () => {
    expect(memoryLimitGuard('memcached', ledger(11 * MIB, 10 * MIB))?.passed).toBe(true);
    expect(memoryLimitGuard('memcached', ledger(11 * MIB, 0))).toBeNull();
    expect(memoryLimitGuard('memcached', null)).toBeNull();
    expect(memoryLimitGuard('redis', ledger(30 * MIB, 10 * MIB))).toBeNull();
  });
});
