/** Transactions, watching and tracking against naive models, on a core without sockets; nothing may stay behind. */
import { describe, expect, it } from 'vitest';
import { attachAdmin } from '../../engines/redis/admin.ts';
import { LatencySeries } from '../../engines/redis/latency-monitor.ts';
import { latencyGraph } from '../../engines/redis/latency-report.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { encodeCommand, parseReply, RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';

const MIB = 1_048_576;
const CLIENTS = 4;
const KEYS = 6;

/** What a client should know of itself. */
class ModelClient {
  multi = false;
  failed = false;
  dirty = false;
  queued = 0;
  readonly watched = new Set<string>();
}

function open(loop: Loopback): void {
  attachAdmin(loop.core);
  for (let conn = 0; conn < CLIENTS; conn++) loop.open(conn);
}

describe('transactions', () => {
  it('end as a model says, whoever watches what', () => {
    const random = seededRandom('transactions');
    const loop = new Loopback(16 * MIB);
    open(loop);
    const models = Array.from({ length: CLIENTS }, () => new ModelClient());
    const changed = (key: string): void => {
      for (const model of models) if (model.watched.has(key)) model.dirty = true;
    };
    const writes: string[][] = models.map(() => []);
    for (let step = 0; step < 6_000; step++) {
      const conn = random.nextBelow(CLIENTS);
      const model = models[conn]!;
      const key = `k${random.nextBelow(KEYS)}`;
      const kind = random.nextBelow(10);
      let expected: unknown;
      let args: string[];
      if (kind < 2) {
        args = ['WATCH', key];
        expected = model.multi ? 'error' : 'OK';
        if (!model.multi && !model.dirty) model.watched.add(key);
      } else if (kind < 4) {
        args = ['MULTI'];
        expected = model.multi ? 'error' : 'OK';
        model.multi = true;
      } else if (kind < 5) {
        args = ['NOSUCH'];
        expected = 'error';
        if (model.multi) model.failed = true;
      } else if (kind < 8) {
        args = ['APPEND', key, 'x'];
        if (!model.multi) {
          expected = 'number';
          changed(key);
        } else {
          expected = 'QUEUED';
          if (!model.failed && !model.dirty) {
            model.queued++;
            writes[conn]!.push(key);
          }
        }
      } else {
        args = [random.nextBelow(6) === 0 ? 'DISCARD' : 'EXEC'];
        if (!model.multi) expected = 'error';
        else if (args[0] === 'DISCARD') expected = 'OK';
        else if (model.failed) expected = 'error';
        else if (model.dirty) expected = null;
        else expected = model.queued;
        if (model.multi) {
          const done = typeof expected === 'number';
          Object.assign(model, { multi: false, failed: false, dirty: false, queued: 0 });
          model.watched.clear();
          if (done) for (const one of writes[conn]!) changed(one);
          writes[conn] = [];
        }
      }
      const reply = loop.command(conn, ...args);
      const seen = (value: RespValue): unknown => {
        if (value instanceof RespError) return 'error';
        if (Array.isArray(value)) return value.length;
        return typeof value === 'number' ? 'number' : value;
      };
      expect([step, args, seen(reply)]).toEqual([step, args, expected]);
      if (step % 500 === 0) verifyCore(loop.core);
    }
    for (let conn = 0; conn < CLIENTS; conn++) loop.core.onClose(conn, 0);
    expect(loop.core.watched.count).toBe(0);
    expect(loop.core.keyListeners).toBe(0);
    verifyCore(loop.core);
  });

  it('leave no memory behind, however they end', () => {
    const loop = new Loopback(32 * MIB);
    open(loop);
    const run = (...commands: string[][]) => {
      for (const args of commands) loop.command(0, ...args);
    };
    const round = (): void => {
      run(['WATCH', 'a', 'b'], ['MULTI']);
      for (let i = 0; i < 50; i++) run(['SET', `k${i}`, 'v'.repeat(i * 20)]);
      run(['EXEC'], ['MULTI'], ['SET', 'a', 'x'.repeat(40_000)], ['DISCARD']);
      run(['MULTI'], ['SET', 'a', '1'], ['NOSUCH'], ['EXEC'], ['WATCH', 'a'], ['MULTI'], ['GET', 'a']);
      loop.command(1, 'SET', 'a', '2');
      run(['GET', 'a'], ['EXEC'], ['WATCH', 'a'], ['MULTI'], ['GET', 'a'], ['RESET'], ['FLUSHALL']);
    };
    round();
    loop.settle();
    const before = loop.allocator.usedBytes;
    for (let i = 0; i < 20; i++) round();
    loop.settle();
    expect(loop.allocator.usedBytes).toBe(before);
  });

  it('refuse a command for which the arena has no room, and then the whole', () => {
    const loop = new Loopback(6 * MIB);
    open(loop);
    loop.command(0, 'MULTI');
    let refused = 0;
    for (let i = 0; i < 400 && refused === 0; i++) {
      if (loop.command(0, 'SET', `k${i}`, 'x'.repeat(20_000)) instanceof RespError) refused++;
    }
    expect(refused).toBe(1);
    expect(loop.command(0, 'EXEC')).toEqual(
      new RespError('EXECABORT Transaction discarded because of previous errors.'),
    );
    expect(loop.command(0, 'SET', 'k', 'v')).toBe('OK');
    verifyCore(loop.core);
  });
});

