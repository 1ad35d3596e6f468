/** Used memory and MEMORY USAGE of containers are the original's, to the byte: figures measured on redis-server 7.0.15, both builds. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ClassTableName } from '../../engines/memory/size-classes.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { Loopback } from './support/loopback.ts';

/** What the first call of each command costs: its latency histogram. */
const HISTOGRAM_BYTES = 24_576 + 112;
const ARENA_BYTES = 256 * 1024 * 1024;

interface Row {
  label: string;
  keys: number;
  encoding: string;
  used_delta: number;
  memory_usage: number[];
}

type Command = (key: string) => (string | number)[];

const key = (i: number) => `key:${String(i).padStart(12, '0')}`;
const pad = (prefix: string, i: number, length: number) => `${prefix}${i}`.padEnd(length, 'y');
const range = (count: number, make: (i: number) => (string | number)[]) =>
  Array.from({ length: count }, (_, i) => make(i)).flat();
const hash =
  (fields: number, valueLength: number): Command =>
  (k) => ['HSET', k, ...range(fields, (i) => [pad('f', i, 6), pad('v', i, valueLength)])];
const set =
  (members: number, make: (i: number) => string | number): Command =>
  (k) => ['SADD', k, ...range(members, (i) => [make(i)])];

/** How each shape was loaded. */
const SHAPES: Record<string, Command> = {
  hash_5x10: hash(5, 10),
  hash_100x10: hash(100, 10),
  hash_512x10: hash(512, 10),
  hash_513x10: hash(513, 10),
  hash_5x64: hash(5, 64),
  hash_5x65: hash(5, 65),
  hash_1000x10: hash(1_000, 10),
  set_int_10: set(10, (i) => 100 + i),
  set_int_512: set(512, (i) => 100 + i),
  set_int_513: set(513, (i) => 100 + i),
  set_int64_512: set(512, (i) => 5_000_000_000 + i),
  set_str_10x10: set(10, (i) => pad('m', i, 10)),
  set_str_1000x10: set(1_000, (i) => pad('m', i, 10)),
};

for (const build of ['debian', 'upstream'] as const satisfies readonly ClassTableName[]) {
  const file = new URL(`../../../shared/data/redis-memory/${build}.json`, import.meta.url);
  const there = existsSync(file);
  const rows = there ? (JSON.parse(readFileSync(file, 'utf8')) as { containers: Row[] }).containers : [];

  (there ? describe : describe.skip)(`memory of containers, ${build} build (measured data beside the project)`, () => {
    for (const row of rows) {
      const command = SHAPES[row.label];
      if (command === undefined) continue;
      it(`is the original's, and is given back: ${row.label}`, { timeout: 60_000 }, () => {
        const lab = new Loopback(ARENA_BYTES, () => {}, 1, build);
        lab.open(0);
        lab.command(0, 'MEMORY', 'USAGE', 'none');
        lab.command(0, 'FLUSHALL');
        lab.command(0, ...command('first'));
        lab.command(0, 'FLUSHALL');
        const before = lab.allocator.usedBytes;
        lab.run(0, row.keys, (i) => command(key(i)), 5);
        lab.settle();
        expect(lab.allocator.usedBytes - before).toBe(row.used_delta - HISTOGRAM_BYTES);
        const probes = [0, 1, row.keys - 1].map((i) => lab.command(0, 'MEMORY', 'USAGE', key(i), 'SAMPLES', '0'));
        expect(probes).toEqual(row.memory_usage);
        expect(lab.command(0, 'OBJECT', 'ENCODING', key(0))).toBe(row.encoding);
        verifyCore(lab.core);
        lab.command(0, 'FLUSHALL');
        // OBJECT ENCODING was called for the first time.
        expect(lab.allocator.usedBytes - before).toBe(HISTOGRAM_BYTES);
      });
    }
  });
}
