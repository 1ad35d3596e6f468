/**
 * Slab calcification, shortened: in virtual time against what was measured on the real server, and beside the real server with little memory.
 * The whole case beside the real server is played nightly.
 */
import { describe, expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { TIMED } from '../support/timed.ts';
import { RealMemcached } from './real-memcached.ts';
import {
  type CalcificationCase,
  type Course,
  describeCourse,
  fullCase,
  measuredCourse,
  pagesApart,
  playInVirtualTime,
  playOnSocket,
  windowsApart,
  windowsOutside,
} from './support/calcification-case.ts';
import { ServedMemcached } from './support/served-memcached.ts';

const PAGES_APART_MAX = 2;
const WINDOW_APART_MAX = 0.02;
const RUN_APART_MAX = 0.01;
/** Seconds played of the whole case, by automove. */
const SECONDS = [25, 75, 50] as const;

/** The first windows of a course. */
function cut(course: Course, windows: number): Course {
  const first = course.windows.slice(0, windows);
  return { ...course, windows: first, hitRatio: first.reduce((sum, { hitRatio }) => sum + hitRatio, 0) / windows };
}

const measured = ([0, 1, 2] as const).map(measuredCourse);
const suite = measured.includes(null) ? describe.skip : describe;

suite('slab calcification in virtual time follows the measured course', () => {
  for (const automove of [0, 1, 2] as const) {
    it(`with slab_automove ${automove}`, { timeout: 120_000 }, async () => {
      const course = await playInVirtualTime({ ...fullCase(automove), seconds: SECONDS[automove] });
      const wanted = cut(measured[automove]!, course.windows.length);
      const both = `${describeCourse(course)}\nmeasured: ${describeCourse(wanted)}`;
      expect(course.setFailures).toBe(0);
      expect(pagesApart(course, wanted), both).toBeLessThanOrEqual(PAGES_APART_MAX);
      expect(windowsApart(course, wanted), both).toBeLessThanOrEqual(WINDOW_APART_MAX);
      expect(Math.abs(course.hitRatio - wanted.hitRatio), both).toBeLessThanOrEqual(RUN_APART_MAX);
    });
  }
});

describeReal(['memcached'], 'slab calcification beside the real server', () => {
  const short = (automove: 1 | 2): CalcificationCase => ({
    automove,
    megabytes: 16,
    fill: 80_000,
    objects: 10_000,
    getsPerSecond: 5_000,
    seconds: 12,
    windowSeconds: 3,
    options: 'slab_automove_window=3',
  });

  for (const automove of [1, 2] as const) {
    // Played in real time: a machine that stands still for a second or two moves pages late.
    it.concurrent(`takes the same course with slab_automove ${automove}`, { ...TIMED, timeout: 120_000 }, async () => {
      const one = short(automove);
      const args = ['-m', String(one.megabytes), '-o', `slab_automove=${automove},${one.options}`];
      const there = await RealMemcached.start(args);
      const here = await ServedMemcached.start(args);
      try {
        const [real, engine] = await Promise.all([playOnSocket(one, there.path), playOnSocket(one, here.path)]);
        const both = `engine: ${describeCourse(engine)}\nreal: ${describeCourse(real)}`;
        expect(engine.setFailures).toBe(0);
        expect(engine.windows.at(-1)!.slabsMoved, both).toBeGreaterThan(3);
        expect(pagesApart(engine, real), both).toBeLessThanOrEqual(PAGES_APART_MAX);
        // Three seconds are few gets, and a second's delay is a third of them.
        expect(windowsOutside(engine, [real]), both).toBeLessThanOrEqual(2 * WINDOW_APART_MAX);
        expect(Math.abs(engine.hitRatio - real.hitRatio), both).toBeLessThanOrEqual(2 * RUN_APART_MAX);
        if (process.env['CACHELAB_SHOW'] === '1') console.log(both);
      } finally {
        await there.stop();
        await here.stop();
      }
    });
  }
});