describe('tracking', () => {
  it('tells each reader once of each change, as a model does', () => {
    const random = seededRandom('tracking');
    const loop = new Loopback(16 * MIB);
    open(loop);
    for (let conn = 0; conn < CLIENTS; conn++) {
      loop.command(conn, 'HELLO', 3);
      loop.command(conn, 'CLIENT', 'TRACKING', 'ON');
    }
    const readers = new Map<string, Set<number>>();
    for (let step = 0; step < 4_000; step++) {
      const conn = random.nextBelow(CLIENTS);
      const key = `k${random.nextBelow(KEYS)}`;
      if (random.nextBelow(3) > 0) {
        loop.command(conn, 'GET', key);
        if (!readers.has(key)) readers.set(key, new Set());
        readers.get(key)!.add(conn);
        continue;
      }
      loop.feed(conn, encodeCommand(['SET', key, 'v']));
      for (let other = 0; other < CLIENTS; other++) {
        const told = readers.get(key)?.has(other) === true;
        const bytes = loop.take(other);
        const expected = (other === conn ? 1 : 0) + (told ? 1 : 0);
        let at = 0;
        let seen = 0;
        for (; at < bytes.length; seen++) at = parseReply(bytes, at)!.next;
        expect([step, other, seen]).toEqual([step, other, expected]);
        if (told) expect(bytes.toString('latin1').endsWith(`invalidate\r\n*1\r\n$2\r\n${key}\r\n`)).toBe(true);
      }
      readers.delete(key);
      expect(loop.core.tracking.totalKeys).toBe(readers.size);
    }
    verifyCore(loop.core);
    for (let conn = 0; conn < CLIENTS; conn++) loop.core.onClose(conn, 0);
    expect(loop.core.tracking.clientCount).toBe(0);
  });
});

describe('the picture of delays', () => {
  it('is drawn as the original draws it', () => {
    const loop = new Loopback(8 * MIB);
    const series = new LatencySeries();
    const now = Math.floor(loop.nowMs / 1000);
    const delays = [20, 60, 35, 11, 60];
    for (let i = 0; i < delays.length; i++) series.add(now - [6, 5, 3, 2, 1][i]!, delays[i]!);
    expect(latencyGraph(loop.core, 'command', series)).toBe(
      [
        'command - high 60 ms, low 11 ms (all time high 60 ms)',
        '-'.repeat(80),
        ' #  #',
        ' |  |',
        ' |# |',
        '#||_|',
        '     ',
        '65321',
        'sssss',
        '',
      ].join('\n'),
    );
  });

  it('keeps the worst of each second, and no more than 160', () => {
    const series = new LatencySeries();
    for (let i = 0; i < 500; i++) series.add(1_000 + Math.floor(i / 2), i);
    const samples = series.samples();
    expect(samples.length).toBe(160);
    expect(samples[0]).toEqual({ unixtime: 1_090, delayMs: 181 });
    expect(samples[159]).toEqual({ unixtime: 1_249, delayMs: 499 });
    expect(series.max).toBe(499);
  });
});
