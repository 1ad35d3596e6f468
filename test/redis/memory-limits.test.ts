/** Eviction, expiry and an arena that runs full: what is removed, what is refused, and that nothing leaks or breaks. */
import { describe, expect, it } from 'vitest';
import {
  POLICY_ALLKEYS_LFU,
  POLICY_ALLKEYS_LRU,
  POLICY_ALLKEYS_RANDOM,
  POLICY_FLAG_ALLKEYS,
  POLICY_NO_EVICTION,
  POLICY_VOLATILE_LFU,
  POLICY_VOLATILE_LRU,
  POLICY_VOLATILE_RANDOM,
  POLICY_VOLATILE_TTL,
} from '../../engines/redis/config.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { RespError } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';
import { CommandSource } from './support/random-commands.ts';

const ARENA_BYTES = 64 * 1024 * 1024;
const ROOM_BYTES = 2_000_000;
const VALUE = 'x'.repeat(200);

function limited(policy: number): Loopback {
  const lab = new Loopback(ARENA_BYTES);
  lab.open(0);
  for (const command of ['SET', 'GET', 'DEL'])
    lab.command(0, ...[command, 'warm', 'up'].slice(0, command === 'SET' ? 3 : 2));
  lab.core.config.maxmemory = lab.allocator.usedBytes + ROOM_BYTES;
  lab.core.config.maxmemoryPolicy = policy;
  lab.core.applyConfig();
  return lab;
}

function keysLeft(lab: Loopback, prefix: string, count: number): number {
  let left = 0;
  for (let i = 0; i < count; i++) left += Number(lab.command(0, 'EXISTS', `${prefix}${i}`));
  return left;
}

describe('maxmemory', () => {
  const policies: [string, number][] = [
    ['volatile-lru', POLICY_VOLATILE_LRU],
    ['volatile-lfu', POLICY_VOLATILE_LFU],
    ['volatile-ttl', POLICY_VOLATILE_TTL],
    ['volatile-random', POLICY_VOLATILE_RANDOM],
    ['allkeys-lru', POLICY_ALLKEYS_LRU],
    ['allkeys-lfu', POLICY_ALLKEYS_LFU],
    ['allkeys-random', POLICY_ALLKEYS_RANDOM],
  ];
  for (const [name, policy] of policies) {
    it(`is kept by ${name}, which spares what it must`, () => {
      const lab = limited(policy);
      for (let i = 0; i < 500; i++) lab.command(0, 'SET', `plain:${i}`, VALUE);
      for (let i = 0; i < 20_000; i++) {
        lab.nowMs += 1;
        if (i % 100 === 0) lab.core.cron();
        expect(lab.command(0, 'SET', `ttl:${i}`, VALUE, 'EX', 100_000 - i)).toBe('OK');
      }
      expect(lab.allocator.usedBytes).toBeLessThan(lab.core.config.maxmemory + 100_000);
      expect(lab.core.stats.evictedKeys).toBeGreaterThan(10_000);
      const spared = keysLeft(lab, 'plain:', 500);
      if ((policy & POLICY_FLAG_ALLKEYS) === 0) expect(spared).toBe(500);
      else expect(spared).toBeLessThan(500);
      verifyCore(lab.core);
    });
  }

  it('refuses writes under noeviction, and lets reads and deletions through', () => {
    const lab = limited(POLICY_NO_EVICTION);
    let reply: unknown = 'OK';
    let i = 0;
    for (; reply === 'OK'; i++) reply = lab.command(0, 'SET', `k${i}`, VALUE);
    expect((reply as RespError).message).toBe("OOM command not allowed when used memory > 'maxmemory'.");
    expect(lab.command(0, 'GET', 'k0')).toBe(VALUE);
    expect(lab.command(0, 'DEL', 'k0', 'k1', 'k2')).toBe(3);
    expect(lab.command(0, 'SET', 'k0', 'y')).toBe('OK');
  });

  it('keeps what is used often under allkeys-lru', () => {
    const lab = limited(POLICY_ALLKEYS_LRU);
    for (let i = 0; i < 500; i++) lab.command(0, 'SET', `hot:${i}`, VALUE);
    for (let i = 0; i < 30_000; i++) {
      lab.nowMs += 10;
      if (i % 10 === 0) lab.core.cron();
      lab.command(0, 'GET', `hot:${i % 500}`);
      lab.command(0, 'SET', `cold:${i}`, VALUE);
    }
    expect(keysLeft(lab, 'hot:', 500)).toBeGreaterThan(450);
  });
});

