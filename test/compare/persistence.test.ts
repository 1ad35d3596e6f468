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
  const [advice, told, ...more] = answer.paragraphs;
  expect(more).toEqual([]);
  expect(advice).toContain('rdb (about all of the throughput of none)');
  expect(advice).toContain('where no acknowledged write may be lost: aof-always (10 % of the throughput of none)');
  expect(told).toContain('rdb no difference in throughput that can be told');
  expect(told).toContain('aof-always 90 % less throughput');
  expect(told).toContain(`When ${REDIS.label} was killed amid writes rdb lost up to 42 %`);
  expect(told).toContain(
    'of the writes acknowledged just before, back to 0.8 s; aof-always lost none of them; without persistence all data were lost',
  );
  expect(answer.caveats).toEqual([expect.stringContaining('all since its last finished snapshot began')]);
  const verdict = judge(result);
  expect(verdict.headline).toBe(answer.headline);
  expect(verdict.text.split('\n\n').slice(0, 2)).toEqual(answer.paragraphs);
  expect(verdict.caveats.slice(0, 1)).toEqual(answer.caveats);
});

it('does not let a mode look safe that only outlived its process', () => {
  const result = resultOf([
    ['none', [crashed('none', 1_000)]],
    ['aof-no', [crashed('aof-no', 0)]],
    ['aof-everysec', [crashed('aof-everysec', 0)]],
    ['aof-always', [crashed('aof-always', 0)]],
  ]);
  expect(persistenceAnswer(result)!.caveats).toEqual([
    expect.stringMatching(/^The process was killed, not the machine: aof-no, aof-everysec lost nothing/),
  ]);
});

it('is as sure as the repetitions of its target, whatever there was to compare it with', () => {
  const of = (repetitions: number, failedGuard?: string) =>
    judge(
      resultOf(
        ['none', 'rdb', 'aof-always'].map((mode): [string, RunResult[]] => [
          mode,
          Array.from({ length: repetitions }, (_, i) =>
            crashed(mode, 0, i === 0 && failedGuard ? { failedGuard } : {}, i + 1),
          ),
        ]),
      ),
    ).confidence;
  expect([of(1), of(3), of(5), of(5, 'stolen-cpu')]).toEqual(['low', 'medium', 'high', 'medium']);
});

it('takes a mode that is faster than none for chance, and gives no advice then', () => {
  const rates = (none: number, rdb: number, always: number) =>
    persistenceAnswer(
      resultOf([
        ['none', [crashed('none', 9, { rate: none })]],
        ['rdb', [crashed('rdb', 0, { rate: rdb })]],
        ['aof-always', [crashed('aof-always', 0, { rate: always })]],
      ]),
    )!;
  const wild = rates(10_000, 49_400, 6_200);
  expect(wild.headline).toContain('the runs differed by chance more than any mode of persistence costs');
  expect(wild.headline).toContain('rdb came out 394 % faster than none');
  expect(wild.paragraphs.join(' ')).not.toContain('To choose');
  expect(wild.caveats).toEqual([expect.stringContaining('Files cannot cause that')]);
  // A cost that is far larger than that is still told.
  expect(rates(10_000, 12_000, 500).headline).toContain('aof-always, leaves 5 % of the throughput');
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
