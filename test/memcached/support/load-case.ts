/** Many clients of one server at a time: idle, busy, greedy and broken ones. Sizes are the caller's. */
import { readFileSync } from 'node:fs';
import type net from 'node:net';
import { expect } from 'vitest';
import { raiseFileLimit } from '../../../engines/io/system.ts';
import { leave, type RawConnection } from '../real-memcached.ts';
import { TcpMemcached } from './tcp-memcached.ts';

const VERSION = Buffer.from('VERSION 1.6.18\r\n');
const STORED = Buffer.from('STORED\r\n');
const END = Buffer.from('END\r\n');
/** What a server says that has checked all it has stored at its end: no reference is left, no chunk is lost. */
const ALL_RIGHT = /^verify: all is right with \d+ items in \d+ bytes\n$/;
const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;
/** Connections that are opened at a time: the system's queue of those to be accepted is bounded. */
const OPENED_AT_ONCE = 200;

/** Physical memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIBIBYTE;
}

/** @throws Error when this process may not hold so many sockets */
export function allowSockets(count: number): void {
  if (raiseFileLimit(count + 500) < count + 500) throw new Error(`this process may not open ${count} sockets`);
}

export async function openMany(server: TcpMemcached, count: number): Promise<RawConnection[]> {
  const opened: RawConnection[] = [];
  while (opened.length < count) {
    const some = Math.min(OPENED_AT_ONCE, count - opened.length);
    opened.push(...(await Promise.all(Array.from({ length: some }, () => server.connect()))));
  }
  return opened;
}

export function closeAll(connections: readonly { socket: net.Socket }[]): void {
  for (const { socket } of connections) socket.destroy();
}

export async function stat(connection: RawConnection, name: string): Promise<number> {
  const text = (await connection.ask('stats\r\n', END)).toString('latin1');
  return Number(new RegExp(`STAT ${name} (\\S+)`).exec(text)?.[1]);
}

/** Waits until the server has so many clients. */
export async function untilClients(connection: RawConnection, count: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if ((await stat(connection, 'curr_connections')) === count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await stat(connection, 'curr_connections')).toBe(count);
}

/** Sets and gets values of its own for so long, one command at a time, and checks every reply. @returns the slowest, in ms, and their number */
export async function beBusy(
  client: RawConnection,
  name: string,
  ms: number,
): Promise<{ slowest: number; count: number }> {
  const until = performance.now() + ms;
  let slowest = 0;
  let count = 0;
  for (let i = 0; performance.now() < until; i++) {
    const key = `${name}:${i % 50}`;
    const value = `${name} ${i} `.padEnd(20 + ((i * 37) % 900), 'x');
    const before = performance.now();
    expect(String(await client.ask(`set ${key} 0 0 ${value.length}\r\n${value}\r\n`, STORED, 10_000))).toBe(
      'STORED\r\n',
    );
    const reply = String(await client.ask(`get ${key}\r\n`, END, 10_000));
    slowest = Math.max(slowest, (performance.now() - before) / 2);
    expect(reply).toBe(`VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`);
    count += 2;
  }
  return { slowest, count };
}

/** Idle clients cost little, busy ones are served beside them, and when all have gone their memory has gone too. */
export async function idleAndBusy(threads: number, idle: number, busy: number, ms: number): Promise<void> {
  allowSockets(idle + busy);
  const limit = String(idle + busy + 200);
  const server = await TcpMemcached.start('engine', [
    '-t',
    String(threads),
    '-c',
    limit,
    '-m',
    '64',
    '--verify-on-exit',
  ]);
  try {
    const pid = server.child.pid!;
    const observer = await server.connect();
    const workers = await openMany(server, busy);
    await Promise.all(workers.map((client, i) => beBusy(client, `w${i}`, 300)));
    const before = residentBytes(pid);
    const sleepers = await openMany(server, idle);
    await untilClients(observer, idle + busy + 1);
    for (const [i, client] of sleepers.entries()) {
      if (i % 10 === 0) expect(String(await client.ask('version\r\n', VERSION, 10_000))).toBe('VERSION 1.6.18\r\n');
    }
    const perIdle = (residentBytes(pid) - before) / idle;
    expect(perIdle, `${perIdle} bytes an idle client`).toBeLessThan(4 * KIBIBYTE + (8 * MEBIBYTE) / idle);
    const served = await Promise.all(workers.map((client, i) => beBusy(client, `w${i}`, ms)));
    // All of them are served, none much less than the others.
    const counts = served.map(({ count }) => count);
    expect(Math.min(...counts)).toBeGreaterThan(Math.max(...counts) / 8);
    expect(Math.max(...served.map(({ slowest }) => slowest))).toBeLessThan(5_000);
    expect(residentBytes(pid) - before).toBeLessThan(idle * 4 * KIBIBYTE + 64 * MEBIBYTE);
    closeAll(sleepers);
    closeAll(workers);
    await untilClients(observer, 1);
    expect(String(await observer.ask('get w0:1\r\n', END))).toMatch(/^VALUE w0:1 /);
    closeAll([observer]);
  } finally {
    expect(await server.stop()).toBe(0);
  }
  expect(server.log).toMatch(ALL_RIGHT);
}

