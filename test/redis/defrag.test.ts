/** Active defragmentation of every type: sparse slabs drain, nothing is lost or mixed up, and all structures stay whole. */

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import type { RespValue } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 256 * 1024 * 1024;
const CRON_MS = 100;
const CRONS = 150;

function sparse(): Loopback {
  const lab = new Loopback(
    ARENA_BYTES,
    (config) => {
      config.activeDefragIgnoreBytes = 1;
      config.activeDefragThresholdLower = 3;
      config.activeDefragCycleMin = 20;
      config.activeDefragCycleMax = 75;
      config.activeDefragMaxScanFields = 100;
      config.listMaxListpackSize = 4;
      config.streamNodeMaxEntries = 1;
    },
    1,
    'upstream',
  );
  lab.readingUs = 1;
  lab.open(0);
  lab.core.defrag.figures = () => lab.allocator.stats();
  return lab;
}

/** Lets it run for some time. */
function defragment(lab: Loopback, between: () => void): void {
  lab.core.config.activedefrag = true;
  lab.core.applyConfig();
  for (let i = 0; i < CRONS; i++) {
    lab.nowMs += CRON_MS;
    lab.core.cron();
    lab.allocator.tick();
    between();
  }
  lab.core.config.activedefrag = false;
  lab.core.applyConfig();
  lab.core.cron();
}

const flat = (value: RespValue): string => createHash('sha1').update(JSON.stringify(value)).digest('hex');

interface Shape {
  name: string;
  make(k: string, i: number): (string | number)[];
  read(k: string): (string | number)[];
}

const members = (count: number, i: number, part: (j: number) => (string | number)[]) => {
  const all: (string | number)[] = [];
  for (let j = 0; j < count; j++) all.push(...part(i * 1_000 + j));
  return all;
};

const shapes: Shape[] = [
  { name: 'strings', make: (k, i) => ['SET', k, 'x'.repeat(1 + (i % 300))], read: (k) => ['GET', k] },
  {
    name: 'small hashes',
    make: (k, i) => ['HSET', k, ...members(8, i, (j) => [`f${j}`, `v${j}`])],
    read: (k) => ['HGETALL', k],
  },
  {
    name: 'hashes',
    make: (k, i) => ['HSET', k, ...members(40, i, (j) => [`f${j}`, 'v'.repeat(70)])],
    read: (k) => ['HGETALL', k],
  },
  {
    name: 'large hashes',
    make: (k, i) => ['HSET', k, ...members(600, i, (j) => [`f${j}`, `v${j}`])],
    read: (k) => ['HGETALL', k],
  },
  {
    name: 'sets of integers',
    make: (k, i) => ['SADD', k, ...members(30, i, (j) => [j])],
    read: (k) => ['SORT', k],
  },
  {
    name: 'sets',
    make: (k, i) => ['SADD', k, ...members(150, i, (j) => [`m${j}`])],
    read: (k) => ['SMEMBERS', k],
  },
  {
    name: 'sorted sets',
    make: (k, i) => ['ZADD', k, ...members(200, i, (j) => [j % 17, `m${j}`])],
    read: (k) => ['ZRANGE', k, 0, -1, 'WITHSCORES'],
  },
  {
    name: 'streams',
    make: (k, i) => ['XADD', k, '*', ...members(30, i, (j) => [`f${j}`, 'v'.repeat(30)])],
    read: (k) => ['XRANGE', k, '-', '+'],
  },
  {
    name: 'lists',
    make: (k, i) => ['RPUSH', k, ...members(600, i, (j) => [`e${j}`])],
    read: (k) => ['LRANGE', k, 0, -1],
  },
];

describe('active defragmentation', () => {
  for (const shape of shapes) {
    it(`moves ${shape.name} and keeps every one`, { timeout: 60_000 }, () => {
      const random = seededRandom(`defrag ${shape.name}`);
      const lab = sparse();
      const large = shape.make('k', 0).length > 250;
      const count = large ? 400 : 6_000;
      for (let i = 0; i < count; i++) lab.command(0, ...shape.make(`key:${i}`, i));
      if (shape.name === 'streams') {
        // Many nodes in a tree, a group with consumers and pending entries.
        for (let i = 0; i < count; i++) {
          for (let j = 0; j < 5; j++) lab.command(0, ...shape.make(`key:${i}`, i + j));
          lab.command(0, 'XGROUP', 'CREATE', `key:${i}`, 'group', '0');
          lab.command(0, 'XREADGROUP', 'GROUP', 'group', `consumer:${i % 3}`, 'COUNT', 3, 'STREAMS', `key:${i}`, '>');
        }
      }
      for (let i = 0; i < count; i += 7) lab.command(0, 'EXPIRE', `key:${i}`, 100_000);
      for (let i = 0; i < count; i++) if (random.nextFloat() < 0.75) lab.command(0, 'DEL', `key:${i}`);
      lab.settle();
      lab.allocator.flushCaches();
      const before = lab.allocator.stats();
      const kept = new Map<number, string>();
      for (let i = 0; i < count; i++) {
        if (lab.command(0, 'EXISTS', `key:${i}`) === 1) kept.set(i, flat(lab.command(0, ...shape.read(`key:${i}`))));
      }
      const used = lab.dataBytes;
      let steps = 0;
      // Commands go on in between, so that large values are gone through in pieces.
      defragment(lab, () => {
        if (++steps % 5 === 0) verifyCore(lab.core);
      });
      verifyCore(lab.core);
      lab.allocator.verify();
      expect(lab.core.defrag.hits).toBeGreaterThan(count / 10);
      expect(lab.dataBytes).toBe(used);
      for (const [i, hash] of kept) expect(flat(lab.command(0, ...shape.read(`key:${i}`))), `key:${i}`).toBe(hash);
      expect(lab.command(0, 'DBSIZE')).toBe(kept.size);
      const after = lab.allocator.stats();
      const wasted = (stats: { active: number; allocated: number }) => stats.active - stats.allocated;
      expect(wasted(after), `${wasted(before)} bytes before`).toBeLessThan(wasted(before) * 0.5);
      lab.command(0, 'FLUSHALL');
    });
  }

  it('is left alone while its values are on their way to a client, and stops when it is switched off', () => {
    const lab = sparse();
    lab.run(0, 3_000, (i) => ['SET', `key:${i}`, 'x'.repeat(100)]);
    for (let i = 0; i < 3_000; i++) if (i % 8 !== 0) lab.command(0, 'DEL', `key:${i}`);
    lab.core.config.activedefrag = true;
    lab.core.applyConfig();
    lab.core.cron();
    expect(lab.core.defrag.running).toBeGreaterThan(0);
    lab.core.config.activedefrag = false;
    lab.core.applyConfig();
    lab.core.cron();
    expect(lab.core.defrag.running).toBe(0);
    verifyCore(lab.core);
  });
});
