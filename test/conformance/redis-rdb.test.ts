/** Snapshot files between our engine and the original: what either saves the other loads as the same data. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { everyEncoding, randomCommands, type Words } from '../redis/support/data-sets.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal, requireReal } from '../support/real.ts';
import { encodeCommand, RespClient, RespError, type RespValue } from '../support/resp-client.ts';
import { announceSeed, seededRandom, testScale, testSeed } from '../support/seed.ts';

const BATCH = 500;
const DATABASES = [0, 7, 15];
const RANDOM_COMMANDS = 6_000;
/** Keys that expire while the test runs would make the data differ: those with less time than this are taken out before. */
const SHORT_LIFE_MS = 600_000;
/** Seconds pass between the looks at both servers; what was set to be idle was so for longer. */
const IDLE_TOLERANCE_SECONDS = 100;
const LOG_LINES = 4;
const WAIT_MS = 20_000;

interface Side {
  readonly name: string;
  readonly server: TestServer;
  readonly client: RespClient;
}

function show(value: RespValue): unknown {
  if (value instanceof RespError) return `error: ${value.message}`;
  return Array.isArray(value) ? value.map(show) : value;
}

async function send(side: Side, commands: readonly Words[]): Promise<RespValue[]> {
  const replies: RespValue[] = [];
  for (let from = 0; from < commands.length; from += BATCH) {
    const batch = commands.slice(from, from + BATCH);
    replies.push(...(await side.client.raw(Buffer.concat(batch.map((one) => encodeCommand(one))), batch.length)));
  }
  return replies;
}

async function must(side: Side, commands: readonly Words[]): Promise<void> {
  const replies = await send(side, commands);
  replies.forEach((reply, i) => {
    if (!(reply instanceof RespError)) return;
    const said = side.server.log.slice(-LOG_LINES).join('');
    expect.fail(`${side.name}: ${JSON.stringify(commands[i]).slice(0, 200)}: ${reply.message}\n${said}`);
  });
}

/** Idle times pass while we look, and the names of pending entries' fields stay. */
const withoutIdle = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map((one, i) => (value[i - 1] === 'seen-time' || value[i - 1] === 'idle' ? 'time' : withoutIdle(one)))
    : value;

/** Everything that is to be the same on another server that has loaded the same file. */
async function picture(side: Side, access: 'idle' | 'frequency' | 'none'): Promise<unknown[]> {
  const all: unknown[] = [
    (
      await send(side, [
        ['DEBUG', 'DIGEST'],
        ['FUNCTION', 'LIST', 'WITHCODE'],
      ])
    ).map(show),
  ];
  if (Array.isArray(all[0])) (all[0] as unknown[][])[1]!.sort();
  for (const db of DATABASES) {
    await must(side, [['SELECT', db]]);
    const keys = ((await side.client.command('KEYS', '*')) as string[]).sort();
    const types = await send(
      side,
      keys.map((key) => ['TYPE', key]),
    );
    const expiries = await send(
      side,
      keys.map((key) => ['PEXPIRETIME', key]),
    );
    const encodings = await send(
      side,
      keys.map((key) => ['OBJECT', 'ENCODING', key]),
    );
    const accesses =
      access === 'none'
        ? []
        : await send(
            side,
            keys.map((key) => ['OBJECT', access === 'idle' ? 'IDLETIME' : 'FREQ', key]),
          );
    const streams = await send(
      side,
      keys.map((key, i) => (types[i] === 'stream' ? ['XINFO', 'STREAM', key, 'FULL', 'COUNT', 0] : ['PING'])),
    );
    keys.forEach((key, i) => {
      const idle = access === 'idle' ? Math.floor(Number(accesses[i]) / IDLE_TOLERANCE_SECONDS) : null;
      all.push([
        db,
        key,
        types[i],
        expiries[i],
        encodings[i],
        idle ?? accesses[i] ?? null,
        withoutIdle(show(streams[i]!)),
      ]);
    });
  }
  await must(side, [['SELECT', 0]]);
  return all;
}

/** Takes out what would expire meanwhile. */
async function keepLasting(side: Side): Promise<void> {
  const keys = (await side.client.command('KEYS', '*')) as string[];
  const left = await send(
    side,
    keys.map((key) => ['PTTL', key]),
  );
  const short = keys.filter((_, i) => Number(left[i]) !== -1 && Number(left[i]) < SHORT_LIFE_MS);
  if (short.length > 0) await must(side, [['DEL', ...short]]);
}

