import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../support/seed.ts';
import { ServedMemcached } from './support/served-memcached.ts';
import { ThreadStress } from './support/thread-stress.ts';

/** How long: 12 s in `npm test`; the nightly run says more. */
const SECONDS = Number(process.env['CACHELAB_STRESS_SECONDS'] ?? 12);
const CONNECTIONS = 16;
/** Below it memory is not even full. */
const LEAST_REQUESTS = 25_000;
const FLAGS = ['-t', '4', '-m', '48', '-o', 'hashpower=13', '--verify-on-exit'];

describe('Threads that share everything', () => {
  it('tear no value and lose no cas, and memory is exact when they stop', {
    timeout: SECONDS * 4_000 + 60_000,
  }, async () => {
    const server = await ServedMemcached.start(FLAGS);
    const stress = new ThreadStress(seededRandom('thread stress'));
    let ended: string;
    try {
      await stress.run(server.path, SECONDS, CONNECTIONS, LEAST_REQUESTS);
    } finally {
      ended = await server.end();
    }
    const { result } = stress;
    console.log(JSON.stringify(result));
    expect(ended).toMatch(/verify: all is right/);
    expect(server.child.exitCode).toBe(0);
    expect(result.hits).toBeGreaterThan(1_000);
    expect(result.casStored).toBeGreaterThan(100);
    expect(result.evictions).toBeGreaterThan(0);
    expect(result.pagesMoved).toBeGreaterThan(0);
    expect(result.tableGrowths).toBeGreaterThan(0);
  });

  it('are stopped in the midst of it, and memory is exact all the same', { timeout: 60_000 }, async () => {
    const server = await ServedMemcached.start(FLAGS);
    const stress = new ThreadStress(seededRandom('thread stress, stopped'));
    const running = stress.run(server.path, 10, CONNECTIONS).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const ended = await server.end();
    await running;
    expect(ended).toMatch(/verify: all is right/);
    expect(server.child.exitCode).toBe(0);
  });

  it('leave a memory file from which others go on, with every value whole', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-stress-'));
    const stress = new ThreadStress(seededRandom('thread stress, restarted'));
    try {
      for (let round = 0; round < 3; round++) {
        const server = await ServedMemcached.start([...FLAGS, '-v', '-e', join(folder, 'memory')]);
        await stress.run(server.path, 2, CONNECTIONS).catch(async (error) => {
          throw new Error(await server.end(), { cause: error });
        });
        const ended = await server.end('SIGUSR1');
        expect(ended).toMatch(/verify: all is right/);
        expect(ended).not.toMatch(/damaged|validate/);
        expect(/recovery end/.test(ended)).toBe(round > 0);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