describe('expiry', () => {
  it('deletes a key when it is asked for after its time', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    lab.command(0, 'SET', 'k', 'v', 'PX', 100);
    lab.nowMs += 100;
    expect(lab.command(0, 'GET', 'k')).toBe('v');
    lab.nowMs += 1;
    expect(lab.command(0, 'DBSIZE')).toBe(1);
    expect(lab.command(0, 'GET', 'k')).toBe(null);
    expect(lab.command(0, 'DBSIZE')).toBe(0);
    expect(lab.core.stats.expiredKeys).toBe(1);
  });

  it('finds the dead by itself until less than a tenth is left', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    lab.run(0, 20_000, (i) => ['SET', `k${i}`, 'v', 'PX', i % 2 === 0 ? 1_000 : 1_000_000]);
    lab.settle();
    lab.nowMs += 2_000;
    for (let i = 0; i < 20; i++) {
      lab.nowMs += 100;
      lab.core.cron();
    }
    const stale = Number(lab.command(0, 'DBSIZE')) - 10_000;
    expect(stale).toBeLessThan(1_500);
    expect(lab.core.stats.expiredKeys).toBe(10_000 - stale);
    verifyCore(lab.core);
  });

  it('rests when it is switched off', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    lab.core.activeExpireEnabled = false;
    lab.command(0, 'SET', 'k', 'v', 'PX', 1);
    lab.nowMs += 1_000;
    for (let i = 0; i < 50; i++) lab.core.cron();
    expect(lab.command(0, 'DBSIZE')).toBe(1);
  });
});

describe('an arena that is full', () => {
  it('answers with -OOM, keeps all data whole and goes on after a flush', () => {
    const lab = new Loopback(16 * 1024 * 1024);
    lab.open(0);
    let refused = 0;
    for (let i = 0; i < 3_000; i++) {
      const reply = lab.command(0, 'SET', `k${i}`, 'y'.repeat(1_000 + (i % 7) * 1_500));
      if (reply instanceof RespError) {
        expect(reply.message).toContain('OOM');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
    lab.command(0, 'APPEND', 'k0', 'z'.repeat(60_000));
    lab.command(0, 'SETRANGE', 'k1', 100_000_000, 'z');
    verifyCore(lab.core);
    expect(lab.command(0, 'FLUSHALL')).toBe('OK');
    expect(lab.command(0, 'SET', 'k', 'y'.repeat(60_000))).toBe('OK');
    verifyCore(lab.core);
  });
});

describe('random commands', () => {
  it('leave the data whole at every step and no memory behind', { timeout: 60_000 }, () => {
    const random = seededRandom('whole');
    const lab = new Loopback(256 * 1024 * 1024);
    lab.open(0);
    const source = new CommandSource(random);
    // The first call of each command makes its histogram, which stays.
    for (let i = 0; i < 20_000; i++) lab.command(0, ...source.next().args);
    lab.command(0, 'FLUSHALL');
    lab.core.lazyFree.drain(lab.core.heap);
    const before = lab.dataBytes;
    for (let i = 0; i < 20_000; i++) {
      lab.command(0, ...source.next().args);
      if (i % 200 === 0) verifyCore(lab.core);
    }
    lab.command(0, 'FLUSHALL');
    lab.core.lazyFree.drain(lab.core.heap);
    verifyCore(lab.core);
    expect(Math.abs(lab.dataBytes - before) % (24_576 + 112)).toBe(0);
  });
});