async function waitForSave(side: Side): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const info = String(await side.client.command('INFO', 'persistence'));
    if (info.includes('rdb_bgsave_in_progress:0')) {
      expect(info).toContain('rdb_last_bgsave_status:ok');
      return;
    }
    if (Date.now() > deadline) expect.fail(`${side.name}: the save does not end`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function save(side: Side, inBackground: boolean): Promise<void> {
  await must(side, [[inBackground ? 'BGSAVE' : 'SAVE']]);
  if (inBackground) await waitForSave(side);
}

/** Takes over the file of another server. */
async function takeOver(from: Side, to: Side): Promise<void> {
  if (from !== to) copyFileSync(join(from.server.folder, 'dump.rdb'), join(to.server.folder, 'dump.rdb'));
  await must(to, [['DEBUG', 'RELOAD', 'NOSAVE']]);
}

function checkFile(side: Side): void {
  const checker = requireReal('redis-check-rdb')!;
  const output = execFileSync(checker, [join(side.server.folder, 'dump.rdb')], { encoding: 'latin1' });
  expect(output).toContain('RDB looks OK!');
}

interface Case {
  readonly title: string;
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly access: 'idle' | 'frequency' | 'none';
  readonly inBackground: boolean;
}

const standard: Case['settings'] = [
  ['list-compress-depth', '0'],
  ['list-max-listpack-size', '-2'],
  ['rdbcompression', 'yes'],
  ['maxmemory-policy', 'noeviction'],
];

const cases: readonly Case[] = [
  { title: 'with the standard settings', settings: [], access: 'none', inBackground: false },
  { title: 'in the background', settings: [], access: 'none', inBackground: true },
  {
    title: 'with compressed lists of small nodes, LRU',
    settings: [
      ['list-compress-depth', '1'],
      ['list-max-listpack-size', '10'],
      ['maxmemory-policy', 'allkeys-lru'],
    ],
    access: 'idle',
    inBackground: true,
  },
  {
    title: 'without compression, LFU',
    settings: [
      ['rdbcompression', 'no'],
      ['maxmemory-policy', 'allkeys-lfu'],
      // Frequencies fall with every minute that begins.
      ['lfu-decay-time', '0'],
    ],
    access: 'frequency',
    inBackground: false,
  },
];

describeReal(['redis-server', 'redis-check-rdb'], 'a snapshot file', () => {
  let ours: Side;
  let real: Side;

  beforeAll(async () => {
    const servers = await Promise.all([startOurs(), startReal()]);
    const [a, b] = await Promise.all(servers.map((server) => RespClient.connect({ path: server.path })));
    ours = { name: 'ours', server: servers[0], client: a! };
    real = { name: 'real', server: servers[1], client: b! };
  });
  afterAll(async () => {
    await Promise.all([ours?.client.close(), real?.client.close()]);
    await Promise.all([ours?.server.stop(), real?.server.stop()]);
  });

  async function prepare(side: Side, settings: Case['settings']): Promise<void> {
    for (const one of [ours, real]) {
      await must(one, [['FLUSHALL'], ['FUNCTION', 'FLUSH']]);
      await must(
        one,
        [...standard, ...settings].map(([name, value]) => ['CONFIG', 'SET', name, value]),
      );
    }
    await must(side, [['PING']]);
  }

  /** Loads its own file, then lets the other one load it: both have the same then. */
  async function exchange(from: Side, to: Side, one: Pick<Case, 'access' | 'inBackground'>): Promise<void> {
    const before = show(await from.client.command('DEBUG', 'DIGEST'));
    await save(from, one.inBackground);
    checkFile(from);
    await takeOver(from, to);
    await takeOver(from, from);
    verifyCore(ours.server.running!.core);
    const [saved, loaded] = [await picture(from, one.access), await picture(to, one.access)];
    expect((loaded[0] as unknown[])[0]).toBe(before);
    expect(loaded.length).toBe(saved.length);
    for (let i = 0; i < saved.length; i++) expect(loaded[i], `${from.name} to ${to.name}`).toEqual(saved[i]);
  }

  for (const one of cases) {
    for (const way of ['ours', 'real'] as const) {
      const title = way === 'ours' ? 'of ours is read by the original' : "of the original's is read by ours";
      it(`${title} ${one.title}: every type and encoding`, { timeout: 60_000 }, async () => {
        const [from, to] = way === 'ours' ? [ours, real] : [real, ours];
        await prepare(from, one.settings);
        await must(from, everyEncoding(seededRandom('every encoding in RDB files')));
        if (one.access === 'frequency')
          await must(
            from,
            Array.from({ length: 200 }, () => ['GET', 'string:0']),
          );
        await exchange(from, to, one);
        const reply = await to.client.command('FCALL', 'first', 0, 'x');
        expect(show(reply)).toBe('firstx');
      });
    }
  }

  for (let run = 0; run < 2 * testScale; run++) {
    for (const way of ['ours', 'real'] as const) {
      const seed = testSeed + run;
      it(`of random data by ${way} is read by the other (seed ${seed})`, { timeout: 60_000 }, async () => {
        announceSeed('random data in RDB files');
        const [from, to] = way === 'ours' ? [ours, real] : [real, ours];
        const random = createRandom(seed);
        await prepare(from, [['list-compress-depth', String(random.nextBelow(3))]]);
        await send(from, randomCommands(random, RANDOM_COMMANDS));
        await keepLasting(from);
        await exchange(from, to, { access: 'none', inBackground: random.nextBelow(2) === 0 });
      });
    }
  }

  it('with empty containers and times before the epoch is read as by the original', { timeout: 60_000 }, async () => {
    const ziplist = '\x0b\0\0\0\x0a\0\0\0\0\0\xff';
    const listpack = '\x07\0\0\0\0\0\xff';
    const text = (bytes: string) => String.fromCharCode(bytes.length) + bytes;
    /** Type by type, what follows the key. */
    const values: readonly (readonly [type: number, value: string])[] = [
      ...[1, 2, 3, 4, 5, 14, 18].map((type) => [type, '\0'] as const),
      ...[10, 12, 13].map((type) => [type, text(ziplist)] as const),
      ...[16, 17].map((type) => [type, text(listpack)] as const),
      [14, `\x01${text(ziplist)}`],
      [18, `\x01\x02${text(listpack)}`],
    ];
    const strings = [
      '\xfc\xfb\xff\xff\xff\xff\xff\xff\xff',
      '\xfc\xff\xff\xff\xff\xff\xff\xff\xff',
      '\xfd\0\x5e\xd0\xb2',
    ];
    const keys = [
      ...values.map(([type, value], i) => String.fromCharCode(type) + text(`empty ${i}`) + value),
      ...strings.map((time, i) => `${time}\0${text(`string ${i}`)}\x01v`),
    ];
    const file = Buffer.from(`REDIS0010\xfe\0${keys.join('')}\xff${'\0'.repeat(8)}`, 'latin1');
    const [mine, theirs] = await Promise.all(
      [ours, real].map(async (side) => {
        writeFileSync(join(side.server.folder, 'dump.rdb'), file);
        const replies = await send(side, [
          ['DEBUG', 'RELOAD', 'NOSAVE'],
          ['KEYS', '*'],
          ['TTL', 'string 1'],
        ]);
        return replies.map(show);
      }),
    );
    expect(mine).toEqual(theirs);
    expect(mine![1]).toEqual(['string 1']);
    const counts = 'Done loading RDB, keys loaded: 1, keys expired: 2, empty keys skipped: 14.';
    await expect.poll(() => ours.server.log.join('').includes(counts), { timeout: WAIT_MS }).toBe(true);
  });

  it('without a checksum is read by either', { timeout: 60_000 }, async () => {
    const flags = ['--rdbchecksum', 'no'];
    const servers = await Promise.all([startOurs(flags), startReal(flags)]);
    const clients = await Promise.all(servers.map((server) => RespClient.connect({ path: server.path })));
    try {
      const plain = { name: 'ours without checksums', server: servers[0]!, client: clients[0]! };
      const other = { name: 'real without checksums', server: servers[1]!, client: clients[1]! };
      for (const [from, to] of [
        [plain, real],
        [other, ours],
      ] as const) {
        await prepare(ours, []);
        await must(from, everyEncoding(seededRandom('every encoding in RDB files')));
        await must(from, [['SAVE']]);
        const digest = show(await from.client.command('DEBUG', 'DIGEST'));
        expect([...readFileSync(join(from.server.folder, 'dump.rdb')).subarray(-8)]).toEqual(Array(8).fill(0));
        await takeOver(from, to);
        expect(show(await to.client.command('DEBUG', 'DIGEST'))).toBe(digest);
      }
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(servers.map((server) => server.stop()));
    }
  });

  it('of a save in the background holds the data of its start, whatever is written meanwhile', {
    timeout: 180_000,
  }, async () => {
    await prepare(ours, []);
    await must(ours, everyEncoding(seededRandom('every encoding in RDB files')));
    await must(ours, [['DEBUG', 'POPULATE', 60_000, 'filler', 100]]);
    for (let run = 0; run < 3; run++) {
      const random = createRandom(`save in the background ${run} ${testSeed}`);
      // The first writes come in one breath with it, so that it cannot be over before them.
      const first200 = randomCommands(random, 200);
      const [digest, started] = await send(ours, [['DEBUG', 'DIGEST'], ['BGSAVE'], ...first200]);
      expect(show(started!)).toBe('Background saving started');
      for (;;) {
        const writes = randomCommands(random, 200);
        await send(ours, [
          ...writes,
          ...Array.from({ length: 300 }, () => ['SET', `filler:${random.nextBelow(60_000)}`, `new ${run}`]),
          ['DEL', ...Array.from({ length: 50 }, () => `filler:${random.nextBelow(60_000)}`)],
        ]);
        const info = String(await ours.client.command('INFO', 'persistence'));
        if (info.includes('rdb_bgsave_in_progress:0')) break;
      }
      await waitForSave(ours);
      await takeOver(ours, real);
      expect(show(await real.client.command('DEBUG', 'DIGEST'))).toBe(digest);
      verifyCore(ours.server.running!.core);
    }
  });
});
