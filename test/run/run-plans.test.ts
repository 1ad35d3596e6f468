import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoadHooks, LoadPlan, LoadReport } from '../../harness/driver/load-plan.ts';
import type { ResultDocument } from '../../harness/result.ts';
import type { LoadDriver } from '../../harness/run/load-driver.ts';
import { createProgress } from '../../harness/run/progress.ts';
import { runPlans } from '../../harness/run/run-plans.ts';
import { emptyReport } from '../../harness/run/run-result.ts';
import { connectMemcached } from '../../harness/target/memcached-admin.ts';
import { connectRedis } from '../../harness/target/redis-admin.ts';
import type { Scenario, ScenarioPlan } from '../../scenarios/spec.ts';
import { latency } from '../support/made-up.ts';
import { describeReal } from '../support/real.ts';
import { makeScenario, makeTarget } from '../support/scenario.ts';

const REDIS = makeTarget();
const MEMCACHED = makeTarget({ id: 'memcached', label: 'memcached', engine: 'memcached' });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cachelab-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A driver that asks the server two things and makes the rest up. */
class TinyDriver implements LoadDriver {
  readonly seen: string[] = [];
  readonly pids: number[] = [];
  onLoad: ((plan: LoadPlan, pid: number) => Promise<void> | void) | null = null;

  async preload(plan: LoadPlan): Promise<{ keys: number; bytes: number; seconds: number }> {
    if (plan.endpoint.protocol !== 'redis') return { keys: 0, bytes: 0, seconds: 0 };
    const admin = await connectRedis(plan.endpoint, 10_000);
    await admin.call('SET', 'key:000000000001', 'x'.repeat(100));
    admin.close();
    return { keys: 1, bytes: 116, seconds: 0 };
  }

  async runLoad(plan: LoadPlan, hooks: LoadHooks = {}): Promise<LoadReport> {
    let pid: number;
    if (plan.endpoint.protocol === 'redis') {
      const admin = await connectRedis(plan.endpoint, 10_000);
      pid = Number((await admin.info('server'))['process_id']);
      admin.close();
    } else {
      const admin = await connectMemcached(plan.endpoint, 10_000);
      pid = Number((await admin.stats())['pid']);
      admin.close();
    }
    this.seen.push(`${plan.endpoint.protocol} ${plan.seed}`);
    this.pids.push(pid);
    hooks.onMeasureStart?.();
    const row = { t: 0.1, operations: 100, errors: 0, hits: 80, misses: 20, p50: 50, p99: 90, p999: 95, max: 99 };
    hooks.onInterval?.({ ...row, rss: null, serverCpu: null }, 'measure');
    await this.onLoad?.(plan, pid);
    hooks.onMeasureEnd?.();
    const response = latency(50, 90, 100);
    return {
      ...emptyReport(plan.scenario),
      durationS: 0.1,
      operations: 100,
      hits: 80,
      misses: 20,
      latency: [{ kind: 'all', count: 100, errors: 0, response, service: response }],
      timeline: [{ ...row, rss: null, serverCpu: null }],
      verified: { checked: 1, wrong: 0 },
    };
  }
}

function planOf(over: Partial<Scenario> = {}, axes: ScenarioPlan['axes'] = []): ScenarioPlan {
  const scenario = makeScenario({ targets: [REDIS, MEMCACHED], repetitions: 2, ...over });
  const values = axes[0]?.values ?? [];
  const cells =
    axes.length === 0
      ? [{ axis: {}, scenario }]
      : values.map((value) => ({
          axis: { [axes[0]!.field]: value },
          scenario: { ...scenario, connections: Number(value) },
        }));
  return { name: 'tiny', title: 'Tiny', question: 'Does it?', source: 'tiny', yaml: 'name: tiny\n', axes, cells };
}

function options(plan: ScenarioPlan, driver: LoadDriver, over: Partial<Parameters<typeof runPlans>[0]> = {}) {
  return {
    plans: [plan],
    out: join(folder, 'out'),
    commandLine: ['cachelab', 'run', '--target', 'redis://u:secret@h/0'],
    cachelabVersion: '0.1.0',
    allowFlush: false,
    driver,
    progress: createProgress({ write: () => {} }, true),
    signal: new AbortController().signal,
    ...over,
  };
}

function stored(runFolder: string): ResultDocument {
  return JSON.parse(readFileSync(join(runFolder, 'result.json'), 'utf8')) as ResultDocument;
}

