import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sampleMachine, sampleProcess, stolenShare } from '../../harness/measure/process-sample.ts';

test.skipIf(!existsSync('/proc/self/stat'))('our own process is sampled with plausible figures', () => {
  const before = sampleProcess(process.pid, true)!;
  // CPU time, not wall time: on a busy machine the two are far apart.
  const used = (): number => process.cpuUsage().user + process.cpuUsage().system;
  const from = used();
  while (used() < from + 120_000);
  const after = sampleProcess(process.pid)!;
  const usage = process.cpuUsage();
  expect(after.userS + after.systemS - before.userS - before.systemS).toBeGreaterThanOrEqual(0.08);
  expect(Math.abs(after.userS + after.systemS - (usage.user + usage.system) / 1e6)).toBeLessThan(0.5);
  expect(before.rssBytes / process.memoryUsage.rss()).toBeCloseTo(1, 0);
  expect(before.peakRssBytes!).toBeGreaterThanOrEqual(before.rssBytes * 0.9);
  expect(before.pssBytes!).toBeGreaterThan(1_000_000);
  expect(after.pssBytes).toBeNull();
  expect(after.startTicks).toBe(before.startTicks);
});

test('a process that is not there gives null', () => {
  expect(sampleProcess(2 ** 22 + 1)).toBeNull();
});

test('the stolen share is a share of all CPU time between two samples', () => {
  expect(stolenShare({ totalS: 10, idleS: 5, stealS: 1 }, { totalS: 30, idleS: 9, stealS: 2 })).toBe(0.05);
  expect(stolenShare(null, { totalS: 1, idleS: 0, stealS: 0 })).toBeNull();
  const machine = sampleMachine();
  if (machine !== null) expect(machine.totalS).toBeGreaterThan(machine.idleS);
});
