import { expect, test } from 'vitest';
import { LatencyCounts, timelineRow } from '../../harness/measure/latency-counts.ts';
import { judgeValidity, type ValidityInput } from '../../harness/measure/validity.ts';
import type { TimelineRow } from '../../harness/result.ts';

function rows(rate: (i: number) => number, ratio: (i: number) => number): TimelineRow[] {
  return Array.from({ length: 20 }, (_, i) => ({
    ...timelineRow(i + 1, new LatencyCounts(), 0, Math.round(1_000 * ratio(i)), 1_000 - Math.round(1_000 * ratio(i))),
    operations: rate(i),
  }));
}

function sound(): ValidityInput {
  return {
    durationS: 20,
    offeredRate: 1_000,
    operations: 19_990,
    errors: 0,
    errorTexts: {},
    hits: 9_000,
    misses: 1_000,
    latency: [],
    sendLag: { ...new LatencyCounts().summary(), count: 20_000, p99: 200 },
    verified: { checked: 100, wrong: 0 },
    timeline: rows(
      () => 1_000,
      () => 0.9,
    ),
    clientCpuS: 10,
    threads: 1,
    aborted: null,
    expectedHitRatio: 0.9,
    stolenShare: 0.001,
    machineUse: { others: 0.03, idle: 0.1 },
    verify: 0.01,
  };
}

function failed(input: ValidityInput): string[] {
  return judgeValidity(input)
    .filter((guard) => !guard.passed)
    .map((guard) => guard.name);
}

test('a sound run passes all nine guards', () => {
  expect(judgeValidity(sound()).map((guard) => guard.name)).toEqual([
    'client-cpu',
    'send-lag',
    'achieved-rate',
    'hit-ratio',
    'steady-state',
    'stolen-cpu',
    'other-programs',
    'verification',
    'errors',
  ]);
  expect(failed(sound())).toEqual([]);
});

test.each<[string, Partial<ValidityInput>]>([
  ['client-cpu', { clientCpuS: 19 }],
  ['send-lag', { sendLag: { ...sound().sendLag!, p99: 1_500 } }],
  ['achieved-rate', { operations: 18_000 }],
  ['hit-ratio', { expectedHitRatio: 1 }],
  [
    'steady-state',
    {
      timeline: rows(
        (i) => 1_000 + i * 30,
        () => 0.9,
      ),
    },
  ],
  [
    'steady-state',
    {
      timeline: rows(
        () => 1_000,
        (i) => 0.5 + i * 0.02,
      ),
    },
  ],
  ['stolen-cpu', { stolenShare: 0.2 }],
  ['other-programs', { machineUse: { others: 0.4, idle: 0.02 } }],
  ['verification', { verified: { checked: 100, wrong: 1 } }],
  ['verification', { verified: { checked: 0, wrong: 0 } }],
  ['errors', { errors: 1, errorTexts: { 'OOM command not allowed': 1 } }],
  ['errors', { aborted: 'The target is gone.' }],
])('the guard %s fails where it should, alone', (name, change) => {
  expect(failed({ ...sound(), ...change })).toEqual([name]);
});

test('guards that cannot be judged are left out, not passed', () => {
  const names = judgeValidity({
    ...sound(),
    clientCpuS: null,
    sendLag: null,
    offeredRate: null,
    expectedHitRatio: null,
    stolenShare: null,
    machineUse: null,
    verify: 0,
  }).map((guard) => guard.name);
  expect(names).toEqual(['steady-state', 'errors']);
});

test('fills do not stand in for offered operations that were not answered', () => {
  const empty = new LatencyCounts().summary();
  const fill = { kind: 'fill', count: 2_000, errors: 0, response: empty, service: empty };
  expect(failed({ ...sound(), latency: [fill] })).toEqual(['achieved-rate']);
  expect(failed({ ...sound(), operations: 21_990, latency: [fill] })).toEqual([]);
});

test('of a few hits none need have been drawn for a check', () => {
  const verified = { checked: 0, wrong: 0 };
  const expectedHitRatio = null;
  expect(failed({ ...sound(), expectedHitRatio, verified, hits: 6, verify: 0.05 })).toEqual([]);
  expect(failed({ ...sound(), expectedHitRatio, verified, hits: 1, verify: 1 })).toEqual(['verification']);
  expect(failed({ ...sound(), expectedHitRatio, verified, hits: 500, verify: 0.05 })).toEqual(['verification']);
});

test('other programs are in nobody’s way where the machine has time to spare', () => {
  expect(failed({ ...sound(), machineUse: { others: 0.4, idle: 0.3 } })).toEqual([]);
});
