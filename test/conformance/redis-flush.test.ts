/** FLUSHALL and FLUSHDB on both servers: the changes they count, the snapshot that FLUSHALL leaves, and what a log is told. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { type StartedServer, startRedisPair } from '../support/redis-pair.ts';

const COMMANDS: readonly (readonly string[])[] = [
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['FLUSHALL', 'ASYNC'],
  ['SET', 'a', '1'],
  ['FLUSHALL'],
  ['MSET', 'a', '1', 'b', '2'],
  ['FLUSHDB', 'SYNC'],
  ['SET', 'a', '1'],
  ['MULTI'],
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['EXEC'],
  ['SET', 'a', '1'],
  ['EVAL', "redis.call('FLUSHALL') return 1", '0'],
];

/** The count of changes after each command, then the files that there are and what the log was told. */
async function observe(server: StartedServer): Promise<unknown> {
  const client = await server.connect();
  const seen: unknown[] = [];
  for (const command of COMMANDS) {
    await client.command(...command);
    const info = client.raw(Buffer.from('INFO persistence\r\n'), 1);
    seen.push([command.join(' '), /rdb_changes_since_last_save:\d+/.exec(String((await info)[0]))?.[0]]);
  }
  await client.close();
  const files = readdirSync(server.folder).filter((name) => /\.rdb$|dir$/.test(name));
  const folder = join(server.folder, 'appendonlydir');
  const logs = files.includes('appendonlydir') ? readdirSync(folder).filter((name) => name.endsWith('.incr.aof')) : [];
  return { seen, files, logs: logs.map((name) => readFileSync(join(folder, name), 'latin1')) };
}

describeReal(['redis-server'], 'flushing everything', () => {
  for (const [title, options] of [
    ['without save points', []],
    ['with save points', ['--save', '3600 1000']],
    ['with an append-only file', ['--appendonly', 'yes', '--appendfsync', 'always']],
  ] as const) {
    it(`counts, saves and tells a log as the original does ${title}`, async () => {
      const pair = await startRedisPair(options);
      try {
        const [ours, real] = await Promise.all([observe(pair.ours), observe(pair.real)]);
        expect(ours).toEqual(real);
      } finally {
        await pair.stop();
      }
    });
  }
});
