import { expect, it } from 'vitest';
import { modeFigures, persistenceAnswer } from '../../harness/compare/persistence.ts';
import { judge } from '../../harness/compare/verdict.ts';
import type { CellResult, RunResult, ScenarioResult } from '../../harness/result.ts';
import { type MadeUp, makeRun, makeScenarioResult, REDIS } from '../support/made-up.ts';

function crashed(mode: string, lost: number | null, over: MadeUp = {}, repetition = 1): RunResult {
  const crash = {
    acknowledged: 1_000,
    lost,
    oldestLostS: lost ? 0.75 : null,
    recoveryS: 0.25,
    keysBefore: 1,
    keysAfter: 1,
  };
  const base = { mode, events: [], snapshots: 0, rewrites: 0, snapshotS: null, pauseUs: null, copiedBytes: null };
  const persistence = { ...base, delayedFsyncs: null, files: [], crash: { ...crash, failure: null } };
  return { ...makeRun(repetition, over), persistence };
}

function resultOf(cells: [mode: string, runs: RunResult[]][]): ScenarioResult {
  const modes = cells.map(([mode]) => mode);
  const made: CellResult[] = cells.map(([mode, runs]) => ({
    axis: { 'persistence.mode': mode },
    targetId: REDIS.id,
    runs,
  }));
  return { ...makeScenarioResult([REDIS], made), axes: [{ field: 'persistence.mode', values: modes }] };
}

it('tells what each mode costs against none, and what a crash took', () => {
  const result = resultOf([
    ['none', [crashed('none', 1_000, { rate: 50_000 })]],
    ['rdb', [crashed('rdb', 420, { rate: 48_000 })]],
    ['aof-always', [crashed('aof-always', 0, { rate: 5_000 })]],
  ]);
  const answer = persistenceAnswer(result)!;
  expect(answer.headline).toBe(
    `On ${REDIS.label} the dearest mode of persistence, aof-always, leaves 10 % of the throughput`,
  );
  expect(answer.text).toContain('rdb no difference in throughput that can be told');
  expect(answer.text).toContain('aof-always 90 % less throughput');
  expect(answer.text).toContain('rdb lost up to 42 % of the writes acknowledged just before, back to 0.8 s');
  expect(answer.text).toContain('aof-always lost none');
  expect(judge(result).headline).toBe(answer.headline);
});

it('compares runs of one repetition, leaves out those that cannot be believed, and says which modes it could not judge', () => {
  const result = resultOf([
    ['none', [crashed('none', 9, { rate: 40_000 }, 1), crashed('none', 9, { rate: 80_000 }, 2)]],
    ['rdb', [crashed('rdb', 0, { rate: 20_000 }, 1), crashed('rdb', 5, { rate: 40_000 }, 2)]],
    ['aof-always', [crashed('aof-always', 0, { status: 'inconclusive', failedGuard: 'steady-state' })]],
  ]);
  const [, rdb, always] = modeFigures(result, REDIS.id);
  // The machine was twice as fast in the second repetition; the ratio is the same in both. A loss that happened once counts.
  expect(rdb).toMatchObject({ rate: 0.5, lostShare: 0.005 });
  expect(always).toMatchObject({ rate: null, lostShare: 0 });
  expect(persistenceAnswer(result)!.headline).toContain('(no valid runs of aof-always)');
});

it('says nothing where modes were not varied, or nothing was measured', () => {
  expect(persistenceAnswer(makeScenarioResult([REDIS], []))).toBe(null);
  expect(
    persistenceAnswer(
      resultOf([
        ['none', []],
        ['rdb', []],
      ]),
    ),
  ).toBe(null);
});