describeReal(['redis-server', 'memcached'], 'A run', () => {
  it('measures every cell on every target, interleaved, each on a fresh server, and leaves none behind', async () => {
    const driver = new TinyDriver();
    const plan = planOf({}, [{ field: 'connections', values: [2, 4] }]);
    const { document, folder: runFolder } = await runPlans(options(plan, driver));
    expect(driver.seen).toEqual([
      'redis 1/1',
      'memcached-ascii 1/1',
      'memcached-ascii 1/1',
      'redis 1/1',
      'redis 1/2',
      'memcached-ascii 1/2',
      'memcached-ascii 1/2',
      'redis 1/2',
    ]);
    expect(new Set(driver.pids).size).toBe(8);
    for (const pid of driver.pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(document.run.status).toBe('complete');
    expect(stored(runFolder)).toEqual(document);
    expect(readdirSync(runFolder)).toEqual(['result.json']);
    const [scenario] = document.scenarios;
    expect(scenario?.cells.map((cell) => [cell.axis['connections'], cell.targetId, cell.runs.length])).toEqual([
      [2, 'redis', 2],
      [2, 'memcached', 2],
      [4, 'redis', 2],
      [4, 'memcached', 2],
    ]);
    const run = scenario!.cells[0]!.runs[0]!;
    expect(run).toMatchObject({ achievedRate: 1_000, hitRatio: 0.8, repetition: 1 });
    expect(run.memory).toMatchObject({ keys: 1, payload: 116, payloadIs: 'estimated' });
    expect(run.memoryPhases?.map((one) => one.phase)).toEqual(['start', 'preloaded', 'measured']);
    expect(run.server?.pid).toBe(driver.pids[0]);
    expect(scenario?.targets.map((target) => [target.id, target.version !== null])).toEqual([
      ['redis', true],
      ['memcached', true],
    ]);
  });

  it('keeps credentials out of the result', async () => {
    const { folder: runFolder } = await runPlans(options(planOf({ repetitions: 1 }), new TinyDriver()));
    const text = readFileSync(join(runFolder, 'result.json'), 'utf8');
    expect(text).not.toContain('secret');
    expect(text).toContain('redis://u:***@h/0');
  });

  it('keeps what was measured when it is interrupted, and says so', async () => {
    const driver = new TinyDriver();
    const interruption = new AbortController();
    driver.onLoad = () => {
      if (driver.seen.length === 3) interruption.abort(new Error('interrupted'));
    };
    const { document, folder: runFolder } = await runPlans(options(planOf(), driver, { signal: interruption.signal }));
    expect(document.run).toMatchObject({ status: 'partial' });
    expect(document.run.partialReason).toContain('interrupted');
    const runs = stored(runFolder).scenarios[0]!.cells.flatMap((cell) => cell.runs);
    expect(runs.map((run) => run.status === 'failed')).toEqual([false, false, true]);
    for (const pid of driver.pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('names a server that dies in mid-run, goes on with the others, and is partial', async () => {
    const driver = new TinyDriver();
    driver.onLoad = (plan, pid) => {
      if (plan.endpoint.protocol === 'redis') process.kill(pid, 'SIGKILL');
    };
    const { document } = await runPlans(options(planOf({ repetitions: 1 }), driver));
    const [redis, memcached] = document.scenarios[0]!.cells;
    expect(redis!.runs[0]).toMatchObject({ status: 'failed' });
    expect(redis!.runs[0]!.failure).toContain('the server was ended by SIGKILL');
    expect(memcached!.runs[0]!.status).not.toBe('failed');
    expect(document.run).toMatchObject({ status: 'partial' });
    expect(document.run.partialReason).toContain('SIGKILL');
  });

  it('turns a driver that throws into a failed measurement', async () => {
    const driver = new TinyDriver();
    driver.onLoad = () => Promise.reject(new Error('the load came to nothing'));
    const { document } = await runPlans(options(planOf({ repetitions: 1 }), driver));
    const runs = document.scenarios[0]!.cells.flatMap((cell) => cell.runs);
    expect(runs.map((run) => run.failure)).toEqual(['the load came to nothing', 'the load came to nothing']);
  });

  it('leaves out an optional target whose binary is missing, and refuses to go without a needed one', async () => {
    const missing = makeTarget({ id: 'other', label: 'keydb', binary: 'no-such-keydb', optional: true });
    const plan = planOf({ repetitions: 1, targets: [REDIS, missing] });
    const { document } = await runPlans(options(plan, new TinyDriver()));
    expect(document.scenarios[0]!.skippedTargets).toEqual([
      { id: 'other', label: 'keydb', reason: 'no-such-keydb is not on PATH' },
    ]);
    const strict = planOf({ targets: [{ ...missing, optional: false }] });
    await expect(runPlans(options(strict, new TinyDriver()))).rejects.toThrow(
      'Cannot run tiny: target keydb: no-such-keydb is not on PATH',
    );
  });

  it('stops with one line when the disk is full, and still has what it measured', async ({ skip }) => {
    const small = join(folder, 'small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      skip('a small file system cannot be mounted here (that needs root)');
    }
    try {
      const driver = new TinyDriver();
      driver.onLoad = () => {
        if (driver.seen.length === 2) {
          try {
            writeFileSync(join(small, 'filler'), Buffer.alloc(1 << 20));
          } catch {
            // Full, as intended.
          }
        }
      };
      const { document, folder: runFolder, writeError } = await runPlans(options(planOf(), driver, { out: small }));
      expect(writeError).toMatch(/^Cannot write .*result\.json: no space is left on the device\. [^\n]*$/);
      expect(driver.seen.length).toBe(2);
      expect(document.scenarios[0]!.cells.flatMap((cell) => cell.runs).length).toBe(2);
      // The file of before is whole, and says itself that it is not complete.
      expect(stored(runFolder).run.status).toBe('partial');
      expect(stored(runFolder).scenarios[0]!.cells.length).toBe(1);
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('stops with one line when its folder cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '');
    const bad = options(planOf(), new TinyDriver(), { out: join(folder, 'file', 'out') });
    await expect(runPlans(bad)).rejects.toThrow(/^Cannot write .*: a part of the path is a file/);
  });
});

describe('progress', () => {
  const label = { index: 2, total: 10, target: 'redis-server', cell: '', repetition: 1, repetitions: 2 };

  it('is one plain line a measurement where the output is no terminal', () => {
    let text = '';
    const progress = createProgress({ write: (part) => (text += part) }, false);
    progress.begin(label);
    progress.phase('measuring', 5);
    progress.end('done');
    progress.close();
    expect(text).toBe('[ 2/10] redis-server · repetition 1/2: done\n');
  });

  it('never draws a line wider than the terminal', () => {
    const lines: string[] = [];
    const progress = createProgress({ write: (part: string) => lines.push(part), isTTY: true, columns: 40 }, false);
    progress.begin({ ...label, cell: 'x'.repeat(100) });
    progress.phase('measuring', 5);
    progress.close();
    for (const line of lines) expect(line.replace(/\r|\x1b\[K/g, '').length).toBeLessThan(40);
  });
});
