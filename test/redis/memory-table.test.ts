/**
 * Containers of 25 shapes take the memory that they take in the original, to the byte, with both allocators; and none of it stays behind.
 * Figures measured on redis-server 7.0.15 (data beside the project).
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { encodeCommand, RespError, type RespValue } from '../support/resp-client.ts';
import { Loopback } from './support/loopback.ts';

const FOLDER = new URL('../../../shared/data/redis-memory/', import.meta.url);
/** What the first call of a command costs: its latency histogram. */
const HISTOGRAM_BYTES = 24_576 + 112;
const ARENA_BYTES = 256 * 1024 * 1024;
/** Of growth: levels of skip lists are random, streams may differ by 1 %. */
const SKIPLIST_TOLERANCE = 0.0005;
const STREAM_TOLERANCE = 0.01;
/** With so few nodes in all the levels alone make for more than that, and for more still in a single key. */
const FEW_NODES_TOLERANCE = 0.0015;
const FEW_NODES_LABEL = 'zset_10x65';
const SKIPLIST_KEY_TOLERANCE = 0.1;
const STREAM_ENTRIES = 1_000;

interface Row {
  label: string;
  keys: number;
  encoding: string;
  used_delta: number;
  memory_usage: number[];
}

type Args = (string | number)[];

const key = (i: number) => `key:${String(i).padStart(12, '0')}`;
const pad = (prefix: string, i: number, length: number) => `${prefix}${i}`.padEnd(length, 'y');
const times = (count: number, parts: (i: number) => Args): Args => {
  const all: Args = [];
  for (let i = 0; i < count; i++) all.push(...parts(i));
  return all;
};

/** The commands of one key, by the shape's name: type, number of elements, their length. */
function commands(label: string, k: string): Args[] {
  const [type, ...rest] = label.split('_');
  if (type === 'set' && rest[0] !== 'str') {
    const count = Number(rest[1]);
    return [['SADD', k, ...times(count, (i) => [rest[0] === 'int64' ? 5_000_000_000 + i : 100 + i])]];
  }
  const [count, length] = rest[rest.length - 1].split('x').map(Number);
  switch (type) {
    case 'hash':
      return [['HSET', k, ...times(count, (i) => [pad('f', i, 6), pad('v', i, length)])]];
    case 'set':
      return [['SADD', k, ...times(count, (i) => [pad('m', i, length)])]];
    case 'zset':
      return [['ZADD', k, ...times(count, (i) => [i * 1.5, pad('m', i, length)])]];
    case 'list':
      return [['RPUSH', k, ...times(count, (i) => [pad('e', i, length)])]];
    default:
      return Array.from({ length: STREAM_ENTRIES }, (_, i) => [
        ...['XADD', k, `${1 + i}-0`, 'f1', 'v'.padEnd(10, 'y'), 'f2', 'w'.padEnd(10, 'y')],
      ]);
  }
}

function tolerance(row: Row): number {
  if (row.label === FEW_NODES_LABEL) return FEW_NODES_TOLERANCE;
  if (row.encoding === 'skiplist') return SKIPLIST_TOLERANCE;
  return row.encoding === 'stream' ? STREAM_TOLERANCE : 0;
}

function expectNear(actual: number, wanted: number, share: number, what: string): void {
  expect(Math.abs(actual - wanted), `${what}: ${actual}, ${wanted} there`).toBeLessThanOrEqual(wanted * share);
}

function said(reply: RespValue): RespValue {
  if (reply instanceof RespError) throw reply;
  return reply;
}

/** Makes all keys: the request of the first, with its name replaced. */
function fill(lab: Loopback, row: Row): void {
  const first = key(0);
  const request = Buffer.concat(commands(row.label, first).map((args) => encodeCommand(args)));
  const places: number[] = [];
  for (let at = request.indexOf(first); at >= 0; at = request.indexOf(first, at + 1)) places.push(at);
  for (let i = 0; i < row.keys; i++) {
    for (const at of places) request.write(key(i), at, 'latin1');
    lab.feed(0, request);
    expect(lab.take(0).includes('-ERR')).toBe(false);
  }
}

for (const allocator of ['debian', 'upstream'] as const) {
  const file = new URL(`${allocator}.json`, FOLDER);
  const rows: Row[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).containers : [];
  describe.skipIf(rows.length === 0)(`memory of containers (measured with the ${allocator} allocator)`, () => {
    for (const row of rows) {
      it(`is the original's, and comes back: ${row.label}`, { timeout: 120_000 }, (context) => {
        const lab = new Loopback(ARENA_BYTES, () => {}, 1, allocator);
        lab.open(0);
        // The first call of each command makes its histogram, which stays.
        const first = lab.command(0, ...commands(row.label, key(0))[0]);
        if (first instanceof RespError && first.message.includes('unknown command')) context.skip();
        said(first);
        said(lab.command(0, 'MEMORY', 'USAGE', key(0)));
        said(lab.command(0, 'OBJECT', 'ENCODING', key(0)));
        said(lab.command(0, 'FLUSHALL'));
        const base = lab.dataBytes;
        fill(lab, row);
        lab.settle();
        const grown = lab.dataBytes - base;
        expect(lab.command(0, 'OBJECT', 'ENCODING', key(0))).toBe(row.encoding);
        expectNear(grown, row.used_delta - HISTOGRAM_BYTES, tolerance(row), 'used memory');
        for (const [at, probe] of [0, 1, row.keys - 1].entries()) {
          const usage = Number(said(lab.command(0, 'MEMORY', 'USAGE', key(probe), 'SAMPLES', '0')));
          const share = row.encoding === 'skiplist' ? SKIPLIST_KEY_TOLERANCE : tolerance(row);
          expectNear(usage, row.memory_usage[at], share, `MEMORY USAGE of key ${probe}`);
        }
        verifyCore(lab.core);
        said(lab.command(0, 'FLUSHALL'));
        expect(lab.dataBytes - base, 'left after FLUSHALL').toBe(0);
      });
    }
  });
}
