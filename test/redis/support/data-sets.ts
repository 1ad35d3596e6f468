/** Data sets of every type and encoding, on both sides of every threshold: for tests of files that hold whole data sets. */
import type { Random } from '../../../engines/ports.ts';
import { AllCommands } from './random-all.ts';

export type Words = readonly (string | number)[];

const COUNTS = [1, 2, 127, 128, 129, 511, 512, 513, 2_000];
const LENGTHS = [0, 1, 20, 21, 43, 44, 45, 63, 64, 65, 254, 255, 256, 4_000, 16_384, 70_000];
const INTEGERS = [
  '0',
  '-1',
  '127',
  '128',
  '-128',
  '-129',
  '32767',
  '32768',
  '-32769',
  '2147483647',
  '2147483648',
  '-2147483649',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '007',
  '-0',
];

const range = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** Bytes that do not compress. */
function noise(random: Random, length: number): string {
  return String.fromCharCode(...range(length, () => random.nextBelow(256)));
}

function strings(random: Random): Words[] {
  return [
    ...INTEGERS.map((value) => ['SET', `string:${value}`, value]),
    ...INTEGERS.map((key) => ['SET', key, 'an integer as a key']),
    ...LENGTHS.map((length) => ['SET', `string:plain:${length}`, 'x'.repeat(length)]),
    ...LENGTHS.map((length) => ['SET', `string:noise:${length}`, noise(random, length)]),
    ...LENGTHS.map((length) => ['SET', `string:words:${length}`, 'the same words '.repeat(5_000).slice(0, length)]),
    ['APPEND', 'string:appended', '12'],
    ['APPEND', 'string:appended', '34'],
    ['SET', '', 'the empty key'],
    ['SET', `long key ${'k'.repeat(500)}`, 'v'],
    ['SETBIT', 'string:bits', 100_000, 1],
  ];
}

function lists(random: Random): Words[] {
  return [
    ...COUNTS.map((count) => ['RPUSH', `list:${count}`, ...range(count, (i) => `element ${i}`)]),
    ...COUNTS.map((count) => ['RPUSH', `list:integers:${count}`, ...range(count, (i) => i * 997 - 50_000)]),
    ['RPUSH', 'list:kinds', ...INTEGERS, '', 'text'],
    ...LENGTHS.map((length) => ['RPUSH', `list:long:${length}`, 'x'.repeat(length), noise(random, length), 'y']),
  ];
}

function sets(random: Random): Words[] {
  return [
    ...COUNTS.map((count) => ['SADD', `set:integers:${count}`, ...range(count, (i) => i * 3)]),
    ...COUNTS.map((count) => ['SADD', `set:wide:${count}`, ...range(count, (i) => i * 5_000_000_000)]),
    ...COUNTS.map((count) => ['SADD', `set:${count}`, ...range(count, (i) => `member ${i}`)]),
    ['SADD', 'set:kinds', ...INTEGERS, '', noise(random, 300)],
  ];
}

function hashes(random: Random): Words[] {
  return [
    ...COUNTS.map((count) => ['HSET', `hash:${count}`, ...range(count, (i) => [`field ${i}`, `value ${i}`]).flat()]),
    ['HSET', 'hash:kinds', ...INTEGERS.flatMap((one) => [one, one]), '', ''],
    ...LENGTHS.map((length) => ['HSET', `hash:long:${length}`, 'f', 'x'.repeat(length), noise(random, length), 'y']),
  ];
}

function sortedSets(random: Random): Words[] {
  const score = (): string =>
    `${random.nextFloat() * 10 ** (random.nextBelow(40) - 20) * (random.nextBelow(2) * 2 - 1)}`;
  return [
    ...COUNTS.map((count) => ['ZADD', `zset:${count}`, ...range(count, (i) => [(i * 7) % 50, `m${i}`]).flat()]),
    ...COUNTS.map((count) => ['ZADD', `zset:scores:${count}`, ...range(count, (i) => [score(), `m${i}`]).flat()]),
    ['ZADD', 'zset:kinds', 'inf', 'a', '-inf', 'b', '-0', 'c', '0.1', 'd', '1e300', '', '17', '17', '5e-324', 'e'],
    ...LENGTHS.map((length) => ['ZADD', `zset:long:${length}`, 1, 'x'.repeat(length), 2, 'y']),
    ['GEOADD', 'geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'],
  ];
}

