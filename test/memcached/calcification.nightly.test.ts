/** Slab calcification, whole: 150 s on the engine and twice on the real server beside it, and what was measured before. */
import { expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { RealMemcached } from './real-memcached.ts';
import {
  describeCourse,
  fullCase,
  measuredCourse,
  pagesApart,
  playOnSocket,
  windowsApart,
  windowsOutside,
} from './support/calcification-case.ts';
import { ServedMemcached } from './support/served-memcached.ts';

const PAGES_APART_MAX = 2;
const WINDOW_APART_MAX = 0.02;
const RUN_APART_MAX = 0.01;

describeReal(['memcached'], 'slab calcification takes the course of the real server', () => {
  for (const automove of [0, 1, 2] as const) {
    it(`with slab_automove ${automove}`, { timeout: 400_000 }, async () => {
      const one = fullCase(automove);
      const args = ['-m', String(one.megabytes), '-o', `slab_automove=${automove}`];
      const there = [await RealMemcached.start(args), await RealMemcached.start(args)];
      const here = await ServedMemcached.start(args);
      try {
        const [engine, ...real] = await Promise.all([here, ...there].map(({ path }) => playOnSocket(one, path)));
        const before = measuredCourse(automove);
        const all = before === null ? real : [...real, before];
        const text = [`engine: ${describeCourse(engine!)}`, ...all.map((course) => `real: ${describeCourse(course)}`)];
        console.log(`slab_automove ${automove}\n${text.join('\n')}`);
        expect(engine!.setFailures).toBe(0);
        expect(Math.min(...all.map((course) => pagesApart(engine!, course)))).toBeLessThanOrEqual(PAGES_APART_MAX);
        if (automove < 2) {
          for (const course of all) expect(windowsApart(engine!, course)).toBeLessThanOrEqual(WINDOW_APART_MAX);
        } else {
          expect(windowsOutside(engine!, all)).toBeLessThanOrEqual(WINDOW_APART_MAX);
        }
        for (const course of all) {
          expect(Math.abs(engine!.hitRatio - course.hitRatio)).toBeLessThanOrEqual(RUN_APART_MAX);
        }
      } finally {
        for (const server of [...there, here]) await server.stop();
      }
    });
  }
});
