import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { defaultLoadDriver } from '../../harness/run/load-driver.ts';
import { measure } from '../../harness/run/measure.ts';
import { filesBelow, PersistenceWatch, snapshotCommand } from '../../harness/run/persistence-watch.ts';
import { createProgress } from '../../harness/run/progress.ts';
import { persistenceGuards } from '../../harness/run/run-result.ts';
import { createLocalTarget } from '../../harness/target/local-target.ts';
import { ServerKeeper } from '../../harness/target/server-keeper.ts';
import type { PersistentServer } from '../../harness/target/target.ts';
import type { PersistenceMode, TargetSpec } from '../../scenarios/spec.ts';
import { describeReal } from '../support/real.ts';
import { makeScenario, makeTarget } from '../support/scenario.ts';

it('begins what the mode needs: a snapshot, a rewrite, both in turns, or nothing', () => {
  expect(snapshotCommand('none', 0)).toBe(null);
  expect(snapshotCommand('rdb', 1)).toBe('BGSAVE');
  expect(snapshotCommand('aof-always', 0)).toBe('BGREWRITEAOF');
  expect([0, 1, 2].map((turn) => snapshotCommand('aof-rdb', turn))).toEqual(['BGSAVE', 'BGREWRITEAOF', 'BGSAVE']);
});

it('lists the files of a server, also those in folders, largest first', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-test-'));
  try {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'a'), 'x');
    writeFileSync(join(folder, 'sub', 'b'), 'xx');
    expect(filesBelow(folder)).toEqual([
      { name: join('sub', 'b'), bytes: 2 },
      { name: 'a', bytes: 1 },
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('turns what INFO says from moment to moment into events, and copied bytes into the time series', async () => {
  const idle = { rdb_bgsave_in_progress: '0', aof_rewrite_in_progress: '0', aof_delayed_fsync: '0' };
  const saving = { ...idle, rdb_bgsave_in_progress: '1', current_cow_size: '4096', aof_pending_bio_fsync: '1' };
  const told = [idle, idle, saving, saving, { ...idle, aof_delayed_fsync: '2', rdb_last_cow_size: '8192' }];
  const called: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-test-'));
  const server: PersistentServer = {
    folder,
    info: async (section) => (section === 'stats' ? { latest_fork_usec: '77' } : (told.shift() ?? idle)),
    call: async (...words) => called.push(words.join(' ')),
    kill: async () => {},
    restart: async () => 0,
  };
  const watch = new PersistenceWatch(server, { mode: 'aof-rdb', snapshotEveryS: 0, crash: false });
  watch.start();
  while (told.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await watch.stop();
  const row = { t: 60, operations: 1, errors: 0, hits: 0, misses: 0, p50: 1, p99: 1, p999: 1, max: 1 };
  const timeline = [{ ...row, rss: null, serverCpu: null, copied: null }];
  watch.fill(timeline);
  const { events, snapshots, pauseUs, copiedBytes, delayedFsyncs } = watch.result();
  expect(events.map((event) => event.kind)).toEqual(['snapshot-start', 'fsync', 'snapshot-end', 'write-postponed']);
  expect({ snapshots, pauseUs, copiedBytes, delayedFsyncs }).toEqual({
    snapshots: 1,
    pauseUs: 77,
    copiedBytes: 8192,
    delayedFsyncs: 2,
  });
  expect(timeline[0]!.copied).toBe(8192);
  expect(called).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

it('lets a run pass only when the server came back, and lost no more than appendfsync promises', () => {
  const crash = {
    acknowledged: 9,
    lost: 1,
    oldestLostS: 0.5,
    recoveryS: 1,
    keysBefore: 0,
    keysAfter: 8,
    failure: null,
  };
  const base = { mode: 'aof-always', events: [], snapshots: 0, rewrites: 0, snapshotS: null, pauseUs: null };
  const result = { ...base, copiedBytes: null, delayedFsyncs: null, files: [], crash };
  const passed = (over: object) => persistenceGuards({ ...result, ...over }).map((guard) => [guard.name, guard.passed]);
  expect(passed({})).toEqual([
    ['recovery', true],
    ['durability', false],
  ]);
  for (const mode of ['aof-everysec', 'aof-rdb']) {
    for (const [oldestLostS, kept] of [
      [0.5, true],
      [2, true],
      [2.1, false],
      [null, true],
    ] as const) {
      const lost = oldestLostS === null ? 0 : 1;
      const judged = passed({ mode, crash: { ...crash, lost, oldestLostS } });
      expect(judged).toEqual([
        ['recovery', true],
        ['durability', kept],
      ]);
    }
  }
  expect(passed({ mode: 'rdb' })).toEqual([['recovery', true]]);
  expect(passed({ crash: { ...crash, lost: null, failure: 'no answer' } })).toEqual([['recovery', false]]);
  expect(passed({ crash: null })).toEqual([]);
});

async function crashed(spec: TargetSpec, mode: PersistenceMode) {
  const keeper = new ServerKeeper();
  try {
    const scenario = makeScenario({
      persistence: { mode, snapshotEveryS: 0.4, crash: true },
      mix: [{ operation: 'set', weight: 1 }],
      durationS: 1,
    });
    const run = await measure({
      target: createLocalTarget(spec, keeper),
      scenario,
      limitBytes: 0,
      datasetBytes: scenario.dataset.keys * 116,
      entries: scenario.dataset.keys,
      repetition: 1,
      seed: mode,
      driver: await defaultLoadDriver(),
      progress: createProgress({ write: () => {} }, true),
      signal: new AbortController().signal,
      onFacts: () => {},
    });
    // Data folders may be large: they do not wait for the end of the whole run.
    expect(filesBelow(keeper.folder).filter((file) => !file.name.endsWith('.log'))).toEqual([]);
    return { run, persistence: run.persistence!, crash: run.persistence!.crash! };
  } finally {
    await keeper.close();
    expect(existsSync(keeper.folder)).toBe(false);
  }
}

const EMBEDDED = makeTarget({ id: 'embedded-redis', label: 'Redis (embedded)', kind: 'embedded' });

describeReal(['redis-server'], 'a crash amid writes', () => {
  for (const target of [makeTarget(), EMBEDDED]) {
    it(`loses nothing that ${target.label} acknowledged with appendfsync always`, async () => {
      const { run, persistence, crash } = await crashed(target, 'aof-always');
      expect(run.failure).toBe(null);
      expect(crash).toMatchObject({ lost: 0, failure: null, keysBefore: 1_000 });
      expect(crash.acknowledged).toBeGreaterThan(100);
      expect(crash.recoveryS).toBeGreaterThan(0);
      expect(persistence.events.map((event) => event.kind)).toContain('rewrite-start');
      expect(persistence.files.some((file) => file.name.endsWith('.manifest'))).toBe(true);
    }, 30_000);

    it(`loses what ${target.label} had not yet saved in a snapshot, and keeps what it had`, async () => {
      const { persistence, crash } = await crashed(target, 'rdb');
      expect(crash.failure).toBe(null);
      // What was preloaded had been saved before the run.
      expect(crash.keysAfter).toBeGreaterThanOrEqual(1_000);
      expect(crash.lost).toBeGreaterThan(0);
      expect(crash.oldestLostS).toBeGreaterThan(0);
      // On a busy machine it may not have ended by then.
      expect(persistence.events.map((event) => event.kind)).toContain('snapshot-start');
      expect(persistence.pauseUs).toBeGreaterThan(0);
    }, 30_000);
  }
});