function streams(random: Random): Words[] {
  const entry = (key: string, i: number): Words => {
    if (i % 10 === 9) return ['XADD', key, `${1_000 + i * 3}-1`, `other${i}`, noise(random, 20), 'b', i];
    return ['XADD', key, `${1_000 + i * 3}-${i % 3}`, 'field', `value ${i}`, 'n', i];
  };
  const long = 350;
  return [
    ['XGROUP', 'CREATE', 'stream:empty', 'g', '$', 'MKSTREAM'],
    ['XADD', 'stream:1', '*', 'a', '1'],
    ['XADD', 'stream:1', 'MAXLEN', 0, '*', 'a', '2'],
    ...range(long, (i) => entry('stream', i)),
    ['XADD', 'stream:big', '1-1', 'f', 'x'.repeat(5_000)],
    ['XADD', 'stream:big', '1-2', 'f', noise(random, 5_000)],
    ['XADD', 'stream:big', '18446744073709551615-18446744073709551614', 'f', ''],
    ...range(30, (i) => ['XDEL', 'stream', `${1_000 + i * 21}-${(i * 7) % 3}`]),
    ['XGROUP', 'CREATE', 'stream', 'first', '0'],
    ['XGROUP', 'CREATE', 'stream', 'second', '1500-0', 'ENTRIESREAD', 20],
    ['XGROUP', 'CREATE', 'stream', '\0\xff', '$'],
    ['XGROUP', 'CREATECONSUMER', 'stream', 'second', 'idle'],
    ['XREADGROUP', 'GROUP', 'first', 'alice', 'COUNT', 150, 'STREAMS', 'stream', '>'],
    ['XREADGROUP', 'GROUP', 'first', 'bob', 'COUNT', 20, 'STREAMS', 'stream', '>'],
    ['XREADGROUP', 'GROUP', 'second', 'alice', 'COUNT', 3, 'STREAMS', 'stream', '>'],
    ['XCLAIM', 'stream', 'first', 'bob', 0, '1006-2', '1009-0', 'RETRYCOUNT', 7],
    ['XACK', 'stream', 'first', '1003-1'],
    ['XSETID', 'stream:1', '9999999999999-5', 'ENTRIESADDED', 77, 'MAXDELETEDID', '9999999999998-1'],
  ];
}

function hyperLogLogs(): Words[] {
  return [0, 10, 3_000, 20_000].flatMap((count) => [
    ['PFADD', `hll:${count}`, ...range(Math.min(count, 5_000), (i) => `e${i}`)],
    ...range(Math.max(0, count / 5_000 - 1), (j) => ['PFADD', `hll:${count}`, ...range(5_000, (i) => `e${j}/${i}`)]),
  ]);
}

function expiries(): Words[] {
  const keys = ['string:0', 'list:128', 'set:integers:512', 'hash:513', 'zset:129', 'stream', 'hll:10'];
  return [
    ...keys.map((key, i) => ['PEXPIREAT', key, 1_900_000_000_123 + i * 7_654_321]),
    ['SET', 'far', 'x', 'PXAT', '9000000000000000'],
    ['SET', 'soon', 'x', 'PX', 3_600_001],
  ];
}

/** What is in databases beside the first. */
function others(): Words[] {
  return [
    ['SELECT', 7],
    ['SET', 'in', 'seven'],
    ['EXPIRE', 'in', 100_000],
    ['SELECT', 15],
    ['SADD', 'in', 'fifteen'],
    ['SELECT', 0],
  ];
}

const LIBRARIES = [
  "#!lua name=one\nredis.register_function('first', function(keys, args) return 'first' .. args[1] end)",
  `#!lua name=two\n-- ${'a long comment '.repeat(50)}\nredis.register_function{function_name='second', callback=function() return 2 end, flags={'no-writes'}, description='it \xff'}`,
];

/** Commands that make a data set of all types and encodings; all of them succeed. */
export function everyEncoding(random: Random): Words[] {
  return [
    ...strings(random),
    ...lists(random),
    ...sets(random),
    ...hashes(random),
    ...sortedSets(random),
    ...streams(random),
    ...hyperLogLogs(),
    ...expiries(),
    ...others(),
    ...LIBRARIES.map((code) => ['FUNCTION', 'LOAD', code]),
  ];
}

/**
 * Random commands of all types; whether they succeed is not known. None sets a parameter: a server that loads the files would make other
 * encodings of the same commands (a HyperLogLog under another `hll-sparse-max-bytes`).
 */
export function randomCommands(random: Random, count: number): Words[] {
  const source = new AllCommands(random);
  const commands = range(count, () => source.next().args).filter(
    ([name]) => !/^(flush|select|swapdb|wait|debug|config)/i.test(name!),
  );
  // The last transaction may still be open.
  return [...commands, ['DISCARD']];
}
