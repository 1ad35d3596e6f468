import { expect, it } from 'vitest';
import { seededRandom } from '../support/seed.ts';
import { ServedMemcached } from './support/served-memcached.ts';
import { ThreadStress } from './support/thread-stress.ts';

/** An hour in all, a server and a seed after the other; CACHELAB_STRESS_SECONDS says otherwise. */
const SECONDS = Number(process.env['CACHELAB_STRESS_SECONDS'] ?? 3_600);
const ROUND_SECONDS = 120;
const CONNECTIONS = 32;
/** Memory short and ample, few and many threads, the original's older ways as well. */
const SERVERS = [
  ['-t', '4', '-m', '24', '-o', 'hashpower=13'],
  ['-t', '2', '-m', '64', '-o', 'hashpower=13'],
  ['-t', '8', '-m', '128', '-o', 'hashpower=14'],
  ['-t', '4', '-m', '32', '-o', 'hashpower=13,no_modern,slab_reassign,lru_crawler'],
  ['-t', '4', '-m', '48', '-o', 'hashpower=13,slab_chunk_max=16384,slab_automove=2'],
  ['-t', '4', '-m', '24', '-C', '-o', 'hashpower=13'],
];

it('tears no value and loses no cas for an hour', { timeout: (SECONDS + ROUND_SECONDS) * 2_000 }, async () => {
  const random = seededRandom('thread stress');
  const until = Date.now() + SECONDS * 1000;
  for (let round = 0; Date.now() < until; round++) {
    const flags = SERVERS[round % SERVERS.length]!;
    const server = await ServedMemcached.start([...flags, '--verify-on-exit']);
    const stress = new ThreadStress(random, !flags.includes('-C'));
    let ended = '';
    try {
      await stress.run(server.path, Math.min(ROUND_SECONDS, Math.max(5, (until - Date.now()) / 1000)), CONNECTIONS);
    } finally {
      ended = await server.end();
      console.log(flags.join(' '), JSON.stringify(stress.result), ended);
    }
    expect(ended).toMatch(/verify: all is right/);
    expect(server.child.exitCode).toBe(0);
  }
});
