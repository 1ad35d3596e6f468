/** redis-check-aof reads our append-only files: whole ones are valid, and what it makes of ones that break off both servers load alike. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { readManifest } from '../redis/support/aof-files.ts';
import { everyEncoding, randomCommands } from '../redis/support/data-sets.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal, requireReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const CUTS = 4 * testScale;
const REWRITE_MS = 15_000;

const root = mkdtempSync(join(tmpdir(), 'cachelab-check-aof-'));
let folders = 0;
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** @returns what it says; with `fix` it is told to go on */
function check(folder: string, fix = false): { text: string; valid: boolean } {
  const manifest = join(folder, 'appendonlydir', 'appendonly.aof.manifest');
  const { stdout, stderr, status } = spawnSync(
    requireReal('redis-check-aof')!,
    fix ? ['--fix', manifest] : [manifest],
    { input: 'y\n', encoding: 'latin1' },
  );
  const text = stdout + stderr;
  return { text, valid: status === 0 && text.includes('All AOF files and manifest are valid') };
}

async function withClient<T>(server: TestServer, body: (client: RespClient) => Promise<T>): Promise<T> {
  const client = await RespClient.connect({ path: server.path });
  try {
    return await body(client);
  } finally {
    await client.close();
  }
}

async function rewritten(client: RespClient): Promise<void> {
  await client.command('BGREWRITEAOF');
  const until = Date.now() + REWRITE_MS;
  while (!/aof_rewrite_in_progress:0/.test(String(await client.command('INFO', 'persistence')))) {
    if (Date.now() > until) throw new Error('Cannot wait any longer for the rewrite');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A copy of the files whose last part ends after so many bytes. */
function cut(source: string, last: string, bytes: number): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  cpSync(join(source, 'appendonlydir'), join(folder, 'appendonlydir'), { recursive: true });
  truncateSync(join(folder, 'appendonlydir', last), bytes);
  return folder;
}

async function digestOf(start: typeof startOurs, flags: readonly string[], source: string): Promise<string> {
  const folder = join(root, String(folders++));
  cpSync(source, folder, { recursive: true });
  const server = await start(flags, folder);
  try {
    return await withClient(server, async (client) => String(await client.command('DEBUG', 'DIGEST')));
  } finally {
    await server.stop();
  }
}

describeReal(['redis-server', 'redis-check-aof'], 'redis-check-aof', () => {
  for (const preamble of ['yes', 'no'] as const) {
    const base = preamble === 'yes' ? 'an RDB file' : 'commands';
    it(`takes files whose base is ${base}, and mends those that break off`, {
      timeout: 60_000 * testScale,
    }, async () => {
      const random = seededRandom(`redis-check-aof, base of ${base}`);
      const folder = join(root, String(folders++));
      mkdirSync(folder);
      const flags = ['--appendonly', 'yes', '--aof-use-rdb-preamble', preamble, '--aof-timestamp-enabled', 'yes'];
      const server = await startOurs(flags, folder);
      let digest = '';
      await withClient(server, async (client) => {
        const make = everyEncoding(createRandom(random.nextU32()));
        await client.raw(Buffer.concat(make.map((words) => encodeCommand(words))), make.length);
        await rewritten(client);
        const later = randomCommands(createRandom(random.nextU32()), 200);
        await client.raw(Buffer.concat(later.map((words) => encodeCommand(words))), later.length);
        digest = String(await client.command('DEBUG', 'DIGEST'));
      });
      await server.stop();
      expect(check(folder).text).toContain('All AOF files and manifest are valid');
      expect(await digestOf(startReal, flags, folder)).toBe(digest);

      const last = readManifest(join(folder, 'appendonlydir')).at(-1)!.name;
      const { size } = statSync(join(folder, 'appendonlydir', last));
      let mended = 0;
      for (let i = 0; i < CUTS; i++) {
        const bytes = 1 + random.nextBelow(size - 1);
        const broken = cut(folder, last, bytes);
        if (!check(broken).valid) {
          expect(check(broken, true).text, `cut to ${bytes} bytes`).toContain('Successfully truncated AOF');
          mended++;
        }
        expect(check(broken).valid, `cut to ${bytes} bytes`).toBe(true);
        const mine = await digestOf(startOurs, flags, broken);
        expect(mine, `cut to ${bytes} bytes`).toBe(await digestOf(startReal, flags, broken));
      }
      expect(mended).toBeGreaterThan(0);
    });
  }
});
