/** The files of append-only persistence: bases written as commands, marks of time, the manifest, and files from before there were parts. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { parseCommands, readManifest } from '../redis/support/aof-files.ts';
import { Draw } from '../redis/support/draw.ts';
import { digestOf, EffectsPair } from '../redis/support/effects.ts';
import { AllCommands } from '../redis/support/random-all.ts';
import { randomStreamCommand } from '../redis/support/random-stream.ts';
import type { TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const REWRITE_MS = 15_000;
/** A time in ms not many years from now: when a key was given some time to live. */
const SOON = /^[12]\d{12}$/;

async function each(pair: EffectsPair, commands: readonly (readonly string[])[]): Promise<void> {
  const bytes = Buffer.concat(commands.map(encodeCommand));
  await Promise.all(
    [pair.ours, pair.real].map(async ({ path }) => {
      const client = await RespClient.connect({ path });
      try {
        await client.raw(bytes, commands.length);
      } finally {
        await client.close();
      }
    }),
  );
}

/** Waits until another second of the wall clock has just begun. */
function nextSecond(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_100 - (Date.now() % 1_000)));
}

/** BGREWRITEAOF, and waits for its end. */
async function rewrite(server: TestServer): Promise<void> {
  const client = await RespClient.connect({ path: server.path });
  try {
    expect(await client.command('BGREWRITEAOF')).toBe('Background append only file rewriting started');
    const until = Date.now() + REWRITE_MS;
    for (;;) {
      const info = String(await client.command('INFO', 'persistence'));
      if (/aof_rewrite_in_progress:0/.test(info)) {
        expect(info).toMatch(/aof_last_bgrewrite_status:ok/);
        return;
      }
      if (Date.now() > until) throw new Error('Cannot wait any longer for the rewrite');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    await client.close();
  }
}

/** What each key's commands say, whatever the order of keys and of the members of a hash table; sizes of batches show. */
function byKeys(commands: readonly string[][]): Record<string, string[]> {
  const keys: Record<string, string[]> = {};
  let db = '?';
  for (const command of commands) {
    const [name, key] = command;
    if (name === 'SELECT') {
      db = key!;
      continue;
    }
    const id = /^(XGROUP|FUNCTION)$/.test(name!) ? `${db}:${command[2]}` : `${db}:${key}`;
    keys[id] ??= [];
    const items = command.slice(2);
    if (!/^(SADD|ZADD|HMSET)$/.test(name!)) {
      // The times of deliveries are each server's own.
      keys[id].push(command.map((word, i) => (command[i - 1] === 'TIME' || SOON.test(word) ? 'time' : word)).join(' '));
      continue;
    }
    keys[id].push(`${name} of ${items.length}`);
    const width = name === 'SADD' ? 1 : 2;
    for (let i = 0; i < items.length; i += width) keys[id].push(`item ${items.slice(i, i + width).join(' ')}`);
  }
  for (const lines of Object.values(keys)) if (lines.some((line) => line.startsWith('item'))) lines.sort();
  return keys;
}

const baseOf = (folder: string): Buffer => {
  const base = readManifest(join(folder, 'appendonlydir')).find(({ type }) => type === 'b');
  return readFileSync(join(folder, 'appendonlydir', base!.name));
};

describeReal(['redis-server'], 'append-only files', () => {
  let pair: EffectsPair;
  afterEach(() => pair.stop());

  it('have bases of commands where there is no preamble', { timeout: 60_000 * testScale }, async () => {
    pair = new EffectsPair(['--aof-use-rdb-preamble', 'no']);
    await pair.start();
    const library = "#!lua name=lib\nredis.register_function('f', function(keys, args) return 1 end)";
    await each(pair, [
      ['FUNCTION', 'LOAD', library],
      ['SELECT', '3'],
      ['RPUSH', 'list', ...Array.from({ length: 200 }, (_, i) => `element ${i}`)],
      // Inner nodes are compressed, of elements in common and of single ones.
      ['CONFIG', 'SET', 'list-compress-depth', '1'],
      ['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '9000B'],
      ['RPUSH', 'compressed', ...Array.from({ length: 90 }, (_, i) => `${i} `.repeat(i % 10 === 0 ? 5_000 : 200))],
      ['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '0'],
      ['SADD', 'set', ...Array.from({ length: 200 }, (_, i) => `member ${i}`)],
      ['SADD', 'integers', ...Array.from({ length: 200 }, (_, i) => String(i * i))],
      ['HSET', 'hash', ...Array.from({ length: 300 }, (_, i) => `f ${i}`)],
      ['ZADD', 'zset', ...Array.from({ length: 300 }, (_, i) => String(i / 7))],
      ['ZADD', 'small', 'inf', 'a', '-inf', 'b', '1e300', 'c', '0.1', 'd'],
      ['SET', 'big', 'x'.repeat(100_000)],
      ['SET', 'number', '12345'],
      ['SET', 'far', 'x', 'PXAT', '4000000000123'],
      ['XADD', 'empty', '5-5', 'f', 'v'],
      ['XDEL', 'empty', '5-5'],
      ['XADD', 's', '1-1', 'f', 'v'],
      ['XADD', 's', '2-1', 'f', 'v', 'other', '7'],
      ['XGROUP', 'CREATE', 's', 'g', '0'],
      ['XREADGROUP', 'GROUP', 'g', 'alice', 'COUNT', '1', 'STREAMS', 's', '>'],
      ['XGROUP', 'CREATECONSUMER', 's', 'g', 'bob'],
      ['XDEL', 's', '2-1'],
      ['SELECT', '0'],
    ]);
    const all = new AllCommands(seededRandom('bases of commands'));
    const draw = new Draw(seededRandom('streams in bases of commands'));
    for (let round = 0; round < 3 * testScale; round++) {
      const drawn = Array.from({ length: 300 }, () => all.next().args);
      // Loaded under another configuration a HyperLogLog may take another form.
      await each(
        pair,
        drawn.filter(([name]) => !/^config$/i.test(name!)),
      );
      await each(pair, [['SELECT', '5'], ...Array.from({ length: 300 }, () => randomStreamCommand(draw).args)]);
      await Promise.all([rewrite(pair.ours), rewrite(pair.real)]);
      const [mine, theirs] = [pair.oursFolder, pair.realFolder].map((folder) => byKeys(parseCommands(baseOf(folder))));
      expect(mine).toEqual(theirs);
    }
    const parts = (folder: string) => readManifest(join(folder, 'appendonlydir'));
    expect(parts(pair.oursFolder)).toEqual(parts(pair.realFolder));
    await each(pair, [['SET', 'after', 'the rewrite']]);
    const { mine, theirs } = pair.effects();
    expect(mine).toEqual(theirs);
    expect(mine[0]).toEqual(['SELECT', '0']);
    await pair.expectInterchange({ ours: await digestOf(pair.ours), real: await digestOf(pair.real) });
  });

  it('have marks of time where they are asked for', { timeout: 30_000 }, async () => {
    pair = new EffectsPair(['--aof-timestamp-enabled', 'yes', '--aof-use-rdb-preamble', 'no']);
    await pair.start();
    const marks = () => {
      const { mine, theirs } = pair.effects();
      const even = (all: string[][]) => all.map(([word, ...rest]) => [word!.replace(/^#TS:\d{10}$/, '#TS'), ...rest]);
      return [even(mine), even(theirs)];
    };
    // Into a second that neither base is marked with, and not to its end: what is sent at once is to be marked once.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await nextSecond();
    await each(pair, [['SET', 'k', 'v'], ['MULTI'], ['SET', 'k', 'w'], ['SET', 'l', 'w'], ['EXEC']]);
    await nextSecond();
    await each(pair, [['MULTI'], ['SET', 'k', 'w'], ['SET', 'l', 'w'], ['EXEC'], ['SET', 'm', 'v']]);
    let [mine, theirs] = marks();
    expect(mine).toEqual(theirs);
    expect(mine!.filter(([word]) => word === '#TS').length).toBe(2);
    await Promise.all([rewrite(pair.ours), rewrite(pair.real)]);
    const bases = [pair.oursFolder, pair.realFolder].map((folder) => parseCommands(baseOf(folder))[0]![0]);
    for (const first of bases) expect(first).toMatch(/^#TS:\d{10}$/);
    await each(pair, [['SET', 'm', 'v']]);
    [mine, theirs] = marks();
    expect(mine!.filter(([word]) => word !== '#TS')).toEqual(theirs!.filter(([word]) => word !== '#TS'));
    await pair.expectInterchange({ ours: await digestOf(pair.ours), real: await digestOf(pair.real) });
  });

  it('are SELECTed anew in each increment', { timeout: 30_000 }, async () => {
    pair = new EffectsPair();
    await pair.start();
    await each(pair, [
      ['SELECT', '2'],
      ['SET', 'k', 'v'],
      ['SET', 'k', 'w'],
    ]);
    await Promise.all([rewrite(pair.ours), rewrite(pair.real)]);
    await each(pair, [
      ['SELECT', '2'],
      ['SET', 'k', 'x'],
    ]);
    const { mine, theirs } = pair.effects();
    expect(mine).toEqual(theirs);
    expect(mine).toEqual([
      ['SELECT', '2'],
      ['SET', 'k', 'x'],
    ]);
    await pair.expectInterchange({ ours: await digestOf(pair.ours), real: await digestOf(pair.real) });
  });

  const old = Buffer.concat(
    [
      ['SELECT', '1'],
      ['SET', 'k', 'v'],
      ['RPUSH', 'l', 'a', 'b'],
    ].map(encodeCommand),
  );
  /** Files that a server finds in its data folder. */
  const foundFiles: Readonly<Record<string, (folder: string) => void>> = {
    'a single file of commands': (folder) => writeFileSync(join(folder, 'appendonly.aof'), old),
    'an empty file': (folder) => writeFileSync(join(folder, 'appendonly.aof'), ''),
    'a single file that breaks off': (folder) => writeFileSync(join(folder, 'appendonly.aof'), old.subarray(0, -7)),
    'a file and an empty folder': (folder) => {
      writeFileSync(join(folder, 'appendonly.aof'), old);
      mkdirSync(join(folder, 'appendonlydir'));
    },
    'a file that was to be moved': (folder) => {
      writeFileSync(join(folder, 'appendonly.aof'), old);
      mkdirSync(join(folder, 'appendonlydir'));
      writeFileSync(join(folder, 'appendonlydir/appendonly.aof.manifest'), 'file appendonly.aof seq 1 type b\n');
    },
    'a file beside parts': (folder) => {
      writeFileSync(join(folder, 'appendonly.aof'), old);
      mkdirSync(join(folder, 'appendonlydir'));
      writeFileSync(join(folder, 'appendonlydir/appendonly.aof.1.incr.aof'), encodeCommand(['SET', 'other', 'v']));
      writeFileSync(
        join(folder, 'appendonlydir/appendonly.aof.manifest'),
        'file appendonly.aof.1.incr.aof seq 1 type i\n',
      );
    },
  };
  const put = (folder: string, files: Readonly<Record<string, Uint8Array | string>>): void => {
    mkdirSync(join(folder, 'appendonlydir'));
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, 'appendonlydir', name), bytes);
  };
  const parts = { 'a.base.aof': old, 'a.incr.aof': encodeCommand(['SET', 'other', 'v']) };
  const foundParts: Readonly<Record<string, (folder: string) => void>> = {
    'with comments, in another order': (folder) =>
      put(folder, {
        ...parts,
        'appendonly.aof.manifest':
          '# mine\nfile a.incr.aof seq 3 type i\nTYPE base file a.base.aof seq 2x more words\n#\n',
      }),
    'with a history': (folder) =>
      put(folder, {
        ...parts,
        'b.incr.aof': 'junk',
        'appendonly.aof.manifest':
          'file a.base.aof seq 2 type b\nfile b.incr.aof seq 9 type h\nfile a.incr.aof seq 3 type i\n',
      }),
    'none, in a manifest of comments': (folder) => put(folder, { 'appendonly.aof.manifest': '# nothing yet\n' }),
  };
  const infoOf = async (server: TestServer): Promise<string[]> => {
    const client = await RespClient.connect({ path: server.path });
    try {
      const text = String(await client.command('INFO', 'persistence'));
      return text.match(/^(aof_(base|current)_size|rdb_changes_since|rdb_last_load_keys_loaded).*/gm)!;
    } finally {
      await client.close();
    }
  };
  for (const [title, prepare] of Object.entries({ ...foundFiles, ...foundParts })) {
    const kind = title in foundFiles ? 'from before there were parts' : 'in parts';
    it(`${kind} are taken over: ${title}`, { timeout: 30_000 }, async () => {
      pair = new EffectsPair();
      await pair.start((folder) => prepare(folder));
      const manifestText = (folder: string) =>
        readFileSync(join(folder, 'appendonlydir/appendonly.aof.manifest'), 'utf8');
      expect(manifestText(pair.oursFolder)).toEqual(manifestText(pair.realFolder));
      // Of a file whose end it has cut off the original tells the size before.
      if (!title.includes('breaks off')) expect(await infoOf(pair.ours), 'sizes').toEqual(await infoOf(pair.real));
      await each(pair, [['APPEND', 'k', 'w']]);
      const files = (folder: string) => ({
        data: readdirSync(folder).sort(),
        parts: readdirSync(join(folder, 'appendonlydir')).sort(),
        manifest: readManifest(join(folder, 'appendonlydir')),
      });
      expect(files(pair.oursFolder)).toEqual(files(pair.realFolder));
      expect(await digestOf(pair.ours)).toBe(await digestOf(pair.real));
      await Promise.all([rewrite(pair.ours), rewrite(pair.real)]);
      expect(readManifest(join(pair.oursFolder, 'appendonlydir')).filter(({ type }) => type !== 'h')).toEqual(
        readManifest(join(pair.realFolder, 'appendonlydir')).filter(({ type }) => type !== 'h'),
      );
    });
  }

  it('have names of any bytes', { timeout: 30_000 }, async () => {
    pair = new EffectsPair(['--appendfilename', 'ä "п".aof', '--appenddirname', 'dö r', '--dbfilename', 'ü.rdb']);
    await pair.start();
    await each(pair, [['SET', 'k', 'v'], ['SAVE']]);
    const files = (folder: string) => [
      ...readdirSync(folder).sort(),
      ...readdirSync(join(folder, 'dö r')).sort(),
      readFileSync(join(folder, 'dö r', 'ä "п".aof.manifest'), 'latin1'),
    ];
    expect(files(pair.oursFolder)).toEqual(files(pair.realFolder));
    await pair.expectInterchange({ ours: await digestOf(pair.ours), real: await digestOf(pair.real) });
  });
});
