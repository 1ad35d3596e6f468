import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { machineUse, sampleMachine, sampleProcess, stolenShare } from '../../harness/measure/process-sample.ts';

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

const BEFORE = { totalS: 10, idleS: 5, programsS: 4, stealS: 1 };
const AFTER = { totalS: 30, idleS: 9, programsS: 18, stealS: 2 };

test('the stolen share is a share of all CPU time between two samples', () => {
  expect(stolenShare(BEFORE, AFTER)).toBe(0.05);
  expect(stolenShare(null, AFTER)).toBeNull();
  const machine = sampleMachine();
  if (machine !== null) expect(machine.totalS).toBeGreaterThan(machine.idleS);
});

test('what other programs took is the time of programs without our own', () => {
  const use = machineUse(BEFORE, AFTER, 9)!;
  expect(use.others).toBeCloseTo(5 / 20, 12);
  expect(use.idle).toBeCloseTo(4 / 20, 12);
  expect(machineUse(BEFORE, AFTER, 14.1)!.others).toBe(0);
  expect(machineUse(BEFORE, BEFORE, 0)).toBeNull();
  expect(machineUse(null, BEFORE, 0)).toBeNull();
});

const SPIN =
  'const end = 0.15e6; for (;;) { const { user, system } = process.cpuUsage(); if (user + system > end) break; }';

test.skipIf(!existsSync('/proc/self/stat'))(
  'CPU time of children counts while they run and when they have ended',
  async () => {
    const before = sampleProcess(process.pid)!.childrenS;
    spawnSync(process.execPath, ['-e', SPIN]);
    const ended = sampleProcess(process.pid)!.childrenS;
    expect(ended - before).toBeGreaterThanOrEqual(0.1);
    if (!existsSync('/proc/thread-self/children')) return;
    // Node forks from the thread that spawns, so only a process of its own has its children in its main thread.
    const parent = spawn(process.execPath, [
      '-e',
      `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(`${SPIN} console.log('spun'); process.stdin.resume();`)}], { stdio: 'inherit' });`,
    ]);
    try {
      await new Promise((resolve) => parent.stdout.once('data', resolve));
      expect(sampleProcess(parent.pid!)!.childrenS).toBeGreaterThanOrEqual(0.1);
    } finally {
      parent.stdin.end();
      await new Promise((resolve) => parent.once('exit', resolve));
    }
  },
);