/** Clients that ask for much and read nothing hold a bounded amount of memory, others do not notice them. */
export async function neverRead(threads: number, greedy: number): Promise<void> {
  const server = await TcpMemcached.start('engine', ['-t', String(threads), '-m', '64', '--verify-on-exit']);
  try {
    const pid = server.child.pid!;
    const others = await openMany(server, 8);
    const small = 'v'.repeat(1_000);
    const large = 'V'.repeat(200_000);
    await others[0]!.ask(`set small 0 0 ${small.length}\r\n${small}\r\n`, STORED);
    await others[0]!.ask(`set large 0 0 ${large.length}\r\n${large}\r\n`, STORED);
    await Promise.all(others.map((client, i) => beBusy(client, `w${i}`, 300)));
    const before = residentBytes(pid);
    const clients = await openMany(server, greedy);
    const commands = ['get small\r\n', 'get large\r\n', 'gets small large\r\n', 'mg small v\r\n', 'stats\r\n'];
    for (const [i, { socket }] of clients.entries()) {
      socket.pause();
      // 16 MiB of replies and more each; what the server does not read stays in this process.
      socket.write(commands[i % commands.length]!.repeat(20_000));
    }
    const served = await Promise.all(others.map((client, i) => beBusy(client, `w${i}`, 1_500)));
    expect(Math.max(...served.map(({ slowest }) => slowest))).toBeLessThan(10_000);
    const grown = residentBytes(pid) - before;
    // One MiB of output is the bound where the core stops reading; a batch of requests more fits on top of it.
    expect(grown, `${grown} bytes for ${greedy} clients`).toBeLessThan(greedy * 2.5 * MEBIBYTE + 48 * MEBIBYTE);
    // One of them reads after all, and gets every reply.
    const reader = clients[0]!;
    let bytes = 0;
    const expected = 20_000 * (`VALUE small 0 ${small.length}\r\n`.length + small.length + 2 + 5);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${bytes} of ${expected} bytes came`)), 30_000);
      reader.socket.removeAllListeners('data');
      reader.socket.on('data', (data) => {
        bytes += data.length;
        if (bytes < expected) return;
        clearTimeout(timer);
        resolve();
      });
      reader.socket.resume();
    });
    expect(bytes).toBe(expected);
    closeAll(clients);
    await untilClients(others[0]!, others.length);
    closeAll(others);
  } finally {
    expect(await server.stop()).toBe(0);
  }
  expect(server.log).toMatch(ALL_RIGHT);
}

const HALVES: readonly (readonly [half: string, rest: string, reply: string])[] = [
  ['get ab', 'c\r\n', 'END\r\n'],
  ['set h1 0 0 10\r\n01234', '56789\r\n', 'STORED\r\n'],
  ['set h2 0 0 ', '3\r\nabc\r\n', 'STORED\r\n'],
  ['set h3 0 0 3\r\nabc\r', '\n', 'STORED\r\n'],
  ['set h4 0 0 2000000\r\nabc', `${'x'.repeat(1_999_997)}\r\n`, 'SERVER_ERROR object too large for cache\r\n'],
  ['set h5 0 0 500000\r\nabc', `${'x'.repeat(499_997)}\r\n`, 'STORED\r\n'],
  ['ms h6 ', '2\r\nxy\r\n', 'HD\r\n'],
  ['mg h7 v', '\r\n', 'EN\r\n'],
  [
    '\x80\x0a\0\0\0\0\0\0\0\0',
    '\0\0\0\0\0\x07\0\0\0\0\0\0\0\0',
    '\x81\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0',
  ],
  [
    '\x80\x00\0\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0a',
    'bc',
    '\x81\0\0\0\0\0\0\x01\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0Not found',
  ],
];

/** Clients that send half of something and fall silent cost little, and when they go on they are answered as by the original. */
export async function halfPackets(kind: 'real' | 'engine', threads: number, each: number): Promise<void> {
  const count = each * HALVES.length;
  allowSockets(count);
  const verify = kind === 'engine' ? ['--verify-on-exit'] : [];
  const args = ['-t', String(threads), '-c', String(count + 200), '-m', '256', ...verify];
  const server = await TcpMemcached.start(kind, args);
  try {
    const pid = server.child.pid!;
    const others = await openMany(server, 8);
    await Promise.all(others.map((client, i) => beBusy(client, `w${i}`, 200)));
    const before = residentBytes(pid);
    const clients = await openMany(server, count);
    for (const [i, { socket }] of clients.entries()) socket.write(Buffer.from(HALVES[i % HALVES.length]![0], 'latin1'));
    const served = await Promise.all(others.map((client, i) => beBusy(client, `w${i}`, 800)));
    expect(Math.max(...served.map(({ slowest }) => slowest))).toBeLessThan(10_000);
    const grown = residentBytes(pid) - before;
    // A value under way has its item from the start: that of 500,000 bytes its chunks as they fill.
    if (kind === 'engine') expect(grown, `${grown} bytes`).toBeLessThan(count * 8 * KIBIBYTE + 48 * MEBIBYTE);
    for (const [i, client] of clients.entries()) {
      const [, rest, reply] = HALVES[i % HALVES.length]!;
      const bytes = Buffer.from(reply, 'latin1');
      const answer = await client.ask(Buffer.from(rest, 'latin1'), bytes, 10_000);
      expect(answer.toString('latin1'), `half packet ${i % HALVES.length}`).toBe(reply);
    }
    // Others go without having finished.
    const quitters = await openMany(server, HALVES.length);
    for (const [i, { socket }] of quitters.entries()) socket.write(Buffer.from(HALVES[i]![0], 'latin1'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    closeAll(quitters);
    closeAll(clients);
    await untilClients(others[0]!, others.length);
    closeAll(others);
  } finally {
    expect(await server.stop()).toBe(0);
  }
  expect(server.log).toMatch(kind === 'engine' ? ALL_RIGHT : /^$/);
}

/** More clients than are let in come at once, again and again: some are served, the others are told so, and the count is right at the end. */
export async function tooMany(threads: number, rounds: number): Promise<void> {
  const server = await TcpMemcached.start('engine', [
    '-t',
    String(threads),
    '-c',
    '120',
    '-m',
    '64',
    '--verify-on-exit',
  ]);
  const limit = 120 - 7 - 4 * threads - 1;
  try {
    // The connection that has found the server ready is to be counted off first.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (let round = 0; round < rounds; round++) {
      const clients = await openMany(server, 180);
      const answers = await Promise.all(clients.map((client) => client.ask('version\r\n', VERSION, 10_000)));
      const told = new Map<string, number>();
      // The line's end may be cut off where what the client sent has met a closed socket.
      for (const answer of answers) told.set(String(answer), (told.get(String(answer)) ?? 0) + 1);
      expect(told.get('VERSION 1.6.18\r\n')).toBe(limit);
      for (const text of told.keys()) {
        expect(['VERSION 1.6.18\r\n', 'ERROR Too many open connections\r\n', '']).toContain(text);
      }
      const first = clients[answers.findIndex((answer) => answer.equals(VERSION))]!;
      expect(await stat(first, 'curr_connections')).toBe(limit);
      closeAll(clients.filter((client) => client !== first));
      await untilClients(first, 1);
      expect(await stat(first, 'rejected_connections')).toBe((round + 1) * (180 - limit));
      // The next round begins when this one is counted off as well.
      await leave(first);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    expect(await server.stop()).toBe(0);
  }
}
