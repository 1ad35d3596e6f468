import { expect, test } from 'vitest';
import {
  ERROR_TEXTS_MAX,
  mergeTotals,
  OTHER_ERRORS,
  Recorder,
  TimelineMerger,
} from '../../harness/measure/recorder.ts';

test('what several threads recorded adds up, by kind and in all', () => {
  const threads = [0, 1].map((thread) => {
    const recorder = new Recorder(['get', 'set', 'never']);
    for (let i = 1; i <= 100; i++) recorder.operation(0, i + thread, i);
    recorder.operation(1, 5_000, 4_000);
    recorder.hit(60);
    recorder.miss(40);
    recorder.error(1, 'OOM');
    recorder.userLatency(17);
    return recorder.totals();
  });
  const merged = mergeTotals(structuredClone(threads));
  expect(merged.operations).toBe(202);
  expect(merged.latency.map((latency) => [latency.kind, latency.count, latency.errors])).toEqual([
    ['get', 200, 0],
    ['set', 2, 2],
    ['all', 202, 2],
  ]);
  expect(merged.latency[2]!.response.max).toBe(5_000);
  expect(merged.latency[2]!.service.max).toBe(4_000);
  expect(merged).toMatchObject({ hits: 120, misses: 80, errors: 2, errorTexts: { OOM: 2 }, sendLag: null });
  expect(merged.userLatency!.count).toBe(2);
});

test('a flood of distinct error texts is bounded and none is uncounted', () => {
  const recorder = new Recorder(['get']);
  for (let i = 0; i < 1_000; i++) recorder.error(0, `error ${i}`);
  const { errorTexts, errors } = mergeTotals([recorder.totals(), recorder.totals()]);
  expect(errors).toBe(2_000);
  expect(Object.keys(errorTexts).length).toBeLessThanOrEqual(ERROR_TEXTS_MAX);
  expect(errorTexts[OTHER_ERRORS]).toBeGreaterThan(1_900);
  expect(Object.values(errorTexts).reduce((sum, count) => sum + count, 0)).toBe(2_000);
});

test('an interval row appears once all threads have reported it', () => {
  const timeline = new TimelineMerger(2, 0.5);
  const recorders = [new Recorder(['get']), new Recorder(['get'])];
  recorders[0]!.operation(0, 10, 10);
  recorders[1]!.operation(0, 30, 30);
  recorders[1]!.hit(1);
  expect(timeline.add(recorders[0]!.takeInterval(0))).toBeNull();
  expect(timeline.add(recorders[1]!.takeInterval(0))).toMatchObject({ t: 0.5, operations: 2, hits: 1, max: 30 });
  timeline.add(recorders[0]!.takeInterval(1));
  expect(timeline.finish().map((row) => row.t)).toEqual([0.5, 1]);
  expect(timeline.rows[1]).toMatchObject({ operations: 0, hits: 0 });
});
